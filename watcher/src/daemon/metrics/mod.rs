//! What the guard counts of itself, and how it is shown to Prometheus.
//!
//! Counters are taken where things happen, or from the events that observers are told; what other rooms count
//! anyway (state, coverage, journal) is read when somebody asks.

mod board;
mod text;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

pub(super) use self::{
    board::{Board, Watched},
    text::Histogram,
};
use super::{
    priority::Priority,
    top::{LastVerdicts, TopVerdict},
};
use crate::{
    act::{GuardEvent, Judged},
    source::Refusal,
};

/// What is counted for one chain.
#[derive(Debug, Default)]
pub(super) struct ChainMetrics {
    /// Pending transactions taken in, once each.
    pub(super) seen: AtomicU64,
    /// From first seen to verdict, for what was pending and for what was judged when it was mined.
    pub(super) verdict_pending: Histogram,
    pub(super) verdict_mined: Histogram,
    /// Transactions that wait for a worker.
    pub(super) waiting: AtomicUsize,
    /// From the channel to a worker.
    pub(super) queue: Histogram,
    pub(super) simulate: Histogram,
    /// Facts, features, rules, model and decision.
    pub(super) judge: Histogram,
    /// Taking a block over.
    pub(super) advance: Histogram,
    simulated: Simulated,
    /// By priority: taken into the work queue, and left out of it.
    queued: [AtomicU64; Priority::ALL.len()],
    skipped: [AtomicU64; Priority::ALL.len()],
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Simulated {
    done: AtomicU64,
    not_minable: AtomicU64,
    failed: AtomicU64,
}

/// How a simulation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SimulationEnd {
    Done,
    NotMinable,
    Failed,
}

/// What changes seldom enough for a lock.
#[derive(Debug, Default)]
struct Counted {
    judged: BTreeMap<&'static str, u64>,
    decided: BTreeMap<&'static str, u64>,
    would_decide: BTreeMap<&'static str, u64>,
    actions: BTreeMap<String, u64>,
    /// By stage.
    dropped: BTreeMap<String, u64>,
    /// By node and reason; the node's own running count.
    refused: BTreeMap<(String, &'static str), u64>,
    heads: BTreeMap<&'static str, u64>,
    nodes: BTreeMap<String, bool>,
    head: Option<(u64, Instant)>,
    is_ready: bool,
    ended: Option<String>,
    /// How the trial of a pause went.
    pause: Option<String>,
}

impl ChainMetrics {
    pub(super) fn simulated(&self, end: SimulationEnd) {
        let counter = match end {
            SimulationEnd::Done => &self.simulated.done,
            SimulationEnd::NotMinable => &self.simulated.not_minable,
            SimulationEnd::Failed => &self.simulated.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn queued(&self, priority: Priority) {
        self.queued[priority.place()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn skipped(&self, priority: Priority) {
        self.skipped[priority.place()].fetch_add(1, Ordering::Relaxed);
    }

    /// A node told something that was not used; `count` is how often for this reason so far.
    pub(super) fn refused(&self, node: &str, reason: &Refusal, count: u64) {
        self.counted().refused.insert((node.to_owned(), reason.kind()), count);
    }

    fn judged(&self, judged: &Judged) {
        let mut counted = self.counted();
        *counted.judged.entry(judged.row.outcome.word()).or_default() += 1;
        *counted.decided.entry(judged.row.decision.word()).or_default() += 1;
        *counted.would_decide.entry(judged.row.would_decide.word()).or_default() += 1;
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts what observers are told, by chain.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    chains: Arc<BTreeMap<String, Arc<ChainMetrics>>>,
    last: Arc<Mutex<LastVerdicts>>,
}

impl Counters {
    /// For chains of these names.
    pub(super) fn new(chains: impl IntoIterator<Item = String>) -> Self {
        let chains = chains.into_iter().map(|name| (name, Arc::default())).collect();
        Self { chains: Arc::new(chains), last: Arc::default() }
    }

    /// Those of one chain; of a chain that is not among them, counters that nobody reads.
    pub(super) fn of(&self, chain: &str) -> Arc<ChainMetrics> {
        self.chains.get(chain).map(Arc::clone).unwrap_or_default()
    }

    /// The last verdicts worth showing, the newest first.
    pub(super) fn last_verdicts(&self) -> Vec<TopVerdict> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).list()
    }

    pub(super) fn observe(&self, event: &GuardEvent) {
        let counted = |chain: &str, change: &dyn Fn(&mut Counted)| {
            if let Some(metrics) = self.chains.get(chain) {
                change(&mut metrics.counted());
            }
        };
        match event {
            GuardEvent::NodeUp { chain, node } => counted(chain, &|counted| {
                counted.nodes.insert(node.clone(), true);
            }),
            GuardEvent::NodeDown { chain, node, .. } => counted(chain, &|counted| {
                counted.nodes.insert(node.clone(), false);
            }),
            GuardEvent::PauseReady { chain, pauser } => counted(chain, &|counted| {
                counted.pause = Some(format!("was tried out and would work, fired by {pauser}"));
            }),
            GuardEvent::PauseNotReady { chain, reason } => counted(chain, &|counted| {
                counted.pause = Some(format!("would fail now: {reason}"));
            }),
            GuardEvent::Ready { chain } => counted(chain, &|counted| counted.is_ready = true),
            GuardEvent::ChainEnded { chain, failure } => counted(chain, &|counted| {
                counted.ended =
                    Some(failure.clone().unwrap_or_else(|| "its stream ended".to_owned()));
            }),
            GuardEvent::Head { chain, number, state, .. } => counted(chain, &|counted| {
                let how = match state.as_str() {
                    "exact" => "exact",
                    "known" => "known",
                    state if state.starts_with("rolled back") => "rolled_back",
                    _ => "emptied",
                };
                *counted.heads.entry(how).or_default() += 1;
                counted.head = Some((*number, Instant::now()));
            }),
            GuardEvent::Verdict(judged) => {
                if let Some(metrics) = self.chains.get(&judged.row.chain) {
                    metrics.judged(judged);
                }
                self.last.lock().unwrap_or_else(PoisonError::into_inner).take(judged);
            }
            GuardEvent::Action(row) => counted(&row.chain, &|counted| {
                *counted.actions.entry(row.kind.clone()).or_default() += 1;
            }),
            GuardEvent::Dropped { chain, stage, .. } => counted(chain, &|counted| {
                *counted.dropped.entry(stage.clone()).or_default() += 1;
            }),
            _ => {}
        }
    }
}
