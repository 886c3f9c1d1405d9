//! A pause that waits for a person, on a real node: asked, answered from the command line, fired; and what is refused.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use alloy::primitives::U256;
use alloy::sol_types::SolCall;
use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_range::story::{Role, Step, Story, StoryOptions, Vault};
use process::GuardProcess;

const CHAIN_ID: u64 = 31_337;
/// Two of the usual development accounts: one that may answer, and one that may not.
const LISTED: (&str, &str) = (
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
);
const STRANGER: &str = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a";
/// Two soft rules of different classes: enough for a pause, and no broken invariant.
const PACK: &str = "pack: soft\nversion: 1.0.0\nengine: 1\nauthor: tests\nrules:\n\
  - { id: much, subject: transaction, severity: high, maturity: stable, class: drain, why: A test., when: touches_protected && outflow_wei > eth(20), message: much left }\n\
  - { id: odd, subject: transaction, severity: high, maturity: stable, class: odd, why: A test., when: touches_protected && outflow_wei > eth(20), message: oddly so }\n";

fn guardian(config: &Path, guard: &str, key: Option<&str>, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("guardian").args(args).arg("--config").arg(config).args(["--guard", guard]);
    if let Some(key) = key {
        command.args(["--signer-key", "env:PORTCULLIS_TEST_SIGNER"]);
        command.env("PORTCULLIS_TEST_SIGNER", key);
    }
    command.output().expect("the command starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A vault whose guard asks people before it pauses.
struct Scene {
    node: LocalNode,
    story: Story,
    config: PathBuf,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn set_up() -> Self {
        let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR")))
            .expect("anvil is set up: `bash .ci/setup`");
        let node = LocalNode::start(&anvil, CHAIN_ID, 1).await.unwrap();
        let story = Story::tell(&StoryOptions { benign: 12, ..Default::default() });
        node.set_up(&story).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("soft.yaml"), PACK).unwrap();
        let config = folder.path().join("portcullis.toml");
        let text = format!(
            "version = 1\nmode = 'armed'\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\nblock_time_ms = 1000\n\
             nodes = ['{}']\n[[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n\
             [guardian]\naddress = '{}'\nkey = {{ env = 'PORTCULLIS_TEST_KEY' }}\n[policy]\narm_after_clean_days = 0\n\
             [policy.approval]\nsigners = ['{}']\nwait_s = 3600\n[rules]\nshipped = false\npacks = ['soft.yaml']\n\
             [model]\ndisabled = true\n[http]\nlisten = '127.0.0.1:0'\n",
            node.address(),
            story.vault,
            story.guardian,
            LISTED.0
        );
        std::fs::write(&config, text).unwrap();
        Self { node, story, config, _folder: folder }
    }

    /// Starts a guard; it and the address that it serves.
    fn guard(&self) -> (GuardProcess, String) {
        let mut guard = GuardProcess::start(&self.config, Some(&self.story.pauser.private_key()));
        let address = guard.wait_for("listening")["address"].as_str().unwrap().to_owned();
        guard.wait_for("ready");
        (guard, format!("http://{address}"))
    }

    async fn attack(&self) {
        for step in self.story.steps.iter().filter(|step| step.role != Role::Setup) {
            self.node.wait_blocks(step.wait_blocks.min(1)).await.unwrap();
            self.node.send(&step.raw).await.unwrap();
            if step.role == Role::Attack {
                break;
            }
        }
    }

    fn attack_step(&self) -> &Step {
        self.story.steps.iter().find(|step| step.role == Role::Attack).unwrap()
    }

    async fn is_paused(&self) -> bool {
        let paused = Vault::pausedCall {}.abi_encode();
        self.node.view_word(self.story.vault, &paused).await.unwrap() == U256::from(1)
    }

    /// Transactions of the pauser's key that were mined.
    async fn pauses(&self) -> U256 {
        let asked = serde_json::json!([self.story.pauser.address(), "latest"]);
        let count = self.node.request("eth_getTransactionCount", asked).await.unwrap();
        serde_json::from_value(count).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_waits_on_across_a_restart_and_is_fired_once() {
    let scene = Scene::set_up().await;
    let (mut guard, _) = scene.guard();
    scene.node.send(&scene.attack_step().raw).await.unwrap();
    let waits = guard.wait_until("pause_waits", |event| event["kind"] == "pause_waits");
    // Killed: nothing is written on the way out.
    drop(guard);

    let (mut guard, address) = scene.guard();
    let is_asked_on = |event: &serde_json::Value| {
        let words = event["detail"].as_str().unwrap_or_default();
        event["kind"] == "pause_waits" && words.starts_with("asked before this start")
    };
    // It may have said so before it said that it is ready.
    if !guard.has_told(is_asked_on) {
        guard.wait_until("what was asked before", is_asked_on);
    }
    let listed = guardian(&scene.config, &address, None, &["waiting", "--format", "json"]);
    let waiting: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(waiting.as_array().unwrap().len(), 1, "asked once: {waiting:#}");
    let incident = waiting[0]["incident"].as_str().unwrap();
    assert!(waits["detail"].as_str().unwrap().starts_with(incident), "{waits}");
    assert_eq!(guard.interrupt(), Some(0), "an end in order settles nothing either");

    let (mut guard, address) = scene.guard();
    let said_so = ["answer", "approve", "--incident", incident];
    let accepted = guardian(&scene.config, &address, Some(LISTED.1), &said_so);
    assert!(accepted.status.success(), "{}", said(&accepted));
    guard.wait_until("pause_mined", |event| event["kind"] == "pause_mined");
    assert!(scene.is_paused().await);
    drop(guard);

    let (mut guard, address) = scene.guard();
    let listed = guardian(&scene.config, &address, None, &["waiting"]);
    assert!(said(&listed).contains("nothing waits"), "{}", said(&listed));
    scene.node.wait_blocks(2).await.unwrap();
    assert_eq!(guard.interrupt(), Some(0));
    assert_eq!(scene.pauses().await, U256::from(1), "one pause, whatever was restarted");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_asked_and_their_signed_word_decides() {
    let scene = Scene::set_up().await;
    let (mut guard, address) = scene.guard();
    let config = &scene.config;
    let ask = |key: Option<&str>, args: &[&str]| guardian(config, &address, key, args);
    let nothing = ask(None, &["waiting"]);
    assert!(said(&nothing).contains("nothing waits"), "{}", said(&nothing));

    scene.attack().await;
    guard.wait_until("pause_waits", |event| event["kind"] == "pause_waits");
    let listed = ask(None, &["waiting", "--format", "json"]);
    let waiting: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let incident = waiting[0]["incident"].as_str().unwrap();
    assert_eq!(waiting[0]["protocol"], "vault", "{waiting:#}");

    let stranger = ask(Some(STRANGER), &["answer", "approve", "--incident", incident]);
    assert_eq!(stranger.status.code(), Some(2));
    assert!(said(&stranger).contains("may not answer"), "{}", said(&stranger));
    let other = format!("0x{}", "11".repeat(32));
    let other = ask(Some(LISTED.1), &["answer", "approve", "--incident", &other]);
    assert!(said(&other).contains("nothing waits for an answer under"), "{}", said(&other));

    // Without a key: the typed data, which anything may sign; here the same account, through the library.
    let printed = ask(None, &["answer", "approve", "--incident", incident]);
    assert!(printed.status.success(), "{}", said(&printed));
    let data: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    let answer = portcullis_alerting::guardian::Answer::from_typed_data(&data).unwrap();
    let secret = portcullis_alerting::secret::Secret::new(LISTED.1);
    let key = portcullis_alerting::guardian::Key::from_env_value("KEY", &secret).unwrap();
    let signature = key.answer(answer).unwrap().signature.to_string();
    let file = scene.config.with_file_name("answer.json");
    std::fs::write(&file, printed.stdout).unwrap();
    let hand_in = ["answer", "--typed-data", file.to_str().unwrap(), "--signature", &signature];
    let accepted = ask(None, &hand_in);
    assert!(accepted.status.success(), "{}", said(&accepted));
    assert!(said(&accepted).contains("approve accepted"), "{}", said(&accepted));
    let again = ask(None, &hand_in);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));

    guard.wait_until("pause_mined", |event| event["kind"] == "pause_mined");
    assert!(scene.is_paused().await, "the vault is paused");
    assert_eq!(guard.interrupt(), Some(0));
    let gone = guardian(config, &address, None, &["waiting"]);
    assert_eq!(gone.status.code(), Some(2), "{}", said(&gone));
}
