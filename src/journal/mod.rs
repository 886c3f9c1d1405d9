//! `portcullis journal`: what was judged, on which evidence, and what was done about it.

mod page;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use alloy::primitives::B256;
use anyhow::{Context, bail};
use portcullis_alerting::journal::clickhouse::ClickHouseJournal;
use portcullis_alerting::journal::{Journal, JournalError, JournalStats, VerdictFilter};
use portcullis_alerting::record::{ActionRow, Decision, Evidence, VerdictRow};
use serde::Serialize;

use crate::terminal::{self, Paint};
use crate::{config, platform};

/// Arguments of `journal`.
#[derive(Debug, clap::Args)]
pub(crate) struct JournalArgs {
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(Debug, clap::Subcommand)]
enum JournalCommand {
    /// List verdicts, the newest first
    List(ListArgs),
    /// Tell everything that is known of one transaction
    Show(ShowArgs),
    /// Count verdicts by outcome, decision and day, and tell how fast they were
    Stats(StatsArgs),
    /// Write verdicts to stdout for other programs, the newest first
    Export(ExportArgs),
}

/// Which journal.
#[derive(Debug, clap::Args)]
struct Place {
    /// Ask the file that a guard writes, or the server that files are shipped to
    #[arg(long, value_enum, value_name = "STORE", default_value = "file")]
    store: StoreName,
    /// The journal
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "store"])]
    journal: Option<PathBuf>,
    /// The configuration that names the journal
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StoreName {
    /// One guard's SQLite file
    File,
    /// The ClickHouse server of `[journal.clickhouse]`
    Clickhouse,
}

