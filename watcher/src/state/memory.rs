//! A chain that lives in memory: accounts given, blocks mined here. The training range and tests play on it.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, Log, U256, b256, keccak256};
use revm::{
    context::result::{ExecutionResult, Output},
    database::CacheDB,
    database_interface::DatabaseCommit as _,
    inspector::NoOpInspector,
};

use super::{
    AccountState, Backend, ChainRules, ForkedState, Head, Item, StateError, cache::Changes, evm,
    receipts::Receipts,
};
use crate::source::{BlockRecord, PendingTransaction};

/// What became of a transaction that was mined in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: OutcomeStatus,
    /// Gas used.
    pub gas_used: u64,
    /// Contract that it created.
    pub created: Option<Address>,
    /// Return or revert data.
    pub output: Bytes,
    /// Its logs.
    pub logs: Vec<Log>,
}

/// How a mined transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the machine's own words")]
pub enum OutcomeStatus {
    Success,
    Revert,
    Halt,
}

impl Outcome {
    /// It returned.
    pub fn is_success(&self) -> bool {
        self.status == OutcomeStatus::Success
    }
}

impl ForkedState {
    /// A chain whose genesis holds `accounts` and nothing else.
    ///
    /// # Errors
    /// An account's code is malformed.
    pub fn in_memory(
        rules: ChainRules,
        accounts: impl IntoIterator<Item = (Address, AccountState)>,
    ) -> Result<Arc<Self>, StateError> {
        let genesis = Head {
            number: 0,
            hash: keccak256(rules.chain_id.to_be_bytes()),
            timestamp_s: 1_700_000_000,
            base_fee_wei: 1_000_000_000,
            gas_limit: 30_000_000,
            gas_used: 15_000_000,
            prev_randao: b256!(
                "0x5f2c8e1b7a94d03614c6f8e0b92d7a35c1e84f60a7b3d9250f6e8c1d4a3b7f92"
            ),
            coinbase: Address::ZERO,
            excess_blob_gas: 0,
            blob_gas_used: 0,
        };
        Self::complete(rules, genesis, accounts, Arc::new(Nothing))
    }

    /// Mines one block with `transactions`, in that order, on the head.
    ///
    /// The block gets the header that simulations expect and a hash made from its parent and its transactions.
    ///
    /// # Errors
    /// [`StateError::Invalid`] for a transaction that may not run; nothing is mined then.
    pub fn mine(
        &self,
        transactions: &[Arc<PendingTransaction>],
    ) -> Result<(BlockRecord, Vec<Outcome>), StateError> {
        let _moving = self.hold();
        let view = self.view()?;
        let head = view.head().clone();
        let cfg = evm::cfg(self.rules(), head.number.saturating_add(1));
        let env = evm::next_block(self.rules(), &head);
        let mut layer = CacheDB::new(&view);
        let mut outcomes = Vec::with_capacity(transactions.len());
        let mut receipts = Receipts::default();
        let mut seal = head.hash.to_vec();
        for tx in transactions {
            let done = evm::run(&cfg, &env, &mut layer, evm::tx_env(tx), NoOpInspector).map_err(
                |error| match error {
                    evm::RunError::Database(error) => error,
                    other => StateError::Invalid { tx_hash: tx.hash, reason: other.to_string() },
                },
            )?;
            layer.commit(done.state);
            receipts.push(tx, &done.result);
            outcomes.push(outcome(done.result));
            seal.extend_from_slice(tx.hash.as_slice());
        }
        seal.extend_from_slice(&(head.number + 1).to_be_bytes());
        let block = BlockRecord {
            number: head.number + 1,
            hash: keccak256(&seal),
            parent_hash: head.hash,
            timestamp_s: env.timestamp.saturating_to(),
            base_fee_wei: env.basefee,
            gas_limit: head.gas_limit,
            gas_used: receipts.gas_used(),
            coinbase: env.beneficiary,
            prev_randao: env.prevrandao.unwrap_or_default(),
            receipts_root: Some(receipts.root()),
            excess_blob_gas: Some(0),
            blob_gas_used: Some(0),
            parent_beacon_block_root: None,
            withdrawals: Vec::new(),
            transactions: transactions.to_vec(),
            undecoded: 0,
            seen_at_ms: 0,
        };
        let changes = Changes::of(layer);
        drop(view);
        self.take_over(Head::from(&block), changes);
        Ok((block, outcomes))
    }

    /// Mines one block with this transaction alone.
    ///
    /// # Errors
    /// As [`ForkedState::mine`].
    pub fn apply(&self, tx: &PendingTransaction) -> Result<Outcome, StateError> {
        let (_, mut outcomes) = self.mine(&[Arc::new(tx.clone())])?;
        Ok(outcomes.pop().expect("one transaction was mined, so there is one outcome"))
    }
}

fn outcome(result: ExecutionResult) -> Outcome {
    let gas_used = result.tx_gas_used();
    let (status, output, created, logs) = match result {
        ExecutionResult::Success { output, logs, .. } => match output {
            Output::Call(data) => (OutcomeStatus::Success, data, None, logs),
            Output::Create(data, created) => (OutcomeStatus::Success, data, created, logs),
        },
        ExecutionResult::Revert { output, .. } => (OutcomeStatus::Revert, output, None, Vec::new()),
        ExecutionResult::Halt { .. } => (OutcomeStatus::Halt, Bytes::new(), None, Vec::new()),
    };
    Outcome { status, gas_used, created, output, logs }
}

/// A backend that has nothing: a chain in memory cannot be asked again after its cache was emptied.
#[derive(Debug)]
struct Nothing;

impl Backend for Nothing {
    fn account(&self, at: &Head, address: Address) -> Result<Option<AccountState>, StateError> {
        Err(StateError::NotRecorded { what: Item::Account(address), block: at.number })
    }

    fn storage(&self, at: &Head, address: Address, slot: U256) -> Result<U256, StateError> {
        Err(StateError::NotRecorded { what: Item::Slot(address, slot), block: at.number })
    }

    fn block_hash(&self, at: &Head, number: u64) -> Result<B256, StateError> {
        Err(StateError::NotRecorded { what: Item::BlockHash(number), block: at.number })
    }
}
