//! `portcullis journal` over a journal written here.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use alloy::primitives::{Address, B256};
use portcullis_alerting::journal::Journal;
use portcullis_alerting::record::{
    ActionRow, Counterfactual, Decision, Evidence, Mode, ModelEvidence, Outcome, RuleEvidence,
    VerdictRow,
};
use serde_json::{Value, json};

/// 2025-06-15 and the day after, UTC.
const DAYS_MS: [u64; 2] = [1_749_988_800_000, 1_750_075_200_000];

fn verdict(n: u8) -> VerdictRow {
    let is_attack = n == 9;
    VerdictRow {
        chain: if n.is_multiple_of(2) { "even" } else { "odd" }.into(),
        chain_id: 31_337,
        block: 100 + u64::from(n),
        tx_hash: B256::repeat_byte(n),
        from: Address::repeat_byte(0xaa),
        to: Some(Address::repeat_byte(0xbb)),
        seen_at_ms: DAYS_MS[usize::from(n >= 5)] + u64::from(n),
        latency_us: 1_000 * u64::from(n),
        outcome: if is_attack { Outcome::Attack } else { Outcome::Clear },
        decision: if is_attack { Decision::Alert } else { Decision::None },
        would_decide: if is_attack { Decision::Pause } else { Decision::None },
        mode: Mode::Alert,
        score: Some(0.25),
        reason: if is_attack {
            "ether leaves, \"vault\" is drained".into()
        } else {
            "=nothing".into()
        },
        is_mined: false,
        touched: Vec::new(),
        would_pause: Vec::new(),
        is_replay: false,
    }
}

fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("portcullis.db")).unwrap();
    for n in 1..=9 {
        journal.append_verdict(&verdict(n)).unwrap();
    }
    let tx_hash = B256::repeat_byte(9);
    let frame = |depth: u32, kind: &str, success: bool| {
        json!({ "depth": depth, "kind": kind, "acts_on": Address::repeat_byte(0xbb), "code_at": Address::repeat_byte(0xbb),
                "protected": "vault", "selector": "0x3ccfd60b", "value_wei": "7", "success": success })
    };
    journal
        .append_evidence(&Evidence {
            tx_hash,
            facts: Default::default(),
            features: vec![],
            schema_hash: String::new(),
            rules: vec![RuleEvidence {
                rule: "reentrancy/drain".into(),
                severity: "critical".into(),
                outcome: "fires".into(),
                because: vec!["reentries = 9 > 2".into()],
            }],
            model: Some(ModelEvidence {
                model_hash: "0123456789abcdef".into(),
                engine: "native".into(),
                probability: Some(0.97),
                contributions: vec![("reentrant_calls".into(), 1.5)],
            }),
            call_tree: json!([
                frame(0, "call", true),
                frame(1, "call", true),
                frame(2, "delegatecall", false)
            ]),
            counterfactual: Some(Counterfactual {
                pause_succeeds: true,
                attack_stopped: true,
                detail: "the attack reverts".into(),
            }),
        })
        .unwrap();
    journal
        .append_action(&ActionRow {
            at_ms: DAYS_MS[1],
            chain: "odd".into(),
            tx_hash,
            kind: "alert_failed".into(),
            detail: "pager: given up after 5 attempts".into(),
            action_tx_hash: None,
        })
        .unwrap();
    folder
}

fn journal(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("journal")
        .args(args)
        .arg("--journal")
        .arg(folder.join("portcullis.db"))
        .output()
        .expect("the command starts")
}

