//! `portcullis models rebuild`: from seeds to the model that ships, its card and its figures.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use portcullis_models::data::Dataset;
use portcullis_models::schema::{CONTRACT, TRANSACTION, transaction};
use portcullis_models::train::{self, Examination, ExamineOptions, TrainOptions};
use portcullis_models::{Engine, Model, Vector};
use portcullis_range::{
    CONTRACT_LIMITS, GENERATOR_VERSION, LIMITS, SHARES, Scope, generate, generate_benign,
    generate_contracts, generate_padded,
};
use portcullis_rules::packs;
use serde::Serialize;

/// How much more padding the attacks get that are made to evade the model; code may not be longer than with about that.
const PADDINGS: [f64; 2] = [2.0, 3.0];
/// Rows whose scores are written down beside a model.
const GOLDEN_ROWS: usize = 100;
/// Part of the honest contracts that may be flagged: a warning disturbs, and stops nothing.
const CONTRACT_BUDGET: f64 = 0.02;
/// Peaceful episodes that are in memory at one time.
const CHUNK_EPISODES: u64 = 400;

#[derive(Debug, Args)]
pub(super) struct RebuildArgs {
    /// Folder to write `shipped/transaction.onnx`, `CARD.md` and `evaluation.json` into, and the same of the model of fresh
    /// contracts
    #[arg(long, default_value = "models", value_name = "FOLDER")]
    folder: PathBuf,
    /// Episodes to train on, about 26 rows each
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    train_episodes: u64,
    /// Episodes to judge on
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    test_episodes: u64,
    /// Peaceful episodes in which false alarms are counted; 40,000 hold a million rows
    #[arg(long, default_value_t = 40_000, value_name = "N")]
    benign_episodes: u64,
    /// Seed of the data that is trained on and of all draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Trees that vote; an odd number
    #[arg(long, default_value_t = TrainOptions::default().n_trees)]
    trees: usize,
}

/// The seed of the judging data comes from a hash of all that is judged, the model, the rules beside it and the range,
/// so nobody can have tried it before these were fixed.
pub(super) fn run(args: &RebuildArgs) -> anyhow::Result<String> {
    let scope = Scope::AllProtocols;
    let options = TrainOptions { seed: args.seed, n_trees: args.trees, ..TrainOptions::default() };

    tracing::info!(episodes = args.train_episodes, "playing what is trained on");
    let data = generate(scope, args.seed, args.train_episodes)?;
    let mut fitted = train::fit(&data, &options)?.with_card("limits", LIMITS);
    let mut judged: Vec<&str> = vec![GENERATOR_VERSION];
    judged.extend(packs::embedded().iter().flat_map(|(name, text)| [*name, *text]));
    let frozen = fitted.freeze(&judged);
    let seed = u64::from_be_bytes(frozen[..8].try_into().expect("a hash has 32 bytes"));

    tracing::info!(episodes = args.test_episodes, seed, "playing what is judged on");
    let test = generate(scope, seed, args.test_episodes)?;
    let options = ExamineOptions { train: options, shares: SHARES.to_vec() };
    tracing::info!("training under handicaps");
    let mut examination = train::examine(&data, &test, &options)?;
    tracing::info!("training under handicaps without the features that count rules");
    let any_sign_recall = examination.figures.best_single_rule_recall;
    let plain = train::examine(&without_counts(&data), &without_counts(&test), &options)?;
    examination.figures.best_single_rule_recall = plain.figures.best_single_rule_recall;

    let model = Model::from_bytes(&fitted.to_onnx(), &TRANSACTION, Engine::Native)?;
    tracing::info!("playing attacks that are padded out");
    for padding in PADDINGS {
        let padded = generate_padded(scope, seed, args.test_episodes, padding)?;
        let found = train::evaluate(&model, &padded)?;
        examination.add_evasion(&format!("padded {padding} times as much"), &found);
    }
    let end = args.benign_episodes;
    tracing::info!(episodes = end, "counting false pauses");
    for first in (0..end).step_by(CHUNK_EPISODES as usize) {
        let chunk = first..(first + CHUNK_EPISODES).min(end);
        let benign = generate_benign(scope, !seed, chunk)?;
        examination.count_more_benign(&train::evaluate(&model, &benign)?);
    }
    for (heading, text) in examination.card(&test) {
        fitted = fitted.with_card(&heading, &text);
    }
    let signs = format!(
        "the one question of the headline may not be about a count of rules; where it may, it asks whether any sign of harm is \
         seen, and finds {any_sign_recall:.3} of the families left out: in the range a model that is given the signs finds no \
         more than they do"
    );
    fitted = fitted.with_card("evaluation, signs", &signs);
    let run = format!(
        "`portcullis models rebuild --seed {} --trees {} --train-episodes {} --test-episodes {} --benign-episodes {end}`; \
         the judging seed is the start of SHA-256 {} over model, rules and range",
        args.seed,
        args.trees,
        args.train_episodes,
        args.test_episodes,
        frozen.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    );
    let bytes = fitted.with_card("run", &run).to_onnx();
    let model = Model::from_bytes(&bytes, &TRANSACTION, Engine::Native)?;
    write(&args.folder.join("shipped"), "transaction.onnx", &bytes)?;
    write(&args.folder, "CARD.md", model.card_markdown().as_bytes())?;
    let judged = Judged { any_sign_recall, examination: &examination };
    let figures = serde_json::to_string_pretty(&judged)? + "\n";
    write(&args.folder, "evaluation.json", figures.as_bytes())?;
    write(&args.folder.join("shipped"), "transaction.golden.jsonl", &golden(&model, &test)?)?;
    let contract = contracts(args, seed)?;
    Ok(super::table(&examination.model)
        + &model.card()["evaluation, headline"]
        + "\n"
        + &contract.card()["evaluation, headline"]
        + "\n")
}

