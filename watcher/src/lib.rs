//! Pending transactions to verdicts to decisions.

pub mod simulate;
pub mod source;
pub mod state;
