//! A node that is asked some questions, for commands that watch nothing.

use anyhow::{Context, bail};
use portcullis_watcher::daemon::Parts;
use portcullis_watcher::settings::{ChainSettings, GuardSettings};
use portcullis_watcher::source::{NodeLink, NodeSource, Source as _, SourceEvent};
use portcullis_watcher::state::ChainRules;

/// The chain of that name, or the only one.
///
/// # Errors
/// There is none, or more than one to choose from.
pub(crate) fn choose<'a>(
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

/// The rules of a configured chain.
pub(crate) fn chain_rules(chain: &ChainSettings) -> ChainRules {
    ChainRules {
        chain_id: chain.chain_id,
        hardforks: chain.hardforks,
        block_time_s: chain.block_time_ms.div_ceil(1_000).max(1),
    }
}

/// Hands the first node that answers to `work`, and all of them.
///
/// # Errors
/// No node answers, the node is lost, or what `work` says.
pub(crate) async fn with_node<T>(
    chain: &ChainSettings,
    parts: &Parts,
    work: impl AsyncFnOnce(&NodeLink, Vec<NodeLink>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let clock = std::sync::Arc::clone(&parts.clock);
    let nodes = chain.nodes.clone();
    let source = NodeSource::new(std::sync::Arc::clone(&chain.name), chain.chain_id, nodes, clock);
    let source = source.without_mempool();
    let links = source.links();
    let (mut events, task) = Box::new(source).start(64);
    let work = async {
        let link = up(&mut events, &links, chain).await?;
        // Whoever lets go of the events ends the connection, so they are kept and read.
        let drain = async { while events.recv().await.is_some() {} };
        tokio::select! {
            () = drain => bail!("node `{}` was lost", link.node()),
            done = work(link, links.clone()) => done,
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
