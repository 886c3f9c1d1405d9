//! `portcullis inspect` as a user runs it.
#![cfg(feature = "audit")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program in the folder of fixtures.
fn inspect(arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("inspect")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[track_caller]
fn stdout(arguments: &[&str]) -> String {
    let output = inspect(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let output = inspect(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn control_flow_of_one_function_as_text() {
    let text = stdout(&["cfg", "inspect/Vault.sol", "Vault.withdraw"]);
    assert_eq!(text, include_str!("../fixtures/inspect/withdraw.cfg.txt"), "{text}");
}

#[test]
fn a_picture_goes_to_a_file_and_is_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("withdraw.svg");
    let file = path.to_str().unwrap();
    let arguments = ["cfg", "inspect/Vault.sol", "Vault.withdraw", "--format", "svg"];
    let mut to_file = arguments.to_vec();
    to_file.extend(["--output", file]);
    assert!(stdout(&to_file).is_empty());
    let svg = std::fs::read_to_string(&path).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("class=\"t-call\""), "{svg}");
    assert_eq!(svg, stdout(&arguments));
}

#[test]
fn every_printer_prints_in_every_form_it_has() {
    for what in
        ["cfg", "callgraph", "inheritance", "storage", "entry-points", "guards", "ir", "facts"]
    {
        let text = stdout(&[what, "inspect", "Vault"]);
        assert!(text.contains("Vault"), "{what}: {text}");
        let json = stdout(&[what, "inspect", "Vault", "--format", "json"]);
        let document: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(document["inspect"], what);
        match what {
            "cfg" | "ir" => {
                let said = refused(&[what, "inspect", "Vault", "--format", "svg"]);
                assert!(said.contains("a picture shows one function"), "{said}");
                let whole = ["inspect", "Vault.withdraw", "--whole", "--format", "dot"];
                assert!(stdout(&[&[what], &whole[..]].concat()).starts_with("digraph "));
            }
            _ => {
                assert!(stdout(&[what, "inspect", "--format", "dot"]).starts_with("digraph "));
                assert!(stdout(&[what, "inspect", "--format", "svg"]).starts_with("<svg "));
            }
        }
    }
}

#[test]
fn a_wrong_name_is_refused_with_what_is_near() {
    let said = refused(&["cfg", "inspect/Vault.sol", "Vault.witdraw"]);
    assert!(said.contains("no contract or function is called `Vault.witdraw`"), "{said}");
    assert!(said.contains("did you mean `Vault.withdraw`?"), "{said}");
}

#[test]
fn a_path_that_is_not_there_is_refused() {
    let said = refused(&["storage", "contracts/Gone.sol"]);
    assert!(said.contains("cannot inspect `contracts/Gone.sol`: no such file or folder"), "{said}");
}

#[test]
fn without_a_path_the_current_folder_is_read() {
    let text = stdout(&["storage", "Splitter"]);
    assert!(text.starts_with("Splitter  contracts/Splitter.sol:"), "{text}");
}

#[test]
fn what_cannot_be_read_is_said_beside_the_rest() {
    let output = inspect(&["entry-points", "audit/broken"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("withdraw()"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("warning: audit/broken/Half.sol:6:"), "{said}");
}
