//! The recording format, version 1: one stream with everything that is needed to run a session again.
//!
//! A recording is JSON Lines. The first line is the [`Header`]: which chain, on which head and with which state it
//! begins. Every other line is an [`Entry`]: a head, a pending transaction, state that was fetched, a note.
//! The file may be compressed (gzip); its first bytes tell, and limits hold for the text within.
//! Readers refuse an unknown major version, an unknown field and a line that is too long, and name file and line.

mod out;
mod read;
mod replay;
mod tape;
mod write;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf};

use alloy::primitives::{Address, B256, Bytes, U256};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Hardfork, Head, Withdrawal};

pub use out::Out;
pub use read::Recording;
pub use replay::{Pace, RecordingSource};
pub use tape::Tape;
pub use write::RecordingWriter;

/// What the `format` member of a header says.
pub const FORMAT: &str = "portcullis-recording";
/// The major version that is read and written here.
pub const VERSION: u64 = 1;

/// First line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Always `portcullis-recording`.
    pub format: String,
    /// Major version of the format; 1.
    pub version: u64,
    /// The chain that was recorded.
    pub chain: RecordedChain,
    /// Names of contracts, for people, and which of them are protected.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, RecordedContract>")]
    pub contracts: BTreeMap<Address, RecordedContract>,
    /// `state` holds every account there is; without it, state that is not recorded cannot be replayed.
    pub complete: bool,
    /// The head that the recording begins on.
    pub head: Head,
    /// State at that head.
    #[serde(default)]
    pub state: RecordedState,
}

/// Which chain was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordedChain {
    /// Its configured name.
    pub name: String,
    /// Chain id.
    pub id: u64,
    /// Rules in force below the first of the later ones.
    pub hardfork: Hardfork,
    /// Rules that came into force later, by first block.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub later_hardforks: BTreeMap<u64, Hardfork>,
    /// Seconds between blocks.
    pub block_time_s: u64,
}

/// A contract that the recording names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordedContract {
    /// Its name.
    pub name: String,
    /// It is one of those that are watched over.
    #[serde(default)]
    pub protected: bool,
}

/// Accounts at a head.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordedState {
    /// By address.
    #[schemars(with = "BTreeMap<String, RecordedAccount>")]
    pub accounts: BTreeMap<Address, RecordedAccount>,
}

/// One account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordedAccount {
    /// Wei, hexadecimal.
    #[serde(default)]
    #[schemars(with = "String")]
    pub balance: U256,
    /// Nonce.
    #[serde(default)]
    pub nonce: u64,
    /// Code, hexadecimal.
    #[serde(default, skip_serializing_if = "is_no_code")]
    #[schemars(with = "String")]
    pub code: Bytes,
    /// Slots that are not zero, hexadecimal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub storage: BTreeMap<U256, U256>,
}

/// Every line after the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Entry {
    /// A block was mined.
    Head(HeadEntry),
    /// A pending transaction was seen.
    Pending(PendingEntry),
    /// An account was fetched from a node.
    Account(AccountEntry),
    /// A slot was fetched from a node.
    Slot(SlotEntry),
    /// A block hash was fetched from a node.
    BlockHash(BlockHashEntry),
    /// A remark for people.
    Note(NoteEntry),
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeadEntry {
    /// Height.
    pub number: u64,
    /// Hash.
    #[schemars(with = "String")]
    pub hash: B256,
    /// Hash of the block below.
    #[schemars(with = "String")]
    pub parent_hash: B256,
    /// Seconds since the epoch.
    pub timestamp_s: u64,
    /// Base fee, wei.
    pub base_fee_wei: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Gas used.
    pub gas_used: u64,
    /// Who takes the fees.
    #[schemars(with = "String")]
    pub coinbase: Address,
    /// `PREVRANDAO`.
    #[schemars(with = "String")]
    pub prev_randao: B256,
    /// Root of its receipts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub receipts_root: Option<B256>,
    /// Excess blob gas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excess_blob_gas: Option<u64>,
    /// Blob gas used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob_gas_used: Option<u64>,
    /// Root of the parent beacon block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub parent_beacon_block_root: Option<B256>,
    /// Ether credited without a transaction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawals: Vec<Withdrawal>,
    /// Its transactions, EIP-2718 encoded, in order.
    #[schemars(with = "Vec<String>")]
    pub transactions: Vec<Bytes>,
    /// Transactions in it that could not be decoded when it was recorded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undecoded: usize,
    /// When it was seen, milliseconds since the epoch.
    pub at_ms: u64,
}

/// A pending transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PendingEntry {
    /// EIP-2718 encoding.
    #[schemars(with = "String")]
    pub raw: Bytes,
    /// When it was first seen, milliseconds since the epoch.
    pub at_ms: u64,
}

/// An account at a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountEntry {
    /// Height it was fetched at.
    pub block: u64,
    /// Whose.
    #[schemars(with = "String")]
    pub address: Address,
    /// The account; null where there was none.
    pub account: Option<RecordedAccount>,
}

/// A slot at a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlotEntry {
    /// Height it was fetched at.
    pub block: u64,
    /// Whose.
    #[schemars(with = "String")]
    pub address: Address,
    /// Which.
    #[schemars(with = "String")]
    pub slot: U256,
    /// What it held.
    #[schemars(with = "String")]
    pub value: U256,
}

/// The hash of a block below a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockHashEntry {
    /// Height it was fetched at.
    pub block: u64,
    /// Height asked for.
    pub number: u64,
    /// Its hash.
    #[schemars(with = "String")]
    pub hash: B256,
}

/// A remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteEntry {
    /// The remark.
    pub text: String,
}

/// Why a recording cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be opened, read or written.
    #[error("{path}: {reason}", path = path.display())]
    Io {
        /// File.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The first line is no header of a recording.
    #[error("{path}:1: not a recording: expected a header with \"format\":\"{FORMAT}\"", path = path.display())]
    NotARecording {
        /// File.
        path: PathBuf,
    },
    /// Another major version.
    #[error("{path}:1: recording of version {found}; expected version {VERSION}", path = path.display())]
    Version {
        /// File.
        path: PathBuf,
        /// What the header says.
        found: String,
    },
    /// A line that is not what it must be.
    #[error("{path}:{line}: {detail}", path = path.display())]
    Line {
        /// File.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What was found and what was expected.
        detail: String,
    },
    /// A line or the whole is longer than is read.
    #[error("{path}:{line}: over {limit_bytes} bytes", path = path.display())]
    TooLong {
        /// File.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The limit.
        limit_bytes: usize,
    },
}

/// JSON schema of one line: the header or an entry.
pub fn recording_schema() -> serde_json::Value {
    #[derive(JsonSchema)]
    #[schemars(title = "Line of a portcullis recording, version 1", untagged)]
    #[expect(dead_code, reason = "only its schema is used")]
    enum Line {
        Header(Box<Header>),
        Entry(Box<Entry>),
    }
    schemars::schema_for!(Line).to_value()
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn is_no_code(code: &Bytes) -> bool {
    code.is_empty()
}
