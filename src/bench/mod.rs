//! `portcullis bench`: how long simulation and judgement take, side by side in one run with the bare machine.

mod attacks;
mod pause;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, Bytes, U256};
use anyhow::{Context, ensure};
use portcullis_range::story::{Story, StoryOptions, market};
use portcullis_rules::{RuleSet, Subject};
use portcullis_watcher::daemon::{DryHand, Parts, Trial};
use portcullis_watcher::facts::asked::{self, Judged, Memory, Sources};
use portcullis_watcher::facts::observe;
use portcullis_watcher::settings::GuardSettings;
use portcullis_watcher::source::recording::Recording;
use portcullis_watcher::source::{PendingTransaction, SourceEvent, decode_raw};
use serde::Serialize;

use crate::guard::{self, SHOWN_PAUSE_GAS};
use crate::rules::many;
use crate::simulate::names;
use crate::terminal;

/// The recording that ships.
const RECORDING: &str = include_str!("../../fixtures/recordings/vault-attack.jsonl");
/// Version of the JSON form.
const FORMAT_VERSION: u32 = 1;
/// Transactions over this gas do not count into the 99th percentile.
const P99_GAS: u64 = 1_000_000;
/// Numbers of rules that are measured side by side.
const MANY: [usize; 2] = [200, 1_000];
/// Sizes of the protected set that are measured.
const PROTECTED_SETS: [usize; 3] = [1, 100, 10_000];
/// Bounds between the groups of transactions by gas.
const GAS_BOUNDS: [u64; 4] = [30_000, 100_000, 300_000, 1_000_000];
/// Threads of the throughput figure.
const THREADS: usize = 2;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 measured; 2 the recording cannot be used, or a node is missing."
)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// A recording whose state is complete; those that ship if none is named
    #[arg(long, value_name = "FILE")]
    recording: Option<PathBuf>,
    /// How often each transaction is run for each figure
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// How to print
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

/// What is measured instead of the pipeline.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// From the verdict to the bytes of the pause on every socket
    Pause(pause::PauseArgs),
    /// Staged attacks on real nodes: how many pauses are mined first, and what they cost
    Attacks(attacks::AttackArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Terminal,
    /// For programs
    Json,
}

/// What was measured. Times are microseconds.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    /// `release` or `debug`: figures of a debug build say nothing about speed.
    build: &'static str,
    transactions: usize,
    runs: u32,
    /// Median over the kinds of transaction of simulation to bare machine.
    simulation_ratio_median: f64,
    kinds: Vec<Kind>,
    /// Everything but the simulation, for a swap that touches a protected contract; null where there is none.
    rest_us_protected_swap: Option<f64>,
    /// The same for whatever touches one, decoding and sender recovery included; median.
    rest_us_protected: Option<f64>,
    /// Everything but the simulation and sender recovery, for what touches none; median.
    rest_us_unrelated: Option<f64>,
    /// Decoding and sender recovery; median.
    decode_and_recover_us: f64,
    /// Facts, features, rules and model alone, where a protected contract is touched; median.
    facts_rules_model_us_protected: Option<f64>,
    /// The same where none is touched and the model is not asked; median.
    facts_rules_model_us_unrelated: Option<f64>,
    /// So many rules, shipped and derived ones, with what they ask answered: beside the simulation's own time.
    rules: Vec<RuleTimes>,
    /// From encoded bytes to the published decision; transactions under a million gas.
    verdict_p50_us: f64,
    verdict_p99_us: f64,
    /// From encoded bytes to published decisions a second, on [`THREADS`] threads.
    throughput_tps: f64,
    throughput_threads: usize,
    /// How all grows with the gas that a transaction uses.
    by_gas: Vec<ByGas>,
    /// How all grows with the number of protected addresses.
    by_protected: Vec<ByProtected>,
    notes: Vec<String>,
}

/// What a number of rules takes; medians over transactions.
#[derive(Debug, Serialize)]
struct RuleTimes {
    rules: usize,
    /// Where something protected is touched.
    protected_us: Option<f64>,
    /// For a swap that touches a protected contract; null where there is none.
    protected_swap_us: Option<f64>,
    /// Where nothing protected is touched.
    unrelated_us: Option<f64>,
    /// The simulation of the transactions of the first figure.
    simulate_us_protected: Option<f64>,
}

