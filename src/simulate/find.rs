//! Where the transaction and the state below it come from: a node, or a recording.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy::primitives::{Address, B256};
use anyhow::{Context, bail};
use portcullis_rules::RuleSet;
use portcullis_rules::question::Instance;
use portcullis_watcher::daemon::Parts;
use portcullis_watcher::facts::asked::{self, Judged, Memory, Sources};
use portcullis_watcher::facts::{Observation, Protected, observe};
use portcullis_watcher::settings::ChainSettings;
use portcullis_watcher::simulate::execution::Execution;
use portcullis_watcher::simulate::{SimError, Simulator};
use portcullis_watcher::source::recording::Recording;
use portcullis_watcher::source::{
    NodeLink, PendingTransaction, Pool, SourceEvent, decode_raw, lookup,
};
use portcullis_watcher::state::{ForkedState, RpcBackend};

use crate::{guard, node};

/// Pending transactions of a recording that are remembered.
const POOL_LIMIT: usize = 20_000;

/// What the command line names.
#[derive(Debug)]
pub(super) enum Wanted {
    Hash(B256),
    Signed(Arc<PendingTransaction>),
}

/// A transaction that was run.
#[derive(Debug)]
pub(super) struct Found {
    pub execution: Execution,
    pub observation: Observation,
    /// What the rules ask about the contracts that it touches. Nothing before it is known, so windows are floors.
    pub instances: Vec<Instance>,
    /// Contracts that are known by name.
    pub contracts: Vec<(Address, String)>,
}

impl Wanted {
    /// A hash has 32 bytes; longer hex is a signed transaction; anything else is a file.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        if let Ok(hash) = text.parse::<B256>() {
            return Ok(Self::Hash(hash));
        }
        if let Some(digits) = text.strip_prefix("0x") {
            let raw = alloy::hex::decode(digits).context("the transaction is not hex")?;
            return Ok(Self::Signed(Arc::new(decode_raw(&raw)?)));
        }
        let path = PathBuf::from(text);
        let whole = std::fs::read(&path).with_context(|| {
            format!("`{text}` is no hash, no signed transaction in hex (0x…) and no file")
        })?;
        let named = || path.display().to_string();
        let mut value: serde_json::Value = serde_json::from_slice(&whole).with_context(named)?;
        // What `eth_getTransactionByHash` answers may be given whole.
        if let Some(result) = value.get_mut("result") {
            value = result.take();
        }
        Ok(Self::Signed(Arc::new(lookup::decode_json(value).with_context(named)?)))
    }
}

/// What a transaction is looked at with.
#[derive(Debug, Clone)]
pub(super) struct Eye {
    pub(super) protected: Protected,
    pub(super) rules: Arc<RuleSet>,
}

impl Eye {
    /// Runs `tx` and answers what the rules ask of it.
    fn look(
        &self,
        simulator: &Simulator,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
    ) -> Result<Found, SimError> {
        let execution = simulator.simulate(tx, predecessors)?;
        let observation = observe(&execution, &self.protected);
        let memory = Memory::new(self.rules.reach_blocks());
        let sources = Sources { simulator, protected: &self.protected, memory: &memory };
        let judged = Judged { tx, predecessors, execution: &execution, observation: &observation };
        let instances = asked::instances(&self.rules, sources, judged, None);
        Ok(Found { execution, observation, instances, contracts: Vec::new() })
    }
}

/// Finds it among a recording's pending transactions and runs it on the state that it met; a signed one is run on
/// the recording's end.
pub(super) fn in_recording(
    wanted: &Wanted,
    recording: &Recording,
    path: &Path,
    eye: &Eye,
) -> anyhow::Result<Found> {
    let state = ForkedState::from_recording(recording)?;
    state.advance(&recording.first_block())?;
    let simulator = Simulator::new(Arc::clone(&state));
    let mut pool = Pool::new(POOL_LIMIT);
    let mut tx: Option<Arc<PendingTransaction>> = None;
    let mut failure = None;
    for step in recording.steps() {
        match step {
            SourceEvent::Pending(pending) => {
                pool.insert(Arc::clone(pending));
                if matches!(wanted, Wanted::Hash(hash) if *hash == pending.hash) {
                    tx = Some(Arc::clone(pending));
                }
            }
            SourceEvent::Head(block) => {
                state.advance(block)?;
                pool.mined(block);
            }
            _ => continue,
        }
        // One that cannot be mined yet is tried again on the next head, as the guard does it.
        if let Some(tx) = &tx
            && (failure.is_none() || matches!(step, SourceEvent::Head(_)))
        {
            match simulate(&simulator, tx, &pool, eye) {
                Ok(found) => return Ok(named(recording, found)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
    }
    match (wanted, failure) {
        (_, Some(error)) => Err(error.into()),
        (Wanted::Signed(tx), None) => Ok(named(recording, simulate(&simulator, tx, &pool, eye)?)),
        (Wanted::Hash(hash), None) => {
            bail!("{}: no pending transaction {hash} is in the recording", path.display())
        }
    }
}

fn named(recording: &Recording, found: Found) -> Found {
    let contracts = recording.header().contracts.iter();
    let contracts =
        contracts.map(|(address, contract)| (*address, contract.name.clone())).collect();
    Found { contracts, ..found }
}

fn simulate(
    simulator: &Simulator,
    tx: &PendingTransaction,
    pool: &Pool,
    eye: &Eye,
) -> Result<Found, SimError> {
    let nonce = simulator.state().view().and_then(|view| view.nonce(tx.sender));
    let nonce = nonce.map_err(|source| SimError::State { tx_hash: tx.hash, source })?;
    eye.look(simulator, tx, &pool.predecessors(tx, nonce))
}

/// Asks the first node that answers, and runs the transaction on its head; one that is mined on the block below.
pub(super) fn at_node(
    wanted: &Wanted,
    chain: &ChainSettings,
    parts: &Parts,
    eye: &Eye,
) -> anyhow::Result<Found> {
    let now_ms = (parts.clock)();
    let work = async |link: &NodeLink, links: Vec<NodeLink>| {
        on_node(wanted, chain, link, links, now_ms, eye.clone()).await
    };
    guard::runtime()?.block_on(node::with_node(chain, parts, work))
}

async fn on_node(
    wanted: &Wanted,
    chain: &ChainSettings,
    link: &NodeLink,
    links: Vec<NodeLink>,
    now_ms: u64,
    eye: Eye,
) -> anyhow::Result<Found> {
    let (tx, height) = match wanted {
        Wanted::Signed(tx) => (Arc::clone(tx), None),
        Wanted::Hash(hash) => {
            let (tx, height) = lookup::transaction(link, *hash, now_ms).await?;
            (Arc::new(tx), height)
        }
    };
    let below = height.map(|height| height.saturating_sub(1));
    let head = lookup::block(link, below, now_ms).await?;
    let predecessors = match height {
        Some(_) => {
            let block = lookup::block(link, height, now_ms).await?;
            block.transactions.into_iter().take_while(|before| before.hash != tx.hash).collect()
        }
        None => Vec::new(),
    };
    let state = ForkedState::new(node::chain_rules(chain), Arc::new(RpcBackend::new(links)));
    // State that is missing is fetched while the thread waits, which the threads of the connection must not.
    let run = tokio::task::spawn_blocking(move || {
        state.advance(&head)?;
        anyhow::Ok(eye.look(&Simulator::new(state), &tx, &predecessors)?)
    });
    run.await?
}
