//! How far what a model is asked has moved away from what it was trained on.
//!
//! The population stability index compares two distributions over the same bins: the sum of (a - b) ln(a / b) over the
//! parts a and b that fall into each. It is never negative, zero for equal parts, and the same both ways. By custom 0.1 is
//! worth a look, and from 0.25 on the figures of before say little. (Siddiqi, Credit Risk Scorecards, 2006.)
//!
//! A reference holds the deciles of every feature and of the score over benign rows that no tree was grown on; unknown
//! values have a bin of their own.

use serde::{Deserialize, Serialize};

use crate::schema::{Schema, Vector};

/// From here on a feature is worth a look.
pub const WARN_PSI: f64 = 0.1;
/// From here on a score should not be trusted.
pub const STOP_PSI: f64 = 0.25;
/// Rows below which a comparison says nothing: bins are empty by chance.
pub const MIN_ROWS: u64 = 200;
/// So many rows are taken before what was taken is halved.
const HALVED_ROWS: u64 = 50_000;
/// Added to every count, so that an empty bin is rare and not impossible.
const SMOOTHING: f64 = 0.5;
const BINS: usize = 10;
/// Largest text of a reference that is read, bytes.
pub(crate) const MAX_REFERENCE_BYTES: usize = 256 << 10;

/// What was usual when a model was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// One for each feature in the schema's order, then one for the score.
    bins: Vec<Bins>,
}

/// Bins of one number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bins {
    /// Where one bin ends and the next begins, rising; a value at an edge belongs to the bin below it, so that what was
    /// always the same has a bin of its own, and all that is larger another.
    edges: Vec<f32>,
    /// Rows in each bin, and at the end the rows in which the value was unknown.
    counts: Vec<u64>,
}

/// What has been seen since, against a reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    reference: Reference,
    counts: Vec<Vec<u64>>,
    rows: u64,
}

/// How far one number has moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moved {
    /// Name of the feature, or `score`.
    pub name: &'static str,
    /// Population stability index.
    pub psi: f64,
}

impl Reference {
    /// Of rows of `schema` with their scores; the order of rows does not matter.
    pub fn of(schema: &Schema, rows: &[(&[f32], f32)]) -> Self {
        let mut bins: Vec<Bins> = schema
            .features
            .iter()
            .enumerate()
            .map(|(place, feature)| {
                let unknown = feature.unknown();
                let values = rows
                    .iter()
                    .map(|(values, _)| values[place])
                    .map(|value| (value != unknown).then_some(value));
                Bins::of(values.collect())
            })
            .collect();
        bins.push(Bins::of(rows.iter().map(|(_, score)| Some(*score)).collect()));
        Self { bins }
    }

    /// Whether it is of `schema` and sound: rising edges, a count for each bin.
    pub(crate) fn is_of(&self, n_features: usize) -> bool {
        let sound = |bins: &Bins| {
            bins.edges.len() < BINS
                && bins.edges.windows(2).all(|pair| pair[0] < pair[1])
                && bins.edges.iter().all(|edge| edge.is_finite())
                && bins.counts.len() == bins.edges.len() + 2
                && bins.counts.iter().all(|count| *count <= u64::from(u32::MAX))
        };
        self.bins.len() == n_features + 1 && self.bins.iter().all(sound)
    }

    /// Nothing seen yet.
    pub fn begin(&self) -> Drift {
        let counts = self.bins.iter().map(|bins| vec![0; bins.counts.len()]).collect();
        Drift { reference: self.clone(), counts, rows: 0 }
    }
}

impl Bins {
    fn of(values: Vec<Option<f32>>) -> Self {
        let mut known: Vec<f32> = values.iter().flatten().copied().collect();
        known.sort_by(f32::total_cmp);
        let mut edges: Vec<f32> =
            (1..BINS).filter_map(|part| known.get(part * known.len() / BINS).copied()).collect();
        edges.dedup();
        let mut bins = Self { counts: vec![0; edges.len() + 2], edges };
        for value in values {
            let place = bins.place(value);
            bins.counts[place] += 1;
        }
        bins
    }

    fn place(&self, value: Option<f32>) -> usize {
        match value {
            Some(value) => self.edges.partition_point(|edge| *edge < value),
            None => self.edges.len() + 1,
        }
    }
}

impl Drift {
    /// Takes one row.
    pub fn add(&mut self, vector: &Vector, score: f32) {
        let n_features = self.reference.bins.len() - 1;
        for (place, (bins, counts)) in self.reference.bins.iter().zip(&mut self.counts).enumerate()
        {
            let value = if place == n_features { Some(score) } else { vector.value(place) };
            counts[bins.place(value)] += 1;
        }
        self.rows += 1;
        // What happened long ago counts half as much, and half of that again.
        if self.rows == HALVED_ROWS {
            self.counts.iter_mut().flatten().for_each(|count| *count /= 2);
            self.rows /= 2;
        }
    }

