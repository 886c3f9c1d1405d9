//! `portcullis policy report`: how the guard would have fared, from its journal, before it is armed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use alloy::primitives::B256;
use anyhow::bail;
use portcullis_alerting::journal::{DayStats, Journal, VerdictFilter};
use portcullis_alerting::record::{Decision, Mode};
use portcullis_watcher::daemon::clean_days;
use serde::Serialize;

use crate::config::{self, Config};
use crate::terminal::{self, Paint};
use crate::{guardian, platform};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;
/// Would-be pauses that are listed, the newest first.
const LISTED: u32 = 20;

/// Arguments of `policy`.
#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PolicyCommand {
    /// Tell what would have been paused so far, and whether `armed` is honoured at the next start
    Report(ReportArgs),
}

#[derive(Debug, clap::Args)]
struct ReportArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Days to look back
    #[arg(long, value_name = "DAYS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "terminal")]
    format: guardian::Format,
}

/// The record of every chain.
#[derive(Debug, Serialize)]
struct Report {
    chains: Vec<ChainReport>,
}

/// The record of one chain.
#[derive(Debug, Serialize)]
struct ChainReport {
    chain: String,
    /// So many clean days are needed before `armed` is honoured.
    clean_days_needed: u32,
    /// Why `armed` is honoured without them.
    arm_override: Option<String>,
    protected: Vec<ProtectedReport>,
    judged: u64,
    would_pause: u64,
    /// By day (UTC).
    days: Vec<(String, DayStats)>,
    /// The newest of what would have been paused.
    newest: Vec<WouldPause>,
}

/// How one protected entry stands.
#[derive(Debug, Serialize)]
struct ProtectedReport {
    name: String,
    /// The mode that a start now would give it.
    mode: Mode,
    /// Whole days in a row before today on which it would not have been paused while it was not armed.
    clean_days: u32,
}

/// One transaction that would have been paused for, or was.
#[derive(Debug, Serialize)]
struct WouldPause {
    tx_hash: B256,
    block: u64,
    mode: Mode,
    decision: Decision,
    /// Names of the protocols that it touches.
    touched: Vec<String>,
    reason: String,
}

