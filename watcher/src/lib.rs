//! Pending transactions to verdicts to decisions.

pub mod facts;
pub mod simulate;
pub mod source;
pub mod state;
