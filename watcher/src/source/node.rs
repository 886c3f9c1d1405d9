//! Nodes over WebSocket: connected, checked, subscribed, and connected again whenever they drop.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::primitives::{B256, U64};
use futures_util::{FutureExt as _, future::try_join_all};
use serde_json::{Value, json};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        watch,
    },
    time::{sleep, timeout},
};

use super::{
    BlockRecord, Clock, CoverageMeter, Gap, NodeLink, NodeUrl, PendingTransaction, Refusal, Source,
    SourceError, SourceEvent, SourceTask,
    patience::{Late, Patience, Standings},
    recent::Recent,
    rpc::{Client, Notifications, RpcError, RpcLimits},
    wire,
};

/// Missed heads that are fetched at most, the newest; full nodes keep the state of 128 blocks.
const BACKFILL_LIMIT: usize = 120;
/// Hashes of transactions that are remembered so that the same one is not told twice.
const SEEN_LIMIT: usize = 65_536;
/// Hashes that are asked for in one message.
const FETCH_BATCH: usize = 100;

/// The part of the channel, one in so many, that is kept for favoured transactions.
const FAVOURED_SHARE: usize = 8;

/// Picks the transactions that find room last.
pub type Favour = Arc<dyn Fn(&PendingTransaction) -> bool + Send + Sync>;

/// Where a chain's transactions can be seen before they are mined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// In a public pool that nodes tell of.
    InPool,
    /// In the block under construction, which is read at this interval.
    InSlices { every_ms: u64 },
    /// Nowhere.
    Nowhere,
}

/// One node as configured.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// Its name in logs and events.
    pub name: Arc<str>,
    /// Its address.
    pub url: NodeUrl,
}

/// How soon a lost node is tried again: `first_ms`, doubled with every failure, never more than `most_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure, milliseconds.
    pub first_ms: u64,
    /// At most, milliseconds.
    pub most_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first_ms: 250, most_ms: 30_000 }
    }
}

impl Backoff {
    /// Wait before attempt number `attempt`, the first failure's being 1.
    pub fn after_ms(&self, attempt: u32) -> u64 {
        let factor = 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        self.first_ms.saturating_mul(factor).min(self.most_ms)
    }
}

/// The nodes of one chain.
pub struct NodeSource {
    chain: Arc<str>,
    chain_id: u64,
    pending: Announced,
    limits: RpcLimits,
    patience: Patience,
    favour: Favour,
    backoff: Backoff,
    clock: Clock,
    nodes: Vec<(NodeSettings, watch::Sender<Option<Client>>, NodeLink)>,
    coverage: CoverageMeter,
    fetched: Arc<AtomicU64>,
    resume_after: Option<u64>,
}

