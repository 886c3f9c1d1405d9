//! The main promise on a real node: the guard, a process of its own, pauses the vault before the attack is mined.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;
use portcullis_alerting::guardian::{Key, Transaction, deploy, transact};
use portcullis_alerting::journal::{Journal, VerdictFilter};
use portcullis_alerting::record::{Decision, Outcome, VerdictRow};
use portcullis_alerting::secret::Secret;
use portcullis_range::node::{LocalNode, Receipt, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions, Vault};
use portcullis_watcher::source::NodeUrl;
use portcullis_watcher::source::rpc::{Client, RpcLimits};
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

/// Writes the configuration of a guard in `mode` over a story.
fn configured(folder: &Path, mode: &str, node: &LocalNode, story: &Story) -> PathBuf {
    let config = folder.join("portcullis.toml");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
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
    config
}

/// Plays a story against a guard in `mode`.
async fn run(mode: &str, options: &StoryOptions) -> Run {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let anvil = find_anvil(None, &root).expect("anvil is set up: `bash .ci/setup`");
    let node = LocalNode::start(&anvil, CHAIN_ID, BLOCK_TIME_S).await.unwrap();
    let story = Story::tell(options);
    node.set_up(&story).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let config = configured(folder.path(), mode, &node, &story);
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

/// Whoever stole the pauser's key can do what a pauser can, which is to pause; the guard says at once that its key was
/// used, by whom it cannot be known, and who can end it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_key_is_told_of_when_it_is_used() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let anvil = find_anvil(None, &root).expect("anvil is set up: `bash .ci/setup`");
    let node = LocalNode::start(&anvil, CHAIN_ID, 1).await.unwrap();
    let story = Story::tell(&StoryOptions::default());
    node.set_up(&story).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = configured(folder.path(), "armed", &node, &story);
    let mut guard = GuardProcess::start(&config, Some(&story.pauser.private_key()));
    guard.wait_for("ready");

    let url: NodeUrl = node.address().parse().unwrap();
    let (client, _told, driver) =
        Client::connect("thief".into(), &url, RpcLimits::default()).await.unwrap();
    tokio::spawn(async move {
        driver.await;
    });
    let stolen = Secret::new(story.pauser.private_key());
    let stolen = Key::from_env_value("STOLEN", &stolen).unwrap();
    let within = Duration::from_secs(20);
    // What a pauser may not do fails already where its gas is estimated.
    for forbidden in [
        deploy::add_pauser_call(Address::repeat_byte(9), u64::MAX),
        deploy::register_call(story.vault, &[]),
        deploy::transfer_ownership_call(stolen.address()),
        deploy::set_limits_call(0, 1, u32::MAX),
    ] {
        let call = Transaction { to: Some(story.guardian), data: forbidden, value_wei: U256::ZERO };
        transact(&stolen, &client, &call, within).await.unwrap_err();
    }
    let data = deploy::pause_call(story.vault, B256::ZERO);
    let pause = Transaction { to: Some(story.guardian), data, value_wei: U256::ZERO };
    let paused = transact(&stolen, &client, &pause, within).await.unwrap();
    assert!(paused.has_succeeded());
    let used = guard.wait_until("key_used", |event| event["kind"] == "key_used");
    assert_eq!(used["action_tx_hash"], paused.transaction_hash.to_string());
    let words = used["detail"].as_str().unwrap();
    assert!(words.contains("called the guardian") && words.contains("setPauser"), "{words}");
    // A second one is more than the contract allows for a while.
    transact(&stolen, &client, &pause, within).await.unwrap_err();
    assert_eq!(guard.interrupt(), Some(0));
}
