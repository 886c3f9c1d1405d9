//! `portcullis simulate` on the recording that ships, and on a real node.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions};
use portcullis_watcher::source::SourceEvent;
use portcullis_watcher::source::recording::Recording;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn shipped() -> PathBuf {
    root().join("fixtures/recordings/vault-attack.jsonl")
}

fn config(folder: &Path, chain: &str, node: &str) -> PathBuf {
    let story = Story::tell(&StoryOptions::default());
    let path = folder.join("portcullis.toml");
    let text = format!(
        "version = 1\n[[chains]]\nname = '{chain}'\nchain_id = 31337\nblock_time_ms = 2000\nnodes = ['{node}']\n\
         [[protected]]\nname = 'vault'\nchain = '{chain}'\naddresses = ['{}']\n",
        story.vault
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn simulate(transaction: &str, config: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["simulate", transaction, "--config"])
        .arg(config)
        .args(more)
        .output()
        .unwrap()
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How many calls of `withdrawAll` stand inside one another.
fn nested(tree: &Value) -> usize {
    let inner = tree["inner"].as_array().map_or(&[][..], Vec::as_slice);
    let deepest = inner.iter().map(nested).max().unwrap_or_default();
    deepest + usize::from(tree["signature"] == "withdrawAll()")
}

#[test]
fn the_attack_is_drawn_with_names_and_amounts() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "story", "ws://127.0.0.1:1");
    let attack = Story::tell(&StoryOptions::default()).attack().to_string();
    let replay = ["--replay", &shipped().display().to_string()];
    let drawn = text(simulate(&attack, &config, &replay));
    assert!(drawn.starts_with(&attack), "{drawn}");
    let calls = drawn.lines().filter(|line| line.contains("─ vault.withdrawAll()")).count();
    assert_eq!(calls, 10, "{drawn}");
    assert!(drawn.contains("attack contract.attack(vault, 9)  10 ether"), "{drawn}");
    assert!(drawn.contains("└─ attack contract.receive  10 ether"), "{drawn}");
    assert!(drawn.contains("outflow_wei"), "{drawn}");
    assert!(drawn.contains("model: probability"), "{drawn}");
    assert!(!drawn.contains("✎"), "storage is drawn only when it is asked for");
    assert!(!drawn.contains('\u{1b}'), "no colour in a pipe");

    let with_storage = text(simulate(&attack, &config, &[&replay[..], &["--storage"]].concat()));
    assert!(with_storage.contains("✎ vault slot 0x"), "{with_storage}");

    let json = text(simulate(&attack, &config, &[&replay[..], &["--format", "json"]].concat()));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(nested(&json["tree"]), 10);
    assert_eq!(json["status"]["status"], "success");
    assert!(!json["fired"].as_array().unwrap().is_empty(), "{json}");
    assert!(json["model"]["probability"].as_f64().unwrap() > 0.5, "{json}");
}

#[test]
fn a_revert_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "story", "ws://127.0.0.1:1");
    let story = Story::tell(&StoryOptions::default());
    let fails = story.steps.iter().find(|step| step.label.contains("asks for more")).unwrap();
    let replay = shipped().display().to_string();
    let drawn = text(simulate(&fails.hash.to_string(), &config, &["--replay", &replay]));
    assert!(drawn.contains("✗ reverted: "), "{drawn}");
}

#[test]
fn what_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "story", "ws://127.0.0.1:1");
    let replay = shipped().display().to_string();
    for (transaction, more, expected) in [
        (format!("0x{}", "11".repeat(32)), &["--replay", &replay][..], "is in the recording"),
        ("0x02c0".to_owned(), &[], "cannot be decoded"),
        ("nowhere.json".to_owned(), &[], "no file"),
        (format!("0x{}", "11".repeat(32)), &[], "no node of chain `story` answers"),
    ] {
        let output = simulate(&transaction, &config, more);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(expected), "{transaction}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_asked_by_hash_and_by_raw_bytes() {
    let anvil = find_anvil(None, &root()).expect("anvil is set up: `bash .ci/setup`");
    let node = LocalNode::start(&anvil, 31_337, 1).await.unwrap();
    let story = Story::tell(&StoryOptions::default());
    node.set_up(&story).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "local", node.address());

    let step = story.steps.iter().find(|step| step.role == Role::Benign).unwrap();
    let raw = text(simulate(&step.raw.to_string(), &config, &["--format", "json"]));
    let raw: Value = serde_json::from_str(&raw).unwrap();
    node.send(&step.raw).await.unwrap();
    let receipt = node.mined(&step.label, step.hash).await.unwrap();
    let mined = text(simulate(&step.hash.to_string(), &config, &["--format", "json"]));
    let mined: Value = serde_json::from_str(&mined).unwrap();
    assert_eq!(mined["head"].as_u64().unwrap() + 1, receipt.block, "on the block below its own");
    assert_eq!((&raw["tree"], &raw["facts"]), (&mined["tree"], &mined["facts"]));
    assert_eq!(raw["status"]["status"] == "success", receipt.succeeded);

    // The same from a file, as nodes tell it.
    let told =
        node.request("eth_getTransactionByHash", serde_json::json!([step.hash])).await.unwrap();
    let file = folder.path().join("tx.json");
    std::fs::write(&file, told.to_string()).unwrap();
    let output = simulate(file.to_str().unwrap(), &config, &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("nonce"), "it was mined meanwhile: {said}");
}

#[test]
fn every_transaction_of_the_recording_can_be_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "story", "ws://127.0.0.1:1");
    let recording = Recording::open(&shipped()).unwrap();
    let hashes = recording.steps().iter().filter_map(|step| match step {
        SourceEvent::Pending(tx) => Some(tx.hash),
        _ => None,
    });
    // Every fifth: the stream repeats itself, and each is a process of its own.
    for hash in hashes.step_by(5) {
        let replay = shipped().display().to_string();
        let drawn = text(simulate(&hash.to_string(), &config, &["--replay", &replay]));
        assert!(drawn.contains(" gas"), "{drawn}");
    }
}
