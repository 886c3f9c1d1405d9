//! One row: the features of one transaction or contract, and which of them are known.

use super::Schema;

/// The features of one subject in schema order.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    schema: &'static Schema,
    values: Vec<f32>,
    known: u64,
}

/// Why numbers do not make a vector.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum VectorError {
    /// Too many or too few values.
    #[error("schema `{schema}` has {expected} features, but {found} values were given")]
    Length {
        /// Name of the schema.
        schema: &'static str,
        /// Its number of features.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A value that is neither in the feature's range nor its number for unknown.
    #[error("feature `{feature}` is {value}, expected {min} to {max}, or {unknown} for unknown")]
    OutOfRange {
        /// Name of the feature.
        feature: &'static str,
        /// Value given.
        value: f32,
        /// Smallest allowed.
        min: f32,
        /// Largest allowed.
        max: f32,
        /// Number that stands for unknown.
        unknown: f32,
    },
}

impl Vector {
    /// A vector of which nothing is known yet.
    pub fn unknown(schema: &'static Schema) -> Self {
        assert!(schema.len() <= 64, "the bit set of known features holds 64");
        Self {
            schema,
            values: schema.features.iter().map(|feature| feature.unknown()).collect(),
            known: 0,
        }
    }

    /// Reads a stored row back; the number for unknown makes a feature unknown.
    ///
    /// # Errors
    /// [`VectorError`] when the length is not the schema's or a value lies outside of its feature's range.
    pub fn from_values(schema: &'static Schema, values: &[f32]) -> Result<Self, VectorError> {
        if values.len() != schema.len() {
            return Err(VectorError::Length {
                schema: schema.name,
                expected: schema.len(),
                found: values.len(),
            });
        }
        let mut vector = Self::unknown(schema);
        for (index, (&value, feature)) in values.iter().zip(schema.features).enumerate() {
            if value == feature.unknown() {
                continue;
            }
            if !(feature.min..=feature.max).contains(&value) {
                return Err(VectorError::OutOfRange {
                    feature: feature.name,
                    value,
                    min: feature.min,
                    max: feature.max,
                    unknown: feature.unknown(),
                });
            }
            vector.set(index, value);
        }
        Ok(vector)
    }

    /// Sets a feature, clipped to its range, and marks it known; NaN leaves it as it is.
    ///
    /// # Panics
    /// When `index` is outside of the schema; the constants beside each schema never are.
    pub fn set(&mut self, index: usize, value: f32) {
        let feature = &self.schema.features[index];
        if value.is_nan() {
            return;
        }
        self.values[index] = value.clamp(feature.min, feature.max);
        self.known |= 1 << index;
    }

    /// The schema these are features of.
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// All values in schema order; unknown ones hold [`super::FeatureSpec::unknown`].
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Bit `i` is set where feature `i` is known.
    pub fn known(&self) -> u64 {
        self.known
    }

    /// The value of a feature, if it is known.
    pub fn value(&self, index: usize) -> Option<f32> {
        (index < self.values.len() && self.known & (1 << index) != 0).then(|| self.values[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{TRANSACTION, transaction};

    #[test]
    fn unknown_is_not_zero() {
        let mut vector = Vector::unknown(&TRANSACTION);
        assert_eq!(vector.value(transaction::CREATES), None);
        assert_eq!(vector.values()[transaction::CREATES], -1.0);
        assert_eq!(vector.values()[transaction::SOLVENCY_DELTA_BPS], -10_001.0);
        vector.set(transaction::CREATES, 0.0);
        assert_eq!(vector.value(transaction::CREATES), Some(0.0));
        assert_eq!(vector.known(), 1 << transaction::CREATES);
    }

    #[test]
    fn values_are_clipped_and_nan_stays_unknown() {
        let mut vector = Vector::unknown(&TRANSACTION);
        vector.set(transaction::OUTFLOW_FRAC, 7.0);
        vector.set(transaction::SOLVENCY_DELTA_BPS, f32::NEG_INFINITY);
        vector.set(transaction::VALUE_FRAC, f32::NAN);
        assert_eq!(vector.value(transaction::OUTFLOW_FRAC), Some(1.0));
        assert_eq!(vector.value(transaction::SOLVENCY_DELTA_BPS), Some(-10_000.0));
        assert_eq!(vector.value(transaction::VALUE_FRAC), None);
    }

    #[test]
    fn a_row_survives_storage_and_a_foreign_one_is_refused() {
        let mut vector = Vector::unknown(&TRANSACTION);
        vector.set(transaction::DEPTH, 3.0);
        assert_eq!(Vector::from_values(&TRANSACTION, vector.values()), Ok(vector.clone()));
        let short = Vector::from_values(&TRANSACTION, &vector.values()[1..]).unwrap_err();
        assert_eq!(
            short.to_string(),
            "schema `transaction` has 64 features, but 63 values were given"
        );
        let mut wild = vector.values().to_vec();
        wild[transaction::DEPTH] = f32::NAN;
        assert!(
            Vector::from_values(&TRANSACTION, &wild)
                .unwrap_err()
                .to_string()
                .contains("`depth` is NaN")
        );
    }
}
