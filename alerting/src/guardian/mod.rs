//! The pause: priced, signed, sent to every node and relay at once, and followed until it is mined.
//!
//! ```text
//! PauseRequest ─> price (pure, within a budget) ─> signed ahead, or now ─> send on all paths ─> follow ─> Inclusion
//!                                                                              ^              │ each block
//!                                                                              └── raise ─────┘
//! ```
//!
//! The only room that holds a [`Key`], and a key here can do one thing: call `pause` of the guardian contract
//! (`alerting/contracts/Guardian.sol`). It knows nodes only as [`Rpc`] and never decides whether to pause.

#![warn(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::float_cmp)]

mod answer;
mod confirm;
mod contract;
pub mod deploy;
mod engine;
mod follow;
mod key;
mod ladder;
mod nonce;
mod preflight;
mod price;
mod relay;
mod rpc;
mod submit;
mod transact;

use std::time::Duration;

use alloy::primitives::{Address, B256};
use thiserror::Error;

pub use answer::{Answer, AnswerError, LONGEST_ANSWER_S, Say, SignedAnswer, Waiting};
pub use confirm::{Confirmation, Premises};
pub use engine::{Call, EngineSettings, PauseEngine, PauseRequest, PauseSent};
pub use follow::{AttackFate, Inclusion};
pub use key::{Key, KeyError};
pub use ladder::reference;
pub use preflight::{PauseTerms, Preflight, head_time_s, preflight};
pub use price::{FeeBudget, FeeOffer, PriceError, price};
pub use relay::{FLASHBOTS_SIGNATURE, Relay, RelayError, RelayMethod, RelaySettings};
pub use rpc::{Rpc, RpcError};
pub use submit::{SubmitError, hand_in, waiting};
pub use transact::{Receipt, Transaction, receipt, transact};

/// Why a pause was not prepared, sent or seen through.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GuardianError {
    /// No node is configured to send to.
    #[error("chain {chain}: no node to send a pause to")]
    NoNode {
        /// Name of the chain.
        chain: String,
    },
    /// A node serves another chain.
    #[error("node {node}: serves chain id {found}, expected {expected}")]
    WrongChain {
        /// The node's label.
        node: String,
        /// Chain id in the settings.
        expected: u64,
        /// Chain id that the node reports.
        found: u64,
    },
    /// The request names another chain or guardian than the settings.
    #[error("pause request for {field} {found}, expected {expected}")]
    WrongRequest {
        /// `chain_id` or `guardian`.
        field: &'static str,
        /// What the settings say.
        expected: String,
        /// What the request says.
        found: String,
    },
    /// There is no contract at the guardian's address.
    #[error("no guardian contract at {guardian} on chain {chain}")]
    NoGuardian {
        /// Name of the chain.
        chain: String,
        /// The address.
        guardian: Address,
    },
    /// The key has no right to pause, or no longer.
    #[error(
        "key {address} is not a pauser of guardian {guardian}: {reason}; its owner grants the right with `setPauser`"
    )]
    NotAPauser {
        /// Address of the key.
        address: Address,
        /// The guardian.
        guardian: Address,
        /// Never granted, or since when it is over.
        reason: String,
    },
    /// The guardian knows no calls that pause this contract.
    #[error(
        "guardian {guardian} has no pause calls for {target}; its owner adds them with `register`"
    )]
    NotRegistered {
        /// The guardian.
        guardian: Address,
        /// The protected contract.
        target: Address,
    },
    /// The contract is paused already; there is nothing left to do.
    #[error("{target} is paused already")]
    AlreadyPaused {
        /// The protected contract.
        target: Address,
    },
    /// The guardian's limits do not allow a pause yet.
    #[error(
        "guardian {guardian} does not pause {target} again before {until} (Unix seconds): {reason}"
    )]
    CoolingDown {
        /// The guardian.
        guardian: Address,
        /// The protected contract.
        target: Address,
        /// From when on it does, Unix seconds.
        until: u64,
        /// Which limit it is.
        reason: &'static str,
    },
    /// The pause would fail now, most often because the guardian lacks the role on the contract.
    #[error("guardian {guardian} cannot pause {target} now: {reason}")]
    WouldFail {
        /// The guardian.
        guardian: Address,
        /// The protected contract.
        target: Address,
        /// The contract's or the node's own words, per call.
        reason: String,
    },
    /// The key cannot pay for a pause.
    #[error(
        "key {address} holds {balance_wei} wei on chain {chain}, a pause may cost {needed_wei}"
    )]
    Unfunded {
        /// Name of the chain.
        chain: String,
        /// Address of the key.
        address: Address,
        /// What it holds.
        balance_wei: String,
        /// What one pause may cost under the budget.
        needed_wei: u128,
    },
    /// A pause of this contract is being sent already.
    #[error("a pause of {target} is already being sent")]
    InFlight {
        /// The protected contract.
        target: Address,
    },
    /// This engine paused the contract a moment ago.
    #[error("a pause of {target} was already sent: {tx_hash}")]
    AlreadySent {
        /// The protected contract.
        target: Address,
        /// The pause that was sent.
        tx_hash: B256,
    },
    /// The nodes do not agree on what the pause was decided on.
    #[error(
        "chain {chain}: {agreed} of {configured} nodes confirm what was judged, {needed} must: {reasons}"
    )]
    NotConfirmed {
        /// Name of the chain.
        chain: String,
        /// Nodes that agree.
        agreed: usize,
        /// Nodes that must.
        needed: usize,
        /// Nodes configured.
        configured: usize,
        /// What the others say, one reason per node.
        reasons: String,
    },
    /// No price within the budget is above the attack's.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// The key did not sign.
    #[error("pause not signed: {reason}")]
    Sign {
        /// The signer's own words.
        reason: String,
    },
    /// Every node refused the pause or failed.
    #[error("pause of {target} accepted by no node: {reasons}")]
    NotAccepted {
        /// The protected contract.
        target: Address,
        /// One reason per node.
        reasons: String,
    },
    /// The pause was not seen in a block in time.
    #[error("pause {tx_hash} not mined: {reason}")]
    NotMined {
        /// The pause.
        tx_hash: B256,
        /// Up to where it was waited for.
        reason: String,
    },
    /// A node failed.
    #[error("node {node}: {method}: {source}")]
    Rpc {
        /// The node's label.
        node: String,
        /// The method asked.
        method: String,
        /// What went wrong.
        source: RpcError,
    },
    /// A node answered something that is not an answer to the question.
    #[error("node {node}: {method}: expected {expected}, found {found}")]
    BadAnswer {
        /// The node's label.
        node: String,
        /// The method asked.
        method: String,
        /// What an answer looks like.
        expected: &'static str,
        /// The answer, shortened.
        found: String,
    },
}

/// How long one question to a node may take, outside of sending.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
