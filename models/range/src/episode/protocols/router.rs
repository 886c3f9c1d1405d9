//! A router to a pool that its users let take their tokens. Its flaw: it calls whatever it is told to.

use alloy::primitives::{Address, U256};
use alloy::sol_types::{SolCall, SolValue};

use super::super::RangeError;
use super::super::script::Script;
use super::super::world::{World, wei};
use super::delivery::{Plan, deliver};
use super::market::{Coin, Market, Pool, approve, plain, then};
use super::{Protocol, Worth};
use crate::artifacts;

alloy::sol! {
    interface Router {
        function trade(address from, address to, uint256 amount, address target, bytes calldata data) external;
    }
}

#[derive(Debug)]
pub(super) struct Trades {
    market: Market,
    at: Address,
}

impl Trades {
    pub(super) fn open(
        world: &mut World,
        market: Market,
        is_flawed: bool,
    ) -> Result<Self, RangeError> {
        let artifact = if is_flawed { artifacts::ROUTER_FLAWED } else { artifacts::ROUTER };
        let at = world.deploy(artifact, &market.pool.abi_encode())?;
        market.approve_all(world, at)?;
        Ok(Self { market, at })
    }

    /// A trade of one token for the other.
    fn trade(&self, is_a: bool, amount: U256) -> Vec<u8> {
        let Market { a, b, pool, .. } = self.market;
        let (from, to) = if is_a { (a, b) } else { (b, a) };
        let data = if is_a {
            Pool::swapACall { x: amount }.abi_encode()
        } else {
            Pool::swapBCall { y: amount }.abi_encode()
        };
        Router::tradeCall { from, to, amount, target: pool, data: data.into() }.abi_encode()
    }
}

impl Protocol for Trades {
    fn protected(&self) -> Address {
        self.at
    }

    fn use_it(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let account = if world.random.chance(0.5) { world.user() } else { world.stranger() };
        match world.random.below(7) {
            0..=2 => {
                let is_a = world.random.chance(0.5);
                let token = if is_a { market.a } else { market.b };
                let amount = wei(market.amount(world, token, account, 0.6)?);
                let input = self.trade(is_a, amount);
                world.play("router/trade", false, plain(account, self.at, input))
            }
            3 => {
                let input = self.trade(true, wei(market.tvl * 1e4));
                world.play("router/probe", false, plain(account, self.at, input))
            }
            // Collects what others let it take, trades all of it: third parties pay, and want to.
            4 | 5 => self.collect(world),
            _ => {
                let from = world.stranger();
                let amount = wei(market.amount(world, market.a, from, 0.5)?);
                let n_turns = world.random.log_uniform(1.0, 15.0) as usize;
                let mut plan = Plan::benign("router/turns", from);
                if world.random.chance(0.5) {
                    plan.loan = Some((market.a, amount));
                }
                plan.own = vec![(market.a, amount)];
                let each = amount / U256::from(n_turns);
                deliver(world, &market, &plan, |_, _| {
                    let mut script = Script::default();
                    then(&mut script, market.a, approve(self.at, U256::MAX));
                    for _ in 0..n_turns {
                        then(&mut script, self.at, self.trade(true, each));
                    }
                    Ok(script)
                })
            }
        }
    }

    fn attack(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.attacker();
        let token = if world.random.chance(0.5) { market.a } else { market.b };
        let victims: Vec<Address> = {
            let n = 1 + world.random.below(world.users.len());
            world.users[..n].to_vec()
        };
        let part = world.random.log_uniform(0.01, 1.0);
        let take = |world: &mut World, victim: Address, to: Address| {
            let amount = wei(market.balance(world, token, victim)? * part * 0.999);
            let data = Coin::transferFromCall { from: victim, to, amount }.abi_encode();
            let call = Router::tradeCall {
                from: token,
                to: token,
                amount: U256::ZERO,
                target: token,
                data: data.into(),
            };
            Ok::<_, RangeError>(call.abi_encode())
        };
        if victims.len() == 1 && world.random.chance(0.7) {
            let input = take(world, victims[0], from)?;
            return world.play("arbitrary-call/plain", true, plain(from, self.at, input));
        }
        let plan = Plan::attack("arbitrary-call", from);
        deliver(world, &market, &plan, |world, executor| {
            let mut script = Script::default();
            for victim in victims {
                let to = if world.random.chance(0.5) { executor } else { from };
                let input = take(world, victim, to)?;
                then(&mut script, self.at, input);
            }
            Ok(script)
        })
    }

    /// What each user holds who did not send the transaction, at the market's price.
    fn worth(&self, world: &World, sender: Address) -> Result<Vec<Worth>, RangeError> {
        let mut worth = Vec::new();
        for &user in world.users.iter().filter(|user| **user != sender) {
            for token in [self.market.a, self.market.b] {
                let value = self.market.balance(world, token, user)?;
                worth.push(Worth { value, scale: value });
            }
        }
        Ok(worth)
    }
}

impl Trades {
    fn collect(&self, world: &mut World) -> Result<(), RangeError> {
        let market = self.market;
        let from = world.stranger();
        let payers: Vec<Address> =
            world.strangers().iter().copied().filter(|payer| *payer != from).take(3).collect();
        let mut amounts = Vec::new();
        for &payer in &payers {
            amounts.push(wei(market.amount(world, market.a, payer, 0.3)?));
        }
        let plan = Plan::benign("router/collect", from);
        deliver(world, &market, &plan, |world, executor| {
            let mut script = Script::default();
            then(&mut script, market.a, approve(self.at, U256::MAX));
            for (&payer, &amount) in payers.iter().zip(&amounts) {
                world.call(payer, market.a, approve(executor, U256::MAX))?;
                let input =
                    Coin::transferFromCall { from: payer, to: executor, amount }.abi_encode();
                then(&mut script, market.a, input);
                then(&mut script, self.at, self.trade(true, amount));
            }
            Ok(script)
        })
    }
}
