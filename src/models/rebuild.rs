//! `portcullis models rebuild`: from seeds to the model that ships, its card and its figures.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use portcullis_models::schema::TRANSACTION;
use portcullis_models::train::{self, ExamineOptions, TrainOptions};
use portcullis_models::{Engine, Model};
use portcullis_range::{GENERATOR_VERSION, LIMITS, SHARES, Scope, generate, generate_benign};
use portcullis_rules::packs;

/// Peaceful episodes that are in memory at one time.
const CHUNK_EPISODES: u64 = 400;

#[derive(Debug, Args)]
pub(super) struct RebuildArgs {
    /// Folder to write `shipped/transaction.onnx`, `CARD.md` and `evaluation.json` into
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

    let model = Model::from_bytes(&fitted.to_onnx(), &TRANSACTION, Engine::Native)?;
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
    let figures = serde_json::to_string_pretty(&examination)? + "\n";
    write(&args.folder, "evaluation.json", figures.as_bytes())?;
    Ok(super::table(&examination.model) + &model.card()["evaluation, headline"] + "\n")
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(name);
    std::fs::write(&path, bytes).with_context(|| path.display().to_string())
}
