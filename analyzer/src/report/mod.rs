//! Findings as documents: for terminals, for programs (JSON) and for code scanning (SARIF).
//!
//! Everything here is a function of an [`AuditReport`](crate::AuditReport); nothing reads files or
//! knows what is done with the document.

mod excerpt;
mod finding;
mod fingerprint;
mod json;
mod paint;
mod sarif;
mod terminal;
mod text;

#[cfg(test)]
mod tests;

pub use finding::{Diagnostic, DiagnosticKind, Finding, Location, Position, Stats, Step};
pub use json::{FINDINGS_VERSION, FindingsDocument, FindingsError, Tool, findings_schema};
pub use sarif::sarif;
pub use terminal::{TerminalOptions, terminal};

pub(crate) use fingerprint::Fingerprints;
pub(crate) use text::Lines;
