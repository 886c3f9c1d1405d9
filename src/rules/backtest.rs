//! `portcullis rules backtest`: how often a pack would have fired, on what, and whether a pause would have helped.
//!
//! Nothing is sent and nobody is told. A recording is replayed through the guard; a journal holds the facts of the
//! transactions that touched something protected, and those are judged again; past blocks of a node are run again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256};
use anyhow::{Context, bail};
use portcullis_alerting::guardian::FeeBudget;
use portcullis_alerting::journal::{Journal, VerdictFilter};
use portcullis_alerting::notify::{Dispatcher, RetryPolicy};
use portcullis_alerting::record::{Counterfactual, Decision, Evidence, Mode};
use portcullis_rules::question::Instance;
use portcullis_rules::{
    AnswerOutcome, FactTable, FactType, Maturity, Pack, RuleSet, Subject, Value,
};
use portcullis_watcher::daemon::{self, GuardEvent, Parts, Replay};
use portcullis_watcher::facts::dictionary;
use portcullis_watcher::settings::{
    ChainSettings, ChannelSettings, Flow, GuardSettings, PauseCall, PolicySettings,
    ProtectedSettings,
};
use portcullis_watcher::source::recording::{Entry, Pace, Recording};
use portcullis_watcher::verdict::Beside;
use serde::Serialize;

use super::blocks::{self, Heights};
use super::windows::Windows;
use super::{FOUND, Format, recorded};
use crate::{platform, terminal};

/// Version of the JSON form.
const FORMAT_VERSION: u32 = 1;
/// `pause()`, the call of OpenZeppelin's Pausable contracts.
const PAUSE_SELECTOR: [u8; 4] = [0x84, 0x56, 0xcb, 0x59];
/// The first bytes of a SQLite file.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;
/// Columns of the picture over time.
const COLUMNS: usize = 60;
/// Firings that the table shows and that JSON lists.
const MAX_SHOWN: usize = 20;
const MAX_LISTED: usize = 1_000;

/// What is asked.
#[derive(Debug, clap::Args)]
pub(super) struct BacktestArgs {
    /// The rule pack (YAML), or the name of a pack that ships
    #[arg(value_name = "PACK")]
    pub pack: PathBuf,
    /// A recording (JSON Lines), a journal (SQLite), or past blocks of a configured node, as in 100..250 or 100..
    #[arg(long, value_name = "FILE|BLOCKS")]
    pub from: PathBuf,
    /// With blocks: the configuration that names the node and what is protected
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    pub config: PathBuf,
    /// With blocks: the chain, where more than one is configured
    #[arg(long, value_name = "NAME")]
    pub chain: Option<String>,
    /// Exit with 1 if the rules fire on more transactions than this within any 24 hours
    #[arg(long, value_name = "N")]
    pub max_alerts_per_day: Option<usize>,
    /// Judge at most this many verdicts of a journal, the newest
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub limit: u32,
    /// Shape of the report
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    pub format: Format,
}

/// One transaction as the rules were asked about it.
pub(super) struct Asked {
    pub(super) tx_hash: B256,
    pub(super) to: Option<Address>,
    pub(super) seen_at_ms: u64,
    /// None where its facts are not known.
    pub(super) facts: Option<FactTable>,
    /// What the rules ask about the contracts that it touches; empty where nobody answered.
    pub(super) instances: Vec<Instance>,
    /// How long before it was mined it was seen, blocks and milliseconds.
    pub(super) ahead: Option<(u64, u64)>,
    pub(super) label: Option<String>,
    pub(super) would_pause: Option<bool>,
    pub(super) outflow_wei: Option<U256>,
    pub(super) counterfactual: Option<Counterfactual>,
}

impl Asked {
    /// One of which no more is known.
    pub(super) fn unjudged(tx_hash: B256, to: Option<Address>, seen_at_ms: u64) -> Self {
        Self {
            tx_hash,
            to,
            seen_at_ms,
            facts: None,
            instances: Vec::new(),
            ahead: None,
            label: None,
            would_pause: None,
            outflow_wei: None,
            counterfactual: None,
        }
    }
}

/// What a backtest found.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    pack: String,
    source: String,
    /// `recording`, `journal` or `blocks`.
    kind: &'static str,
    /// Transactions in the source.
    transactions: usize,
    /// Of them, those whose facts are known.
    judged: usize,
    /// More verdicts are in the journal than were looked at.
    cut: bool,
    /// From the first transaction to the last, milliseconds.
    span_ms: u64,
    /// Transactions on which a rule fired.
    fired: usize,
    /// Most of them within 24 hours.
    busiest_day: usize,
    rules: Vec<RuleCount>,
    /// Firings over time, one count for each part of the span.
    picture: Vec<usize>,
    /// The first firings, in order.
    firings: Vec<Firing>,
}

