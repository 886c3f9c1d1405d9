//! `portcullis init`: a commented configuration to start from.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::terminal;

/// The example; a test reads it back.
pub(crate) const EXAMPLE: &str = include_str!("../docs/examples/portcullis.toml");

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// Where to write it; `-` prints it
    #[arg(default_value = "portcullis.toml")]
    path: PathBuf,
    /// Replace a file that is there already
    #[arg(long)]
    force: bool,
}

/// Writes the example configuration.
pub(crate) fn run(args: InitArgs) -> anyhow::Result<ExitCode> {
    if args.path.as_os_str() == "-" {
        terminal::print(EXAMPLE)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut options = std::fs::OpenOptions::new();
    if args.force {
        options.write(true).create(true).truncate(true);
    } else {
        options.write(true).create_new(true);
    }
    let mut file = options.open(&args.path).with_context(|| {
        format!(
            "{}: cannot write the example (`--force` replaces a file that is there)",
            args.path.display()
        )
    })?;
    file.write_all(EXAMPLE.as_bytes()).with_context(|| args.path.display().to_string())?;
    terminal::say(&format!(
        "wrote {}; fill in your contracts, then `portcullis guard --config {0} --check`",
        args.path.display()
    ));
    Ok(ExitCode::SUCCESS)
}
