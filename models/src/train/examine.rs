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
    /// Trained without one harmful family, however delivered: what becomes of it when nobody has seen it.
    pub left_out: BTreeMap<String, LeftOut>,
    /// The headline figures, as `evaluation.json` names them.
    #[serde(flatten)]
    pub figures: Figures,
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

/// Recall on harmful families that were left out of training, each at a threshold above every benign row of
/// episodes that no tree has seen; the mean gives each family the same weight.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Mean over families.
    pub lofo_macro_recall: f64,
    /// The worst family's.
    pub lofo_worst_recall: f64,
    /// Mean over families when nothing but the number of frames is known.
    pub frames_only_recall: f64,
    /// Mean over families of one question about one feature, chosen on the other families.
    pub best_single_rule_recall: f64,
    /// Mean over families when ages and first sights are unknown.
    pub lofo_macro_recall_without_novelty: f64,
    /// Benign rows of the test, all of them touching a protected contract.
    pub benign_touching: usize,
    /// Of these, the ones that the whole model flags. A pause needs a rule beside the model, so this is the most
    /// that the two together could pause.
    pub model_false_alarms: usize,
    /// 95 % upper bound of that rate.
    pub model_false_alarm_rate_upper: f64,
}

/// A family that was left out of training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut {
    /// Harmful rows of it in the test episodes.
    pub harmful: usize,
    /// Of these, the ones at or over the threshold.
    pub caught: usize,
    /// The same by the number of frames alone.
    pub caught_by_frames: usize,
    /// The same by one question about one feature.
    pub caught_by_one_question: usize,
    /// The same when ages and first sights are unknown.
    pub caught_without_novelty: usize,
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
const N_SHUFFLES: u64 = 12;
/// Trees of each forest on such labels.
const SHUFFLED_TREES: usize = 7;

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
    let stump = TrainOptions { n_trees: 1, max_depth: 1, feature_share: 1.0, ..options.clone() };
    let without_novelty = masked(training, |feature| feature.group != Group::Novelty);
    let frames_only = masked(training, |feature| feature.name == FRAMES);
    let mut harmful: Vec<&str> =
        training.rows.iter().filter(|row| row.harm).map(|row| family_of(&row.family)).collect();
    harmful.sort_unstable();
    harmful.dedup();
    let mut left_out = BTreeMap::new();
    // With one harmful family there is nothing to learn from once it is gone.
    for family in harmful.iter().filter(|_| harmful.len() > 1) {
        let run_without = |data: &Dataset, options: &TrainOptions| {
            let mut data = data.clone();
            data.rows.retain(|row| family_of(&row.family) != *family);
            run(&format!("without `{family}`"), &data, options)
        };
        let counts = |evaluation: &Evaluation| {
            let of_family =
                evaluation.families.iter().filter(|(name, _)| family_of(name) == *family);
            of_family.fold((0, 0), |sum, (_, found)| (sum.0 + found.harmful, sum.1 + found.caught))
        };
        let evaluation = run_without(training, options)?;
        let (harmful, caught) = counts(&evaluation);
        left_out.insert(
            (*family).to_owned(),
            LeftOut {
                harmful,
                caught,
                caught_by_frames: counts(&run_without(&frames_only, options)?).1,
                caught_by_one_question: counts(&run_without(training, &stump)?).1,
                caught_without_novelty: counts(&run_without(&without_novelty, options)?).1,
                false_alarms: evaluation.false_alarms,
                auc: evaluation.auc,
            },
        );
    }
    let shuffled = (0..N_SHUFFLES)
        .map(|deal| {
            // Small forests do: what is asked of them is a mean over many deals.
            let seed = options.seed.wrapping_add(deal);
            let options = TrainOptions { seed, n_trees: SHUFFLED_TREES, ..options.clone() };
            Ok(summary(run("on shuffled labels", &dealt(training, seed), &options)?))
        })
        .collect::<Result<Vec<_>, ExamineError>>()?;
    let shape_only = masked(training, |feature| feature.group == Group::Shape);
    let model = run("the model", training, options)?;
    let figures = figures(&model, &left_out);
    Ok(Examination {
        model,
        left_out,
        figures,
        without_novelty: summary(run("without novelty", &without_novelty, options)?),
        shape_only: summary(run("on the call tree's form", &shape_only, options)?),
        single_feature: summary(run("a single question", training, &stump)?),
        shuffled,
    })
}

/// Name of the feature that the first baseline knows.
const FRAMES: &str = "frames_log";

/// What a family is called whatever its way of delivery, which stands behind a slash.
fn family_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

fn figures(model: &Evaluation, left_out: &BTreeMap<String, LeftOut>) -> Figures {
    let recalls = |caught: fn(&LeftOut) -> usize| -> Vec<f64> {
        let tested = left_out.values().filter(|found| found.harmful > 0);
        tested.map(|found| caught(found) as f64 / found.harmful as f64).collect()
    };
    let mean = |recalls: Vec<f64>| recalls.iter().sum::<f64>() / recalls.len().max(1) as f64;
    let benign_touching = model.rows - model.harmful;
    Figures {
        lofo_macro_recall: mean(recalls(|found| found.caught)),
        lofo_worst_recall: recalls(|found| found.caught).into_iter().fold(1.0, f64::min),
        frames_only_recall: mean(recalls(|found| found.caught_by_frames)),
        best_single_rule_recall: mean(recalls(|found| found.caught_by_one_question)),
        lofo_macro_recall_without_novelty: mean(recalls(|found| found.caught_without_novelty)),
        benign_touching,
        model_false_alarms: model.false_alarms,
        model_false_alarm_rate_upper: interval(model.false_alarms, benign_touching).1,
    }
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
                    "{family}: {} of {} caught (by frames alone {}, by one question {}, without ages {}), {} benign \
                     rows flagged, area {}",
                    found.caught,
                    found.harmful,
                    found.caught_by_frames,
                    found.caught_by_one_question,
                    found.caught_without_novelty,
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
        let figures = &self.figures;
        let headline = format!(
            "recall on families left out of training, each family weighing the same: {:.3}, worst family {:.3}; by the \
             number of frames alone {:.3}; by one question about one feature {:.3}; without ages and first sights {:.3}",
            figures.lofo_macro_recall,
            figures.lofo_worst_recall,
            figures.frames_only_recall,
            figures.best_single_rule_recall,
            figures.lofo_macro_recall_without_novelty,
        );
        BTreeMap::from([
            ("evaluation, headline".to_owned(), headline),
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