#[derive(Debug, Serialize)]
struct RuleCount {
    rule: String,
    fired: usize,
    unknown: usize,
}

#[derive(Debug, Serialize)]
struct Firing {
    tx_hash: B256,
    to: Option<Address>,
    seen_at_ms: u64,
    label: Option<String>,
    rules: Vec<String>,
    message: String,
    /// Seen so many blocks before the block that mined it stood; none where it was never mined.
    ahead_blocks: Option<u64>,
    ahead_ms: Option<u64>,
    /// These rules alone would have asked for a pause; none where that was not tried.
    would_pause: Option<bool>,
    /// The pause, mined first, stops it; none where that was not tried.
    pause_helps: Option<bool>,
    pause_detail: Option<String>,
    /// Ether that left, wei in decimal.
    outflow_wei: Option<String>,
}

/// Judges, prints, and compares with the limit.
///
/// # Errors
/// A source that cannot be read, or a pack without rules about transactions.
pub(super) fn run(args: &BacktestArgs, pack: Pack) -> anyhow::Result<ExitCode> {
    if pack.rules().iter().all(|rule| rule.subject() != Subject::Transaction) {
        bail!("{}: no rule in it has the subject `transaction`", args.pack.display());
    }
    let name = pack.name().to_owned();
    let rules = Arc::new(RuleSet::new(vec![pack])?);
    let heights = args.from.to_str().and_then(Heights::parse).filter(|_| !args.from.exists());
    let (kind, (asked, cut)) = if let Some(heights) = heights {
        let asked = blocks::judge(heights, &args.config, args.chain.as_deref(), &rules)?;
        ("blocks", (asked, false))
    } else if is_sqlite(&args.from)? {
        ("journal", of_journal(&args.from, args.limit, &rules)?)
    } else {
        ("recording", (of_recording(&args.from, &rules)?, false))
    };
    let report =
        Report { kind, cut, ..judge(&rules, name, args.from.display().to_string(), &asked) };
    let text = match args.format {
        Format::Terminal => page(&report),
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    terminal::print(&text)?;
    Ok(match args.max_alerts_per_day {
        Some(limit) if report.busiest_day > limit => {
            terminal::say(&format!(
                "{} alerts within 24 hours, more than the {limit} that are allowed",
                report.busiest_day
            ));
            ExitCode::from(FOUND)
        }
        _ => ExitCode::SUCCESS,
    })
}

fn is_sqlite(path: &Path) -> anyhow::Result<bool> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SQLITE.len() as u64).read_to_end(&mut start))
        .with_context(|| path.display().to_string())?;
    Ok(start == SQLITE)
}

fn of_journal(path: &Path, limit: u32, rules: &RuleSet) -> anyhow::Result<(Vec<Asked>, bool)> {
    let journal = Journal::open_read_only(path)?;
    let filter = VerdictFilter { limit: Some(limit.saturating_add(1)), ..Default::default() };
    let mut rows = journal.verdicts(&filter)?;
    let cut = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    rows.reverse();
    let mut asked = Vec::with_capacity(rows.len());
    let mut windows = Windows::default();
    for row in rows {
        let mut one = Asked::unjudged(row.tx_hash, row.to, row.seen_at_ms);
        match journal.evidence(row.tx_hash)?.pop() {
            None => windows.pass(&row),
            Some(evidence) => {
                let facts = stored_facts(&evidence);
                one.instances = windows.take(rules, &row, &evidence, &facts);
                one.facts = Some(facts);
                one.counterfactual = evidence.counterfactual;
            }
        }
        asked.push(one);
    }
    Ok((asked, cut))
}

/// Facts as evidence stores them; what is missing, or is not of its type any more, is unknown.
fn stored_facts(evidence: &Evidence) -> FactTable {
    let dictionary = dictionary();
    let mut table = dictionary.empty_table();
    for (position, spec) in dictionary.specs().iter().enumerate() {
        let Some(stored) = evidence.facts.get(spec.name) else { continue };
        let value = match spec.ty {
            FactType::Bool => stored.as_bool().map(Value::Bool),
            FactType::Uint => stored.as_str().and_then(|text| text.parse().ok()).map(Value::Uint),
            FactType::Text => stored.as_str().map(|text| Value::Text(text.to_owned())),
            FactType::Address => stored
                .as_str()
                .and_then(|text| text.parse::<Address>().ok())
                .map(|address| Value::Address(address.into_array())),
        };
        table.set(position, value.unwrap_or(Value::Unknown));
    }
    table
}

