//! Solidity text to findings.

pub(crate) mod cfg;
pub mod hir;
pub mod project;
pub mod syntax;