/// One kind of transaction.
#[derive(Debug, Serialize)]
struct Kind {
    kind: String,
    transactions: usize,
    gas_median: f64,
    bare_us: f64,
    simulate_us: f64,
    ratio: f64,
}

/// Transactions that use about as much gas; medians.
#[derive(Debug, Serialize)]
struct ByGas {
    /// Gas used, more than this.
    over: u64,
    transactions: usize,
    simulate_us: f64,
    rest_us: f64,
}

/// One size of the protected set; medians.
#[derive(Debug, Serialize)]
struct ByProtected {
    addresses: usize,
    rest_us_protected: Option<f64>,
    rest_us_unrelated: Option<f64>,
    verdict_us: f64,
}

/// What was measured of one transaction, medians in microseconds.
#[derive(Debug)]
struct Sample {
    kind: String,
    gas: u64,
    touches_protected: bool,
    /// Without pending predecessors; only then is the bare machine's work the same.
    bare_us: Option<f64>,
    simulate_us: f64,
    decode_us: f64,
    judge_us: f64,
    /// For each number in [`MANY`].
    rules_us: Vec<f64>,
    /// From the simulation to the publication, without decoding.
    work_us: f64,
    /// Every single run, decoding included.
    verdicts_us: Vec<f64>,
}

/// Measures and prints.
pub(crate) fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    match &args.what {
        Some(What::Pause(args)) => return pause::run(args),
        Some(What::Attacks(args)) => return attacks::run(args),
        None => {}
    }
    let recordings = match &args.recording {
        Some(path) => vec![Recording::open(path)?],
        None => shipped()?,
    };
    let report = measure(&recordings, args.runs)?;
    let text = match args.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Terminal => report.text(),
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The vault's story, and a market with swaps.
fn shipped() -> anyhow::Result<Vec<Recording>> {
    let vault = Recording::read(Path::new("the recording that ships"), RECORDING.as_bytes())?;
    Ok(vec![vault, market()?])
}

/// The first recording's throughput; everything else is of all of them.
fn measure(recordings: &[Recording], runs: u32) -> anyhow::Result<Report> {
    let many = MANY.map(many::rules);
    let (mut samples, mut skipped) = (Vec::new(), 0);
    for recording in recordings {
        let more = sample_all(recording, &many, runs, 0)?;
        skipped += more.1;
        samples.extend(more.0);
    }
    ensure!(!samples.is_empty(), "the recording holds no pending transaction that can be run");
    let first = recordings.first().context("there is a recording")?;
    let (settings, parts) = settings(first)?;
    let trial = Trial::new(&settings, &parts, first, hand(first, &settings))?;
    let throughput_tps = throughput(&trial, first, runs)?;
    let last = recordings.last().context("there is a recording")?;
    let mut report = Report::new(&samples, skipped, runs, throughput_tps);
    for addresses in PROTECTED_SETS {
        report.by_protected.push(by_protected(last, runs, addresses)?);
    }
    Ok(report)
}

/// Every transaction of a recording, and how many cannot be run, with so many more addresses protected.
fn sample_all(
    recording: &Recording,
    many: &[RuleSet],
    runs: u32,
    more_protected: usize,
) -> anyhow::Result<(Vec<Sample>, usize)> {
    let (mut settings, parts) = settings(recording)?;
    if let Some(protected) = settings.protected.first_mut() {
        let made_up = |number| Address::from_word((U256::from(number) << 40_usize).into());
        protected.addresses.extend((1..=more_protected).map(made_up));
    }
    let trial = Trial::new(&settings, &parts, recording, hand(recording, &settings))?;
    let (mut samples, mut skipped) = (Vec::new(), 0);
    for step in recording.steps() {
        match step {
            SourceEvent::Head(block) => trial.advance(block)?,
            SourceEvent::Pending(tx) => {
                trial.offer(Arc::clone(tx));
                match sample(&trial, many, tx, runs)? {
                    Some(sample) => samples.push(sample),
                    None => skipped += 1,
                }
            }
            _ => {}
        }
    }
    Ok((samples, skipped))
}

