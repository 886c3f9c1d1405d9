//! Findings, diagnostics and figures as plain data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::detectors::{Confidence, Severity};

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    /// Path relative to the folder the audit was started in, with forward slashes.
    pub path: String,
    /// Where it begins.
    pub start: Position,
    /// Just past its last character.
    pub end: Position,
}

/// A position in a text.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in UTF-16 code units as editors and SARIF count.
    pub column: u32,
    /// Byte offset in the file, from 0, not counting a byte order mark.
    pub offset: u32,
}

/// One weakness at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Id of the detector.
    pub detector: String,
    /// How bad it is if it is true.
    pub severity: Severity,
    /// How sure it is to be true.
    pub confidence: Confidence,
    /// One lowercase sentence without a stop: what is wrong here.
    pub message: String,
    /// Contract that the flaw stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Function that the flaw stands in, with its parameter types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Where the flaw is.
    pub location: Location,
    /// The whole function that the flaw stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extent: Option<Location>,
    /// The way to the flaw in the order in which it is executed; empty where there is no way to tell of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// How to fix it.
    pub help: String,
    /// Identity of the finding: detector, contract, function and the statement without its layout.
    /// Stays the same when lines move, the file is renamed or the code is reformatted.
    pub fingerprint: String,
}

/// A finding that a comment in the source allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suppressed {
    /// The tool that the comment is written for; `portcullis` for our own.
    pub tool: String,
    /// Why it is allowed, where the comment says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is allowed.
    pub finding: Finding,
}

/// One step on the way to a flaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Where it happens.
    pub location: Location,
    /// What happens.
    pub message: String,
}

/// What kind of thing went wrong while reading or analysing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DiagnosticKind {
    /// A path that the user named gave nothing to audit. The audit fails.
    NamedPath,
    /// A detector crashed; its findings are missing. The audit fails.
    DetectorCrashed,
    /// A part of the analysis crashed; the findings that rest on it are missing. The audit fails.
    AnalysisCrashed,
    /// A file could not be read.
    UnreadableFile,
    /// A configuration file of the project could not be used.
    Configuration,
    /// Bytes that are not UTF-8 were replaced.
    NotUtf8,
    /// A part of a file could not be parsed or understood.
    Syntax,
    /// An import names no file that could be found.
    MissingImport,
    /// A comment that shall allow a finding does not.
    Suppression,
}

impl DiagnosticKind {
    /// Whether the audit as a whole has failed, even though the rest of its results stands.
    pub fn is_fatal(self) -> bool {
        matches!(self, Self::NamedPath | Self::DetectorCrashed | Self::AnalysisCrashed)
    }
}

/// Something that could not be read, found or analysed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    /// What kind of thing.
    pub kind: DiagnosticKind,
    /// One lowercase headline without a stop.
    pub message: String,
    /// What it costs, or why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The file concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The place in the file, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// How much was audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// Files that findings were wanted for.
    pub files_reported: u64,
    /// Files that were read besides, because others import them.
    pub files_imported: u64,
    /// Lines of the files that findings were wanted for.
    pub lines_reported: u64,
    /// Folders and files left out as dependencies, tests or scripts.
    pub left_out: u64,
    /// Functions and modifiers with a body, in all files read.
    #[serde(default)]
    pub functions: u64,
    /// Uses of names in these bodies.
    #[serde(default)]
    pub names: u64,
    /// Uses of names that were resolved; the rest is what the analysis could not see.
    #[serde(default)]
    pub names_resolved: u64,
    /// Detectors that ran to their end.
    pub detectors: u64,
    /// Detectors that were not asked, because the settings or the command line leave them out.
    #[serde(default)]
    pub detectors_off: u64,
    /// Findings left out because a comment in the source allows them.
    #[serde(default)]
    pub suppressed: u64,
    /// Findings left out because an earlier document holds them.
    #[serde(default)]
    pub known: u64,
    /// Findings left out because the commit that the audit compares with has them too.
    #[serde(default)]
    pub older: u64,
}
