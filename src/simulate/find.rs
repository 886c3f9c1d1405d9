//! Where the transaction and the state below it come from: a node, or a recording.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy::primitives::{Address, B256};
use anyhow::{Context, bail};
use portcullis_watcher::daemon::Parts;
use portcullis_watcher::settings::{ChainSettings, GuardSettings};
use portcullis_watcher::simulate::execution::Execution;
use portcullis_watcher::simulate::{SimError, Simulator};
use portcullis_watcher::source::recording::Recording;
use portcullis_watcher::source::{
    NodeLink, NodeSource, PendingTransaction, Pool, Source as _, SourceEvent, decode_raw, lookup,
};
use portcullis_watcher::state::{ChainRules, ForkedState, RpcBackend};

use crate::guard;

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
    /// Name of its chain.
    pub chain: String,
    pub execution: Execution,
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

/// Finds it among a recording's pending transactions and runs it on the state that it met; a signed one is run on
/// the recording's end.
pub(super) fn in_recording(wanted: &Wanted, path: &Path) -> anyhow::Result<Found> {
    let recording = Recording::open(path)?;
    let state = ForkedState::from_recording(&recording)?;
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
            match simulate(&simulator, tx, &pool) {
                Ok(execution) => return Ok(found(&recording, execution)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
    }
    match (wanted, failure) {
        (_, Some(error)) => Err(error.into()),
        (Wanted::Signed(tx), None) => Ok(found(&recording, simulate(&simulator, tx, &pool)?)),
        (Wanted::Hash(hash), None) => {
            bail!("{}: no pending transaction {hash} is in the recording", path.display())
        }
    }
}

fn found(recording: &Recording, execution: Execution) -> Found {
    let header = recording.header();
    Found {
        chain: header.chain.name.clone(),
        execution,
        contracts: header
            .contracts
            .iter()
            .map(|(address, contract)| (*address, contract.name.clone()))
            .collect(),
    }
}

fn simulate(
    simulator: &Simulator,
    tx: &PendingTransaction,
    pool: &Pool,
) -> Result<Execution, SimError> {
    let nonce = simulator.state().view().and_then(|view| view.nonce(tx.sender));
    let nonce = nonce.map_err(|source| SimError::State { tx_hash: tx.hash, source })?;
    simulator.simulate(tx, &pool.predecessors(tx, nonce))
}

/// Asks the first node that answers, and runs the transaction on its head; one that is mined on the block below.
pub(super) fn at_node(
    wanted: &Wanted,
    settings: &GuardSettings,
    parts: &Parts,
    chain: Option<&str>,
) -> anyhow::Result<Found> {
    let chain = choose(settings, chain)?;
    let execution = guard::runtime()?.block_on(ask(wanted, chain, parts))?;
    Ok(Found { chain: chain.name.to_string(), execution, contracts: Vec::new() })
}

fn choose<'a>(
    settings: &'a GuardSettings,
    name: Option<&str>,
) -> anyhow::Result<&'a ChainSettings> {
    let known = || {
        let names: Vec<_> = settings.chains.iter().map(|chain| &*chain.name).collect();
        names.join(", ")
    };
    match (name, settings.chains.as_slice()) {
        (Some(name), chains) => chains
            .iter()
            .find(|chain| *chain.name == *name)
            .with_context(|| format!("no chain `{name}` is configured; there are: {}", known())),
        (None, [chain]) => Ok(chain),
        (None, _) => bail!("`--chain` must name one of: {}", known()),
    }
}

async fn ask(wanted: &Wanted, chain: &ChainSettings, parts: &Parts) -> anyhow::Result<Execution> {
    let clock = Arc::clone(&parts.clock);
    let nodes = chain.nodes.clone();
    let source = NodeSource::new(Arc::clone(&chain.name), chain.chain_id, nodes, clock);
    let source = source.without_mempool();
    let links = source.links();
    let (mut events, task) = Box::new(source).start(64);
    let work = async {
        let link = up(&mut events, &links, chain).await?;
        // Whoever lets go of the events ends the connection, so they are kept and read.
        let drain = async { while events.recv().await.is_some() {} };
        tokio::select! {
            () = drain => bail!("node `{}` was lost", link.node()),
            done = on_node(wanted, chain, link, links.clone(), (parts.clock)()) => done,
        }
    };
    tokio::select! {
        done = work => done,
        ended = task => {
            ended?;
            bail!("the connection ended")
        }
    }
}

/// The first node that answers.
async fn up<'a>(
    events: &mut tokio::sync::mpsc::Receiver<SourceEvent>,
    links: &'a [NodeLink],
    chain: &ChainSettings,
) -> anyhow::Result<&'a NodeLink> {
    let mut reasons = Vec::new();
    while let Some(event) = events.recv().await {
        match event {
            SourceEvent::Up { node, .. } => {
                return links.iter().find(|link| *link.node() == node).context("a known node");
            }
            SourceEvent::Down { node, reason, .. } => {
                reasons.push(format!("{node}: {reason}"));
                if reasons.len() >= chain.nodes.len() {
                    break;
                }
            }
            _ => {}
        }
    }
    bail!("no node of chain `{}` answers: {}", chain.name, reasons.join("; "))
}

async fn on_node(
    wanted: &Wanted,
    chain: &ChainSettings,
    link: &NodeLink,
    links: Vec<NodeLink>,
    now_ms: u64,
) -> anyhow::Result<Execution> {
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
    let rules = ChainRules {
        chain_id: chain.chain_id,
        hardforks: chain.hardforks,
        block_time_s: chain.block_time_ms.div_ceil(1_000).max(1),
    };
    let state = ForkedState::new(rules, Arc::new(RpcBackend::new(links)));
    // State that is missing is fetched while the thread waits, which the threads of the connection must not.
    let run = tokio::task::spawn_blocking(move || {
        state.advance(&head)?;
        anyhow::Ok(Simulator::new(state).simulate(&tx, &predecessors)?)
    });
    run.await?
}
