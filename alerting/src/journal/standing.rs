//! What a guard asks its journal before it starts: what was paused, and how it would have fared.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Journal, JournalError, storage};
use crate::record::ActionRow;

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// What one day comes to for one protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChainDay {
    /// Transactions of its chain that were judged as they happened.
    pub judged: u64,
    /// Pauses of it that would have been decided while it was not armed: each is one to look at before arming.
    pub would_pause: u64,
}

impl Journal {
    /// The days on which transactions of a chain were judged, from `since_ms` on, by their number since the Unix epoch,
    /// as they count for one protocol. Rows of replays do not count; rows from before verdicts named protocols count for
    /// all of their chain.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub fn chain_days(
        &self,
        chain: &str,
        protocol: &str,
        since_ms: u64,
    ) -> Result<BTreeMap<u64, ChainDay>, JournalError> {
        const DAYS: &str = "SELECT seen_at_ms / ?3 AS day, count(*), \
             sum(CASE WHEN would_pause IS NULL THEN would_decide = 'pause' AND mode != 'armed' \
             ELSE EXISTS (SELECT 1 FROM json_each(would_pause) WHERE value = ?4) END) \
             FROM verdicts WHERE chain = ?1 AND seen_at_ms >= ?2 AND NOT is_replay GROUP BY day";
        let failed = |source| storage(self.path(), source);
        let cells = params![chain, bounded(since_ms), bounded(DAY_MS), protocol];
        let mut statement = self.connection.prepare_cached(DAYS).map_err(failed)?;
        let rows = statement
            .query_map(cells, |row| {
                let count = |n: i64| u64::try_from(n).unwrap_or_default();
                let day = ChainDay { judged: count(row.get(1)?), would_pause: count(row.get(2)?) };
                Ok((count(row.get(0)?), day))
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Actions of these kinds from `since_ms` on, in the order in which they were written.
    ///
    /// # Errors
    /// [`JournalError::NewerRow`], [`JournalError::Corrupt`], [`JournalError::Storage`].
    pub fn actions_since(
        &self,
        kinds: &[&str],
        since_ms: u64,
    ) -> Result<Vec<ActionRow>, JournalError> {
        const SINCE: &str = "SELECT * FROM actions WHERE at_ms >= ?1 ORDER BY id";
        let cells = params![bounded(since_ms)];
        let mut rows = Vec::new();
        let take = |row: ActionRow| {
            if kinds.contains(&row.kind.as_str()) {
                rows.push(row);
            }
            Ok::<_, JournalError>(())
        };
        self.visit("action", SINCE, cells, |row| row.action(), take)?;
        Ok(rows)
    }
}

/// SQLite's integers end earlier.
fn bounded(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
