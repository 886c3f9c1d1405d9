//! Findings as documents: for terminals, for programs (JSON), for code scanning (SARIF), for
//! pull requests (Markdown) and for browsers (HTML).
//!
//! Everything here is a function of an [`AuditReport`](crate::AuditReport); nothing reads files or
//! knows what is done with the document.

mod baseline;
mod excerpt;
mod finding;
mod fingerprint;
mod html;
mod json;
mod markdown;
mod paint;
mod sarif;
mod suppression;
mod terminal;
mod text;

#[cfg(test)]
mod tests;

pub use finding::{
    Diagnostic, DiagnosticKind, Finding, Location, Position, Stats, Step, Suppressed,
};
pub use html::html;
pub use json::{FINDINGS_VERSION, FindingsDocument, FindingsError, Tool, findings_schema};
pub use markdown::markdown;
pub use sarif::sarif;
pub use suppression::{Counterparts, Date, counterparts};
pub use terminal::{TerminalOptions, terminal};

pub(crate) use fingerprint::Fingerprints;
pub(crate) use suppression::{Asked, suppress};
pub(crate) use text::Lines;
