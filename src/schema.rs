//! `portcullis schema NAME`: the JSON schemas of the formats, for editors and for other programs.

use std::process::ExitCode;

use crate::terminal;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(crate) struct SchemaArgs {
    /// Format to describe
    #[arg(value_enum)]
    format: Format,
}

/// The formats that join the rooms; all but the vectors, whose schema is the model's own.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// `portcullis.toml`
    #[cfg(feature = "guard")]
    Config,
    /// A recorded stream
    #[cfg(feature = "guard")]
    Recording,
    /// Rows of the journal
    #[cfg(feature = "guard")]
    Journal,
    /// Feature vectors of models
    #[cfg(feature = "guard")]
    Vectors,
    /// Findings of the audit as JSON
    #[cfg(feature = "audit")]
    Findings,
    /// What `inspect --format json` prints
    #[cfg(feature = "audit")]
    Inspect,
    /// A rule pack
    RulePack,
}

/// Prints one schema on stdout.
pub(crate) fn run(args: SchemaArgs) -> anyhow::Result<ExitCode> {
    let schema = match args.format {
        #[cfg(feature = "guard")]
        Format::Config => serde_json::to_value(crate::config::schema())?,
        #[cfg(feature = "guard")]
        Format::Recording => portcullis_watcher::source::recording::recording_schema(),
        #[cfg(feature = "guard")]
        Format::Journal => portcullis_alerting::journal::row_schema(),
        #[cfg(feature = "guard")]
        Format::Vectors => portcullis_models::schema::describe(),
        #[cfg(feature = "audit")]
        Format::Findings => portcullis_analyzer::report::findings_schema(),
        #[cfg(feature = "audit")]
        Format::Inspect => portcullis_analyzer::inspect::inspect_schema(),
        Format::RulePack => portcullis_rules::pack_schema(),
    };
    terminal::print(&(serde_json::to_string_pretty(&schema)? + "\n"))?;
    Ok(ExitCode::SUCCESS)
}
