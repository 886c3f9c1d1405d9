//! The Prometheus text format, version 0.0.4: families of samples, each with help and type.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds of a histogram's buckets, microseconds: a verdict within 5 ms is the aim, one after a second is lost.
const BOUNDS_US: [u64; 14] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000, 5_000_000,
    12_000_000,
];

/// How often something took how long.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Histogram {
    /// One for each bound, and one for what is over the last.
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    pub(in crate::daemon) fn note(&self, took: Duration) {
        self.note_us(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(in crate::daemon) fn note_us(&self, took_us: u64) {
        let place = BOUNDS_US.partition_point(|bound| *bound < took_us);
        self.buckets[place].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }
}

impl Histogram {
    /// The bound within which a share of all that was noted lies, microseconds; none before anything was.
    pub(in crate::daemon) fn within_us(&self, share: f64) -> Option<u64> {
        let counts: Vec<u64> =
            self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let whole: u64 = counts.iter().sum();
        let wanted = (whole as f64 * share).ceil() as u64;
        let mut below = 0;
        let place = counts.iter().position(|count| {
            below += count;
            below >= wanted
        })?;
        let last = BOUNDS_US.last().copied();
        (whole > 0).then(|| BOUNDS_US.get(place).copied().or(last)).flatten()
    }
}

/// What a scrape is answered with, as it grows.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    pub(super) fn sample(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        value: impl std::fmt::Display,
    ) {
        self.0.push_str(name);
        self.labels(labels, None);
        self.line(format_args!(" {value}\n"));
    }

    pub(super) fn histogram(&mut self, name: &str, labels: &[(&str, &str)], of: &Histogram) {
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        for (place, count) in of.buckets.iter().enumerate() {
            below += count.load(Ordering::Relaxed);
            let bound = BOUNDS_US.get(place).map(|bound| seconds(*bound));
            self.0.push_str(&bucket);
            self.labels(labels, Some(bound.as_deref().unwrap_or("+Inf")));
            self.line(format_args!(" {below}\n"));
        }
        let sum_us = of.sum_us.load(Ordering::Relaxed);
        self.sample(&format!("{name}_sum"), labels, seconds(sum_us));
        self.sample(&format!("{name}_count"), labels, below);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn labels(&mut self, labels: &[(&str, &str)], bound: Option<&str>) {
        let bound = bound.map(|bound| ("le", bound));
        let mut between = '{';
        for (name, value) in labels.iter().copied().chain(bound) {
            self.0.push(between);
            between = ',';
            self.0.push_str(name);
            self.0.push_str("=\"");
            for letter in value.chars() {
                match letter {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if between == ',' {
            self.0.push('}');
        }
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a string takes everything");
    }
}

/// Microseconds as seconds, exactly.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_everything_up_to_their_bound_and_labels_are_escaped() {
        let histogram = Histogram::default();
        histogram.note_us(50);
        histogram.note_us(51);
        histogram.note(Duration::from_secs(60));
        assert_eq!(Histogram::default().within_us(0.5), None);
        assert_eq!(
            [0.3, 0.5, 1.0].map(|share| histogram.within_us(share)),
            [Some(50), Some(100), Some(12_000_000)]
        );
        let mut text = Exposition::default();
        text.family("took_seconds", "histogram", "How long.");
        text.histogram("took_seconds", &[("chain", "a\"b\\c\nd")], &histogram);
        text.sample("up", &[], 1);
        let text = text.into_text();
        for line in [
            "# HELP took_seconds How long.",
            "# TYPE took_seconds histogram",
            r#"took_seconds_bucket{chain="a\"b\\c\nd",le="0.00005"} 1"#,
            r#"took_seconds_bucket{chain="a\"b\\c\nd",le="0.0001"} 2"#,
            r#"took_seconds_bucket{chain="a\"b\\c\nd",le="12"} 2"#,
            r#"took_seconds_bucket{chain="a\"b\\c\nd",le="+Inf"} 3"#,
            r#"took_seconds_sum{chain="a\"b\\c\nd"} 60.000101"#,
            r#"took_seconds_count{chain="a\"b\\c\nd"} 3"#,
            "up 1",
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in:\n{text}");
        }
        assert_eq!(text.lines().count(), 2 + BOUNDS_US.len() + 1 + 2 + 1);
    }
}
