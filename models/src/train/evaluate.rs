//! How a model does on labelled rows it was not trained on.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::data::{Dataset, Rules};
use crate::error::ModelError;
use crate::schema::Vector;
use crate::serve::Model;

/// Counts at the model's own threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Threshold the counts are taken at.
    pub threshold: f32,
    /// Rows scored.
    pub rows: usize,
    /// Of these, the harmful ones.
    pub harmful: usize,
    /// Attacks that did no harm, on a sound protocol for instance: neither a catch nor a false alarm.
    pub failed_attacks: usize,
    /// Harmful rows at or over the threshold.
    pub caught: usize,
    /// Benign rows at or over the threshold.
    pub false_alarms: usize,
    /// Failed attacks at or over the threshold.
    pub failed_attacks_flagged: usize,
    /// What comes of the model and the rules together.
    pub joint: Joint,
    /// Chance that a harmful row scores above a benign one, ties as one half; none where a class is missing.
    /// Failed attacks are left aside.
    pub auc: Option<f64>,
    /// The same by family.
    pub families: BTreeMap<String, FamilyResult>,
}

/// Rules and model together, as the policy joins them: a hard rule pauses alone, a soft one beside the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Joint {
    /// Harmful rows that would be paused.
    pub caught: usize,
    /// Benign rows that would be paused.
    pub false_pauses: usize,
    /// Harmful rows on which any stable rule fires, whatever the model says.
    pub caught_by_rules: usize,
    /// Benign rows on which any stable rule fires.
    pub false_alarms_of_rules: usize,
}

/// Counts of one family.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FamilyResult {
    /// Rows scored.
    pub rows: usize,
    /// Of these, the harmful ones.
    pub harmful: usize,
    /// Harmful rows at or over the threshold.
    pub caught: usize,
    /// Benign rows at or over the threshold.
    pub false_alarms: usize,
    /// Highest score.
    pub highest: f32,
    /// Lowest score.
    pub lowest: f32,
}

impl Evaluation {
    /// Rows that neither did harm nor meant it.
    pub fn benign(&self) -> usize {
        self.rows - self.harmful - self.failed_attacks
    }
}

/// Scores every row; nothing is trained on them.
///
/// # Errors
/// [`ModelError`] when the rows are of another schema or the engine fails.
pub fn evaluate(model: &Model, data: &Dataset) -> Result<Evaluation, ModelError> {
    let mut families: BTreeMap<String, FamilyResult> = BTreeMap::new();
    let mut scores = Vec::with_capacity(data.rows.len());
    let mut joint = Joint::default();
    let mut failed = (0, 0);
    for row in &data.rows {
        let vector = Vector::from_values(data.schema, &row.values)
            .map_err(|error| ModelError::malformed("a row to evaluate", error.to_string()))?;
        let probability = model.score(&vector)?.probability;
        let family = families
            .entry(row.family.clone())
            .or_insert(FamilyResult { lowest: f32::INFINITY, ..FamilyResult::default() });
        family.rows += 1;
        family.harmful += usize::from(row.harm);
        let is_flagged = probability >= model.threshold();
        family.caught += usize::from(is_flagged && row.harm);
        let is_benign = !row.harm && !row.intent;
        family.false_alarms += usize::from(is_flagged && is_benign);
        let is_paused = row.rules == Rules::Hard || row.rules == Rules::Soft && is_flagged;
        let fires = !row.rules.are_silent();
        joint.caught += usize::from(is_paused && row.harm);
        joint.caught_by_rules += usize::from(fires && row.harm);
        joint.false_pauses += usize::from(is_paused && is_benign);
        joint.false_alarms_of_rules += usize::from(fires && is_benign);
        family.highest = family.highest.max(probability);
        family.lowest = family.lowest.min(probability);
        if row.harm || is_benign {
            scores.push((probability, row.harm));
        } else {
            failed.0 += 1;
            failed.1 += usize::from(is_flagged);
        }
    }
    let flagged = |harm: bool| {
        scores.iter().filter(|score| score.1 == harm && score.0 >= model.threshold()).count()
    };
    Ok(Evaluation {
        threshold: model.threshold(),
        rows: data.rows.len(),
        harmful: scores.iter().filter(|score| score.1).count(),
        failed_attacks: failed.0,
        failed_attacks_flagged: failed.1,
        caught: flagged(true),
        false_alarms: flagged(false),
        joint,
        auc: auc(scores),
        families,
    })
}

/// Area under the curve by the rank sum, ties sharing their mean rank.
fn auc(mut scores: Vec<(f32, bool)>) -> Option<f64> {
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    let harmful = scores.iter().filter(|score| score.1).count() as f64;
    let benign = scores.len() as f64 - harmful;
    if harmful == 0.0 || benign == 0.0 {
        return None;
    }
    let mut rank_sum = 0.0;
    let mut before = 0;
    for tied in scores.chunk_by(|a, b| a.0 == b.0) {
        let mean_rank = before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        rank_sum += mean_rank * tied.iter().filter(|score| score.1).count() as f64;
        before += tied.len();
    }
    Some((rank_sum - harmful * (harmful + 1.0) / 2.0) / (harmful * benign))
}

#[cfg(test)]
mod tests {
    use super::auc;

    #[test]
    fn the_area_counts_pairs_in_order() {
        assert_eq!(auc(vec![(0.1, false), (0.9, true)]), Some(1.0));
        assert_eq!(auc(vec![(0.1, true), (0.9, false)]), Some(0.0));
        assert_eq!(auc(vec![(0.5, true), (0.5, false), (0.5, false)]), Some(0.5));
        assert_eq!(auc(vec![(0.2, false), (0.4, true), (0.4, false), (0.6, true)]), Some(0.875));
        assert_eq!(auc(vec![(0.2, true)]), None);
    }
}
