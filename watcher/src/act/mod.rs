//! Decisions handed to the outside: journalled, told, alerted, and a pause rehearsed, fired and followed.
//!
//! The room carries out; it neither judges nor decides, and it spawns nothing.

mod consent;
mod desk;
mod event;
mod hand;
mod pursue;
mod rehearse;

pub use event::{GuardEvent, Judged, PauseShown, Started, Totals};
pub use hand::{DryHand, EngineHand, PauseFired, PauseHand, PauseOrder};

pub(crate) use consent::{Asked, Consent, Refusal, Said, Standing};
pub(crate) use desk::{Desk, Notice, incident};
pub(crate) use pursue::{Pursuit, Settled, pursue};
pub(crate) use rehearse::{Left, Rehearsed, rehearse};
