//! Solidity text to findings.

pub(crate) mod cfg;
pub mod facts;
pub mod hir;
pub mod project;
pub mod syntax;
