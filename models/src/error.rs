//! What can be wrong with a model.

use std::path::PathBuf;

/// Why a model cannot be read, loaded or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file was read and is no model that can be served.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<ModelError>,
    },
    /// More bytes than any model of ours needs.
    #[error("the model has at least {bytes} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Bytes that were given.
        bytes: usize,
        /// Largest size that is read.
        limit: usize,
    },
    /// Bytes that are no ONNX, or ONNX that contradicts itself.
    #[error("malformed model: {place} {reason}")]
    Malformed {
        /// The field, node or tree.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Sound ONNX of a kind that is not served here.
    #[error("unsupported model: {place} is {found}, expected {expected}")]
    Unsupported {
        /// The field.
        place: String,
        /// What it holds.
        found: String,
        /// What is served.
        expected: &'static str,
    },
    /// The model was trained with features in another shape than this program fills.
    #[error(
        "the model was trained with schema `{model_schema}` of hash {model_hash}, but this program fills `{schema}` \
         of hash {schema_hash}: train it again with `portcullis models train`, or run it under the version of \
         portcullis that trained it"
    )]
    SchemaMismatch {
        /// Name and version in the model.
        model_schema: String,
        /// Hash in the model.
        model_hash: String,
        /// Name and version in this program.
        schema: String,
        /// Hash in this program.
        schema_hash: String,
    },
    /// A vector of one schema was given to a model of another.
    #[error("a `{found}` vector was given to a `{expected}` model")]
    WrongVector {
        /// Schema of the model.
        expected: &'static str,
        /// Schema of the vector.
        found: &'static str,
    },
    /// ONNX Runtime could not be loaded, or did not take the model.
    #[error("ONNX Runtime at `{}`: {reason}", library.display())]
    Runtime {
        /// The library's file.
        library: PathBuf,
        /// What it said.
        reason: String,
    },
}

impl ModelError {
    pub(crate) fn malformed(place: impl AsRef<str>, reason: impl AsRef<str>) -> Self {
        Self::Malformed { place: shortened(place.as_ref()), reason: shortened(reason.as_ref()) }
    }

    pub(crate) fn unsupported(
        place: impl AsRef<str>,
        found: impl AsRef<str>,
        expected: &'static str,
    ) -> Self {
        Self::Unsupported {
            place: shortened(place.as_ref()),
            found: shortened(found.as_ref()),
            expected,
        }
    }
}

/// Text from a foreign file may be megabytes long; a message shows how it starts.
pub(crate) fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 160;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