fn of_recording(path: &Path, rules: &Arc<RuleSet>) -> anyhow::Result<Vec<Asked>> {
    let recording = Arc::new(Recording::open(path)?);
    let seen = recorded::play(&recording, rules)?;
    let mut decided = decisions(&recording, rules)?;
    let mut labels = labels(path)?;
    let heights = heights(&recording);
    Ok(seen
        .into_iter()
        .enumerate()
        .map(|(place, seen)| {
            let hash = seen.tx.hash;
            let decision = decided.remove(&hash);
            let (observation, instances) =
                seen.observed.ok().map(|shown| (shown.observation, shown.instances)).unzip();
            let ahead = seen.mined.map(|(height, at_ms)| {
                let on = heights.get(place).copied().unwrap_or(height);
                (height.saturating_sub(on), at_ms.saturating_sub(seen.tx.seen_at_ms))
            });
            Asked {
                tx_hash: hash,
                to: seen.tx.to(),
                seen_at_ms: seen.tx.seen_at_ms,
                outflow_wei: observation.as_ref().map(|observation| observation.outflow_wei),
                facts: observation.map(|observation| observation.facts),
                instances: instances.unwrap_or_default(),
                ahead,
                label: labels.remove(&place),
                would_pause: decision.as_ref().map(|(decision, _)| *decision == Decision::Pause),
                counterfactual: decision.and_then(|(_, counterfactual)| counterfactual),
            }
        })
        .collect())
}

/// The height on which each pending transaction was seen.
fn heights(recording: &Recording) -> Vec<u64> {
    use portcullis_watcher::source::SourceEvent;
    let mut height = recording.header().head.number;
    let mut heights = Vec::new();
    for step in recording.steps() {
        match step {
            SourceEvent::Head(block) => height = block.number,
            SourceEvent::Pending(_) => heights.push(height),
            _ => {}
        }
    }
    heights
}

/// What the recording's notes say, by the place of the pending transaction that follows each.
fn labels(path: &Path) -> anyhow::Result<BTreeMap<usize, String>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let (mut labels, mut note, mut place) = (BTreeMap::new(), None, 0);
    // The recording was read once already, so every line is sound.
    for line in text.lines().skip(1) {
        match serde_json::from_str(line)? {
            Entry::Note(entry) => note = Some(entry.text),
            Entry::Pending(_) => {
                if let Some(label) = note.take() {
                    labels.insert(place, label);
                }
                place += 1;
            }
            _ => {}
        }
    }
    Ok(labels)
}

type Decided = BTreeMap<B256, (Decision, Option<Counterfactual>)>;

/// Lets the guard itself judge the recording with these rules alone, and try out each pause that it would send.
///
/// The pause is `pause()`, called on what is protected in the name of the contract that the recording calls
/// `guardian`; where it names none, no pause is tried.
fn decisions(recording: &Arc<Recording>, rules: &Arc<RuleSet>) -> anyhow::Result<Decided> {
    let header = recording.header();
    let chain: Arc<str> = header.chain.name.as_str().into();
    let pause = |addresses: &[Address]| {
        let call = |to: &Address| PauseCall { to: *to, data: Bytes::from(PAUSE_SELECTOR) };
        addresses.iter().map(call).collect()
    };
    let guardian = header.contracts.iter().find(|(_, known)| known.name == "guardian");
    let settings = GuardSettings {
        chains: vec![ChainSettings {
            name: Arc::clone(&chain),
            chain_id: header.chain.id,
            nodes: Vec::new(),
            block_time_ms: header.chain.block_time_s.saturating_mul(1_000),
            hardforks: recording.hardforks(),
            flow: Flow::Mempool,
            fees: FeeBudget { max_fee_per_gas_wei: 0, max_tip_wei: 0, max_cost_wei: 0 },
            relays: Vec::new(),
            not_modelled: Vec::new(),
        }],
        protected: recorded::protected(recording)
            .into_iter()
            .map(|(name, addresses)| ProtectedSettings {
                name,
                chain: Arc::clone(&chain),
                listed: Default::default(),
                pause: pause(&addresses),
                addresses,
                mode: None,
            })
            .collect(),
        mode: Mode::Observe,
        // Each transaction is judged for itself: an earlier pause neither uses up a budget nor starts a wait.
        policy: PolicySettings {
            max_pauses_per_day: u32::MAX,
            cooldown_blocks: 0,
            ..PolicySettings::default()
        },
        guardian: guardian.map(|(address, _)| *address),
        journal: None,
        clickhouse: None,
        evidence_floor: 1.0,
        channels: ChannelSettings::default(),
        workers: 1,
        http: None,
        control: None,
    };
    let parts = Parts {
        rules: Arc::clone(rules),
        model: None,
        beside: Beside::default(),
        key: None,
        dispatcher: Dispatcher::new(Vec::new(), RetryPolicy::default()),
        clock: Arc::new(platform::now_ms),
    };
    let replay = Replay { recording: Arc::clone(recording), pace: Pace::Unpaced, hand: None };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let events = runtime.block_on(daemon::replay(&settings, parts, replay, |_| {}))?;
    let mut decided = Decided::new();
    for event in events {
        if let GuardEvent::Verdict(judged) = event {
            let tried = judged.evidence.and_then(|evidence| evidence.counterfactual);
            decided.insert(judged.row.tx_hash, (judged.row.would_decide, tried));
        }
    }
    Ok(decided)
}

