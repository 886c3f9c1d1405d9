//! `cargo xtask coverage`: how much of published code is read and resolved, written to `docs/coverage.md`.
//!
//! Outside of the tests for the same reason as `cargo xtask corpus`: the packages weigh hundreds of megabytes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::packages::{PACKAGES, fetch_whole};

const HEAD: &str = "# What the auditor reads

Published packages, at fixed versions, read whole: tests, scripts and mocks too. `cargo xtask coverage` fetches them and
writes this page; what a package depends on is fetched along where it is published, and is not counted.

A *name* is a use of an identifier or a member in the tree: in declarations, bodies, assembly, imports and the names of
arguments. It is *resolved* when what it stands for was found and has a known type. A name that no statement reads
(assembly that nothing lowers, for instance) counts as unresolved. The first percentage is that of the files whose
imports, their own and those of what they import, are all there.

| package | files | without a syntax error | functions graphed | names | resolved, imports present | resolved, all files | panics |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

/// Fetches what is missing into `folder`, measures, and writes the page to `page`.
pub(crate) fn run(root: &Path, folder: &Path, page: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut folders = Vec::new();
    for (name, version) in PACKAGES {
        let place = fetch_whole(folder, name, version)?;
        folders.push(format!("{name} {version}={}", place.display()));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["bench", "--quiet", "--locked", "--package", "portcullis-analyzer"])
        .args(["--bench", "corpus", "--"])
        .args(folders)
        .current_dir(root)
        .output()
        .context("cargo: cannot be started")?;
    ensure!(
        output.status.success(),
        "the measurement failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows = String::from_utf8(output.stdout).context("the table is text")?;
    std::fs::write(page, format!("{HEAD}{}\n", rows.trim()))
        .with_context(|| page.display().to_string())
}
