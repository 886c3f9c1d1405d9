//! `portcullis explain ID`.

use std::process::ExitCode;

use anyhow::bail;
use portcullis_analyzer::detectors::{self, Page};
use portcullis_analyzer::report::counterparts;

use crate::terminal;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// Id of a detector, as findings name it
    #[arg(value_name = "ID")]
    id: String,
}

/// Prints the detector's page as Markdown.
pub(crate) fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let Some(detector) = detectors::by_id(&args.id) else {
        let known: Vec<_> = detectors::all().map(|detector| detector.metadata().id).collect();
        bail!("no detector is called `{}`; there are: {}", args.id, known.join(", "));
    };
    let metadata = detector.metadata();
    let page = Page::parse(metadata.doc)?;
    let mut text = format!("# {}\n\n{page}\n", metadata.id);
    text += &format!("severity: {}\n", metadata.severity.name());
    text += &format!("confidence: {}\n", metadata.confidence.name());
    text += &format!("since: {}\n", metadata.since);
    for (name, ids) in counterparts(detector).by_tool() {
        if !ids.is_empty() {
            text += &format!("{name}: {}\n", ids.join(", "));
        }
    }
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
