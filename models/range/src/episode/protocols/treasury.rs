//! A treasury whose voters decide on payments. Its flaw: borrowed votes count.

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
    interface Treasury {
        function lock(uint256 amount) external;
        function unlock(uint256 amount) external;
        function propose(address to, uint256 amount) external;
        function vote(uint256 id) external;
        function execute(uint256 id) external;
    }
}

/// Places in the treasury's storage layout.
const PROPOSALS: u64 = 0;
const LOCKED: u64 = 2;

#[derive(Debug)]
pub(super) struct Funds {
    market: Market,
    at: Address,
}

impl Funds {
    pub(super) fn open(
        world: &mut World,
        market: Market,
        is_flawed: bool,
    ) -> Result<Self, RangeError> {
        let artifact = if is_flawed { artifacts::TREASURY_FLAWED } else { artifacts::TREASURY };
        let largest = world.users[0];
        let held = market.balance(world, market.a, largest)?;
        let quorum = wei(held * world.random.log_uniform(0.2, 0.8));
        let at = world.deploy(artifact, &(market.a, market.b, quorum).abi_encode())?;
        market.approve_all(world, at)?;
        for user in world.users.clone() {
            let held = market.balance(world, market.a, user)?;
            let amount = wei(held * 0.85);
            world.call(user, at, Treasury::lockCall { amount }.abi_encode())?;
        }
        let amount = wei(market.tvl * market.price * world.random.log_uniform(0.1, 10.0));
        let admin = world.admin;
        world.call(admin, market.b, transfer(at, amount))?;
        Ok(Self { market, at })
    }

    fn held(&self, world: &World) -> Result<f64, RangeError> {
        self.market.balance(world, self.market.b, self.at)
    }

    fn next(&self, world: &World) -> Result<U256, RangeError> {
        world.slot(self.at, PROPOSALS)
    }
}

impl Protocol for Funds {
    fn protected(&self) -> Address {
        self.at
    }

    fn use_it(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let account = world.stranger();
        match world.random.below(7) {
            0 => {
                let amount = wei(market.amount(world, market.a, account, 0.8)?);
                let input = Treasury::lockCall { amount }.abi_encode();
                world.play("treasury/lock", false, plain(account, self.at, input))
            }
            1 => {
                let held = world.entry(self.at, LOCKED, account)?;
                let amount = wei(ether(held) * world.random.log_uniform(1e-3, 1.0));
                let input = Treasury::unlockCall { amount }.abi_encode();
                world.play("treasury/unlock", false, plain(account, self.at, input))
            }
            2 | 3 => self.decide(world),
            4 => {
                let id = self.next(world)?.saturating_sub(U256::from(1));
                let input = Treasury::executeCall { id }.abi_encode();
                world.play("treasury/probe", false, plain(account, self.at, input))
            }
            // Votes locked and unlocked in one transaction, on a loan: a proposal without a majority behind it.
            _ => {
                let amount = wei(market.tvl * world.random.log_uniform(0.01, 10.0));
                let paid = wei(self.held(world)? * world.random.log_uniform(0.01, 0.9));
                let mut plan = Plan::benign("treasury/flash-lock", account);
                plan.loan = Some((market.a, amount));
                let proposes = world.random.chance(0.6);
                deliver(world, &market, &plan, |_, executor| {
                    let mut script = Script::default();
                    then(&mut script, market.a, approve(self.at, U256::MAX));
                    then(&mut script, self.at, Treasury::lockCall { amount }.abi_encode());
                    if proposes {
                        let propose = Treasury::proposeCall { to: executor, amount: paid };
                        then(&mut script, self.at, propose.abi_encode());
                    }
                    then(&mut script, self.at, Treasury::unlockCall { amount }.abi_encode());
                    Ok(script)
                })
            }
        }
    }

    fn attack(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.attacker();
        let id = self.next(world)?;
        let held = self.held(world)?;
        let paid = wei(held * world.random.log_uniform(0.01, 1.0));
        let is_loan = world.random.chance(0.75);
        let votes = if is_loan {
            wei(market.tvl * world.random.log_uniform(0.5, 15.0))
        } else {
            wei(market.balance(world, market.a, from)? * 0.9)
        };
        let mut plan = Plan::attack("flash-governance", from);
        if is_loan {
            plan.loan = Some((market.a, votes));
        } else {
            plan.own = vec![(market.a, votes)];
        }
        deliver(world, &market, &plan, |_, executor| {
            let mut script = Script::default();
            then(&mut script, market.a, approve(self.at, U256::MAX));
            then(&mut script, self.at, Treasury::lockCall { amount: votes }.abi_encode());
            let propose = Treasury::proposeCall { to: executor, amount: paid };
            then(&mut script, self.at, propose.abi_encode());
            then(&mut script, self.at, Treasury::voteCall { id }.abi_encode());
            then(&mut script, self.at, Treasury::executeCall { id }.abi_encode());
            then(&mut script, self.at, Treasury::unlockCall { amount: votes }.abi_encode());
            Ok(script)
        })
    }

    fn worth(&self, world: &World, _sender: Address) -> Result<Vec<Worth>, RangeError> {
        let held = self.held(world)?;
        Ok(vec![Worth { value: held, scale: held }])
    }
}

impl Funds {
    /// Proposed, voted for and paid, in transactions of their own, or the last two from one contract.
    fn decide(&self, world: &mut World) -> Result<(), RangeError> {
        let id = self.next(world)?;
        let amount = self.held(world)? * world.random.log_uniform(0.001, 0.7);
        let to = world.stranger();
        let voters = world.users.clone();
        let propose = Treasury::proposeCall { to, amount: wei(amount) }.abi_encode();
        world.play("treasury/propose", false, plain(voters[0], self.at, propose))?;
        for voter in &voters {
            let vote = Treasury::voteCall { id }.abi_encode();
            world.play("treasury/vote", false, plain(*voter, self.at, vote))?;
        }
        let execute = Treasury::executeCall { id }.abi_encode();
        if world.random.chance(0.5) {
            world.permit(amount);
            return world.play("treasury/execute", false, plain(to, self.at, execute));
        }
        let mut plan = Plan::benign("treasury/execute-contract", to);
        plan.permitted_fall = amount;
        let market = self.market;
        deliver(world, &market, &plan, |_, _| {
            let mut script = Script::default();
            then(&mut script, self.at, execute);
            Ok(script)
        })
    }
}
