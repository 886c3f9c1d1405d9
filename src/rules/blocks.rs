//! Past blocks of a node: every transaction in them, judged on the state that it met.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::U256;
use anyhow::{Context, bail, ensure};
use portcullis_alerting::record::Counterfactual;
use portcullis_rules::{AnswerOutcome, RuleSet, Subject};
use portcullis_watcher::facts::asked::{self, Contribution, Judged, Mark, Memory, Sources};
use portcullis_watcher::facts::{Observation, Protected, observe};
use portcullis_watcher::settings::{ChainSettings, GuardSettings};
use portcullis_watcher::simulate::execution::{Execution, Status};
use portcullis_watcher::simulate::{CallOnly, Simulator};
use portcullis_watcher::source::{BlockRecord, NodeLink, PendingTransaction, lookup};
use portcullis_watcher::state::{AdvanceReport, ForkedState, RpcBackend, StateError};

use super::backtest::Asked;
use crate::{guard, node, terminal};

/// Blocks that are asked for at once.
const MAX_BLOCKS: u64 = 20_000;
/// Gas of a pausing call.
const PAUSE_GAS: u64 = 1_000_000;
/// Time between two words about how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

/// Heights from the first to the last, both included; to the newest where no last is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heights {
    first: u64,
    last: Option<u64>,
}

impl Heights {
    /// `100..250` or `100..`; none for anything else, which is a file.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once("..")?;
        let first = first.parse().ok()?;
        let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
        Some(Self { first, last })
    }
}

/// Judges every transaction of some blocks of a configured chain.
///
/// # Errors
/// The configuration, the heights or the node cannot be used.
pub(super) fn judge(
    heights: Heights,
    config: &Path,
    chain: Option<&str>,
    rules: &Arc<RuleSet>,
) -> anyhow::Result<Vec<Asked>> {
    ensure!(heights.first > 0, "the first block has no block below it; begin with 1");
    ensure!(
        heights.last.is_none_or(|last| last >= heights.first),
        "the last block comes before the first"
    );
    let (settings, parts) = guard::load(config)?;
    let chain = node::choose(&settings, chain)?;
    let past = Past::new(&settings, chain, rules);
    ensure!(
        !past.protected.addresses().is_empty(),
        "nothing is protected on chain `{}`, so no rule has anything to judge",
        chain.name
    );
    let now_ms = (parts.clock)();
    let work = async |link: &NodeLink, links: Vec<NodeLink>| {
        run(heights, chain, past, link, links, now_ms).await
    };
    guard::runtime()?.block_on(node::with_node(chain, &parts, work))
}

async fn run(
    heights: Heights,
    chain: &ChainSettings,
    mut past: Past,
    link: &NodeLink,
    links: Vec<NodeLink>,
    now_ms: u64,
) -> anyhow::Result<Vec<Asked>> {
    let newest = lookup::block(link, None, now_ms).await?.number;
    let Heights { first, last } = heights;
    let last = last.unwrap_or(newest);
    if last > newest || first > newest {
        bail!("the newest block of node `{}` is {newest}", link.node());
    }
    ensure!(last - first < MAX_BLOCKS, "at most {MAX_BLOCKS} blocks are judged at once");
    let below = lookup::block(link, Some(first - 1), now_ms).await?;
    let states = States::new(chain, &links, past.looks_behind());
    let mut said = Instant::now();
    let begin = states.clone();
    // State that is missing is fetched while the thread waits, which the threads of the connection must not.
    tokio::task::spawn_blocking(move || begin.advance(&below)).await??;
    for height in first..=last {
        let block = lookup::block(link, Some(height), now_ms)
            .await
            .with_context(|| format!("block {height}"))?;
        let states = states.clone();
        past = tokio::task::spawn_blocking(move || {
            past.take(&states, &block)?;
            anyhow::Ok(past)
        })
        .await?
        .with_context(|| format!("block {height}"))?;
        if said.elapsed() > PROGRESS {
            said = Instant::now();
            terminal::say(&format!("block {height} of {first} to {last}"));
        }
    }
    Ok(past.asked)
}

/// The state on which blocks are run, and the one below the block that is judged, where anything is asked of it.
#[derive(Debug, Clone)]
struct States {
    ahead: Simulator,
    behind: Option<Simulator>,
}

impl States {
    fn new(chain: &ChainSettings, links: &[NodeLink], looks_behind: bool) -> Self {
        let simulator = || {
            let backend = Arc::new(RpcBackend::new(links.to_vec()));
            Simulator::new(ForkedState::new(node::chain_rules(chain), backend))
        };
        Self { ahead: simulator(), behind: looks_behind.then(simulator) }
    }

    fn advance(&self, block: &BlockRecord) -> Result<(), StateError> {
        self.ahead.state().advance(block)?;
        self.advance_behind(block)
    }

    fn advance_behind(&self, block: &BlockRecord) -> Result<(), StateError> {
        self.behind.as_ref().map_or(Ok(()), |behind| behind.state().advance(block).map(drop))
    }
}

/// What was judged so far, and what it is judged with.
struct Past {
    rules: Arc<RuleSet>,
    protected: Protected,
    /// The calls that pause each protocol, in the guardian's name; empty where none is configured.
    pauses: Vec<Vec<CallOnly>>,
    memory: Memory,
    asked: Vec<Asked>,
}

