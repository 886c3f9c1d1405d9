//! The server's tables, and the rows of this crate as it stores them.
//!
//! Every table is partitioned by month, ordered for the questions people ask of it (what happened on a chain in a
//! span of time; everything about one transaction), and ends its order with the identity of the file and the row's id
//! there: should a row arrive twice after all, the engine takes the second away, and `FINAL` hides it until then.

use alloy::primitives::{Address, B256};
use clickhouse::Row;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::super::spool::{EvidenceText, Spooled};
use super::super::word;
use super::JournalError;
use crate::record::{ActionRow, VerdictRow};

/// Statements that create the tables where they are missing.
pub(super) const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS verdicts (
        journal FixedString(32), row UInt64, version UInt32, chain String, chain_id UInt64, block UInt64,
        tx_hash FixedString(32), sender FixedString(20), receiver Nullable(FixedString(20)), seen_at_ms UInt64,
        latency_us UInt64, outcome String, decision String, would_decide String, mode String,
        score Nullable(Float32), reason String, is_mined UInt8 DEFAULT 0,
        touched Array(String), would_pause Array(String), is_replay UInt8 DEFAULT 0
    ) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(toDateTime(intDiv(seen_at_ms, 1000)))
    ORDER BY (chain, seen_at_ms, journal, row)",
    "CREATE TABLE IF NOT EXISTS evidence (
        journal FixedString(32), row UInt64, version UInt32, tx_hash FixedString(32), seen_at_ms UInt64, body String
    ) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(toDateTime(intDiv(seen_at_ms, 1000)))
    ORDER BY (tx_hash, journal, row)",
    "CREATE TABLE IF NOT EXISTS actions (
        journal FixedString(32), row UInt64, version UInt32, at_ms UInt64, chain String, tx_hash FixedString(32),
        kind String, detail String, action_tx_hash Nullable(FixedString(32))
    ) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(toDateTime(intDiv(at_ms, 1000)))
    ORDER BY (tx_hash, journal, row)",
];

/// Columns that tables made by an older version lack: table, column and what it is. Only ever added to; a row from before
/// has the default.
pub(super) const ADDED: [(&str, &str, &str); 4] = [
    ("verdicts", "is_mined", "UInt8 DEFAULT 0"),
    ("verdicts", "touched", "Array(String)"),
    ("verdicts", "would_pause", "Array(String)"),
    ("verdicts", "is_replay", "UInt8 DEFAULT 0"),
];

/// The column by which each table ages.
pub(super) const TIMES: [(&str, &str); 3] =
    [("verdicts", "seen_at_ms"), ("evidence", "seen_at_ms"), ("actions", "at_ms")];

/// The identity of a file, as 32 hexadecimal digits.
pub(super) type Identity = [u8; 32];

/// A stored verdict.
#[derive(Debug, Row, Serialize, Deserialize)]
pub(super) struct StoredVerdict {
    journal: Identity,
    pub(super) row: u64,
    version: u32,
    chain: String,
    chain_id: u64,
    block: u64,
    tx_hash: [u8; 32],
    sender: [u8; 20],
    receiver: Option<[u8; 20]>,
    seen_at_ms: u64,
    latency_us: u64,
    outcome: String,
    decision: String,
    would_decide: String,
    mode: String,
    score: Option<f32>,
    reason: String,
    is_mined: u8,
    touched: Vec<String>,
    would_pause: Vec<String>,
    is_replay: u8,
}

/// Stored evidence.
#[derive(Debug, Row, Serialize, Deserialize)]
pub(super) struct StoredEvidence {
    journal: Identity,
    pub(super) row: u64,
    pub(super) version: u32,
    tx_hash: [u8; 32],
    seen_at_ms: u64,
    pub(super) body: String,
}

/// A stored action.
#[derive(Debug, Row, Serialize, Deserialize)]
pub(super) struct StoredAction {
    journal: Identity,
    pub(super) row: u64,
    pub(super) version: u32,
    at_ms: u64,
    chain: String,
    tx_hash: [u8; 32],
    kind: String,
    detail: String,
    action_tx_hash: Option<[u8; 32]>,
}

impl StoredVerdict {
    pub(super) fn new(
        journal: Identity,
        spooled: Spooled<VerdictRow>,
    ) -> Result<Self, JournalError> {
        let Spooled { id, version, row } = spooled;
        Ok(Self {
            journal,
            row: id,
            version,
            chain: row.chain,
            chain_id: row.chain_id,
            block: row.block,
            tx_hash: row.tx_hash.0,
            sender: row.from.into_array(),
            receiver: row.to.map(Address::into_array),
            seen_at_ms: row.seen_at_ms,
            latency_us: row.latency_us,
            outcome: word("outcome", &row.outcome)?,
            decision: word("decision", &row.decision)?,
            would_decide: word("would_decide", &row.would_decide)?,
            mode: word("mode", &row.mode)?,
            score: row.score,
            reason: row.reason,
            is_mined: u8::from(row.is_mined),
            touched: row.touched,
            would_pause: row.would_pause,
            is_replay: u8::from(row.is_replay),
        })
    }

    /// The row of this crate, or the column that it cannot be made from and why.
    pub(super) fn verdict(self) -> Result<VerdictRow, String> {
        check_version(self.version)?;
        Ok(VerdictRow {
            chain: self.chain,
            chain_id: self.chain_id,
            block: self.block,
            tx_hash: B256::new(self.tx_hash),
            from: Address::new(self.sender),
            to: self.receiver.map(Address::new),
            seen_at_ms: self.seen_at_ms,
            latency_us: self.latency_us,
            outcome: meant("outcome", self.outcome)?,
            decision: meant("decision", self.decision)?,
            would_decide: meant("would_decide", self.would_decide)?,
            mode: meant("mode", self.mode)?,
            score: self.score,
            reason: self.reason,
            is_mined: self.is_mined != 0,
            touched: self.touched,
            would_pause: self.would_pause,
            is_replay: self.is_replay != 0,
        })
    }
}

impl StoredEvidence {
    pub(super) fn new(journal: Identity, spooled: Spooled<EvidenceText>) -> Self {
        let Spooled { id, version, row: EvidenceText { tx_hash, seen_at_ms, body } } = spooled;
        Self { journal, row: id, version, tx_hash, seen_at_ms, body }
    }
}

impl StoredAction {
    pub(super) fn new(journal: Identity, spooled: Spooled<ActionRow>) -> Self {
        let Spooled { id, version, row } = spooled;
        Self {
            journal,
            row: id,
            version,
            at_ms: row.at_ms,
            chain: row.chain,
            tx_hash: row.tx_hash.0,
            kind: row.kind,
            detail: row.detail,
            action_tx_hash: row.action_tx_hash.map(|hash| hash.0),
        }
    }

    pub(super) fn action(self) -> ActionRow {
        ActionRow {
            at_ms: self.at_ms,
            chain: self.chain,
            tx_hash: B256::new(self.tx_hash),
            kind: self.kind,
            detail: self.detail,
            action_tx_hash: self.action_tx_hash.map(B256::new),
        }
    }
}

/// Refuses rows of a newer program.
pub(super) fn check_version(found: u32) -> Result<(), String> {
    if found <= super::super::ROW_VERSION {
        return Ok(());
    }
    Err(format!(
        "a row has version {found}, this program knows up to {}",
        super::super::ROW_VERSION
    ))
}

fn meant<T: DeserializeOwned>(column: &str, text: String) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text))
        .map_err(|error| format!("{column}: {error}"))
}
