//! The forked state: one shared cache per chain, exact at every head, under the simulations.

mod rules;

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes, U256};

pub use rules::{ChainRules, Hardfork};

/// One account, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountState {
    /// Wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// Code; empty for a plain account.
    pub code: Bytes,
    /// Slots that are not zero.
    pub storage: BTreeMap<U256, U256>,
}

/// The head that the state stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Seconds since the epoch.
    pub timestamp_s: u64,
    /// Base fee, wei.
    pub base_fee_wei: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Gas used.
    pub gas_used: u64,
    /// `PREVRANDAO`.
    pub prev_randao: B256,
    /// Who took the fees.
    pub coinbase: Address,
    /// Excess blob gas.
    pub excess_blob_gas: u64,
    /// Blob gas used.
    pub blob_gas_used: u64,
}

/// What happened when a block was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdvanceReport {
    /// Every transaction was run here and the gas used equals the header's: the cache is exact.
    Exact {
        /// Transactions run.
        transactions: usize,
    },
    /// The cache was emptied; it fills again from the backend, exact but slower.
    Emptied(EmptiedBecause),
}

/// Why a cache was emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmptiedBecause {
    /// This is the first head.
    First,
    /// The block does not stand on the head before it.
    Reorg,
    /// Gas used here differs from the header's.
    GasMismatch {
        /// Ours.
        computed: u64,
        /// The header's.
        header: u64,
    },
    /// A transaction in the block could not be decoded or run here.
    NotRunnable,
}

/// Why state could not be had.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// No head is known yet.
    #[error("no head is known yet")]
    NoHead,
    /// A recording that is not complete lacks what was asked for.
    #[error("the recording does not hold {what} at block {block}")]
    NotRecorded {
        /// Account, slot or block hash.
        what: String,
        /// Height.
        block: u64,
    },
    /// The backend failed.
    #[error("cannot fetch {what} at block {block}: {reason}")]
    Fetch {
        /// Account, slot or block hash.
        what: String,
        /// Height.
        block: u64,
        /// What the backend met.
        reason: String,
    },
    /// A transaction may not run on this state.
    #[error("transaction {tx_hash} cannot be applied: {reason}")]
    Invalid {
        /// Hash.
        tx_hash: B256,
        /// What the machine says.
        reason: String,
    },
}

/// A fetch of state at one block. Calls block: they run off the reactor.
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Balance, nonce and code (its storage map is not read); `None` for an account that does not exist.
    ///
    /// # Errors
    /// [`StateError::NotRecorded`] or [`StateError::Fetch`].
    fn account(&self, at: &Head, address: Address) -> Result<Option<AccountState>, StateError>;

    /// One slot.
    ///
    /// # Errors
    /// As [`Backend::account`].
    fn storage(&self, at: &Head, address: Address, slot: U256) -> Result<U256, StateError>;

    /// Hash of a block at or below the head.
    ///
    /// # Errors
    /// As [`Backend::account`].
    fn block_hash(&self, at: &Head, number: u64) -> Result<B256, StateError>;
}
