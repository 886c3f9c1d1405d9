//! `portcullis audit PATH…`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use portcullis_analyzer::detectors::{self, Page, Severity};
use portcullis_analyzer::report::{self, Date, FindingsDocument, TerminalOptions};
use portcullis_analyzer::{AuditOptions, AuditReport};

use crate::{platform, terminal};

/// Findings at or over the threshold.
const FOUND: u8 = 1;

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 clean; 1 findings at or over --fail-on; 2 the audit failed: a path that \
                        cannot be read, wrong usage, a crashed detector (other results are still printed)."
)]
pub(crate) struct AuditArgs {
    /// Files and folders to audit; dependencies, tests and scripts inside of them are read but not
    /// reported on unless they are named themselves
    #[arg(value_name = "PATH", required_unless_present = "list_detectors")]
    paths: Vec<PathBuf>,
    /// How to print the findings
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
    /// Write to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Lightest severity that makes the exit code 1; `info` and `gas` count only when named
    #[arg(long, value_name = "SEVERITY", default_value = "medium", value_parser = severity_parser())]
    fail_on: Severity,
    /// Leave out the findings that an earlier run wrote with `--format json`
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Report only what is new since this commit of the git repository, or since the branch parted from it
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// Exit with 2 if anything could not be read, found or parsed
    #[arg(long)]
    strict: bool,
    /// Report only on files that match; a pattern without a slash matches a name in any folder
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Do not report on files that match
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Ask the function rules of this pack too: a file, or the name of a pack that ships
    #[arg(long, value_name = "PACK")]
    rules: Vec<PathBuf>,
    /// Colour of the terminal format; `auto` follows the terminal and NO_COLOR
    #[arg(long, value_enum, default_value = "auto")]
    color: Colour,
    /// Print all detectors with the ids that other tools give them
    #[arg(long)]
    list_detectors: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: the source with marks
    Terminal,
    /// For programs: the findings document, format 1
    Json,
    /// For code scanning: SARIF 2.1.0
    Sarif,
    /// For a comment on a pull request
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

/// Audits and prints; the exit code says how it went.
pub(crate) fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    if args.list_detectors {
        terminal::print(&detector_table())?;
        return Ok(ExitCode::SUCCESS);
    }
    let started = Instant::now();
    let baseline = args.baseline.as_deref().map(read_baseline).transpose()?;
    let mut report = portcullis_analyzer::audit(&AuditOptions {
        base: std::env::current_dir().context("the current folder cannot be read")?,
        paths: args.paths,
        include: args.include,
        exclude: args.exclude,
        rules: crate::rules::for_audit(&args.rules)?,
        since: args.since,
        today: Some(Date::of_unix_ms(platform::now_ms())),
    })?;
    if let Some(baseline) = &baseline {
        report.leave_out_known(baseline);
    }
    let exit_code = exit_code(&report, args.fail_on, args.strict);
    let text = match args.format {
        Format::Terminal => {
            let is_coloured = match args.color {
                Colour::Auto => args.output.is_none() && terminal::stdout_has_colour(),
                Colour::Always => true,
                Colour::Never => false,
            };
            report::terminal(
                &report,
                TerminalOptions { is_coloured, elapsed: Some(started.elapsed()) },
            )
        }
        Format::Json => FindingsDocument::new(&report).to_json(),
        Format::Markdown => report::markdown(&report),
        Format::Sarif => report::sarif(&report, exit_code),
    };
    match &args.output {
        Some(path) => std::fs::write(path, text)
            .with_context(|| format!("cannot write `{}`", path.display()))?,
        None => terminal::print(&text)?,
    }
    Ok(ExitCode::from(exit_code))
}

fn read_baseline(path: &Path) -> anyhow::Result<FindingsDocument> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the baseline `{shown}`"))?;
    FindingsDocument::read(&text).with_context(|| format!("cannot use the baseline `{shown}`"))
}

/// A failure of the tool outweighs findings: whoever reads only the code must not take a partial
/// result for a whole one.
fn exit_code(report: &AuditReport, fail_on: Severity, strict: bool) -> u8 {
    if report.has_failed() || (strict && !report.diagnostics.is_empty()) {
        terminal::FAILED
    } else if report.findings.iter().any(|finding| finding.severity >= fail_on) {
        FOUND
    } else {
        0
    }
}

fn severity_parser() -> impl TypedValueParser<Value = Severity> {
    PossibleValuesParser::new(Severity::ALL.map(Severity::name)).map(|name| {
        let named = Severity::ALL.into_iter().find(|severity| severity.name() == name);
        named.expect("the possible values are the names of severities")
    })
}

/// One line per detector, with its headline and what other tools call the same weakness below.
fn detector_table() -> String {
    let mut table = format!("{:<28} {:<9} CONFIDENCE\n", "ID", "SEVERITY");
    for detector in detectors::all() {
        let metadata = detector.metadata();
        table += &format!(
            "{:<28} {:<9} {}\n",
            metadata.id,
            metadata.severity.name(),
            metadata.confidence.name()
        );
        if let Ok(page) = Page::parse(metadata.doc) {
            table += &format!("    {}\n", page.headline);
        }
        let others = report::counterparts(detector);
        let named: Vec<String> = others
            .by_tool()
            .into_iter()
            .filter(|(_, ids)| !ids.is_empty())
            .map(|(tool, ids)| format!("{tool}: {}", ids.join(", ")))
            .collect();
        if !named.is_empty() {
            table += &format!("    {}\n", named.join("; "));
        }
    }
    table
}
