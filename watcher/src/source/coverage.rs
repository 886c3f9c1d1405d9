//! How much of what is mined had been seen pending: a mempool that is not there must not be believed in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::B256;

use super::{BlockRecord, recent::Recent};

/// Hashes remembered for each node.
const TOLD_LIMIT: usize = 65_536;

/// Counts what the nodes of one chain announced before it was mined. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CoverageMeter(Arc<Mutex<Counted>>);

/// What was counted since the start. A block that stands twice at its height, after a reorg, counts twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Transactions mined after the first head.
    pub mined: u64,
    /// Of them, those that any node had announced.
    pub seen: u64,
    /// Of them, those that each node had announced, in configured order.
    pub nodes: Vec<(Arc<str>, u64)>,
}

#[derive(Debug)]
struct Counted {
    figures: Coverage,
    told: Vec<Recent<B256>>,
}

impl CoverageMeter {
    /// A meter for nodes of these names.
    pub(super) fn new(nodes: impl IntoIterator<Item = Arc<str>>) -> Self {
        let nodes: Vec<_> = nodes.into_iter().map(|name| (name, 0)).collect();
        let told = nodes.iter().map(|_| Recent::default()).collect();
        Self(Arc::new(Mutex::new(Counted { figures: Coverage { mined: 0, seen: 0, nodes }, told })))
    }

    /// What was counted so far.
    pub fn figures(&self) -> Coverage {
        self.lock().figures.clone()
    }

    /// The node at this place announced a transaction.
    pub(super) fn told(&self, node: usize, hash: B256) {
        if let Some(told) = self.lock().told.get_mut(node) {
            told.insert(hash, TOLD_LIMIT);
        }
    }

    /// A block was mined.
    pub(super) fn mined(&self, block: &BlockRecord) {
        let Counted { figures, told } = &mut *self.lock();
        for tx in &block.transactions {
            figures.mined += 1;
            let mut is_seen = false;
            for ((_, seen), told) in figures.nodes.iter_mut().zip(told.iter()) {
                if told.contains(&tx.hash) {
                    *seen += 1;
                    is_seen = true;
                }
            }
            figures.seen += u64::from(is_seen);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::source::{SourceEvent, recording::Recording};

    #[test]
    fn what_no_node_announced_is_missing_from_the_figure() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/recordings/vault-attack.jsonl");
        let recording = Recording::open(Path::new(path)).unwrap();
        let block = recording
            .steps()
            .iter()
            .find_map(|step| match step {
                SourceEvent::Head(block) => Some(block),
                _ => None,
            })
            .unwrap();
        let hashes: Vec<B256> = block.transactions.iter().map(|tx| tx.hash).collect();
        assert_eq!(hashes.len(), 19);
        let meter = CoverageMeter::new(["first".into(), "second".into()]);
        hashes[..10].iter().for_each(|hash| meter.told(0, *hash));
        hashes[8..15].iter().for_each(|hash| meter.told(1, *hash));
        meter.told(1, B256::ZERO);
        meter.told(7, hashes[18]);
        meter.mined(block);
        // What is announced after it was mined was not seen pending.
        hashes.iter().for_each(|hash| meter.told(0, *hash));
        let nodes = vec![("first".into(), 10), ("second".into(), 7)];
        assert_eq!(meter.figures(), Coverage { mined: 19, seen: 15, nodes });
    }
}
