//! Solidity text to findings.

pub mod hir;
pub mod project;
pub mod syntax;
