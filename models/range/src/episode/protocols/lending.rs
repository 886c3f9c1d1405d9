//! A lending market. Its flaw: it believes a pool's price of the moment.

use alloy::primitives::{Address, U256};
use alloy::sol_types::{SolCall, SolValue};

use super::super::RangeError;
use super::super::script::Script;
use super::super::world::{World, ether, wei};
use super::delivery::{Plan, deliver};
use super::market::{Market, Pool, RESERVE_A, RESERVE_B, approve, plain, then};
use super::{Protocol, Worth};
use crate::artifacts;

alloy::sol! {
    interface Lending {
        function supply(uint256 amount) external;
        function withdraw(uint256 amount) external;
        function pledge(uint256 amount) external;
        function release(uint256 amount) external;
        function borrow(uint256 amount) external;
        function repay(uint256 amount) external;
        function post(uint256 answer) external;
    }
}

/// Places in the market's storage layout.
const SUPPLIED: u64 = 0;
const PLEDGED: u64 = 1;
const DEBT: u64 = 2;

#[derive(Debug)]
pub(super) struct Loans {
    market: Market,
    at: Address,
}

impl Loans {
    pub(super) fn open(
        world: &mut World,
        market: Market,
        is_flawed: bool,
    ) -> Result<Self, RangeError> {
        let artifact = if is_flawed { artifacts::LENDING_FLAWED } else { artifacts::LENDING };
        let admin = world.admin;
        let arguments = (market.a, market.b, market.pool, admin, wei(market.price)).abi_encode();
        let at = world.deploy(artifact, &arguments)?;
        market.approve_all(world, at)?;
        for user in world.users.clone() {
            let amount = wei(market.amount(world, market.b, user, 1.0)?);
            world.call(user, at, Lending::supplyCall { amount }.abi_encode())?;
        }
        Ok(Self { market, at })
    }

    fn number(&self, world: &World, base: u64, account: Address) -> Result<f64, RangeError> {
        Ok(ether(world.entry(self.at, base, account)?))
    }
}

impl Protocol for Loans {
    fn protected(&self) -> Address {
        self.at
    }

    fn price_sources(&self) -> Vec<Address> {
        vec![self.market.pool]
    }

    fn use_it(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let account = if world.random.chance(0.6) { world.user() } else { world.stranger() };
        let part = world.random.log_uniform(1e-3, 1.0);
        let play = |world: &mut World, family: &str, input: Vec<u8>| {
            world.play(family, false, plain(account, self.at, input))
        };
        match world.random.below(11) {
            0 => {
                let amount = wei(market.amount(world, market.b, account, 0.8)?);
                play(world, "lending/supply", Lending::supplyCall { amount }.abi_encode())
            }
            1 | 2 => {
                let held = self.number(world, SUPPLIED, account)?;
                let amount = wei(held * part);
                play(world, "lending/withdraw", Lending::withdrawCall { amount }.abi_encode())
            }
            3 | 4 => {
                let pledged = market.amount(world, market.a, account, 0.5)?;
                let pledge = Lending::pledgeCall { amount: wei(pledged) }.abi_encode();
                play(world, "lending/pledge", pledge)?;
                let amount = wei(pledged * market.price * world.random.log_uniform(0.01, 0.7));
                play(world, "lending/borrow", Lending::borrowCall { amount }.abi_encode())
            }
            5 => {
                let owed = self.number(world, DEBT, account)?;
                let amount = wei(owed * part);
                play(world, "lending/repay", Lending::repayCall { amount }.abi_encode())
            }
            6 => {
                let amount = wei(market.tvl * 1e3);
                play(world, "lending/probe", Lending::borrowCall { amount }.abi_encode())
            }
            // Buys collateral with borrowed tokens, pledges it, borrows against it and repays.
            7 | 8 => leverage(self, world),
            9 => round_trip(self, world),
            _ => {
                let admin = world.admin;
                let input = Lending::postCall { answer: wei(market.price) }.abi_encode();
                world.play("lending/post", false, plain(admin, self.at, input))
            }
        }
    }