impl fmt::Debug for NodeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeSource")
            .field("chain", &self.chain)
            .field("chain_id", &self.chain_id)
            .field("nodes", &self.nodes.iter().map(|(node, _, _)| node).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl NodeSource {
    /// Nodes that all serve `chain_id`. `clock` gives milliseconds since the epoch.
    pub fn new(chain: Arc<str>, chain_id: u64, nodes: Vec<NodeSettings>, clock: Clock) -> Self {
        let coverage = CoverageMeter::new(nodes.iter().map(|node| Arc::clone(&node.name)));
        let nodes = nodes
            .into_iter()
            .map(|node| {
                let (set, link) = NodeLink::new(Arc::clone(&node.name));
                (node, set, link)
            })
            .collect();
        Self {
            chain,
            chain_id,
            pending: Announced::InPool,
            limits: RpcLimits::default(),
            patience: Patience::default(),
            favour: Arc::new(|_| true),
            backoff: Backoff::default(),
            clock,
            nodes,
            coverage,
            fetched: Arc::default(),
            resume_after: None,
        }
    }

    /// With other limits for each connection.
    #[must_use]
    pub fn with_limits(mut self, limits: RpcLimits) -> Self {
        self.limits = limits;
        self
    }

    /// With limits and patience that fit the usual time between the chain's blocks, milliseconds.
    #[must_use]
    pub fn with_block_time(mut self, block_time_ms: u64) -> Self {
        self.patience = Patience::of(block_time_ms);
        self.limits.silence_ms = self.patience.silence_ms(self.limits.silence_ms);
        self
    }

    /// With another patience for heads that do not come.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Keeps the last part of the channel for transactions that `favour` picks: a flood of others cannot fill it.
    #[must_use]
    pub fn favouring(mut self, favour: Favour) -> Self {
        self.favour = favour;
        self
    }

    /// With another back-off.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Heads alone, for chains without a public pool.
    #[must_use]
    pub fn without_mempool(mut self) -> Self {
        self.pending = Announced::Nowhere;
        self
    }

    /// Heads, and the block under construction read through the `pending` tag every so many milliseconds, for chains
    /// whose sequencer publishes its blocks in slices (Flashblocks: every 200 ms).
    #[must_use]
    pub fn with_slices(mut self, every_ms: u64) -> Self {
        self.pending = Announced::InSlices { every_ms: every_ms.max(1) };
        self
    }

    /// Begins with the head at this height, as far as the back-fill reaches, instead of the newest; the heads that
    /// come after it are followed by a [`Gap`].
    #[must_use]
    pub fn resuming_after(mut self, head: Option<u64>) -> Self {
        self.resume_after = head;
        self
    }

    /// How much of what is mined was seen pending; it counts while the stream runs.
    pub fn coverage(&self) -> CoverageMeter {
        self.coverage.clone()
    }

    /// How many pending transactions were announced by hash and fetched; it counts while the stream runs.
    pub fn fetched(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.fetched)
    }

    /// Handles to the nodes, in configured order; they answer while the stream runs.
    pub fn links(&self) -> Vec<NodeLink> {
        self.nodes.iter().map(|(_, _, link)| link.clone()).collect()
    }
}

impl Source for NodeSource {
    fn chain(&self) -> Arc<str> {
        Arc::clone(&self.chain)
    }

    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn start(self: Box<Self>, capacity: usize) -> (mpsc::Receiver<SourceEvent>, SourceTask) {
        let (events, receiver) = mpsc::channel(capacity.max(1));
        let resume_after = Mutex::new(self.resume_after);
        let shared = Arc::new(Shared { resume_after, ..Shared::default() });
        let tasks: Vec<_> = self
            .nodes
            .into_iter()
            .enumerate()
            .map(|(place, (settings, link, _))| {
                NodeTask {
                    place,
                    coverage: self.coverage.clone(),
                    fetched: Arc::clone(&self.fetched),
                    chain: Arc::clone(&self.chain),
                    chain_id: self.chain_id,
                    pending: self.pending,
                    limits: self.limits,
                    patience: self.patience,
                    favour: Arc::clone(&self.favour),
                    backoff: self.backoff,
                    clock: Arc::clone(&self.clock),
                    settings,
                    link,
                    events: events.clone(),
                    shared: Arc::clone(&shared),
                    refused: Mutex::default(),
                }
                .run()
            })
            .collect();
        drop(events);
        (receiver, Box::pin(try_join_all(tasks).map(|done| done.map(drop))))
    }
}

/// What the nodes of one chain know together.
#[derive(Default)]
struct Shared {
    seen: Mutex<Recent<B256>>,
    /// Where each node stands.
    standings: Standings,
    /// Heads told, newest last. Held while heads are told, so that they come in order.
    heads: tokio::sync::Mutex<VecDeque<(u64, B256)>>,
    /// Where a guard before this one was; taken by whoever tells the first head.
    resume_after: Mutex<Option<u64>>,
}

struct NodeTask {
    /// Its place among the nodes of its chain.
    place: usize,
    coverage: CoverageMeter,
    fetched: Arc<AtomicU64>,
    chain: Arc<str>,
    chain_id: u64,
    pending: Announced,
    limits: RpcLimits,
    patience: Patience,
    favour: Favour,
    backoff: Backoff,
    clock: Clock,
    settings: NodeSettings,
    link: watch::Sender<Option<Client>>,
    events: mpsc::Sender<SourceEvent>,
    shared: Arc<Shared>,
    refused: Mutex<BTreeMap<&'static str, Refused>>,
}

