//! `portcullis bench attacks`: staged attacks on real nodes, and how many of the pauses were mined first.
//!
//! Several victims share each block: each has a vault, a guardian, a pauser and a guard of its own, so that no pause
//! waits for another one's nonce. Blocks are mined by this command at fixed times, so that it is known how much of a
//! slot was left when an attack appeared; or, with `--hold`, once every guard has said what it did, which leaves only
//! the order within the block to see, on a machine of any speed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{B256, U256};
use anyhow::{Context, bail};
use futures_util::future::{join_all, try_join_all};
use portcullis_alerting::guardian::Key;
use portcullis_alerting::notify::{Dispatcher, RetryPolicy};
use portcullis_alerting::record::Decision;
use portcullis_alerting::secret::Secret;
use portcullis_range::node::{LocalNode, NodeError, find_anvil, find_hardhat};
use portcullis_range::story::{Role, Story, StoryOptions};
use portcullis_watcher::daemon::{Guard, GuardEvent, GuardEvents, GuardHandle, Parts};
use portcullis_watcher::settings::{GuardSettings, PolicySettings};
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout};

use super::{FORMAT_VERSION, Format, quantile};
use crate::{guard, platform, terminal};

const CHAIN_ID: u64 = 31_337;
const GWEI: u128 = 1_000_000_000;
/// Tips of the attacks, gwei: none to this.
const MOST_TIP_GWEI: u64 = 500;
/// Bounds between the groups of attacks by the time left in the slot, milliseconds.
const LEFT_BOUNDS_MS: [u64; 4] = [0, 100, 300, 1_000];
/// How long all guards of a round may take until they guard.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// How long a block is held for one guard's word at most.
const HELD_WITHIN: Duration = Duration::from_secs(300);
/// What guards are told of a slot that is held: a head that does not come, and a slow answer, are no faults then.
const HELD_BLOCK_MS: u64 = 60_000;

/// Arguments of `bench attacks`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The nodes are those that `bash .ci/setup` installs: anvil orders a block by fee cap, hardhat by \
    tip. 200 attacks a cell take some ten minutes."
)]
pub(super) struct AttackArgs {
    /// Attacks for each node and block time
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    per_cell: u32,
    /// Victims that share a block
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50))]
    together: u32,
    /// Block times, seconds
    #[arg(long, value_name = "SECONDS", value_delimiter = ',', default_value = "1,2,12", value_parser = clap::value_parser!(u64).range(1..=60))]
    blocks: Vec<u64>,
    /// Nodes
    #[arg(long, value_enum, value_delimiter = ',', default_value = "anvil,hardhat")]
    nodes: Vec<NodeKind>,
    /// All cells at the same time: quicker, and slower for each guard
    #[arg(long)]
    at_once: bool,
    /// Build no block before every guard has said what it did about its attack: what is left is the order in it
    #[arg(long, conflicts_with_all = ["unguarded"])]
    hold: bool,
    /// Without any guard: what becomes of the attacks when nobody stops them
    #[arg(long)]
    unguarded: bool,
    /// Tips and moments are drawn from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How to print
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum NodeKind {
    /// Orders by fee cap
    Anvil,
    /// Orders by tip
    Hardhat,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    /// `release` or `debug`: a debug build is some ten times slower.
    build: &'static str,
    cells: Vec<Cell>,
}

/// One node and block time.
#[derive(Debug, Serialize)]
struct Cell {
    node: NodeKind,
    block_ms: u64,
    attacks: Vec<Attack>,
}

/// One staged attack.
#[derive(Debug, Clone, Serialize)]
struct Attack {
    /// What was left of the slot when it was handed to the node, milliseconds; none where the block was held.
    left_ms: Option<u64>,
    tip_gwei: u64,
    /// Its pause was mined, and before it.
    paused_first: bool,
    /// The attack took nothing.
    stopped: bool,
    /// From first seen to verdict, microseconds; none where it was not judged.
    verdict_us: Option<u64>,
    /// What its guard said that it came to; none where it said nothing, or there was none.
    outcome: Option<String>,
    /// What the pause cost, wei, decimal; none where none was mined.
    cost_wei: Option<String>,
}

