//! Solidity text to findings.
//!
//! ```text
//! files -> project -> syntax -> hir -> cfg -> facts -> detectors -> findings -> report
//! ```
//!
//! Start at [`audit()`]. Neither a compiler nor a build nor the network is needed: a missing import or
//! a syntax error costs the precision of that file alone, and is said as a diagnostic.

mod audit;
pub(crate) mod cfg;
pub mod detectors;
pub mod facts;
pub mod hir;
pub mod inspect;
pub mod project;
pub mod report;
pub mod syntax;

pub use audit::{
    AuditError, AuditOptions, AuditReport, CacheOptions, Timing, audit, audit_text, audit_texts,
};
