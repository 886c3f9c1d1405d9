//! Why the guard did not start, or ended by itself.

use std::{net::SocketAddr, path::PathBuf};

use alloy::primitives::Address;
use portcullis_alerting::{
    guardian::{GuardianError, RelayError},
    journal::JournalError,
};

use crate::{
    facts::asked::MemoryFileError,
    source::{SourceError, recording::RecordingError},
    state::StateError,
};

/// Why the guard did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// A protected entry names a chain that is not configured.
    #[error("protected `{protocol}`: chain `{chain}` is not configured")]
    UnknownChain {
        /// Name of the protocol.
        protocol: String,
        /// Name of the chain.
        chain: String,
    },
    /// Two protected entries claim the same contract, so it is unclear whose orders hold for it.
    #[error(
        "contract {address} on chain `{chain}` is protected twice: by `{first}` and by `{second}`"
    )]
    ProtectedTwice {
        /// The contract.
        address: Address,
        /// Name of the chain.
        chain: String,
        /// Name of the protocol that comes first.
        first: String,
        /// Name of the other.
        second: String,
    },
    /// A recording is of a chain that is not configured.
    #[error("the recording is of chain `{chain}` (id {chain_id}), which is not configured")]
    NotConfigured {
        /// Name in the recording.
        chain: String,
        /// Chain id in the recording.
        chain_id: u64,
    },
    /// A protocol is armed, but nothing can pause it.
    #[error("protected `{protocol}` is armed, which needs {missing}")]
    NoHand {
        /// Name of the protocol.
        protocol: String,
        /// What is missing.
        missing: &'static str,
    },
    /// People are to be asked, and there is no place to write down what they answered.
    #[error("policy.approval needs a journal: an answer is accepted once, also across restarts")]
    ApprovalWithoutJournal,
    /// A recording holds one chain.
    #[error("a recording holds one chain, and {configured} are configured")]
    NotOneChain {
        /// Chains configured.
        configured: usize,
    },
    /// The recording cannot be written.
    #[error("the recording: {0}")]
    Recording(#[from] RecordingError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The memory of past blocks cannot be kept.
    #[error("the memory of past blocks: {0}")]
    Memory(#[from] MemoryFileError),
    /// A source cannot go on.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A pause would not work.
    #[error("chain `{chain}`: {source}")]
    Pause {
        /// Name of the chain.
        chain: String,
        /// Why not.
        source: Box<GuardianError>,
    },
    /// A relay that pauses cannot be sent to.
    #[error("chain `{chain}`: {source}")]
    Relay {
        /// Name of the chain.
        chain: String,
        /// What is wrong with it.
        source: RelayError,
    },
    /// The state of a recording cannot be used.
    #[error("the recording's state: {0}")]
    State(#[from] StateError),
    /// Metrics and health cannot be served.
    #[error("http.listen: {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The control socket cannot be made.
    #[error("control.socket: {path}: {source}", path = path.display())]
    Control {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A task of the guard crashed.
    #[error("a task of the guard crashed: {0}")]
    Crashed(String),
}