/// Stages and prints.
pub(super) fn run(args: &AttackArgs) -> anyhow::Result<ExitCode> {
    let report = guard::runtime()?.block_on(measure(args))?;
    terminal::print(&match args.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Terminal => report.text(),
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &AttackArgs) -> anyhow::Result<Report> {
    let mut draws = Draws(args.seed);
    let plans: Vec<_> = args
        .nodes
        .iter()
        .flat_map(|node| args.blocks.iter().map(move |seconds| (*node, seconds * 1_000)))
        .map(|(node, block_ms)| (node, block_ms, Draws(draws.next())))
        .collect();
    let progress = |done: usize, of: usize| {
        terminal::say(&format!("{done} of {of} cells measured"));
    };
    let mut cells = Vec::new();
    if args.at_once {
        let all =
            plans.into_iter().map(|(node, block_ms, draws)| cell(args, node, block_ms, draws));
        cells = try_join_all(all).await?;
    } else {
        let of = plans.len();
        for (node, block_ms, draws) in plans {
            cells.push(cell(args, node, block_ms, draws).await?);
            progress(cells.len(), of);
        }
    }
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    Ok(Report { version: FORMAT_VERSION, build, cells })
}

async fn cell(
    args: &AttackArgs,
    kind: NodeKind,
    block_ms: u64,
    mut draws: Draws,
) -> anyhow::Result<Cell> {
    let root = Path::new(".");
    let node = match kind {
        NodeKind::Anvil => {
            let path = platform::variable("PATH");
            let anvil =
                find_anvil(path.as_deref().map(AsRef::as_ref), root).ok_or(NodeError::NotFound)?;
            LocalNode::start_by_hand(&anvil, CHAIN_ID).await?
        }
        NodeKind::Hardhat => {
            let folder = find_hardhat(root)
                .context("hardhat was not found in .parts/hardhat; `bash .ci/setup` installs it")?;
            LocalNode::start_hardhat(&folder).await?
        }
    };
    let mut attacks = Vec::new();
    let mut round = 0;
    while attacks.len() < args.per_cell as usize {
        let left = args.per_cell as usize - attacks.len();
        let victims = left.min(args.together as usize);
        let staged = stage(args, &node, block_ms, round, victims, &mut draws).await;
        attacks.extend(staged.with_context(|| format!("{kind:?}, blocks of {block_ms} ms"))?);
        round += 1;
    }
    Ok(Cell { node: kind, block_ms, attacks })
}

/// One victim of an attack.
struct Victim {
    story: Story,
    tip_gwei: u64,
    /// When its attack appears, after the slot has begun.
    after: Duration,
    /// None where nobody guards it.
    watch: Option<Watch>,
}

/// A guard, and what it has told of its victim's attack so far.
struct Watch {
    guard: GuardHandle,
    events: GuardEvents,
    heard: Heard,
}

#[derive(Debug, Default)]
struct Heard {
    verdict_us: Option<u64>,
    pauses: Vec<B256>,
    /// What it came to, in the guard's words: a pause on its way, none to be sent, or one that failed.
    outcome: Option<String>,
}

/// One block with so many victims.
async fn stage(
    args: &AttackArgs,
    node: &LocalNode,
    block_ms: u64,
    round: u32,
    victims: usize,
    draws: &mut Draws,
) -> anyhow::Result<Vec<Attack>> {
    let plans: Vec<(u64, Duration)> = (0..victims)
        .map(|place| {
            let tip_gwei = draws.below(MOST_TIP_GWEI + 1);
            // One in each part of the slot, somewhere in it.
            let part_us = block_ms * 1_000 / victims as u64;
            let after_us = part_us * place as u64 + draws.below(part_us.max(1));
            (tip_gwei, Duration::from_micros(after_us))
        })
        .collect();
    let stories: Vec<Story> = plans
        .iter()
        .enumerate()
        .map(|(place, (tip_gwei, _))| {
            let tip = u128::from(*tip_gwei) * GWEI;
            Story::tell(&StoryOptions {
                cast: format!("round {round} victim {place} "),
                benign: 12,
                attack_tip: tip,
                attack_max_fee: tip + 40 * GWEI,
                ..StoryOptions::default()
            })
        })
        .collect();
    node.set_up_all(&stories).await?;
    let (settings, parts) = configured(node, block_ms, args.hold)?;
    let mut staged = Vec::new();
    for (story, (tip_gwei, after)) in stories.into_iter().zip(plans) {
        let watch = match args.unguarded {
            true => None,
            false => Some(start(&settings, &parts, &story).await?),
        };
        staged.push(Victim { story, tip_gwei, after, watch });
    }
    let watches = staged.iter_mut().filter_map(|victim| victim.watch.as_mut());
    timeout(READY_WITHIN, try_join_all(watches.map(|watch| is_ready(&mut watch.events))))
        .await
        .context("the guards were not ready in time")??;
    // A head after all of them stand, so that each has signed ahead.
    node.mine().await?;
    tokio::time::sleep(Duration::from_millis(300)).await;

    let slot = Instant::now();
    let end = slot + Duration::from_millis(block_ms);
    let mut sent = Vec::new();
    for victim in &mut staged {
        if !args.hold {
            sleep_until(slot + victim.after).await;
        }
        let attack = victim.story.steps.iter().find(|step| step.role == Role::Attack);
        let left = end.saturating_duration_since(Instant::now());
        node.send(&attack.context("every story has an attack")?.raw).await?;
        sent.push((!args.hold).then(|| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)));
        if let (true, Some(watch)) = (args.hold, &mut victim.watch) {
            // One after the other: a machine that is short of time has only one attack at a time to stop.
            timeout(HELD_WITHIN, watch.outcome(victim.story.attack()))
                .await
                .context("a guard has not said in time what it did about its attack")??;
        }
    }
    if !args.hold {
        sleep_until(end).await;
    }
    node.mine().await?;
    // What came too late is in the block after it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.mine().await?;
    let settled =
        staged.into_iter().zip(sent).map(|(victim, left_ms)| settle(node, victim, left_ms));
    join_all(settled).await.into_iter().collect()
}