/// How often something was refused, and whether the last time is still to be told.
struct Refused {
    count: u64,
    untold: Option<Refusal>,
}

/// Why a session with a node ended.
enum Ended {
    /// Nobody listens any more.
    Unheard,
    /// It makes no sense to go on.
    Fatal(SourceError),
    /// The node is lost; `was_up` tells whether it had been subscribed to.
    Lost { reason: RpcError, was_up: bool },
    /// The node answers, but its heads are not to be waited for.
    Late(Late),
}

impl NodeTask {
    async fn run(self) -> Result<(), SourceError> {
        let mut attempt = 0_u32;
        loop {
            let ended = self.session().await;
            self.link.send_replace(None);
            self.shared.standings.lost(self.place);
            let (reason, was_sound) = match ended {
                Ended::Unheard => return Ok(()),
                Ended::Fatal(error) => return Err(error),
                Ended::Lost { reason, was_up } => (reason.to_string(), was_up),
                // It may be late again as soon as it is back, so it is tried ever more rarely.
                Ended::Late(late) => (late.to_string(), false),
            };
            attempt = if was_sound { 1 } else { attempt.saturating_add(1) };
            let retry_in_ms = self.backoff.after_ms(attempt);
            let down = SourceEvent::Down {
                node: Arc::clone(&self.settings.name),
                chain: Arc::clone(&self.chain),
                reason,
                attempt,
                retry_in_ms,
            };
            if self.events.send(down).await.is_err() {
                return Ok(());
            }
            tokio::select! {
                () = sleep(Duration::from_millis(retry_in_ms)) => {}
                () = self.events.closed() => return Ok(()),
            }
        }
    }

    async fn session(&self) -> Ended {
        let name = Arc::clone(&self.settings.name);
        let connected = tokio::select! {
            connected = Client::connect(name, &self.settings.url, self.limits) => connected,
            () = self.events.closed() => return Ended::Unheard,
        };
        let (client, told, driver) = match connected {
            Ok(connected) => connected,
            Err(reason) => return Ended::Lost { reason, was_up: false },
        };
        let mut was_up = false;
        tokio::select! {
            ended = self.follow(&client, told, &mut was_up) => match ended {
                Ended::Lost { reason, .. } => Ended::Lost { reason, was_up },
                other => other,
            },
            reason = driver => Ended::Lost { reason, was_up },
            () = self.events.closed() => Ended::Unheard,
        }
    }

