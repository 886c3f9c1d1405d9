//! The loop of one chain over its nodes.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::primitives::B256;
use portcullis_alerting::{
    guardian::GuardianError,
    notify::{Alert, Severity},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet, spawn_blocking},
};

use super::{
    GuardError,
    block::{advance, go_back, judge_block},
    chain::{Chain, Done, Job},
    gate::{carry_on, carry_out},
    queue::{Intake, WorkQueue},
    resume::{self, MadeUp, Resume},
};
use crate::{
    act::GuardEvent,
    settings::ChannelSettings,
    source::{BlockRecord, CoverageMeter, Gap, Offered, Source, SourceEvent, recording::Tape},
    verdict::Unjudged,
};

/// Transactions that wait for a later head.
pub(super) const WAITING_LIMIT: usize = 2_048;
/// How long pauses under way may take to end when the guard stops.
const PURSUIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Watches one chain's nodes.
pub(super) struct Runner {
    pub(super) chain: Arc<Chain>,
    pub(super) channels: ChannelSettings,
    pub(super) workers: usize,
    pub(super) ask_every: Duration,
    pub(super) stop: watch::Receiver<bool>,
    /// Where the session is recorded; with it, one transaction is judged after the other.
    pub(super) tape: Option<Arc<Tape>>,
    /// How much of what is mined was seen pending; none where there is no public pool.
    pub(super) coverage: Option<CoverageMeter>,
    /// Where a guard before this one ended.
    pub(super) resume: Option<Resume>,
    /// Pending transactions that may wait in all channels together.
    pub(super) most_waiting: u64,
    /// Those of them that wait between the nodes and the source.
    pub(super) most_told: u64,
    /// How long what was mined unseen may keep a head waiting.
    pub(super) mined_within: Duration,
}

/// What a worker hands back.
enum Finished {
    /// A pause is under way; it was not made to wait for the loop.
    Pause(JoinHandle<()>),
    /// The job may be done at a later head.
    Waiting(Job),
}

/// What a runner holds while it runs.
struct Running {
    chain: Arc<Chain>,
    ask_every: Duration,
    work: Intake<Job>,
    /// The loop's own end; with it and those of the workers gone, nothing more can be finished.
    finished: mpsc::Sender<Finished>,
    waiting: VecDeque<Job>,
    /// Pauses and what prepares them; each may end the chain with an error.
    tasks: JoinSet<Result<(), GuardError>>,
    has_preflight: bool,
    readiness: Arc<Readiness>,
    tape: Option<Arc<Tape>>,
    coverage: Option<CoverageMeter>,
    /// Mined and seen, as they were told last.
    covered: (u64, u64),
    resume: Option<Resume>,
    most_waiting: u64,
    outage: Outage,
    mined_within: Duration,
    /// What was judged of the blocks that are made up for.
    made_up: MadeUp,
}

/// Times without any node.
#[derive(Debug)]
struct Outage {
    up: BTreeSet<Arc<str>>,
    /// When a node told anything for the last time.
    heard: Instant,
    /// Since when nothing was heard, once all nodes are gone.
    dark_since: Option<Instant>,
    /// Pending transactions that may be lost with them.
    most_lost: u64,
}

impl Outage {
    /// For how long nothing was heard, milliseconds, where a node just came back after all were gone.
    fn node_up(&mut self, node: &Arc<str>) -> Option<u64> {
        self.up.insert(Arc::clone(node));
        let dark = self.dark_since.take()?.elapsed();
        Some(u64::try_from(dark.as_millis()).unwrap_or(u64::MAX))
    }

    fn node_down(&mut self, node: &Arc<str>) {
        // A node that could not even be reached was not up.
        if self.up.remove(node) && self.up.is_empty() {
            self.dark_since = Some(self.heard);
        }
    }
}

/// What must be there before a chain is [`GuardEvent::Ready`].
#[derive(Debug, Default)]
struct Readiness {
    has_head: AtomicBool,
    has_preflight: AtomicBool,
    is_told: AtomicBool,
}

