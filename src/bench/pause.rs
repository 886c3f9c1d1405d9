//! `portcullis bench pause`: from the verdict to the bytes of the pause on every socket, and the counterfactual.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use portcullis_range::wire::{self, WireOptions, WireTimes};
use portcullis_watcher::act::PauseHand as _;
use portcullis_watcher::daemon::Trial;
use portcullis_watcher::source::SourceEvent;
use serde::Serialize;

use super::{FORMAT_VERSION, Format, hand, quantile, settings, shipped, time};
use crate::{guard, terminal};

/// Arguments of `bench pause`.
#[derive(Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// Nodes that the pause is sent to
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u8).range(1..=32))]
    nodes: u8,
    /// Relays that it is sent to as well
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(0..=32))]
    relays: u8,
    /// Pauses that are measured
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    shots: u32,
    /// How to print
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

/// What was measured. Times are microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    /// `release` or `debug`: figures of a debug build say nothing about speed.
    build: &'static str,
    nodes: usize,
    relays: usize,
    shots: u32,
    /// From the order to pause until its bytes were read from the last of all sockets.
    sent: Spread,
    /// The same with the nodes' confirmation of what it rests on before it: from the verdict.
    confirmed: Spread,
    /// Running [pause, attack] on the head, which the verdict waits for; the recorded attack.
    counterfactual: Spread,
}

/// Half of all within, and 99 in 100.
#[derive(Debug, Serialize)]
struct Spread {
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self {
            p50_us: quantile(&values, 0.5),
            p99_us: quantile(&values, 0.99),
            max_us: quantile(&values, 1.0),
        }
    }

    fn text(&self) -> String {
        format!(
            "half within {:.0} µs, 99 % within {:.0} µs, all within {:.0} µs",
            self.p50_us, self.p99_us, self.max_us
        )
    }
}

/// Measures and prints.
pub(super) fn run(args: &PauseArgs) -> anyhow::Result<ExitCode> {
    let options =
        WireOptions { nodes: args.nodes.into(), relays: args.relays.into(), shots: args.shots };
    let report = measure(&options)?;
    terminal::print(&match args.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Terminal => report.text(),
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn measure(options: &WireOptions) -> anyhow::Result<Report> {
    let WireTimes { sent_us, confirmed_us } = guard::runtime()?.block_on(wire::measure(options))?;
    Ok(Report {
        version: FORMAT_VERSION,
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
        nodes: options.nodes,
        relays: options.relays,
        shots: options.shots,
        sent: Spread::of(sent_us),
        confirmed: Spread::of(confirmed_us),
        counterfactual: Spread::of(counterfactual(options.shots)?),
    })
}

/// [pause, attack] of the recording that ships, on the head that the attack was announced on.
fn counterfactual(shots: u32) -> anyhow::Result<Vec<f64>> {
    let recordings = shipped()?;
    let recording = recordings.first().context("a recording ships")?;
    let (settings, parts) = settings(recording)?;
    let hand = hand(recording, &settings).context("the recording names its guardian")?;
    let target = settings
        .protected
        .iter()
        .find_map(|protected| protected.addresses.first())
        .context("the recording protects a contract")?;
    let trial = Trial::new(&settings, &parts, recording, None)?;
    let mut largest = None;
    for step in recording.steps() {
        match step {
            SourceEvent::Head(block) => trial.advance(block)?,
            SourceEvent::Pending(tx) => {
                trial.offer(Arc::clone(tx));
                let predecessors = trial.predecessors(tx)?;
                let Ok(execution) = trial.simulator().simulate(tx, &predecessors) else { continue };
                // The attack is what runs through most frames.
                let frames = execution.frames.len();
                if largest.as_ref().is_none_or(|(most, _)| frames > *most) {
                    let pause = [hand.rehearsal(*target, tx.hash)];
                    let mut times = Vec::new();
                    for _ in 0..shots {
                        let run = || trial.simulator().simulate_calls(&predecessors, &pause, tx);
                        times.push(time(run));
                    }
                    largest = Some((frames, times));
                }
            }
            _ => {}
        }
    }
    Ok(largest.context("the recording holds a transaction")?.1)
}

impl Report {
    fn text(&self) -> String {
        format!(
            "{} pauses to {} nodes and {} relays on this machine, {} build, key in memory\n\
             \n  from the order to pause to its bytes on every socket\n    {}\n\
             \n  with the nodes' confirmation before it\n    {}\n\
             \n  the counterfactual, [pause, attack] on the head\n    {}\n",
            self.shots,
            self.nodes,
            self.relays,
            self.build,
            self.sent.text(),
            self.confirmed.text(),
            self.counterfactual.text()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_figures_are_measured() {
        let report = measure(&WireOptions { nodes: 2, relays: 1, shots: 3 }).unwrap();
        for spread in [&report.sent, &report.confirmed, &report.counterfactual] {
            assert!(spread.p50_us > 0.0 && spread.p50_us <= spread.p99_us, "{report:?}");
            assert!(spread.p99_us <= spread.max_us, "{report:?}");
        }
        assert!(report.text().contains("3 pauses to 2 nodes and 1 relays"));
    }
}
