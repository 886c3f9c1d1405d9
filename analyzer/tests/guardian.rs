//! The contract that this program asks people to trust, audited by it: nothing found, nothing suppressed.

use std::path::{Path, PathBuf};

use portcullis_analyzer::{AuditOptions, audit};

#[test]
fn our_own_guardian_has_no_finding_and_no_suppression() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerting/contracts");
    let report = audit(&AuditOptions {
        base,
        paths: vec![PathBuf::from("Guardian.sol")],
        ..AuditOptions::default()
    })
    .unwrap();
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert!(report.suppressed.is_empty(), "{:#?}", report.suppressed);
    assert!(report.diagnostics.is_empty(), "{:#?}", report.diagnostics);
    assert_eq!(report.stats.files_reported, 1, "it was read");
}
