//! Recordings read whole, within limits.

use std::{
    io::{BufRead, ErrorKind, Read as _},
    path::Path,
    sync::Arc,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Entry, FORMAT, HeadEntry, Header, PendingEntry, RecordedChain, RecordingError, VERSION, out,
};
use crate::source::{
    BlockRecord, HardforkSchedule, Head, PendingTransaction, ScheduleError, SourceEvent,
    decode_raw, wire,
};

/// Longest line, bytes. The header holds the state and is the longest.
const LINE_LIMIT: usize = 64 * 1024 * 1024;
/// Longest recording, bytes.
const WHOLE_LIMIT: usize = 1024 * 1024 * 1024;

/// A recording in memory, every line of it checked.
#[derive(Debug, Clone)]
pub struct Recording {
    header: Header,
    hardforks: HardforkSchedule,
    steps: Vec<SourceEvent>,
    state: Vec<Entry>,
}

impl Recording {
    /// Reads a file, compressed or not.
    ///
    /// # Errors
    /// See [`RecordingError`].
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = out::open(path).map_err(|error| RecordingError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Self::read(path, file)
    }

    /// Reads from anything; `path` is what errors name.
    ///
    /// # Errors
    /// See [`RecordingError`].
    pub fn read(path: &Path, from: impl BufRead) -> Result<Self, RecordingError> {
        let mut lines = Lines { path, from, number: 0, whole_bytes: 0 };
        let header = lines.header()?;
        let hardforks = hardforks(&header.chain)
            .map_err(|problem| lines.wrong(format!("chain.later_hardforks: {problem}")))?;
        let mut recording = Self { header, hardforks, steps: Vec::new(), state: Vec::new() };
        let first = recording.first_block();
        wire::plausible(&first)
            .map_err(|expected| lines.wrong(format!("head: expected {expected}")))?;
        while let Some(line) = lines.next()? {
            match lines.parse::<Entry>(&line)? {
                Entry::Head(head) => {
                    let block = lines.block(head)?;
                    recording.steps.push(SourceEvent::Head(Arc::new(block)));
                }
                Entry::Pending(pending) => {
                    let tx = lines.pending(pending)?;
                    recording.steps.push(SourceEvent::Pending(Arc::new(tx)));
                }
                Entry::Note(_) => {}
                state => recording.state.push(state),
            }
        }
        Ok(recording)
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Which rules were in force at which block.
    pub fn hardforks(&self) -> HardforkSchedule {
        self.hardforks
    }

    /// The heads and pending transactions, in order.
    pub fn steps(&self) -> &[SourceEvent] {
        &self.steps
    }

    /// The lines that hold fetched state: accounts, slots and block hashes, in order.
    pub fn fetched_state(&self) -> &[Entry] {
        &self.state
    }

    /// The head that the recording begins on, as a block without transactions.
    pub fn first_block(&self) -> BlockRecord {
        let Head {
            number,
            hash,
            timestamp_s,
            base_fee_wei,
            gas_limit,
            gas_used,
            prev_randao,
            coinbase,
            ..
        } = self.header.head;
        BlockRecord {
            number,
            hash,
            parent_hash: Default::default(),
            timestamp_s,
            base_fee_wei,
            gas_limit,
            gas_used,
            coinbase,
            prev_randao,
            receipts_root: None,
            excess_blob_gas: Some(self.header.head.excess_blob_gas),
            blob_gas_used: Some(self.header.head.blob_gas_used),
            parent_beacon_block_root: None,
            withdrawals: Vec::new(),
            transactions: Vec::new(),
            undecoded: 0,
            seen_at_ms: timestamp_s.saturating_mul(1000),
        }
    }
}

fn hardforks(chain: &RecordedChain) -> Result<HardforkSchedule, ScheduleError> {
    let later = chain.later_hardforks.iter().map(|(block, fork)| (*block, *fork));
    HardforkSchedule::new(std::iter::once((0, chain.hardfork)).chain(later))
}

struct Lines<'a, R> {
    path: &'a Path,
    from: R,
    number: usize,
    whole_bytes: usize,
}

