//! A bridge's escrow. Its flaws: nobody's signature counts, or anyone may become the owner.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolValue};

use super::super::RangeError;
use super::super::script::Script;
use super::super::world::{World, wei};
use super::delivery::{Plan, deliver};
use super::market::{Market, approve, plain, then};
use super::{Protocol, Worth};
use crate::artifacts;

alloy::sol! {
    interface Bridge {
        function lock(uint256 amount) external;
        function release(address to, uint256 amount, uint256 number, uint8 v, bytes32 r, bytes32 s) external;
        function setOwner(address owner) external;
        function rescue(address token, address to, uint256 amount) external;
    }
}

/// Place in the escrow's storage layout.
const OWNER: u64 = 0;

#[derive(Debug)]
pub(super) struct Escrow {
    market: Market,
    at: Address,
    validator: PrivateKeySigner,
    is_about_signer: bool,
}

impl Escrow {
    pub(super) fn open(
        world: &mut World,
        market: Market,
        is_flawed: bool,
        is_about_signer: bool,
    ) -> Result<Self, RangeError> {
        let validator = signer(world);
        let artifact = match (is_flawed, is_about_signer) {
            (false, _) => artifacts::BRIDGE,
            (true, true) => artifacts::BRIDGE_ZERO_SIGNER,
            (true, false) => artifacts::BRIDGE_OPEN_OWNER,
        };
        let arguments = (market.a, world.admin, validator.address()).abi_encode();
        let at = world.deploy(artifact, &arguments)?;
        market.approve_all(world, at)?;
        for user in world.users.clone() {
            let amount = wei(market.amount(world, market.a, user, 1.0)?);
            world.call(user, at, Bridge::lockCall { amount }.abi_encode())?;
        }
        Ok(Self { market, at, validator, is_about_signer })
    }

    fn held(&self, world: &World) -> Result<f64, RangeError> {
        self.market.balance(world, self.market.a, self.at)
    }

    /// A release that the validator signs.
    fn release(&self, world: &mut World, to: Address, amount: f64) -> Vec<u8> {
        Self::signed(&self.validator, self.at, world, to, amount)
    }

    fn signed(
        signer: &PrivateKeySigner,
        at: Address,
        world: &mut World,
        to: Address,
        amount: f64,
    ) -> Vec<u8> {
        let (amount, number) = (wei(amount), U256::from(world.random.bits()));
        let digest = keccak256((at, to, amount, number).abi_encode());
        let signed = signer.sign_hash_sync(&digest).expect("a local key signs");
        let (r, s) = (B256::from(signed.r()), B256::from(signed.s()));
        Bridge::releaseCall { to, amount, number, v: 27 + u8::from(signed.v()), r, s }.abi_encode()
    }
}

fn signer(world: &mut World) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(world.random.bits().to_be_bytes()))
        .expect("a hash is a valid key but for 2^-128")
}

impl Protocol for Escrow {
    fn protected(&self) -> Address {
        self.at
    }

    fn use_it(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let account = if world.random.chance(0.5) { world.user() } else { world.stranger() };
        match world.random.below(9) {
            0 | 1 => {
                let amount = wei(market.amount(world, market.a, account, 0.8)?);
                let input = Bridge::lockCall { amount }.abi_encode();
                world.play("bridge/lock", false, plain(account, self.at, input))
            }
            2..=4 => {
                let amount = self.held(world)? * world.random.log_uniform(1e-4, 0.8);
                let to = world.user();
                let input = self.release(world, to, amount);
                world.permit(amount);
                world.play("bridge/release", false, plain(account, self.at, input))
            }
            5 => {
                // Signed well, by somebody who is no validator.
                let stranger = signer(world);
                let amount = self.held(world)?;
                let input = Self::signed(&stranger, self.at, world, account, amount);
                world.play("bridge/probe", false, plain(account, self.at, input))
            }
            6 => {
                let admin = world.admin;
                let input = Bridge::setOwnerCall { owner: admin }.abi_encode();
                world.play("bridge/govern", false, plain(admin, self.at, input))
            }
            // A relayer's contract: some releases, some locks between them.
            _ => {
                let from = world.stranger();
                let n = 1 + world.random.below(8);
                let each = self.held(world)? * world.random.log_uniform(1e-3, 0.7) / n as f64;
                let mut plan = Plan::benign("bridge/batch", from);
                plan.permitted_fall = each * n as f64;
                deliver(world, &market, &plan, |world, executor| {
                    let mut script = Script::default();
                    let locks = world.random.chance(0.3);
                    if locks {
                        then(&mut script, market.a, approve(self.at, U256::MAX));
                    }
                    for _ in 0..n {
                        let to = if world.random.chance(0.4) { executor } else { world.user() };
                        let input = self.release(world, to, each);
                        then(&mut script, self.at, input);
                        if locks && to == executor {
                            let amount = wei(each * 0.9);
                            then(&mut script, self.at, Bridge::lockCall { amount }.abi_encode());
                        }
                    }
                    Ok(script)
                })
            }
        }
    }

    fn attack(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.attacker();
        let n = world.random.log_uniform(1.0, 8.0) as usize;
        let each = self.held(world)? * world.random.log_uniform(0.005, 0.98) / n as f64;
        if !self.is_about_signer {
            let plan = Plan::attack("missing-access", from);
            return deliver(world, &market, &plan, |_, executor| {
                let mut script = Script::default();
                let take = Bridge::setOwnerCall { owner: executor };
                then(&mut script, self.at, take.abi_encode());
                for _ in 0..n {
                    let (to, amount) = (from, wei(each));
                    let rescue = Bridge::rescueCall { token: market.a, to, amount };
                    then(&mut script, self.at, rescue.abi_encode());
                }
                Ok(script)
            });
        }
        let forge = |world: &mut World, to: Address| {
            let number = U256::from(world.random.bits());
            let r = B256::from(U256::from(world.random.bits()));
            Bridge::releaseCall { to, amount: wei(each), number, v: 99, r, s: r }.abi_encode()
        };
        if n == 1 && world.random.chance(0.5) {
            let input = forge(world, from);
            return world.play("zero-signature/plain", true, plain(from, self.at, input));
        }
        let plan = Plan::attack("zero-signature", from);
        deliver(world, &market, &plan, |world, executor| {
            let mut script = Script::default();
            for _ in 0..n {
                let input = forge(world, executor);
                then(&mut script, self.at, input);
            }
            Ok(script)
        })
    }

    fn worth(&self, world: &World, _sender: Address) -> Result<Vec<Worth>, RangeError> {
        let held = self.held(world)?;
        let owner = world.slot(self.at, OWNER)?;
        let is_owned = owner == U256::from_be_slice(world.admin.as_slice());
        let control = Worth { value: f64::from(u8::from(is_owned)) * self.market.tvl, scale: 0.0 };
        Ok(vec![Worth { value: held, scale: held }, control])
    }
}
