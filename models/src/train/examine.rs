//! What a model's figures are worth: the same training under handicaps, beside the model itself.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use super::{Calibration, Evaluation, Grower, TrainError, TrainOptions, evaluate, fit};
use crate::data::{Dataset, Row};
use crate::error::ModelError;
use crate::random::Random;
use crate::schema::{FeatureSpec, Group, Schema};
use crate::serve::{Engine, Model};

/// One training and its handicapped siblings, all judged on the same other episodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// The headline figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// What scores are worth as probabilities, on families left out of training.
    pub calibration: Calibration,
    /// Recall of the whole model by how much of an asset leaves: attacks in small pieces.
    pub by_outflow: BTreeMap<String, Caught>,
    /// Recall of the whole model by way of delivery: attacks behind other calls, or in a constructor.
    pub by_delivery: BTreeMap<String, Caught>,
    /// Recall of the whole model on attacks made to evade it, by what was done to them.
    pub evasion: BTreeMap<String, Caught>,
    /// Trained without one harmful family, however delivered: what becomes of it when nobody has seen it.
    pub left_out: BTreeMap<String, LeftOut>,
    /// Trained without one protocol, and judged on it alone.
    pub protocol_left_out: BTreeMap<String, HeldOut>,
    /// Trained without one benign family, and judged on it alone: look-alikes that nobody has seen.
    pub benign_left_out: BTreeMap<String, HeldOut>,
    /// Benign rows that the whole model flags, by family.
    pub flagged_benign: BTreeMap<String, usize>,
    /// Trained without ages and first sights, which are easy to fake for the patient.
    pub without_novelty: Summary,
    /// Baseline: the form of the call tree alone.
    pub shape_only: Summary,
    /// Baseline: one question about one feature.
    pub single_feature: Summary,
    /// Baseline: one tree of our own.
    pub single_tree: Summary,
    /// Baseline: one tree that linfa grows, on several draws.
    pub linfa_tree: Spread,
    /// Control: labels dealt at random, some times over. Single areas lie wide apart, since the harmful rows of
    /// the test resemble one another; a mean far from one half would mean that the examination leaks.
    pub shuffled: Vec<Summary>,
    /// The model itself.
    pub model: Evaluation,
}

/// Recall on harmful families that were left out of training, each at its own training's threshold, and what the whole
/// model does with benign rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Part of the benign rows that a threshold may let be flagged.
    pub false_alarm_budget: f64,
    /// Mean over families, each weighing the same.
    pub lofo_macro_recall: f64,
    /// 95 % interval of that mean, by drawing episodes anew.
    pub lofo_macro_interval: (f64, f64),
    /// The worst family's.
    pub lofo_worst_recall: f64,
    /// Mean over families, weighed by how often attacks of the kind happened.
    pub lofo_recall_by_count: f64,
    /// Mean over families, weighed by what such attacks took.
    pub lofo_recall_by_loss: f64,
    /// Mean over families when nothing but the number of frames is known.
    pub frames_only_recall: f64,
    /// Mean over families of one question about one feature, chosen on the other families.
    pub best_single_rule_recall: f64,
    /// Mean over families when ages and first sights are unknown.
    pub lofo_macro_recall_without_novelty: f64,
    /// Mean over families when the signs of harm and the soft rules are unknown, which were written by people who knew
    /// the families.
    pub lofo_macro_recall_without_signs: f64,
    /// Mean over families of the part that a pause would meet: a hard rule, or a soft one beside the model.
    pub lofo_macro_recall_with_rules: f64,
    /// Mean over protocols of recall on the one that was left out.
    pub implementation_macro_recall: f64,
    /// The worst protocol's.
    pub implementation_worst_recall: f64,
    /// Mean area under the curve of labels dealt at random.
    pub shuffled_mean_area: f64,
    /// Benign rows of episodes that the model did not see, all of them touching a protected contract.
    pub benign_touching: usize,
    /// Of these, the ones that the whole model flags.
    pub model_false_alarms: usize,
    /// 95 % upper bound of that rate.
    pub model_false_alarm_rate_upper: f64,
    /// Of the benign rows, the ones that rules and model together would pause.
    pub joint_false_pauses: usize,
    /// 95 % upper bound of that rate.
    pub joint_false_pause_rate_upper: f64,
}

