//! An examination in words, for the card that travels with a model.

use std::collections::BTreeMap;

use super::examine::{Caught, Examination, HeldOut, Summary, interval};
use crate::data::Dataset;

impl Examination {
    /// The figures as texts for a model card, by heading.
    pub fn card(&self, test: &Dataset) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("evaluation, headline".to_owned(), self.headline()),
            ("evaluation".to_owned(), self.whole(test)),
            ("evaluation, a family left out of training".to_owned(), self.families()),
            (
                "evaluation, an implementation left out of training".to_owned(),
                held_out(&self.protocol_left_out),
            ),
            ("evaluation, benign rows that are flagged".to_owned(), self.flagged()),
            (
                "evaluation, benign rows of a kind left out of training".to_owned(),
                held_out(&self.benign_left_out),
            ),
            ("evaluation, baselines and control".to_owned(), self.baselines()),
            ("evaluation, calibration".to_owned(), self.calibrated()),
            ("evaluation, evasion".to_owned(), self.evaded()),
        ])
    }

    fn headline(&self) -> String {
        let figures = &self.figures;
        let (low, high) = figures.lofo_macro_interval;
        format!(
            "recall on families left out of training, each family weighing the same: {:.3} (95 % interval {low:.3} to \
             {high:.3}), worst family {:.3}; weighed by how often such attacks happened {:.3}, by what they took {:.3}; \
             by the number of frames alone {:.3}; by one question about one feature {:.3}; without ages and first sights \
             {:.3}; without the signs of harm and the soft rules, which people wrote who knew the families, {:.3}; met by \
             a pause, which needs a rule, {:.3}. Thresholds let at most {} of the benign rows of \
             validation be flagged. The model flags {} and rules and model together pause {} of {} benign rows of \
             episodes not seen (95 % interval of the pauses up to {:.6})",
            figures.lofo_macro_recall,
            figures.lofo_worst_recall,
            figures.lofo_recall_by_count,
            figures.lofo_recall_by_loss,
            figures.frames_only_recall,
            figures.best_single_rule_recall,
            figures.lofo_macro_recall_without_novelty,
            figures.lofo_macro_recall_without_signs,
            figures.lofo_macro_recall_with_rules,
            figures.false_alarm_budget,
            figures.model_false_alarms,
            figures.joint_false_pauses,
            figures.benign_touching,
            figures.joint_false_pause_rate_upper,
        )
    }

    fn whole(&self, test: &Dataset) -> String {
        let model = &self.model;
        let benign = model.benign();
        let (low, high) = interval(model.caught, model.harmful);
        let (_, most) = interval(model.false_alarms, benign);
        format!(
            "on {} rows of other episodes ({} {}, seed {}): {} of {} harmful rows caught (95 % interval {low:.3} to \
             {high:.3}), {} of {benign} benign rows flagged (95 % interval up to {most:.5}), {} of {} failed attacks flagged, area under the \
             curve {}; \
             stable rules alone fire on {} of the harmful and {} of the benign rows",
            model.rows,
            test.origin.generator,
            test.origin.generator_version,
            test.origin.seed,
            model.caught,
            model.harmful,
            model.false_alarms,
            model.failed_attacks_flagged,
            model.failed_attacks,
            area(model.auc),
            model.joint.caught_by_rules,
            model.joint.false_alarms_of_rules,
        )
    }

    fn calibrated(&self) -> String {
        let found = &self.calibration;
        format!(
            "on {} scores of families left out of training: Brier score {:.4}, calibration error {:.4}; Platt's line has slope \
             {:.3} and offset {:+.3} on the logarithm of the odds, and leaves {:.4} and {:.4} on rows it was not fitted on. \
             Scores are served as the forest gives them",
            found.rows,
            found.brier,
            found.error,
            found.slope,
            found.offset,
            found.brier_after,
            found.error_after
        )
    }

    fn evaded(&self) -> String {
        let told = |kinds: &BTreeMap<String, Caught>| {
            let texts: Vec<String> = kinds
                .iter()
                .map(|(name, found)| format!("{name} {} of {}", found.caught, found.harmful))
                .collect();
            if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
        };
        format!(
            "harmful rows caught, by what leaves: {}; by delivery: {}; made to evade: {}",
            told(&self.by_outflow),
            told(&self.by_delivery),
            told(&self.evasion)
        )
    }

    fn flagged(&self) -> String {
        let texts: Vec<String> =
            self.flagged_benign.iter().map(|(family, n)| format!("{family} {n}")).collect();
        if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
    }

    fn families(&self) -> String {
        let texts: Vec<String> = self
            .left_out
            .iter()
            .map(|(family, found)| {
                format!(
                    "{family}: {} of {} caught (by frames alone {}, by one question {}, without ages {}, with rules {}), \
                     {} benign rows flagged, area {}",
                    found.caught,
                    found.harmful,
                    found.caught_by_frames,
                    found.caught_by_one_question,
                    found.caught_without_novelty,
                    found.caught_with_rules,
                    found.false_alarms,
                    area(found.auc)
                )
            })
            .collect();
        texts.join("; ")
    }

    fn baselines(&self) -> String {
        let described = |name: &str, summary: &Summary| {
            format!(
                "{name}: {} of {} caught, {} benign rows flagged, area {}",
                summary.caught,
                self.model.harmful,
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
            self.figures.shuffled_mean_area,
        );
        let counts = |counts: &[usize]| {
            let (least, most) = (counts.iter().min(), counts.iter().max());
            format!("{} to {}", least.copied().unwrap_or(0), most.copied().unwrap_or(0))
        };
        let linfa = format!(
            "one tree of linfa's, {} draws: {} of {} caught, {} benign rows flagged",
            self.linfa_tree.caught.len(),
            counts(&self.linfa_tree.caught),
            self.model.harmful,
            counts(&self.linfa_tree.false_alarms),
        );
        [
            described("the form of the call tree alone", &self.shape_only),
            described("one question about one feature", &self.single_feature),
            described("one tree", &self.single_tree),
            linfa,
            described("without ages and first sights", &self.without_novelty),
            dealt,
        ]
        .join("; ")
    }
}

/// Only what there is something to say of: harm, or a benign row that was flagged.
fn held_out(all: &BTreeMap<String, HeldOut>) -> String {
    let mut texts: Vec<String> = all
        .iter()
        .filter(|(_, found)| found.harmful > 0 || found.false_alarms > 0)
        .map(|(name, found)| {
            let caught = if found.harmful > 0 {
                format!("{} of {} caught, ", found.caught, found.harmful)
            } else {
                String::new()
            };
            format!(
                "{name}: {caught}{} of {} benign rows flagged, {} paused with rules",
                found.false_alarms, found.benign, found.joint_false_pauses
            )
        })
        .collect();
    if texts.len() < all.len() {
        texts.push(format!("nothing flagged in {} others", all.len() - texts.len()));
    }
    texts.join("; ")
}

fn area(auc: Option<f64>) -> String {
    auc.map_or_else(|| "unknown".to_owned(), |auc| format!("{auc:.4}"))
}
