//! The training range: attacks and look-alikes played through the guard's own simulation.

pub mod artifacts;
pub mod node;
pub mod story;
