//! Solidity text to findings.

pub mod hir;
pub mod syntax;
