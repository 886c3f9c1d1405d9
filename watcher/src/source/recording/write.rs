//! Recordings written line by line.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    Entry, FORMAT, HeadEntry, Header, NoteEntry, Out, PendingEntry, RecordingError, VERSION,
};
use crate::source::{BlockRecord, PendingTransaction};

/// Writes a recording; [`RecordingWriter::finish`] makes sure that all of it is out.
#[derive(Debug)]
pub struct RecordingWriter<W: Write = Out> {
    path: PathBuf,
    out: W,
}

impl RecordingWriter {
    /// Makes the file, compressed where its name ends in `.gz`, and writes the header; `format` and `version` are
    /// filled in.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn create(path: &Path, header: Header) -> Result<Self, RecordingError> {
        let file = Out::create(path).map_err(|error| RecordingError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Self::new(path, file, header)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn end(self) -> Result<(), RecordingError> {
        let path = self.path.clone();
        let ended = self.finish()?.end();
        ended.map_err(|error| RecordingError::Io { path, reason: error.to_string() })
    }
}

impl<W: Write> RecordingWriter<W> {
    /// Writes to anything; `path` is what errors name.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn new(path: &Path, out: W, mut header: Header) -> Result<Self, RecordingError> {
        header.format = FORMAT.into();
        header.version = VERSION;
        let mut writer = Self { path: path.to_owned(), out };
        writer.line(&header)?;
        Ok(writer)
    }

    /// A block was mined.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn head(&mut self, block: &BlockRecord) -> Result<(), RecordingError> {
        self.entry(&Entry::Head(HeadEntry {
            number: block.number,
            hash: block.hash,
            parent_hash: block.parent_hash,
            timestamp_s: block.timestamp_s,
            base_fee_wei: block.base_fee_wei,
            gas_limit: block.gas_limit,
            gas_used: block.gas_used,
            coinbase: block.coinbase,
            prev_randao: block.prev_randao,
            receipts_root: block.receipts_root,
            excess_blob_gas: block.excess_blob_gas,
            blob_gas_used: block.blob_gas_used,
            parent_beacon_block_root: block.parent_beacon_block_root,
            withdrawals: block.withdrawals.clone(),
            transactions: block.transactions.iter().map(|tx| tx.raw()).collect(),
            undecoded: block.undecoded,
            at_ms: block.seen_at_ms,
        }))
    }

    /// A pending transaction was seen.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn pending(&mut self, tx: &PendingTransaction) -> Result<(), RecordingError> {
        self.entry(&Entry::Pending(PendingEntry { raw: tx.raw(), at_ms: tx.seen_at_ms }))
    }

    /// A remark for people.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn note(&mut self, text: impl Into<String>) -> Result<(), RecordingError> {
        self.entry(&Entry::Note(NoteEntry { text: text.into() }))
    }

    /// Any line but the first.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn entry(&mut self, entry: &Entry) -> Result<(), RecordingError> {
        self.line(entry)
    }

    /// Makes sure that all so far can be read back, whatever happens next.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn flush(&mut self) -> Result<(), RecordingError> {
        let flushed = self.out.flush();
        self.io(flushed)
    }

    /// Flushes, and gives back what was written to.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn finish(mut self) -> Result<W, RecordingError> {
        let flushed = self.out.flush();
        self.io(flushed)?;
        Ok(self.out)
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), RecordingError> {
        let written =
            serde_json::to_vec(line).map_err(std::io::Error::from).and_then(|mut bytes| {
                bytes.push(b'\n');
                self.out.write_all(&bytes)
            });
        self.io(written)
    }

    fn io<T>(&self, result: std::io::Result<T>) -> Result<T, RecordingError> {
        result.map_err(|error| RecordingError::Io {
            path: self.path.clone(),
            reason: error.to_string(),
        })
    }
}
