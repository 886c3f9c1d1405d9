//! `portcullis demo --live`: the same story on a real node, where the pause has to be mined first.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use alloy::primitives::U256;
use alloy::sol_types::SolCall;
use anyhow::Context;
use portcullis_range::node::{LocalNode, NodeError, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions, Vault};
use portcullis_watcher::act::GuardEvent;
use tokio::sync::{mpsc, oneshot};

use super::{Scene, heading};
use crate::guard::{self, Show, StreamView, ether};
use crate::platform;
use crate::terminal::{self, Paint};

const BLOCK_TIME_S: u64 = 2;
/// Between two transactions, so that a person can follow.
const PACE: Duration = Duration::from_millis(120);

/// Deploys, lets people use the vault, attacks it, and says what was saved.
pub(super) fn run(
    paint: Paint,
    without_model: bool,
    without_rules: bool,
) -> anyhow::Result<ExitCode> {
    let path = platform::variable("PATH");
    let anvil = find_anvil(path.as_deref().map(AsRef::as_ref), Path::new("."))
        .ok_or(NodeError::NotFound)?;
    heading(paint, "The guard protects that vault on a real node")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(play(&anvil, paint, without_model, without_rules))
}

async fn play(
    anvil: &Path,
    paint: Paint,
    without_model: bool,
    without_rules: bool,
) -> anyhow::Result<ExitCode> {
    let options = StoryOptions::default();
    let story = Story::tell(&options);
    let node = LocalNode::start(anvil, options.chain_id, BLOCK_TIME_S).await?;
    terminal::print(&format!(
        "  anvil runs on chain {}; deploying and funding\n",
        options.chain_id
    ))?;
    node.set_up(&story).await?;

    let scene = Scene::of_story(&story, options.chain_id, BLOCK_TIME_S * 1_000)?;
    let config = scene.write_config(&[node.address()], without_model, without_rules)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, mut is_ready) = mpsc::channel::<()>(1);
    let labels = story.steps.iter().map(|step| (step.hash, step.label.clone())).collect();
    let mut view = StreamView::new(paint, Show::All).with_labels(labels);
    let guarding = guard::watch(
        &config,
        move |event| {
            if matches!(event, GuardEvent::Ready { .. }) {
                // Only the first one is waited for.
                ready.try_send(()).ok();
            }
            terminal::print(&view.lines(event))
        },
        async {
            // Dropping the sender stops the guard as well.
            stopped.await.ok();
        },
    );
    let playing = async {
        is_ready.recv().await.context("the guard ended before it was ready")?;
        let ending = tell(&node, &story).await;
        drop(stop);
        ending
    };
    let (guarded, ending) = tokio::join!(guarding, playing);
    guarded?;
    ending?.report(&node, &story, paint).await
}

/// What the stream left behind.
struct Ending {
    before_attack: U256,
    attack_succeeded: bool,
    attack_block: u64,
}

async fn tell(node: &LocalNode, story: &Story) -> anyhow::Result<Ending> {
    let mut before_attack = U256::ZERO;
    for step in story.steps.iter().filter(|step| step.role != Role::Setup) {
        if step.role == Role::Attack {
            node.wait_blocks(1).await?;
            before_attack = node.balance_wei(story.vault).await?;
        } else {
            node.wait_blocks(step.wait_blocks).await?;
        }
        node.send(&step.raw).await?;
        tokio::time::sleep(PACE).await;
    }
    let attack = node.mined("the attack", story.attack()).await?;
    // One more block, for the guard to say what became of it.
    node.wait_blocks(1).await?;
    Ok(Ending { before_attack, attack_succeeded: attack.succeeded, attack_block: attack.block })
}

impl Ending {
    async fn report(
        &self,
        node: &LocalNode,
        story: &Story,
        paint: Paint,
    ) -> anyhow::Result<ExitCode> {
        let is_paused =
            node.view_word(story.vault, &Vault::pausedCall {}.abi_encode()).await? == U256::from(1);
        let now = node.balance_wei(story.vault).await?;
        if self.attack_succeeded {
            let lost = self.before_attack.saturating_sub(now);
            let text = format!(
                "The attack was mined in block {} and took {}.",
                self.attack_block,
                ether(lost)
            );
            terminal::print(&format!("\n{}\n", paint.red(&text)))?;
            return Ok(ExitCode::FAILURE);
        }
        let text = format!("Saved: the vault still holds {}.", ether(now));
        let state = if is_paused { "The vault is paused" } else { "The vault is not paused" };
        terminal::print(&format!(
            "\n{} {state}, and the attack, mined in block {}, reverted.\n",
            paint.green(&text),
            self.attack_block
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