fn configured(
    node: &LocalNode,
    block_ms: u64,
    is_held: bool,
) -> anyhow::Result<(GuardSettings, Parts)> {
    let (block_ms, confirm_ms) = match is_held {
        true => (HELD_BLOCK_MS, HELD_BLOCK_MS),
        false => (block_ms, PolicySettings::default().confirm_within_ms),
    };
    let text = format!(
        "version = 1\nmode = 'armed'\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\nblock_time_ms = {block_ms}\n\
         nodes = ['{}']\n[[protected]]\nname = 'vault'\nchain = 'local'\nmode = 'observe'\n\
         addresses = ['0x0000000000000000000000000000000000000001']\n[policy]\narm_after_clean_days = 0\n\
         confirm_within_ms = {confirm_ms}\n",
        node.address()
    );
    let (mut settings, parts) = guard::load_text(&text, Path::new("the bench's configuration"))?;
    settings.journal = None;
    Ok((settings, parts))
}

async fn start(settings: &GuardSettings, parts: &Parts, story: &Story) -> anyhow::Result<Watch> {
    let mut settings = settings.clone();
    settings.guardian = Some(story.guardian);
    for protected in &mut settings.protected {
        protected.addresses = vec![story.vault];
        protected.mode = None;
    }
    let key = Key::from_env_value("the story's", &Secret::new(story.pauser.private_key()))?;
    let parts = Parts {
        rules: Arc::clone(&parts.rules),
        model: parts.model.clone(),
        beside: parts.beside.clone(),
        key: Some(key),
        dispatcher: Dispatcher::new(Vec::new(), RetryPolicy::default()),
        clock: Arc::clone(&parts.clock),
    };
    let (guard, events) = Guard::start(settings, parts).await?;
    Ok(Watch { guard, events, heard: Heard::default() })
}

impl Watch {
    /// Listens until the guard has said what it did about its victim's attack.
    async fn outcome(&mut self, attack: B256) -> anyhow::Result<()> {
        while self.heard.outcome.is_none() {
            let event = self.events.next().await.context("a guard ended before its attack")?;
            if let Ok(event) = event.as_deref() {
                self.heard.note(event, attack);
            }
        }
        Ok(())
    }

    /// Ends the guard; everything that it told.
    async fn end(mut self, attack: B256) -> Heard {
        self.guard.shutdown().await;
        while let Some(event) = self.events.next().await {
            if let Ok(event) = event.as_deref() {
                self.heard.note(event, attack);
            }
        }
        self.heard
    }
}