/// The model of fresh contracts, on as many episodes, judged by the same seed.
fn contracts(args: &RebuildArgs, seed: u64) -> anyhow::Result<Model> {
    tracing::info!(episodes = args.train_episodes, "collecting fresh contracts");
    let options = TrainOptions {
        seed: args.seed,
        n_trees: args.trees,
        benign_per_harmful: 4,
        false_alarm_budget: CONTRACT_BUDGET,
        ..TrainOptions::default()
    };
    let data = generate_contracts(args.seed, args.train_episodes)?;
    let test = generate_contracts(seed, args.test_episodes)?;
    let mut fitted = train::fit(&data, &options)?.with_card("limits", CONTRACT_LIMITS);
    let options = ExamineOptions { train: options, shares: SHARES.to_vec() };
    let examination = train::examine(&data, &test, &options)?;
    for (heading, text) in examination.card(&test) {
        fitted = fitted.with_card(&heading, &text);
    }
    let bytes = fitted.to_onnx();
    let model = Model::from_bytes(&bytes, &CONTRACT, Engine::Native)?;
    write(&args.folder.join("shipped"), "contract.onnx", &bytes)?;
    write(&args.folder, "CONTRACT-CARD.md", model.card_markdown().as_bytes())?;
    let figures = serde_json::to_string_pretty(&examination)? + "\n";
    write(&args.folder, "contract-evaluation.json", figures.as_bytes())?;
    write(&args.folder.join("shipped"), "contract.golden.jsonl", &golden(&model, &test)?)?;
    Ok(model)
}

/// What the figures say of a transaction model.
#[derive(Debug, Serialize)]
struct Judged<'a> {
    /// Mean over families left out of training of the one question, whether any sign of harm is seen.
    any_sign_recall: f64,
    #[serde(flatten)]
    examination: &'a Examination,
}

/// The same rows, the counts of rules unknown: a question about one of those is a question about all rules at once.
fn without_counts(data: &Dataset) -> Dataset {
    let mut data = data.clone();
    for row in &mut data.rows {
        for place in [transaction::HARM_SIGNS, transaction::SOFT_INVARIANTS] {
            row.values[place] = data.schema.features[place].unknown();
        }
    }
    data
}

#[derive(Debug, Serialize)]
struct Golden<'a> {
    family: &'a str,
    values: &'a [f32],
    probability: f32,
}

/// Rows that did not train the model, one in so many, with what it gives them: every way of serving must give the same.
fn golden(model: &Model, test: &Dataset) -> anyhow::Result<Vec<u8>> {
    let mut lines = String::new();
    let step = test.rows.len().div_ceil(GOLDEN_ROWS).max(1);
    for row in test.rows.iter().step_by(step) {
        let vector = Vector::from_values(test.schema, &row.values)?;
        // A float of 32 bits is written as such: its shortest form reads back the same.
        let line = Golden {
            family: &row.family,
            values: &row.values,
            probability: model.score(&vector)?.probability,
        };
        lines += &(serde_json::to_string(&line)? + "\n");
    }
    Ok(lines.into_bytes())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(name);
    std::fs::write(&path, bytes).with_context(|| path.display().to_string())
}