impl Readiness {
    /// Says so once, as soon as nothing is missing.
    fn note(&self, chain: &Chain, what: &AtomicBool) {
        what.store(true, Ordering::SeqCst);
        let is_ready =
            self.has_head.load(Ordering::SeqCst) && self.has_preflight.load(Ordering::SeqCst);
        if is_ready && !self.is_told.swap(true, Ordering::SeqCst) {
            chain.desk.tell(GuardEvent::Ready { chain: chain.name.clone() });
        }
    }
}

impl Runner {
    /// Runs until it is stopped, the source ends, or going on makes no sense.
    pub(super) async fn run(mut self, source: Box<dyn Source>) -> Result<(), GuardError> {
        let (mut events, task) = source.start(self.channels.source);
        let mut source = tokio::spawn(task);
        let queue = Arc::new(WorkQueue::new(self.channels.work));
        let (done, mut finished) = mpsc::channel(self.channels.work.max(1));
        let is_closing = Arc::new(AtomicBool::new(false));
        let workers = self.spawn_workers(&queue, &done, &is_closing);
        let mut running = Running {
            chain: Arc::clone(&self.chain),
            ask_every: self.ask_every,
            work: Intake::new(queue),
            finished: done,
            waiting: VecDeque::new(),
            tasks: JoinSet::new(),
            has_preflight: false,
            readiness: Arc::default(),
            tape: self.tape.clone(),
            coverage: self.coverage.clone(),
            covered: (0, 0),
            resume: self.resume.take(),
            most_waiting: self.most_waiting,
            outage: Outage {
                up: BTreeSet::new(),
                heard: Instant::now(),
                dark_since: None,
                most_lost: self.most_told,
            },
            mined_within: self.mined_within,
            made_up: MadeUp::default(),
        };
        let ended: Result<(), GuardError> = loop {
            tokio::select! {
                () = stopped(&mut self.stop) => break Ok(()),
                Some(done) = finished.recv() => running.finish(done),
                event = events.recv() => match event {
                    Some(SourceEvent::End) => break Ok(()),
                    Some(event) => running.take(event).await,
                    // The source let go of its channel: it says why when it ends.
                    None => break match (&mut source).await {
                        Ok(told) => told.map_err(GuardError::from),
                        Err(error) => Err(GuardError::Crashed(error.to_string())),
                    },
                },
                Some(task) = running.tasks.join_next() => match task {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break Err(error),
                    Err(error) => tracing::error!(target: "watcher::daemon", %error, "task crashed"),
                },
            }
        };
        source.abort();
        is_closing.store(true, Ordering::SeqCst);
        events.close();
        while let Ok(event) = events.try_recv() {
            if let SourceEvent::Pending(_) = event {
                self.chain.desk.drop_one(&self.chain.name, "stopped");
            }
        }
        running.end(finished, workers).await;
        let failure = ended.as_ref().err().map(ToString::to_string);
        self.chain.desk.tell(GuardEvent::ChainEnded { chain: self.chain.name.clone(), failure });
        ended
    }

    /// Threads that simulate: misses in the state block, which must not happen on the reactor.
    fn spawn_workers(
        &self,
        queue: &Arc<WorkQueue<Job>>,
        done: &mpsc::Sender<Finished>,
        is_closing: &Arc<AtomicBool>,
    ) -> Vec<JoinHandle<()>> {
        let worker = |_| {
            let worker = Worker {
                chain: Arc::clone(&self.chain),
                ask_every: self.ask_every,
                done: done.clone(),
                runtime: Handle::current(),
            };
            let (queue, is_closing) = (Arc::clone(queue), Arc::clone(is_closing));
            spawn_blocking(move || {
                while let Some(job) = queue.pop() {
                    worker.chain.metrics.waiting.store(queue.len(), Ordering::Relaxed);
                    if is_closing.load(Ordering::SeqCst) {
                        worker.chain.desk.drop_one(&worker.chain.name, "stopped");
                    } else {
                        worker.work(job);
                    }
                }
            })
        };
        (0..self.workers).map(worker).collect()
    }
}

/// One thread's share of the work.
pub(super) struct Worker {
    pub(super) chain: Arc<Chain>,
    ask_every: Duration,
    done: mpsc::Sender<Finished>,
    runtime: Handle,
}

