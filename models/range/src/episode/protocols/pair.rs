//! A pool of two tokens. Its flaw: one side of the check of its invariant has the wrong scale.

use alloy::primitives::{Address, U256};
use alloy::sol_types::{SolCall, SolValue};

use super::super::RangeError;
use super::super::script::Script;
use super::super::world::{World, ether, wei};
use super::delivery::{Plan, deliver};
use super::market::{
    Market, POOL_SHARES, POOL_SUPPLY, Pool, RESERVE_A, RESERVE_B, approve, plain, then, transfer,
};
use super::{Protocol, Worth};
use crate::artifacts;

#[derive(Debug)]
pub(super) struct Exchange {
    market: Market,
    at: Address,
}

impl Exchange {
    pub(super) fn open(
        world: &mut World,
        market: Market,
        is_flawed: bool,
    ) -> Result<Self, RangeError> {
        let artifact = if is_flawed { artifacts::PAIR_FLAWED } else { artifacts::PAIR };
        let at = world.deploy(artifact, &(market.a, market.b).abi_encode())?;
        market.approve_all(world, at)?;
        for user in world.users.clone() {
            let x = market.amount(world, market.a, user, 1.0)?;
            let y = (x * market.price).min(market.balance(world, market.b, user)? * 0.9);
            let add = Pool::addCall { x: wei(y / market.price), y: wei(y) }.abi_encode();
            world.call(user, at, add)?;
        }
        Ok(Self { market, at })
    }

    fn reserves(&self, world: &World) -> Result<(f64, f64), RangeError> {
        Ok((ether(world.slot(self.at, RESERVE_A)?), ether(world.slot(self.at, RESERVE_B)?)))
    }
}

impl Protocol for Exchange {
    fn protected(&self) -> Address {
        self.at
    }

    fn use_it(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let account = if world.random.chance(0.5) { world.user() } else { world.stranger() };
        let play = |world: &mut World, family: &str, input: Vec<u8>| {
            world.play(family, false, plain(account, self.at, input))
        };
        match world.random.below(10) {
            0 | 1 => {
                let x = wei(market.amount(world, market.a, account, 0.8)?);
                play(world, "pool/swap", Pool::swapACall { x }.abi_encode())
            }
            2 => {
                let y = wei(market.amount(world, market.b, account, 0.8)?);
                play(world, "pool/swap", Pool::swapBCall { y }.abi_encode())
            }
            3 => {
                let (a, b) = self.reserves(world)?;
                let x = market.amount(world, market.a, account, 0.5)?;
                let add = Pool::addCall { x: wei(x), y: wei(x * b / a) }.abi_encode();
                play(world, "pool/add", add)
            }
            4 | 5 => {
                let held = world.entry(self.at, POOL_SHARES, account)?;
                let burnt = wei(ether(held) * world.random.log_uniform(1e-3, 0.95));
                play(world, "pool/remove", Pool::removeCall { burnt }.abi_encode())
            }
            6 => {
                let (_, b) = self.reserves(world)?;
                let take = Pool::takeCall { outA: U256::ZERO, outB: wei(b), to: account };
                play(world, "pool/probe", take.abi_encode())
            }
            7 | 8 => self.arbitrage(world),
            _ => self.turns(world),
        }
    }

    fn attack(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.attacker();
        let (_, b) = self.reserves(world)?;
        let part = world.random.log_uniform(0.005, 0.85);
        let n_takes = world.random.log_uniform(1.0, 20.0) as usize;
        let paid = wei(market.amount(world, market.a, from, 1e-3)?.max(1e-6));
        let mut plan = Plan::attack("pool-invariant", from);
        plan.own = vec![(market.a, paid)];
        deliver(world, &market, &plan, |_, executor| {
            let mut script = Script::default();
            then(&mut script, market.a, transfer(self.at, paid));
            let out = wei(b * part / n_takes as f64);
            for _ in 0..n_takes {
                let take = Pool::takeCall { outA: U256::ZERO, outB: out, to: executor };
                then(&mut script, self.at, take.abi_encode());
            }
            Ok(script)
        })
    }

    /// The product of what is really there, per share.
    fn worth(&self, world: &World, _sender: Address) -> Result<Vec<Worth>, RangeError> {
        let a = self.market.balance(world, self.market.a, self.at)?;
        let b = self.market.balance(world, self.market.b, self.at)?;
        let supply = ether(world.slot(self.at, POOL_SUPPLY)?);
        let value = (a * b).sqrt() / supply.max(f64::MIN_POSITIVE);
        Ok(vec![Worth { value, scale: value }])
    }
}

impl Exchange {
    /// Buys here and sells at the other pool, mostly on a loan.
    fn arbitrage(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.stranger();
        let (a, _) = self.reserves(world)?;
        let x = wei(a * world.random.log_uniform(0.001, 0.4));
        let is_loan = world.random.chance(0.7);
        let got = Market::quote(world, self.at, true, x)?;
        let mut plan =
            Plan::benign(if is_loan { "pool/flash-arbitrage" } else { "pool/arbitrage" }, from);
        let held = wei(market.balance(world, market.a, from)? * 0.9);
        plan.own = vec![(market.a, if is_loan { held.min(x) } else { held })];
        plan.loan = is_loan.then_some((market.a, x));
        deliver(world, &market, &plan, |_, _| {
            let mut script = Script::default();
            then(&mut script, market.a, approve(self.at, U256::MAX));
            then(&mut script, market.b, approve(market.pool, U256::MAX));
            then(&mut script, self.at, Pool::swapACall { x }.abi_encode());
            then(&mut script, market.pool, Pool::swapBCall { y: got }.abi_encode());
            Ok(script)
        })
    }

    /// Pays first and takes exactly what that is worth, some times over.
    fn turns(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.stranger();
        let x = wei(market.amount(world, market.a, from, 0.3)?);
        let n_turns = world.random.log_uniform(1.0, 20.0) as usize;
        let each = x / U256::from(n_turns);
        let (a, b) = self.reserves(world)?;
        let mut plan = Plan::benign("pool/turns", from);
        plan.own = vec![(market.a, x)];
        deliver(world, &market, &plan, |_, executor| {
            let mut script = Script::default();
            let (mut a, mut b) = (a, b);
            for _ in 0..n_turns {
                let paid = ether(each) * 0.997;
                let out = b * paid / (a + paid) * 0.9999;
                (a, b) = (a + ether(each), b - out);
                then(&mut script, market.a, transfer(self.at, each));
                let take = Pool::takeCall { outA: U256::ZERO, outB: wei(out), to: executor };
                then(&mut script, self.at, take.abi_encode());
            }
            Ok(script)
        })
    }
}
