//! `portcullis rules`: write, check, test, backtest and explain rule packs.

#[cfg(feature = "guard")]
mod backtest;
#[cfg(feature = "guard")]
mod blocks;
#[cfg(feature = "audit")]
mod code;
#[cfg(all(feature = "audit", feature = "guard"))]
mod derive;
#[cfg(feature = "guard")]
pub(crate) mod many;
#[cfg(feature = "guard")]
mod recorded;
mod template;
#[cfg(feature = "guard")]
mod windows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
#[cfg(feature = "audit")]
use std::sync::Arc;

use anyhow::bail;
#[cfg(feature = "audit")]
use portcullis_rules::Subject;
use portcullis_rules::packs::{self, Shipped};
use portcullis_rules::testing::{self, Proof, Recorded, TestReport};
use portcullis_rules::{
    Dictionary, Expectation, Maturity, Pack, PackError, Rule, RuleSet, RuleTest, TestInput,
};

use crate::{dictionaries, terminal};

/// A pack that does not check, or a test that fails.
const FOUND: u8 = 1;

/// Version of the JSON form of a test report.
const FORMAT_VERSION: u32 = 1;

/// Arguments of `rules`.
#[derive(Debug, clap::Args)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RulesCommand {
    /// Check packs: their shape, and every name, type and unit in their conditions
    #[command(
        after_help = "Exit codes: 0 all packs are fine; 1 a pack is refused; 2 a file cannot be read."
    )]
    Check {
        /// Rule packs (YAML)
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Run the tests that stand in packs
    #[command(
        after_help = "Exit codes: 0 all tests pass; 1 a test fails, or a rule lacks a firing or a silent one; 2 a file \
                      cannot be read or is not a pack."
    )]
    Test {
        /// Rule packs (YAML); the packs that ship with this program if none are named
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Shape of the report
        #[arg(long, value_enum, default_value_t = Format::Terminal)]
        format: Format,
    },
    /// Print what a rule looks for, which facts it reads, and when it may be wrong
    Explain {
        /// Id of the rule
        #[arg(value_name = "RULE")]
        rule: String,
        /// Look in these packs too
        #[arg(long = "pack", value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Say how often a pack would have fired in the past, on what, and whether a pause would have helped
    #[cfg(feature = "guard")]
    #[command(
        after_help = "Exit codes: 0 done; 1 more alerts within 24 hours than --max-alerts-per-day; 2 the pack or the \
                      source cannot be used."
    )]
    Backtest(backtest::BacktestArgs),
    /// Turn what the audit learns of a contract into rules for the guard
    #[cfg(all(feature = "audit", feature = "guard"))]
    #[command(
        after_help = "Exit codes: 0 derived; 2 nothing to derive from, or the file is there already."
    )]
    Derive(derive::DeriveArgs),
    /// Write a commented pack to start from
    New {
        /// Name of the pack, lower case words joined by `-`; `NAME.yaml` is written
        #[arg(value_name = "NAME")]
        name: String,
        /// What its rule is asked about
        #[arg(long, value_enum, default_value = "transaction")]
        subject: template::TemplateSubject,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Terminal,
    Json,
}

/// Runs one of the commands.
pub(crate) fn run(args: RulesArgs) -> anyhow::Result<ExitCode> {
    let dictionaries = dictionaries();
    match args.command {
        RulesCommand::Check { files } => check(&files, &dictionaries),
        RulesCommand::Test { files, format } => {
            let tested = if files.is_empty() {
                packs::shipped(&dictionaries)?
            } else {
                Shipped { packs: load(&files, &dictionaries)?, skipped: Vec::new() }
            };
            // Loading them together is how the guard takes them: ids are unique over all packs.
            let set = RuleSet::new(tested.packs.clone())?;
            test(&tested, set, files.is_empty(), format)
        }
        RulesCommand::Explain { rule, files } => {
            let mut known = packs::shipped(&dictionaries)?;
            known.packs.extend(load(&files, &dictionaries)?);
            explain(&rule, &known)
        }
        #[cfg(feature = "guard")]
        RulesCommand::Backtest(args) => {
            let pack = named(&args.pack, &dictionaries)?;
            backtest::run(&args, pack)
        }
        #[cfg(all(feature = "audit", feature = "guard"))]
        RulesCommand::Derive(args) => derive::run(args, &dictionaries),
        RulesCommand::New { name, subject } => template::write(&name, subject),
    }
}

