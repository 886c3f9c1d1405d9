//! The command line: one file per command, no analysis, no input loops.
//!
//! Start at [`Command`]; each variant hands its arguments to the module of the same name.

#[cfg(feature = "audit")]
mod audit;
#[cfg(feature = "guard")]
mod bench;
mod completions;
#[cfg(feature = "guard")]
mod config;
#[cfg(feature = "guard")]
mod demo;
#[cfg(feature = "audit")]
mod explain;
mod facts;
#[cfg(feature = "guard")]
mod guard;
#[cfg(feature = "guard")]
mod guardian;
#[cfg(feature = "guard")]
mod init;
#[cfg(feature = "audit")]
mod inspect;
#[cfg(feature = "guard")]
mod journal;
#[cfg(feature = "guard")]
mod models;
#[cfg(feature = "guard")]
mod node;
#[cfg(feature = "guard")]
mod notify;
mod platform;
#[cfg(feature = "guard")]
mod policy;
mod rules;
mod schema;
#[cfg(feature = "guard")]
mod simulate;
mod terminal;
#[cfg(all(feature = "guard", unix))]
mod top;

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
    /// Find weaknesses in Solidity sources, without a compiler or a build
    #[cfg(feature = "audit")]
    Audit(audit::AuditArgs),
    /// Print the page of a detector: what is wrong, why it matters, a bad and a good example
    #[cfg(feature = "audit")]
    Explain(explain::ExplainArgs),
    /// Look at what the audit sees: control flow, calls, storage, guards, facts
    #[cfg(feature = "audit")]
    Inspect(inspect::InspectArgs),
    /// Watch chains and pause a protected protocol before an attack on it is mined
    #[cfg(feature = "guard")]
    Guard(guard::GuardArgs),
    /// Look at a running guard: chains, nodes, latencies, what waits, the last verdicts
    #[cfg(all(feature = "guard", unix))]
    Top(top::TopArgs),
    /// Set a guardian contract up, and see whether it could pause right now
    #[cfg(feature = "guard")]
    Guardian(guardian::GuardianArgs),
    /// Judge one transaction and draw its call tree
    #[cfg(feature = "guard")]
    Simulate(simulate::SimulateArgs),
    /// Measure simulation and judgement on a recording, side by side with the bare machine
    #[cfg(feature = "guard")]
    Bench(bench::BenchArgs),
    /// Show the main job on an embedded default: audit a vault, then watch it being attacked
    #[cfg(feature = "guard")]
    Demo(demo::DemoArgs),
    /// List, show, count and export what was judged
    #[cfg(feature = "guard")]
    Journal(journal::JournalArgs),
    /// Tell how the guard would have fared, before it is armed
    #[cfg(feature = "guard")]
    Policy(policy::PolicyArgs),
    /// Try out the channels that tell people
    #[cfg(feature = "guard")]
    Notify(notify::NotifyArgs),
    /// Write a commented example configuration
    #[cfg(feature = "guard")]
    Init(init::InitArgs),
    /// Generate training data, train, evaluate and ask the models
    #[cfg(feature = "guard")]
    Models(models::ModelsArgs),
    /// Check, test and explain rule packs
    Rules(rules::RulesArgs),
    /// Print the dictionary of facts that rules may read
    Facts(facts::FactsArgs),
    /// Print the JSON schema of a format
    Schema(schema::SchemaArgs),
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
        #[cfg(feature = "audit")]
        Command::Audit(args) => audit::run(args),
        #[cfg(feature = "audit")]
        Command::Explain(args) => explain::run(args),
        #[cfg(feature = "audit")]
        Command::Inspect(args) => inspect::run(args),
        #[cfg(feature = "guard")]
        Command::Guard(args) => guard::run(args),
        #[cfg(all(feature = "guard", unix))]
        Command::Top(args) => top::run(args),
        #[cfg(feature = "guard")]
        Command::Guardian(args) => guardian::run(args),
        #[cfg(feature = "guard")]
        Command::Simulate(args) => simulate::run(args),
        #[cfg(feature = "guard")]
        Command::Bench(args) => bench::run(args),
        #[cfg(feature = "guard")]
        Command::Demo(args) => demo::run(args),
        #[cfg(feature = "guard")]
        Command::Journal(args) => journal::run(args),
        #[cfg(feature = "guard")]
        Command::Policy(args) => policy::run(args),
        #[cfg(feature = "guard")]
        Command::Notify(args) => notify::run(args),
        #[cfg(feature = "guard")]
        Command::Init(args) => init::run(args),
        #[cfg(feature = "guard")]
        Command::Models(args) => models::run(args),
        Command::Rules(args) => rules::run(args),
        Command::Facts(args) => facts::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => completions::run(args),
    };
    result.unwrap_or_else(|error| terminal::failure(&error))
}

/// The facts dictionaries of the halves that this binary was built with.
fn dictionaries() -> Vec<Dictionary> {
    vec![
        #[cfg(feature = "audit")]
        portcullis_analyzer::facts::dictionary(),
        #[cfg(feature = "guard")]
        portcullis_watcher::facts::dictionary(),
        #[cfg(feature = "guard")]
        portcullis_watcher::facts::contract_dictionary(),
    ]
}
