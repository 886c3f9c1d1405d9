//! The part of ONNX that models are stored in: one `TreeEnsembleClassifier` of `ai.onnx.ml` 3 under IR 8.
//!
//! The classifier form was chosen over the regressor because more runtimes have it. Both classes vote in every
//! leaf, which keeps a runtime off its special case for a single column.

mod proto;
mod read;
mod wire;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;

use std::collections::BTreeMap;

use crate::drift::Reference;
use crate::forest::Forest;

/// Largest file that is read, bytes. A hundred trees of depth ten need less than one twentieth.
pub(crate) const MAX_FILE_BYTES: usize = 8 << 20;

const OPERATOR: &str = "TreeEnsembleClassifier";
const DOMAIN: &str = "ai.onnx.ml";
const DOMAIN_VERSION: i64 = 3;
const IR_VERSION: i64 = 8;
/// Name of the one input, `f32 [rows, features]`.
pub(crate) const INPUT: &str = "features";
/// Name of the second output, `f32 [rows, 2]`: benign, harm.
pub(crate) const PROBABILITIES: &str = "probabilities";
const LABEL: &str = "label";

const KEY_SCHEMA_NAME: &str = "portcullis.schema.name";
const KEY_SCHEMA_VERSION: &str = "portcullis.schema.version";
const KEY_SCHEMA_HASH: &str = "portcullis.schema.hash";
const KEY_THRESHOLD: &str = "portcullis.threshold";
/// What was usual when the model was trained, as JSON; a foreign model may do without.
const KEY_REFERENCE: &str = "portcullis.reference";
const CARD_PREFIX: &str = "portcullis.card.";

/// A model file's whole meaning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) schema: StoredSchema,
    /// Probability from which a row counts as harm.
    pub(crate) threshold: f32,
    /// The model card: plain text by heading.
    pub(crate) card: BTreeMap<String, String>,
    pub(crate) forest: Forest,
    /// What drift is measured against.
    pub(crate) reference: Option<Reference>,
}

/// What a model says of the schema it was trained with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredSchema {
    pub(crate) name: String,
    pub(crate) version: u32,
    /// Lower-case hex.
    pub(crate) hash: String,
}

#[cfg(test)]
mod tests;
