//! State out of a recording, and state on its way into one.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use alloy::primitives::{Address, B256, U256};

use super::{AccountState, Backend, ChainRules, ForkedState, Head, Item, StateError};
use crate::source::recording::{
    AccountEntry, BlockHashEntry, Entry, RecordedAccount, Recording, RecordingError,
    RecordingWriter, SlotEntry, Tape,
};

impl ForkedState {
    /// The state that a recording begins with.
    ///
    /// From a complete recording nothing is ever missing; from another, what was not fetched while it was recorded
    /// is [`StateError::NotRecorded`].
    ///
    /// # Errors
    /// An account's code is malformed.
    pub fn from_recording(recording: &Recording) -> Result<Arc<Self>, StateError> {
        let header = recording.header();
        let rules = ChainRules {
            chain_id: header.chain.id,
            hardforks: recording.hardforks(),
            block_time_s: header.chain.block_time_s,
        };
        let backend = Arc::new(RecordedBackend::new(recording));
        if !header.complete {
            return Ok(Self::new(rules, backend));
        }
        let accounts =
            header.state.accounts.iter().map(|(address, account)| (*address, account.into()));
        Self::complete(rules, header.head.clone(), accounts, backend)
    }
}

/// Answers from the lines of a recording, at exactly the blocks that they were fetched at.
#[derive(Debug)]
struct RecordedBackend {
    accounts: HashMap<(u64, Address), Option<AccountState>>,
    slots: HashMap<(u64, Address, U256), U256>,
    block_hashes: HashMap<(u64, u64), B256>,
}

impl RecordedBackend {
    fn new(recording: &Recording) -> Self {
        let mut backend =
            Self { accounts: HashMap::new(), slots: HashMap::new(), block_hashes: HashMap::new() };
        let first = recording.header().head.number;
        for (address, account) in &recording.header().state.accounts {
            for (slot, value) in &account.storage {
                backend.slots.insert((first, *address, *slot), *value);
            }
            backend.accounts.insert((first, *address), Some(account.into()));
        }
        for entry in recording.fetched_state() {
            match entry {
                Entry::Account(AccountEntry { block, address, account }) => {
                    backend.accounts.insert((*block, *address), account.as_ref().map(Into::into));
                }
                Entry::Slot(SlotEntry { block, address, slot, value }) => {
                    backend.slots.insert((*block, *address, *slot), *value);
                }
                Entry::BlockHash(BlockHashEntry { block, number, hash }) => {
                    backend.block_hashes.insert((*block, *number), *hash);
                }
                Entry::Head(_) | Entry::Pending(_) | Entry::Note(_) => {}
            }
        }
        backend
    }
}

impl Backend for RecordedBackend {
    fn account(&self, at: &Head, address: Address) -> Result<Option<AccountState>, StateError> {
        let found = self.accounts.get(&(at.number, address)).cloned();
        found.ok_or(StateError::NotRecorded { what: Item::Account(address), block: at.number })
    }

    fn storage(&self, at: &Head, address: Address, slot: U256) -> Result<U256, StateError> {
        let found = self.slots.get(&(at.number, address, slot)).copied();
        found.ok_or(StateError::NotRecorded { what: Item::Slot(address, slot), block: at.number })
    }

    fn block_hash(&self, at: &Head, number: u64) -> Result<B256, StateError> {
        let found = self.block_hashes.get(&(at.number, number)).copied();
        found.ok_or(StateError::NotRecorded { what: Item::BlockHash(number), block: at.number })
    }
}

/// Where fetched state is written.
type Write = Box<dyn Fn(&Entry) -> Result<(), RecordingError> + Send + Sync>;

/// Passes fetches on, and writes what they brought into a recording.
pub struct RecordingBackend {
    inner: Arc<dyn Backend>,
    write: Write,
}

impl RecordingBackend {
    /// Fetches from `inner` and records into `writer`. A line that cannot be written fails the fetch: a recording
    /// with a hole in it would not replay.
    pub fn new<W: io::Write + Send + 'static>(
        inner: Arc<dyn Backend>,
        writer: Arc<Mutex<RecordingWriter<W>>>,
    ) -> Self {
        let write: Write = Box::new(move |entry| {
            writer.lock().unwrap_or_else(PoisonError::into_inner).entry(entry)
        });
        Self { inner, write }
    }

    /// Fetches from `inner` and records onto `tape`. A tape that fails ends the recording and no fetch: whoever
    /// guards must not go blind because a disk is full.
    pub fn onto(inner: Arc<dyn Backend>, tape: Arc<Tape>) -> Self {
        let write: Write = Box::new(move |entry| {
            tape.entry(entry);
            Ok(())
        });
        Self { inner, write }
    }

    fn record(&self, what: Item, at: &Head, entry: &Entry) -> Result<(), StateError> {
        (self.write)(entry).map_err(|error| StateError::Fetch {
            what,
            block: at.number,
            reason: error.to_string(),
        })
    }
}

impl fmt::Debug for RecordingBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingBackend").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Backend for RecordingBackend {
    fn account(&self, at: &Head, address: Address) -> Result<Option<AccountState>, StateError> {
        let found = self.inner.account(at, address)?;
        let account = found.as_ref().map(RecordedAccount::from);
        self.record(
            Item::Account(address),
            at,
            &Entry::Account(AccountEntry { block: at.number, address, account }),
        )?;
        Ok(found)
    }

    fn storage(&self, at: &Head, address: Address, slot: U256) -> Result<U256, StateError> {
        let value = self.inner.storage(at, address, slot)?;
        let entry = Entry::Slot(SlotEntry { block: at.number, address, slot, value });
        self.record(Item::Slot(address, slot), at, &entry)?;
        Ok(value)
    }

    fn block_hash(&self, at: &Head, number: u64) -> Result<B256, StateError> {
        let hash = self.inner.block_hash(at, number)?;
        let entry = Entry::BlockHash(BlockHashEntry { block: at.number, number, hash });
        self.record(Item::BlockHash(number), at, &entry)?;
        Ok(hash)
    }
}

impl From<&RecordedAccount> for AccountState {
    fn from(account: &RecordedAccount) -> Self {
        Self {
            balance: account.balance,
            nonce: account.nonce,
            code: account.code.clone(),
            storage: account.storage.clone(),
        }
    }
}

impl From<&AccountState> for RecordedAccount {
    fn from(account: &AccountState) -> Self {
        Self {
            balance: account.balance,
            nonce: account.nonce,
            code: account.code.clone(),
            storage: account.storage.clone(),
        }
    }
}