fn check(files: &[PathBuf], dictionaries: &[Dictionary]) -> anyhow::Result<ExitCode> {
    let (mut good, mut refused) = (Vec::new(), 0);
    for file in files {
        let origin = file.display();
        match Pack::open(file, dictionaries) {
            Ok(pack) => {
                let (name, rules) = (pack.name(), pack.rules().len());
                terminal::print(&format!(
                    "{origin}: pack `{name}`, {rules} {}\n",
                    plural(rules, "rule")
                ))?;
                good.push(pack);
            }
            Err(error @ PackError::Read { .. }) => return Err(error.into()),
            Err(error) => {
                refused += 1;
                terminal::say(&format!("error: {error}"));
            }
        }
    }
    if let Err(error) = RuleSet::new(good) {
        refused += 1;
        terminal::say(&format!("error: {error}"));
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn test(
    tested: &Shipped,
    set: RuleSet,
    are_shipped: bool,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let stage = Stage::new(are_shipped, &set);
    let report =
        testing::run(&tested.packs, &set, &|pack, _, rule, test| stage.show(pack, rule, test));
    let text = match format {
        Format::Terminal => {
            let executes = are_shipped || report.executed > 0;
            let proofs = if executes { proof_page(&report) } else { String::new() };
            skipped_lines(tested) + &proofs + &test_page(&report)
        }
        Format::Json => {
            let document = serde_json::json!({
                "version": FORMAT_VERSION,
                "passed": report.passed(),
                "report": report,
                "skipped": tested.skipped,
            });
            serde_json::to_string_pretty(&document)? + "\n"
        }
    };
    terminal::print(&text)?;
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

/// Shows transactions and functions to rules, as far as this build can execute and read them.
struct Stage {
    #[cfg(feature = "guard")]
    library: recorded::Library,
}

impl Stage {
    fn new(are_shipped: bool, set: &RuleSet) -> Self {
        #[cfg(not(feature = "guard"))]
        let _nothing_is_replayed = (are_shipped, set);
        Self {
            #[cfg(feature = "guard")]
            library: recorded::Library::new(are_shipped, set.clone()),
        }
    }

    fn show(&self, pack: &Pack, rule: &Rule, test: &RuleTest) -> Result<Vec<Recorded>, String> {
        #[cfg(not(feature = "guard"))]
        let _nothing_is_replayed = (pack, rule);
        match &test.input {
            #[cfg(feature = "guard")]
            TestInput::Recording(recording) => {
                self.library.recorded(pack, rule, recording).map(|recorded| vec![recorded])
            }
            #[cfg(feature = "guard")]
            TestInput::Range(range) => {
                self.library.played(rule, range, test.expect == Expectation::Fires)
            }
            #[cfg(feature = "audit")]
            TestInput::Code(code) => code::read(code).map(|recorded| vec![recorded]),
            _ => {
                Err("this build has only one half of the program, and not the one that this needs"
                    .to_owned())
            }
        }
    }
}

/// One line for each pack that this build cannot ask.
fn skipped_lines(shipped: &Shipped) -> String {
    shipped.skipped.iter().fold(String::new(), |text, skipped| {
        text + &format!(
            "skipped pack `{}`: this build has no facts of subject `{}`\n",
            skipped.pack, skipped.subject
        )
    })
}

fn test_page(report: &TestReport) -> String {
    let mut text = String::new();
    for failure in &report.failures {
        let test = failure.test.as_ref().map_or(String::new(), |test| format!(" / {test}"));
        text += &format!("FAILED {} / {}{test}: {}\n", failure.pack, failure.rule, failure.detail);
    }
    let TestReport { packs, rules, firing, silent, unknown, failures, .. } = report;
    text += &format!(
        "{packs} {}, {rules} {}; tests: {firing} firing, {silent} silent, {unknown} unknown; {} failed\n",
        plural(*packs, "pack"),
        plural(*rules, "rule"),
        failures.len()
    );
    text
}

/// What stands behind the rules beside written facts. Said of packs that ship, and of those that execute something.
fn proof_page(report: &TestReport) -> String {
    let (proven, thin): (Vec<&Proof>, Vec<&Proof>) =
        report.proofs.iter().partition(|proof| proof.is_proven);
    let mut text = format!(
        "executed: {} transactions and functions; {} of {} {} on three implementations and silent on three \
         look-alikes\n",
        report.executed,
        proven.len(),
        report.rules,
        if report.rules == 1 { "rule fires" } else { "rules fire" }
    );
    let (untried, some): (Vec<&Proof>, Vec<&Proof>) =
        thin.into_iter().partition(|proof| proof.fires_on.is_empty());
    let may_pause = |proof: &&&Proof| proof.maturity == Maturity::Stable;
    let bold: Vec<&Proof> = some.iter().chain(&untried).filter(may_pause).copied().collect();
    for (what, rules) in [
        ("fires on fewer", some),
        ("fires on written facts only", untried),
        ("may ask for a pause all the same, being stable", bold),
    ] {
        if !rules.is_empty() {
            let names: Vec<&str> = rules.iter().map(|proof| proof.rule.as_str()).collect();
            text += &format!("  {what}: {} ({})\n", rules.len(), names.join(", "));
        }
    }
    text
}

fn explain(id: &str, shipped: &Shipped) -> anyhow::Result<ExitCode> {
    let rules: BTreeMap<&str, (&Pack, &Rule)> = shipped
        .packs
        .iter()
        .flat_map(|pack| pack.rules().iter().map(move |rule| (rule.id(), (pack, rule))))
        .collect();
    let Some((pack, rule)) = rules.get(id) else {
        let known: Vec<&str> = rules.keys().copied().collect();
        terminal::say(skipped_lines(shipped).trim_end());
        bail!("no rule is called `{id}`; there are: {}", known.join(", "));
    };
    terminal::print(&rule_page(pack, rule))?;
    Ok(ExitCode::SUCCESS)
}

/// The rule as Markdown.
fn rule_page(pack: &Pack, rule: &Rule) -> String {
    let mut text = format!("# {}\n\n{}\n\n", rule.id(), rule.why().trim());
    if !rule.when().trim().is_empty() {
        text += &format!("Fires when:\n\n```cel\n{}\n```\n\n", rule.when().trim());
    }
    if let Some(holds) = rule.holds() {
        let holds = holds.trim();
        text +=
            &format!("Must hold before and after every transaction:\n\n```cel\n{holds}\n```\n\n");
    }
    text += "Facts it reads:\n\n";
    for spec in rule.reads() {
        let unknown = if spec.may_be_unknown { " May be unknown." } else { "" };
        text += &format!("- `{}`: {}{unknown}\n", spec.name, spec.doc);
    }
    for (title, lines) in
        [("May be wrong about", rule.false_positives()), ("References", rule.references())]
    {
        if !lines.is_empty() {
            text += &format!("\n{title}:\n\n");
            lines.iter().for_each(|line| text += &format!("- {}\n", line.trim()));
        }
    }
    text + &format!(
        "\npack: {} {} by {}\nsubject: {}\nseverity: {}\nmaturity: {}\nclass: {}\nevidence: {}\ntests: {}\n",
        pack.name(),
        pack.version(),
        pack.author(),
        rule.subject(),
        rule.severity(),
        rule.maturity(),
        rule.class(),
        rule.evidence(),
        rule.tests().len()
    )
}

/// The packs that an audit is told to ask: files, or names of packs that ship; none where none is named.
///
/// # Errors
/// A pack that cannot be used, or in which no rule is about functions.
#[cfg(feature = "audit")]
pub(crate) fn for_audit(named: &[PathBuf]) -> anyhow::Result<Option<Arc<RuleSet>>> {
    if named.is_empty() {
        return Ok(None);
    }
    let dictionaries = dictionaries();
    let mut chosen = Vec::new();
    for name in named {
        let pack = self::named(name, &dictionaries)?;
        if pack.rules().iter().all(|rule| rule.subject() != Subject::Function) {
            bail!("{}: no rule in it has the subject `function`", name.display());
        }
        chosen.push(pack);
    }
    Ok(Some(Arc::new(RuleSet::new(chosen)?)))
}

/// The shipped pack of that name, or the pack in that file.
fn named(name: &Path, dictionaries: &[Dictionary]) -> anyhow::Result<Pack> {
    let shipped = packs::shipped(dictionaries)?.packs;
    match shipped.into_iter().find(|pack| Path::new(pack.name()) == name) {
        Some(pack) => Ok(pack),
        None => Ok(Pack::open(name, dictionaries)?),
    }
}

fn load(files: &[PathBuf], dictionaries: &[Dictionary]) -> anyhow::Result<Vec<Pack>> {
    files.iter().map(|file| Ok(Pack::open(file, dictionaries)?)).collect()
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}
