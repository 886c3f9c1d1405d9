//! Pending transactions to verdicts to decisions.
