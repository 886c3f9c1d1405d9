//! Pending transactions and new heads, from nodes over WebSocket or from a recording, as one stream.
//!
//! A [`Source`] speaks for one chain. It hands out a bounded receiver of [`SourceEvent`] and the future that
//! fills it; whoever owns the tasks drives that future. Pending transactions are dropped, and counted, when
//! the channel is full; heads wait.

mod block;
mod coverage;
mod guardian;
mod hardfork;
mod link;
pub mod lookup;
mod node;
mod patience;
mod pool;
mod recent;
pub mod recording;
pub mod rpc;
mod transaction;
mod url;
mod wire;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use tokio::sync::mpsc;

pub use block::{BlockRecord, Head, Withdrawal};
pub use coverage::{Coverage, CoverageMeter};
pub use hardfork::{Hardfork, HardforkSchedule, ScheduleError};
pub use link::NodeLink;
pub use node::{Backoff, Favour, NodeSettings, NodeSource};
pub use patience::Patience;
pub use pool::{Offered, Pool};
pub(crate) use recent::Recent;
pub use transaction::{PendingTransaction, TRANSACTION_LIMIT_BYTES, decode_raw};
pub use url::{NodeUrl, NodeUrlError};

/// What a source tells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SourceEvent {
    /// A node is connected, on the right chain, and subscribed.
    Up {
        /// Node's configured name.
        node: Arc<str>,
        /// Chain's configured name.
        chain: Arc<str>,
    },
    /// A node was lost or could not be reached; it is tried again.
    Down {
        /// Node's configured name.
        node: Arc<str>,
        /// Chain's configured name.
        chain: Arc<str>,
        /// Why, without the node's address.
        reason: String,
        /// Attempts since it was last up, the next one included.
        attempt: u32,
        /// When it is tried again, milliseconds from now.
        retry_in_ms: u64,
    },
    /// A block was mined. Heights come in order; a height told again is a reorg.
    Head(Arc<BlockRecord>),
    /// The heads that were told just now do not follow on those before, or follow after a time in which nobody
    /// listened.
    Gap(Gap),
    /// A transaction waits to be mined.
    Pending(Arc<PendingTransaction>),
    /// Something was told that could not be used.
    Refused {
        /// Node's configured name.
        node: Arc<str>,
        /// Why.
        reason: Refusal,
        /// How many for this kind of reason from this node, this one included.
        count: u64,
    },
    /// Nothing more will come (the end of a recording).
    End,
}

/// A stretch of the chain that was not followed as it was mined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Height of the last head that was known before.
    pub after: u64,
    /// Lowest head that was told afterwards; what lies between is not told.
    pub first: u64,
    /// Highest head that was told afterwards.
    pub last: u64,
    /// Nobody listened in between: the guard was started anew.
    pub is_restart: bool,
}

impl Gap {
    /// Blocks that were not told.
    pub fn untold_blocks(&self) -> u64 {
        self.first.saturating_sub(self.after.saturating_add(1))
    }
}

/// Why something that a node or a recording told was not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More bytes than a transaction may have.
    #[error("transaction of {bytes} bytes is over the limit of {limit}")]
    TooLong {
        /// Length found.
        bytes: usize,
        /// Length allowed.
        limit: usize,
    },
    /// Neither of the types 0 to 4, or broken.
    #[error("transaction cannot be decoded: {detail}")]
    Undecodable {
        /// What the decoder met.
        detail: String,
    },
    /// No sender follows from the signature.
    #[error("sender cannot be recovered: {detail}")]
    Signature {
        /// What the recovery met.
        detail: String,
    },
    /// The node's word differs from what was computed here.
    #[error("node says {field} is {said}, computed {computed}")]
    Contradiction {
        /// `hash` or `from`.
        field: &'static str,
        /// The node's word.
        said: String,
        /// Ours.
        computed: String,
    },
    /// The channel of events was full, so a pending transaction was dropped.
    #[error("channel full")]
    ChannelFull,
    /// The node announced a hash and then did not know it.
    #[error("announced transaction was gone when asked for")]
    Gone,
}

impl Refusal {
    /// Short stable name of the kind, for counters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Undecodable { .. } => "undecodable",
            Self::Signature { .. } => "signature",
            Self::Contradiction { .. } => "contradiction",
            Self::ChannelFull => "channel_full",
            Self::Gone => "gone",
        }
    }
}

/// A stream of one chain's heads and pending transactions.
pub trait Source: Send + fmt::Debug {
    /// Chain's configured name.
    fn chain(&self) -> Arc<str>;

    /// Chain id, as configured or recorded.
    fn chain_id(&self) -> u64;

    /// Starts the stream: the receiver of its events, at most `capacity` waiting, and the future that fills it.
    ///
    /// The future ends with `Ok` after [`SourceEvent::End`] or when the receiver is gone, and with an error when
    /// going on makes no sense (the wrong chain, a broken recording).
    fn start(self: Box<Self>, capacity: usize) -> (mpsc::Receiver<SourceEvent>, SourceTask);
}

/// The work of a source; it does nothing unless it is driven.
pub type SourceTask = Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send>>;

/// Milliseconds since the epoch, handed in so that replay and tests are exact.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Why a source cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A node serves another chain than the configuration says.
    #[error(
        "node `{node}` serves chain id {found}, but chain `{chain}` is configured with {expected}"
    )]
    WrongChain {
        /// Node's configured name.
        node: Arc<str>,
        /// Chain's configured name.
        chain: Arc<str>,
        /// Configured chain id.
        expected: u64,
        /// The node's answer.
        found: u64,
    },
}
