//! A data set to a forest.
//!
//! The trees that ship are grown by a small trainer of our own. linfa's are not the same twice: it counts classes in hash
//! maps of random order, so ties and float sums go another way each time; its leaves keep a label and no counts; its
//! bagging drops sample weights. It grows a baseline, which is reported with its spread.
//!
//! Leaves are refitted with rows that a tree has not seen, and every class is drawn on its own.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::data::{Dataset, Row, Rules};
use crate::drift::Reference;
use crate::forest::{Forest, MAX_TREES};
use crate::onnx::{self, Stored, StoredSchema};
use crate::random::Random;

mod calibrate;
mod card;
mod evaluate;
mod examine;
mod grow;
mod linfa;
mod question;

pub use calibrate::Calibration;
pub use evaluate::{Evaluation, FamilyResult, evaluate};
pub use examine::{
    Caught, Examination, ExamineError, ExamineOptions, Figures, HeldOut, LeftOut, Share, Spread,
    Summary, examine,
};

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Seed of all draws.
    pub seed: u64,
    /// Trees that vote; odd. One is a single, readable tree.
    pub n_trees: usize,
    /// Most questions from root to leaf, 1 to 16.
    pub max_depth: usize,
    /// Fewest drawn rows in a leaf.
    pub min_leaf: usize,
    /// Benign rows drawn for each harmful one.
    pub benign_per_harmful: usize,
    /// Part of the features that vary that each question may be chosen from, above 0 and up to 1. Below 1 the forest
    /// leans on several signs of an attack where one would do for the training rows.
    pub feature_share: f64,
    /// Part of the episodes that no tree sees and that the threshold is chosen on, above 0 and below 1.
    pub validation_share: f64,
    /// Part of the benign rows of the validation episodes that the threshold may let be flagged, 0 to below 1. A
    /// model alone never pauses, so this is the budget of one of two keys.
    pub false_alarm_budget: f64,
    /// What grows the trees.
    pub grower: Grower,
}

/// What grows trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grower {
    /// The trainer of this crate: the same bytes every time.
    Own,
    /// linfa, a baseline.
    Linfa,
    /// No trees: the one question about one feature that finds the most harmful rows within the budget, a baseline.
    OneQuestion,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            n_trees: 101,
            max_depth: 8,
            min_leaf: 3,
            benign_per_harmful: 8,
            feature_share: 0.3,
            validation_share: 0.3,
            false_alarm_budget: 0.001,
            grower: Grower::Own,
        }
    }
}

/// Why nothing could be trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// An option outside of its range.
    #[error("option `{option}` is {found}, expected {expected}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What was given.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// Too little to learn from, or to choose the threshold on.
    #[error(
        "the {part} episodes hold {harmful} harmful and {benign} benign rows, at least two of each are needed"
    )]
    TooFewRows {
        /// `training` or `validation`.
        part: &'static str,
        /// Harmful rows in it.
        harmful: usize,
        /// Benign rows in it.
        benign: usize,
    },
    /// A row that is not of the data set's schema.
    #[error("row {row}: {source}")]
    Row {
        /// Its place, from 0.
        row: usize,
        /// What is wrong with it.
        source: crate::schema::VectorError,
    },
    /// linfa gave up.
    #[error("linfa could not grow a tree: {reason}")]
    Grow {
        /// What linfa said.
        reason: String,
    },
}

/// A trained model, not yet written.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    stored: Stored,
}

