//! The file as a spool: rows in the order in which they were written, and how far they were copied elsewhere.
//!
//! Rows are never moved, only read: whatever becomes of the other store, nothing is lost here.

use rusqlite::params;

use super::{Cells, Journal, JournalError, storage};
use crate::record::{ActionRow, VerdictRow};

/// A kind of row, by its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Verdicts,
    Evidence,
    Actions,
}

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Verdicts => "verdicts",
            Self::Evidence => "evidence",
            Self::Actions => "actions",
        }
    }
}

/// A row and its id in the file.
#[derive(Debug, Clone)]
pub(super) struct Spooled<T> {
    pub(super) id: u64,
    pub(super) version: u32,
    pub(super) row: T,
}

/// Evidence as the file holds it.
#[derive(Debug, Clone)]
pub(super) struct EvidenceText {
    pub(super) tx_hash: [u8; 32],
    /// When the transaction was first seen, milliseconds since the Unix epoch; 0 where no verdict tells.
    pub(super) seen_at_ms: u64,
    /// JSON.
    pub(super) body: String,
}

const VERDICTS: &str = "SELECT * FROM verdicts WHERE id > ?1 ORDER BY id LIMIT ?2";
const ACTIONS: &str = "SELECT * FROM actions WHERE id > ?1 ORDER BY id LIMIT ?2";
const EVIDENCE: &str = "SELECT evidence.*, coalesce((SELECT min(seen_at_ms) FROM verdicts \
     WHERE verdicts.tx_hash = evidence.tx_hash), 0) AS seen_at_ms \
     FROM evidence WHERE id > ?1 ORDER BY id LIMIT ?2";

impl Journal {
    /// What tells this file's rows from those of other journals.
    pub(super) fn identity(&self) -> Result<String, JournalError> {
        self.connection
            .query_row("SELECT id FROM identity", [], |row| row.get(0))
            .map_err(|source| storage(self.path(), source))
    }

    /// Id of the last row of a table that is in `store`; 0 where none is known to be.
    pub(super) fn shipped_up_to(&self, store: &str, table: Table) -> Result<u64, JournalError> {
        let statement =
            "SELECT coalesce(max(up_to), 0) FROM shipped WHERE store = ?1 AND rows_of = ?2";
        let found: i64 = self
            .connection
            .query_row(statement, params![store, table.name()], |row| row.get(0))
            .map_err(|source| storage(self.path(), source))?;
        Ok(u64::try_from(found).unwrap_or_default())
    }

    /// Remembers that all rows of a table up to `id` are in `store`.
    pub(super) fn set_shipped(
        &self,
        store: &str,
        table: Table,
        id: u64,
    ) -> Result<(), JournalError> {
        let statement = "INSERT INTO shipped (store, rows_of, up_to) VALUES (?1, ?2, ?3) \
             ON CONFLICT (store, rows_of) DO UPDATE SET up_to = max(up_to, excluded.up_to)";
        self.connection
            .execute(statement, params![store, table.name(), super::clamp(id)])
            .map(|_| ())
            .map_err(|source| storage(self.path(), source))
    }

    /// Rows of a table after `id`.
    pub(super) fn count_after(&self, table: Table, id: u64) -> Result<u64, JournalError> {
        // Ids are given in order and no row is ever taken away from the end, so their distance is a count.
        let statement = format!("SELECT coalesce(max(id), 0) FROM {}", table.name());
        let last: i64 = self
            .connection
            .query_row(&statement, [], |row| row.get(0))
            .map_err(|source| storage(self.path(), source))?;
        Ok(u64::try_from(last).unwrap_or_default().saturating_sub(id))
    }

    pub(super) fn verdicts_after(
        &self,
        id: u64,
        limit: u32,
    ) -> Result<Vec<Spooled<VerdictRow>>, JournalError> {
        self.spooled("verdict", VERDICTS, id, limit, |row| row.verdict())
    }

    pub(super) fn actions_after(
        &self,
        id: u64,
        limit: u32,
    ) -> Result<Vec<Spooled<ActionRow>>, JournalError> {
        self.spooled("action", ACTIONS, id, limit, |row| row.action())
    }

    pub(super) fn evidence_after(
        &self,
        id: u64,
        limit: u32,
    ) -> Result<Vec<Spooled<EvidenceText>>, JournalError> {
        self.spooled("evidence", EVIDENCE, id, limit, |row| {
            Ok(EvidenceText {
                tx_hash: row.hash("tx_hash")?.0,
                seen_at_ms: row.integer("seen_at_ms")?,
                body: row.text("body")?,
            })
        })
    }

    fn spooled<T>(
        &self,
        table: &'static str,
        statement: &str,
        after: u64,
        limit: u32,
        read: impl Fn(&Cells<'_>) -> Result<T, JournalError>,
    ) -> Result<Vec<Spooled<T>>, JournalError> {
        let with_id = |row: &Cells<'_>| {
            let version = row.integer("version")?;
            Ok(Spooled {
                id: row.integer("id")?,
                version: u32::try_from(version).unwrap_or(u32::MAX),
                row: read(row)?,
            })
        };
        self.select(table, statement, params![super::clamp(after), limit], with_id)
    }
}
