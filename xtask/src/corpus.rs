//! `cargo xtask corpus`: audits real, published code bases and prints one line for each.
//!
//! The packages weigh hundreds of megabytes, so this stands outside of the tests. Versions are pinned: two runs of
//! one program print the same findings.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

/// Package and version, as the npm registry has them.
const PACKAGES: &[(&str, &str)] = &[
    ("@openzeppelin/contracts", "4.9.6"),
    ("@openzeppelin/contracts", "5.7.0"),
    ("@openzeppelin/contracts-upgradeable", "5.7.0"),
    ("@uniswap/v2-core", "1.0.1"),
    ("@uniswap/v2-periphery", "1.1.0-beta.0"),
    ("@uniswap/v3-core", "1.0.1"),
    ("@uniswap/v3-periphery", "1.4.4"),
    ("@uniswap/v4-core", "1.0.2"),
    ("@aave/core-v3", "1.19.3"),
    ("@safe-global/safe-contracts", "1.4.1"),
    ("solady", "0.1.26"),
    ("solmate", "6.8.0"),
    ("@chainlink/contracts", "1.4.0"),
    ("@balancer-labs/v2-vault", "3.0.1"),
];

/// Fetches what is missing into `folder` and audits every package with `program`.
pub(crate) fn run(program: &Path, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    say(&format!(
        "{:<44} {:>6} {:>8} {:>5} {:>5} {:>5} {:>6} {:>8}",
        "package", "files", "lines", "crit", "high", "med", "diag", "seconds"
    ));
    for (name, version) in PACKAGES {
        let package = fetch(folder, name, version)?;
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

/// The folder of an unpacked package. It is packed by npm and unpacked here: installing would also fetch what it
/// depends on, which for some is not published.
fn fetch(folder: &Path, name: &str, version: &str) -> anyhow::Result<std::path::PathBuf> {
    let place = folder.join(format!("{name}-{version}").replace(['@', '/'], "_"));
    if place.is_dir() {
        return Ok(place);
    }
    let packed = Command::new("npm")
        .args(["pack", "--silent", "--ignore-scripts", &format!("{name}@{version}")])
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .context("npm: cannot be started")?;
    ensure!(packed.status.success(), "npm pack {name}@{version} failed");
    let archive = folder.join(String::from_utf8_lossy(&packed.stdout).trim());
    let partial = place.with_extension("partial");
    std::fs::create_dir_all(&partial).with_context(|| partial.display().to_string())?;
    let unpacked = Command::new("tar")
        .arg("xf")
        .arg(&archive)
        .arg("-C")
        .arg(&partial)
        .arg("--strip-components=1")
        .status()
        .context("tar: cannot be started")?;
    ensure!(unpacked.success(), "{}: cannot be unpacked", archive.display());
    std::fs::remove_file(&archive).with_context(|| archive.display().to_string())?;
    std::fs::rename(&partial, &place).with_context(|| place.display().to_string())?;
    Ok(place)
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