impl Worker {
    pub(super) fn work(&self, job: Job) {
        let finished = match self.chain.work(job) {
            Done::Settled(pursuits) => pursuits
                .into_iter()
                .map(|pursuit| {
                    let pause = carry_out(Arc::clone(&self.chain), pursuit, self.ask_every);
                    Finished::Pause(self.runtime.spawn(pause))
                })
                .collect(),
            Done::Waiting(job) => vec![Finished::Waiting(job)],
        };
        for finished in finished {
            // Never waits: the loop may be waiting for this very thread to take a block over.
            if let Err(refused) = self.done.try_send(finished)
                && let Finished::Waiting(job) = refused.into_inner()
            {
                too_many_wait(&self.chain, &job);
            }
        }
    }
}

impl Running {
    async fn take(&mut self, event: SourceEvent) {
        let chain = Arc::clone(&self.chain);
        if matches!(event, SourceEvent::Pending(_) | SourceEvent::Head(_)) {
            self.outage.heard = Instant::now();
        }
        match event {
            SourceEvent::Pending(tx) if self.is_before_recording() => {
                let job = Job::taken(tx, chain.desk.now_ms());
                self.wait(job);
            }
            SourceEvent::Pending(tx) => self.offer(Job::taken(tx, chain.desk.now_ms())).await,
            SourceEvent::Head(block) => self.advance(block).await,
            SourceEvent::Gap(gap) => self.close_gap(&gap),
            SourceEvent::Up { ref node, .. } => {
                if let Some(dark_ms) = self.outage.node_up(node) {
                    let most_lost = self.outage.most_lost;
                    let words = resume::outage_words(dark_ms, chain.head(), most_lost);
                    chain.desk.act(&chain.name, B256::ZERO, "gap", words, None);
                }
                tell(&chain, event);
                self.prepare_pause();
            }
            SourceEvent::Down { ref node, .. } => {
                self.outage.node_down(node);
                tell(&chain, event);
            }
            other => tell(&chain, other),
        }
    }

    /// A recording begins with a head; what was told before it is judged, and written, right after it.
    fn is_before_recording(&self) -> bool {
        self.tape.is_some() && self.chain.simulator.state().head().is_none()
    }

    /// Takes a transaction in that was not seen before.
    async fn offer(&mut self, job: Job) {
        if self.chain.pool().insert(Arc::clone(&job.tx)) == Offered::Known {
            return;
        }
        self.chain.metrics.seen.fetch_add(1, Ordering::Relaxed);
        if let Some(tape) = &self.tape {
            tape.pending(&job.tx);
        }
        self.enqueue(job).await;
    }

    /// Hands a job to the workers; while a session is recorded, waits until it is done.
    async fn enqueue(&mut self, job: Job) {
        if self.tape.is_some() {
            self.judge_now(job).await;
            return;
        }
        let priority = self.chain.acquaintances.priority(&job.tx, &self.chain.protected);
        self.chain.metrics.queued(priority);
        self.chain.metrics.waiting.store(self.work.len() + 1, Ordering::Relaxed);
        if let Some((left_out, job)) = self.work.push(priority, job) {
            let reason = "no room in the work queue, where the more urgent goes first".to_owned();
            self.chain.settle_unjudged(&job, Unjudged::NotJudged { reason });
            self.chain.metrics.skipped(left_out);
            self.chain.desk.drop_one(&self.chain.name, "work");
        }
    }

    async fn judge_now(&mut self, job: Job) {
        let chain = Arc::clone(&self.chain);
        match spawn_blocking(move || chain.work(job)).await {
            Ok(Done::Settled(pursuits)) => {
                for pursuit in pursuits {
                    let pause = carry_out(Arc::clone(&self.chain), pursuit, self.ask_every);
                    self.tasks.spawn(async move {
                        pause.await;
                        Ok(())
                    });
                }
            }
            Ok(Done::Waiting(job)) => self.wait(job),
            Err(error) => {
                tracing::error!(target: "watcher::daemon", %error, "a judgement crashed");
            }
        }
    }

