//! The running guard: the only room that spawns tasks, owns channels and ends them.
//!
//! ```text
//! source ──> events ──> loop ──> work queue ──> workers (simulate … publish) ──> pauses ──> hand
//!            bounded    per chain  bounded       blocking threads
//! ```
//!
//! [`Guard::start`] watches nodes; [`replay`] runs the same pipeline over a recording, one transaction after the
//! other, with a hand that sends nothing.

mod arming;
mod block;
mod build;
mod chain;
mod clerk;
#[cfg(unix)]
mod control;
mod deliver;
mod error;
mod gate;
mod http;
mod metrics;
mod paper;
mod past;
mod play;
mod premises;
mod priority;
mod queue;
mod reload;
mod replay;
mod resume;
mod run;
#[cfg(test)]
mod tests;
mod top;
mod trial;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use alloy::primitives::B256;
use portcullis_alerting::{
    guardian::{Key, Rpc},
    journal::JournalHealth,
    journal::clickhouse::{Shipper, ShipperHealth},
    notify::Dispatcher,
};
use portcullis_models::Model;
use portcullis_rules::RuleSet;
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinSet,
};

pub use self::{
    error::GuardError,
    reload::Reloader,
    replay::{Replay, replay},
    top::{TOP_VERSION, Top, TopChain, TopJournal, TopNode, TopProtected, TopVerdict},
    trial::Trial,
};
pub use crate::act::{DryHand, GuardEvent, Judged, PauseShown, Started, Totals};
use crate::{
    act::{Consent, Desk},
    policy::Ledger,
    settings::{Flow, GuardSettings},
    source::{Clock, NodeSource, recording::Tape},
    state::{Backend, ForkedState, RecordingBackend, RpcBackend},
    verdict::{Beside, Judge},
};
pub use arming::clean_days;
use build::{
    check, consent, engine_hand, limits, listen, modes, open_journal, rules_of, start_shipper,
    started, tape,
};
use chain::{Chain, Shared};
use metrics::{Board, Counters, Watched};

/// Alerts that wait for delivery.
const ALERTS_LIMIT: usize = 256;
/// How often the block under construction is read where a chain publishes it in slices, milliseconds: Flashblocks
/// come five times a second.
const SLICE_MS: u64 = 200;
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
    /// Models beside it, which can bring no pause about.
    pub beside: Beside,
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
    consent: Option<Arc<Consent>>,
    reloader: Reloader,
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
        mut settings: GuardSettings,
        parts: Parts,
        tape: Option<Arc<Tape>>,
    ) -> Result<(GuardHandle, GuardEvents), GuardError> {
        check(&settings, parts.key.is_some())?;
        let before = arming::Before::read(&mut settings, (parts.clock)())?;
        let (journal, resumes) = open_journal(&settings)?;
        let shipper = start_shipper(&settings)?;
        let consent = consent(&settings, (parts.clock)())?;
        let (observers, events) = broadcast::channel(settings.channels.observers.max(1));
        let (queue, alerts) = mpsc::channel(ALERTS_LIMIT);
        let counters = Counters::new(settings.chains.iter().map(|chain| chain.name.to_string()));
        let counted = counters.clone();
        let observer = Box::new(move |event| {
            counted.observe(&event);
            // Nobody may be listening.
            drop(observers.send(Arc::new(event)));
        });
        let queue = Box::new(move |notice| {
            queue.try_send(notice).map_err(|full| Box::new(full.into_inner()))
        });
        let desk = Arc::new(Desk::new(journal, observer, Some(queue), Arc::clone(&parts.clock)));
        let judge =
            Judge::new(Arc::clone(&parts.rules), parts.model.clone()).with(parts.beside.clone());
        let mut ledger = Ledger::new(limits(&settings, &judge));
        before.restore(&mut ledger);
        let ledger = Arc::new(Mutex::new(ledger));
        desk.tell(GuardEvent::Started(started(&settings, &parts, false)));
        before.tell(&desk);

        let mut handle = GuardHandle {
            desk: Arc::clone(&desk),
            stop: watch::Sender::new(false),
            chains: JoinSet::new(),
            alerts: JoinSet::new(),
            pages: JoinSet::new(),
            stop_alerts: watch::Sender::new(false),
            tape: tape.clone(),
            shipper,
            consent: consent.clone(),
            reloader: Reloader {
                chains: Vec::new(),
                ledger: Arc::clone(&ledger),
                settings: Arc::new(settings.clone()),
            },
        };
        let deliver = deliver::deliver(
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
        #[cfg(unix)]
        let control = settings.control.as_deref().map(build::control).transpose()?;
        let mut watched = Vec::new();
        for chain in &settings.chains {
            let source = NodeSource::new(
                Arc::clone(&chain.name),
                chain.chain_id,
                chain.nodes.clone(),
                Arc::clone(&parts.clock),
            )
            .with_block_time(chain.block_time_ms);
            let source = match chain.flow {
                Flow::Mempool => source,
                Flow::Blocks => source.without_mempool(),
                Flow::Flashblocks => source.with_slices(SLICE_MS),
            };
            if !chain.not_modelled.is_empty() {
                let words = chain.not_modelled.join("; ");
                desk.act(&chain.name, B256::ZERO, "not_modelled", words, None);
            }
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
                    consent: consent.clone(),
                },
            )
            .with_clerk()
            .map_err(|error| GuardError::Crashed(format!("no thread for the clerk: {error}")))?;
            // A recording holds no past, and a replay must come to the same verdicts.
            if let Some(journal) = settings.journal.as_ref().filter(|_| tape.is_none()) {
                let name = format!("memory-{}.jsonl", chain.chain_id);
                chain_of.past.keep_in(&journal.with_extension(name), chain.chain_id)?;
            }
            let chain_of = Arc::new(chain_of);
            handle.reloader.chains.push(Arc::clone(&chain_of));
            let favouring = Arc::clone(&chain_of);
            let source = source.favouring(Arc::new(move |tx| favouring.is_favoured(tx)));
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
                most_told: resume::most_told(chain.nodes.len()),
                mined_within: Duration::from_millis(chain.block_time_ms / 2),
            };
            handle.chains.spawn(runner.run(Box::new(source)));
        }
        let board = Arc::new(Board {
            desk: Arc::clone(&desk),
            chains: watched,
            protected: modes(&settings),
            consent: consent.clone(),
            counters,
            started: Instant::now(),
        });
        #[cfg(unix)]
        if let Some(control) = control {
            handle.pages.spawn(control.serve(Arc::clone(&board), handle.stop.subscribe()));
        }
        if let Some((listener, hosts)) = listener {
            if let Ok(address) = listener.local_addr() {
                desk.tell(GuardEvent::Listening { address: address.to_string() });
            }
            handle.pages.spawn(http::serve(listener, hosts, board, handle.stop.subscribe()));
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

    /// What puts other rules and another model in office. While a session is recorded there is none: a replay has but
    /// one set of rules.
    pub fn reloader(&self) -> Option<Reloader> {
        self.tape.is_none().then(|| self.reloader.clone())
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
        // Pauses that wait for people are under way; they must not keep the chains from ending.
        if let Some(consent) = &self.consent {
            consent.close();
        }
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
