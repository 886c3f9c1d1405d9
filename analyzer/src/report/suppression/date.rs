//! Days of the calendar.

use std::fmt;

/// A day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Date {
    /// Reads `YYYY-MM-DD`; `None` for anything else and for days that no calendar has.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part = parts.next()?;
            let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { part.parse::<u32>().ok() } else { None }
        };
        let date = Self { year: number(4)?, month: number(2)?, day: number(2)? };
        let exists =
            (1..=12).contains(&date.month) && (1..=date.days_of_month()).contains(&date.day);
        (exists && parts.next().is_none()).then_some(date)
    }

    /// The day on which a moment lies, given in milliseconds since the Unix epoch.
    pub fn of_unix_ms(unix_ms: u64) -> Self {
        let mut days_left = unix_ms / 86_400_000;
        let mut date = Self { year: 1970, month: 1, day: 1 };
        // Whole years first, then whole months: some dozens of steps.
        while days_left >= date.days_of_year() {
            days_left -= date.days_of_year();
            date.year += 1;
        }
        while days_left >= u64::from(date.days_of_month()) {
            days_left -= u64::from(date.days_of_month());
            date.month += 1;
        }
        date.day += u32::try_from(days_left).expect("less than a month");
        date
    }

    fn is_leap(self) -> bool {
        self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400))
    }

    fn days_of_year(self) -> u64 {
        if self.is_leap() { 366 } else { 365 }
    }

    fn days_of_month(self) -> u32 {
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if self.is_leap() => 29,
            2 => 28,
            _ => 31,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_counted() {
        for (unix_ms, day) in [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (951_868_799_999, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_798_761_599_999, "2026-12-31"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(Date::of_unix_ms(unix_ms).to_string(), day);
            assert_eq!(Date::parse(day), Some(Date::of_unix_ms(unix_ms)));
        }
        let wrong =
            ["2026-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "2026-01-01-", "+026-01-01", ""];
        for text in wrong {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        assert!(Date::parse("2026-12-31") < Date::parse("2027-01-01"));
    }
}
