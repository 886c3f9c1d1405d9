//! A moment, as people write it in a configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};

/// A moment in UTC: `2027-01-31` (its first instant) or `2027-01-31T18:00:00Z`, with or without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub(crate) struct Moment {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            toml::Value::Datetime(moment) => moment.to_string(),
            other => other.to_string(),
        };
        parse(&text).map(|at_ms| Self { at_ms }).ok_or_else(|| {
            D::Error::custom(format!(
                "expected a moment in UTC such as 2027-01-31 or 2027-01-31T18:00:00Z, found `{text}`"
            ))
        })
    }
}

fn parse(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time.strip_suffix(['Z', 'z'])?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let in_month = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_real = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=in_month).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_real {
        return None;
    }
    // Howard Hinnant's `days_from_civil`: years begin in March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

/// Three numbers of digits alone.
fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between).map(|part| {
        let is_plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| part.parse::<u64>().ok()).flatten()
    });
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn moments_are_those_of_the_calendar_and_of_utc() {
        assert_eq!(parse("1970-01-01"), Some(0));
        assert_eq!(parse("2024-02-29T00:00:01Z"), Some(19_782 * 86_400_000 + 1_000));
        assert_eq!(parse("2025-06-15T15:06:40Z"), Some(1_750_000_000_000));
        for wrong in [
            "2025-02-29",
            "2025-13-01",
            "2025-06-15T15:06:40",
            "2025-06-15T24:00:00Z",
            "+25-06-15",
            "1969-12-31",
            "tomorrow",
            "",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