/// Trains bagged trees and chooses the threshold; the same data and options give the same bytes.
///
/// # Errors
/// [`TrainError`] for options outside of their ranges, rows that are not of the schema, and data in which
/// training or validation lacks one of the classes.
pub fn fit(data: &Dataset, options: &TrainOptions) -> Result<Fitted, TrainError> {
    check(options)?;
    for (row, Row { values, .. }) in data.rows.iter().enumerate() {
        crate::schema::Vector::from_values(data.schema, values)
            .map_err(|source| TrainError::Row { row, source })?;
    }
    let (validation, training): (Vec<&Row>, Vec<&Row>) = data.rows.iter().partition(|row| {
        Random::part(options.seed ^ VALIDATION_STREAM, row.episode).unit()
            < options.validation_share
    });
    for (part, rows) in [("training", &training), ("validation", &validation)] {
        let harmful = rows.iter().filter(|row| row.harm).count();
        if harmful < 2 || rows.len() - harmful < 2 {
            return Err(TrainError::TooFewRows { part, harmful, benign: rows.len() - harmful });
        }
    }
    let n_features = data.schema.len();
    let (forest, threshold) = if options.grower == Grower::OneQuestion {
        (question::best(n_features, &data.rows, options.false_alarm_budget), 0.5)
    } else {
        let trees = grow::trees(n_features, &training, options)?;
        let forest = Forest { n_features, trees };
        let threshold = threshold(&forest, &validation, options.false_alarm_budget);
        (forest, threshold)
    };
    let schema = StoredSchema {
        name: data.schema.name.to_owned(),
        version: data.schema.version,
        hash: data.schema.hash_hex(),
    };
    let card = card(data, options, &training, &validation);
    let usual: Vec<(&[f32], f32)> = validation
        .iter()
        .filter(|row| !row.harm && !row.intent)
        .map(|row| (row.values.as_slice(), forest.probability(&row.values)))
        .collect();
    let reference = Some(Reference::of(data.schema, &usual));
    Ok(Fitted { stored: Stored { schema, threshold, card, forest, reference } })
}

impl Fitted {
    /// The model as an ONNX file.
    pub fn to_onnx(&self) -> Vec<u8> {
        onnx::write(&self.stored)
    }

    /// SHA-256 over the model as it is now and over what is judged with it: to be taken before there is anything to judge
    /// it on.
    pub fn freeze(&self, with: &[&str]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.to_onnx());
        for text in with {
            hasher.update([0]);
            hasher.update(text);
        }
        hasher.finalize().into()
    }

    /// Adds a heading to the model card that travels in the file.
    #[must_use]
    pub fn with_card(mut self, heading: &str, text: &str) -> Self {
        self.stored.card.insert(heading.to_owned(), text.to_owned());
        self
    }

    /// Whether a row of the schema's length counts as harm.
    pub(crate) fn flags(&self, values: &[f32]) -> bool {
        self.stored.forest.probability(values) >= self.stored.threshold
    }

    /// The probability that the forest gives a row of the schema's length.
    pub(crate) fn probability(&self, values: &[f32]) -> f32 {
        self.stored.forest.probability(values)
    }

    /// The probability from which on a row counts as harm.
    pub fn threshold(&self) -> f32 {
        self.stored.threshold
    }
}

/// Heading of the card under which stands the SHA-256 of the rows of the [`N_FIRST_EPISODES`] first episodes: few
/// enough to be made again by a test, which so learns whether a feature is computed in another way than when a model was
/// trained.
pub const FIRST_EPISODES: &str = "data, first episodes";
/// Enough for every kind of protocol to turn up.
pub const N_FIRST_EPISODES: u64 = 16;

/// SHA-256 of the rows of the [`N_FIRST_EPISODES`] first episodes, lower-case hex. What rules say of them is left out: a new
/// rule makes no model old.
pub fn first_episodes_sha256(data: &Dataset) -> String {
    let first = data.rows.iter().filter(|row| row.episode < N_FIRST_EPISODES);
    let rows = first.map(|row| Row { rules: Rules::Silent, ..row.clone() }).collect();
    Dataset { rows, ..data.clone_empty() }.manifest().rows_sha256
}

/// Keeps the draw of validation episodes apart from the draws of trees.
const VALIDATION_STREAM: u64 = 0x7661_6c69_6461_7465;

