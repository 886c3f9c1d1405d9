//! The journal counted: what was thought, what was decided, day by day, and how fast.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Journal, JournalError, VerdictFilter};
use crate::record::{Decision, Outcome};

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
        let mut stats = JournalStats::default();
        let mut latencies = Vec::new();
        self.visit_verdicts(filter, |row| {
            stats.verdicts += 1;
            *stats.outcomes.entry(outcome(row.outcome)).or_default() += 1;
            *stats.decisions.entry(decision(row.decision)).or_default() += 1;
            *stats.would_decide.entry(decision(row.would_decide)).or_default() += 1;
            let day = stats.days.entry(date(row.seen_at_ms)).or_default();
            day.verdicts += 1;
            day.alerts += u64::from(row.decision == Decision::Alert);
            day.pauses += u64::from(row.decision == Decision::Pause);
            day.would_pause += u64::from(row.would_decide == Decision::Pause);
            day.unknown += u64::from(row.outcome == Outcome::Unknown);
            latencies.push(row.latency_us);
            Ok::<_, JournalError>(())
        })?;
        latencies.sort_unstable();
        stats.latency_p50_us = percentile(&latencies, 50);
        stats.latency_p99_us = percentile(&latencies, 99);
        Ok(stats)
    }
}

/// The nearest-rank percentile of sorted values.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Clear => "clear",
        Outcome::Suspicious => "suspicious",
        Outcome::Attack => "attack",
        Outcome::Unknown => "unknown",
    }
}

fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::None => "none",
        Decision::Alert => "alert",
        Decision::Pause => "pause",
    }
}

/// The day of a time in milliseconds since the Unix epoch, UTC, `YYYY-MM-DD`.
///
/// Howard Hinnant's `civil_from_days`: years begin in March, so that a leap day is the last of its year.
fn date(at_ms: u64) -> String {
    let days = at_ms / 86_400_000 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::{date, percentile};

    #[test]
    fn days_are_those_of_the_calendar() {
        const DAY_MS: u64 = 86_400_000;
        for (day, expected) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_782, "2024-02-29"),
            (20_088, "2024-12-31"),
            (20_089, "2025-01-01"),
        ] {
            assert_eq!(date(day * DAY_MS), expected);
            assert_eq!(date(day * DAY_MS + DAY_MS - 1), expected);
        }
    }

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
