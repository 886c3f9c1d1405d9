//! The training range: attacks and look-alikes played through the guard's own simulation.

pub mod artifacts;
mod episode;
pub mod node;
pub mod story;
pub mod wire;

use portcullis_models::train::Share;

pub use episode::{
    Cast, GENERATOR, GENERATOR_VERSION, RangeError, Scope, Shown, generate, generate_benign,
    generate_contracts, generate_padded, protocol_names, show,
};

/// What a model that was trained here cannot know; it stands in that model's card.
pub const LIMITS: &str = "The range is thin: a handful of protocols, each in one or two implementations with a repaired \
twin, and one or two attacks on each. Whatever the model says of another protocol or another attack is a guess; how \
good a guess, the figures on families and implementations left out of training say, and only for the range. Two features \
(harm_signs, soft_invariants) count rules that people wrote who knew the families: leaving a family out of training leaves \
its sign in, so those figures say how well a model takes up a sign it was not trained on, and the figure without the signs \
says what is left where nobody thought of one. The rules that are the first key ask for the same signs, so the two keys are \
not independent; they are counted together. Look-alikes are those that somebody thought of. Harm is measured on a protocol's \
books, and some features (outflow_over_claim, solvency_delta_bps, rate_residual_bps) stand close to that measure. Accounts \
of the range have made-up nonces, balances and fees. Ages of accounts and code, tips of a block and the score of fresh \
contracts are never known in the range, so nothing was learned of them. Probabilities hold for the mix of rows of the range \
and for no chain. The model alone must not pause anything.";

/// The same for a model of fresh contracts.
pub const CONTRACT_LIMITS: &str = "Trained on contracts of the range alone, and there is little to learn from them: what \
attacks and what only looks like it is assembled by the same few lines, without a dispatcher, so no feature about public \
functions or callbacks tells anything, and a selector that is copied with its data is not seen. Real attackers' contracts \
are compiled from Solidity and look otherwise. No figure here speaks of them: a model of this kind that scored 0.99 at home \
scored 0.72 to 0.95 on real attackers, and flagged a third of honest flash-loan users. The label is what the contract was \
made for, whether or not the attack succeeds. An early warning rests on a protected address in the code, the constructor's \
arguments or the first storage slots; this score only adds to it, and brings no pause about.";

/// How often attacks of the range's families happened in the world, in number of incidents, and what they took, in
/// millions of US dollars.
///
/// Counted over 857 incidents of 2017 to August 2026 in the list of DeFiHackLabs, whose labels are coarse; a class that
/// several families belong to is shared out evenly among them.
pub const SHARES: &[Share] = &[
    Share { family: "reentrancy", count: 52.0, loss: 273.0 },
    Share { family: "spot-oracle-borrow", count: 141.0, loss: 367.5 },
    Share { family: "pool-invariant", count: 18.0, loss: 67.9 },
    Share { family: "zero-signature", count: 21.0, loss: 167.1 },
    Share { family: "missing-access", count: 112.0, loss: 89.0 },
    Share { family: "flash-governance", count: 8.0, loss: 189.0 },
    Share { family: "reward-double-claim", count: 32.0, loss: 31.7 },
    Share { family: "arbitrary-call", count: 39.0, loss: 20.5 },
    Share { family: "rounding-loop", count: 20.0, loss: 213.8 },
];