    async fn follow(&self, client: &Client, told: Notifications, was_up: &mut bool) -> Ended {
        let setup = async {
            let found = quantity(client.request("eth_chainId", json!([])).await?, "eth_chainId")?;
            if found != self.chain_id {
                return Ok(Some(found));
            }
            client.request("eth_subscribe", json!(["newHeads"])).await?;
            if self.pending == Announced::InPool {
                self.subscribe_pending(client).await?;
            }
            Ok::<_, RpcError>(None)
        };
        match setup.await {
            Ok(None) => {}
            Ok(Some(found)) => {
                return Ended::Fatal(SourceError::WrongChain {
                    node: Arc::clone(&self.settings.name),
                    chain: Arc::clone(&self.chain),
                    expected: self.chain_id,
                    found,
                });
            }
            Err(reason) => return Ended::Lost { reason, was_up: false },
        }
        self.link.send_replace(Some(client.clone()));
        *was_up = true;
        let up = SourceEvent::Up {
            node: Arc::clone(&self.settings.name),
            chain: Arc::clone(&self.chain),
        };
        if self.events.send(up).await.is_err() {
            return Ended::Unheard;
        }
        let Notifications { heads, pending, dropped } = told;
        let announced = heads.clone();
        let follow_pending = async {
            match self.pending {
                Announced::InPool => self.follow_pending(client, pending, &dropped).await,
                Announced::InSlices { every_ms } => self.follow_slices(client, every_ms).await,
                Announced::Nowhere => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = self.follow_heads(client, heads) => ended,
            ended = follow_pending => ended,
            ended = self.watch_heads(client, announced) => ended,
        }
    }

    /// Ends as soon as the node's heads come too late to be waited for.
    async fn watch_heads(&self, client: &Client, heads: watch::Receiver<Option<Value>>) -> Ended {
        let (standings, patience) = (&self.shared.standings, &self.patience);
        // What it said the last time that it was asked: an announcement may just be on its way.
        let mut said = None;
        loop {
            sleep(patience.ask_every()).await;
            let overdue = standings.overdue(self.place, patience, Instant::now());
            if let Some(late) = standings.behind(self.place, patience, overdue.is_some()) {
                return Ended::Late(late);
            }
            let Some(told) = overdue else {
                said = None;
                continue;
            };
            let asked = client.request("eth_blockNumber", json!([]));
            let Ok(answer) = timeout(patience.answer_within(), asked).await else {
                return Ended::Late(Late::Frozen { after_ms: patience.answer_ms });
            };
            // One that is announced and not yet fetched is no fault of the node's.
            let newest = heads.borrow().as_ref().and_then(|head| head.get("number").cloned());
            let newest = newest.and_then(|number| quantity(number, "newHeads").ok());
            let announced = newest.map_or(told, |newest| newest.max(told));
            match answer.and_then(|answer| quantity(answer, "eth_blockNumber")) {
                // The chain itself stands still, or we are the ones who are late.
                Ok(reached) if reached <= announced => {
                    standings.renew(self.place, Instant::now());
                }
                Ok(reached) if said.is_some_and(|said| said > announced) => {
                    return Ended::Late(Late::Mute { announced, reached });
                }
                Ok(reached) => said = Some(reached),
                Err(reason) => return Ended::Lost { reason, was_up: true },
            }
        }
    }

    /// Reads the block under construction again and again; ends only when the node is lost or refuses to show it.
    async fn follow_slices(&self, client: &Client, every_ms: u64) -> Ended {
        loop {
            let slice = client.request("eth_getBlockByNumber", json!(["pending", true])).await;
            match slice {
                Ok(block) => self.take_slice(block),
                Err(reason) => return Ended::Lost { reason, was_up: true },
            }
            self.tell_refused();
            sleep(Duration::from_millis(every_ms)).await;
        }
    }

    /// Whole transactions where the node gives them, hashes where it does not.
    async fn subscribe_pending(&self, client: &Client) -> Result<(), RpcError> {
        match client.request("eth_subscribe", json!(["newPendingTransactions", true])).await {
            Err(RpcError::Refused { .. }) => {
                client.request("eth_subscribe", json!(["newPendingTransactions"])).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    async fn follow_heads(
        &self,
        client: &Client,
        mut heads: watch::Receiver<Option<Value>>,
    ) -> Ended {
        // The head that stands is told first: state needs one before the next block comes.
        let mut announced = json!("latest");
        loop {
            match self.tell_head(client, announced).await {
                Ok(true) => {}
                Ok(false) => return Ended::Unheard,
                Err(reason) => return Ended::Lost { reason, was_up: true },
            }
            if heads.changed().await.is_err() {
                return Ended::Lost { reason: gone(), was_up: true };
            }
            let hash =
                heads.borrow_and_update().as_ref().and_then(|head| head.get("hash").cloned());
            announced = hash.unwrap_or_else(|| json!("latest"));
        }
    }

    /// Fetches the announced block and those missed below it, and tells them oldest first; false when nobody listens.
    async fn tell_head(&self, client: &Client, announced: Value) -> Result<bool, RpcError> {
        let newest = self.fetch_block(client, announced).await?;
        self.shared.standings.told(self.place, newest.number, Instant::now());
        let mut told = self.shared.heads.lock().await;
        if told.iter().any(|(_, hash)| *hash == newest.hash) {
            return Ok(true);
        }
        // Both are kept until all heads were told: a node that is lost on the way leaves the work to the next.
        let resume_after = *self.resume_after();
        let before = told.back().map(|(number, _)| *number);
        let last = newest.number;
        let mut missed = vec![newest];
        while let Some(lowest) = missed.last()
            && lowest.number > 0
            && missed.len() <= BACKFILL_LIMIT
            && match resume_after {
                Some(after) if told.is_empty() => lowest.number > after,
                _ => !told.is_empty() && !told.iter().any(|(_, hash)| *hash == lowest.parent_hash),
            }
        {
            let below = self.fetch_block(client, json!(lowest.parent_hash)).await?;
            missed.push(below);
        }
        self.tell_refused();
        let first = missed.last().map_or(last, |lowest| lowest.number);
        for block in missed.into_iter().rev() {
            // What the first head holds was mined before anybody listened.
            if before.is_some() {
                self.coverage.mined(&block);
            }
            told.push_back((block.number, block.hash));
            if told.len() > 4 * BACKFILL_LIMIT {
                told.pop_front();
            }
            if self.events.send(SourceEvent::Head(Arc::new(block))).await.is_err() {
                return Ok(false);
            }
        }
        let gap = match (before, self.resume_after().take()) {
            (None, Some(after)) => Some(Gap { after, first, last, is_restart: true }),
            (Some(after), _) => Some(Gap { after, first, last, is_restart: false })
                .filter(|gap| gap.untold_blocks() > 0),
            (None, None) => None,
        };
        if let Some(gap) = gap
            && self.events.send(SourceEvent::Gap(gap)).await.is_err()
        {
            return Ok(false);
        }
        Ok(true)
    }

    fn resume_after(&self) -> MutexGuard<'_, Option<u64>> {
        self.shared.resume_after.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch_block(&self, client: &Client, which: Value) -> Result<BlockRecord, RpcError> {
        let method = if which == "latest" { "eth_getBlockByNumber" } else { "eth_getBlockByHash" };
        let asked: Option<B256> = serde_json::from_value(which.clone()).ok();
        let answer = client.request(method, json!([which, true])).await?;
        let (block, refusals) = wire::block(answer, (self.clock)(), &self.settings.name)
            .map_err(|expected| RpcError::Malformed { method: method.into(), expected })?;
        if let Some(asked) = asked
            && asked != block.hash
        {
            return Err(RpcError::Malformed {
                method: method.into(),
                expected: format!("block {asked}"),
            });
        }
        for refusal in refusals {
            self.refuse(refusal);
        }
        Ok(block)
    }

    async fn follow_pending(
        &self,
        client: &Client,
        mut pending: mpsc::Receiver<Value>,
        dropped: &std::sync::atomic::AtomicU64,
    ) -> Ended {
        if let Err(reason) = self.catch_up(client).await {
            return Ended::Lost { reason, was_up: true };
        }
        let mut dropped_before = 0;
        let mut hashes = Vec::new();
        loop {
            let told = tokio::select! {
                told = pending.recv() => told,
                room = self.events.reserve(), if self.has_untold() => {
                    drop(room);
                    self.tell_refused();
                    continue;
                }
            };
            let Some(told) = told else { return Ended::Lost { reason: gone(), was_up: true } };
            self.take_pending(told, &mut hashes);
            while hashes.len() < FETCH_BATCH
                && let Ok(told) = pending.try_recv()
            {
                self.take_pending(told, &mut hashes);
            }
            if !hashes.is_empty()
                && let Err(reason) = self.fetch_pending(client, std::mem::take(&mut hashes)).await
            {
                return Ended::Lost { reason, was_up: true };
            }
            let dropped_now = dropped.load(Ordering::Relaxed);
            for _ in dropped_before..dropped_now {
                self.refuse(Refusal::ChannelFull);
            }
            dropped_before = dropped_now;
            self.tell_refused();
            // A node that never stops telling must not keep heads waiting.
            tokio::task::yield_now().await;
        }
    }

    /// What waited before we listened, as far as the node would mine it next. A whole pool may be larger than any
    /// message should be, so it is not asked for.
    async fn catch_up(&self, client: &Client) -> Result<(), RpcError> {
        let block = match client.request("eth_getBlockByNumber", json!(["pending", true])).await {
            Ok(block) => block,
            Err(RpcError::Refused { .. }) => return Ok(()),
            Err(reason) => return Err(reason),
        };
        self.take_slice(block);
        Ok(())
    }

    /// Whole transactions of a block under construction.
    fn take_slice(&self, mut block: Value) {
        let waiting =
            block.get_mut("transactions").and_then(Value::as_array_mut).map(std::mem::take);
        for whole in waiting.unwrap_or_default() {
            if whole.is_object() {
                self.take_pending(whole, &mut Vec::new());
            }
        }
    }

    fn take_pending(&self, told: Value, hashes: &mut Vec<B256>) {
        match told {
            Value::String(_) => match serde_json::from_value::<B256>(told) {
                Ok(hash) => {
                    self.coverage.told(self.place, hash);
                    if self.is_new(hash) {
                        hashes.push(hash);
                    }
                }
                Err(error) => self.refuse(Refusal::Undecodable { detail: error.to_string() }),
            },
            whole => {
                let hash = whole
                    .get("hash")
                    .and_then(Value::as_str)
                    .and_then(|hash| hash.parse::<B256>().ok());
                if let Some(hash) = hash {
                    self.coverage.told(self.place, hash);
                }
                if hash.is_none_or(|hash| self.is_new(hash)) {
                    self.tell_pending(whole);
                }
            }
        }
    }

    async fn fetch_pending(&self, client: &Client, hashes: Vec<B256>) -> Result<(), RpcError> {
        let calls = hashes.iter().map(|hash| ("eth_getTransactionByHash", json!([hash]))).collect();
        for (hash, answer) in hashes.iter().zip(client.batch(calls).await?) {
            match answer {
                Ok(Value::Null) | Err(RpcError::Refused { .. }) => {
                    self.seen(|seen| seen.remove(hash));
                    self.refuse(Refusal::Gone);
                }
                Ok(whole) => {
                    self.fetched.fetch_add(1, Ordering::Relaxed);
                    self.tell_pending(whole);
                }
                Err(reason) => return Err(reason),
            }
        }
        Ok(())
    }

    fn tell_pending(&self, whole: Value) {
        match wire::transaction(whole, (self.clock)(), &self.settings.name) {
            Ok(tx) => {
                let hash = tx.hash;
                let is_spare = self.events.capacity() > self.events.max_capacity() / FAVOURED_SHARE;
                let has_room = is_spare || (self.favour)(&tx);
                if !has_room || self.events.try_send(SourceEvent::Pending(Arc::new(tx))).is_err() {
                    self.seen(|seen| seen.remove(&hash));
                    self.refuse(Refusal::ChannelFull);
                }
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn is_new(&self, hash: B256) -> bool {
        self.seen(|seen| seen.insert(hash, SEEN_LIMIT))
    }

    fn seen<R>(&self, work: impl FnOnce(&mut Recent<B256>) -> R) -> R {
        work(&mut self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts, and tells so as soon as there is room; the count that is told includes those before it.
    fn refuse(&self, reason: Refusal) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = refused.entry(reason.kind()).or_insert(Refused { count: 0, untold: None });
        kind.count += 1;
        kind.untold = Some(reason);
        drop(refused);
        self.tell_refused();
    }

    fn has_untold(&self) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.values().any(|kind| kind.untold.is_some())
    }

    fn tell_refused(&self) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in refused.values_mut() {
            let Some(reason) = kind.untold.take() else { continue };
            let event = SourceEvent::Refused {
                node: Arc::clone(&self.settings.name),
                reason,
                count: kind.count,
            };
            if let Err(TrySendError::Full(SourceEvent::Refused { reason, .. })) =
                self.events.try_send(event)
            {
                kind.untold = Some(reason);
                break;
            }
        }
    }
}

fn gone() -> RpcError {
    RpcError::Closed { reason: "the connection ended".into() }
}

fn quantity(value: Value, method: &str) -> Result<u64, RpcError> {
    serde_json::from_value::<U64>(value).map(|quantity| quantity.to()).map_err(|_| {
        RpcError::Malformed { method: method.into(), expected: "a hexadecimal quantity".into() }
    })
}