fn check(options: &TrainOptions) -> Result<(), TrainError> {
    let wrong =
        |option, found: String, expected| Err(TrainError::Option { option, found, expected });
    if options.n_trees.is_multiple_of(2) || options.n_trees > MAX_TREES {
        return wrong("n_trees", options.n_trees.to_string(), "an odd number up to 4095");
    }
    if !(1..=16).contains(&options.max_depth) {
        return wrong("max_depth", options.max_depth.to_string(), "1 to 16");
    }
    if options.min_leaf == 0 {
        return wrong("min_leaf", options.min_leaf.to_string(), "at least 1");
    }
    if options.benign_per_harmful == 0 {
        return wrong("benign_per_harmful", options.benign_per_harmful.to_string(), "at least 1");
    }
    if !(options.feature_share > 0.0 && options.feature_share <= 1.0) {
        return wrong("feature_share", options.feature_share.to_string(), "above 0 and up to 1");
    }
    if !(options.validation_share > 0.0 && options.validation_share < 1.0) {
        return wrong(
            "validation_share",
            options.validation_share.to_string(),
            "above 0 and below 1",
        );
    }
    if !(options.false_alarm_budget >= 0.0 && options.false_alarm_budget < 1.0) {
        return wrong(
            "false_alarm_budget",
            options.false_alarm_budget.to_string(),
            "0 and up to below 1",
        );
    }
    Ok(())
}

/// The middle between the highest benign and the lowest harmful score where these are apart, else the lowest number
/// that flags no more benign rows of the validation episodes than the budget allows, rounded down.
fn threshold(forest: &Forest, validation: &[&Row], budget: f64) -> f32 {
    // An attack that fails is no false alarm, so it has no say here.
    let scores = |harm: bool| {
        validation
            .iter()
            .filter(move |row| row.harm == harm && (row.harm || !row.intent))
            .map(|row| forest.probability(&row.values))
    };
    let mut benign: Vec<f32> = scores(false).collect();
    benign.sort_by(|a, b| b.total_cmp(a));
    let highest_benign = benign.first().copied().unwrap_or(0.0);
    let lowest_harmful = scores(true).fold(1.0, f32::min);
    let middle = f32::midpoint(highest_benign, lowest_harmful);
    if middle > highest_benign {
        return middle;
    }
    let allowed = (budget * benign.len() as f64) as usize;
    benign.get(allowed).map_or(1.0, |score| score.next_up().min(1.0))
}

fn card(
    data: &Dataset,
    options: &TrainOptions,
    training: &[&Row],
    validation: &[&Row],
) -> BTreeMap<String, String> {
    let manifest = data.manifest();
    let counts = |rows: &[&Row]| {
        format!("{} rows, {} harmful", rows.len(), rows.iter().filter(|row| row.harm).count())
    };
    let families: Vec<String> =
        manifest.families.iter().map(|(family, rows)| format!("{family} {rows}")).collect();
    BTreeMap::from([
        (
            "data".to_owned(),
            format!(
                "{} {}, seed {}, rows with SHA-256 {}",
                data.origin.generator,
                data.origin.generator_version,
                data.origin.seed,
                manifest.rows_sha256
            ),
        ),
        (FIRST_EPISODES.to_owned(), first_episodes_sha256(data)),
        ("families".to_owned(), families.join(", ")),
        (
            "training".to_owned(),
            format!(
                "{} trees of depth {}, each question chosen from {} of the features, at least {} rows in a leaf, {} benign rows \
                 per harmful one, seed {}, on {}",
                options.n_trees,
                options.max_depth,
                options.feature_share,
                options.min_leaf,
                options.benign_per_harmful,
                options.seed,
                counts(training)
            ),
        ),
        (
            "validation".to_owned(),
            format!(
                "threshold chosen on other episodes, {}, of whose benign rows one in {:.0} may be flagged",
                counts(validation),
                options.false_alarm_budget.recip()
            ),
        ),
    ])
}

#[cfg(test)]
pub(crate) mod tests;
