//! How a running guard stands, as one value: what `portcullis top` is answered with.

use std::collections::VecDeque;

use alloy::primitives::B256;
use portcullis_alerting::record::{Decision, Mode, Outcome};
use serde::{Deserialize, Serialize};

use crate::act::{Judged, Totals};

/// Version of the value.
pub const TOP_VERSION: u32 = 1;
/// Verdicts that are shown, the newest.
const VERDICTS_LIMIT: usize = 32;

/// How a running guard stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Top {
    /// [`TOP_VERSION`].
    pub version: u32,
    /// Version of the program.
    pub program: String,
    /// When this was said, milliseconds since the epoch.
    pub at_ms: u64,
    /// Since the start, milliseconds.
    pub up_ms: u64,
    /// What was counted since the start.
    pub totals: Totals,
    /// Rules in office.
    pub rules: usize,
    /// SHA-256 of the model in office, hex; none where no model is asked.
    pub model: Option<String>,
    /// The journal; none where there is none.
    pub journal: Option<TopJournal>,
    /// In configured order.
    pub chains: Vec<TopChain>,
    /// In configured order.
    pub protected: Vec<TopProtected>,
    /// The last verdicts on what touches something protected or is not clear, the newest first.
    pub verdicts: Vec<TopVerdict>,
}

/// How the journal fares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopJournal {
    /// Rows written.
    pub written: u64,
    /// Rows that wait for the disk.
    pub waiting: u64,
    /// Rows that are lost.
    pub lost: u64,
    /// Attempts at writing that failed.
    pub failed_writes: u64,
}

/// How one chain stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopChain {
    /// Its name.
    pub name: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Why it is not guarded right now; none where it is.
    pub why_not: Option<String>,
    /// Height of the head.
    pub head: Option<u64>,
    /// Since the last head came, milliseconds.
    pub head_age_ms: Option<u64>,
    /// Usual time between blocks, milliseconds.
    pub block_time_ms: u64,
    /// Its nodes.
    pub nodes: Vec<TopNode>,
    /// Pending transactions taken in.
    pub seen: u64,
    /// Transactions that wait for a worker.
    pub waiting: u64,
    /// Transactions judged.
    pub judged: u64,
    /// Transactions that were not judged, for want of room or time, or because a node told them unusably.
    pub dropped: u64,
    /// Mined transactions, and those of them that had been seen pending; none where there is no public pool.
    pub coverage: Option<(u64, u64)>,
    /// Half of the verdicts on pending transactions came within this, microseconds; none before the first.
    pub verdict_p50_us: Option<u64>,
    /// All but one in a hundred.
    pub verdict_p99_us: Option<u64>,
    /// Whether a pause would work, as it was tried out last; none where nothing may pause.
    pub pause: Option<String>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopNode {
    /// Its name.
    pub name: String,
    /// It is connected.
    pub is_up: bool,
    /// Mined transactions that it had announced; none where there is no public pool.
    pub seen: Option<u64>,
}

/// One protected protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopProtected {
    /// Its name.
    pub name: String,
    /// Its chain.
    pub chain: String,
    /// How far the guard goes for it now.
    pub mode: Mode,
    /// How many contracts.
    pub contracts: usize,
}

/// One verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopVerdict {
    /// When the transaction was first seen, milliseconds since the epoch.
    pub at_ms: u64,
    /// Chain.
    pub chain: String,
    /// Transaction.
    pub tx_hash: B256,
    /// What it was taken for.
    pub outcome: Outcome,
    /// What was decided.
    pub decision: Decision,
    /// The model's probability.
    pub score: Option<f32>,
    /// From first seen to verdict, microseconds.
    pub latency_us: u64,
    /// Protocols that it touches.
    pub touched: Vec<String>,
    /// The weightiest reason.
    pub reason: Option<String>,
}

/// The last verdicts worth showing.
#[derive(Debug, Default)]
pub(super) struct LastVerdicts(VecDeque<TopVerdict>);

impl LastVerdicts {
    /// Takes one in, if it is worth showing.
    pub(super) fn take(&mut self, judged: &Judged) {
        if judged.touched.is_empty() && judged.row.outcome == Outcome::Clear {
            return;
        }
        self.0.truncate(VERDICTS_LIMIT - 1);
        self.0.push_front(TopVerdict {
            at_ms: judged.row.seen_at_ms,
            chain: judged.row.chain.clone(),
            tx_hash: judged.row.tx_hash,
            outcome: judged.row.outcome,
            decision: judged.row.decision,
            score: judged.row.score,
            latency_us: judged.row.latency_us,
            touched: judged.touched.clone(),
            reason: judged.reasons.first().cloned(),
        });
    }

    /// The newest first.
    pub(super) fn list(&self) -> Vec<TopVerdict> {
        self.0.iter().cloned().collect()
    }
}
