//! The vault of the demo, whose bases are embedded in abridged form: what is said of it must be what is said of the real
//! thing.

use std::path::{Path, PathBuf};

use portcullis_analyzer::detectors::Confidence;
use portcullis_analyzer::report::Finding;
use portcullis_analyzer::{AuditOptions, AuditReport, audit, audit_texts};

fn said(report: &AuditReport) -> Vec<(&str, u32, Confidence, &str)> {
    let told = |finding| {
        let Finding { detector, location, confidence, message, .. }: &Finding = finding;
        (detector.as_str(), location.start.line, *confidence, message.as_str())
    };
    let mut said: Vec<_> = report.findings.iter().map(told).collect();
    said.sort_by_key(|(detector, line, ..)| (*line, *detector));
    said
}

fn abridged() -> AuditReport {
    audit_texts(
        ("Vault.sol", include_str!("../../fixtures/contracts/Vault.sol")),
        &[
            (
                "@openzeppelin/contracts/access/AccessControl.sol",
                include_str!("../../fixtures/contracts/abridged/AccessControl.sol"),
            ),
            (
                "@openzeppelin/contracts/utils/Pausable.sol",
                include_str!("../../fixtures/contracts/abridged/Pausable.sol"),
            ),
        ],
    )
}

#[test]
fn the_vault_of_the_demo_is_told_with_what_it_inherits() {
    let report = abridged();
    assert_eq!(report.diagnostics, [], "nothing is missing");
    let said = said(&report);
    assert!(
        matches!(said.as_slice(), [("reentrancy-eth", 41, Confidence::Medium, _)]),
        "{said:#?}"
    );
    assert_eq!(report.stats.files_reported, 1, "the bases are read and not reported on");
}

#[test]
fn abridged_bases_say_what_the_published_ones_do() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !base.join("node_modules/@openzeppelin/contracts").is_dir() {
        eprintln!("SKIPPED: without node_modules there is nothing to compare with");
        return;
    }
    let real = audit(&AuditOptions {
        base,
        paths: vec![PathBuf::from("fixtures/contracts/Vault.sol")],
        ..AuditOptions::default()
    })
    .unwrap();
    assert_eq!(said(&real), said(&abridged()));
}

#[test]
fn times_are_told_where_they_are_asked_for() {
    let options = AuditOptions {
        base: Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/contracts"),
        paths: vec![PathBuf::from("Vault.sol")],
        detectors: vec!["reentrancy-eth".to_owned(), "suicidal".to_owned()],
        ..AuditOptions::default()
    };
    let quiet = audit(&options).unwrap();
    assert_eq!(quiet.timings, []);
    let timed = audit(&AuditOptions { has_timings: true, ..options }).unwrap();
    let detectors: Vec<_> =
        timed.timings.iter().filter(|timing| timing.is_detector).map(|one| &one.step).collect();
    assert_eq!(detectors, ["reentrancy-eth", "suicidal"]);
    assert_eq!(timed.findings, quiet.findings, "asking for times changes nothing");
}
