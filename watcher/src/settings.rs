//! What the guard is told at start. Plain values: reading files and secrets is for the command line.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use alloy::primitives::{Address, Bytes};
use portcullis_alerting::{
    guardian::{FeeBudget, RelaySettings},
    journal::clickhouse::ClickHouseSettings,
    record::Mode,
};

use crate::{source::NodeSettings, state::HardforkSchedule};

/// Everything the guard is told at start.
#[derive(Debug, Clone)]
pub struct GuardSettings {
    /// Chains to watch.
    pub chains: Vec<ChainSettings>,
    /// Protocols to protect.
    pub protected: Vec<ProtectedSettings>,
    /// How far to go where a protected entry does not say.
    pub mode: Mode,
    /// When a verdict becomes an alert or a pause.
    pub policy: PolicySettings,
    /// The guardian contract, the same address on every chain; none means nothing can be paused.
    pub guardian: Option<Address>,
    /// The journal's file; none keeps no journal.
    pub journal: Option<PathBuf>,
    /// The server that the journal's file is shipped to; none keeps the file alone.
    pub clickhouse: Option<ClickHouseSettings>,
    /// Model probability from which full evidence is kept even where nothing fired, 0 to 1.
    pub evidence_floor: f32,
    /// Sizes of the bounded channels.
    pub channels: ChannelSettings,
    /// Threads that simulate, for each chain.
    pub workers: usize,
    /// Where metrics and health are served; none serves them nowhere.
    pub http: Option<HttpSettings>,
    /// The socket over which the owner may look at the running guard; none makes none.
    pub control: Option<PathBuf>,
}

/// Where metrics and health are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names under which clients may ask, besides addresses and `localhost`; without port.
    pub hosts: Vec<String>,
}

/// One chain.
#[derive(Debug, Clone)]
pub struct ChainSettings {
    /// Name used by protected entries, in logs and in the journal.
    pub name: Arc<str>,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Its nodes.
    pub nodes: Vec<NodeSettings>,
    /// Usual time between blocks, milliseconds.
    pub block_time_ms: u64,
    /// Rules of the chain, by block.
    pub hardforks: HardforkSchedule,
    /// Where transactions come from.
    pub flow: Flow,
    /// What one pause may cost.
    pub fees: FeeBudget,
    /// Ways to a block beside its nodes.
    pub relays: Vec<RelaySettings>,
    /// What this chain does that is not simulated, one sentence each; told at each start.
    pub not_modelled: Vec<String>,
}

/// Where transactions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// A public pool: pending transactions are announced.
    #[default]
    Mempool,
    /// No public pool: blocks only.
    Blocks,
    /// Blocks in slices: the block under construction is read through the `pending` tag.
    Flashblocks,
}

/// One protected protocol.
#[derive(Debug, Clone)]
pub struct ProtectedSettings {
    /// Name for people.
    pub name: String,
    /// Name of its chain.
    pub chain: Arc<str>,
    /// Its contracts.
    pub addresses: Vec<Address>,
    /// What is listed around it.
    pub listed: Listed,
    /// Calls that pause it, simulated in the guardian's name where no pauser's key is at hand.
    pub pause: Vec<PauseCall>,
    /// How far to go for it; the guard's own mode where none is given.
    pub mode: Option<Mode>,
}

/// What the configuration lists around one protocol; all may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Tokens that it holds.
    pub tokens: Vec<Address>,
    /// Price sources that it reads.
    pub oracles: Vec<Address>,
    /// Contracts that belong to it without holding value.
    pub related: Vec<Address>,
}

/// One call that pauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseCall {
    /// Contract to call.
    pub to: Address,
    /// Calldata.
    pub data: Bytes,
}

/// When a verdict becomes an alert or a pause.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySettings {
    /// Model probability from which a transaction is worth an alert, 0 to 1.
    pub alert_score: f32,
    /// Model probability that may serve as the second key of a pause, 0 to 1; none takes the model's own.
    pub pause_score: Option<f32>,
    /// Most pauses per day, over all chains.
    pub max_pauses_per_day: u32,
    /// Blocks after a pause in which the same protocol is not paused again.
    pub cooldown_blocks: u64,
    /// How long the nodes may take to confirm what a pause is decided on, milliseconds; otherwise it is an alert.
    pub confirm_within_ms: u64,
    /// What is done where no pause stops the whole attack.
    pub when_pause_leaks: WhenPauseLeaks,
    /// Days in a row, judged and without anything that would have been paused, that the journal must hold before
    /// `armed` is honoured; zero honours it at once.
    pub arm_after_clean_days: u32,
    /// Why `armed` is honoured without them; journalled at each start.
    pub arm_override: Option<String>,
    /// Whose transactions pause nothing for a while.
    pub allow: Vec<Allowed>,
    /// When nothing is paused.
    pub quiet: Vec<QuietWindow>,
    /// Who is asked before a pause on less than a broken hard invariant; none asks nobody.
    pub approval: Option<ApprovalSettings>,
}

/// People who are asked before a pause on less than a broken hard invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalSettings {
    /// Accounts whose signed answers count.
    pub signers: Vec<Address>,
    /// How long a pause waits for an answer, milliseconds.
    pub wait_ms: u64,
    /// What is done where nobody answers in time.
    pub without_answer: WithoutAnswer,
}

/// What is done where nobody answers in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WithoutAnswer {
    /// Nothing is paused.
    #[default]
    Alert,
    /// The pause is fired.
    Pause,
}

/// Somebody whose transactions pause nothing and alert only where they would have paused, until it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The account that sends them.
    pub sender: Address,
    /// Name of the protocol; none means all.
    pub protected: Option<String>,
    /// When it is over, milliseconds since the Unix epoch.
    pub until_ms: u64,
    /// Why; told with each verdict that it changes.
    pub reason: String,
}

/// A time of planned operations, in which alerts are given and nothing is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietWindow {
    /// Name of the protocol; none means all.
    pub protected: Option<String>,
    /// First millisecond since the Unix epoch.
    pub from_ms: u64,
    /// First millisecond after it.
    pub until_ms: u64,
    /// Why; told with each verdict that it changes.
    pub reason: String,
}

/// What is done where no pause stops the whole attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenPauseLeaks {
    /// People are told, and nothing is fired.
    #[default]
    Alert,
    /// The pause that leaves the attack least is fired, where that is less than it takes without.
    Fire,
}

/// Sizes of the bounded channels; what does not fit is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelSettings {
    /// Source events waiting, for each chain.
    pub source: usize,
    /// Transactions waiting for a worker, for each chain.
    pub work: usize,
    /// Events that a slow observer may lag behind.
    pub observers: usize,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            alert_score: 0.5,
            pause_score: None,
            max_pauses_per_day: 3,
            cooldown_blocks: 50,
            confirm_within_ms: 1_000,
            when_pause_leaks: WhenPauseLeaks::default(),
            arm_after_clean_days: 7,
            arm_override: None,
            allow: Vec::new(),
            quiet: Vec::new(),
            approval: None,
        }
    }
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self { source: 8_192, work: 4_096, observers: 4_096 }
    }
}
