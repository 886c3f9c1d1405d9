//! `portcullis models …`: data from the range, training, figures, the card, single scores.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use portcullis_models::data::Dataset;
use portcullis_models::schema::{CONTRACT, Schema, TRANSACTION};
use portcullis_models::train::{self, Evaluation, ExamineOptions, TrainOptions};
use portcullis_models::{Engine, Model, Vector, shipped};
use portcullis_range::Scope;
use serde_json::json;

use crate::terminal;

mod drift;
mod rebuild;

use rebuild::RebuildArgs;

/// Arguments of `models`.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play attacks and look-alikes through the guard's own simulation, and write a data set
    Range(RangeArgs),
    /// Train a model on a data set and write it as an ONNX file
    Train(TrainArgs),
    /// Make the data anew, train, evaluate, and write the model, its card and its figures
    Rebuild(RebuildArgs),
    /// Score a labelled data set; nothing is trained on it
    Evaluate(EvaluateArgs),
    /// Print a model's card
    Card(ModelArgs),
    /// Say how far the rows of a data set or of a journal have moved from those that a model was trained on
    Drift(drift::DriftArgs),
    /// Score one row of a data set and say what moved the score
    Score(ScoreArgs),
}

#[derive(Debug, Args)]
struct RangeArgs {
    /// Seed; the same seed gives the same rows
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Episodes to play, about 28 rows each
    #[arg(long, default_value_t = 400)]
    episodes: u64,
    /// Collect the contracts that are deployed in those episodes of all protocols instead of the transactions
    #[arg(long, conflicts_with = "all_protocols")]
    contracts: bool,
    /// Play eight kinds of protocol with nine families of attack instead of the ether vault alone
    #[arg(long)]
    all_protocols: bool,
    /// Folder to write `manifest.json` and `rows.jsonl` into
    #[arg(long, short, value_name = "FOLDER")]
    output: PathBuf,
}

#[derive(Debug, Args)]
struct TrainArgs {
    /// Folder of the data set to train on
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Folder of a data set of other episodes: trains with each attack left out and under other handicaps
    /// too, and writes the figures into the card
    #[arg(long, value_name = "FOLDER")]
    test: Option<PathBuf>,
    /// File to write the figures of `--test` to, as JSON
    #[arg(long, value_name = "FILE", requires = "test")]
    evaluation: Option<PathBuf>,
    /// File to write the model to
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Seed of all draws
    #[arg(long, default_value_t = TrainOptions::default().seed)]
    seed: u64,
    /// Trees that vote; an odd number
    #[arg(long, default_value_t = TrainOptions::default().n_trees)]
    trees: usize,
    /// Most questions from root to leaf
    #[arg(long, default_value_t = TrainOptions::default().max_depth)]
    depth: usize,
}

