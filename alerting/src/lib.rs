//! Everything that leaves the program: journal, notifications, guardian and pause.
//!
//! ```text
//! verdicts, evidence, actions ──> journal    one SQLite file, written by a thread of its own
//! alerts ─────────────────────> notify     one file per channel, retries in the dispatcher
//! pause requests ─────────────> guardian   priced, signed, sent to every node, followed until it is mined
//! ```
//!
//! What happened is known here only as the plain [`record`]s of this crate: no chain state, rule or model. Only
//! [`guardian`] holds a key. Start reading at [`guardian::PauseEngine::fire`].

mod calendar;
pub mod guardian;
pub mod journal;
pub mod notify;
pub mod record;
pub mod secret;
