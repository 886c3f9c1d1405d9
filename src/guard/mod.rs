//! `portcullis guard`: watch chains, or replay a recording, under one configuration.

pub(crate) mod parts;
mod stream;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::Address;
use anyhow::Context;
use portcullis_alerting::journal::JournalHealth;
use portcullis_rules::{Maturity, Rule, RuleSet};
use portcullis_watcher::daemon::{self, DryHand, Guard, GuardEvent, Reloader, Replay};
use portcullis_watcher::settings::{GuardSettings, Listed};
use portcullis_watcher::source::recording::{Pace, Recording};

pub(crate) use stream::{Show, StreamView, ether};

use crate::config::{self, Config};
use crate::platform;
use crate::terminal::{self, Paint};
use parts::Parts;

/// Gas limit that a shown pause is priced with; a guardian that pauses one contract uses about 55,000.
pub(crate) const SHOWN_PAUSE_GAS: u64 = 300_000;

/// Arguments of `guard`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 ended by Ctrl-C or SIGTERM, or a replay that ran to its end; 2 the guard could not \
                  start or could not go on."
)]
pub(crate) struct GuardArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Check the configuration and everything it names, and start nothing
    #[arg(long)]
    check: bool,
    /// Judge a recorded stream again, offline: nothing is sent and nobody is told
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    replay: Option<PathBuf>,
    /// How many times as fast as it was recorded a recording is replayed; without it, as fast as it can be judged
    #[arg(long, value_name = "N", requires = "replay", value_parser = speed)]
    speed: Option<f64>,
    /// Write what is needed to replay this session; transactions are judged one after the other meanwhile
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "replay"])]
    record: Option<PathBuf>,
    /// Print every transaction, not only those that touch something protected
    #[arg(long)]
    all: bool,
    /// How to print the stream
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Terminal,
    /// For programs: one JSON object a line
    Json,
}

/// Watches, replays or checks.
pub(crate) fn run(args: GuardArgs) -> anyhow::Result<ExitCode> {
    if args.check {
        return check(&args.config);
    }
    let show = if args.all { Show::All } else { Show::Relevant };
    let mut view = StreamView::new(Paint { on: terminal::stdout_has_colour() }, show);
    let print = move |event: &GuardEvent| match args.format {
        Format::Terminal => terminal::print(&view.lines(event)),
        Format::Json => terminal::print(&(serde_json::to_string(event)? + "\n")),
    };
    if let Some(recording) = &args.replay {
        let pace = args.speed.map_or(Pace::Unpaced, Pace::Times);
        replay_paced(&args.config, recording, pace, print)?;
        return Ok(ExitCode::SUCCESS);
    }
    let record = args.record.as_deref();
    runtime()?.block_on(watch_recorded(&args.config, record, print, platform::interrupted()))?;
    Ok(ExitCode::SUCCESS)
}

/// Guards under the configuration at `path` until `stop` is ready, printing every event.
///
/// # Errors
/// Whatever keeps the guard from starting or going on.
pub(crate) async fn watch(
    path: &Path,
    print: impl FnMut(&GuardEvent) -> std::io::Result<()>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    watch_recorded(path, None, print, stop).await
}

