//! The training range: attacks and look-alikes played through the guard's own simulation.

pub mod artifacts;
mod episode;
pub mod node;
pub mod story;

pub use episode::{GENERATOR_VERSION, RangeError, generate};
