//! Transactions as facts: of a recording, replayed through the guard's own source, state and simulator, and of the
//! training range.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy::primitives::B256;
use anyhow::Context;
use portcullis_range::Cast;
use portcullis_rules::question::Instance;
use portcullis_rules::testing::Recorded;
use portcullis_rules::{FactTable, Pack, RangeRef, RecordingRef, Rule, RuleSet, Subject};
use portcullis_watcher::facts::asked::{self, Contribution, Judged, Mark, Memory, Sources};
use portcullis_watcher::facts::{Creation, Observation, Protected, Targets, observe};
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
    pub observed: Result<Shown, String>,
}

/// What one transaction shows to rules.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The transaction as facts.
    pub observation: Observation,
    /// What the rules ask about the contracts that it touches.
    pub instances: Vec<Instance>,
    /// Facts of the contracts that it creates.
    pub contracts: Vec<FactTable>,
}

/// The protected contracts that a recording marks, each a protocol of its own.
pub(super) fn protected(recording: &Recording) -> Vec<(String, Vec<alloy::primitives::Address>)> {
    let contracts = recording.header().contracts.iter();
    contracts
        .filter(|(_, contract)| contract.protected)
        .map(|(address, contract)| (contract.name.clone(), vec![*address]))
        .collect()
}

