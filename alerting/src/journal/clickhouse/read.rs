//! The questions that a journal file answers, asked of the server.

use alloy::primitives::B256;
use clickhouse::{error::Error, query::Query};
use std::fmt::Write as _;

use super::super::{JournalStats, StatsCount, VerdictFilter};
use super::rows::{StoredAction, StoredEvidence, StoredVerdict, check_version};
use super::{ClickHouseJournal, JournalError};
use crate::record::{ActionRow, Decision, Evidence, VerdictRow};

impl ClickHouseJournal {
    /// Verdicts of all guards, the newest first.
    ///
    /// # Errors
    /// [`JournalError::Server`].
    pub fn verdicts(&self, filter: &VerdictFilter) -> Result<Vec<VerdictRow>, JournalError> {
        let mut rows = Vec::new();
        self.visit_verdicts(filter, |row| {
            rows.push(row);
            Ok::<_, JournalError>(())
        })?;
        Ok(rows)
    }

    /// Hands over verdicts one by one, the newest first, without holding them all; ends at the first error of `take`.
    ///
    /// # Errors
    /// [`JournalError::Server`], and those of `take`.
    pub fn visit_verdicts<E: From<JournalError>>(
        &self,
        filter: &VerdictFilter,
        mut take: impl FnMut(VerdictRow) -> Result<(), E>,
    ) -> Result<(), E> {
        const DOING: &str = "reading verdicts";
        let failed = |error: &Error| self.failed(DOING, error);
        let mut rows =
            self.matching(filter).fetch::<StoredVerdict>().map_err(|error| failed(&error))?;
        while let Some(row) = self.wait(DOING, rows.next())? {
            let verdict = row.verdict().map_err(|reason| self.corrupt(DOING, reason))?;
            take(verdict)?;
        }
        Ok(())
    }

    /// The evidence of one transaction, in the order in which each guard wrote it.
    ///
    /// # Errors
    /// [`JournalError::Server`].
    pub fn evidence(&self, tx_hash: B256) -> Result<Vec<Evidence>, JournalError> {
        const DOING: &str = "reading evidence";
        let query = self.about("evidence", tx_hash);
        let rows: Vec<StoredEvidence> = self.wait(DOING, query.fetch_all())?;
        let read = |row: StoredEvidence| {
            check_version(row.version)?;
            serde_json::from_str(&row.body).map_err(|error| format!("body: {error}"))
        };
        let read = |row| read(row).map_err(|reason: String| self.corrupt(DOING, reason));
        rows.into_iter().map(read).collect()
    }

    /// What was done about one transaction, in the order in which each guard wrote it.
    ///
    /// # Errors
    /// [`JournalError::Server`].
    pub fn actions(&self, tx_hash: B256) -> Result<Vec<ActionRow>, JournalError> {
        const DOING: &str = "reading actions";
        let query = self.about("actions", tx_hash);
        let rows: Vec<StoredAction> = self.wait(DOING, query.fetch_all())?;
        let read = |row: StoredAction| {
            check_version(row.version).map_err(|reason| self.corrupt(DOING, reason))?;
            Ok(row.action())
        };
        rows.into_iter().map(read).collect()
    }

    /// Counts the verdicts that `filter` lets through; holds eight bytes for each.
    ///
    /// # Errors
    /// [`JournalError::Server`].
    pub fn stats(&self, filter: &VerdictFilter) -> Result<JournalStats, JournalError> {
        let mut count = StatsCount::default();
        self.visit_verdicts(filter, |row| {
            count.add(&row);
            Ok::<_, JournalError>(())
        })?;
        Ok(count.finish())
    }

    fn matching(&self, filter: &VerdictFilter) -> Query {
        let mut text = "SELECT ?fields FROM verdicts FINAL WHERE 1".to_owned();
        if filter.chain.is_some() {
            text.push_str(" AND chain = ?");
        }
        for (column, bytes) in [
            ("tx_hash", filter.tx_hash.as_ref().map(|hash| hash.as_slice())),
            ("receiver", filter.to.as_ref().map(|to| to.as_slice())),
        ] {
            if let Some(bytes) = bytes {
                write!(text, " AND {column} = unhex('{}')", alloy::hex::encode(bytes))
                    .expect("a string takes everything");
            }
        }
        match filter.would_decide_at_least {
            None | Some(Decision::None) => {}
            Some(Decision::Alert) => text.push_str(" AND would_decide != 'none'"),
            Some(Decision::Pause) => text.push_str(" AND would_decide = 'pause'"),
        }
        if filter.live_only {
            text.push_str(" AND NOT is_replay");
        }
        for (comparison, bound) in [(">=", filter.since_ms), ("<", filter.until_ms)] {
            if let Some(bound) = bound {
                write!(text, " AND seen_at_ms {comparison} {bound}")
                    .expect("a string takes everything");
            }
        }
        text.push_str(" ORDER BY seen_at_ms DESC, journal, row DESC");
        if let Some(limit) = filter.limit {
            write!(text, " LIMIT {limit}").expect("a string takes everything");
        }
        let query = self.client.query(&text);
        match &filter.chain {
            Some(chain) => query.bind(chain.as_str()),
            None => query,
        }
    }

    fn about(&self, table: &str, tx_hash: B256) -> Query {
        let hash = alloy::hex::encode(tx_hash);
        self.client.query(&format!(
            "SELECT ?fields FROM {table} FINAL WHERE tx_hash = unhex('{hash}') ORDER BY journal, row"
        ))
    }

    pub(super) fn corrupt(&self, doing: &'static str, reason: String) -> JournalError {
        JournalError::Server { server: self.server().to_owned(), doing, reason }
    }
}
