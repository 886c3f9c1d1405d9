//! The journal counted: what was thought, what was decided, day by day, and how fast.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Journal, JournalError, VerdictFilter};
use crate::calendar::date;
use crate::record::{Decision, Outcome, VerdictRow};

/// What a span of the journal comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JournalStats {
    /// Judged transactions.
    pub verdicts: u64,
    /// By what the guard thought: `clear`, `suspicious`, `attack`, `unknown`.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// By what was decided under the mode in force: `none`, `alert`, `pause`.
    pub decisions: BTreeMap<&'static str, u64>,
    /// By what would have been decided if armed.
    pub would_decide: BTreeMap<&'static str, u64>,
    /// By day (UTC, `YYYY-MM-DD`).
    pub days: BTreeMap<String, DayStats>,
    /// From first seen to verdict, microseconds, that half of the transactions did not exceed; none without any.
    pub latency_p50_us: Option<u64>,
    /// The same for 99 in 100.
    pub latency_p99_us: Option<u64>,
}

/// What one day comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DayStats {
    /// Judged transactions.
    pub verdicts: u64,
    /// Alerts decided.
    pub alerts: u64,
    /// Pauses decided.
    pub pauses: u64,
    /// Pauses that would have been decided if armed.
    pub would_pause: u64,
    /// Transactions that could not be judged.
    pub unknown: u64,
}

impl Journal {
    /// Counts the verdicts that `filter` lets through; holds eight bytes for each.
    ///
    /// # Errors
    /// Those of [`Journal::verdicts`].
    pub fn stats(&self, filter: &VerdictFilter) -> Result<JournalStats, JournalError> {
        let mut count = StatsCount::default();
        self.visit_verdicts(filter, |row| {
            count.add(&row);
            Ok::<_, JournalError>(())
        })?;
        Ok(count.finish())
    }
}

/// Counts verdicts one by one; holds eight bytes for each.
#[derive(Debug, Default)]
pub struct StatsCount {
    stats: JournalStats,
    latencies: Vec<u64>,
}

impl StatsCount {
    /// Counts one more.
    pub fn add(&mut self, row: &VerdictRow) {
        let stats = &mut self.stats;
        stats.verdicts += 1;
        *stats.outcomes.entry(row.outcome.word()).or_default() += 1;
        *stats.decisions.entry(row.decision.word()).or_default() += 1;
        *stats.would_decide.entry(row.would_decide.word()).or_default() += 1;
        let day = stats.days.entry(date(row.seen_at_ms)).or_default();
        day.verdicts += 1;
        day.alerts += u64::from(row.decision == Decision::Alert);
        day.pauses += u64::from(row.decision == Decision::Pause);
        day.would_pause += u64::from(row.would_decide == Decision::Pause);
        day.unknown += u64::from(row.outcome == Outcome::Unknown);
        self.latencies.push(row.latency_us);
    }

    /// What all of them come to.
    pub fn finish(mut self) -> JournalStats {
        self.latencies.sort_unstable();
        self.stats.latency_p50_us = percentile(&self.latencies, 50);
        self.stats.latency_p99_us = percentile(&self.latencies, 99);
        self.stats
    }
}

/// The nearest-rank percentile of sorted values.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn a_percentile_is_a_value_that_occurred() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(
            (percentile(&values, 50), percentile(&values, 99), percentile(&[7], 99)),
            (Some(100), Some(198), Some(7))
        );
        assert_eq!(percentile(&[], 50), None);
    }
}