fn judge(rules: &RuleSet, pack: String, source: String, asked: &[Asked]) -> Report {
    let mut counts: BTreeMap<&str, (usize, usize)> = rules
        .rules()
        .filter(|(_, rule)| {
            rule.subject() == Subject::Transaction && rule.maturity() != Maturity::Retired
        })
        .map(|(_, rule)| (rule.id(), (0, 0)))
        .collect();
    let (mut firings, mut times) = (Vec::new(), Vec::new());
    for one in asked {
        let Some(facts) = &one.facts else { continue };
        let (mut fired, mut messages) = (Vec::new(), Vec::new());
        for answer in rules.evaluate_on(Subject::Transaction, facts, &one.instances) {
            let count = counts.get_mut(answer.rule.as_str());
            match answer.outcome {
                AnswerOutcome::Fires { message, .. } => {
                    if let Some(count) = count {
                        count.0 += 1;
                    }
                    fired.push(answer.rule);
                    messages.push(message.trim().to_owned());
                }
                AnswerOutcome::Unknown { .. } => {
                    if let Some(count) = count {
                        count.1 += 1;
                    }
                }
            }
        }
        if fired.is_empty() {
            continue;
        }
        times.push(one.seen_at_ms);
        if firings.len() < MAX_LISTED {
            let tried = one.counterfactual.as_ref();
            firings.push(Firing {
                tx_hash: one.tx_hash,
                to: one.to,
                seen_at_ms: one.seen_at_ms,
                label: one.label.clone(),
                rules: fired,
                message: messages.join("; "),
                ahead_blocks: one.ahead.map(|(blocks, _)| blocks),
                ahead_ms: one.ahead.map(|(_, ms)| ms),
                would_pause: one.would_pause,
                pause_helps: tried.map(|tried| tried.pause_succeeds && tried.attack_stopped),
                pause_detail: tried.map(|tried| tried.detail.clone()),
                outflow_wei: one.outflow_wei.map(|wei| wei.to_string()),
            });
        }
    }
    let seen = || asked.iter().map(|one| one.seen_at_ms);
    let (first_ms, last_ms) = (seen().min().unwrap_or(0), seen().max().unwrap_or(0));
    Report {
        version: FORMAT_VERSION,
        pack,
        source,
        kind: "recording",
        transactions: asked.len(),
        judged: asked.iter().filter(|one| one.facts.is_some()).count(),
        cut: false,
        span_ms: last_ms - first_ms,
        fired: times.len(),
        busiest_day: busiest_day(&mut times),
        rules: counts
            .into_iter()
            .map(|(rule, (fired, unknown))| RuleCount { rule: rule.to_owned(), fired, unknown })
            .collect(),
        picture: picture(&times, first_ms, last_ms),
        firings,
    }
}

/// Most of the times that lie within 24 hours of each other; sorts them.
fn busiest_day(times: &mut [u64]) -> usize {
    times.sort_unstable();
    let (mut most, mut from) = (0, 0);
    for (to, at_ms) in times.iter().enumerate() {
        while at_ms - times[from] >= DAY_MS {
            from += 1;
        }
        most = most.max(to - from + 1);
    }
    most
}

/// How many times fall into each of equal parts of the span.
fn picture(times: &[u64], first_ms: u64, last_ms: u64) -> Vec<usize> {
    let mut columns = vec![0; COLUMNS];
    let span = u128::from(last_ms - first_ms) + 1;
    for at_ms in times {
        let column = u128::from(at_ms - first_ms) * COLUMNS as u128 / span;
        columns[usize::try_from(column).unwrap_or(COLUMNS).min(COLUMNS - 1)] += 1;
    }
    columns
}

