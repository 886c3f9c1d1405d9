//! Generators: everything committed that a program wrote can be written again, and compared.

mod corpus;
mod coverage;
mod detectors;
mod packages;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};

/// The schemas under `docs/schemas`, by the name that `portcullis schema` gives them.
const SCHEMAS: &[&str] =
    &["config", "recording", "journal", "vectors", "findings", "inspect", "rule-pack"];

/// The recording that the demo plays, from the root.
const DEMO_RECORDING: &str = "fixtures/recordings/vault-attack.jsonl";

const USAGE: &str = "usage: cargo xtask COMMAND

  schemas      write docs/schemas/*.json
  contracts    compile the Solidity contracts again
  recording    write the recording that the demo plays
  detectors    write docs/detectors.md
  all          all of these
  check        all of these, and fail if anything differs from what is committed
  corpus       audit published code bases (fetched with npm) and print a table
  coverage     measure how much of them is read and resolved, and write docs/coverage.md";

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let result = match argument.as_deref() {
        Some("schemas") => schemas(),
        Some("contracts") => contracts(),
        Some("recording") => recording(),
        Some("detectors") => detectors(),
        Some("all") => all(),
        Some("check") => check(),
        Some("coverage") => {
            coverage::run(&root(), &root().join(".parts/corpus"), &root().join("docs/coverage.md"))
        }
        Some("corpus") => {
            built().and_then(|program| corpus::run(&program, &root().join(".parts/corpus")))
        }
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "a command's own error")]
            {
                eprintln!("error: {error:#}");
            }
            ExitCode::from(2)
        }
    }
}

fn all() -> anyhow::Result<()> {
    contracts()?;
    schemas()?;
    detectors()?;
    recording()
}

/// Runs every generator in place and looks for a difference.
fn check() -> anyhow::Result<()> {
    const GENERATED: &[&str] = &[
        "docs/schemas",
        "docs/detectors.md",
        "alerting/contracts",
        "fixtures/contracts/artifacts",
        "models/range/contracts/artifacts",
        DEMO_RECORDING,
    ];
    all()?;
    let status = git(&["status", "--porcelain", "--"], GENERATED)?;
    ensure!(
        status.is_empty(),
        "generated files differ from what is committed:\n{status}commit what `cargo xtask all` writes"
    );
    Ok(())
}

fn schemas() -> anyhow::Result<()> {
    for name in SCHEMAS {
        let schema = portcullis(&["schema", name])?;
        let path = root().join(format!("docs/schemas/{name}.schema.json"));
        std::fs::write(&path, schema).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn detectors() -> anyhow::Result<()> {
    let list = portcullis(&["audit", "--list-detectors"])?;
    let list = String::from_utf8(list).context("the list of detectors is UTF-8")?;
    let fixtures = root().join("fixtures/detectors");
    let page = detectors::page(&list, include_str!("field.tsv"), &fixtures)?;
    let path = root().join("docs/detectors.md");
    std::fs::write(&path, page).with_context(|| path.display().to_string())
}

fn contracts() -> anyhow::Result<()> {
    let status = Command::new("node")
        .arg("alerting/contracts/build.mjs")
        .current_dir(root())
        .status()
        .context("node: cannot be started")?;
    ensure!(status.success(), "the contracts do not compile; did `bash .ci/setup` run?");
    Ok(())
}

fn recording() -> anyhow::Result<()> {
    let path = root().join(DEMO_RECORDING);
    portcullis(&["demo", "--write-recording", path.to_str().context("the path is UTF-8")?])?;
    Ok(())
}

/// Runs the program itself and returns what it prints.
fn portcullis(arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let program = built()?;
    let output = Command::new(&program)
        .args(arguments)
        .current_dir(root())
        .output()
        .with_context(|| program.display().to_string())?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("portcullis {}: {}", arguments.join(" "), message.trim_end());
    }
    Ok(output.stdout)
}

/// Builds what the tests build: a build of one package alone would choose other features of its
/// dependencies and compile half of them again. Returns the program's path.
fn built() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--workspace", "--all-targets"])
        .current_dir(root())
        .status()
        .context("cargo: cannot be started")?;
    ensure!(status.success(), "the workspace does not build");
    let this = std::env::current_exe().context("the running program has a path")?;
    Ok(this.with_file_name(format!("portcullis{}", std::env::consts::EXE_SUFFIX)))
}

fn git(arguments: &[&str], paths: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .args(paths)
        .current_dir(root())
        .output()
        .context("git: cannot be started")?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_owned()
}
