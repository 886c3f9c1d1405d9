//! `portcullis rules` as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the program in the folder of the project.
fn portcullis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

#[track_caller]
fn check_code(output: &Output, expected: i32) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "stdout:\n{out}\nstderr:\n{err}");
    out.into_owned()
}

#[test]
fn the_packs_that_ship_pass_in_every_build_and_what_is_skipped_is_said() {
    let text = check_code(&portcullis(&["rules", "test", "--format", "json"]), 0);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["passed"], true);
    let skips = |subject: &str| {
        let skipped = report["skipped"].as_array().unwrap();
        skipped.iter().any(|skipped| skipped["subject"] == subject)
    };
    assert_eq!(skips("transaction"), !cfg!(feature = "guard"), "{text}");
    assert!(!cfg!(feature = "audit") || !skips("function"), "{text}");
    let text = check_code(&portcullis(&["rules", "test"]), 0);
    let said = "skipped pack `reentrancy`: this build has no facts of subject `transaction`";
    assert_eq!(text.contains(said), !cfg!(feature = "guard"), "{text}");
    assert!(text.ends_with("0 failed\n"), "{text}");
}

#[cfg(feature = "guard")]
mod over_recordings {
    use super::{Path, check_code, portcullis};

    const HEAD: &str = "pack: mine\nversion: 1.0.0\nengine: 1\nauthor: me\nrules:\n  - id: big-outflow\n    subject: \
                        transaction\n    severity: high\n    maturity: stable\n    class: drain\n    why: to be seen\n    \
                        when: touches_protected && outflow_wei >= eth(90)\n    message: '{outflow_wei} left'\n    tests:\n";

    /// A pack with two tests over a recording that lies beside it.
    fn pack(folder: &Path, tests: &[(u64, &str)]) -> String {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = shipped.join("fixtures/recordings/vault-attack.jsonl");
        std::fs::copy(shipped, folder.join("copy.jsonl")).unwrap();
        let tests = tests.iter().fold(String::new(), |text, (tx, expect)| {
            text + &format!(
                "      - {{ name: tx {tx}, recording: copy.jsonl, tx: {tx}, expect: {expect} }}\n"
            )
        });
        let path = folder.join("mine.yaml");
        std::fs::write(&path, format!("{HEAD}{tests}")).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_test_names_a_transaction_of_a_recording_beside_its_pack() {
        let folder = tempfile::tempdir().unwrap();
        let path = pack(folder.path(), &[(33, "fires"), (6, "silent")]);
        let text = check_code(&portcullis(&["rules", "test", &path]), 0);
        assert!(text.contains("tests: 1 firing, 1 silent, 0 unknown; 0 failed"), "{text}");
    }

    #[test]
    fn what_was_recorded_decides_and_not_what_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        let path = pack(folder.path(), &[(6, "fires"), (33, "silent")]);
        let text = check_code(&portcullis(&["rules", "test", &path]), 1);
        assert!(text.contains("tx 6: expected it to fire, but it stays silent"), "{text}");
        assert!(text.contains("tx 33: expected silence, but it fires: touches_protected"), "{text}");
        assert!(text.contains("outflow_wei >= eth(90) (outflow_wei = 90 ether)"), "{text}");
    }

    #[test]
    fn a_recording_or_a_transaction_that_is_not_there_fails_the_test() {
        let folder = tempfile::tempdir().unwrap();
        let path = pack(folder.path(), &[(33, "fires"), (51, "silent")]);
        let text = check_code(&portcullis(&["rules", "test", &path]), 1);
        assert!(text.contains("tx 51: there are 51 pending transactions"), "{text}");
        std::fs::remove_file(folder.path().join("copy.jsonl")).unwrap();
        let text = check_code(&portcullis(&["rules", "test", &path]), 1);
        assert!(text.contains("copy.jsonl"), "{text}");
    }
}
