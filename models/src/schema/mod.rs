//! What a model is asked with: named features in a fixed order, each with a range, hashed as a whole.
//!
//! A model stores the hash of the schema it was trained with and is refused under any other, so the vectors
//! of training and of serving can never drift apart unseen.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

mod features;
mod vector;

pub use features::{CONTRACT, TRANSACTION, contract, transaction};
pub use vector::{Vector, VectorError};

/// An ordered list of features, known by name, version and hash.
#[derive(Debug, PartialEq, Serialize)]
pub struct Schema {
    /// Short name: `transaction` or `contract`.
    pub name: &'static str,
    /// Counted up whenever a feature is added, removed, re-ranged or computed in another way.
    pub version: u32,
    /// The features; a feature's place here is its place in every [`Vector`]. At most 64.
    pub features: &'static [FeatureSpec],
}

/// One feature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FeatureSpec {
    /// Name; `_log` means `ln(1 + x)`, `_bps` ten-thousandths, `_share` and `_frac` parts of one.
    pub name: &'static str,
    /// Ablation group.
    pub group: Group,
    /// Smallest value; smaller ones are clipped to it.
    pub min: f32,
    /// Largest value; larger ones are clipped to it.
    pub max: f32,
    /// One sentence that says what is measured.
    pub doc: &'static str,
}

impl FeatureSpec {
    /// The number that stands for "could not be computed": -1, or one below the range where -1 is in it.
    ///
    /// Trees get no NaN, so unknown needs a number of its own that no known value can take.
    pub fn unknown(&self) -> f32 {
        if self.min > -1.0 { -1.0 } else { self.min - 1.0 }
    }
}

/// What a feature speaks of; models are also trained without one group at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The call tree's form.
    Shape,
    /// Borrowed and own capital.
    Capital,
    /// Tokens and ether that move.
    Flow,
    /// Prices, rates and invariants.
    Price,
    /// Contracts entered again while they are still running.
    Reentry,
    /// Rights, code and privileged storage.
    Privilege,
    /// Ages and first sights.
    Novelty,
    /// What the sender signed and paid.
    Envelope,
    /// A contract's size and functions.
    Surface,
    /// Flash-loan callbacks and requests in code.
    Flash,
    /// Token and market calls in code.
    Market,
    /// Addresses in code and gates on the caller.
    Address,
    /// What kind of contract the code is, and the effects it can have.
    Effect,
    /// Hidden targets and packed data.
    Obfuscation,
    /// How and by whom a contract was deployed.
    Deployment,
}

impl Schema {
    /// SHA-256 over name, version, and every feature's name, bit-exact range and order.
    ///
    /// Docs and groups are left out: rewording a sentence does not make a model useless.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(format!("{}\0{}\n", self.name, self.version));
        for feature in self.features {
            hasher.update(format!(
                "{}\0{:08x}\0{:08x}\n",
                feature.name,
                feature.min.to_bits(),
                feature.max.to_bits()
            ));
        }
        hasher.finalize().into()
    }

    /// [`Schema::hash`] in lower-case hex.
    pub fn hash_hex(&self) -> String {
        hex(&self.hash())
    }

    /// The place of the feature called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.features.iter().position(|feature| feature.name == name)
    }

    /// Number of features.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Whether there is no feature; no schema that ships is empty.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }
}

/// Both schemas with their hashes, and the form of data sets, as one JSON document.
pub fn describe() -> serde_json::Value {
    let vectors: Vec<_> = [&TRANSACTION, &CONTRACT]
        .into_iter()
        .map(|schema| {
            let features: Vec<_> = schema
                .features
                .iter()
                .map(|feature| {
                    let mut described = json!(feature);
                    described["unknown"] = json!(feature.unknown());
                    described
                })
                .collect();
            json!({ "name": schema.name, "version": schema.version, "hash": schema.hash_hex(), "features": features })
        })
        .collect();
    json!({
        "version": crate::data::FORMAT_VERSION,
        "vectors": vectors,
        "dataset": {
            "manifest.json": schemars::schema_for!(crate::data::Manifest),
            "rows.jsonl": schemars::schema_for!(crate::data::Row),
        },
    })
}

/// Lower-case hex without prefix.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemas_hold_their_promises() {
        for (schema, n_features) in [(&TRANSACTION, 64), (&CONTRACT, 36)] {
            assert_eq!(schema.len(), n_features);
            let mut names: Vec<_> = schema.features.iter().map(|feature| feature.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), n_features, "a name of `{}` stands twice", schema.name);
            for feature in schema.features {
                assert!(feature.min < feature.max, "{}", feature.name);
                assert!(
                    feature.unknown() < feature.min,
                    "{}: unknown must lie outside of the range",
                    feature.name
                );
                assert!(feature.doc.ends_with('.'), "{}: a doc is a sentence", feature.name);
            }
        }
    }

    #[test]
    fn the_description_holds_every_feature_and_the_hashes() {
        let described = describe();
        let transaction = &described["vectors"][0];
        assert_eq!(transaction["hash"], json!(TRANSACTION.hash_hex()));
        assert_eq!(transaction["features"][36]["name"], "k_drop_bps");
        assert_eq!(transaction["features"][37]["unknown"], json!(-10_001.0));
        assert_eq!(described["vectors"][1]["features"].as_array().unwrap().len(), 36);
        assert!(described["dataset"]["rows.jsonl"]["properties"]["episode"].is_object());
    }

    #[test]
    fn a_constant_is_the_place_of_its_name() {
        assert_eq!(TRANSACTION.position("frames_log"), Some(transaction::FRAMES_LOG));
        assert_eq!(TRANSACTION.position("value_frac"), Some(transaction::VALUE_FRAC));
        assert_eq!(transaction::VALUE_FRAC, 63);
        assert_eq!(CONTRACT.position("fund_source"), Some(contract::FUND_SOURCE));
        assert_eq!(TRANSACTION.position("frames"), None);
    }

    #[test]
    fn the_hash_moves_with_names_ranges_and_version_only() {
        const FEATURE: FeatureSpec =
            FeatureSpec { name: "a", group: Group::Shape, min: 0.0, max: 1.0, doc: "One thing." };
        fn hash_of(version: u32, feature: FeatureSpec) -> [u8; 32] {
            let features = Box::leak(Box::new([feature]));
            Schema { name: "test", version, features }.hash()
        }
        let base = hash_of(1, FEATURE);
        assert_eq!(base, hash_of(1, FeatureSpec { doc: "Another wording.", ..FEATURE }));
        assert_ne!(base, hash_of(2, FEATURE));
        assert_ne!(base, hash_of(1, FeatureSpec { name: "b", ..FEATURE }));
        assert_ne!(base, hash_of(1, FeatureSpec { max: 2.0, ..FEATURE }));
    }
}
