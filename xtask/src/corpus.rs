//! `cargo xtask corpus`: audits real, published code bases and prints one line for each.
//!
//! The packages weigh hundreds of megabytes, so this stands outside of the tests. Versions are pinned: two runs of
//! one program print the same findings.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::packages::{PACKAGES, fetch_whole};

/// Fetches what is missing into `folder` and audits every package with `program`.
pub(crate) fn run(program: &Path, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    say(&format!(
        "{:<44} {:>6} {:>8} {:>5} {:>5} {:>5} {:>6} {:>8}",
        "package", "files", "lines", "crit", "high", "med", "diag", "seconds"
    ));
    for (name, version) in PACKAGES {
        let package = fetch_whole(folder, name, version)?;
        let started = Instant::now();
        let report = audit(program, &package)?;
        let seconds = started.elapsed().as_secs_f64();
        let findings = report["findings"].as_array().context("a findings document")?;
        let count = |severity: &str| {
            findings.iter().filter(|finding| finding["severity"] == severity).count()
        };
        say(&format!(
            "{:<44} {:>6} {:>8} {:>5} {:>5} {:>5} {:>6} {seconds:>8.2}",
            format!("{name} {version}"),
            report["stats"]["files_reported"],
            report["stats"]["lines_reported"],
            count("critical"),
            count("high"),
            count("medium"),
            report["diagnostics"].as_array().map_or(0, Vec::len),
        ));
    }
    Ok(())
}

fn audit(program: &Path, package: &Path) -> anyhow::Result<Value> {
    let output = Command::new(program)
        .args(["audit", "--format", "json"])
        .arg(package)
        .output()
        .with_context(|| program.display().to_string())?;
    let code = output.status.code();
    ensure!(
        matches!(code, Some(0 | 1)),
        "{}: the audit failed ({code:?}): {}",
        package.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("the audit prints JSON")
}

#[expect(clippy::print_stdout, reason = "the table is this command's result")]
fn say(line: &str) {
    println!("{line}");
}
