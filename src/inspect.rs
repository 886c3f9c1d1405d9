//! `portcullis inspect WHAT PATH… [Contract[.function]]`: what the analyzer knows, to be looked at.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use portcullis_analyzer::inspect::{self, Form, InspectOptions, Printer};

use crate::terminal;

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    portcullis inspect cfg Vault.sol Vault.withdraw --format svg --output withdraw.svg\n  \
    portcullis inspect storage contracts/ Vault\n  \
    portcullis inspect callgraph contracts/ --format dot | dot -Tsvg\n\n\
    Exit codes: 0 printed; 2 nothing to print: a path that cannot be read, a name that is not declared or \
    not clear, a picture of control flow that is not of one function.")]
pub(crate) struct InspectArgs {
    /// What to look at
    #[arg(value_enum, value_name = "WHAT")]
    what: What,
    /// Files and folders to read (the current folder where none is named), and last, if only a part is
    /// wanted, `Contract`, `Contract.function`, `Contract.function(types)` or a free function
    #[arg(value_name = "PATH… [NAME]")]
    paths: Vec<PathBuf>,
    /// How to print it; a picture of cfg or ir shows one function
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// For cfg and ir: put the code of internal calls in place too, as the analysis sees it
    #[arg(long)]
    whole: bool,
    /// Write to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The control flow of functions over their source lines
    Cfg,
    /// Who calls whom, as the most derived contracts run
    Callgraph,
    /// Bases and the order in which functions are looked up
    Inheritance,
    /// Slots and offsets of state variables
    Storage,
    /// Functions that anyone can call and that can change something
    EntryPoints,
    /// Who may reach each write and each call, and under which lock
    Guards,
    /// What functions cost at the least, and what makes them dearer without end
    Gas,
    /// The three-address form of functions
    Ir,
    /// The function facts that rules read
    Facts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people at a terminal
    Text,
    /// For programs
    Json,
    /// For Graphviz
    Dot,
    /// A picture
    Svg,
}

/// Prints what is asked; what could not be read is said on stderr.
pub(crate) fn run(args: InspectArgs) -> anyhow::Result<ExitCode> {
    let base = std::env::current_dir().context("the current folder cannot be read")?;
    let (paths, name) = split(&base, args.paths);
    let inspection = inspect::inspect(&InspectOptions {
        base,
        paths,
        name,
        printer: match args.what {
            What::Cfg => Printer::Cfg,
            What::Callgraph => Printer::Callgraph,
            What::Inheritance => Printer::Inheritance,
            What::Storage => Printer::Storage,
            What::EntryPoints => Printer::EntryPoints,
            What::Guards => Printer::Guards,
            What::Gas => Printer::Gas,
            What::Ir => Printer::Ir,
            What::Facts => Printer::Facts,
        },
        form: match args.format {
            Format::Text => Form::Text,
            Format::Json => Form::Json,
            Format::Dot => Form::Dot,
            Format::Svg => Form::Svg,
        },
        is_whole: args.whole,
    })?;
    for diagnostic in &inspection.diagnostics {
        let place = diagnostic.location.as_ref().map(|location| {
            format!("{}:{}:{}: ", location.path, location.start.line, location.start.column)
        });
        terminal::say(&format!("warning: {}{}", place.unwrap_or_default(), diagnostic.message));
    }
    match &args.output {
        Some(path) => std::fs::write(path, &inspection.text)
            .with_context(|| format!("cannot write `{}`", path.display()))?,
        None => terminal::print(&inspection.text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The last argument is a name where it is no path: nothing stands there, and it does not look like one.
fn split(base: &Path, mut paths: Vec<PathBuf>) -> (Vec<PathBuf>, Option<String>) {
    let is_name = |path: &PathBuf| {
        let text = path.to_string_lossy();
        let looks_like_a_path = text.ends_with(".sol")
            || (text.contains(['/', '\\']) && !text.contains(':'))
            || text == "."
            || text == "..";
        !looks_like_a_path && !base.join(path).exists()
    };
    let name = paths.pop_if(|last| is_name(last)).map(|name| name.to_string_lossy().into_owned());
    if paths.is_empty() {
        paths.push(PathBuf::from("."));
    }
    (paths, name)
}