impl<R: BufRead> Lines<'_, R> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, RecordingError> {
        self.number += 1;
        let mut line = Vec::new();
        let limit = LINE_LIMIT.min(WHOLE_LIMIT - self.whole_bytes);
        let read = (&mut self.from).take(limit as u64 + 1).read_until(b'\n', &mut line).map_err(
            |error| match error.kind() {
                ErrorKind::UnexpectedEof => {
                    self.wrong("the compressed file was cut off here".to_owned())
                }
                ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                    self.wrong(format!("the compressed file is damaged here: {error}"))
                }
                _ => RecordingError::Io { path: self.path.to_owned(), reason: error.to_string() },
            },
        )?;
        if read > limit {
            return Err(RecordingError::TooLong {
                path: self.path.to_owned(),
                line: self.number,
                limit_bytes: if limit < LINE_LIMIT { WHOLE_LIMIT } else { LINE_LIMIT },
            });
        }
        self.whole_bytes += read;
        Ok((read > 0).then_some(line))
    }

    fn header(&mut self) -> Result<Header, RecordingError> {
        let path = self.path.to_owned();
        let Some(line) = self.next()? else { return Err(RecordingError::NotARecording { path }) };
        // The version is looked at before anything else: another major may have other fields.
        let loose: Value = serde_json::from_slice(&line)
            .map_err(|_| RecordingError::NotARecording { path: path.clone() })?;
        if loose.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(RecordingError::NotARecording { path });
        }
        match loose.get("version") {
            Some(version) if version.as_u64() == Some(VERSION) => {}
            other => {
                let found = other.map_or_else(|| "none".into(), Value::to_string);
                return Err(RecordingError::Version { path, found });
            }
        }
        drop(loose);
        self.parse(&line)
    }

    fn parse<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, RecordingError> {
        serde_json::from_slice(line).map_err(|error| {
            // serde_json counts lines within the one line that it was given.
            let column = error.column();
            let detail = error.to_string();
            let detail =
                detail.rsplit_once(" at line ").map_or(detail.as_str(), |(detail, _)| detail);
            self.wrong(format!("{detail} (column {column})"))
        })
    }

    fn pending(&self, entry: PendingEntry) -> Result<PendingTransaction, RecordingError> {
        self.transaction(&entry.raw, entry.at_ms, "raw")
    }

    fn transaction(
        &self,
        raw: &[u8],
        at_ms: u64,
        field: &str,
    ) -> Result<PendingTransaction, RecordingError> {
        let mut tx =
            decode_raw(raw).map_err(|refusal| self.wrong(format!("`{field}`: {refusal}")))?;
        tx.seen_at_ms = at_ms;
        tx.node = "recording".into();
        Ok(tx)
    }

    fn block(&self, entry: HeadEntry) -> Result<BlockRecord, RecordingError> {
        let mut transactions = Vec::with_capacity(entry.transactions.len());
        for (idx, raw) in entry.transactions.iter().enumerate() {
            let tx = self.transaction(raw, entry.at_ms, &format!("transactions[{idx}]"))?;
            transactions.push(Arc::new(tx));
        }
        let block = BlockRecord {
            number: entry.number,
            hash: entry.hash,
            parent_hash: entry.parent_hash,
            timestamp_s: entry.timestamp_s,
            base_fee_wei: entry.base_fee_wei,
            gas_limit: entry.gas_limit,
            gas_used: entry.gas_used,
            coinbase: entry.coinbase,
            prev_randao: entry.prev_randao,
            receipts_root: entry.receipts_root,
            excess_blob_gas: entry.excess_blob_gas,
            blob_gas_used: entry.blob_gas_used,
            parent_beacon_block_root: entry.parent_beacon_block_root,
            withdrawals: entry.withdrawals,
            transactions,
            undecoded: entry.undecoded,
            seen_at_ms: entry.at_ms,
        };
        wire::plausible(&block).map_err(|expected| self.wrong(format!("expected {expected}")))?;
        Ok(block)
    }

    fn wrong(&self, detail: String) -> RecordingError {
        RecordingError::Line { path: self.path.to_owned(), line: self.number, detail }
    }
}