fn by_protected(recording: &Recording, runs: u32, addresses: usize) -> anyhow::Result<ByProtected> {
    let (samples, _) = sample_all(recording, &[], runs, addresses.saturating_sub(1))?;
    Ok(ByProtected {
        addresses,
        rest_us_protected: median_where(&samples, true, rest),
        rest_us_unrelated: median_where(&samples, false, rest_without_decoding),
        verdict_us: median(
            samples.iter().map(|sample| sample.decode_us + sample.work_us).collect(),
        ),
    })
}

fn median_where(samples: &[Sample], touches: bool, value: fn(&Sample) -> f64) -> Option<f64> {
    let chosen = samples.iter().filter(|sample| sample.touches_protected == touches);
    let values: Vec<f64> = chosen.map(value).collect();
    (!values.is_empty()).then(|| median(values))
}

fn by_gas(samples: &[Sample]) -> Vec<ByGas> {
    let bounds = [0].into_iter().chain(GAS_BOUNDS);
    let group = |over: u64| {
        let up_to = GAS_BOUNDS.into_iter().find(|bound| *bound > over).unwrap_or(u64::MAX);
        let chosen: Vec<&Sample> =
            samples.iter().filter(|sample| sample.gas > over && sample.gas <= up_to).collect();
        ByGas {
            over,
            transactions: chosen.len(),
            simulate_us: median(chosen.iter().map(|sample| sample.simulate_us).collect()),
            rest_us: median(chosen.iter().map(|sample| rest(sample)).collect()),
        }
    };
    bounds.map(group).filter(|group| group.transactions > 0).collect()
}

/// None for a transaction that cannot be mined on its head.
fn sample(
    trial: &Trial,
    many: &[RuleSet],
    tx: &Arc<PendingTransaction>,
    runs: u32,
) -> anyhow::Result<Option<Sample>> {
    let raw = tx.raw();
    let predecessors = trial.predecessors(tx)?;
    let simulator = trial.simulator();
    let Ok(execution) = simulator.simulate(tx, &predecessors) else { return Ok(None) };
    let observation = observe(&execution, trial.protected());
    let mut bare = match predecessors.as_slice() {
        [] => Some(simulator.bare(tx, &[])?),
        _ => None,
    };
    let mut times: [Vec<f64>; 5] = Default::default();
    let mut verdicts_us = Vec::with_capacity(runs as usize);
    let mut rules_us = vec![Vec::with_capacity(runs as usize); many.len()];
    let memory = Memory::new(0);
    let ask = |rules: &RuleSet| {
        let sources = Sources { simulator, protected: trial.protected(), memory: &memory };
        let judged = Judged {
            tx,
            predecessors: &predecessors,
            execution: &execution,
            observation: &observation,
        };
        let instances = asked::instances(rules, sources, judged, None);
        rules.evaluate_on(Subject::Transaction, &observation.facts, &instances)
    };
    // Each figure is taken in every round, so that a machine that is busy for a while is so for all of them.
    for _ in 0..runs {
        let [bare_us, simulate_us, decode_us, judge_us, work_us] = &mut times;
        if let Some(bare) = &mut bare {
            bare_us.push(time(|| bare.run()));
        }
        simulate_us.push(time(|| simulator.simulate(tx, &predecessors)));
        let decode = time(|| decode_raw(&raw));
        judge_us
            .push(time(|| trial.asks().judge(&observe(black_box(&execution), trial.protected()))));
        for (rules, times) in many.iter().zip(&mut rules_us) {
            times.push(time(|| ask(black_box(rules))));
        }
        let again = Arc::clone(tx);
        let work = time(|| trial.judge(again));
        decode_us.push(decode);
        work_us.push(work);
        verdicts_us.push(decode + work);
    }
    let [bare_us, simulate_us, decode_us, judge_us, work_us] = times.map(median);
    Ok(Some(Sample {
        kind: kind(tx),
        gas: execution.gas_used,
        touches_protected: !observation.touched.is_empty(),
        bare_us: bare.is_some().then_some(bare_us),
        simulate_us,
        decode_us,
        judge_us,
        rules_us: rules_us.into_iter().map(median).collect(),
        work_us,
        verdicts_us,
    }))
}