/// As [`watch`], and records the session into `record` where one is given.
async fn watch_recorded(
    path: &Path,
    record: Option<&Path>,
    mut print: impl FnMut(&GuardEvent) -> std::io::Result<()>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let (settings, parts) = load(path)?;
    let (mut handle, mut events) = match record {
        Some(record) => Guard::record(settings, parts, record).await?,
        None => Guard::start(settings, parts).await?,
    };
    let reloader = handle.reloader();
    let mut hangups = platform::Hangups::listen();
    let mut printed = Ok(());
    let ended = {
        let mut stop = std::pin::pin!(stop);
        let mut waiting = std::pin::pin!(handle.wait());
        loop {
            tokio::select! {
                () = &mut stop => break Ok(()),
                () = hangups.next() => reload(path, reloader.as_ref()),
                ended = &mut waiting => break ended,
                event = events.next() => match event {
                    Some(Ok(event)) => printed = printed.and(print(&event)),
                    Some(Err(missed)) => tracing::warn!(missed, "the output lags behind; events were not printed"),
                    None => {}
                },
            }
        }
    };
    let stopped = handle.shutdown().await;
    while let Some(event) = events.next().await {
        if let Ok(event) = event {
            printed = printed.and(print(&event));
        }
    }
    ended?;
    printed.context("cannot print the stream")?;
    if let Some(shipping) = stopped.shipping.filter(|shipping| shipping.behind_rows > 0) {
        let reason = shipping.error.as_deref().unwrap_or("no time was left");
        terminal::say(&format!(
            "{} rows of the journal are not shipped yet and wait in its file: {reason}",
            shipping.behind_rows
        ));
    }
    journal_is_whole(stopped.journal.as_ref())?;
    match stopped.recording_failure {
        Some(failure) => anyhow::bail!("the recording is not whole: {failure}"),
        None => Ok(()),
    }
}

/// Reads rules and model again. What cannot be used is said, and the guard goes on with what it has.
fn reload(path: &Path, reloader: Option<&Reloader>) {
    let Some(reloader) = reloader else {
        tracing::warn!("rules are not reloaded while a session is recorded");
        return;
    };
    match load(path) {
        Ok((_, parts)) => {
            reloader.reload(&parts.rules, parts.model.as_ref(), &parts.beside);
        }
        Err(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "not reloaded; the rules and the model stay"
            );
        }
    }
}

/// Replays the recording at `recording` under the configuration at `path`, printing every event; returns them all.
///
/// # Errors
/// A configuration or recording that cannot be used.
pub(crate) fn replay(
    path: &Path,
    recording: &Path,
    print: impl FnMut(&GuardEvent) -> std::io::Result<()> + Send + 'static,
) -> anyhow::Result<Vec<GuardEvent>> {
    replay_paced(path, recording, Pace::Unpaced, print)
}

fn replay_paced(
    path: &Path,
    recording: &Path,
    pace: Pace,
    print: impl FnMut(&GuardEvent) -> std::io::Result<()> + Send + 'static,
) -> anyhow::Result<Vec<GuardEvent>> {
    let (settings, parts) = load(path)?;
    let recording = Arc::new(Recording::open(recording)?);
    let replay = Replay { hand: dry_hand(&settings, &parts, &recording), recording, pace };
    // The pipeline calls from wherever it runs; the lock keeps lines whole.
    let printing = Arc::new(Mutex::new((print, Ok(()))));
    let observed = Arc::clone(&printing);
    let observe = move |event: &GuardEvent| {
        let mut printing = observed.lock().unwrap_or_else(PoisonError::into_inner);
        let (print, printed) = &mut *printing;
        if printed.is_ok() {
            *printed = print(event);
        }
    };
    let events = runtime()?.block_on(daemon::replay(&settings, parts, replay, observe))?;
    let mut printing = printing.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut printing.1, Ok(())).context("cannot print the stream")?;
    Ok(events)
}

