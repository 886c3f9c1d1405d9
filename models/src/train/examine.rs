//! What a model's figures are worth: the same training under handicaps, beside the model itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Evaluation, TrainError, TrainOptions, evaluate, fit};
use crate::data::Dataset;
use crate::error::ModelError;
use crate::random::Random;
use crate::schema::{FeatureSpec, Group};
use crate::serve::{Engine, Model};

/// One training and its handicapped siblings, all judged on the same other episodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// The model itself.
    pub model: Evaluation,
    /// Trained without one harmful family: what becomes of that family when nobody has seen it.
    pub left_out: BTreeMap<String, LeftOut>,
    /// Trained without ages and first sights, which are easy to fake for the patient.
    pub without_novelty: Summary,
    /// Baseline: the form of the call tree alone.
    pub shape_only: Summary,
    /// Baseline: one question about one feature.
    pub single_feature: Summary,
    /// Control: labels dealt at random, some times over. Single areas lie wide apart, since the harmful rows of
    /// the test resemble one another; a mean far from one half would mean that the examination leaks.
    pub shuffled: Vec<Summary>,
}

/// A family that was left out of training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut {
    /// Harmful rows of it in the test episodes.
    pub harmful: usize,
    /// Of these, the ones at or over the threshold.
    pub caught: usize,
    /// Benign rows of all families at or over the threshold.
    pub false_alarms: usize,
    /// Area under the curve over all rows.
    pub auc: Option<f64>,
}

/// Counts of a baseline or control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Harmful rows caught.
    pub caught: usize,
    /// Benign rows at or over its threshold.
    pub false_alarms: usize,
    /// Area under the curve.
    pub auc: Option<f64>,
}

/// Why an examination could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamineError {
    /// One of the trainings failed.
    #[error("training {which}: {source}")]
    Train {
        /// Which one.
        which: String,
        /// Why.
        source: TrainError,
    },
    /// A model could not be asked.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// How often labels are dealt at random.
const N_SHUFFLES: u64 = 9;

/// Trains on `training` under each handicap and evaluates on `test`; the test rows choose nothing.
///
/// # Errors
/// [`ExamineError`] when a training fails, for instance because no harmful family would be left.
pub fn examine(
    training: &Dataset,
    test: &Dataset,
    options: &TrainOptions,
) -> Result<Examination, ExamineError> {
    let run =
        |which: &str, data: &Dataset, options: &TrainOptions| -> Result<Evaluation, ExamineError> {
            let fitted = fit(data, options)
                .map_err(|source| ExamineError::Train { which: which.to_owned(), source })?;
            let model = Model::from_bytes(&fitted.to_onnx(), data.schema, Engine::Native)?;
            Ok(evaluate(&model, test)?)
        };
    let mut harmful: Vec<&str> =
        training.rows.iter().filter(|row| row.harm).map(|row| row.family.as_str()).collect();
    harmful.sort_unstable();
    harmful.dedup();
    let mut left_out = BTreeMap::new();
    // With one harmful family there is nothing to learn from once it is gone.
    for family in harmful.iter().filter(|_| harmful.len() > 1) {
        let mut data = training.clone();
        data.rows.retain(|row| row.family != *family);
        let evaluation = run(&format!("without `{family}`"), &data, options)?;
        let of_family = evaluation.families.get(*family).cloned().unwrap_or_default();
        left_out.insert(
            (*family).to_owned(),
            LeftOut {
                harmful: of_family.harmful,
                caught: of_family.caught,
                false_alarms: evaluation.false_alarms,
                auc: evaluation.auc,
            },
        );
    }
    let shuffled = (0..N_SHUFFLES)
        .map(|deal| {
            let options = TrainOptions { seed: options.seed.wrapping_add(deal), ..options.clone() };
            Ok(summary(run("on shuffled labels", &dealt(training, options.seed), &options)?))
        })
        .collect::<Result<Vec<_>, ExamineError>>()?;
    let stump = TrainOptions { n_trees: 1, max_depth: 1, feature_share: 1.0, ..options.clone() };
    let without_novelty = masked(training, |feature| feature.group != Group::Novelty);
    let shape_only = masked(training, |feature| feature.group == Group::Shape);
    Ok(Examination {
        model: run("the model", training, options)?,
        left_out,
        without_novelty: summary(run("without novelty", &without_novelty, options)?),
        shape_only: summary(run("on the call tree's form", &shape_only, options)?),
        single_feature: summary(run("a single question", training, &stump)?),
        shuffled,
    })
}

