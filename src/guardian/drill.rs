//! `portcullis guardian drill`: the whole chain rehearsed on a node of its own, from nothing or on a fork of a running
//! head, each step with its time; once, or again and again, with what it came to as a metric.
//!
//! The guard is the real one, armed, under a configuration written for the drill. What it says of itself is not
//! taken for an answer where the node can be asked.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use alloy::primitives::{B256, U256};
use anyhow::{Context, bail};
use portcullis_alerting::record::{Decision, VerdictRow};
use portcullis_range::node::{LocalNode, NodeError, Receipt, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions};
use portcullis_watcher::act::GuardEvent;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::demo::scene::Scene;
use crate::terminal::{self, Paint};
use crate::{guard, platform};

/// Long enough that a loaded machine has most of a block left when the attack is announced.
const BLOCK_TIME_S: u64 = 3;
/// How long the guard may take until it guards.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The step before the attack.
const READY: &str = "ready";
/// A step did not pass.
const NOT_PASSED: u8 = 1;

/// Arguments of `guardian drill`.
#[derive(Debug, clap::Args)]
pub(super) struct DrillArgs {
    /// Rehearse on an anvil of its own with a staged protocol, from PATH or from the project's npm folder
    #[arg(long, required_unless_present = "fork")]
    local: bool,
    /// Rehearse on a fork of the head of this node instead, with the same staged protocol under a chain id of its own.
    /// The address shows in the list of processes: take one without a key in it
    #[arg(long, value_name = "URL", conflicts_with = "local")]
    fork: Option<String>,
    /// Take something away first, to see what its lack looks like
    #[arg(long, value_enum, value_name = "WHAT")]
    without: Option<Lack>,
    /// Rehearse again every so many minutes, until it is interrupted
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=10_080))]
    every: Option<u64>,
    /// Write the result as Prometheus metrics, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value = "terminal")]
    format: super::status::Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Lack {
    /// The guardian does not let the key pause
    Role,
    /// The key holds no ether to pay for a pause
    Funds,
    /// The configuration names another chain than the node serves
    ChainId,
    /// The key's next nonce is taken by another transaction that waits
    Nonce,
}

/// What came of it; the JSON form of the command.
#[derive(Debug, Serialize)]
struct Report {
    passed: bool,
    steps: Vec<Step>,
}

/// One link of the chain.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    passed: bool,
    /// Milliseconds after the attack was handed to the node; none where it did not come to that.
    after_ms: Option<u64>,
    detail: String,
}

/// What the guard told of the attack, with the times at which it did.
#[derive(Debug, Default)]
struct Heard {
    verdict: Option<VerdictRow>,
    sent: Option<(u64, B256)>,
    mined_at_ms: Option<u64>,
    blocked_at_ms: Option<u64>,
    /// Why a pause would fail, or failed.
    trouble: Vec<String>,
}

/// What the node says in the end.
#[derive(Debug)]
struct Found {
    attacked_at_ms: u64,
    attack: Receipt,
    pause: Option<Receipt>,
    lost_wei: U256,
}

/// Rehearses.
pub(super) async fn run(args: DrillArgs) -> anyhow::Result<ExitCode> {
    let path = platform::variable("PATH");
    let anvil = find_anvil(path.as_deref().map(AsRef::as_ref), Path::new("."))
        .ok_or(NodeError::NotFound)?;
    let options = StoryOptions {
        benign: 12,
        pauser_has_role: args.without != Some(Lack::Role),
        ..Default::default()
    };
    loop {
        let rehearsal = rehearse(&anvil, &options, args.without, args.fork.as_deref());
        let rehearsed = tokio::select! {
            rehearsed = rehearsal => rehearsed,
            () = platform::interrupted() => bail!("interrupted before the drill ended"),
        };
        let report = match rehearsed {
            // On a schedule, what keeps one drill from being held is a drill that did not pass, and not the last one.
            Err(error) if args.every.is_some() => Report::refused(&error),
            rehearsed => rehearsed?,
        };
        let now_ms = platform::now_ms();
        if let Some(path) = &args.metrics {
            export(&report.metrics(now_ms), path)?;
        }
        print(&report, args.format)?;
        let Some(minutes) = args.every else {
            return Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::from(NOT_PASSED) });
        };
        let pause = tokio::time::sleep(Duration::from_secs(minutes.saturating_mul(60)));
        tokio::select! {
            () = pause => {}
            () = platform::interrupted() => {
                return Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::from(NOT_PASSED) });
            }
        }
    }
}

/// Whole or not at all: whoever collects the file must not find half of it.
fn export(metrics: &str, path: &Path) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    let written = std::fs::write(&partial, metrics).and_then(|()| std::fs::rename(&partial, path));
    written.with_context(|| format!("--metrics {}: not written", path.display()))
}

fn print(report: &Report, format: super::status::Format) -> anyhow::Result<()> {
    match format {
        super::status::Format::Json => {
            terminal::print(&(serde_json::to_string_pretty(&report)? + "\n"))?
        }
        super::status::Format::Terminal => {
            terminal::print(&report.page(Paint { on: terminal::stdout_has_colour() }))?;
        }
    }
    Ok(())
}

