//! Times as people and other programs write them, in UTC.

const DAY_MS: u64 = 86_400_000;

/// The day of a time in milliseconds since the Unix epoch: `YYYY-MM-DD`.
///
/// Howard Hinnant's `civil_from_days`: years begin in March, so that a leap day is the last of its year.
pub(crate) fn date(at_ms: u64) -> String {
    let days = at_ms / DAY_MS + 719_468;
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

/// A time in milliseconds since the Unix epoch as RFC 3339 has it: `2025-06-15T15:06:40.123Z`.
pub(crate) fn timestamp(at_ms: u64) -> String {
    let (of_day_ms, seconds) = (at_ms % DAY_MS, at_ms % DAY_MS / 1_000);
    format!(
        "{}T{:02}:{:02}:{:02}.{:03}Z",
        date(at_ms),
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        of_day_ms % 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, date, timestamp};

    #[test]
    fn days_are_those_of_the_calendar() {
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
    fn times_are_written_to_the_millisecond() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(1_750_000_000_123), "2025-06-15T15:06:40.123Z");
    }
}
