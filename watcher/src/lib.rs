//! Pending transactions to verdicts to decisions.
//!
//! ```text
//! nodes ─> source ─> simulate ─> facts ─> verdict ─> policy ─> act ─> journal, people, pause
//!                      │ on state                      │
//!                      └ the forked chain              └ pure: no clock, socket or key
//! ```
//!
//! A transaction that waits is run on the forked state; what it did becomes named facts and a feature vector; rules
//! and a model are asked; a pure policy decides; and what is decided is carried out elsewhere. The crate holds no
//! key, trusts no node further than it must, and knows no address by reputation.
//!
//! Start reading at [`daemon::Guard::start`], which wires all of it, or at [`daemon::replay`], which runs the same
//! over a recording.

pub mod act;
pub mod daemon;
pub mod facts;
pub mod policy;
pub mod settings;
pub mod simulate;
pub mod source;
pub mod state;
pub mod verdict;
