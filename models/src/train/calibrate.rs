//! What a score is worth as a probability: how far scores lie from what then happened, and the two numbers that mend it.
//!
//! Platt's recipe: the logarithm of the odds becomes a straight line of itself, found by Newton's method on the likelihood.
//! It is fitted on scores of families that were left out of training, which is what a new attack is, and reported; the
//! threshold is a place in the order of scores, which no rising line changes.

use serde::Serialize;

use crate::random::Random;

/// Scores nearer to 0 and 1 than this are taken to lie here, or their odds would be infinite.
const EDGE: f64 = 1e-6;
/// Bins of the calibration error.
const BINS: usize = 10;
const STEPS: usize = 50;

/// How scores and outcomes lie to each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Calibration {
    /// Rows it was taken on.
    pub rows: usize,
    /// Mean square of score less outcome.
    pub brier: f64,
    /// Mean distance of score and share of harm over tenths of the rows in the order of their scores.
    pub error: f64,
    /// Slope on the logarithm of the odds; 1 is a score that is as sure as it should be, below 1 one that is too sure.
    pub slope: f64,
    /// What is added to the logarithm of the odds.
    pub offset: f64,
    /// Mean square after Platt's line, on the half of the rows it was not fitted on.
    pub brier_after: f64,
    /// The error after it, likewise.
    pub error_after: f64,
}

impl Calibration {
    /// Of scores and whether harm was done; `seed` draws the half that the line is fitted on.
    pub(super) fn of(scores: &[(f32, bool)], seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x706c_6174);
        let pairs = || scores.iter().map(|(score, harm)| (f64::from(*score), *harm));
        let (fitted, judged): (Vec<_>, Vec<_>) = pairs().partition(|_| random.chance(0.5));
        let (slope, offset) = platt(&fitted);
        let after: Vec<(f64, bool)> = judged
            .into_iter()
            .map(|(score, harm)| (sigmoid(slope * log_odds(score) + offset), harm))
            .collect();
        let before: Vec<(f64, bool)> = pairs().collect();
        Self {
            rows: scores.len(),
            brier: brier(&before),
            error: error(before),
            slope,
            offset,
            brier_after: brier(&after),
            error_after: error(after),
        }
    }
}

fn log_odds(score: f64) -> f64 {
    let score = score.clamp(EDGE, 1.0 - EDGE);
    (score / (1.0 - score)).ln()
}

fn sigmoid(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

/// Slope and offset of the likeliest line; labels are drawn in a little, after Platt, so that classes which a line parts
/// give no infinite slope.
fn platt(scores: &[(f64, bool)]) -> (f64, f64) {
    let harmful = scores.iter().filter(|(_, harm)| *harm).count() as f64;
    let benign = scores.len() as f64 - harmful;
    if harmful == 0.0 || benign == 0.0 {
        return (1.0, 0.0);
    }
    let target =
        |harm: bool| if harm { (harmful + 1.0) / (harmful + 2.0) } else { 1.0 / (benign + 2.0) };
    let loss = |slope: f64, offset: f64| -> f64 {
        scores
            .iter()
            .map(|(score, harm)| {
                let odds = slope * log_odds(*score) + offset;
                // ln(1 + e^odds) - target * odds, without overflow.
                odds.max(0.0) + (-odds.abs()).exp().ln_1p() - target(*harm) * odds
            })
            .sum()
    };
    let (mut slope, mut offset) = (1.0, 0.0);
    for _ in 0..STEPS {
        let (mut g1, mut g0, mut h11, mut h10, mut h00) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
        for (score, harm) in scores {
            let x = log_odds(*score);
            let p = sigmoid(slope * x + offset);
            let (miss, weight) = (p - target(*harm), p * (1.0 - p));
            (g1, g0) = (g1 + miss * x, g0 + miss);
            (h11, h10, h00) = (h11 + weight * x * x, h10 + weight * x, h00 + weight);
        }
        let det = h11 * h00 - h10 * h10;
        let (d1, d0) = ((h00 * g1 - h10 * g0) / det, (h11 * g0 - h10 * g1) / det);
        // A whole step may be too far where the line is flat.
        let now = loss(slope, offset);
        let Some(part) = (0..30)
            .map(|half| 0.5_f64.powi(half))
            .find(|part| loss(slope - part * d1, offset - part * d0) < now)
        else {
            break;
        };
        (slope, offset) = (slope - part * d1, offset - part * d0);
    }
    (slope, offset)
}

fn brier(scores: &[(f64, bool)]) -> f64 {
    let square = |(score, harm): &(f64, bool)| (score - f64::from(u8::from(*harm))).powi(2);
    scores.iter().map(square).sum::<f64>() / scores.len().max(1) as f64
}

fn error(mut scores: Vec<(f64, bool)>) -> f64 {
    scores.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let n = scores.len();
    let bins = (0..BINS).map(|bin| &scores[bin * n / BINS..(bin + 1) * n / BINS]);
    let distance = |bin: &[(f64, bool)]| {
        let score: f64 = bin.iter().map(|(score, _)| score).sum();
        let harmful = bin.iter().filter(|(_, harm)| *harm).count() as f64;
        (score - harmful).abs()
    };
    bins.map(distance).sum::<f64>() / n.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes as likely as `likely` makes of each score.
    fn drawn(likely: impl Fn(f64) -> f64) -> Vec<(f32, bool)> {
        let mut random = Random::new(8);
        (0..20_000)
            .map(|_| {
                let score = random.unit() * 0.98 + 0.01;
                (score as f32, random.chance(likely(score)))
            })
            .collect()
    }

    #[test]
    fn a_score_that_is_right_is_left_alone() {
        let found = Calibration::of(&drawn(|score| score), 1);
        assert!((found.slope - 1.0).abs() < 0.05 && found.offset.abs() < 0.05, "{found:?}");
        assert!(found.error < 0.02 && found.error_after < 0.02, "{found:?}");
    }

    #[test]
    fn a_score_that_is_too_sure_is_drawn_in() {
        let true_line = |score: f64| sigmoid(0.4 * log_odds(score) - 1.0);
        let found = Calibration::of(&drawn(true_line), 1);
        assert!((found.slope - 0.4).abs() < 0.05 && (found.offset + 1.0).abs() < 0.1, "{found:?}");
        assert!(found.error_after < found.error / 3.0, "{found:?}");
        assert!(found.brier_after < found.brier, "{found:?}");
    }

    #[test]
    fn classes_that_a_line_parts_and_a_class_that_lacks_end_too() {
        let parted: Vec<(f32, bool)> =
            (0..100).map(|row| (if row < 50 { 0.1 } else { 0.9 }, row >= 50)).collect();
        let found = Calibration::of(&parted, 1);
        assert!(found.slope.is_finite() && found.error_after < 0.1, "{found:?}");
        let alone = Calibration::of(&[(0.2, false); 9], 1);
        assert_eq!((alone.slope, alone.offset), (1.0, 0.0));
        assert!(Calibration::of(&[], 1).brier.abs() < 1e-9);
    }
}