async fn rehearse(
    anvil: &Path,
    options: &StoryOptions,
    without: Option<Lack>,
    fork: Option<&str>,
) -> anyhow::Result<Report> {
    let story = Story::tell(options);
    let attack = story.attack();
    let node = match fork {
        Some(url) => LocalNode::start_fork(anvil, options.chain_id, BLOCK_TIME_S, url)
            .await
            .context("--fork: no fork of this node's head")?,
        None => LocalNode::start(anvil, options.chain_id, BLOCK_TIME_S).await?,
    };
    node.set_up(&story).await?;
    if without == Some(Lack::Funds) {
        let nothing = json!([story.pauser.address(), U256::ZERO]);
        node.request("anvil_setBalance", nothing).await?;
    }
    let chain_id = options.chain_id + u64::from(without == Some(Lack::ChainId));
    let scene = Scene::of_story(&story, chain_id, BLOCK_TIME_S * 1_000)?;
    let config = scene.write_config(&[node.address()], false, false)?;

    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, mut is_ready) = mpsc::channel::<()>(1);
    let (pause_sent, mut pause_hash) = mpsc::channel::<B256>(1);
    let mut heard = Heard::default();
    let listen = |event: &GuardEvent| {
        if matches!(event, GuardEvent::Ready { .. }) {
            // Only the first one is waited for.
            ready.try_send(()).ok();
        }
        heard.note(event, attack, platform::now_ms());
        if let Some((_, hash)) = heard.sent {
            pause_sent.try_send(hash).ok();
        }
        Ok(())
    };
    let guarding = guard::watch(&config, listen, async {
        // Dropping the sender stops the guard as well.
        stopped.await.ok();
    });
    let playing = async {
        tokio::time::timeout(READY_WITHIN, is_ready.recv())
            .await
            .ok()
            .flatten()
            .context("the guard was not ready in time")?;
        play(&node, &story, without, &mut pause_hash).await
    };
    let found = {
        let mut guarding = std::pin::pin!(guarding);
        let found = tokio::select! {
            // A guard that cannot pause does not start armed; that is what the drill is there to find.
            Err(refusal) = &mut guarding => return Ok(Report::refused(&refusal)),
            found = playing => found?,
        };
        drop(stop);
        guarding.await?;
        found
    };
    Ok(Report::new(&heard, &found))
}

/// Plays the story up to the attack and waits until the chain has settled it.
async fn play(
    node: &LocalNode,
    story: &Story,
    without: Option<Lack>,
    pause_hash: &mut mpsc::Receiver<B256>,
) -> anyhow::Result<Found> {
    let mut before_wei = U256::ZERO;
    let mut attacked_at_ms = 0;
    for step in story.steps.iter().filter(|step| step.role != Role::Setup) {
        if step.role == Role::Attack {
            // At the start of a block, so that what is rehearsed is the guard and not the luck of the draw.
            node.wait_blocks(1).await?;
            before_wei = node.balance_wei(story.vault).await?;
            if without == Some(Lack::Nonce) {
                node.send(&story.stray).await?;
            }
            attacked_at_ms = platform::now_ms();
        } else {
            node.wait_blocks(step.wait_blocks).await?;
        }
        node.send(&step.raw).await?;
        if step.role == Role::Attack {
            break;
        }
    }
    let attack = node.mined("the attack", story.attack()).await?;
    // One more block, for the guard to say what became of it.
    node.wait_blocks(1).await?;
    let pause = match pause_hash.try_recv() {
        Ok(hash) => node.receipt(hash).await?,
        Err(_) => None,
    };
    let lost_wei = before_wei.saturating_sub(node.balance_wei(story.vault).await?);
    Ok(Found { attacked_at_ms, attack, pause, lost_wei })
}

impl Heard {
    fn note(&mut self, event: &GuardEvent, attack: B256, now_ms: u64) {
        match event {
            GuardEvent::Verdict(judged)
                if judged.row.tx_hash == attack && self.verdict.is_none() =>
            {
                self.verdict = Some(judged.row.clone());
            }
            GuardEvent::Pause(pause) => {
                if let (None, Some(hash)) = (self.sent, pause.pause_hash) {
                    self.sent = Some((now_ms, hash));
                }
            }
            GuardEvent::PauseNotReady { reason, .. } => self.trouble.push(reason.clone()),
            GuardEvent::Action(row) => match row.kind.as_str() {
                "pause_mined" => self.mined_at_ms = self.mined_at_ms.or(Some(now_ms)),
                "attack_reverted" => self.blocked_at_ms = self.blocked_at_ms.or(Some(now_ms)),
                "pause_failed" | "pause_not_mined" | "pause_unconfirmed" => {
                    self.trouble.push(row.detail.clone())
                }
                _ => {}
            },
            _ => {}
        }
    }
}