impl Examination {
    /// The figures as texts for a model card, by heading.
    pub fn card(&self, test: &Dataset) -> BTreeMap<String, String> {
        let model = &self.model;
        let benign = model.rows - model.harmful;
        let (low, high) = interval(model.caught, model.harmful);
        let (_, most) = interval(model.false_alarms, benign);
        let evaluation = format!(
            "on {} rows of other episodes ({} {}, seed {}): {} of {} harmful rows caught (95 % interval {low:.3} to \
             {high:.3}), {} of {benign} benign rows flagged (95 % interval up to {most:.5}), area under the curve {}",
            model.rows,
            test.origin.generator,
            test.origin.generator_version,
            test.origin.seed,
            model.caught,
            model.harmful,
            model.false_alarms,
            area(model.auc),
        );
        let left_out: Vec<String> = self
            .left_out
            .iter()
            .map(|(family, found)| {
                format!(
                    "{family}: {} of {} caught, {} benign rows flagged, area {}",
                    found.caught,
                    found.harmful,
                    found.false_alarms,
                    area(found.auc)
                )
            })
            .collect();
        let described = |name: &str, summary: &Summary| {
            format!(
                "{name}: {} of {} caught, {} benign rows flagged, area {}",
                summary.caught,
                model.harmful,
                summary.false_alarms,
                area(summary.auc)
            )
        };
        let areas: Vec<f64> = self.shuffled.iter().filter_map(|summary| summary.auc).collect();
        let dealt = format!(
            "labels dealt at random, {} times: area {:.2} to {:.2}, mean {:.2}",
            areas.len(),
            areas.iter().copied().fold(1.0, f64::min),
            areas.iter().copied().fold(0.0, f64::max),
            areas.iter().sum::<f64>() / areas.len().max(1) as f64,
        );
        let baselines = [
            described("the form of the call tree alone", &self.shape_only),
            described("one question about one feature", &self.single_feature),
            described("without ages and first sights", &self.without_novelty),
            dealt,
        ];
        BTreeMap::from([
            ("evaluation".to_owned(), evaluation),
            ("evaluation, a family left out of training".to_owned(), left_out.join("; ")),
            ("evaluation, baselines and control".to_owned(), baselines.join("; ")),
        ])
    }
}

fn area(auc: Option<f64>) -> String {
    auc.map_or_else(|| "unknown".to_owned(), |auc| format!("{auc:.4}"))
}

/// Wilson's interval of a share at 95 %; everything is possible where nothing was counted.
fn interval(part: usize, whole: usize) -> (f64, f64) {
    if whole == 0 {
        return (0.0, 1.0);
    }
    const Z: f64 = 1.959_964;
    let (n, share) = (whole as f64, part as f64 / whole as f64);
    let centre = share + Z * Z / (2.0 * n);
    let reach = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((centre - reach) / scale).max(0.0), ((centre + reach) / scale).min(1.0))
}

/// The same rows with their labels exchanged among them.
fn dealt(data: &Dataset, seed: u64) -> Dataset {
    let mut data = data.clone();
    let mut random = Random::new(seed);
    for place in (1..data.rows.len()).rev() {
        let other = random.below(place + 1);
        let label = data.rows[other].harm;
        data.rows[other].harm = data.rows[place].harm;
        data.rows[place].harm = label;
    }
    data
}

/// The same rows with features made unknown. A feature that never varies is never asked, so the test rows need
/// no mask.
fn masked(data: &Dataset, keep: impl Fn(&FeatureSpec) -> bool) -> Dataset {
    let mut data = data.clone();
    for row in &mut data.rows {
        for (value, feature) in row.values.iter_mut().zip(data.schema.features) {
            if !keep(feature) {
                *value = feature.unknown();
            }
        }
    }
    data
}

fn summary(evaluation: Evaluation) -> Summary {
    Summary {
        caught: evaluation.caught,
        false_alarms: evaluation.false_alarms,
        auc: evaluation.auc,
    }
}

#[cfg(test)]
mod tests {
    use super::interval;

    #[test]
    fn intervals_are_wilsons() {
        let close = |(low, high): (f64, f64), expected: (f64, f64)| {
            assert!(
                (low - expected.0).abs() < 5e-4 && (high - expected.1).abs() < 5e-4,
                "{low} {high}"
            );
        };
        close(interval(8, 10), (0.490, 0.943));
        close(interval(0, 20), (0.0, 0.161));
        close(interval(20, 20), (0.839, 1.0));
        close(interval(0, 0), (0.0, 1.0));
    }
}
