//! A market to measure on: swaps on a pool that is protected and on its twin that is not, and what goes on around them.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::{SolCall, SolValue};
use portcullis_watcher::source::decode_raw;
use portcullis_watcher::source::recording::{
    FORMAT, Header, RecordedAccount, RecordedChain, RecordedContract, RecordedState, Recording,
    RecordingWriter, VERSION,
};
use portcullis_watcher::state::{AccountState, ForkedState, StateError};

use super::play::{PlayError, rules};
use super::{Account, CALL_GAS, DEPLOY_GAS, RecordError, ether};
use crate::artifacts;

alloy::sol! {
    interface Coin {
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
    }
    interface Pool {
        function add(uint256 x, uint256 y) external;
        function swapA(uint256 x) external;
        function swapB(uint256 y) external;
    }
}

const CHAIN_ID: u64 = 31_337;
/// Accounts that trade.
const TRADERS: usize = 8;
/// Coins that are brought out while the market is watched, each with so many first holders: transactions of much gas.
const BROUGHT_OUT: [usize; 3] = [4, 16, 48];

/// The market as a recording whose state is complete: the same each time.
///
/// # Errors
/// See [`RecordError`]; the market is the same each time, so there are none but of a broken build.
pub fn market() -> Result<Recording, RecordError> {
    let path = Path::new("the market");
    let mut admin = Account::named("market maker", CHAIN_ID);
    let mut traders: Vec<Account> =
        (0..TRADERS).map(|number| Account::named(&format!("trader {number}"), CHAIN_ID)).collect();
    let holders: Vec<Address> =
        traders.iter().chain([&admin]).map(|account| account.address()).collect();
    let genesis: Vec<(Address, AccountState)> = holders
        .iter()
        .map(|holder| (*holder, AccountState { balance: ether("1000"), ..Default::default() }))
        .collect();

    let [a, b, protected, other] = [0, 1, 2, 3].map(|nonce| admin.creates_at(nonce));
    let mut set_up = Vec::new();
    for _ in [a, b] {
        set_up.push(admin.create(coin(&holders), U256::ZERO, DEPLOY_GAS));
    }
    for _ in [protected, other] {
        let code = artifacts::PAIR.creation(&(a, b).abi_encode());
        set_up.push(admin.create(code, U256::ZERO, DEPLOY_GAS));
    }
    for account in traders.iter_mut().chain([&mut admin]) {
        for (token, spender) in [(a, protected), (b, protected), (a, other), (b, other)] {
            let data = Coin::approveCall { spender, amount: U256::MAX }.abi_encode();
            set_up.push(account.call(token, U256::ZERO, data, CALL_GAS));
        }
    }
    for pool in [protected, other] {
        let data = Pool::addCall { x: ether("5000"), y: ether("7000") }.abi_encode();
        set_up.push(admin.call(pool, U256::ZERO, data, CALL_GAS));
    }

    let mut told = Vec::new();
    for (place, trader) in traders.iter_mut().enumerate() {
        let pool = if place % 2 == 0 { protected } else { other };
        let amount = ether("3") + U256::from(place);
        let swap = if place % 4 < 2 {
            Pool::swapACall { x: amount }.abi_encode()
        } else {
            Pool::swapBCall { y: amount }.abi_encode()
        };
        told.push(trader.call(pool, U256::ZERO, swap, CALL_GAS));
    }
    // Each sender waits once only: nothing has to run before what is measured.
    let mut payer = Account::named("payer", CHAIN_ID);
    let mut makers: Vec<Account> =
        BROUGHT_OUT.iter().map(|n| Account::named(&format!("maker of {n}"), CHAIN_ID)).collect();
    let mut genesis = genesis;
    for account in makers.iter().chain([&payer]) {
        let rich = AccountState { balance: ether("1000"), ..Default::default() };
        genesis.push((account.address(), rich));
    }
    told.push(payer.call(holders[0], ether("1"), Vec::new(), 21_000));
    for (maker, n_holders) in makers.iter_mut().zip(BROUGHT_OUT) {
        let fresh: Vec<Address> =
            (0..n_holders).map(|number| Address::with_last_byte(number as u8 + 1)).collect();
        told.push(maker.create(coin(&fresh), U256::ZERO, 2 * DEPLOY_GAS));
    }
    let contracts = [("the pool", protected, true), ("its twin", other, false)];
    write(path, genesis, &set_up, &told, &contracts)
}

fn coin(holders: &[Address]) -> Vec<u8> {
    let amounts = vec![ether("100000"); holders.len()];
    artifacts::COIN.creation(&(holders.to_vec(), amounts).abi_encode_params())
}

type Raw = (Bytes, alloy::primitives::B256);

fn write(
    path: &Path,
    genesis: Vec<(Address, AccountState)>,
    set_up: &[Raw],
    told: &[Raw],
    contracts: &[(&str, Address, bool)],
) -> Result<Recording, RecordError> {
    let rules = rules(CHAIN_ID);
    let state = ForkedState::in_memory(rules, genesis.clone())?;
    let accounts = genesis.into_iter().map(|(address, account)| {
        (address, RecordedAccount { balance: account.balance, ..Default::default() })
    });
    let named = contracts.iter().map(|(name, address, protected)| {
        let contract = RecordedContract { name: (*name).to_owned(), protected: *protected };
        (*address, contract)
    });
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        chain: RecordedChain {
            name: "market".to_owned(),
            id: CHAIN_ID,
            hardfork: rules.hardforks.first(),
            later_hardforks: rules.hardforks.later().collect(),
            block_time_s: rules.block_time_s,
        },
        contracts: named.collect(),
        complete: true,
        head: state.head().ok_or(StateError::NoHead)?,
        state: RecordedState { accounts: accounts.collect() },
    };
    let mut writer = RecordingWriter::new(path, Vec::new(), header)?;
    let decode = |(step, (raw, _)): (usize, &Raw)| {
        decode_raw(raw).map(Arc::new).map_err(|reason| PlayError::Step { step, reason })
    };
    let set_up: Vec<_> = set_up.iter().enumerate().map(decode).collect::<Result<_, _>>()?;
    let (block, _) = state.mine(&set_up)?;
    writer.head(&block)?;
    for (step, raw) in told.iter().enumerate() {
        writer.pending(&*decode((step, raw))?)?;
    }
    Ok(Recording::read(path, Cursor::new(writer.finish()?))?)
}

#[cfg(test)]
mod tests {
    use portcullis_watcher::source::SourceEvent;

    use super::*;

    #[test]
    fn everything_that_the_market_tells_can_be_mined_and_succeeds() {
        let recording = market().unwrap();
        let state = ForkedState::from_recording(&recording).unwrap();
        let mut told = Vec::new();
        for step in recording.steps() {
            match step {
                SourceEvent::Head(block) => {
                    state.advance(block).unwrap();
                }
                SourceEvent::Pending(tx) => told.push(Arc::clone(tx)),
                _ => {}
            }
        }
        let (_, outcomes) = state.mine(&told).unwrap();
        assert_eq!(outcomes.len(), TRADERS + 1 + BROUGHT_OUT.len());
        assert!(outcomes.iter().all(|outcome| outcome.is_success()), "{outcomes:#?}");
    }
}
