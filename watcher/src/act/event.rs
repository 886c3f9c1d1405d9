//! What the guard tells its observers, in order; serialisable, so that any front end can print the stream.

use alloy::primitives::{Address, B256, U256};
use portcullis_alerting::record::{ActionRow, Decision, Evidence, Mode, VerdictRow};
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GuardEvent {
    /// The guard stands and listens.
    Started(Started),
    /// Metrics and health are served.
    Listening {
        /// Address and port.
        address: String,
    },
    /// A node is connected, on the right chain, and subscribed.
    NodeUp {
        /// Name of the chain.
        chain: String,
        /// Name of the node.
        node: String,
    },
    /// A node was lost or could not be reached; it is tried again.
    NodeDown {
        /// Name of the chain.
        chain: String,
        /// Name of the node.
        node: String,
        /// Why, without the node's address.
        reason: String,
        /// Attempts since it was last up, the next one included.
        attempt: u32,
        /// When it is tried again, milliseconds from now.
        retry_in_ms: u64,
    },
    /// The pause of a chain's protocols was tried out, and would work.
    PauseReady {
        /// Name of the chain.
        chain: String,
        /// Account that would pause.
        pauser: Address,
    },
    /// The pause was tried out, and would fail now; the guard goes on without it.
    PauseNotReady {
        /// Name of the chain.
        chain: String,
        /// Why.
        reason: String,
    },
    /// The first head is known and, where a pause may be fired, it was tried out: from now on transactions are
    /// judged on a head.
    Ready {
        /// Name of the chain.
        chain: String,
    },
    /// The head moved.
    Head {
        /// Name of the chain.
        chain: String,
        /// Height.
        number: u64,
        /// Transactions in the block.
        transactions: usize,
        /// `exact`, `known`, or why the state cache was emptied.
        state: String,
    },
    /// How much of what was mined since the start had been seen pending; told after each block that holds something.
    Coverage {
        /// Name of the chain.
        chain: String,
        /// Transactions mined after the first head.
        mined: u64,
        /// Of them, those that any node had announced before.
        seen: u64,
        /// Of them, those that each node had announced before, by its name.
        nodes: Vec<(String, u64)>,
    },
    /// A transaction was judged.
    Verdict(Box<Judged>),
    /// A pause was prepared, sent or shown.
    Pause(PauseShown),
    /// Something was done after a decision; the same row is in the journal.
    Action(ActionRow),
    /// Something that a node told could not be used.
    Refused {
        /// Name of the chain.
        chain: String,
        /// Name of the node.
        node: String,
        /// Why.
        reason: String,
        /// How many of this kind so far.
        count: u64,
    },
    /// Transactions were not judged because there was no room for them.
    Dropped {
        /// Name of the chain.
        chain: String,
        /// `work` or `waiting`.
        stage: String,
        /// How many in all.
        count: u64,
    },
    /// A chain is watched no longer.
    ChainEnded {
        /// Name of the chain.
        chain: String,
        /// Why; none where its stream simply ended.
        failure: Option<String>,
    },
    /// The last event.
    Stopped {
        /// What was counted.
        totals: Totals,
    },
}

/// How the guard stands at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Started {
    /// Names of the chains.
    pub chains: Vec<String>,
    /// Names of the protocols with the mode in force for each.
    pub protected: Vec<(String, Mode)>,
    /// Rules loaded.
    pub rules: usize,
    /// SHA-256 of the model file, hex; none where no model is configured.
    pub model: Option<String>,
    /// A recording is replayed: nothing is sent and nobody is told.
    pub is_replay: bool,
}

/// One judged transaction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The row in the journal.
    pub row: VerdictRow,
    /// One line each for people, the weightiest first.
    pub reasons: Vec<String>,
    /// Names of the protocols that it touches.
    pub touched: Vec<String>,
    /// Net ether that would leave them, wei.
    pub outflow_wei: U256,
    /// Full evidence, where it is kept.
    pub evidence: Option<Evidence>,
}

/// A pause that is sent, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PauseShown {
    /// Name of the chain.
    pub chain: String,
    /// Name of the protocol.
    pub protocol: String,
    /// The judged transaction that led here.
    pub tx_hash: B256,
    /// The guardian contract.
    pub guardian: Address,
    /// The contract that is paused.
    pub target: Address,
    /// Fee cap offered, wei per gas.
    pub max_fee_per_gas_wei: u128,
    /// Tip offered, wei per gas.
    pub max_tip_wei: u128,
    /// The judged transaction's fee cap, wei per gas.
    pub attack_max_fee_per_gas_wei: u128,
    /// The judged transaction's tip, wei per gas.
    pub attack_max_tip_wei: u128,
    /// What would leave the protocol without the pause, wei.
    pub at_stake_wei: U256,
    /// Hash of the pause; none where it was only shown.
    pub pause_hash: Option<B256>,
}

/// What was counted from start to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Transactions judged.
    pub judged: u64,
    /// Of them, those that touch something protected.
    pub touching: u64,
    /// Of them, those that could not be judged.
    pub unknown: u64,
    /// Decisions to alert.
    pub alerts: u64,
    /// Decisions to pause.
    pub pauses: u64,
    /// Transactions dropped unjudged.
    pub dropped: u64,
    /// Journal rows lost.
    pub journal_lost: u64,
    /// Transactions mined while public pools were watched.
    pub mined: u64,
    /// Of them, those that had been seen pending.
    pub seen_pending: u64,
}

impl Totals {
    /// Counts one judged transaction.
    pub(crate) fn count(&mut self, judged: &Judged) {
        self.judged += 1;
        self.touching += u64::from(!judged.touched.is_empty());
        self.unknown +=
            u64::from(judged.row.outcome == portcullis_alerting::record::Outcome::Unknown);
        self.alerts += u64::from(judged.row.decision == Decision::Alert);
        self.pauses += u64::from(judged.row.decision == Decision::Pause);
    }
}