/// Which verdicts.
#[derive(Debug, clap::Args)]
struct Which {
    /// Only of this chain
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// Only what was seen in this last time: `90s`, `30m`, `24h`, `7d`
    #[arg(long, value_name = "TIME", value_parser = ago_ms)]
    since: Option<u64>,
    /// Only where this or more would have been decided, were it armed
    #[arg(long, value_enum, value_name = "DECISION")]
    decision: Option<DecisionName>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum DecisionName {
    /// Everything
    None,
    /// Alerts and pauses
    Alert,
    /// Pauses
    Pause,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    from: Place,
    #[command(flatten)]
    which: Which,
    /// At most this many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// How to print them
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Hash of the transaction
    transaction: B256,
    #[command(flatten)]
    from: Place,
    /// How to print it
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct StatsArgs {
    #[command(flatten)]
    from: Place,
    #[command(flatten)]
    which: Which,
    /// How to print them
    #[arg(long, value_enum, default_value = "terminal")]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    #[command(flatten)]
    from: Place,
    #[command(flatten)]
    which: Which,
    /// In which format
    #[arg(long, value_enum, default_value = "json")]
    format: ExportFormat,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people
    Terminal,
    /// For programs
    Json,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ExportFormat {
    /// One JSON object a line
    Json,
    /// Comma-separated values, with a line of names
    Csv,
}

/// Everything that is known of one transaction; the JSON form of `show`.
#[derive(Debug, Serialize)]
struct Known {
    /// It may have been judged more than once, on different heads; the newest first.
    verdicts: Vec<VerdictRow>,
    evidence: Vec<Evidence>,
    actions: Vec<ActionRow>,
}

/// Reads the journal and prints.
pub(crate) fn run(args: JournalArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        JournalCommand::List(args) => list(&args)?,
        JournalCommand::Show(args) => show(&args)?,
        JournalCommand::Stats(args) => stats(&args)?,
        JournalCommand::Export(args) => export(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let filter = VerdictFilter { limit: Some(args.limit), ..args.which.filter() };
    let verdicts = args.from.open()?.verdicts(&filter)?;
    match args.format {
        Format::Json => terminal::print(&(serde_json::to_string_pretty(&verdicts)? + "\n"))?,
        Format::Terminal => terminal::print(&page::list(&verdicts, paint()))?,
    }
    Ok(())
}

fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let journal = args.from.open()?;
    let filter = VerdictFilter { tx_hash: Some(args.transaction), ..Default::default() };
    let known = Known {
        verdicts: journal.verdicts(&filter)?,
        evidence: journal.evidence(args.transaction)?,
        actions: journal.actions(args.transaction)?,
    };
    if known.verdicts.is_empty() && known.evidence.is_empty() && known.actions.is_empty() {
        bail!("{}: nothing is known of {}", journal.name(), args.transaction);
    }
    match args.format {
        Format::Json => terminal::print(&(serde_json::to_string_pretty(&known)? + "\n"))?,
        Format::Terminal => terminal::print(&page::transaction(&known, paint()))?,
    }
    Ok(())
}

fn stats(args: &StatsArgs) -> anyhow::Result<()> {
    let stats = args.from.open()?.stats(&args.which.filter())?;
    match args.format {
        Format::Json => terminal::print(&(serde_json::to_string_pretty(&stats)? + "\n"))?,
        Format::Terminal => terminal::print(&page::stats(&stats, paint()))?,
    }
    Ok(())
}

fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let journal = args.from.open()?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut written = || -> anyhow::Result<()> {
        if matches!(args.format, ExportFormat::Csv) {
            writeln!(out, "{}", page::CSV_HEADER)?;
        }
        journal.visit_verdicts(&args.which.filter(), |row| {
            match args.format {
                ExportFormat::Json => writeln!(out, "{}", serde_json::to_string(&row)?)?,
                ExportFormat::Csv => writeln!(out, "{}", page::csv(&row))?,
            }
            Ok::<_, anyhow::Error>(())
        })?;
        Ok(out.flush()?)
    };
    match written() {
        // Whoever reads has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn paint() -> Paint {
    Paint { on: terminal::stdout_has_colour() }
}

impl Place {
    fn open(&self) -> anyhow::Result<Store> {
        let configured = || {
            config::load(&self.config).context("--journal names a journal without a configuration")
        };
        let base = self.config.parent().unwrap_or(Path::new(""));
        if self.store == StoreName::Clickhouse {
            let server = crate::guard::parts::clickhouse(&configured()?.journal, base)?;
            let server = server.with_context(|| {
                format!("{}: expected a [journal.clickhouse] section", self.config.display())
            })?;
            return Ok(Store::Server(Box::new(ClickHouseJournal::open(server)?)));
        }
        let path = match &self.journal {
            Some(path) => path.clone(),
            None => base.join(configured()?.journal.path),
        };
        if !path.is_file() {
            bail!("{}: there is no journal; a guard writes one", path.display());
        }
        Ok(Store::File(Journal::open_read_only(path)?))
    }
}

/// A journal that answers.
#[derive(Debug)]
enum Store {
    File(Journal),
    Server(Box<ClickHouseJournal>),
}

impl Store {
    fn name(&self) -> String {
        match self {
            Self::File(file) => file.path().display().to_string(),
            Self::Server(server) => server.server().to_owned(),
        }
    }

    fn verdicts(&self, filter: &VerdictFilter) -> Result<Vec<VerdictRow>, JournalError> {
        match self {
            Self::File(file) => file.verdicts(filter),
            Self::Server(server) => server.verdicts(filter),
        }
    }

    fn visit_verdicts<E: From<JournalError>>(
        &self,
        filter: &VerdictFilter,
        take: impl FnMut(VerdictRow) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::File(file) => file.visit_verdicts(filter, take),
            Self::Server(server) => server.visit_verdicts(filter, take),
        }
    }

    fn evidence(&self, transaction: B256) -> Result<Vec<Evidence>, JournalError> {
        match self {
            Self::File(file) => file.evidence(transaction),
            Self::Server(server) => server.evidence(transaction),
        }
    }

    fn actions(&self, transaction: B256) -> Result<Vec<ActionRow>, JournalError> {
        match self {
            Self::File(file) => file.actions(transaction),
            Self::Server(server) => server.actions(transaction),
        }
    }

    fn stats(&self, filter: &VerdictFilter) -> Result<JournalStats, JournalError> {
        match self {
            Self::File(file) => file.stats(filter),
            Self::Server(server) => server.stats(filter),
        }
    }
}

impl Which {
    fn filter(&self) -> VerdictFilter {
        VerdictFilter {
            chain: self.chain.clone(),
            since_ms: self.since.map(|ago_ms| platform::now_ms().saturating_sub(ago_ms)),
            would_decide_at_least: self.decision.map(|decision| match decision {
                DecisionName::None => Decision::None,
                DecisionName::Alert => Decision::Alert,
                DecisionName::Pause => Decision::Pause,
            }),
            ..Default::default()
        }
    }
}

/// Milliseconds of `90s`, `30m`, `24h` or `7d`.
fn ago_ms(text: &str) -> Result<u64, String> {
    let expected = || "expected a number and one of s, m, h, d, such as `24h`".to_owned();
    let unit_ms = match text.chars().last() {
        Some('s') => 1_000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        _ => return Err(expected()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| expected())?;
    number.checked_mul(unit_ms).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::ago_ms;

    #[test]
    fn a_span_of_time_has_a_unit() {
        assert_eq!(ago_ms("90s"), Ok(90_000));
        assert_eq!(ago_ms("7d"), Ok(604_800_000));
        for wrong in [
            "",
            "h",
            "12",
            "-1h",
            "1w",
            "1 h",
            "99999999999999999999d",
            "18446744073709551615d",
            "é",
        ] {
            assert!(ago_ms(wrong).is_err(), "{wrong}");
        }
    }
}
