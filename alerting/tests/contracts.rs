//! The committed contract artifacts are what the committed sources compile to.

use std::path::Path;
use std::process::Command;

#[test]
fn artifacts_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new("node")
        .arg(root.join("alerting/contracts/build.mjs"))
        .arg("--check")
        .output()
        .expect("node is installed, and `npm ci --ignore-scripts` has run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
