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
        "{:<44} {:>6} {:>8} {:>5} {:>5} {:>5} {:>6} {:>8} {:>8}",
        "package", "files", "lines", "crit", "high", "med", "diag", "cold s", "warm s"
    ));
    for (name, version) in PACKAGES {
        let package = fetch_whole(folder, name, version)?;
        // The second run is answered from what the first one kept; nothing is left over from earlier ones.
        let results = folder.join("results");
        if results.exists() {
            std::fs::remove_dir_all(&results).with_context(|| results.display().to_string())?;
        }
        let started = Instant::now();
        let report = audit(program, &package, &results)?;
        let cold = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let again = audit(program, &package, &results)?;
        let warm = started.elapsed().as_secs_f64();
        ensure!(report == again, "{}: a second run says something else", package.display());
        let findings = report["findings"].as_array().context("a findings document")?;
        let count = |severity: &str| {
            findings.iter().filter(|finding| finding["severity"] == severity).count()
        };
        say(&format!(
            "{:<44} {:>6} {:>8} {:>5} {:>5} {:>5} {:>6} {cold:>8.2} {warm:>8.2}",
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

fn audit(program: &Path, package: &Path, results: &Path) -> anyhow::Result<Value> {
    let output = Command::new(program)
        .args(["audit", "--format", "json"])
        .arg(package)
        .env("PORTCULLIS_CACHE", results)
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