    async fn advance(&mut self, block: Arc<BlockRecord>) {
        let is_first = self.is_before_recording();
        if let Some(tape) = &self.tape {
            tape.head(&block);
        }
        let went_back = match &self.tape {
            Some(_) => {
                let (chain, block) = (Arc::clone(&self.chain), Arc::clone(&block));
                spawn_blocking(move || go_back(&chain, &block)).await.ok()
            }
            None => None,
        };
        // Without a head below there is nothing to judge a block on.
        if !is_first && self.tape.is_some() {
            for (place, tx) in block.transactions.iter().enumerate() {
                if self.chain.pool().insert(Arc::clone(tx)) != Offered::Known {
                    let job = Job::taken(Arc::clone(tx), self.chain.desk.now_ms());
                    self.judge_now(job.mined_in(&block, place)).await;
                }
            }
        }
        let moved = Arc::clone(&block);
        let judge = self.tape.is_none().then(|| Worker {
            chain: Arc::clone(&self.chain),
            ask_every: self.ask_every,
            done: self.finished.clone(),
            runtime: Handle::current(),
        });
        let chain = Arc::clone(&self.chain);
        let (resume, within) = (self.resume.clone(), self.mined_within);
        let advanced = spawn_blocking(move || {
            let went_back = went_back.unwrap_or_else(|| go_back(&chain, &moved));
            let made_up = judge.map(|judge| judge_block(&judge, &moved, resume.as_ref(), within));
            advance(&chain, &moved, went_back);
            made_up.unwrap_or_default()
        });
        match advanced.await {
            Ok(MadeUp { judged, known }) => {
                self.made_up.judged += judged;
                self.made_up.known += known;
            }
            Err(error) => {
                tracing::error!(target: "watcher::daemon", %error, "head not taken over");
            }
        }
        self.readiness.note(&self.chain, &self.readiness.has_head);
        self.go_on_asking();
        self.tell_coverage();
        self.chain.pool().mined(&block);
        for job in std::mem::take(&mut self.waiting) {
            if is_first {
                self.offer(job).await;
            } else {
                self.enqueue(job).await;
            }
        }
        if let Some(hand) = self.chain.hand.clone() {
            self.tasks.spawn(async move {
                // Firing reads the nonce itself where this failed.
                if let Err(error) = hand.refresh().await {
                    tracing::debug!(target: "watcher::daemon", %error, "nonce not read ahead");
                }
                Ok(())
            });
        }
    }

    /// Listens again for the answers to what people were asked before this start; they are acted on from a head on.
    fn go_on_asking(&mut self) {
        let Some(consent) = &self.chain.consent else { return };
        for standing in consent.standing(&self.chain.name) {
            let waited = carry_on(Arc::clone(&self.chain), standing, self.ask_every);
            self.tasks.spawn(async move {
                waited.await;
                Ok(())
            });
        }
    }

    /// What was not watched as it happened has its row in the journal.
    fn close_gap(&mut self, gap: &Gap) {
        let chain = Arc::clone(&self.chain);
        let resume = self.resume.take_if(|_| gap.is_restart);
        let away_ms = resume.map(|resume| resume.away_ms(chain.desk.now_ms()));
        let made_up = std::mem::take(&mut self.made_up);
        let made_up = if gap.is_restart { made_up } else { MadeUp::default() };
        let words = resume::words(gap, away_ms, made_up, self.most_waiting);
        chain.desk.act(&chain.name, B256::ZERO, "gap", words, None);
    }

    fn tell_coverage(&mut self) {
        let Some(meter) = &self.coverage else { return };
        let figures = meter.figures();
        let (mined, seen) = self.covered;
        if figures.mined == mined {
            return;
        }
        self.covered = (figures.mined, figures.seen);
        self.chain.desk.cover(figures.mined - mined, figures.seen - seen);
        self.chain.desk.tell(GuardEvent::Coverage {
            chain: self.chain.name.clone(),
            mined: figures.mined,
            seen: figures.seen,
            nodes: figures.nodes.iter().map(|(node, seen)| (node.to_string(), *seen)).collect(),
        });
    }

    fn finish(&mut self, finished: Finished) {
        match finished {
            Finished::Pause(pause) => {
                self.tasks.spawn(async move {
                    if let Err(error) = pause.await {
                        tracing::error!(target: "watcher::daemon", %error, "pause crashed");
                    }
                    Ok(())
                });
            }
            Finished::Waiting(job) => self.wait(job),
        }
    }

    fn wait(&mut self, job: Job) {
        self.waiting.push_back(job);
        if self.waiting.len() > WAITING_LIMIT
            && let Some(oldest) = self.waiting.pop_front()
        {
            too_many_wait(&self.chain, &oldest);
        }
    }

