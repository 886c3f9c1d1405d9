//! Rewards for stakes. Its flaw: a stake that moves to a new account earns again from the beginning.

use alloy::primitives::{Address, U256};
use alloy::sol_types::{SolCall, SolValue};

use super::super::RangeError;
use super::super::script::Script;
use super::super::world::{World, ether, wei};
use super::delivery::{Plan, deliver};
use super::market::{Market, approve, plain, then};
use super::{Protocol, Worth};
use crate::artifacts;

alloy::sol! {
    interface Staking {
        function fund(uint256 amount) external;
        function stake(uint256 amount) external;
        function unstake(uint256 amount) external;
        function claim() external;
        function move(address to, uint256 amount) external;
    }
}

/// Places in the storage layout.
const PER_STAKE: u64 = 0;
const STAKES: u64 = 2;
const SETTLED_AT: u64 = 3;
const DUE: u64 = 4;

#[derive(Debug)]
pub(super) struct Rewards {
    market: Market,
    at: Address,
    is_flawed: bool,
}

impl Rewards {
    pub(super) fn open(
        world: &mut World,
        market: Market,
        is_flawed: bool,
    ) -> Result<Self, RangeError> {
        let artifact = if is_flawed { artifacts::STAKING_FLAWED } else { artifacts::STAKING };
        let at = world.deploy(artifact, &(market.a, market.b).abi_encode())?;
        market.approve_all(world, at)?;
        for user in world.users.clone() {
            let amount = wei(market.amount(world, market.a, user, 1.0)?);
            world.call(user, at, Staking::stakeCall { amount }.abi_encode())?;
        }
        let rewards = Self { market, at, is_flawed };
        let admin = world.admin;
        let amount = rewards.funding(world);
        world.call(admin, at, Staking::fundCall { amount }.abi_encode())?;
        Ok(rewards)
    }

    /// Rewards that are due to an account, as the contract computes them.
    fn pending(&self, world: &World, account: Address) -> Result<f64, RangeError> {
        let entry = |base| world.entry(self.at, base, account);
        let earned = world.slot(self.at, PER_STAKE)?.saturating_sub(entry(SETTLED_AT)?);
        Ok(ether(entry(DUE)?) + ether(entry(STAKES)?.saturating_mul(earned)) / 1e18)
    }

    fn funding(&self, world: &mut World) -> U256 {
        wei(self.market.tvl * self.market.price * world.random.log_uniform(0.01, 0.5))
    }

    /// Passes a stake on from account to account; each claims before it does.
    fn pass_on(
        &self,
        world: &mut World,
        plan: &Plan<'_>,
        amount: U256,
        n_accounts: u64,
    ) -> Result<(), RangeError> {
        let market = self.market;
        deliver(world, &market, plan, |world, executor| {
            let mut script = Script::default();
            then(&mut script, market.a, approve(self.at, U256::MAX));
            then(&mut script, self.at, Staking::stakeCall { amount }.abi_encode());
            let clone = |index: u64| {
                if index > n_accounts { executor } else { executor.create(index) }
            };
            for index in 1..=n_accounts {
                world.join(clone(index));
                let mut later = Script::default();
                then(&mut later, self.at, Staking::claimCall {}.abi_encode());
                let to = clone(index + 1);
                then(&mut later, self.at, Staking::moveCall { to, amount }.abi_encode());
                script.create(Script::default().deploying(&later, &Script::default()), U256::ZERO);
            }
            let first = Staking::moveCall { to: clone(1), amount }.abi_encode();
            then(&mut script, self.at, first);
            for index in 1..=n_accounts {
                then(&mut script, clone(index), vec![1]);
            }
            then(&mut script, self.at, Staking::unstakeCall { amount }.abi_encode());
            Ok(script)
        })
    }
}

impl Protocol for Rewards {
    fn protected(&self) -> Address {
        self.at
    }

    fn use_it(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let account = if world.random.chance(0.6) { world.user() } else { world.stranger() };
        let play = |world: &mut World, family: &str, input: Vec<u8>| {
            world.play(family, false, plain(account, self.at, input))
        };
        match world.random.below(9) {
            0 | 1 => {
                let amount = wei(market.amount(world, market.a, account, 0.8)?);
                play(world, "staking/stake", Staking::stakeCall { amount }.abi_encode())
            }
            2 | 3 => {
                let held = world.entry(self.at, STAKES, account)?;
                let part = world.random.log_uniform(1e-3, 1.0);
                let amount = wei(ether(held) * part);
                play(world, "staking/unstake", Staking::unstakeCall { amount }.abi_encode())
            }
            4 => play(world, "staking/claim", Staking::claimCall {}.abi_encode()),
            5 => {
                let (admin, amount) = (world.admin, self.funding(world));
                let input = Staking::fundCall { amount }.abi_encode();
                world.play("staking/fund", false, plain(admin, self.at, input))
            }
            // With the flaw, even an innocent move does harm, so it is left to attackers.
            6 | 7 if !self.is_flawed => {
                let from = world.stranger();
                let amount = wei(market.amount(world, market.a, from, 1.0)?);
                let mut plan = Plan::benign("staking/move-around", from);
                plan.own = vec![(market.a, amount)];
                let n_accounts = 1 + world.random.below(5) as u64;
                self.pass_on(world, &plan, amount, n_accounts)
            }
            // Stakes, is rewarded by chance, claims and leaves: all in one, some times over.
            _ => {
                let from = world.stranger();
                let amount = wei(market.amount(world, market.a, from, 2.0)?);
                let n_turns = world.random.log_uniform(1.0, 15.0) as usize;
                let mut plan = Plan::benign("staking/turns", from);
                if world.random.chance(0.5) {
                    plan.loan = Some((market.a, amount));
                } else {
                    plan.own = vec![(market.a, amount)];
                }
                deliver(world, &market, &plan, |_, _| {
                    let mut script = Script::default();
                    then(&mut script, market.a, approve(self.at, U256::MAX));
                    for _ in 0..n_turns {
                        then(&mut script, self.at, Staking::stakeCall { amount }.abi_encode());
                        then(&mut script, self.at, Staking::claimCall {}.abi_encode());
                        then(&mut script, self.at, Staking::unstakeCall { amount }.abi_encode());
                    }
                    Ok(script)
                })
            }
        }
    }

    fn attack(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.attacker();
        let is_loan = world.random.chance(0.5);
        let amount = wei(if is_loan {
            market.tvl * world.random.log_uniform(0.01, 3.0)
        } else {
            market.amount(world, market.a, from, 3.0)?
        });
        let mut plan = Plan::attack("reward-double-claim", from);
        if is_loan {
            plan.loan = Some((market.a, amount));
        } else {
            plan.own = vec![(market.a, amount)];
        }
        let n_accounts = world.random.log_uniform(1.0, 9.0) as u64;
        self.pass_on(world, &plan, amount, n_accounts)
    }

    /// Rewards there are beyond those that are due.
    fn worth(&self, world: &World, _sender: Address) -> Result<Vec<Worth>, RangeError> {
        let held = self.market.balance(world, self.market.b, self.at)?;
        let mut value = held;
        for account in world.parties() {
            value -= self.pending(world, account)?;
        }
        Ok(vec![Worth { value, scale: held }])
    }
}