/// Does it.
///
/// # Errors
/// A configuration or a journal that cannot be read.
pub(crate) fn run(args: PolicyArgs) -> anyhow::Result<ExitCode> {
    let PolicyCommand::Report(args) = args.command;
    let config = config::load(&args.config)?;
    let base = args.config.parent().unwrap_or(Path::new(""));
    let path = base.join(&config.journal.path);
    if !path.is_file() {
        bail!(
            "{}: there is no journal yet; let `portcullis guard --config {}` observe for some days, then ask again",
            path.display(),
            args.config.display()
        );
    }
    let journal = Journal::open_read_only(path)?;
    let report = report(&config, &journal, args.days, platform::now_ms())?;
    match args.format {
        guardian::Format::Json => {
            terminal::print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
        }
        guardian::Format::Terminal => {
            terminal::print(&report.page(Paint { on: terminal::stdout_has_colour() }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn report(config: &Config, journal: &Journal, days: u64, now_ms: u64) -> anyhow::Result<Report> {
    let needed = config.policy.arm_after_clean_days;
    let mut chains = Vec::new();
    for chain in &config.chains {
        let filter = VerdictFilter {
            chain: Some(chain.name.clone()),
            since_ms: Some(now_ms.saturating_sub(days.saturating_mul(DAY_MS))),
            live_only: true,
            ..VerdictFilter::default()
        };
        let stats = journal.stats(&filter)?;
        let pauses = VerdictFilter {
            would_decide_at_least: Some(Decision::Pause),
            limit: Some(LISTED),
            ..filter
        };
        let newest = journal.verdicts(&pauses)?;
        let entries = config.protected.iter().filter(|entry| entry.chain == chain.name);
        chains.push(ChainReport {
            chain: chain.name.clone(),
            clean_days_needed: needed,
            arm_override: config.policy.arm_override.clone(),
            protected: entries
                .map(|entry| {
                    let clean = clean_days(journal, &chain.name, &entry.name, needed, now_ms)?;
                    let is_honoured = clean >= needed || config.policy.arm_override.is_some();
                    let mode = entry.mode.unwrap_or(config.mode);
                    let held = mode == Mode::Armed && !is_honoured;
                    let mode = if held { Mode::Alert } else { mode };
                    Ok(ProtectedReport { name: entry.name.clone(), mode, clean_days: clean })
                })
                .collect::<anyhow::Result<_>>()?,
            judged: stats.verdicts,
            would_pause: stats.days.values().map(|day| day.would_pause).sum(),
            days: stats.days.into_iter().collect(),
            newest: newest
                .into_iter()
                .map(|row| WouldPause {
                    tx_hash: row.tx_hash,
                    block: row.block,
                    mode: row.mode,
                    decision: row.decision,
                    touched: row.touched,
                    reason: row.reason,
                })
                .collect(),
        });
    }
    Ok(Report { chains })
}

impl Report {
    fn page(&self, paint: Paint) -> String {
        let mut page = String::new();
        for chain in &self.chains {
            page.push_str(&format!(
                "{}: {} judged, {} would have been paused for\n",
                paint.bold(&chain.chain),
                chain.judged,
                chain.would_pause
            ));
            for entry in &chain.protected {
                let needed = chain.clean_days_needed;
                let days = format!("{} of {needed} clean days", entry.clean_days.min(needed));
                let verdict = match (&chain.arm_override, entry.clean_days >= needed) {
                    (_, true) => paint.green(&format!("{days}: `armed` is honoured")),
                    (Some(reason), false) => {
                        paint.yellow(&format!("{days}: `armed` is honoured by override: {reason}"))
                    }
                    (None, false) => paint.yellow(&format!("{days}: `armed` would run as `alert`")),
                };
                page.push_str(&format!("  {}: {}; {verdict}\n", entry.name, word(entry.mode)));
            }
            for (day, counts) in &chain.days {
                page.push_str(&format!(
                    "  {day}  {:>9} judged {:>6} alerts {:>6} would pause {:>6} unknown\n",
                    counts.verdicts, counts.alerts, counts.would_pause, counts.unknown
                ));
            }
            for pause in &chain.newest {
                page.push_str(&format!(
                    "  {} in {} on {}, {}: {}\n",
                    pause.tx_hash,
                    word(pause.mode),
                    pause.block,
                    pause.touched.join(" and "),
                    pause.reason
                ));
            }
        }
        page
    }
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Alert => "alert",
        Mode::Armed => "armed",
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;
    use portcullis_alerting::record::{Outcome, VerdictRow};

    use super::*;

    const NOW_MS: u64 = 20_000 * DAY_MS + DAY_MS / 2;

    fn row(days_ago: u64, would_decide: Decision) -> VerdictRow {
        VerdictRow {
            chain: "local".into(),
            chain_id: 31_337,
            block: 77,
            tx_hash: B256::repeat_byte(7),
            from: Address::ZERO,
            to: None,
            seen_at_ms: NOW_MS - days_ago * DAY_MS,
            latency_us: 1,
            outcome: Outcome::Clear,
            decision: Decision::None,
            would_decide,
            mode: Mode::Alert,
            score: None,
            reason: "hard invariant broken".into(),
            is_mined: false,
            touched: Vec::new(),
            would_pause: Vec::new(),
            is_replay: false,
        }
    }

    #[test]
    fn the_record_says_what_would_have_been_paused_and_what_arming_comes_to() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().join("journal.db")).unwrap();
        (1..=7).for_each(|day| journal.append_verdict(&row(day, Decision::None)).unwrap());
        let text = "version = 1\nmode = 'armed'\n[[chains]]\nname = 'local'\nchain_id = 31337\nblock_time_ms = 1000\n\
                    nodes = ['ws://127.0.0.1:1']\n[[protected]]\nname = 'vault'\nchain = 'local'\n\
                    addresses = ['0x00000000000000000000000000000000000000aa']\n[guardian]\n\
                    address = '0x00000000000000000000000000000000000000bb'\nkey = { env = 'KEY' }\n";
        let config = config::parse(text, Path::new("portcullis.toml")).unwrap();
        let page = || report(&config, &journal, 30, NOW_MS).unwrap().page(Paint { on: false });
        let clean = page();
        assert!(clean.contains("7 judged, 0 would have been paused for"), "{clean}");
        assert!(
            clean.contains("  vault: armed; 7 of 7 clean days: `armed` is honoured\n"),
            "{clean}"
        );

        // What would have paused another protocol, and what happened in a replay, count against nobody here.
        let other = VerdictRow {
            touched: vec!["pool".into()],
            would_pause: vec!["pool".into()],
            ..row(3, Decision::Pause)
        };
        let of_vault = |is_replay| VerdictRow {
            touched: vec!["vault".into()],
            would_pause: vec!["vault".into()],
            is_replay,
            ..row(3, Decision::Pause)
        };
        journal.append_verdict(&other).unwrap();
        journal.append_verdict(&of_vault(true)).unwrap();
        let unstained = page();
        assert!(unstained.contains("vault: armed; 7 of 7 clean days"), "{unstained}");
        assert!(unstained.contains("8 judged, 1 would have been paused for"), "{unstained}");

        journal.append_verdict(&of_vault(false)).unwrap();
        let stained = page();
        assert!(
            stained.contains("vault: alert; 2 of 7 clean days: `armed` would run as `alert`\n"),
            "{stained}"
        );
        assert!(stained.contains("in alert on 77, vault: hard invariant broken"), "{stained}");
    }
}
