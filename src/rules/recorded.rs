//! The transactions of a recording as facts, replayed through the guard's own source, state and simulator.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy::primitives::B256;
use anyhow::Context;
use portcullis_rules::{FactTable, Pack, RecordingRef};
use portcullis_watcher::facts::{Observation, Protected, observe};
use portcullis_watcher::simulate::Simulator;
use portcullis_watcher::source::recording::{Pace, Recording, RecordingSource};
use portcullis_watcher::source::{BlockRecord, PendingTransaction, Pool, Source, SourceEvent};
use portcullis_watcher::state::ForkedState;

/// Recordings that ship, by the name of their file; the tests of shipped packs name them.
const SHIPPED: &[(&str, &str)] =
    &[("vault-attack.jsonl", include_str!("../../fixtures/recordings/vault-attack.jsonl"))];

/// Pending transactions remembered while a recording is replayed.
const POOL_LIMIT: usize = 20_000;
/// Source events waiting.
const CHANNEL: usize = 64;

/// One pending transaction of a recording.
#[derive(Debug)]
pub(super) struct Seen {
    /// The transaction.
    pub tx: Arc<PendingTransaction>,
    /// Height and time (milliseconds since the epoch) of the block that mined it, where one did.
    pub mined: Option<(u64, u64)>,
    /// What it would have done on the first head that it could be mined on, or why that is not known.
    pub observed: Result<Observation, String>,
}

/// The protected contracts that a recording marks, each a protocol of its own.
pub(super) fn protected(recording: &Recording) -> Vec<(String, Vec<alloy::primitives::Address>)> {
    let contracts = recording.header().contracts.iter();
    contracts
        .filter(|(_, contract)| contract.protected)
        .map(|(address, contract)| (contract.name.clone(), vec![*address]))
        .collect()
}

/// Simulates every pending transaction of a recording where it stands in it, in order.
///
/// # Errors
/// The state of the recording cannot be used.
pub(super) fn play(recording: &Arc<Recording>) -> anyhow::Result<Vec<Seen>> {
    let state = ForkedState::from_recording(recording)?;
    let mut player = Player {
        simulator: Simulator::new(state),
        pool: Pool::new(POOL_LIMIT),
        protected: Protected::new(protected(recording)),
        seen: Vec::new(),
        mined: BTreeMap::new(),
    };
    let source = Box::new(RecordingSource::new(Arc::clone(recording), Pace::Unpaced));
    let (mut events, task) = source.start(CHANNEL);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = runtime.block_on(async {
        let playing = async {
            while let Some(event) = events.recv().await {
                player.take(event);
            }
        };
        tokio::join!(playing, task).1
    });
    told?;
    let Player { mut seen, mined, .. } = player;
    for one in &mut seen {
        one.mined = mined.get(&one.tx.hash).copied();
    }
    Ok(seen)
}

struct Player {
    simulator: Simulator,
    pool: Pool,
    protected: Protected,
    seen: Vec<Seen>,
    mined: BTreeMap<B256, (u64, u64)>,
}

impl Player {
    fn take(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::Pending(tx) => {
                self.pool.insert(Arc::clone(&tx));
                let observed = self.observe(&tx);
                self.seen.push(Seen { tx, mined: None, observed });
            }
            SourceEvent::Head(block) => self.advance(&block),
            _ => {}
        }
    }

    /// What could not be mined before may be now.
    fn advance(&mut self, block: &BlockRecord) {
        // A state that is not exact any more is emptied, and says in each simulation what it misses.
        if let Err(error) = self.simulator.state().advance(block) {
            tracing::warn!(block = block.number, %error, "the recorded head was not taken over");
        }
        self.pool.mined(block);
        for tx in &block.transactions {
            self.mined.entry(tx.hash).or_insert((block.number, block.seen_at_ms));
        }
        for place in 0..self.seen.len() {
            let tx = Arc::clone(&self.seen[place].tx);
            if self.seen[place].observed.is_err() && !self.mined.contains_key(&tx.hash) {
                self.seen[place].observed = self.observe(&tx);
            }
        }
    }

    fn observe(&self, tx: &PendingTransaction) -> Result<Observation, String> {
        let nonce = self
            .simulator
            .state()
            .view()
            .and_then(|view| view.nonce(tx.sender))
            .map_err(|error| error.to_string())?;
        let predecessors = self.pool.predecessors(tx, nonce);
        let execution =
            self.simulator.simulate(tx, &predecessors).map_err(|error| error.to_string())?;
        Ok(observe(&execution, &self.protected))
    }
}

/// The facts of each pending transaction of one recording, or why they are not known.
type Facts = Vec<Result<FactTable, String>>;

/// Recordings that the tests of packs name, each replayed once.
#[derive(Debug)]
pub(super) struct Library {
    are_shipped: bool,
    played: RefCell<BTreeMap<PathBuf, Result<Facts, String>>>,
}

impl Library {
    /// A library for packs that ship, whose recordings ship too, or for packs in files.
    pub(super) fn new(are_shipped: bool) -> Self {
        Self { are_shipped, played: RefCell::default() }
    }

    /// The facts of one transaction.
    ///
    /// # Errors
    /// Why they cannot be had, in words.
    pub(super) fn facts(&self, pack: &Pack, reference: &RecordingRef) -> Result<FactTable, String> {
        let folder = Path::new(pack.origin()).parent().unwrap_or(Path::new(""));
        let path = folder.join(&reference.recording);
        let mut played = self.played.borrow_mut();
        let facts = played
            .entry(path)
            .or_insert_with_key(|path| self.replay(path).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(Clone::clone)?;
        let place = usize::try_from(reference.tx).unwrap_or(usize::MAX);
        let found = facts.get(place).ok_or_else(|| {
            format!("there are {} pending transactions, counted from 0", facts.len())
        })?;
        found.clone()
    }

    fn replay(&self, path: &Path) -> anyhow::Result<Facts> {
        let recording = if self.are_shipped {
            let name = path.file_name().unwrap_or_default();
            let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == name);
            let (name, text) = shipped.context("no such recording ships")?;
            Recording::read(Path::new(name), text.as_bytes())?
        } else {
            Recording::open(path)?
        };
        let seen = play(&Arc::new(recording))?;
        Ok(seen.into_iter().map(|seen| seen.observed.map(|observed| observed.facts)).collect())
    }
}