impl Past {
    fn new(settings: &GuardSettings, chain: &ChainSettings, rules: &Arc<RuleSet>) -> Self {
        let protocols: Vec<_> =
            settings.protected.iter().filter(|protocol| protocol.chain == chain.name).collect();
        let groups = protocols.iter().map(|one| (one.name.clone(), one.addresses.clone()));
        let pause = |guardian| {
            move |call: &portcullis_watcher::settings::PauseCall| CallOnly {
                from: guardian,
                to: call.to,
                data: call.data.clone(),
                value: U256::ZERO,
                gas: PAUSE_GAS,
            }
        };
        let pauses = protocols.iter().map(|protocol| match settings.guardian {
            Some(guardian) => protocol.pause.iter().map(pause(guardian)).collect(),
            None => Vec::new(),
        });
        Self {
            rules: Arc::clone(rules),
            pauses: pauses.collect(),
            protected: Protected::new(groups).listing(protocols.iter().map(|one| &one.listed)),
            memory: Memory::new(rules.reach_blocks()),
            asked: Vec::new(),
        }
    }

    /// Whether anything is asked of the state below a block.
    fn looks_behind(&self) -> bool {
        !self.rules.questions().is_empty() || self.pauses.iter().any(|calls| !calls.is_empty())
    }

    /// Judges a block's transactions on the head, which is the block below, and moves to the block. What could not be
    /// run exactly is counted as not judged.
    fn take(&mut self, states: &States, block: &BlockRecord) -> anyhow::Result<()> {
        let mut executions = Vec::with_capacity(block.transactions.len());
        // A rule may be about any transaction, so none is passed over.
        let moved =
            states.ahead.advance(block, |_| true, |_, execution| executions.push(execution))?;
        let is_whole = matches!(moved, AdvanceReport::Exact { .. });
        if !is_whole {
            executions.clear();
        }
        let mut done = Vec::new();
        let mut executions = executions.into_iter();
        for (place, tx) in block.transactions.iter().enumerate() {
            let predecessors = &block.transactions[..place];
            let asked = match executions.next() {
                Some(execution) if execution.envelope.tx_hash == tx.hash => {
                    let observation = observe(&execution, &self.protected);
                    let own = Contribution::of(tx.hash, tx.sender, &observation, &self.protected);
                    let asked = self.ask(
                        states.behind.as_ref(),
                        block,
                        tx,
                        predecessors,
                        &execution,
                        observation,
                    );
                    if let Some(own) = own {
                        self.memory.expect(own.clone());
                        done.push(own);
                    }
                    asked
                }
                _ => Asked::unjudged(tx.hash, tx.to(), block.timestamp_s.saturating_mul(1_000)),
            };
            self.asked.push(asked);
        }
        self.memory.take(Mark::of(block), is_whole.then_some(done));
        states.advance_behind(block)?;
        Ok(())
    }

    fn ask(
        &self,
        behind: Option<&Simulator>,
        block: &BlockRecord,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
        execution: &Execution,
        observation: Observation,
    ) -> Asked {
        let judged = Judged { tx, predecessors, execution, observation: &observation };
        let instances = behind.map_or_else(Vec::new, |simulator| {
            let sources = Sources { simulator, protected: &self.protected, memory: &self.memory };
            asked::instances(&self.rules, sources, judged, None)
        });
        let answers = self.rules.evaluate_on(Subject::Transaction, &observation.facts, &instances);
        let fires =
            answers.iter().any(|answer| matches!(answer.outcome, AnswerOutcome::Fires { .. }));
        let counterfactual = behind
            .filter(|_| fires)
            .and_then(|simulator| self.pause(simulator, tx, predecessors, &observation));
        Asked {
            instances,
            outflow_wei: Some(observation.outflow_wei),
            facts: Some(observation.facts),
            counterfactual,
            ..Asked::unjudged(tx.hash, tx.to(), block.timestamp_s.saturating_mul(1_000))
        }
    }

    /// Tries the configured pause of what is touched, mined first; none where none is configured.
    fn pause(
        &self,
        simulator: &Simulator,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
        observation: &Observation,
    ) -> Option<Counterfactual> {
        let calls: Vec<CallOnly> = observation
            .touched_groups
            .iter()
            .filter_map(|group| self.pauses.get(*group))
            .flatten()
            .cloned()
            .collect();
        if calls.is_empty() {
            return None;
        }
        let (pauses, after) = match simulator.simulate_calls(predecessors, &calls, tx) {
            Ok(done) => done,
            Err(error) => {
                let detail = format!("the pause could not be simulated: {error}");
                return Some(Counterfactual {
                    pause_succeeds: false,
                    attack_stopped: false,
                    detail,
                });
            }
        };
        let pause_succeeds = pauses.iter().all(|pause| pause.status == Status::Success);
        let attack_stopped = after.status != Status::Success || {
            let left = observe(&after, &self.protected);
            !left.truncated && left.losses.spares_what_was_lost_in(&observation.losses)
        };
        let pause = if pause_succeeds { "the pause succeeds" } else { "the pause fails" };
        let rest = match (&after.status, attack_stopped) {
            (Status::Success, true) => {
                "the transaction then takes no ether, and less than without it"
            }
            (Status::Success, false) => "the transaction still takes what it took without it",
            _ => "the transaction then fails",
        };
        let detail = format!("{pause}; {rest}");
        Some(Counterfactual { pause_succeeds, attack_stopped, detail })
    }
}

#[cfg(test)]
mod tests {
    use super::Heights;

    #[test]
    fn heights_are_told_from_files() {
        let heights = |first, last| Some(Heights { first, last });
        assert_eq!(Heights::parse("100..250"), heights(100, Some(250)));
        assert_eq!(Heights::parse("7.."), heights(7, None));
        for file in ["..", "..5", "a..b", "../journal.db", "1...5", "1..x", "12", "1..-2", ""] {
            assert_eq!(Heights::parse(file), None, "{file}");
        }
    }
}