/// A family that was left out of training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut {
    /// Harmful rows of it in the test episodes.
    pub harmful: usize,
    /// Of these, the ones at or over the threshold.
    pub caught: usize,
    /// 95 % interval of that part, by Wilson.
    pub interval: (f64, f64),
    /// The same by the number of frames alone.
    pub caught_by_frames: usize,
    /// The same by one question about one feature.
    pub caught_by_one_question: usize,
    /// The same when ages and first sights are unknown.
    pub caught_without_novelty: usize,
    /// The same when the signs of harm and the soft rules are unknown.
    pub caught_without_signs: usize,
    /// The ones that a hard rule, or a soft one beside this model, would pause.
    pub caught_with_rules: usize,
    /// Benign rows of all families at or over the threshold.
    pub false_alarms: usize,
    /// Chance that a row of this family scores above a benign one.
    pub auc: Option<f64>,
}

/// What was held out of training as a whole, judged alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeldOut {
    /// Harmful rows.
    pub harmful: usize,
    /// Of these, the ones at or over the threshold.
    pub caught: usize,
    /// Benign rows.
    pub benign: usize,
    /// Of these, the ones at or over the threshold.
    pub false_alarms: usize,
    /// Of the benign rows, the ones that rules and model together would pause.
    pub joint_false_pauses: usize,
}

/// Harmful rows of a kind, and those at or over the threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Caught {
    /// Harmful rows.
    pub harmful: usize,
    /// Of these, the ones at or over the threshold.
    pub caught: usize,
    /// 95 % interval of that part, by Wilson.
    pub interval: (f64, f64),
}

impl Caught {
    fn add(&mut self, is_caught: bool) {
        self.harmful += 1;
        self.caught += usize::from(is_caught);
        self.interval = interval(self.caught, self.harmful);
    }
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

/// A baseline that is trained some times over.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Harmful rows caught, by draw.
    pub caught: Vec<usize>,
    /// Benign rows flagged, by draw.
    pub false_alarms: Vec<usize>,
}

/// How often and how dearly attacks of a family happened, in any unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Name of the family, up to the slash.
    pub family: &'static str,
    /// Number of attacks.
    pub count: f64,
    /// What they took.
    pub loss: f64,
}

/// How to examine.
#[derive(Debug, Clone, Default)]
pub struct ExamineOptions {
    /// How to train.
    pub train: TrainOptions,
    /// Weights of families; those that are not named weigh nothing in the weighted means.
    pub shares: Vec<Share>,
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
/// Trees of each forest on such labels: what is asked of them is a mean over many deals.
const SHUFFLED_TREES: usize = 7;
/// Draws of the baseline that is not the same twice.
const N_LINFA: u64 = 5;
/// Draws of episodes for an interval.
const N_BOOTSTRAPS: u64 = 1_000;
/// Name of the feature that the first baseline knows.
const FRAMES: &str = "frames_log";
/// Names of the features that count rules; people wrote those, and knew the families when they did.
const SIGNS: [&str; 2] = ["soft_invariants", "harm_signs"];
/// Trainings for each family that is left out.
const PER_FAMILY: usize = 5;

/// One training, and which rows of the test it is judged on.
struct Job<'a> {
    which: String,
    /// Rows that are trained on.
    trains: Box<dyn Fn(&Row) -> bool + Sync + 'a>,
    /// Rows that are judged.
    judges: Box<dyn Fn(&Row) -> bool + Sync + 'a>,
    mask: fn(&FeatureSpec) -> bool,
    options: TrainOptions,
    deal: Option<u64>,
}

/// What a job comes to.
struct Done {
    evaluation: Evaluation,
    /// Episode and whether it was caught, of every harmful row that was judged, in order.
    harmful: Vec<(u64, bool)>,
    /// Score and label of every row that did harm or meant none.
    scores: Vec<(f32, bool)>,
}

