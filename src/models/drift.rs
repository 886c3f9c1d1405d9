//! `portcullis models drift`: how far what a model is asked has moved from what it was trained on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use portcullis_alerting::journal::{Journal, JournalError, VerdictFilter};
use portcullis_models::drift::{Drift, MIN_ROWS, Moved, STOP_PSI, WARN_PSI};
use portcullis_models::{Model, Vector};
use serde_json::json;

use super::{ModelArgs, load, read_as};
use crate::terminal;

#[derive(Debug, Args)]
pub(super) struct DriftArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder of a data set
    #[arg(long, value_name = "FOLDER", required_unless_present = "journal")]
    data: Option<PathBuf>,
    /// A guard's journal instead: the vectors that it kept as evidence, which are those of weightier transactions
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "contract"])]
    journal: Option<PathBuf>,
    /// Print every feature's index as JSON
    #[arg(long)]
    json: bool,
}

/// Exit code 1 where the score has moved so far that it should not be trusted.
pub(super) fn run(args: &DriftArgs) -> anyhow::Result<ExitCode> {
    let model = load(&args.model)?;
    let reference = model.reference().context(
        "the model does not say what was usual when it was trained, so nothing can be held against it: train it with `portcullis models train`",
    )?;
    let mut drift = reference.begin();
    match (&args.data, &args.journal) {
        (Some(folder), _) => {
            for row in read_as(folder, model.schema())?.rows {
                add(&mut drift, &model, &Vector::from_values(model.schema(), &row.values)?)?;
            }
        }
        (None, Some(path)) => from_journal(path, &model, &mut drift)?,
        (None, None) => bail!("name a data set or a journal"),
    }
    let rows = drift.rows();
    let Some(moved) = drift.moved(model.schema()) else {
        bail!("{rows} rows say nothing; at least {MIN_ROWS} are needed");
    };
    let score = moved.last().map_or(0.0, |moved| moved.psi);
    let text = if args.json {
        let features: BTreeMap<&str, f64> =
            moved.iter().map(|moved| (moved.name, moved.psi)).collect();
        serde_json::to_string_pretty(&json!({ "rows": rows, "psi": features }))? + "\n"
    } else {
        table(rows, moved)
    };
    terminal::print(&text)?;
    Ok(if score >= STOP_PSI { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn add(drift: &mut Drift, model: &Model, vector: &Vector) -> anyhow::Result<()> {
    drift.add(vector, model.score(vector)?.probability);
    Ok(())
}

fn from_journal(path: &std::path::Path, model: &Model, drift: &mut Drift) -> anyhow::Result<()> {
    let journal = Journal::open_read_only(path)?;
    let hash = model.schema().hash_hex();
    let mut hashes = Vec::new();
    journal.visit_verdicts::<JournalError>(&VerdictFilter::default(), |row| {
        hashes.push(row.tx_hash);
        Ok(())
    })?;
    hashes.sort_unstable();
    hashes.dedup();
    for hash_of_tx in hashes {
        for evidence in journal.evidence(hash_of_tx)? {
            // Of another schema are the vectors of an older guard.
            if evidence.schema_hash == hash && !evidence.features.is_empty() {
                add(drift, model, &Vector::from_values(model.schema(), &evidence.features)?)?;
            }
        }
    }
    Ok(())
}

fn table(rows: u64, mut moved: Vec<Moved>) -> String {
    let score = moved.pop();
    moved.retain(|moved| moved.psi >= WARN_PSI);
    moved.sort_by(|a, b| b.psi.total_cmp(&a.psi).then(a.name.cmp(b.name)));
    let verdict = |psi: f64| match psi {
        psi if psi >= STOP_PSI => "has moved",
        psi if psi >= WARN_PSI => "is worth a look",
        _ => "is where it was",
    };
    let mut text = format!("{rows} rows against what was usual in training\n");
    for Moved { name, psi } in score.into_iter().chain(moved) {
        text += &format!("{name:<28} {psi:>8.3}  {}\n", verdict(psi));
    }
    text
}