#[derive(Debug, Args)]
struct ModelArgs {
    /// ONNX file; the model that ships, if none is named
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The model of fresh contracts instead of the one of transactions
    #[arg(long)]
    contract: bool,
    /// Library of ONNX Runtime to score with; a walk of our own over the trees, if none is named
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct EvaluateArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder of the data set
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ScoreArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder of the data set
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Which row, from 0
    #[arg(long, value_name = "N")]
    row: usize,
    /// Print the score as JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of the commands.
pub(crate) fn run(args: ModelsArgs) -> anyhow::Result<ExitCode> {
    let text = match args.command {
        Command::Range(args) => range(&args)?,
        Command::Train(args) => train(&args)?,
        Command::Rebuild(args) => rebuild::run(&args)?,
        Command::Evaluate(args) => evaluate(&args)?,
        Command::Card(args) => load(&args)?.card_markdown(),
        Command::Drift(args) => return drift::run(&args),
        Command::Score(args) => score(&args)?,
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn range(args: &RangeArgs) -> anyhow::Result<String> {
    let scope = if args.all_protocols { Scope::AllProtocols } else { Scope::EtherVault };
    let data = if args.contracts {
        portcullis_range::generate_contracts(args.seed, args.episodes)?
    } else {
        portcullis_range::generate(scope, args.seed, args.episodes)?
    };
    let manifest = data.write(&args.output)?;
    Ok(format!(
        "{}: {} rows, {} harmful, SHA-256 {}\n",
        args.output.display(),
        manifest.rows,
        manifest.harmful,
        manifest.rows_sha256
    ))
}

fn train(args: &TrainArgs) -> anyhow::Result<String> {
    let data = read(&args.data)?;
    let options = TrainOptions {
        seed: args.seed,
        n_trees: args.trees,
        max_depth: args.depth,
        ..TrainOptions::default()
    };
    let mut fitted = train::fit(&data, &options)?;
    if data.origin.generator.starts_with(portcullis_range::GENERATOR) {
        fitted = fitted.with_card("limits", portcullis_range::LIMITS);
    }
    if let Some(folder) = &args.test {
        let test = read(folder)?;
        if data.origin == test.origin {
            bail!("{} was made from the same seed as the training data", folder.display());
        }
        let options = ExamineOptions { train: options, shares: portcullis_range::SHARES.to_vec() };
        let examination = train::examine(&data, &test, &options)?;
        if let Some(path) = &args.evaluation {
            let text = serde_json::to_string_pretty(&examination)? + "\n";
            std::fs::write(path, text).with_context(|| path.display().to_string())?;
        }
        for (heading, text) in examination.card(&test) {
            fitted = fitted.with_card(&heading, &text);
        }
    }
    let bytes = fitted.to_onnx();
    let model = Model::from_bytes(&bytes, &TRANSACTION, Engine::Native)?;
    std::fs::write(&args.output, &bytes).with_context(|| args.output.display().to_string())?;
    Ok(model.card_markdown())
}

fn evaluate(args: &EvaluateArgs) -> anyhow::Result<String> {
    let evaluation =
        train::evaluate(&load(&args.model)?, &read_as(&args.data, args.model.schema())?)?;
    Ok(if args.json {
        serde_json::to_string_pretty(&evaluation)? + "\n"
    } else {
        table(&evaluation)
    })
}

fn table(evaluation: &Evaluation) -> String {
    let mut text = format!(
        "{:<28} {:>8} {:>8} {:>8} {:>12}\n",
        "family", "rows", "harmful", "caught", "false alarms"
    );
    for (family, found) in &evaluation.families {
        text += &format!(
            "{family:<28} {:>8} {:>8} {:>8} {:>12}\n",
            found.rows, found.harmful, found.caught, found.false_alarms
        );
    }
    let Evaluation { rows, harmful, caught, false_alarms, .. } = evaluation;
    text += &format!("{:<28} {rows:>8} {harmful:>8} {caught:>8} {false_alarms:>12}\n", "all");
    let auc = evaluation.auc.map_or_else(|| "unknown".to_owned(), |auc| format!("{auc:.4}"));
    text + &format!("threshold {}, area under the curve {auc}\n", evaluation.threshold)
}

fn score(args: &ScoreArgs) -> anyhow::Result<String> {
    let model = load(&args.model)?;
    let data = read_as(&args.data, args.model.schema())?;
    let row = data.rows.get(args.row).with_context(|| {
        format!(
            "{} has {} rows, there is no row {}",
            args.data.display(),
            data.rows.len(),
            args.row
        )
    })?;
    let vector = Vector::from_values(data.schema, &row.values)?;
    let score = model.score(&vector)?;
    let moves: Vec<_> = score
        .contributions
        .iter()
        .map(|&(index, move_by)| (data.schema.features[index].name, vector.value(index), move_by))
        .collect();
    if args.json {
        let moves: Vec<_> = moves
            .iter()
            .map(|(feature, value, move_by)| json!({ "feature": feature, "value": value, "move": move_by }))
            .collect();
        let answer = json!({
            "family": row.family,
            "harm": row.harm,
            "probability": score.probability,
            "threshold": model.threshold(),
            "bias": score.bias,
            "moves": moves,
            "model": model.hash_hex(),
            "engine": model.engine_name(),
        });
        return Ok(serde_json::to_string_pretty(&answer)? + "\n");
    }
    let mut text = format!(
        "{} ({}): probability {:.4}, threshold {}\n  {:+.4} before anything is known\n",
        row.family,
        if row.harm { "harmful" } else { "benign" },
        score.probability,
        model.threshold(),
        score.bias
    );
    for (feature, value, move_by) in moves {
        let value = value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
        text += &format!("  {move_by:+.4} {feature} = {value}\n");
    }
    Ok(text)
}

fn load(args: &ModelArgs) -> anyhow::Result<Model> {
    let engine = args
        .onnxruntime
        .as_deref()
        .map_or(Engine::Native, |library| Engine::OnnxRuntime { library });
    let ships = if args.contract { shipped::CONTRACT } else { shipped::TRANSACTION };
    match &args.model {
        None => Model::from_bytes(ships, args.schema(), engine).context("the model that ships"),
        Some(path) => Ok(Model::from_file(path, args.schema(), engine)?),
    }
}

impl ModelArgs {
    fn schema(&self) -> &'static Schema {
        if self.contract { &CONTRACT } else { &TRANSACTION }
    }
}

fn read_as(folder: &Path, schema: &'static Schema) -> anyhow::Result<Dataset> {
    Ok(Dataset::read(folder, schema)?)
}

fn read(folder: &Path) -> anyhow::Result<Dataset> {
    read_as(folder, &TRANSACTION)
}
