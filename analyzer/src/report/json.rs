//! The findings document, format 1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::AuditReport;

use super::{Diagnostic, Finding, Stats, Suppressed};

/// The major version of the findings format that this version writes and reads.
pub const FINDINGS_VERSION: u64 = 1;

/// What an audit found, as written by `--format json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Portcullis findings", extend("$id" = "findings.schema.json"))]
pub struct FindingsDocument {
    /// Major version of this format; readers refuse one that they do not know.
    #[schemars(extend("const" = 1))]
    pub version: u64,
    /// The program that wrote it.
    pub tool: Tool,
    /// Findings, the heaviest first, then by place.
    pub findings: Vec<Finding>,
    /// Findings that comments in the source allow, in the same order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressed: Vec<Suppressed>,
    /// What could not be read, found or analysed.
    pub diagnostics: Vec<Diagnostic>,
    /// How much was audited.
    pub stats: Stats,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A findings document that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindingsError {
    /// The text is not a findings document.
    #[error("not a findings document: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The document is of another major version.
    #[error("findings document of version {found}; this program reads version {FINDINGS_VERSION}")]
    Version {
        /// The version it names.
        found: u64,
    },
}

impl FindingsDocument {
    /// The document of a report.
    pub fn new(report: &AuditReport) -> Self {
        Self {
            version: FINDINGS_VERSION,
            tool: Tool {
                name: "portcullis".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            findings: report.findings.clone(),
            suppressed: report.suppressed.clone(),
            diagnostics: report.diagnostics.clone(),
            stats: report.stats,
        }
    }

    /// Reads a document; fields that this version does not know are left unread.
    ///
    /// # Errors
    /// [`FindingsError::Version`] for an unknown major version, whatever else the document holds;
    /// [`FindingsError::Malformed`] names the line and what was expected there.
    pub fn read(text: &str) -> Result<Self, FindingsError> {
        #[derive(Deserialize)]
        struct Header {
            version: u64,
        }
        let Header { version } = serde_json::from_str(text)?;
        if version != FINDINGS_VERSION {
            return Err(FindingsError::Version { found: version });
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The document as indented JSON with a final newline.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .expect("plain data with text keys always serialises");
        text.push('\n');
        text
    }
}

/// The JSON schema of [`FindingsDocument`].
pub fn findings_schema() -> serde_json::Value {
    schemars::schema_for!(FindingsDocument).to_value()
}
