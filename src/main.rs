//! The command line: one file per command, no analysis, no input loops.
//!
//! Start at [`Command`]; each variant hands its arguments to the module of the same name.

mod completions;
#[cfg(feature = "guard")]
mod config;
mod facts;
#[cfg(feature = "guard")]
mod init;
mod platform;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use portcullis_rules::Dictionary;

/// Audits Solidity before it ships, and pauses a protocol before an attack is mined.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented example configuration
    #[cfg(feature = "guard")]
    Init(init::InitArgs),
    /// Print the dictionary of facts that rules may read
    Facts(facts::FactsArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return terminal::usage_error(&error),
    };
    terminal::start_logging();
    let result = match cli.command {
        #[cfg(feature = "guard")]
        Command::Init(args) => init::run(args),
        Command::Facts(args) => facts::run(args),
        Command::Completions(args) => completions::run(args),
    };
    result.unwrap_or_else(|error| terminal::failure(&error))
}

/// The facts dictionaries of the halves that this binary was built with.
fn dictionaries() -> Vec<Dictionary> {
    Vec::new()
}