/// Judges what waits on each head, over and over, on all threads at once.
fn throughput(trial: &Trial, recording: &Recording, runs: u32) -> anyhow::Result<f64> {
    let judged = AtomicU64::new(0);
    let mut took = Duration::ZERO;
    let mut waiting: Vec<Bytes> = Vec::new();
    let mut judge_all = |waiting: &[Bytes]| {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for raw in (0..runs).flat_map(|_| waiting) {
                        let Ok(tx) = decode_raw(raw) else { continue };
                        if trial.judge(Arc::new(tx)) {
                            judged.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        // Whatever was judged is also written down within the time that is counted.
        trial.settle();
        took += began.elapsed();
    };
    for step in recording.steps() {
        match step {
            SourceEvent::Head(block) => {
                judge_all(&waiting);
                waiting.clear();
                trial.advance(block)?;
            }
            SourceEvent::Pending(tx) => {
                trial.offer(Arc::clone(tx));
                waiting.push(tx.raw());
            }
            _ => {}
        }
    }
    judge_all(&waiting);
    Ok(judged.load(Ordering::Relaxed) as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE))
}

impl Report {
    fn new(samples: &[Sample], skipped: usize, runs: u32, throughput_tps: f64) -> Self {
        let kinds = kinds(samples);
        let of = |touches, value| median_where(samples, touches, value);
        let mut verdicts: Vec<f64> = samples
            .iter()
            .filter(|sample| sample.gas < P99_GAS)
            .flat_map(|sample| sample.verdicts_us.iter().copied())
            .collect();
        verdicts.sort_by(f64::total_cmp);
        let mut notes = vec![
            "rest: decoding and the whole pipeline, less the simulation, in the same round; reasons and evidence are \
             written by a thread of their own once the verdict is given, and go to no journal and to nobody"
                .to_owned(),
            "verdict: from encoded bytes, not from a socket; a pause that is due is rehearsed, and its evidence \
             written, within it".to_owned(),
        ];
        if !samples.iter().any(is_protected_swap) {
            notes.push(
                "rest_us_protected_swap: no swap in the recording touches a protected contract; the nearest figure \
                 is rest_us_protected"
                    .to_owned(),
            );
        }
        let with_predecessors = samples.iter().filter(|sample| sample.bare_us.is_none()).count();
        if with_predecessors > 0 {
            notes.push(format!(
                "{with_predecessors} transactions wait for others and are left out of the ratio: their simulation runs \
                 those as well"
            ));
        }
        if skipped > 0 {
            notes.push(format!("{skipped} transactions cannot be mined on their head; left out"));
        }
        let swaps: Vec<f64> =
            samples.iter().filter(|sample| is_protected_swap(sample)).map(rest).collect();
        Self {
            version: FORMAT_VERSION,
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            transactions: samples.len(),
            runs,
            simulation_ratio_median: median(kinds.iter().map(|kind| kind.ratio).collect()),
            kinds,
            rest_us_protected_swap: (!swaps.is_empty()).then(|| median(swaps)),
            rest_us_protected: of(true, rest),
            rest_us_unrelated: of(false, rest_without_decoding),
            decode_and_recover_us: median(samples.iter().map(|sample| sample.decode_us).collect()),
            facts_rules_model_us_protected: of(true, |sample| sample.judge_us),
            facts_rules_model_us_unrelated: of(false, |sample| sample.judge_us),
            rules: rule_times(samples),
            verdict_p50_us: quantile(&verdicts, 0.5),
            verdict_p99_us: quantile(&verdicts, 0.99),
            throughput_tps,
            throughput_threads: THREADS,
            by_gas: by_gas(samples),
            by_protected: Vec::new(),
            notes,
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} transactions, {} runs each, {} build\n\n  {:<28} {:>5} {:>9} {:>9} {:>9} {:>6}\n",
            self.transactions,
            self.runs,
            self.build,
            "kind",
            "n",
            "gas",
            "bare µs",
            "ours µs",
            "ratio"
        );
        for kind in &self.kinds {
            text.push_str(&format!(
                "  {:<28} {:>5} {:>9.0} {:>9.1} {:>9.1} {:>6.2}\n",
                kind.kind,
                kind.transactions,
                kind.gas_median,
                kind.bare_us,
                kind.simulate_us,
                kind.ratio
            ));
        }
        let mut line =
            |name: &str, value: String| text.push_str(&format!("  {name:<44} {value}\n"));
        let us = |value: Option<f64>| value.map_or("none".to_owned(), |us| format!("{us:.1} µs"));
        line(
            "\nsimulation to bare machine, median",
            format!("{:.2}", self.simulation_ratio_median),
        );
        line("rest, a swap that touches a protected contract", us(self.rest_us_protected_swap));
        line("rest, a protected contract touched", us(self.rest_us_protected));
        line("rest, nothing protected touched", us(self.rest_us_unrelated));
        line("decoding and sender recovery", us(Some(self.decode_and_recover_us)));
        line("facts, rules and model, protected", us(self.facts_rules_model_us_protected));
        line("facts, rules and model, unrelated", us(self.facts_rules_model_us_unrelated));
        for times in &self.rules {
            line(
                &format!("{} rules, protected or unrelated", times.rules),
                format!(
                    "{} or {}; the simulation {}",
                    us(times.protected_us),
                    us(times.unrelated_us),
                    us(times.simulate_us_protected)
                ),
            );
        }
        line("verdict, half of all within", us(Some(self.verdict_p50_us)));
        line("verdict, 99 % of all within", us(Some(self.verdict_p99_us)));
        line(
            "throughput",
            format!("{:.0} a second on {} threads", self.throughput_tps, self.throughput_threads),
        );
        for group in &self.by_gas {
            text.push_str(&format!(
                "  over {:>9} gas: {:>3} transactions, simulation {:.1} µs, rest {:.1} µs\n",
                group.over, group.transactions, group.simulate_us, group.rest_us
            ));
        }
        for size in &self.by_protected {
            text.push_str(&format!(
                "  {:>6} protected: rest {} where one is touched, {} where none is; verdict {:.1} µs\n",
                size.addresses,
                us(size.rest_us_protected),
                us(size.rest_us_unrelated),
                size.verdict_us
            ));
        }
        for note in &self.notes {
            text.push_str(&format!("  note: {note}\n"));
        }
        text
    }
}

