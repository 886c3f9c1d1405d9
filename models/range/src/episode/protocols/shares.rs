//! The ERC-4626 vault of OpenZeppelin. Its flawed twin rounds in favour of whoever withdraws.

use alloy::primitives::{Address, U256};
use alloy::sol_types::{SolCall, SolValue};

use super::super::RangeError;
use super::super::script::Script;
use super::super::world::{World, ether, wei};
use super::delivery::{Plan, deliver};
use super::market::{Market, approve, plain, then, transfer};
use super::{Protocol, Worth};
use crate::artifacts;

alloy::sol! {
    interface ShareVault {
        function deposit(uint256 assets, address receiver) external returns (uint256);
        function withdraw(uint256 assets, address receiver, address owner) external returns (uint256);
        function redeem(uint256 shares, address receiver, address owner) external returns (uint256);
    }
}

/// Places in the vault's storage layout.
const BALANCES: u64 = 0;
const TOTAL_SUPPLY: u64 = 2;

#[derive(Debug)]
pub(super) struct Shares {
    market: Market,
    at: Address,
}

impl Shares {
    pub(super) fn open(
        world: &mut World,
        market: Market,
        is_flawed: bool,
    ) -> Result<Self, RangeError> {
        let artifact =
            if is_flawed { artifacts::SHARE_VAULT_FLAWED } else { artifacts::SHARE_VAULT };
        let at = world.deploy(artifact, &market.a.abi_encode())?;
        market.approve_all(world, at)?;
        // A token of few decimals and a share that has grown: one share is worth many base units.
        let rate = world.random.log_uniform(10.0, 1_000.0);
        let mut deposited = U256::ZERO;
        for user in world.users.clone() {
            let held = market.balance(world, market.a, user)?;
            let assets = wei(held / (rate * 2.0)) + U256::from(1);
            deposited += assets;
            let deposit = ShareVault::depositCall { assets, receiver: user }.abi_encode();
            world.call(user, at, deposit)?;
        }
        let admin = world.admin;
        world.call(admin, market.a, transfer(at, deposited * U256::from(rate as u64)))?;
        Ok(Self { market, at })
    }

    /// Base units of the asset per share.
    fn rate(&self, world: &World) -> Result<f64, RangeError> {
        let assets = self.market.balance(world, self.market.a, self.at)? * 1e18;
        let supply = world.slot(self.at, TOTAL_SUPPLY)?;
        Ok((assets + 1.0) / (f64::from(supply) + 1.0))
    }

    /// Deposits, then redeems in parts, from a contract.
    fn turns(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.stranger();
        let assets = wei(market.amount(world, market.a, from, 1.0)?);
        let shares = f64::from(assets) / self.rate(world)?;
        let n_turns = world.random.log_uniform(1.0, 40.0).min(shares.max(1.0)) as u64;
        let each = U256::from((shares * 0.9) as u128 / u128::from(n_turns));
        let mut plan = Plan::benign("shares/turns", from);
        plan.own = vec![(market.a, assets)];
        deliver(world, &market, &plan, |_, executor| {
            let mut script = Script::default();
            then(&mut script, market.a, approve(self.at, U256::MAX));
            let deposit = ShareVault::depositCall { assets, receiver: executor };
            then(&mut script, self.at, deposit.abi_encode());
            for _ in 0..n_turns {
                let redeem =
                    ShareVault::redeemCall { shares: each, receiver: executor, owner: executor };
                then(&mut script, self.at, redeem.abi_encode());
            }
            Ok(script)
        })
    }
}

impl Protocol for Shares {
    fn protected(&self) -> Address {
        self.at
    }

    fn use_it(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let account = if world.random.chance(0.6) { world.user() } else { world.stranger() };
        let play = |world: &mut World, family: &str, to: Address, input: Vec<u8>| {
            world.play(family, false, plain(account, to, input))
        };
        match world.random.below(9) {
            0 | 1 => {
                let assets = wei(market.amount(world, market.a, account, 0.5)?);
                let deposit = ShareVault::depositCall { assets, receiver: account }.abi_encode();
                play(world, "shares/deposit", self.at, deposit)
            }
            2..=4 => {
                let held = ether(world.entry(self.at, BALANCES, account)?);
                let shares = wei(held * world.random.log_uniform(1e-2, 1.0));
                let redeem = ShareVault::redeemCall { shares, receiver: account, owner: account };
                play(world, "shares/redeem", self.at, redeem.abi_encode())
            }
            // A harvest: the vault earns.
            5 => {
                let amount = wei(market.amount(world, market.a, account, 0.3)?);
                play(world, "shares/harvest", market.a, transfer(self.at, amount))
            }
            6 => {
                let assets = wei(market.tvl * 100.0);
                let withdraw =
                    ShareVault::withdrawCall { assets, receiver: account, owner: account };
                play(world, "shares/probe", self.at, withdraw.abi_encode())
            }
            _ => self.turns(world),
        }
    }

    fn attack(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.attacker();
        let rate = self.rate(world)?;
        let own = wei(market.balance(world, market.a, from)? * world.random.log_uniform(0.05, 0.9));
        let n_loops = world.random.log_uniform(3.0, 120.0) as usize;
        let assets = U256::from((rate * 0.9) as u128);
        let mut plan = Plan::attack("rounding-loop", from);
        plan.own = vec![(market.a, own)];
        deliver(world, &market, &plan, |_, executor| {
            let mut script = Script::default();
            then(&mut script, market.a, approve(self.at, U256::MAX));
            let deposit = ShareVault::depositCall { assets: own, receiver: executor };
            then(&mut script, self.at, deposit.abi_encode());
            for _ in 0..n_loops {
                let withdraw =
                    ShareVault::withdrawCall { assets, receiver: executor, owner: executor };
                then(&mut script, self.at, withdraw.abi_encode());
            }
            Ok(script)
        })
    }

    fn worth(&self, world: &World, _sender: Address) -> Result<Vec<Worth>, RangeError> {
        let rate = self.rate(world)?;
        Ok(vec![Worth { value: rate, scale: rate }])
    }
}