/// Loads everything that a configuration names and says what it comes to.
fn check(path: &Path) -> anyhow::Result<ExitCode> {
    let config = config::load(path)?;
    let parts = parts::gather(&config, path)?;
    let model = parts.model.as_ref().map_or_else(
        || "no model".to_owned(),
        |model| format!("model {} ({})", &model.hash_hex()[..8], model.engine_name()),
    );
    let mut text = format!("{}: sound\n", path.display());
    for chain in &parts.settings.chains {
        text.push_str(&format!(
            "  chain {} (id {}), {} nodes\n",
            chain.name,
            chain.chain_id,
            chain.nodes.len()
        ));
        for words in &chain.not_modelled {
            text.push_str(&format!("  note: chain {}: not simulated: {words}\n", chain.name));
        }
    }
    for protected in &parts.settings.protected {
        let mode = protected.mode.unwrap_or(parts.settings.mode);
        let name = &protected.name;
        text.push_str(&format!(
            "  protected {name}: {} contracts, mode {mode:?}\n",
            protected.addresses.len()
        ));
    }
    text.push_str(&format!("  {} rules, {model}\n", parts.rules.len()));
    for note in blind_rules(&parts.settings, &parts.rules) {
        text.push_str(&format!("  note: {note}\n"));
    }
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Rules that can never tell, because what they read is nowhere listed; one sentence for each list.
fn blind_rules(settings: &GuardSettings, rules: &RuleSet) -> Vec<String> {
    let is_listed = |of: fn(&Listed) -> &Vec<Address>| {
        settings.protected.iter().any(|protected| !of(&protected.listed).is_empty())
    };
    let lists: [(&str, &[&str], bool); 3] = [
        ("oracles", &["oracle_writes", "oracle_moved_before_entry"], is_listed(|l| &l.oracles)),
        ("related", &["related_writes"], is_listed(|l| &l.related)),
        ("tokens", &["listed_token_outflow_max_bps"], is_listed(|l| &l.tokens)),
    ];
    let note = |(list, facts, is_listed): &(&str, &[&str], bool)| {
        let reads = |rule: &Rule| rule.reads().any(|fact| facts.contains(&fact.name));
        let blind: Vec<&str> = rules
            .rules()
            .filter(|(_, rule)| rule.maturity() != Maturity::Retired && reads(rule))
            .map(|(_, rule)| rule.id())
            .collect();
        (!is_listed && !blind.is_empty()).then(|| {
            format!(
                "no protocol lists `{list}`, so these rules cannot tell and never fire: {}",
                blind.join(", ")
            )
        })
    };
    lists.iter().filter_map(note).collect()
}

/// Settings and parts from the configuration at `path`.
///
/// # Errors
/// Whatever in it cannot be used.
pub(crate) fn load(path: &Path) -> anyhow::Result<(GuardSettings, daemon::Parts)> {
    prepare(&config::load(path)?, path)
}

/// As [`load`], of a configuration given as text; `path` stands in errors.
///
/// # Errors
/// Whatever in it cannot be used.
pub(crate) fn load_text(text: &str, path: &Path) -> anyhow::Result<(GuardSettings, daemon::Parts)> {
    prepare(&config::parse(text, path)?, path)
}

fn prepare(config: &Config, path: &Path) -> anyhow::Result<(GuardSettings, daemon::Parts)> {
    let Parts { settings, rules, model, beside, key, dispatcher } = parts::gather(config, path)?;
    for note in blind_rules(&settings, &rules) {
        tracing::info!(%note, "a rule cannot tell");
    }
    let clock = Arc::new(platform::now_ms);
    let parts = daemon::Parts { rules, model, beside, key, dispatcher, clock };
    Ok((settings, parts))
}

fn speed(text: &str) -> Result<f64, String> {
    let times: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if times.is_finite() && times > 0.0 {
        Ok(times)
    } else {
        Err("expected more than 0".to_owned())
    }
}

/// A hand that shows what would be sent; none where no guardian or no key is configured.
fn dry_hand(
    settings: &GuardSettings,
    parts: &daemon::Parts,
    recording: &Recording,
) -> Option<DryHand> {
    let chain =
        settings.chains.iter().find(|chain| *chain.name == *recording.header().chain.name)?;
    Some(DryHand {
        guardian: settings.guardian?,
        pauser: parts.key.as_ref()?.address(),
        budget: chain.fees,
        gas_limit: SHOWN_PAUSE_GAS,
    })
}

/// What asynchronous commands run on.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")
}

fn journal_is_whole(health: Option<&JournalHealth>) -> anyhow::Result<()> {
    let Some(health) = health.filter(|health| !health.is_sound()) else { return Ok(()) };
    let reason = health.error.as_deref().unwrap_or("too many waited");
    anyhow::bail!("the journal lost {} rows: {reason}", health.dropped_rows + health.failed_rows)
}
