//! The forked state: one shared cache per chain, exact at every head, under the simulations.
//!
//! [`ForkedState`] answers from its cache and asks a [`Backend`] for what it lacks. A new head is taken over by
//! running its transactions here; whenever that cannot be exact the cache is emptied and said so.

mod backend;
mod cache;
pub(crate) mod evm;
mod memory;
mod receipts;
mod recorded;
mod rules;
mod undo;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

pub use crate::source::{Hardfork, HardforkSchedule, Head};
use alloy::{
    consensus::constants::KECCAK_EMPTY,
    primitives::{Address, B256, Bytes, U256, keccak256},
};

pub use backend::RpcBackend;
pub use cache::{AdvanceReport, EmptiedBecause, ForkedState, StateCounts, StateView};
pub use memory::{Outcome, OutcomeStatus};
pub use recorded::RecordingBackend;
pub use rules::ChainRules;

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

impl AccountState {
    /// keccak256 of the code.
    pub fn code_hash(&self) -> B256 {
        if self.code.is_empty() { KECCAK_EMPTY } else { keccak256(&self.code) }
    }
}

/// Why state could not be had.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// No head is known yet.
    #[error("no head is known yet")]
    NoHead,
    /// A recording that is not complete, or a state in memory that was emptied, lacks what was asked for.
    #[error("{what} at block {block} was not recorded")]
    NotRecorded {
        /// Account, slot or block hash.
        what: Item,
        /// Height.
        block: u64,
    },
    /// The backend failed.
    #[error("cannot fetch {what} at block {block}: {reason}")]
    Fetch {
        /// Account, slot or block hash.
        what: Item,
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

impl revm::database_interface::DBErrorMarker for StateError {}

/// One piece of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Balance, nonce and code of an account.
    Account(Address),
    /// One slot.
    Slot(Address, U256),
    /// The hash of a block.
    BlockHash(u64),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(address) => write!(f, "account {address}"),
            Self::Slot(address, slot) => write!(f, "slot {slot:#x} of {address}"),
            Self::BlockHash(number) => write!(f, "the hash of block {number}"),
        }
    }
}

/// A fetch of state at one block. Calls block: they run off the reactor.
pub trait Backend: Send + Sync + fmt::Debug {
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

    /// Hash of a block below the head.
    ///
    /// # Errors
    /// As [`Backend::account`].
    fn block_hash(&self, at: &Head, number: u64) -> Result<B256, StateError>;
}
