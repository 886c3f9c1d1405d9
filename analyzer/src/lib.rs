//! Solidity text to findings.

pub mod project;