    /// Rows taken, those of long ago in part.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How far every feature and the score have moved, in the schema's order, the score last; none before
    /// [`MIN_ROWS`] rows.
    pub fn moved(&self, schema: &'static Schema) -> Option<Vec<Moved>> {
        let names = schema.features.iter().map(|feature| feature.name).chain(["score"]);
        let pairs = self.reference.bins.iter().zip(&self.counts);
        (self.rows >= MIN_ROWS).then(|| {
            names
                .zip(pairs)
                .map(|(name, (bins, counts))| Moved { name, psi: psi(&bins.counts, counts) })
                .collect()
        })
    }
}

/// Population stability index of two counts over the same bins.
pub fn psi(one: &[u64], other: &[u64]) -> f64 {
    let parts = |counts: &[u64]| -> Vec<f64> {
        let whole: f64 = counts.iter().map(|count| *count as f64 + SMOOTHING).sum();
        counts.iter().map(|count| (*count as f64 + SMOOTHING) / whole).collect()
    };
    parts(one).into_iter().zip(parts(other)).map(|(a, b)| (a - b) * (a / b).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::schema::TRANSACTION;

    fn rows(seed: u64, shift: f32) -> Vec<(Vec<f32>, f32)> {
        let mut random = Random::new(seed);
        let mut row = || {
            let mut vector = Vector::unknown(&TRANSACTION);
            vector.set(0, 5.0 * random.unit() as f32 + shift);
            if random.chance(0.5) {
                vector.set(1, 1.0 + random.below(3) as f32);
            }
            (vector.values().to_vec(), random.unit() as f32)
        };
        (0..2_000).map(|_| row()).collect()
    }

    fn moved(reference: &Reference, rows: &[(Vec<f32>, f32)]) -> Vec<Moved> {
        let mut drift = reference.begin();
        for (values, score) in rows {
            drift.add(&Vector::from_values(&TRANSACTION, values).unwrap(), *score);
        }
        drift.moved(&TRANSACTION).unwrap()
    }

    fn reference(rows: &[(Vec<f32>, f32)]) -> Reference {
        let rows: Vec<(&[f32], f32)> =
            rows.iter().map(|(values, score)| (values.as_slice(), *score)).collect();
        Reference::of(&TRANSACTION, &rows)
    }

    #[test]
    fn the_same_rows_have_not_moved_and_others_of_their_kind_hardly() {
        let known = rows(1, 0.0);
        let reference = reference(&known);
        assert!(reference.is_of(TRANSACTION.len()));
        assert!(moved(&reference, &known).iter().all(|moved| moved.psi < 1e-12));
        assert!(moved(&reference, &rows(2, 0.0)).iter().all(|moved| moved.psi < 0.05));
    }

    #[test]
    fn what_moved_is_named_and_nothing_else() {
        let reference = reference(&rows(1, 0.0));
        for moved in moved(&reference, &rows(2, 2.0)) {
            assert_eq!(moved.psi > STOP_PSI, moved.name == "frames_log", "{moved:?}");
        }
    }

    #[test]
    fn what_was_always_the_same_and_is_not_any_more_has_moved() {
        let same: Vec<(Vec<f32>, f32)> = rows(1, 0.0)
            .into_iter()
            .map(|(mut values, score)| {
                values[2] = 0.0;
                (values, score)
            })
            .collect();
        let reference = reference(&same);
        let mut others = same.clone();
        for (values, _) in others.iter_mut().step_by(2) {
            values[2] = 1.0;
        }
        let of = |rows: &[(Vec<f32>, f32)]| moved(&reference, rows)[2].psi;
        assert!(of(&same) < 1e-12 && of(&others) > STOP_PSI, "{}", of(&others));
    }

    #[test]
    fn few_rows_say_nothing() {
        let mut drift = reference(&rows(1, 0.0)).begin();
        drift.add(&Vector::unknown(&TRANSACTION), 0.5);
        assert_eq!(drift.moved(&TRANSACTION), None);
        assert_eq!(drift.rows(), 1);
    }

    #[test]
    fn the_index_is_never_negative_and_the_same_both_ways() {
        let mut random = Random::new(5);
        for _ in 0..500 {
            let mut counts = || (0..8).map(|_| random.below(50) as u64).collect::<Vec<u64>>();
            let (one, other) = (counts(), counts());
            let there = psi(&one, &other);
            assert!(there >= 0.0 && (there - psi(&other, &one)).abs() < 1e-9, "{one:?} {other:?}");
            assert_eq!(psi(&one, &one), 0.0);
        }
    }

    #[test]
    fn a_reference_of_another_shape_is_not_taken() {
        let sound = reference(&rows(1, 0.0));
        assert!(!sound.is_of(TRANSACTION.len() + 1));
        let mut falling = sound.clone();
        falling.bins[0].edges.reverse();
        assert!(!falling.is_of(TRANSACTION.len()));
        let mut short = sound;
        short.bins[3].counts.pop();
        assert!(!short.is_of(TRANSACTION.len()));
    }
}
