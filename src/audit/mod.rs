//! `portcullis audit PATH…`.

mod foreign;
pub(crate) mod settings;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use portcullis_analyzer::detectors::{self, Page, Severity};
use portcullis_analyzer::report::{self, Date, FindingsDocument, TerminalOptions};
use portcullis_analyzer::{AuditOptions, AuditReport, CacheOptions, Timing};

use crate::{platform, terminal};

use settings::{DetectorId, Settings};

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
    /// reported on unless they are named themselves. Default: `paths` of the settings
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print the findings
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
    /// Write to a file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Lightest severity that makes the exit code 1 (default: medium); `info` and `gas` count only when named
    #[arg(long, value_name = "SEVERITY", value_parser = severity_parser())]
    fail_on: Option<Severity>,
    /// Leave out the findings that an earlier run wrote with `--format json`
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Report only what is new since this commit of the git repository, or since the branch parted from it
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// Neither use results of earlier runs nor keep those of this one
    #[arg(long)]
    no_cache: bool,
    /// Print to stderr how long each step and each detector took; uses no results of earlier runs
    #[arg(long)]
    timings: bool,
    /// Exit with 2 if anything could not be read, found or parsed
    #[arg(long)]
    strict: bool,
    /// Report only on files that match; a pattern without a slash matches a name in any folder
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Do not report on files that match
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Ask only these detectors
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    detect: Vec<String>,
    /// Do not ask these detectors
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    exclude_detector: Vec<String>,
    /// Settings: a `portcullis.toml` with a section `[audit]`, a `slither.config.json` or an `aderyn.toml`; default:
    /// the nearest `portcullis.toml` at or above the current folder, inside of its repository
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Look for no settings
    #[arg(long, conflicts_with = "config")]
    no_config: bool,
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
    /// For a browser: one file with the control flow drawn and the way of each attack marked
    Html,
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
    let asked = Asked::new(&args)?;
    let baseline = asked.baseline.as_deref().map(read_baseline).transpose()?;
    let mut report = portcullis_analyzer::audit(&asked.options)?;
    if args.timings {
        terminal::say(&timing_table(&report.timings));
    }
    if let Some(baseline) = &baseline {
        report.leave_out_known(baseline);
    }
    let exit_code = exit_code(&report, asked.fail_on, asked.strict);
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
        Format::Html => report::html(&report),
        Format::Sarif => report::sarif(&report, exit_code),
    };
    match &args.output {
        Some(path) => std::fs::write(path, text)
            .with_context(|| format!("cannot write `{}`", path.display()))?,
        None => terminal::print(&text)?,
    }
    Ok(ExitCode::from(exit_code))
}

/// Steps in their order, then detectors, the slowest first.
fn timing_table(timings: &[Timing]) -> String {
    let (mut detectors, steps): (Vec<_>, Vec<_>) =
        timings.iter().partition(|timing| timing.is_detector);
    detectors.sort_by_key(|timing| std::cmp::Reverse(timing.took));
    let total: Duration = timings.iter().map(|timing| timing.took).sum();
    let of_detectors: Duration = detectors.iter().map(|timing| timing.took).sum();
    let share = |took: Duration| 100.0 * took.as_secs_f64() / total.as_secs_f64().max(f64::EPSILON);
    let line = |step: &str, took: Duration| {
        format!("{step:<34} {:>10.3} ms {:>5.1} %\n", took.as_secs_f64() * 1e3, share(took))
    };
    let mut out: String = steps.iter().map(|timing| line(&timing.step, timing.took)).collect();
    out.push_str(&line(&format!("{} detectors", detectors.len()), of_detectors));
    out.extend(detectors.iter().map(|timing| line(&format!("  {}", timing.step), timing.took)));
    out.push_str(&line("in all", total));
    out.trim_end().to_owned()
}

/// What is asked for: the command line, and below it the settings.
struct Asked {
    options: AuditOptions,
    fail_on: Severity,
    strict: bool,
    baseline: Option<PathBuf>,
}

impl Asked {
    fn new(args: &AuditArgs) -> anyhow::Result<Self> {
        let folder = std::env::current_dir().context("the current folder cannot be read")?;
        let Settings { section, base, not_taken } = if args.no_config {
            Settings::none(&folder)
        } else {
            Settings::load(args.config.as_deref(), &folder)?
        };
        for part in not_taken {
            terminal::say(&format!("note: not taken over from the settings: {part}"));
        }
        // What the command line names starts from the current folder, what the settings name from theirs.
        let here = |path: &PathBuf| folder.join(path);
        let there = |path: &PathBuf| base.join(path);
        let named = |ids: &[DetectorId]| ids.iter().map(|id| id.0.clone()).collect::<Vec<_>>();
        let paths: Vec<PathBuf> = if args.paths.is_empty() {
            section.paths.iter().map(there).collect()
        } else {
            args.paths
                .iter()
                .map(|path| if base == folder { path.clone() } else { here(path) })
                .collect()
        };
        if paths.is_empty() {
            bail!(
                "name a file or folder to audit, or set `paths` in the section `[audit]` of portcullis.toml"
            );
        }
        let packs: Vec<PathBuf> = if args.rules.is_empty() {
            // A name without a file of that name is that of a pack that ships.
            let place =
                |pack: &PathBuf| if there(pack).is_file() { there(pack) } else { pack.clone() };
            section.rules.iter().map(place).collect()
        } else {
            args.rules.clone()
        };
        let or = |given: &[String], set: Vec<String>| {
            if given.is_empty() { set } else { given.to_vec() }
        };
        Ok(Self {
            fail_on: args.fail_on.or(section.fail_on).unwrap_or(Severity::Medium),
            strict: args.strict || section.strict,
            baseline: args.baseline.clone().or_else(|| section.baseline.as_ref().map(there)),
            options: AuditOptions {
                paths,
                include: or(&args.include, section.include),
                exclude: or(&args.exclude, section.exclude),
                detectors: or(&args.detect, named(&section.detectors)),
                exclude_detectors: or(&args.exclude_detector, named(&section.exclude_detectors)),
                rules: crate::rules::for_audit(&packs)?,
                since: args.since.clone(),
                has_pictures: args.format == Format::Html,
                has_timings: args.timings,
                today: Some(Date::of_unix_ms(platform::now_ms())),
                cache: if args.no_cache { None } else { cache() },
                base,
            },
        })
    }
}

/// Bytes that results of earlier audits may take.
const MAX_CACHE_BYTES: u64 = 256 * 1024 * 1024;

/// Where results of earlier audits are kept; nowhere on a system that names no place for such things.
fn cache() -> Option<CacheOptions> {
    let folder = platform::cache_folder()?.join("audit");
    Some(CacheOptions { folder, program: platform::this_build()?, max_bytes: MAX_CACHE_BYTES })
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