fn rule_times(samples: &[Sample]) -> Vec<RuleTimes> {
    let of = |is_wanted: &dyn Fn(&Sample) -> bool, value: &dyn Fn(&Sample) -> f64| {
        let values: Vec<f64> =
            samples.iter().filter(|sample| is_wanted(sample)).map(value).collect();
        (!values.is_empty()).then(|| median(values))
    };
    let times = |(place, rules): (usize, &usize)| RuleTimes {
        rules: *rules,
        protected_us: of(&|sample| sample.touches_protected, &|sample| sample.rules_us[place]),
        protected_swap_us: of(&is_protected_swap, &|sample| sample.rules_us[place]),
        unrelated_us: of(&|sample| !sample.touches_protected, &|sample| sample.rules_us[place]),
        simulate_us_protected: of(&|sample| sample.touches_protected, &|sample| sample.simulate_us),
    };
    MANY.iter().enumerate().map(times).collect()
}

fn kinds(samples: &[Sample]) -> Vec<Kind> {
    let mut by_kind: BTreeMap<&str, Vec<(&Sample, f64)>> = BTreeMap::new();
    for sample in samples {
        if let Some(bare_us) = sample.bare_us {
            by_kind.entry(&sample.kind).or_default().push((sample, bare_us));
        }
    }
    let kind = |(kind, samples): (&str, Vec<(&Sample, f64)>)| Kind {
        kind: kind.to_owned(),
        transactions: samples.len(),
        gas_median: median(samples.iter().map(|(sample, _)| sample.gas as f64).collect()),
        bare_us: median(samples.iter().map(|(_, bare_us)| *bare_us).collect()),
        simulate_us: median(samples.iter().map(|(sample, _)| sample.simulate_us).collect()),
        ratio: median(samples.iter().map(|(sample, bare)| sample.simulate_us / bare).collect()),
    };
    by_kind.into_iter().map(kind).collect()
}

fn rest(sample: &Sample) -> f64 {
    sample.decode_us + sample.work_us - sample.simulate_us
}

