//! SIGHUP puts other rules in office while the guard runs: no transaction is lost, and rules that cannot be used change
//! nothing.

#![cfg(feature = "guard")]

mod process;

use std::path::Path;

use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions};
use process::GuardProcess;

const CHAIN_ID: u64 = 31_337;

/// A pack with one rule, which fires on whatever touches the vault.
const PACK: &str = r#"
pack: house
version: 1.0.0
engine: 1
author: tests
rules:
  - id: anybody-at-the-vault
    subject: transaction
    severity: low
    maturity: experimental
    class: drain
    why: A test.
    references: []
    when: touches_protected
    message: "somebody is at the vault"
    false_positives: [everything, this is a test]
    tests:
      - { name: fires, facts: { touches_protected: true }, expect: fires }
      - { name: silent, facts: { touches_protected: false }, expect: silent }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_take_over_between_two_transactions_and_broken_ones_do_not() {
    let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR")))
        .expect("anvil is set up: `bash .ci/setup`");
    let node = LocalNode::start(&anvil, CHAIN_ID, 1).await.unwrap();
    let story = Story::tell(&StoryOptions::default());
    node.set_up(&story).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    let write = |rules: &str| {
        let text = format!(
            "version = 1\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\nblock_time_ms = 1000\nnodes = ['{}']\n\
             [[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n{rules}",
            node.address(),
            story.vault
        );
        std::fs::write(&config, text).unwrap();
    };
    let pack = folder.path().join("house.yaml");
    std::fs::write(&pack, PACK).unwrap();
    write("");
    let steps: Vec<_> =
        story.steps.iter().filter(|step| step.role == Role::Benign).take(6).collect();
    let hashes: Vec<String> = steps.iter().map(|step| step.hash.to_string()).collect();
    let mut guard = GuardProcess::start(&config, None);
    guard.wait_for("ready");
    let is_action = |kind: &'static str| move |event: &serde_json::Value| event["kind"] == kind;
    let is_on = |hash: &str| {
        let hash = hash.to_owned();
        move |event: &serde_json::Value| event["row"]["tx_hash"] == hash.as_str()
    };

    node.send(&steps[0].raw).await.unwrap();
    let before = guard.wait_until("the first verdict", is_on(&hashes[0]));
    assert!(!before.to_string().contains("anybody-at-the-vault"), "{before}");

    write("[rules]\npacks = ['house.yaml']\n");
    // Some are under way when the rules change.
    for step in &steps[1..4] {
        node.send(&step.raw).await.unwrap();
    }
    guard.signal("HUP");
    let row = guard.wait_until("reloaded", is_action("reloaded")).to_string();
    assert!(row.contains("; new: ") && row.contains("anybody-at-the-vault"), "{row}");
    std::fs::write(&pack, "pack: [").unwrap();
    guard.signal("HUP");
    for step in &steps[4..] {
        node.send(&step.raw).await.unwrap();
    }
    guard.wait_until("the last verdict", is_on(&hashes[5]));
    assert_eq!(guard.interrupt(), Some(0));
    let events = guard.rest();
    let reloaded = events.iter().filter(|event| event["kind"] == "reloaded").count();
    assert_eq!(reloaded, 1, "what cannot be used takes no office");
    let of = |hash: &String| -> Vec<&serde_json::Value> {
        events.iter().filter(|event| event["row"]["tx_hash"] == hash.as_str()).collect()
    };
    for hash in &hashes {
        assert_eq!(of(hash).len(), 1, "{hash} is judged once");
    }
    let touching: Vec<_> = hashes[4..].iter().flat_map(of).collect();
    let touching = touching.iter().filter(|event| event["touched"] != serde_json::json!([]));
    for event in touching {
        assert!(event["reasons"].to_string().contains("anybody-at-the-vault"), "{event}");
    }
}