/// Trains on `training` under each handicap and evaluates on `test`; the test rows choose nothing.
///
/// # Errors
/// [`ExamineError`] when a training fails, for instance because no harmful family would be left.
pub fn examine(
    training: &Dataset,
    test: &Dataset,
    options: &ExamineOptions,
) -> Result<Examination, ExamineError> {
    let train = &options.train;
    let stump = TrainOptions { grower: Grower::OneQuestion, ..train.clone() };
    let job = |which: &str| Job {
        which: which.to_owned(),
        trains: Box::new(|_| true),
        judges: Box::new(|_| true),
        mask: |_| true,
        options: train.clone(),
        deal: None,
    };
    let names = |of: &dyn Fn(&Row) -> Option<String>| -> Vec<String> {
        let mut names: Vec<String> = training.rows.iter().filter_map(of).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let mut families = names(&|row| row.harm.then(|| family_of(&row.family).to_owned()));
    // With one harmful family there is nothing to learn from once it is gone.
    if families.len() < 2 {
        families.clear();
    }
    let mut protocols = names(&|row| (!row.protocol.is_empty()).then(|| row.protocol.clone()));
    if protocols.len() < 2 {
        protocols.clear();
    }
    let mut benign = names(&|row| (!row.intent).then(|| row.family.clone()));
    if benign.len() < 2 {
        benign.clear();
    }

    let mut jobs = vec![
        job("the model"),
        Job { mask: |feature| feature.group != Group::Novelty, ..job("without novelty") },
        Job { mask: |feature| feature.group == Group::Shape, ..job("on the call tree's form") },
        Job { options: stump.clone(), ..job("a single question") },
        Job {
            options: TrainOptions { n_trees: 1, feature_share: 1.0, ..train.clone() },
            ..job("a single tree")
        },
    ];
    let first_linfa = jobs.len();
    jobs.extend((0..N_LINFA).map(|draw| Job {
        options: TrainOptions {
            n_trees: 1,
            seed: train.seed.wrapping_add(draw),
            grower: Grower::Linfa,
            ..train.clone()
        },
        ..job("a tree of linfa's")
    }));
    let first_shuffled = jobs.len();
    jobs.extend((0..N_SHUFFLES).map(|deal| {
        let seed = train.seed.wrapping_add(deal);
        let options = TrainOptions { seed, n_trees: SHUFFLED_TREES, ..train.clone() };
        Job { options, deal: Some(seed), ..job("on shuffled labels") }
    }));
    let first_family = jobs.len();
    for family in &families {
        let without = || Job {
            trains: Box::new(move |row: &Row| family_of(&row.family) != family),
            judges: Box::new(move |row: &Row| !row.harm || family_of(&row.family) == family),
            ..job(&format!("without `{family}`"))
        };
        jobs.extend([
            without(),
            Job { mask: |feature| feature.name == FRAMES, ..without() },
            Job { options: stump.clone(), ..without() },
            Job { mask: |feature| feature.group != Group::Novelty, ..without() },
            Job { mask: |feature| !SIGNS.contains(&feature.name), ..without() },
        ]);
    }
    let first_protocol = jobs.len();
    for protocol in &protocols {
        jobs.push(Job {
            trains: Box::new(move |row: &Row| row.protocol != *protocol),
            judges: Box::new(move |row: &Row| row.protocol == *protocol),
            ..job(&format!("without protocol `{protocol}`"))
        });
    }
    let first_benign = jobs.len();
    for family in &benign {
        jobs.push(Job {
            trains: Box::new(move |row: &Row| row.family != *family),
            judges: Box::new(move |row: &Row| row.family == *family),
            ..job(&format!("without benign `{family}`"))
        });
    }

    let done = run_all(&jobs, training, test)?;
    let summary = |place: usize| {
        let found = &done[place].evaluation;
        Summary { caught: found.caught, false_alarms: found.false_alarms, auc: found.auc }
    };
    let held_out = |place: usize| {
        let found = &done[place].evaluation;
        HeldOut {
            harmful: found.harmful,
            caught: found.caught,
            benign: found.benign(),
            false_alarms: found.false_alarms,
            joint_false_pauses: found.joint.false_pauses,
        }
    };
    let left_out: BTreeMap<String, LeftOut> = families
        .iter()
        .enumerate()
        .map(|(number, family)| {
            let of =
                |handicap: usize| &done[first_family + number * PER_FAMILY + handicap].evaluation;
            let found = of(0);
            (
                family.clone(),
                LeftOut {
                    harmful: found.harmful,
                    caught: found.caught,
                    interval: interval(found.caught, found.harmful),
                    caught_by_frames: of(1).caught,
                    caught_by_one_question: of(2).caught,
                    caught_without_novelty: of(3).caught,
                    caught_without_signs: of(4).caught,
                    caught_with_rules: found.joint.caught,
                    false_alarms: found.false_alarms,
                    auc: found.auc,
                },
            )
        })
        .collect();
    let shuffled: Vec<Summary> = (first_shuffled..first_family).map(summary).collect();
    let protocol_left_out: BTreeMap<String, HeldOut> =
        protocols.iter().cloned().zip((first_protocol..).map(held_out)).collect();
    let model = done[0].evaluation.clone();
    let mut figures = figures(&model, &left_out, &protocol_left_out, options);
    figures.shuffled_mean_area = mean(shuffled.iter().filter_map(|summary| summary.auc));
    figures.lofo_macro_interval = bootstrap(
        &(0..families.len())
            .map(|number| done[first_family + number * PER_FAMILY].harmful.as_slice())
            .collect::<Vec<_>>(),
        train.seed,
    );
    let unseen: Vec<(f32, bool)> = (0..families.len())
        .flat_map(|number| done[first_family + number * PER_FAMILY].scores.iter().copied())
        .collect();
    let (mut by_outflow, mut by_delivery) = (BTreeMap::new(), BTreeMap::new());
    let harmful = test.rows.iter().filter(|row| row.harm);
    for (row, (_, is_caught)) in harmful.zip(&done[0].harmful) {
        let add = |to: &mut BTreeMap<String, Caught>, name: &str| {
            to.entry(name.to_owned()).or_default().add(*is_caught);
        };
        if let Some(size) = outflow_class(test.schema, &row.values) {
            add(&mut by_outflow, size);
        }
        if let Some((_, way)) = row.family.split_once('/') {
            add(&mut by_delivery, way);
        }
    }
    let linfa = &done[first_linfa..first_shuffled];
    Ok(Examination {
        figures,
        calibration: Calibration::of(&unseen, train.seed),
        by_outflow,
        by_delivery,
        evasion: BTreeMap::new(),
        protocol_left_out,
        benign_left_out: benign.iter().cloned().zip((first_benign..).map(held_out)).collect(),
        left_out,
        flagged_benign: model
            .families
            .iter()
            .filter(|(_, found)| found.false_alarms > 0)
            .map(|(family, found)| (family.clone(), found.false_alarms))
            .collect(),
        without_novelty: summary(1),
        shape_only: summary(2),
        single_feature: summary(3),
        single_tree: summary(4),
        linfa_tree: Spread {
            caught: linfa.iter().map(|done| done.evaluation.caught).collect(),
            false_alarms: linfa.iter().map(|done| done.evaluation.false_alarms).collect(),
        },
        shuffled,
        model,
    })
}

impl Examination {
    /// Adds what becomes of harmful rows that were made to evade the model.
    pub fn add_evasion(&mut self, name: &str, found: &Evaluation) {
        let caught = Caught {
            harmful: found.harmful,
            caught: found.caught,
            interval: interval(found.caught, found.harmful),
        };
        self.evasion.insert(name.to_owned(), caught);
    }

    /// Adds benign rows of still other episodes to what is known of false alarms and false pauses: a rate that is rare
    /// needs many rows.
    pub fn count_more_benign(&mut self, more: &Evaluation) {
        let figures = &mut self.figures;
        figures.benign_touching += more.benign();
        figures.model_false_alarms += more.false_alarms;
        figures.joint_false_pauses += more.joint.false_pauses;
        let upper = |part| interval(part, figures.benign_touching).1;
        figures.model_false_alarm_rate_upper = upper(figures.model_false_alarms);
        figures.joint_false_pause_rate_upper = upper(figures.joint_false_pauses);
        for (family, found) in &more.families {
            if found.false_alarms > 0 {
                *self.flagged_benign.entry(family.clone()).or_default() += found.false_alarms;
            }
        }
    }
}

/// Runs all jobs on as many threads as there are processors; what comes of each does not depend on the others.
fn run_all(
    jobs: &[Job<'_>],
    training: &Dataset,
    test: &Dataset,
) -> Result<Vec<Done>, ExamineError> {
    let results: Vec<Mutex<Option<Result<Done, ExamineError>>>> =
        jobs.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(place) =
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|place| *place < jobs.len())
        {
            let result = run(&jobs[place], training, test);
            *results[place].lock().expect("no other job holds this one's place") = Some(result);
        }
    };
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        (1..n_threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    results
        .into_iter()
        .map(|result| {
            let result = result.into_inner().expect("no job panicked: the scope would have");
            result.expect("every place was taken by a thread")
        })
        .collect()
}

fn run(job: &Job<'_>, training: &Dataset, test: &Dataset) -> Result<Done, ExamineError> {
    let chosen = |data: &Dataset, keep: &dyn Fn(&Row) -> bool| Dataset {
        rows: data.rows.iter().filter(|row| keep(row)).cloned().collect(),
        ..data.clone_empty()
    };
    let mut data = masked(chosen(training, &job.trains), job.mask);
    if let Some(seed) = job.deal {
        deal(&mut data, seed);
    }
    let fitted = fit(&data, &job.options)
        .map_err(|source| ExamineError::Train { which: job.which.clone(), source })?;
    let model = Model::from_bytes(&fitted.to_onnx(), data.schema, Engine::Native)?;
    let judged = chosen(test, &job.judges);
    let evaluation = evaluate(&model, &judged)?;
    let harmful = judged
        .rows
        .iter()
        .filter(|row| row.harm)
        .map(|row| (row.episode, fitted.flags(&row.values)))
        .collect();
    let scores = judged
        .rows
        .iter()
        .filter(|row| row.harm || !row.intent)
        .map(|row| (fitted.probability(&row.values), row.harm))
        .collect();
    Ok(Done { evaluation, harmful, scores })
}

/// How much of an asset left, in words; none for a schema without that feature.
fn outflow_class(schema: &Schema, values: &[f32]) -> Option<&'static str> {
    let place = schema.features.iter().position(|feature| feature.name == "outflow_frac")?;
    Some(match values[place] {
        value if value == schema.features[place].unknown() => "unknown",
        value if value < 0.01 => "below one percent",
        value if value < 0.1 => "one to ten percent",
        _ => "ten percent and more",
    })
}