impl Report {
    /// The guard did not start; nothing after that was reached.
    fn refused(refusal: &anyhow::Error) -> Self {
        let detail = terminal::causes(refusal);
        let ready = Step { name: READY, passed: false, after_ms: None, detail };
        let rest = ["seen", "judged", "signed and sent", "mined", "attack blocked"].map(|name| {
            Step { name, passed: false, after_ms: None, detail: "not reached".to_owned() }
        });
        Self { passed: false, steps: [ready].into_iter().chain(rest).collect() }
    }

    fn new(heard: &Heard, found: &Found) -> Self {
        let after = |at_ms: u64| Some(at_ms.saturating_sub(found.attacked_at_ms));
        let trouble = || match heard.trouble.as_slice() {
            [] => "it was not".to_owned(),
            reasons => reasons.join("; "),
        };
        let verdict = heard.verdict.as_ref();
        let judged_at_ms = verdict.map(|row| row.seen_at_ms.saturating_add(row.latency_us / 1_000));
        let is_in_front = found.pause.filter(|pause| {
            pause.succeeded && (pause.block, pause.index) < (found.attack.block, found.attack.index)
        });
        let steps = vec![
            Step {
                name: READY,
                passed: heard.trouble.is_empty(),
                after_ms: None,
                detail: match heard.trouble.as_slice() {
                    [] => "the guard is armed, and its pause was tried out".to_owned(),
                    reasons => reasons.join("; "),
                },
            },
            Step {
                name: "seen",
                passed: verdict.is_some(),
                after_ms: verdict.and_then(|row| after(row.seen_at_ms)),
                detail: verdict
                    .map_or("the attack was never seen".to_owned(), |row| row.tx_hash.to_string()),
            },
            Step {
                name: "judged",
                passed: verdict.is_some_and(|row| row.decision == Decision::Pause),
                after_ms: judged_at_ms.and_then(after),
                detail: verdict.map_or("it was not".to_owned(), |row| row.reason.clone()),
            },
            Step {
                name: "signed and sent",
                passed: heard.sent.is_some(),
                after_ms: heard.sent.and_then(|(at_ms, _)| after(at_ms)),
                detail: heard.sent.map_or_else(trouble, |(_, hash)| hash.to_string()),
            },
            Step {
                name: "mined",
                passed: is_in_front.is_some(),
                after_ms: heard.mined_at_ms.and_then(after),
                detail: match (is_in_front, found.pause) {
                    (Some(pause), _) => {
                        format!(
                            "block {}, position {}, in front of the attack",
                            pause.block, pause.index
                        )
                    }
                    (None, Some(_)) => "it failed, or was mined behind the attack".to_owned(),
                    (None, None) => "no pause was mined".to_owned(),
                },
            },
            Step {
                name: "attack blocked",
                passed: !found.attack.succeeded && found.lost_wei.is_zero(),
                after_ms: heard.blocked_at_ms.and_then(after),
                detail: if found.attack.succeeded {
                    format!(
                        "mined in block {}, it took {}",
                        found.attack.block,
                        guard::ether(found.lost_wei)
                    )
                } else {
                    format!("mined in block {}, it reverted", found.attack.block)
                },
            },
        ];
        Self { passed: steps.iter().all(|step| step.passed), steps }
    }

    /// In the text format of Prometheus.
    fn metrics(&self, now_ms: u64) -> String {
        let mut text = format!(
            "# HELP portcullis_drill_passed Whether every step of the last drill passed.\n\
             # TYPE portcullis_drill_passed gauge\nportcullis_drill_passed {}\n\
             # HELP portcullis_drill_timestamp_seconds When the last drill ended.\n\
             # TYPE portcullis_drill_timestamp_seconds gauge\nportcullis_drill_timestamp_seconds {}\n\
             # HELP portcullis_drill_step_passed Whether a step of the last drill passed.\n\
             # TYPE portcullis_drill_step_passed gauge\n",
            u8::from(self.passed),
            now_ms / 1_000
        );
        for step in &self.steps {
            let passed = u8::from(step.passed);
            text.push_str(&format!(
                "portcullis_drill_step_passed{{step=\"{}\"}} {passed}\n",
                step.name
            ));
        }
        text.push_str(
            "# HELP portcullis_drill_step_seconds From the attack to the end of a step in the last drill.\n\
             # TYPE portcullis_drill_step_seconds gauge\n",
        );
        for step in &self.steps {
            if let Some(ms) = step.after_ms {
                let seconds = ms as f64 / 1_000.0;
                text.push_str(&format!(
                    "portcullis_drill_step_seconds{{step=\"{}\"}} {seconds}\n",
                    step.name
                ));
            }
        }
        text
    }

    fn page(&self, paint: Paint) -> String {
        let mut out = format!(
            "{}\n",
            paint.bold("drill on a node of its own; times since the attack was sent")
        );
        for step in &self.steps {
            let mark = if step.passed { paint.green("✓") } else { paint.red("✗") };
            let after = step.after_ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
            out.push_str(&format!("  {mark} {:<16} {after:>9}  {}\n", step.name, step.detail));
        }
        out.push_str(&match self.steps.iter().find(|step| !step.passed) {
            None => format!("{}\n", paint.green("every step passed")),
            Some(step) => format!("{}\n", paint.red(&format!("the chain broke at: {}", step.name))),
        });
        out
    }
}