    /// Tries the pause out once a node is there: a key without the right must be known before it is needed.
    fn prepare_pause(&mut self) {
        if std::mem::replace(&mut self.has_preflight, true) {
            return;
        }
        let (chain, readiness) = (Arc::clone(&self.chain), Arc::clone(&self.readiness));
        let targets = chain.armed_targets();
        let Some(hand) = chain.hand.clone().filter(|_| !targets.is_empty()) else {
            readiness.note(&chain, &readiness.has_preflight);
            return;
        };
        self.tasks.spawn(async move {
            match hand.preflight(&targets).await {
                Ok(pauser) => {
                    chain.desk.tell(GuardEvent::PauseReady { chain: chain.name.clone(), pauser })
                }
                // These may pass by themselves; the guard is weaker until then, which people must know.
                Err(
                    error @ (GuardianError::Rpc { .. }
                    | GuardianError::WouldFail { .. }
                    | GuardianError::CoolingDown { .. }
                    | GuardianError::AlreadyPaused { .. }),
                ) => not_ready(&chain, &error),
                Err(source) => {
                    return Err(GuardError::Pause {
                        chain: chain.name.clone(),
                        source: Box::new(source),
                    });
                }
            }
            readiness.note(&chain, &readiness.has_preflight);
            Ok(())
        });
    }

    async fn end(mut self, mut finished: mpsc::Receiver<Finished>, workers: Vec<JoinHandle<()>>) {
        // Without work the workers end, and with them the last senders of what is finished.
        self.work.close();
        let (closed, _) = mpsc::channel(1);
        self.finished = closed;
        while let Some(done) = finished.recv().await {
            self.finish(done);
        }
        for worker in workers {
            if let Err(error) = worker.await {
                tracing::error!(target: "watcher::daemon", %error, "worker crashed");
            }
        }
        settle_waiting(&self.chain, self.waiting);
        let chain = Arc::clone(&self.chain);
        if let Err(error) = spawn_blocking(move || chain.settle_papers()).await {
            tracing::error!(target: "watcher::daemon", %error, "verdicts not written down");
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(PURSUIT_TIMEOUT, all).await.is_err() {
            tracing::warn!(target: "watcher::daemon", "stopped before the last pause was followed to its end");
        }
    }
}

/// Ends when the guard is stopped, also by being dropped.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

fn too_many_wait(chain: &Chain, job: &Job) {
    let reason = "too many transactions wait for a later head".to_owned();
    chain.settle_unjudged(job, Unjudged::NotMinable { reason });
    chain.desk.drop_one(&chain.name, "waiting");
}

pub(super) fn settle_waiting(chain: &Chain, waiting: VecDeque<Job>) {
    for job in waiting {
        let reason = "it never became minable while it was watched".to_owned();
        chain.settle_unjudged(&job, Unjudged::NotMinable { reason });
    }
}

fn not_ready(chain: &Chain, error: &GuardianError) {
    let reason = error.to_string();
    chain
        .desk
        .tell(GuardEvent::PauseNotReady { chain: chain.name.clone(), reason: reason.clone() });
    chain.desk.raise(Alert {
        incident: format!("{}/preflight", chain.name),
        severity: Severity::Critical,
        title: format!("{}: a pause would fail now", chain.name),
        text: reason,
        chain: chain.name.clone(),
        tx_hash: None,
        contract: None,
        at_ms: chain.desk.now_ms(),
    });
}

pub(super) fn tell(chain: &Chain, event: SourceEvent) {
    let name = chain.name.clone();
    let told = match event {
        SourceEvent::Up { node, .. } => GuardEvent::NodeUp { chain: name, node: node.to_string() },
        SourceEvent::Down { node, reason, attempt, retry_in_ms, .. } => GuardEvent::NodeDown {
            chain: name,
            node: node.to_string(),
            reason,
            attempt,
            retry_in_ms,
        },
        SourceEvent::Refused { node, reason, count } => {
            chain.metrics.refused(&node, &reason, count);
            GuardEvent::Refused {
                chain: name,
                node: node.to_string(),
                reason: reason.to_string(),
                count,
            }
        }
        _ => return,
    };
    chain.desk.tell(told);
}
