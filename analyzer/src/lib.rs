//! Solidity text to findings.