fn page(report: &Report) -> String {
    let Report { pack, source, transactions, judged, fired, busiest_day, span_ms, .. } = report;
    let mut text = format!("pack `{pack}` over {source} ({})\n\n", report.kind);
    let share = if *transactions == 0 { 0 } else { judged * 1_000 / transactions };
    let mut line = |line: String| {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{line}");
    };
    line(format!("{:<24}{transactions} over {}", "transactions", duration(*span_ms)));
    let missing = match report.kind {
        "journal" => "without stored facts",
        _ => "could not be simulated",
    };
    line(format!(
        "{:<24}{judged} ({}.{} %); {} {missing}",
        "judged",
        share / 10,
        share % 10,
        transactions - judged
    ));
    if report.cut {
        line(format!("{:<24}older verdicts were left out, see --limit", ""));
    }
    line(format!("{:<24}{fired}, at most {busiest_day} within 24 hours", "would have alerted on"));
    line(String::new());
    line(format!("{:<40}{:>8}{:>10}", "rule", "fired", "unknown"));
    for rule in &report.rules {
        line(format!("{:<40}{:>8}{:>10}", rule.rule, rule.fired, rule.unknown));
    }
    line(String::new());
    line(format!("over time  |{}|", sparkline(&report.picture)));
    for firing in report.firings.iter().take(MAX_SHOWN) {
        line(String::new());
        let label = firing.label.as_ref().map_or(String::new(), |label| format!("  \"{label}\""));
        line(format!("{}{label}", firing.tx_hash));
        line(format!("  {}: {}", firing.rules.join(", "), firing.message));
        if report.kind == "recording" {
            line(match (firing.ahead_blocks, firing.ahead_ms) {
                (Some(blocks), Some(ms)) => {
                    let noun =
                        super::plural(usize::try_from(blocks).unwrap_or(usize::MAX), "block");
                    format!("  seen {} before it was mined, {blocks} {noun} later", duration(ms))
                }
                _ => "  not mined in this recording".to_owned(),
            });
        }
        line(match (firing.would_pause, firing.pause_helps, &firing.pause_detail) {
            (_, Some(true), Some(detail)) => format!("  the pause would have helped: {detail}"),
            (_, Some(false), Some(detail)) => {
                format!("  the pause would not have helped: {detail}")
            }
            (Some(true), ..) => "  a pause, which could not be tried out".to_owned(),
            (Some(false), ..) => "  an alert: these rules alone ask for no pause".to_owned(),
            _ => "  no pause was tried out when it was judged".to_owned(),
        });
    }
    if report.fired > MAX_SHOWN {
        line(format!("\n{} more; --format json lists {MAX_LISTED}", report.fired - MAX_SHOWN));
    }
    text
}

/// One character a part: a dot where nothing fired, higher the more did.
fn sparkline(columns: &[usize]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = columns.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: &usize| match count {
        0 => '·',
        count => BARS[(count * BARS.len()).div_ceil(most).clamp(1, BARS.len()) - 1],
    };
    columns.iter().map(bar).collect()
}

fn duration(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{:03} s", ms / 1_000, ms % 1_000),
        10_000..600_000 => format!("{} s", ms / 1_000),
        600_000..172_800_000 => format!("{} min", ms / 60_000),
        _ => format!("{} days", ms / DAY_MS),
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, DAY_MS, busiest_day, picture, sparkline};

    #[test]
    fn the_busiest_day_may_begin_at_any_time() {
        assert_eq!(busiest_day(&mut []), 0);
        assert_eq!(busiest_day(&mut [5]), 1);
        assert_eq!(busiest_day(&mut [DAY_MS + 9, 10, DAY_MS - 1, 3 * DAY_MS]), 3);
        assert_eq!(busiest_day(&mut [0, DAY_MS, 2 * DAY_MS]), 1);
    }

    #[test]
    fn the_picture_holds_every_firing_in_its_place() {
        let columns = picture(&[0, 50, 99, 99], 0, 99);
        assert_eq!(columns.iter().sum::<usize>(), 4);
        assert_eq!((columns[0], columns[COLUMNS / 2], columns[COLUMNS - 1]), (1, 1, 2));
        assert_eq!(picture(&[7, 7], 7, 7)[0], 2);
        assert_eq!(sparkline(&[0, 1, 8]), "·▁█");
    }
}
