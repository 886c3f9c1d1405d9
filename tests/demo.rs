//! The demo cannot be canned: change what it replays, and what it says follows.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_range::story::{self, StoryOptions};

/// Runs the demo and returns what it prints.
fn demo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("demo")
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the demo over a recording of the story with these options.
fn demo_of(options: &StoryOptions, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("story.jsonl");
    story::record(options, &path, std::fs::File::create(&path).unwrap()).unwrap();
    let mut all = vec!["--recording", path.to_str().unwrap()];
    all.extend(arguments);
    demo(&all)
}

fn pauses(text: &str) -> usize {
    text.matches("decision: pause").count()
}

#[test]
fn the_shipped_recording_shows_one_pause_and_what_it_would_save() {
    let text = demo(&[]);
    assert!(text.contains("reentrancy-eth"), "the audit finds the flaw: {text}");
    assert!(text.contains("Vault.sol:41"), "and shows where it is: {text}");
    assert_eq!(pauses(&text), 1, "{text}");
    assert!(text.contains("the attack then fails"), "the counterfactual is shown: {text}");
    assert!(
        text.contains(
            "90 ether would have stayed in the vault. 69 other transactions were let pass."
        ),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "no colour without a terminal");
}

#[test]
fn the_shipped_recording_is_the_story_as_it_is_told_today() {
    let shipped =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/vault-attack.jsonl");
    let mut told = Vec::new();
    story::record(&StoryOptions::default(), Path::new("told"), &mut told).unwrap();
    assert!(std::fs::read(shipped).unwrap() == told, "`cargo xtask recording` writes it again");
}

#[test]
fn the_repaired_vault_is_not_paused() {
    let text = demo_of(&StoryOptions { fixed_vault: true, ..Default::default() }, &[]);
    assert_eq!(pauses(&text), 0, "{text}");
    assert!(text.contains("70 transactions judged, and nothing in them to pause for."), "{text}");
}

#[test]
fn the_figures_follow_the_attack() {
    let wei = alloy::primitives::utils::parse_ether("3").unwrap();
    let text =
        demo_of(&StoryOptions { attack_stake: wei, attack_loops: 4, ..Default::default() }, &[]);
    assert_eq!(pauses(&text), 1, "{text}");
    assert!(text.contains("12 ether would have stayed in the vault."), "{text}");
}

#[test]
fn the_price_follows_the_attack() {
    let gwei = 1_000_000_000;
    let options = StoryOptions {
        attack_tip: 40 * gwei,
        attack_max_fee: 300 * gwei,
        benign: 12,
        ..Default::default()
    };
    let text = demo_of(&options, &[]);
    assert!(
        text.contains("(the attack offers 300 gwei)")
            && text.contains("(the attack offers 40 gwei)"),
        "{text}"
    );
}

#[test]
fn a_missing_model_is_said() {
    let text = demo(&["--without-model"]);
    assert!(text.contains("no model is asked"), "{text}");
    assert!(!text.contains("  model 0."), "no score is printed: {text}");
    assert_eq!(pauses(&text), 1, "the hard invariant does not need the model: {text}");
    assert!(!demo(&[]).contains("no model is asked"));
}

#[test]
fn without_the_rules_nothing_is_paused() {
    let text = demo(&["--without-rules"]);
    assert_eq!(pauses(&text), 0, "a model alone never pauses: {text}");
    assert!(text.contains("0 rules"), "{text}");
}
