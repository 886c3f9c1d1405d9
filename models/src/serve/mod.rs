//! A model file, asked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::drift::Reference;
use crate::error::ModelError;
use crate::onnx::{self, Stored};
use crate::schema::{Schema, Vector, hex};

mod runtime;

use runtime::Runtime;

/// Which code computes the probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine<'a> {
    /// Our own walk over the trees: needs nothing, and is the referee for the other one.
    Native,
    /// ONNX Runtime, loaded from a shared library. A process loads one such library and keeps it.
    OnnxRuntime {
        /// The library's file, as `libonnxruntime.so`.
        library: &'a Path,
    },
}

/// A model that is ready to be asked. It can be shared between threads.
#[derive(Debug)]
pub struct Model {
    schema: &'static Schema,
    stored: Stored,
    hash: [u8; 32],
    runtime: Option<Runtime>,
}

/// The answer to one vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Probability of harm, 0 to 1, true for the mix of rows the model was trained on and for no other.
    pub probability: f32,
    /// The probability before anything is known of the row.
    pub bias: f32,
    /// How far each feature moved it, by place in the schema, largest move first, those that did not move it
    /// left out. Bias and moves add up to the probability.
    pub contributions: Vec<(usize, f32)>,
}

impl Model {
    /// Reads, checks and loads an ONNX file.
    ///
    /// The file may come from anyone: it is checked in full, and a runtime is given what was understood of it,
    /// written anew, never the bytes themselves.
    ///
    /// # Errors
    /// [`ModelError`] when the bytes are no sound tree ensemble of this schema, or when the runtime cannot be
    /// loaded or refuses it.
    pub fn from_bytes(
        bytes: &[u8],
        schema: &'static Schema,
        engine: Engine<'_>,
    ) -> Result<Self, ModelError> {
        let stored = onnx::read(bytes)?;
        let expected = schema.hash_hex();
        if stored.schema.hash != expected || stored.schema.name != schema.name {
            return Err(ModelError::SchemaMismatch {
                model_schema: format!("{} {}", stored.schema.name, stored.schema.version),
                model_hash: stored.schema.hash,
                schema: format!("{} {}", schema.name, schema.version),
                schema_hash: expected,
            });
        }
        if stored.forest.n_features != schema.len() {
            let expected = format!(
                "takes {} features, but its schema has {}",
                stored.forest.n_features,
                schema.len()
            );
            return Err(ModelError::malformed("graph input", expected));
        }
        let runtime = match engine {
            Engine::Native => None,
            Engine::OnnxRuntime { library } => {
                Some(Runtime::load(library, &onnx::write(&stored), schema.len())?)
            }
        };
        Ok(Self { schema, stored, hash: Sha256::digest(bytes).into(), runtime })
    }

    /// [`Model::from_bytes`] on a file, of which no more is read than a model may have.
    ///
    /// # Errors
    /// [`ModelError::Io`], or [`ModelError::InFile`] around an error of [`Model::from_bytes`]; both name the path.
    pub fn from_file(
        path: &Path,
        schema: &'static Schema,
        engine: Engine<'_>,
    ) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(path)
            .map_err(io)?
            .take(onnx::MAX_FILE_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        Self::from_bytes(&bytes, schema, engine).map_err(|source| ModelError::InFile {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Scores one vector.
    ///
    /// # Errors
    /// [`ModelError::WrongVector`] for a vector of another schema, [`ModelError::Runtime`] when ONNX Runtime
    /// fails.
    pub fn score(&self, vector: &Vector) -> Result<Score, ModelError> {
        let probability = self.probability(vector)?;
        let (bias, _) = self.stored.forest.contributions(vector.values());
        Ok(Score { probability, bias: bias as f32, contributions: self.contributions(vector) })
    }

    /// [`Score::probability`] alone.
    ///
    /// # Errors
    /// As [`Model::score`].
    pub fn probability(&self, vector: &Vector) -> Result<f32, ModelError> {
        self.check(vector)?;
        let probability = match &self.runtime {
            None => self.stored.forest.probability(vector.values()),
            Some(runtime) => runtime.probability(vector.values())?,
        };
        Ok(probability.clamp(0.0, 1.0))
    }

    /// [`Score::contributions`] alone; none for a vector of another schema.
    pub fn contributions(&self, vector: &Vector) -> Vec<(usize, f32)> {
        if self.check(vector).is_err() {
            return Vec::new();
        }
        let (_, moved) = self.stored.forest.contributions(vector.values());
        let mut contributions: Vec<(usize, f32)> =
            moved.iter().enumerate().map(|(index, &move_by)| (index, move_by as f32)).collect();
        contributions.retain(|&(_, move_by)| move_by != 0.0);
        contributions.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        contributions
    }

    fn check(&self, vector: &Vector) -> Result<(), ModelError> {
        if !std::ptr::eq(vector.schema(), self.schema) && vector.schema() != self.schema {
            return Err(ModelError::WrongVector {
                expected: self.schema.name,
                found: vector.schema().name,
            });
        }
        Ok(())
    }

    /// What was usual when it was trained, where the file says so: drift is measured against it.
    pub fn reference(&self) -> Option<&Reference> {
        self.stored.reference.as_ref()
    }

    /// SHA-256 of the file, lower-case hex: names the model in the journal.
    pub fn hash_hex(&self) -> String {
        hex(&self.hash)
    }

    /// `onnxruntime` or `native`.
    pub fn engine_name(&self) -> &'static str {
        if self.runtime.is_some() { "onnxruntime" } else { "native" }
    }

    /// The probability from which on a row counts as harm, chosen when the model was trained.
    pub fn threshold(&self) -> f32 {
        self.stored.threshold
    }

    /// The schema it was trained with.
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// The model card: text by heading.
    pub fn card(&self) -> &BTreeMap<String, String> {
        &self.stored.card
    }

    /// The model card as a page, with what is known of the file itself.
    pub fn card_markdown(&self) -> String {
        let (trees, nodes) = self.size();
        let mut page = format!(
            "# Model card: {}\n\nSHA-256 `{}`, schema `{} {}` of hash `{}`, {trees} trees with {nodes} nodes, \
             threshold {}.\n",
            self.schema.name,
            self.hash_hex(),
            self.schema.name,
            self.schema.version,
            self.schema.hash_hex(),
            self.threshold(),
        );
        for (heading, text) in self.card() {
            page += &format!("\n## {heading}\n\n{text}\n");
        }
        page
    }

    /// Trees and nodes.
    pub fn size(&self) -> (usize, usize) {
        (self.stored.forest.trees.len(), self.stored.forest.n_nodes())
    }
}
