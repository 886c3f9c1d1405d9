//! The training range: attacks and look-alikes played through the guard's own simulation.

pub mod artifacts;
mod episode;
pub mod node;
pub mod story;

pub use episode::{
    Cast, GENERATOR, GENERATOR_VERSION, RangeError, Scope, Shown, generate, protocol_names, show,
};

/// What a model that was trained here cannot know; it stands in that model's card.
pub const LIMITS: &str = "The range is thin: one kind of protocol (an ether vault), in one implementation with a \
repaired twin, and one family of attack (classic reentrancy) in three ways of delivery. Whatever the model says of \
another protocol or another attack is a guess; leaving out a way of delivery is no test of an unknown attack, since the \
three share one core. Where one question about one feature does as well as the model (see the baselines), the range is \
too easy to show that a model is worth having: close to perfect figures on it say little about the world. Harm is \
measured as ether that the vault owes and no longer holds, and two features (outflow_over_claim, gain_over_gas) stand \
close to that measure. Accounts of the range have made-up nonces, balances and fees, and the model may lean on gas and \
on the sender's share of value. Ages, prices, flash loans and governance are never known in the range, so nothing was \
learned of them. Probabilities hold for the mix of rows of the range and for no chain. The model alone must not pause \
anything.";