fn rest_without_decoding(sample: &Sample) -> f64 {
    sample.work_us - sample.simulate_us
}

fn is_protected_swap(sample: &Sample) -> bool {
    sample.touches_protected && sample.kind.starts_with("swap")
}

fn kind(tx: &PendingTransaction) -> String {
    if tx.to().is_none() {
        return "creation".to_owned();
    }
    match tx.input().get(..4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()) {
        None => "ether transfer".to_owned(),
        Some(selector) => names::signature(selector)
            .map_or_else(|| alloy::hex::encode_prefixed(selector), str::to_owned),
    }
}

/// The configuration that a recording asks for, observing, with limits that no number of runs meets.
fn settings(recording: &Recording) -> anyhow::Result<(GuardSettings, Parts)> {
    let header = recording.header();
    let chain = &header.chain;
    let mut text = format!(
        "version = 1\n[[chains]]\nname = '{}'\nchain_id = {}\nblock_time_ms = {}\nnodes = ['ws://127.0.0.1:1']\n\
         [policy]\nmax_pauses_per_day = {}\ncooldown_blocks = 0\n",
        chain.name,
        chain.id,
        chain.block_time_s.saturating_mul(1_000),
        u32::MAX
    );
    for (address, contract) in header.contracts.iter().filter(|(_, contract)| contract.protected) {
        text.push_str(&format!(
            "[[protected]]\nname = '{}'\nchain = '{}'\naddresses = ['{address}']\n",
            contract.name, chain.name
        ));
    }
    let (mut settings, parts) = guard::load_text(&text, Path::new("the recording's header"))
        .context("the recording names what cannot be configured")?;
    settings.journal = None;
    Ok((settings, parts))
}

/// Rehearses in the name of the story's pauser, whose key is public; another recording rehearses nothing.
fn hand(recording: &Recording, settings: &GuardSettings) -> Option<DryHand> {
    let header = recording.header();
    let named = |(_, known): &(_, &portcullis_watcher::source::recording::RecordedContract)| {
        known.name == "guardian"
    };
    let (guardian, _) = header.contracts.iter().find(named)?;
    let story = Story::tell(&StoryOptions { chain_id: header.chain.id, ..Default::default() });
    Some(DryHand {
        guardian: *guardian,
        pauser: story.pauser.address(),
        budget: settings.chains.first()?.fees,
        gas_limit: SHOWN_PAUSE_GAS,
    })
}

fn time<T>(work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_secs_f64() * 1e6
}

/// Zero of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// Of values in order; the nearest that is at least as large. Zero of nothing.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.99), 99.0);
        assert_eq!(quantile(&values, 0.5), 50.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn every_kind_of_the_recording_is_measured_against_the_bare_machine() {
        let report = serde_json::to_value(measure(&shipped().unwrap(), 2).unwrap()).unwrap();
        for key in [
            "simulation_ratio_median",
            "rest_us_protected_swap",
            "rest_us_unrelated",
            "verdict_p99_us",
            "throughput_tps",
        ] {
            assert!(report[key].as_f64().unwrap() > 0.0, "{key}: {report:#}");
        }
        assert!(report["rest_us_protected"].as_f64().unwrap() > 0.0, "{report:#}");
        let sizes: Vec<_> = report["by_protected"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| &row["addresses"])
            .collect();
        assert_eq!(sizes, [1, 100, 10_000]);
        let groups = report["by_gas"].as_array().unwrap();
        let counted: u64 = groups.iter().map(|row| row["transactions"].as_u64().unwrap()).sum();
        assert_eq!(Some(counted), report["transactions"].as_u64(), "{report:#}");
        assert!(groups.len() > 3, "{groups:?}");
        let kinds: Vec<&str> = report["kinds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|k| k["kind"].as_str().unwrap())
            .collect();
        for kind in ["attack(address,uint256)", "creation", "deposit()", "swapA(uint256)"] {
            assert!(kinds.contains(&kind), "{kinds:?}");
        }
        assert!(report["transactions"].as_u64().unwrap() > 40, "{report:#}");
        assert_eq!(report["rules"][1]["rules"], 1_000);
        assert!(report["rules"][0]["protected_us"].as_f64().unwrap() > 0.0, "{report:#}");
    }
}
