//! The small commands: what they print can be used as it stands.

#![cfg(all(feature = "audit", feature = "guard"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

fn portcullis(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = portcullis(arguments, Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_example_configuration_is_sound_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    assert!(portcullis(&["init"], folder.path()).status.success());
    let checked = portcullis(&["guard", "--check"], folder.path());
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(String::from_utf8_lossy(&checked.stdout).contains("chain mainnet (id 1)"));

    let again = portcullis(&["init"], folder.path());
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"));
}

#[test]
fn the_committed_schemas_are_those_that_the_program_prints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    for name in ["config", "recording", "journal", "vectors", "findings", "inspect", "rule-pack"] {
        let committed =
            std::fs::read_to_string(folder.join(format!("{name}.schema.json"))).unwrap();
        assert!(
            stdout(&["schema", name]) == committed,
            "{name}: `cargo xtask schemas` writes it again"
        );
    }
}

#[test]
fn every_fact_is_documented() {
    let text = stdout(&["facts", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let facts = document["facts"].as_array().unwrap();
    for subject in ["function", "transaction"] {
        assert!(facts.iter().filter(|fact| fact["subject"] == subject).count() > 5, "{subject}");
    }
    for fact in facts {
        assert!(fact["doc"].as_str().is_some_and(|doc| doc.len() > 20), "{fact}");
    }
    assert!(stdout(&["facts", "--subject", "transaction"]).contains("outflow_wei"));
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&["completions", shell]);
        assert!(script.contains("audit") && script.contains("guard"), "{shell}");
    }
}

#[test]
fn wrong_usage_is_a_failure_of_the_tool() {
    let output = portcullis(&["gaurd"], Path::new("."));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("guard"),
        "the nearest command is suggested"
    );
}

#[test]
fn every_command_of_the_readme_exists() {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let commands =
        readme.lines().filter_map(|line| line.strip_prefix("portcullis ")).collect::<Vec<_>>();
    assert!(commands.len() >= 8, "the README shows how to use the program");
    for line in commands {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        // The options of a subcommand stand in its own help.
        let has_subcommand =
            ["guardian", "journal", "models", "notify", "policy", "rules"].contains(&words[0]);
        let mut asked = words[..if has_subcommand { 2 } else { 1 }].to_vec();
        asked.push("--help");
        let help = stdout(&asked);
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "`{line}`: {flag} is not an option");
        }
    }
}
