//! The running guard: the only room that spawns tasks, owns channels and ends them.
//!
//! ```text
//! source ──> events ──> loop ──> work queue ──> workers (simulate … publish) ──> pauses ──> hand
//!            bounded    per chain  bounded       blocking threads
//! ```
//!
//! [`Guard::start`] watches nodes; [`replay`] runs the same pipeline over a recording, one transaction after the
//! other, with a hand that sends nothing.

mod chain;
mod http;
mod metrics;
mod past;
mod resume;
mod run;
#[cfg(test)]
mod tests;
mod trial;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy::primitives::Address;
use portcullis_alerting::{
    guardian::{EngineSettings, GuardianError, Key, PauseEngine, Rpc},
    journal::{
        Journal, JournalError, JournalHealth, JournalWriter, WriterLimits,
        clickhouse::{Shipper, ShipperHealth},
    },
    notify::Dispatcher,
    record::Mode,
};
use portcullis_models::Model;
use portcullis_rules::RuleSet;
use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc, watch},
    task::JoinSet,
};

pub use crate::act::{DryHand, GuardEvent, Judged, PauseShown, Started, Totals};
use crate::{
    act::{Desk, EngineHand, PauseHand},
    facts::{Protected, asked::MemoryFileError},
    policy::{Ledger, Limits},
    settings::{ChainSettings, Flow, GuardSettings, ProtectedSettings},
    simulate::Simulator,
    source::{
        Clock, NodeSource, Pool, Source, SourceError,
        recording::{
            Pace, RecordedChain, RecordedContract, Recording, RecordingError, RecordingSource, Tape,
        },
    },
    state::{Backend, ChainRules, ForkedState, RecordingBackend, RpcBackend, StateError},
    verdict::Judge,
};
use chain::{Chain, Orders, Shared};
use metrics::{Board, Counters, Watched};
use past::Past;
use resume::Resume;
pub use trial::Trial;

