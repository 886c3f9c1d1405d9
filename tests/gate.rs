//! The main promise on a real node: the guard, a process of its own, pauses the vault before the attack is mined.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::path::PathBuf;

use alloy::primitives::{B256, U256};
use alloy::sol_types::SolCall;
use portcullis_alerting::journal::{Journal, VerdictFilter};
use portcullis_alerting::record::{Decision, Outcome, VerdictRow};
use portcullis_range::node::{LocalNode, Receipt, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions, Vault};
use process::GuardProcess;

const CHAIN_ID: u64 = 31_337;
/// Long enough that a loaded machine still has most of a block left when the attack is announced.
const BLOCK_TIME_S: u64 = 3;

/// What one run left on the chain and in the journal.
struct Run {
    story: Story,
    node: LocalNode,
    journal: Vec<VerdictRow>,
    before_attack: U256,
    attack: Receipt,
    exit: Option<i32>,
    _folder: tempfile::TempDir,
}

impl Run {
    fn row(&self, hash: B256) -> &VerdictRow {
        self.journal
            .iter()
            .find(|row| row.tx_hash == hash)
            .unwrap_or_else(|| panic!("no row for {hash}"))
    }

    async fn is_paused(&self) -> bool {
        let word = self
            .node
            .view_word(self.story.vault, &Vault::pausedCall {}.abi_encode())
            .await
            .unwrap();
        word == U256::from(1)
    }
}

/// Plays a story against a guard in `mode`.
async fn run(mode: &str, options: &StoryOptions) -> Run {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let anvil = find_anvil(None, &root).expect("anvil is set up: `bash .ci/setup`");
    let node = LocalNode::start(&anvil, CHAIN_ID, BLOCK_TIME_S).await.unwrap();
    let story = Story::tell(options);
    node.set_up(&story).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    let runtime = root.join(".parts/onnxruntime/libonnxruntime.so");
    assert!(runtime.is_file(), "ONNX Runtime is set up: `bash .ci/setup`");
    let text = format!(
        "version = 1\nmode = '{mode}'\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\n\
         block_time_ms = {}\nnodes = ['{}']\n[[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n\
         [guardian]\naddress = '{}'\nkey = {{ env = 'PORTCULLIS_TEST_KEY' }}\n[policy]\narm_override = 'a test'\n[model]\nruntime = '{}'\n",
        BLOCK_TIME_S * 1000,
        node.address(),
        story.vault,
        story.guardian,
        runtime.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut guard = GuardProcess::start(&config, Some(&story.pauser.private_key()));
    guard.wait_for("ready");

    let mut before_attack = U256::ZERO;
    for step in story.steps.iter().filter(|step| step.role != Role::Setup) {
        if step.role == Role::Attack {
            // At the start of a block, so that what is measured is the guard and not the luck of the draw.
            node.wait_blocks(1).await.unwrap();
            before_attack = node.balance_wei(story.vault).await.unwrap();
        } else {
            node.wait_blocks(step.wait_blocks).await.unwrap();
        }
        node.send(&step.raw).await.unwrap();
    }
    for step in story.steps.iter().filter(|step| step.role == Role::Benign) {
        node.mined(&step.label, step.hash).await.unwrap();
    }
    let attack = node.mined("the attack", story.attack()).await.unwrap();
    node.wait_blocks(1).await.unwrap();
    let exit = guard.interrupt();
    let journal = Journal::open(folder.path().join("portcullis.db")).unwrap();
    let journal = journal.verdicts(&VerdictFilter::default()).unwrap();
    Run { story, node, journal, before_attack, attack, exit, _folder: folder }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vault_is_paused_before_the_attack_is_mined() {
    let run = run("armed", &StoryOptions::default()).await;

    assert!(run.is_paused().await, "the vault is paused");
    assert!(!run.attack.succeeded, "the attack reverted");
    assert!(
        run.node.balance_wei(run.story.vault).await.unwrap() >= run.before_attack,
        "the vault lost nothing"
    );

    let row = run.row(run.story.attack());
    assert_eq!((row.outcome, row.decision), (Outcome::Attack, Decision::Pause), "{}", row.reason);
    assert!(row.score.is_some(), "the model was asked");
    for step in run.story.steps.iter().filter(|step| step.role == Role::Benign) {
        let row = run.row(step.hash);
        assert_ne!(row.would_decide, Decision::Pause, "{}: {}", step.label, row.reason);
    }
    assert_eq!(run.exit, Some(0), "an interrupted guard ends cleanly");
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_lets_the_attack_through_and_says_what_it_would_have_done() {
    let run = run("observe", &StoryOptions { benign: 12, ..Default::default() }).await;

    assert!(!run.is_paused().await);
    assert!(run.attack.succeeded, "nobody stopped the attack");
    let row = run.row(run.story.attack());
    assert_eq!(
        (row.decision, row.would_decide),
        (Decision::None, Decision::Pause),
        "{}",
        row.reason
    );
}