/// Simulates every pending transaction of a recording where it stands in it, in order, and answers what `rules` ask.
///
/// # Errors
/// The state of the recording cannot be used.
pub(super) fn play(recording: &Arc<Recording>, rules: &RuleSet) -> anyhow::Result<Vec<Seen>> {
    let state = ForkedState::from_recording(recording)?;
    let mut player = Player {
        simulator: Simulator::new(state),
        pool: Pool::new(POOL_LIMIT),
        protected: Protected::new(protected(recording)),
        rules,
        memory: Memory::new(rules.reach_blocks()),
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

struct Player<'r> {
    rules: &'r RuleSet,
    memory: Memory,
    simulator: Simulator,
    pool: Pool,
    protected: Protected,
    seen: Vec<Seen>,
    mined: BTreeMap<B256, (u64, u64)>,
}

impl Player<'_> {
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
        let moved = if self.rules.reach_blocks() > 0 {
            // A block that cannot be run leaves a gap, as it does in the guard.
            let moved = asked::advance(&self.simulator, &self.protected, block, |_, _| {});
            moved.map(|(_, done)| self.memory.take(Mark::of(block), done)).map(drop)
        } else {
            self.simulator.state().advance(block).map(drop)
        };
        // A state that is not exact any more is emptied, and says in each simulation what it misses.
        if let Err(error) = moved {
            self.memory.take(Mark::of(block), None);
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

    fn observe(&mut self, tx: &PendingTransaction) -> Result<Shown, String> {
        let nonce = self
            .simulator
            .state()
            .view()
            .and_then(|view| view.nonce(tx.sender))
            .map_err(|error| error.to_string())?;
        let predecessors = self.pool.predecessors(tx, nonce);
        let execution =
            self.simulator.simulate(tx, &predecessors).map_err(|error| error.to_string())?;
        let observation = observe(&execution, &self.protected);
        let sources = Sources {
            simulator: &self.simulator,
            protected: &self.protected,
            memory: &self.memory,
        };
        let judged = Judged {
            tx,
            predecessors: &predecessors,
            execution: &execution,
            observation: &observation,
        };
        let instances = asked::instances(self.rules, sources, judged, None);
        let created = Creation::all_in(&execution, &observation, &self.protected);
        let contracts = if created.is_empty() {
            Vec::new()
        } else {
            let view = self.simulator.state().view().map_err(|error| error.to_string())?;
            let targets =
                Targets::read(&self.protected, &view).map_err(|error| error.to_string())?;
            created.iter().map(|contract| contract.facts(&targets, None, true)).collect()
        };
        if let Some(expected) = Contribution::of(tx.hash, tx.sender, &observation, &self.protected)
        {
            self.memory.expect(expected);
        }
        Ok(Shown { observation, instances, contracts })
    }
}

/// What each pending transaction of one recording shows, or why that is not known.
type Played = Vec<Result<Shown, String>>;

/// What the tests of packs name, each recording replayed and each episode played once for all of them.
#[derive(Debug)]
pub(super) struct Library {
    are_shipped: bool,
    rules: Arc<RuleSet>,
    replayed: RefCell<BTreeMap<PathBuf, Result<Played, String>>>,
    episodes: RefCell<BTreeMap<Cast, Result<Vec<portcullis_range::Shown>, String>>>,
}

impl Library {
    /// A library for packs that ship, whose recordings ship too, or for packs in files; `rules` are all that are tested.
    pub(super) fn new(are_shipped: bool, rules: RuleSet) -> Self {
        Self {
            are_shipped,
            rules: Arc::new(rules),
            replayed: RefCell::default(),
            episodes: RefCell::default(),
        }
    }

    /// What one transaction of a recording shows to a rule.
    ///
    /// # Errors
    /// Why it cannot be had, in words.
    pub(super) fn recorded(
        &self,
        pack: &Pack,
        rule: &Rule,
        reference: &RecordingRef,
    ) -> Result<Recorded, String> {
        let folder = Path::new(pack.origin()).parent().unwrap_or(Path::new(""));
        let path = folder.join(&reference.recording);
        let mut replayed = self.replayed.borrow_mut();
        let shown = replayed
            .entry(path)
            .or_insert_with_key(|path| self.replay(path).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(Clone::clone)?;
        let place = usize::try_from(reference.tx).unwrap_or(usize::MAX);
        let found = shown.get(place).ok_or_else(|| {
            format!("there are {} pending transactions, counted from 0", shown.len())
        })?;
        let Shown { observation, instances, contracts } = found.clone()?;
        Ok(of_subject(rule, String::new(), observation.facts, instances, contracts))
    }

    /// What the transactions of some episodes show to a rule: those that did harm, or those that did none.
    ///
    /// # Errors
    /// Why they cannot be had, in words.
    pub(super) fn played(
        &self,
        rule: &Rule,
        reference: &RangeRef,
        are_harmful: bool,
    ) -> Result<Vec<Recorded>, String> {
        let RangeRef { protocol, is_flawed, family, seed, episodes, least_loss_bps } = reference;
        let mut known = self.episodes.borrow_mut();
        let mut found = Vec::new();
        for seed in *seed..seed + episodes {
            let cast = Cast { protocol: protocol.clone(), is_flawed: *is_flawed, seed };
            let shown = known
                .entry(cast)
                .or_insert_with_key(|cast| {
                    portcullis_range::show(cast, &self.rules).map_err(|error| error.to_string())
                })
                .as_ref()
                .map_err(Clone::clone)?;
            for (place, one) in shown.iter().enumerate() {
                let is_wanted = one.did_harm == are_harmful
                    && (!are_harmful || one.loss_bps >= *least_loss_bps)
                    && is_of(family, &one.family);
                if is_wanted {
                    let label = format!("`{}` at place {place} of seed {seed}", one.family);
                    let facts = one.observation.facts.clone();
                    let (instances, contracts) = (one.instances.clone(), one.contracts.clone());
                    found.push(of_subject(rule, label, facts, instances, contracts));
                }
            }
        }
        Ok(found)
    }

    fn replay(&self, path: &Path) -> anyhow::Result<Played> {
        let recording = if self.are_shipped {
            let name = path.file_name().unwrap_or_default();
            let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == name);
            let (name, text) = shipped.context("no such recording ships")?;
            Recording::read(Path::new(name), text.as_bytes())?
        } else {
            Recording::open(path)?
        };
        let seen = play(&Arc::new(recording), &self.rules)?;
        Ok(seen.into_iter().map(|seen| seen.observed).collect())
    }
}

/// `lending` holds `lending/borrow`, and everything is held by nothing.
fn is_of(wanted: &str, family: &str) -> bool {
    let rest = family.strip_prefix(wanted);
    rest.is_some_and(|rest| wanted.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

fn of_subject(
    rule: &Rule,
    label: String,
    facts: FactTable,
    instances: Vec<Instance>,
    contracts: Vec<FactTable>,
) -> Recorded {
    match rule.subject() {
        Subject::Contract => Recorded { label, subjects: contracts, instances: Vec::new() },
        _ => Recorded { label, subjects: vec![facts], instances },
    }
}