    fn attack(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.attacker();
        let reserve_a = ether(world.slot(market.pool, RESERVE_A)?);
        let reserve_b = ether(world.slot(market.pool, RESERVE_B)?);
        let held_b = market.balance(world, market.b, from)?;
        let is_loan = world.random.chance(0.6);
        let wanted = reserve_b * world.random.log_uniform(0.4, 6.0);
        let pushed = if is_loan {
            wanted.min(market.tvl * market.price * 15.0)
        } else {
            wanted.min(held_b * 0.9)
        };
        let bought = Market::quote(world, market.pool, false, wei(pushed))?;
        let displaced = (reserve_b + pushed) / (reserve_a - ether(bought));
        let cash = market.balance(world, market.b, self.at)?;
        let pledge = cash * world.random.log_uniform(0.02, 0.95) / (displaced * 0.73);
        let pledge = pledge.min(market.balance(world, market.a, from)? * 0.9);
        let borrowed = wei(pledge * displaced * 0.73);
        let mut plan = Plan::attack("spot-oracle-borrow", from);
        plan.own = vec![(market.a, wei(pledge)), (market.b, wei(held_b * 0.05))];
        if is_loan {
            plan.loan = Some((market.b, wei(pushed)));
        } else {
            plan.own[1].1 = wei(pushed);
        }
        deliver(world, &market, &plan, |_, _| {
            let mut script = Script::default();
            then(&mut script, market.b, approve(market.pool, U256::MAX));
            then(&mut script, market.a, approve(market.pool, U256::MAX));
            then(&mut script, market.a, approve(self.at, U256::MAX));
            then(&mut script, market.pool, Pool::swapBCall { y: wei(pushed) }.abi_encode());
            then(&mut script, self.at, Lending::pledgeCall { amount: wei(pledge) }.abi_encode());
            then(&mut script, self.at, Lending::borrowCall { amount: borrowed }.abi_encode());
            then(&mut script, market.pool, Pool::swapACall { x: bought }.abi_encode());
            Ok(script)
        })
    }

    fn worth(&self, world: &World, _sender: Address) -> Result<Vec<Worth>, RangeError> {
        let cash = self.market.balance(world, self.market.b, self.at)?;
        let mut value = cash;
        for account in world.parties() {
            let debt = self.number(world, DEBT, account)?;
            if debt > 0.0 {
                let pledged = self.number(world, PLEDGED, account)?;
                value += debt.min(pledged * self.market.price);
            }
            value -= self.number(world, SUPPLIED, account)?;
        }
        Ok(vec![Worth { value, scale: cash + value.abs() }])
    }
}

fn leverage(loans: &Loans, world: &mut World) -> Result<(), RangeError> {
    let is_loan = world.random.chance(0.7);
    let market = loans.market;
    let from = world.stranger();
    let reserve = ether(world.slot(market.pool, RESERVE_B)?);
    let own = market.amount(world, market.b, from, 0.4)?;
    let spent = (reserve * world.random.log_uniform(0.002, 0.08)).min(own * 2.0);
    let bought = Market::quote(world, market.pool, false, wei(spent))?;
    let borrowed = wei(ether(bought) * market.price * 0.6);
    let mut plan =
        Plan::benign(if is_loan { "lending/flash-leverage" } else { "lending/leverage" }, from);
    plan.own = vec![(market.b, wei(own.max(spent * if is_loan { 0.5 } else { 1.0 })))];
    plan.loan = is_loan.then(|| (market.b, wei(spent)));
    deliver(world, &market, &plan, |_, _| {
        let mut script = Script::default();
        then(&mut script, market.b, approve(market.pool, U256::MAX));
        then(&mut script, market.a, approve(loans.at, U256::MAX));
        then(&mut script, market.pool, Pool::swapBCall { y: wei(spent) }.abi_encode());
        then(&mut script, loans.at, Lending::pledgeCall { amount: bought }.abi_encode());
        then(&mut script, loans.at, Lending::borrowCall { amount: borrowed }.abi_encode());
        Ok(script)
    })
}

/// Supplies and withdraws in turn from one contract, on a loan or with its own tokens.
fn round_trip(loans: &Loans, world: &mut World) -> Result<(), RangeError> {
    let market = loans.market;
    let from = world.stranger();
    let amount = wei(market.amount(world, market.b, from, 2.0)?);
    let n_turns = world.random.log_uniform(1.0, 20.0) as usize;
    let mut plan = Plan::benign("lending/turns", from);
    if world.random.chance(0.5) {
        plan.loan = Some((market.b, amount));
    } else {
        plan.own = vec![(market.b, amount)];
    }
    deliver(world, &market, &plan, |_, _| {
        let mut script = Script::default();
        then(&mut script, market.b, approve(loans.at, U256::MAX));
        for _ in 0..n_turns {
            then(&mut script, loans.at, Lending::supplyCall { amount }.abi_encode());
            then(&mut script, loans.at, Lending::withdrawCall { amount }.abi_encode());
        }
        Ok(script)
    })
}
