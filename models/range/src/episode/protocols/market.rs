//! What stands around every protocol: two tokens, a pool of both, a flash lender, and accounts that hold them.

use alloy::primitives::{Address, U256};
use alloy::sol_types::{SolCall, SolValue};

use super::super::RangeError;
use super::super::script::Script;
use super::super::world::{Draft, World, ether, wei};
use crate::artifacts;

alloy::sol! {
    interface Coin {
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
        function transferFrom(address from, address to, uint256 amount) external returns (bool);
    }
    interface Pool {
        function add(uint256 x, uint256 y) external;
        function remove(uint256 burnt) external;
        function take(uint256 outA, uint256 outB, address to) external;
        function swapA(uint256 x) external;
        function swapB(uint256 y) external;
    }
}

/// Places in the storage layout of a token and of a pool.
const COIN_BALANCES: u64 = 0;
pub(super) const RESERVE_A: u64 = 0;
pub(super) const RESERVE_B: u64 = 1;
pub(super) const POOL_SUPPLY: u64 = 2;
pub(super) const POOL_SHARES: u64 = 3;

/// Tokens and the places that trade and lend them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Market {
    pub(super) a: Address,
    pub(super) b: Address,
    pub(super) pool: Address,
    pub(super) lender: Address,
    /// The scale of everything, whole tokens `a`.
    pub(super) tvl: f64,
    /// Whole tokens `b` for one `a` when nothing is displaced.
    pub(super) price: f64,
}

impl Market {
    /// Deploys all of it and shares the tokens out.
    pub(super) fn open(world: &mut World, tvl: f64) -> Result<Self, RangeError> {
        let price = world.random.log_uniform(0.2, 5.0);
        let holders: Vec<Address> = world.users.iter().chain(world.strangers()).copied().collect();
        let parts: Vec<f64> = holders.iter().map(|_| world.random.log_uniform(0.02, 3.0)).collect();
        let depth = world.random.log_uniform(0.3, 5.0);
        let mut coin = |scale: f64| {
            let mut to = holders.clone();
            let mut amounts: Vec<U256> = parts.iter().map(|part| wei(tvl * scale * part)).collect();
            to.push(world.admin);
            amounts.push(wei(tvl * scale * (depth + 40.0)));
            let arguments = (to, amounts).abi_encode_params();
            world.deploy(artifacts::COIN, &arguments)
        };
        let (a, b) = (coin(1.0)?, coin(price)?);
        let pool = world.deploy(artifacts::PAIR, &(a, b).abi_encode())?;
        let lender = world.deploy(artifacts::FLASH_LENDER, &[])?;
        let market = Self { a, b, pool, lender, tvl, price };
        let admin = world.admin;
        for token in [a, b] {
            market.approve(world, admin, token, pool)?;
            let amount = wei(tvl * 20.0 * market.value_of(token));
            let input = Coin::transferCall { to: lender, amount }.abi_encode();
            world.call(admin, token, input)?;
        }
        let add = Pool::addCall { x: wei(tvl * depth), y: wei(tvl * depth * price) }.abi_encode();
        world.call(admin, pool, add)?;
        Ok(market)
    }

    /// Whole tokens per unit of the market's scale.
    fn value_of(&self, token: Address) -> f64 {
        if token == self.b { self.price } else { 1.0 }
    }

    /// Lets `spender` take all that `account` will ever hold of `token`.
    pub(super) fn approve(
        &self,
        world: &mut World,
        account: Address,
        token: Address,
        spender: Address,
    ) -> Result<(), RangeError> {
        world.call(account, token, approve(spender, U256::MAX))
    }

    /// Lets `spender` take both tokens of every account.
    pub(super) fn approve_all(
        &self,
        world: &mut World,
        spender: Address,
    ) -> Result<(), RangeError> {
        let accounts: Vec<Address> =
            world.users.iter().chain(world.strangers()).chain([&world.admin]).copied().collect();
        for account in accounts {
            for token in [self.a, self.b] {
                self.approve(world, account, token, spender)?;
            }
        }
        Ok(())
    }

    /// What an account holds, whole tokens.
    pub(super) fn balance(
        &self,
        world: &World,
        token: Address,
        account: Address,
    ) -> Result<f64, RangeError> {
        Ok(ether(world.entry(token, COIN_BALANCES, account)?))
    }

    /// An amount between a ten-thousandth of the scale and a part of what the account holds.
    pub(super) fn amount(
        &self,
        world: &mut World,
        token: Address,
        account: Address,
        most: f64,
    ) -> Result<f64, RangeError> {
        let held = self.balance(world, token, account)?;
        let wanted =
            self.tvl * self.value_of(token) * world.random.log_uniform(1e-4, most.max(2e-4));
        Ok(wanted.min(held * 0.9))
    }

    /// What the pool pays of one token for the other, wei.
    pub(super) fn quote(
        world: &World,
        pool: Address,
        is_a: bool,
        amount: U256,
    ) -> Result<U256, RangeError> {
        let a = world.slot(pool, RESERVE_A)?;
        let b = world.slot(pool, RESERVE_B)?;
        let (from, to) = if is_a { (a, b) } else { (b, a) };
        let paid = amount * U256::from(997);
        Ok(to * paid / (from * U256::from(1000) + paid))
    }
}

pub(super) fn approve(spender: Address, amount: U256) -> Vec<u8> {
    Coin::approveCall { spender, amount }.abi_encode()
}

pub(super) fn transfer(to: Address, amount: U256) -> Vec<u8> {
    Coin::transferCall { to, amount }.abi_encode()
}

/// A call without ether.
pub(super) fn then(script: &mut Script, to: Address, data: Vec<u8>) {
    script.call(to, U256::ZERO, data);
}

/// A transaction of a plain account without ether.
pub(super) fn plain(from: Address, to: Address, input: Vec<u8>) -> Draft {
    Draft { from, to: Some(to), value: U256::ZERO, input }
}