impl Heard {
    fn note(&mut self, event: &GuardEvent, attack: B256) {
        match event {
            GuardEvent::Verdict(judged) if judged.row.tx_hash == attack => {
                self.verdict_us = self.verdict_us.or(Some(judged.row.latency_us));
                // A verdict that asks for a pause is followed by what became of it.
                if judged.row.decision != Decision::Pause {
                    self.outcome.get_or_insert_with(|| judged.row.reason.clone());
                }
            }
            GuardEvent::Action(row) if row.tx_hash == attack && row.kind.starts_with("pause_") => {
                self.pauses.extend(row.action_tx_hash);
                self.outcome.get_or_insert_with(|| format!("{}: {}", row.kind, row.detail));
            }
            _ => {}
        }
    }
}

async fn is_ready(events: &mut GuardEvents) -> anyhow::Result<()> {
    while let Some(event) = events.next().await {
        match event.as_deref() {
            Ok(GuardEvent::Ready { .. }) => return Ok(()),
            Ok(GuardEvent::ChainEnded { failure, .. }) => bail!("a guard ended: {failure:?}"),
            _ => {}
        }
    }
    bail!("a guard ended before it was ready")
}

/// What became of one attack; ends its guard.
async fn settle(node: &LocalNode, victim: Victim, left_ms: Option<u64>) -> anyhow::Result<Attack> {
    let Victim { story, tip_gwei, watch, .. } = victim;
    let hash = story.attack();
    let attack = node.mined("the attack", hash).await?;
    let heard = match watch {
        Some(watch) => watch.end(hash).await,
        None => Heard::default(),
    };
    let mut mined = None;
    for pause in heard.pauses {
        if let Some(receipt) = node.receipt(pause).await? {
            mined = Some((receipt, cost_wei(node, pause).await?));
        }
    }
    let paused_first = mined.is_some_and(|(pause, _)| {
        pause.succeeded && (pause.block, pause.index) < (attack.block, attack.index)
    });
    Ok(Attack {
        left_ms,
        tip_gwei,
        paused_first,
        stopped: !attack.succeeded,
        verdict_us: heard.verdict_us,
        outcome: heard.outcome,
        cost_wei: mined.map(|(_, cost)| cost.to_string()),
    })
}

async fn cost_wei(node: &LocalNode, hash: B256) -> anyhow::Result<U256> {
    let receipt = node.request("eth_getTransactionReceipt", serde_json::json!([hash])).await?;
    let number = |field: &str| -> anyhow::Result<U256> {
        serde_json::from_value(receipt[field].clone())
            .with_context(|| format!("a receipt without {field}"))
    };
    Ok(number("gasUsed")?.saturating_mul(number("effectiveGasPrice")?))
}

/// SplitMix64: the same seed gives the same attacks.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

impl Report {
    fn text(&self) -> String {
        let mut text = format!(
            "staged attacks with tips of 0 to {MOST_TIP_GWEI} gwei, {} build\n",
            self.build
        );
        for cell in &self.cells {
            let order = match cell.node {
                NodeKind::Anvil => "anvil, by fee cap",
                NodeKind::Hardhat => "hardhat, by tip",
            };
            let first = cell.attacks.iter().filter(|attack| attack.paused_first).count();
            text.push_str(&format!(
                "\n  {order}, blocks of {} ms: {first} of {} paused first\n",
                cell.block_ms,
                cell.attacks.len()
            ));
            let mut groups: BTreeMap<u64, Vec<&Attack>> = BTreeMap::new();
            let timed = cell.attacks.iter().filter_map(|attack| Some((attack.left_ms?, attack)));
            for (left_ms, attack) in timed {
                let bound = LEFT_BOUNDS_MS.into_iter().rev().find(|bound| left_ms >= *bound);
                groups.entry(bound.unwrap_or_default()).or_default().push(attack);
            }
            for (bound, attacks) in groups.iter().rev() {
                let first = attacks.iter().filter(|attack| attack.paused_first).count();
                text.push_str(&format!(
                    "    {bound:>5} ms or more left: {first:>4} of {:<4}\n",
                    attacks.len()
                ));
            }
            let mut costs: Vec<f64> = cell
                .attacks
                .iter()
                .filter_map(|attack| attack.cost_wei.as_ref()?.parse::<f64>().ok())
                .map(|wei| wei / 1e15)
                .collect();
            costs.sort_by(f64::total_cmp);
            if !costs.is_empty() {
                text.push_str(&format!(
                    "    a pause cost {:.2} milliether in the middle, {:.2} at most\n",
                    quantile(&costs, 0.5),
                    quantile(&costs, 1.0)
                ));
            }
        }
        text
    }
}
