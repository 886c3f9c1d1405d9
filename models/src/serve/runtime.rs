//! ONNX Runtime behind one door: the only file that names `ort`.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::Tensor;

use crate::error::ModelError;
use crate::onnx;

/// The one environment a process may have, and the library it came from.
static ENVIRONMENT: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// A loaded session.
#[derive(Debug)]
pub(super) struct Runtime {
    library: PathBuf,
    /// ONNX Runtime's `run` is not safe to call from two threads on one session under every provider, so `ort`
    /// wants it exclusively; a call takes microseconds.
    session: Mutex<Session>,
    n_features: usize,
}

impl Runtime {
    /// Loads a model that we wrote ourselves.
    pub(super) fn load(
        library: &Path,
        model: &[u8],
        n_features: usize,
    ) -> Result<Self, ModelError> {
        let environment = environment(library)?;
        let session = Session::builder(&environment)
            .and_then(|builder| Ok(builder.with_intra_threads(1)?))
            .and_then(|builder| Ok(builder.with_inter_threads(1)?))
            .and_then(
                |builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::Level1)?),
            )
            .and_then(|mut builder| builder.commit_from_memory(model))
            .map_err(|error| failed(library, error))?;
        Ok(Self { library: library.to_owned(), session: Mutex::new(session), n_features })
    }

    /// Probability of harm of one row.
    pub(super) fn probability(&self, values: &[f32]) -> Result<f32, ModelError> {
        let failed = |error| failed(&self.library, error);
        let input = Tensor::from_array(([1, self.n_features], values.to_vec())).map_err(failed)?;
        // A thread that panicked here left no half-written state of ours behind.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(ort::inputs![onnx::INPUT => input]).map_err(failed)?;
        let output =
            outputs.get(onnx::PROBABILITIES).ok_or_else(|| self.odd_output("no probabilities"))?;
        let (_, probabilities) = output.try_extract_tensor::<f32>().map_err(failed)?;
        match probabilities {
            &[_, harm] if harm.is_finite() => Ok(harm),
            other => Err(self.odd_output(&format!("{other:?} for one row"))),
        }
    }

    fn odd_output(&self, what: &str) -> ModelError {
        failed(&self.library, format!("returned {what}"))
    }
}

fn environment(library: &Path) -> Result<Environment, ModelError> {
    // The loader takes a relative path from the program's folder, and people from the current one.
    let library = &library.canonicalize().map_err(|error| failed(library, error))?;
    let mut slot = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((loaded, environment)) = slot.as_ref() {
        return if loaded == library {
            Ok(environment.clone())
        } else {
            let reason = format!(
                "`{}` is already loaded, and a process can hold only one",
                loaded.display()
            );
            Err(failed(library, reason))
        };
    }
    let environment = ort::init_from(library)
        .map_err(|error| failed(library, error))?
        .with_telemetry(false)
        .build()
        .map_err(|error| failed(library, error))?;
    *slot = Some((library.to_owned(), environment.clone()));
    Ok(environment)
}

fn failed(library: &Path, reason: impl Display) -> ModelError {
    ModelError::Runtime { library: library.to_owned(), reason: reason.to_string() }
}