/// What a family is called whatever its way of delivery, which stands behind a slash.
fn family_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

fn figures(
    model: &Evaluation,
    left_out: &BTreeMap<String, LeftOut>,
    protocols: &BTreeMap<String, HeldOut>,
    options: &ExamineOptions,
) -> Figures {
    let recall = |part: usize, whole: usize| part as f64 / whole as f64;
    let tested = || left_out.iter().filter(|(_, found)| found.harmful > 0);
    let macro_of = |caught: fn(&LeftOut) -> usize| {
        mean(tested().map(|(_, found)| recall(caught(found), found.harmful)))
    };
    let weighed = |weight: fn(&Share) -> f64| {
        let (mut sum, mut whole) = (0.0, 0.0);
        for (family, found) in tested() {
            let share = options.shares.iter().find(|share| share.family == family);
            let weight = share.map_or(0.0, weight);
            sum += weight * recall(found.caught, found.harmful);
            whole += weight;
        }
        if whole > 0.0 { sum / whole } else { 0.0 }
    };
    let worst = |recalls: &mut dyn Iterator<Item = f64>| {
        recalls.fold(None, |worst: Option<f64>, recall| {
            Some(worst.map_or(recall, |worst| worst.min(recall)))
        })
    };
    let of_protocols = || {
        protocols
            .values()
            .filter(|found| found.harmful > 0)
            .map(|found| recall(found.caught, found.harmful))
    };
    let of_families = || tested().map(|(_, found)| recall(found.caught, found.harmful));
    let benign_touching = model.benign();
    Figures {
        false_alarm_budget: options.train.false_alarm_budget,
        lofo_macro_recall: macro_of(|found| found.caught),
        lofo_macro_interval: (0.0, 1.0),
        lofo_worst_recall: worst(&mut of_families()).unwrap_or(0.0),
        lofo_recall_by_count: weighed(|share| share.count),
        lofo_recall_by_loss: weighed(|share| share.loss),
        frames_only_recall: macro_of(|found| found.caught_by_frames),
        best_single_rule_recall: macro_of(|found| found.caught_by_one_question),
        lofo_macro_recall_without_novelty: macro_of(|found| found.caught_without_novelty),
        lofo_macro_recall_without_signs: macro_of(|found| found.caught_without_signs),
        lofo_macro_recall_with_rules: macro_of(|found| found.caught_with_rules),
        implementation_macro_recall: mean(of_protocols()),
        implementation_worst_recall: worst(&mut of_protocols()).unwrap_or(0.0),
        shuffled_mean_area: 0.0,
        benign_touching,
        model_false_alarms: model.false_alarms,
        model_false_alarm_rate_upper: interval(model.false_alarms, benign_touching).1,
        joint_false_pauses: model.joint.false_pauses,
        joint_false_pause_rate_upper: interval(model.joint.false_pauses, benign_touching).1,
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    if n > 0.0 { sum / n } else { 0.0 }
}

/// 95 % interval of the mean of the families' recalls: rows of one episode share a world, so episodes are drawn, not
/// rows.
fn bootstrap(families: &[&[(u64, bool)]], seed: u64) -> (f64, f64) {
    let by_episode: Vec<Vec<(f64, f64)>> = families
        .iter()
        .map(|rows| {
            let mut episodes: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
            for (episode, is_caught) in *rows {
                let counts = episodes.entry(*episode).or_default();
                counts.0 += f64::from(u8::from(*is_caught));
                counts.1 += 1.0;
            }
            episodes.into_values().collect()
        })
        .filter(|episodes: &Vec<_>| !episodes.is_empty())
        .collect();
    let mut means: Vec<f64> = (0..N_BOOTSTRAPS)
        .map(|draw| {
            let mut random = Random::part(seed ^ 0x626f_6f74, draw);
            mean(by_episode.iter().map(|episodes| {
                let (mut caught, mut all) = (0.0, 0.0);
                for _ in episodes {
                    let drawn = episodes[random.below(episodes.len())];
                    (caught, all) = (caught + drawn.0, all + drawn.1);
                }
                caught / all
            }))
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |part: f64| means.get((part * N_BOOTSTRAPS as f64) as usize).copied().unwrap_or(0.0);
    (at(0.025), at(0.975))
}

/// Wilson's interval of a share at 95 %; everything is possible where nothing was counted.
pub(super) fn interval(part: usize, whole: usize) -> (f64, f64) {
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

/// Exchanges the labels of rows among them.
fn deal(data: &mut Dataset, seed: u64) {
    let mut random = Random::new(seed);
    for place in (1..data.rows.len()).rev() {
        let other = random.below(place + 1);
        let label = data.rows[other].harm;
        data.rows[other].harm = data.rows[place].harm;
        data.rows[place].harm = label;
    }
}

/// Makes features unknown. A feature that never varies is never asked, so the test rows need no mask.
fn masked(mut data: Dataset, keep: fn(&FeatureSpec) -> bool) -> Dataset {
    for row in &mut data.rows {
        for (value, feature) in row.values.iter_mut().zip(data.schema.features) {
            if !keep(feature) {
                *value = feature.unknown();
            }
        }
    }
    data
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