fn told(folder: &Path, args: &[&str]) -> String {
    let output = journal(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn hashes(list: &str) -> Vec<B256> {
    let rows: Vec<VerdictRow> = serde_json::from_str(list).unwrap();
    rows.iter().map(|row| row.tx_hash).collect()
}

#[test]
fn a_list_is_filtered_and_newest_first() {
    let folder = written();
    let list = |args: &[&str]| {
        hashes(&told(folder.path(), &[&["list", "--format", "json"], args].concat()))
    };
    let hash = B256::repeat_byte;
    assert_eq!(list(&["--chain", "even", "--limit", "2"]), [hash(8), hash(6)]);
    assert_eq!(list(&["--decision", "alert"]), [hash(9)]);
    assert!(list(&["--since", "1s"]).is_empty(), "all of it is older");
    assert_eq!(list(&["--since", "36500d"]).len(), 9);
    let page = told(folder.path(), &["list", "--decision", "pause"]);
    assert!(page.contains(&hash(9).to_string()) && page.contains("alert (armed: pause)"), "{page}");
}

#[test]
fn a_transaction_is_shown_with_all_that_is_known() {
    let folder = written();
    let hash = B256::repeat_byte(9).to_string();
    let page = told(folder.path(), &["show", &hash]);
    for words in [
        "ether leaves, \"vault\" is drained",
        "reentrancy/drain (critical) fires\n    │ reentries = 9 > 2",
        " +1.5000  reentrant_calls",
        "the attack reverts",
        "alert failed: pager: given up after 5 attempts",
    ] {
        assert!(page.contains(words), "`{words}` is missing in:\n{page}");
    }
    let depth = |kind: &str| {
        page.lines()
            .filter(|line| line.trim_start().starts_with(kind))
            .map(|line| line.len() - line.trim_start().len())
            .collect::<Vec<_>>()
    };
    assert_eq!((depth("call 0x"), depth("delegatecall 0x")), (vec![2, 4], vec![6]), "{page}");
    assert!(page.contains("reverted"));

    let known: Value =
        serde_json::from_str(&told(folder.path(), &["show", &hash, "--format", "json"])).unwrap();
    assert_eq!(known["actions"][0]["kind"], "alert_failed");
    let unknown = journal(folder.path(), &["show", &B256::repeat_byte(0x77).to_string()]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("nothing is known of"));
}

#[test]
fn counts_are_by_outcome_decision_and_day() {
    let folder = written();
    let stats: Value =
        serde_json::from_str(&told(folder.path(), &["stats", "--format", "json"])).unwrap();
    assert_eq!(stats["outcomes"], json!({ "attack": 1, "clear": 8 }));
    assert_eq!(stats["would_decide"], json!({ "none": 8, "pause": 1 }));
    assert_eq!(stats["days"]["2025-06-15"]["verdicts"], 4);
    assert_eq!(stats["days"]["2025-06-16"]["would_pause"], 1);
    assert_eq!(
        (&stats["latency_p50_us"], &stats["latency_p99_us"]),
        (&json!(5_000), &json!(9_000))
    );
    let page = told(folder.path(), &["stats"]);
    assert!(page.contains("p50 5.0 ms, p99 9.0 ms") && page.contains("2025-06-16"), "{page}");
}

#[test]
fn an_export_can_be_read_back() {
    let folder = written();
    let lines = told(folder.path(), &["export"]);
    let rows: Vec<VerdictRow> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows, (1..=9).rev().map(verdict).collect::<Vec<_>>());

    let csv = told(folder.path(), &["export", "--format", "csv"]);
    let mut lines = csv.lines();
    assert_eq!(lines.next().unwrap().split(',').count(), 14);
    assert!(
        lines.next().unwrap().ends_with(",0.25,\"ether leaves, \"\"vault\"\" is drained\""),
        "{csv}"
    );
    assert!(lines.all(|line| line.ends_with(",'=nothing")), "a spreadsheet must not run it: {csv}");
}

#[test]
fn no_journal_is_said_and_none_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let output = journal(folder.path(), &["list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no journal"));
    assert!(!folder.path().join("portcullis.db").exists());
}

#[test]
fn a_server_is_asked_only_where_one_is_configured() {
    let folder = written();
    let config = |section: &str| {
        let text = format!("version = 1\n[journal]\npath = 'portcullis.db'\n{section}");
        std::fs::write(folder.path().join("portcullis.toml"), text).unwrap();
    };
    let refused = || {
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["journal", "stats", "--store", "clickhouse", "--config"])
            .arg(folder.path().join("portcullis.toml"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    config("");
    let message = refused();
    assert!(message.contains("expected a [journal.clickhouse] section"), "{message}");

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    config(&format!("[journal.clickhouse]\nurl = 'http://127.0.0.1:{port}'\n"));
    let message = refused();
    assert!(
        message.contains(&format!("http://127.0.0.1:{port}: asking for its version")),
        "{message}"
    );
    // The file is asked as before.
    assert!(told(folder.path(), &["stats"]).contains('9'));
}