/// Pending transactions remembered for each chain.
const POOL_LIMIT: usize = 20_000;
/// Alerts that wait for delivery.
const ALERTS_LIMIT: usize = 256;
/// How often the block under construction is read where a chain publishes it in slices, milliseconds: Flashblocks
/// come five times a second.
const SLICE_MS: u64 = 200;
/// Gas limit of a pause.
const PAUSE_GAS: u64 = 300_000;
/// How long alerts that wait may take when the guard stops.
const ALERTS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the journal may take to write what waits when the guard stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last rows may take to reach the server they are shipped to; what is left waits in the file.
const SHIP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the guard is made of besides its settings.
pub struct Parts {
    /// Rules to ask, checked against [`crate::facts::dictionary`].
    pub rules: Arc<RuleSet>,
    /// Model to ask; none is said in every verdict that it is missed in.
    pub model: Option<Arc<Model>>,
    /// The pauser's key; without one nothing is paused.
    pub key: Option<Key>,
    /// Who is told.
    pub dispatcher: Dispatcher,
    /// Milliseconds since the epoch.
    pub clock: Clock,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("rules", &self.rules.len())
            .field("model", &self.model.as_ref().map(|model| model.hash_hex()))
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Why the guard did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// A protected entry names a chain that is not configured.
    #[error("protected `{protocol}`: chain `{chain}` is not configured")]
    UnknownChain {
        /// Name of the protocol.
        protocol: String,
        /// Name of the chain.
        chain: String,
    },
    /// Two protected entries claim the same contract, so it is unclear whose orders hold for it.
    #[error(
        "contract {address} on chain `{chain}` is protected twice: by `{first}` and by `{second}`"
    )]
    ProtectedTwice {
        /// The contract.
        address: Address,
        /// Name of the chain.
        chain: String,
        /// Name of the protocol that comes first.
        first: String,
        /// Name of the other.
        second: String,
    },
    /// A recording is of a chain that is not configured.
    #[error("the recording is of chain `{chain}` (id {chain_id}), which is not configured")]
    NotConfigured {
        /// Name in the recording.
        chain: String,
        /// Chain id in the recording.
        chain_id: u64,
    },
    /// A protocol is armed, but nothing can pause it.
    #[error("protected `{protocol}` is armed, which needs {missing}")]
    NoHand {
        /// Name of the protocol.
        protocol: String,
        /// What is missing.
        missing: &'static str,
    },
    /// A recording holds one chain.
    #[error("a recording holds one chain, and {configured} are configured")]
    NotOneChain {
        /// Chains configured.
        configured: usize,
    },
    /// The recording cannot be written.
    #[error("the recording: {0}")]
    Recording(#[from] RecordingError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The memory of past blocks cannot be kept.
    #[error("the memory of past blocks: {0}")]
    Memory(#[from] MemoryFileError),
    /// A source cannot go on.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A pause would not work.
    #[error("chain `{chain}`: {source}")]
    Pause {
        /// Name of the chain.
        chain: String,
        /// Why not.
        source: Box<GuardianError>,
    },
    /// The state of a recording cannot be used.
    #[error("the recording's state: {0}")]
    State(#[from] StateError),
    /// Metrics and health cannot be served.
    #[error("http.listen: {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A task of the guard crashed.
    #[error("a task of the guard crashed: {0}")]
    Crashed(String),
}

/// The guard.
#[derive(Debug, Clone, Copy)]
pub struct Guard;

/// A running guard. Dropping it aborts its tasks; [`GuardHandle::shutdown`] ends them in order.
#[derive(Debug)]
pub struct GuardHandle {
    desk: Arc<Desk>,
    stop: watch::Sender<bool>,
    chains: JoinSet<Result<(), GuardError>>,
    alerts: JoinSet<()>,
    /// What serves metrics and health.
    pages: JoinSet<()>,
    stop_alerts: watch::Sender<bool>,
    tape: Option<Arc<Tape>>,
    shipper: Option<Shipper>,
}

/// What a stopped guard leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// What was counted.
    pub totals: Totals,
    /// How the journal fared; none where there was none.
    pub journal: Option<JournalHealth>,
    /// How the journal's shipping fared; none where it is not shipped.
    pub shipping: Option<ShipperHealth>,
    /// Why the recording ended before the guard did; none where it is whole or was not asked for.
    pub recording_failure: Option<String>,
}

/// Events as one observer sees them.
#[derive(Debug)]
pub struct GuardEvents {
    receiver: broadcast::Receiver<Arc<GuardEvent>>,
    has_stopped: bool,
}

impl GuardEvents {
    /// The next event; an observer that lags behind gets the number of events it missed instead. `None` after
    /// [`GuardEvent::Stopped`], whoever may still hold a sender.
    pub async fn next(&mut self) -> Option<Result<Arc<GuardEvent>, u64>> {
        if self.has_stopped {
            return None;
        }
        match self.receiver.recv().await {
            Ok(event) => {
                self.has_stopped = matches!(*event, GuardEvent::Stopped { .. });
                Some(Ok(event))
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Guard {
    /// Starts to watch. Needs a running tokio runtime; returns as soon as all tasks stand, whether or not any node
    /// has answered yet.
    ///
    /// # Errors
    /// Settings that contradict each other, or a journal that cannot be opened. What only a node can tell (a wrong
    /// chain id, a key without the right to pause) is told by [`GuardHandle::wait`].
    pub async fn start(
        settings: GuardSettings,
        parts: Parts,
    ) -> Result<(GuardHandle, GuardEvents), GuardError> {
        Self::begin(settings, parts, None).await
    }

    /// As [`Guard::start`], and writes to `path` what [`replay`] needs to come to the same verdicts.
    ///
    /// While it records, the guard judges one transaction after the other, in the order in which they are written:
    /// only then does a replay find each on the state that it was judged on.
    ///
    /// # Errors
    /// As [`Guard::start`]; more chains than one, or a file that cannot be made.
    pub async fn record(
        settings: GuardSettings,
        parts: Parts,
        path: &Path,
    ) -> Result<(GuardHandle, GuardEvents), GuardError> {
        let [chain] = settings.chains.as_slice() else {
            return Err(GuardError::NotOneChain { configured: settings.chains.len() });
        };
        let tape = Arc::new(tape(chain, &settings, path)?);
        Self::begin(settings, parts, Some(tape)).await
    }

    async fn begin(
        settings: GuardSettings,
        parts: Parts,
        tape: Option<Arc<Tape>>,
    ) -> Result<(GuardHandle, GuardEvents), GuardError> {
        check(&settings, parts.key.is_some())?;
        let (journal, resumes) = open_journal(&settings)?;
        let shipper = start_shipper(&settings)?;
        let (observers, events) = broadcast::channel(settings.channels.observers.max(1));
        let (queue, alerts) = mpsc::channel(ALERTS_LIMIT);
        let counters = Counters::new(settings.chains.iter().map(|chain| chain.name.to_string()));
        let counted = counters.clone();
        let observer = Box::new(move |event| {
            counted.observe(&event);
            // Nobody may be listening.
            drop(observers.send(Arc::new(event)));
        });
        let queue = Box::new(move |alert| {
            queue.try_send(alert).map_err(|full| Box::new(full.into_inner()))
        });
        let desk = Arc::new(Desk::new(journal, observer, Some(queue), Arc::clone(&parts.clock)));
        let judge = Judge::new(Arc::clone(&parts.rules), parts.model.clone());
        let ledger = Arc::new(Mutex::new(Ledger::new(limits(&settings, &judge))));
        desk.tell(GuardEvent::Started(started(&settings, &parts, false)));

        let mut handle = GuardHandle {
            desk: Arc::clone(&desk),
            stop: watch::Sender::new(false),
            chains: JoinSet::new(),
            alerts: JoinSet::new(),
            pages: JoinSet::new(),
            stop_alerts: watch::Sender::new(false),
            tape: tape.clone(),
            shipper,
        };
        let deliver = run::deliver(
            alerts,
            parts.dispatcher,
            Arc::clone(&desk),
            handle.stop_alerts.subscribe(),
        );
        handle.alerts.spawn(deliver);
        let listener = match &settings.http {
            Some(http) => Some((listen(http.listen).await?, http.hosts.clone())),
            None => None,
        };
        let mut watched = Vec::new();
        for chain in &settings.chains {
            let source = NodeSource::new(
                Arc::clone(&chain.name),
                chain.chain_id,
                chain.nodes.clone(),
                Arc::clone(&parts.clock),
            );
            let source = match chain.flow {
                Flow::Mempool => source,
                Flow::Blocks => source.without_mempool(),
                Flow::Flashblocks => source.with_slices(SLICE_MS),
            };
            let resume = resumes.get(&chain.name);
            let source = source.resuming_after(resume.map(|resume| resume.head));
            let links = source.links();
            let coverage = (chain.flow != Flow::Blocks).then(|| source.coverage());
            let mut backend: Arc<dyn Backend> = Arc::new(RpcBackend::new(links.clone()));
            if let Some(tape) = &tape {
                backend = Arc::new(RecordingBackend::onto(backend, Arc::clone(tape)));
            }
            let state = ForkedState::new(rules_of(chain), backend);
            let rpcs = links.into_iter().map(|link| Arc::new(link) as Arc<dyn Rpc>).collect();
            let hand = engine_hand(chain, &settings, parts.key.as_ref(), rpcs)?;
            let chain_of = Chain::new(
                chain,
                &settings,
                state,
                hand,
                Shared {
                    judge: judge.clone(),
                    ledger: Arc::clone(&ledger),
                    desk: Arc::clone(&desk),
                    metrics: counters.of(&chain.name),
                },
            );
            // A recording holds no past, and a replay must come to the same verdicts.
            if let Some(journal) = settings.journal.as_ref().filter(|_| tape.is_none()) {
                let name = format!("memory-{}.jsonl", chain.chain_id);
                chain_of.past.keep_in(&journal.with_extension(name), chain.chain_id)?;
            }
            let chain_of = Arc::new(chain_of);
            watched.push(Watched {
                chain: Arc::clone(&chain_of),
                coverage: coverage.clone(),
                fetched: source.fetched(),
                block_time_ms: chain.block_time_ms,
            });
            let runner = run::Runner {
                chain: chain_of,
                channels: settings.channels,
                workers: settings.workers.max(1),
                ask_every: Duration::from_millis(chain.block_time_ms.clamp(200, 12_000) / 2),
                stop: handle.stop.subscribe(),
                tape: tape.clone(),
                coverage,
                resume: resume.cloned(),
                most_waiting: resume::most_waiting(chain.nodes.len(), settings.channels),
                mined_within: Duration::from_millis(chain.block_time_ms / 2),
            };
            handle.chains.spawn(runner.run(Box::new(source)));
        }
        if let Some((listener, hosts)) = listener {
            if let Ok(address) = listener.local_addr() {
                desk.tell(GuardEvent::Listening { address: address.to_string() });
            }
            let board = Board { desk, chains: watched, protected: modes(&settings) };
            let stop = handle.stop.subscribe();
            handle.pages.spawn(http::serve(listener, hosts, Arc::new(board), stop));
        }
        Ok((handle, GuardEvents { receiver: events, has_stopped: false }))
    }
}

impl GuardHandle {
    /// Waits until the guard cannot go on: the first failure, or `Ok` when all sources have ended.
    ///
    /// # Errors
    /// See [`GuardError`]. The other chains go on until [`GuardHandle::shutdown`].
    pub async fn wait(&mut self) -> Result<(), GuardError> {
        while let Some(ended) = self.chains.join_next().await {
            ended.unwrap_or_else(|error| Err(GuardError::Crashed(error.to_string())))?;
        }
        Ok(())
    }

    /// What was counted so far.
    pub fn totals(&self) -> Totals {
        self.desk.totals()
    }

    /// How the journal fares; none where there is none.
    pub fn journal_health(&self) -> Option<JournalHealth> {
        self.desk.journal_health()
    }

    /// How the journal's shipping fares; none where it is not shipped.
    pub fn shipper_health(&self) -> Option<ShipperHealth> {
        self.shipper.as_ref().map(Shipper::health)
    }

    /// Ends all tasks in order: sources, workers, pauses under way, alerts, the journal. Nothing already journalled is
    /// lost. The last event is [`GuardEvent::Stopped`].
    pub async fn shutdown(mut self) -> Stopped {
        self.stop.send_replace(true);
        while let Some(ended) = self.chains.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::error!(target: "watcher::daemon", %error, "chain failed");
            }
        }
        self.stop_alerts.send_replace(true);
        let alerts = &mut self.alerts;
        let all = async { while alerts.join_next().await.is_some() {} };
        if tokio::time::timeout(ALERTS_TIMEOUT, all).await.is_err() {
            tracing::warn!(target: "watcher::daemon", "stopped before the last alert was delivered");
        }
        let desk = Arc::clone(&self.desk);
        let flushed = tokio::task::spawn_blocking(move || desk.flush(FLUSH_TIMEOUT)).await;
        if !matches!(flushed, Ok(true)) {
            tracing::error!(target: "watcher::daemon", "the journal did not take all rows");
        }
        let shipper = self.shipper.take();
        let shipping =
            tokio::task::spawn_blocking(move || shipper.map(|shipper| shipper.close(SHIP_TIMEOUT)));
        let shipping = shipping.await.ok().flatten();
        let totals = self.desk.totals();
        let recorded = self.tape.as_ref().map_or(Ok(()), |tape| tape.end());
        self.desk.tell(GuardEvent::Stopped { totals });
        Stopped {
            totals,
            journal: self.desk.journal_health(),
            shipping,
            recording_failure: recorded.err().map(|error| error.to_string()),
        }
    }
}

/// A recording to replay.
#[derive(Debug)]
pub struct Replay {
    /// The recording.
    pub recording: Arc<Recording>,
    /// How fast.
    pub pace: Pace,
    /// Shows the pauses that would be sent; none means that nothing could pause.
    pub hand: Option<DryHand>,
}

/// Runs a recording through the same pipeline: in order, nothing sent, nobody notified. The clock is the
/// recording's, so the same recording gives the same events. `observe` is called with each event as it happens;
/// all are returned.
///
/// # Errors
/// The recording's chain is not configured, its state cannot be used, or the journal cannot be opened.
pub async fn replay(
    settings: &GuardSettings,
    parts: Parts,
    replay: Replay,
    observe: impl Fn(&GuardEvent) + Send + Sync + 'static,
) -> Result<Vec<GuardEvent>, GuardError> {
    let header = replay.recording.header();
    let chain = configured(settings, &replay.recording)?;
    let state = ForkedState::from_recording(&replay.recording)?;
    let events = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&events);
    let observer = Box::new(move |event: GuardEvent| {
        observe(&event);
        collected.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    });
    let now_ms = Arc::new(AtomicU64::new(header.head.timestamp_s.saturating_mul(1_000)));
    let clock: Clock = Arc::new({
        let now_ms = Arc::clone(&now_ms);
        move || now_ms.load(Ordering::Relaxed)
    });
    let desk = Arc::new(Desk::new(open_journal(settings)?.0, observer, None, clock));
    let judge = Judge::new(Arc::clone(&parts.rules), parts.model.clone());
    let ledger = Arc::new(Mutex::new(Ledger::new(limits(settings, &judge))));
    desk.tell(GuardEvent::Started(started(settings, &parts, true)));
    let hand = replay.hand.map(|hand| Arc::new(hand) as Arc<dyn PauseHand>);
    let chain = Chain::new(
        chain,
        settings,
        state,
        hand,
        Shared { judge, ledger, desk: Arc::clone(&desk), metrics: Arc::default() },
    );
    let source = Box::new(RecordingSource::new(replay.recording, replay.pace));
    let (receiver, task) = source.start(settings.channels.source);
    let player = run::Player { chain: Arc::new(chain), now_ms };
    let (played, told) = tokio::join!(player.play(receiver), task);
    told?;
    played?;
    let totals = desk.totals();
    let flushed = Arc::clone(&desk);
    let flushed = tokio::task::spawn_blocking(move || flushed.flush(FLUSH_TIMEOUT)).await;
    if !matches!(flushed, Ok(true)) {
        tracing::error!(target: "watcher::daemon", "the journal did not take all rows");
    }
    desk.tell(GuardEvent::Stopped { totals });
    drop(desk);
    let events = std::mem::take(&mut *events.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(events)
}

/// The configured chain that a recording is of.
fn configured<'a>(
    settings: &'a GuardSettings,
    recording: &Recording,
) -> Result<&'a ChainSettings, GuardError> {
    let recorded = &recording.header().chain;
    let found = settings.chains.iter().find(|chain| *chain.name == *recorded.name);
    found.filter(|chain| chain.chain_id == recorded.id).ok_or_else(|| GuardError::NotConfigured {
        chain: recorded.name.clone(),
        chain_id: recorded.id,
    })
}

impl Chain {
    fn new(
        chain: &ChainSettings,
        settings: &GuardSettings,
        state: Arc<ForkedState>,
        hand: Option<Arc<dyn PauseHand>>,
        shared: Shared,
    ) -> Self {
        let Shared { judge, ledger, desk, metrics } = shared;
        let protocols: Vec<_> =
            settings.protected.iter().filter(|protected| protected.chain == chain.name).collect();
        let orders: Vec<Orders> = protocols
            .iter()
            .map(|protected| Orders {
                mode: protected.mode.unwrap_or(settings.mode),
                pause: protected.pause.clone(),
                addresses: protected.addresses.clone(),
            })
            .collect();
        let reach_blocks = judge.rules().reach_blocks();
        Self {
            name: chain.name.to_string(),
            chain_id: chain.chain_id,
            simulator: Simulator::new(state),
            pool: Mutex::new(Pool::new(POOL_LIMIT)),
            protected: Protected::new(
                protocols
                    .iter()
                    .map(|protected| (protected.name.clone(), protected.addresses.clone())),
            )
            .listing(protocols.iter().map(|protected| &protected.listed)),
            mode: orders.iter().map(|orders| orders.mode).max().unwrap_or(settings.mode),
            orders,
            judge,
            ledger,
            guardian: hand.as_ref().map(|hand| hand.guardian()).or(settings.guardian),
            hand,
            desk,
            evidence_floor: settings.evidence_floor,
            past: Past::new(reach_blocks),
            metrics,
        }
    }

    /// Contracts of the protocols that may really be paused.
    fn armed_targets(&self) -> Vec<Address> {
        let armed = self.orders.iter().filter(|orders| orders.mode == Mode::Armed);
        armed.flat_map(|orders| orders.addresses.iter().copied()).collect()
    }
}

fn check(settings: &GuardSettings, has_key: bool) -> Result<(), GuardError> {
    let mut owners: BTreeMap<(&str, Address), &str> = BTreeMap::new();
    for protected in &settings.protected {
        for address in &protected.addresses {
            let first = owners.insert((&protected.chain, *address), &protected.name);
            if let Some(first) = first.filter(|first| *first != protected.name) {
                return Err(GuardError::ProtectedTwice {
                    address: *address,
                    chain: protected.chain.to_string(),
                    first: first.to_owned(),
                    second: protected.name.clone(),
                });
            }
        }
        if settings.chains.iter().all(|chain| chain.name != protected.chain) {
            return Err(GuardError::UnknownChain {
                protocol: protected.name.clone(),
                chain: protected.chain.to_string(),
            });
        }
        let missing = match (settings.guardian, has_key) {
            (None, _) => "a guardian contract",
            (_, false) => "a pauser's key",
            _ => continue,
        };
        if protected.mode.unwrap_or(settings.mode) == Mode::Armed {
            return Err(GuardError::NoHand { protocol: protected.name.clone(), missing });
        }
    }
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, GuardError> {
    TcpListener::bind(address).await.map_err(|source| GuardError::Listen { address, source })
}

/// Protocol, chain and mode in force.
fn modes(settings: &GuardSettings) -> Vec<(String, String, Mode)> {
    let of = |entry: &ProtectedSettings| {
        let mode = entry.mode.unwrap_or(settings.mode);
        (entry.name.clone(), entry.chain.to_string(), mode)
    };
    settings.protected.iter().map(of).collect()
}

type Resumes = BTreeMap<Arc<str>, Resume>;

/// The journal, and where the guard before this one was, by chain.
fn open_journal(
    settings: &GuardSettings,
) -> Result<(Option<JournalWriter>, Resumes), JournalError> {
    let Some(path) = &settings.journal else { return Ok((None, Resumes::new())) };
    let journal = Journal::open(path)?;
    let mut resumes = Resumes::new();
    for chain in &settings.chains {
        if let Some(resume) = Resume::read(&journal, chain)? {
            resumes.insert(Arc::clone(&chain.name), resume);
        }
    }
    Ok((Some(JournalWriter::start(journal, WriterLimits::default())?), resumes))
}

fn start_shipper(settings: &GuardSettings) -> Result<Option<Shipper>, JournalError> {
    let (Some(path), Some(server)) = (&settings.journal, &settings.clickhouse) else {
        return Ok(None);
    };
    Shipper::start(path, server.clone()).map(Some)
}

fn limits(settings: &GuardSettings, judge: &Judge) -> Limits {
    let policy = settings.policy;
    Limits {
        alert_score: policy.alert_score,
        // Without a model there is no score to compare with, so any number does.
        pause_score: policy.pause_score.or(judge.model_threshold()).unwrap_or(1.0),
        max_pauses_per_day: policy.max_pauses_per_day,
        cooldown_blocks: policy.cooldown_blocks,
    }
}

fn started(settings: &GuardSettings, parts: &Parts, is_replay: bool) -> Started {
    let mode = |mode: Option<Mode>| mode.unwrap_or(settings.mode);
    Started {
        chains: settings.chains.iter().map(|chain| chain.name.to_string()).collect(),
        protected: settings
            .protected
            .iter()
            .map(|entry| (entry.name.clone(), mode(entry.mode)))
            .collect(),
        rules: parts.rules.len(),
        model: parts.model.as_ref().map(|model| model.hash_hex()),
        is_replay,
    }
}

/// A recording to come, with the protected contracts under their protocols' names.
fn tape(
    chain: &ChainSettings,
    settings: &GuardSettings,
    path: &Path,
) -> Result<Tape, RecordingError> {
    let rules = rules_of(chain);
    let recorded = RecordedChain {
        name: chain.name.to_string(),
        id: rules.chain_id,
        hardfork: rules.hardforks.first(),
        later_hardforks: rules.hardforks.later().collect(),
        block_time_s: rules.block_time_s,
    };
    let protocols = settings.protected.iter().filter(|protected| protected.chain == chain.name);
    let named = |protected: &ProtectedSettings| {
        let contract = RecordedContract { name: protected.name.clone(), protected: true };
        protected.addresses.iter().map(|address| (*address, contract.clone())).collect::<Vec<_>>()
    };
    let mut contracts: BTreeMap<_, _> = protocols.flat_map(named).collect();
    if let Some(guardian) = settings.guardian {
        let name = "guardian".to_owned();
        contracts.entry(guardian).or_insert(RecordedContract { name, protected: false });
    }
    Tape::create(path, recorded, contracts)
}

fn rules_of(chain: &ChainSettings) -> ChainRules {
    ChainRules {
        chain_id: chain.chain_id,
        hardforks: chain.hardforks,
        block_time_s: chain.block_time_ms.div_ceil(1_000).max(1),
    }
}

fn engine_hand(
    chain: &ChainSettings,
    settings: &GuardSettings,
    key: Option<&Key>,
    rpcs: Vec<Arc<dyn Rpc>>,
) -> Result<Option<Arc<dyn PauseHand>>, GuardError> {
    let (Some(guardian), Some(key)) = (settings.guardian, key) else { return Ok(None) };
    let engine = EngineSettings {
        chain: chain.name.to_string(),
        chain_id: chain.chain_id,
        guardian,
        budget: chain.fees,
        gas_limit: PAUSE_GAS,
        send_timeout: Duration::from_secs(3),
        refire_after: Duration::from_secs(60),
        poll_every: Duration::from_millis((chain.block_time_ms / 8).clamp(50, 1_000)),
        follow_timeout: Duration::from_millis(chain.block_time_ms.saturating_mul(10).max(30_000)),
    };
    let engine = PauseEngine::new(key.clone(), engine, rpcs).map_err(|source| {
        GuardError::Pause { chain: chain.name.to_string(), source: Box::new(source) }
    })?;
    Ok(Some(Arc::new(EngineHand::new(Arc::new(engine)))))
}
