//! Pending transactions to verdicts to decisions.

pub mod act;
pub mod daemon;
pub mod facts;
pub mod policy;
pub mod settings;
pub mod simulate;
pub mod source;
pub mod state;
pub mod verdict;
