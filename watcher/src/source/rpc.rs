//! JSON-RPC over one WebSocket.
//!
//! [`Client::connect`] gives a handle to ask with, the streams of what the node tells unasked, and the future
//! that drives the socket. The client spawns nothing and holds no more than its limits say: what a node sends is
//! never trusted in size, order or shape.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc as blocking,
    },
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};

use super::NodeUrl;

/// What one connection may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpcLimits {
    /// Longest message taken, bytes.
    pub message_bytes: usize,
    /// Time until a connection must stand, milliseconds.
    pub connect_ms: u64,
    /// Time until a request must be answered, milliseconds.
    pub request_ms: u64,
    /// Silence after which a node counts as gone, milliseconds; it is pinged three times within.
    pub silence_ms: u64,
    /// Requests under way at once.
    pub in_flight: usize,
    /// Notifications that may wait.
    pub notifications: usize,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            message_bytes: 32 * 1024 * 1024,
            connect_ms: 10_000,
            request_ms: 10_000,
            silence_ms: 45_000,
            in_flight: 1024,
            notifications: 8192,
        }
    }
}

/// Why a node gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// No connection could be made.
    #[error("cannot connect: {reason}")]
    Connect {
        /// What was met, without the address.
        reason: String,
    },
    /// The connection is gone.
    #[error("connection lost: {reason}")]
    Closed {
        /// What was met.
        reason: String,
    },
    /// No answer in time.
    #[error("no answer to `{method}` within {after_ms} ms")]
    Timeout {
        /// Method asked for.
        method: String,
        /// The limit.
        after_ms: u64,
    },
    /// The node answered with an error.
    #[error("`{method}` refused with code {code}: {message}")]
    Refused {
        /// Method asked for.
        method: String,
        /// JSON-RPC error code.
        code: i64,
        /// The node's words, cut at 512 characters.
        message: String,
        /// The error's data member.
        data: Option<Value>,
    },
    /// The answer has not the shape that it must have.
    #[error("answer to `{method}` is malformed: expected {expected}")]
    Malformed {
        /// Method asked for.
        method: String,
        /// What it should have been.
        expected: String,
    },
    /// Too many requests wait for answers.
    #[error("`{method}` not sent: {in_flight} requests wait for answers already")]
    Busy {
        /// Method asked for.
        method: String,
        /// The limit.
        in_flight: usize,
    },
}

/// Asks one node. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    node: Arc<str>,
    limits: RpcLimits,
    next_id: Arc<AtomicU64>,
    outgoing: mpsc::Sender<Outgoing>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("node", &self.node).finish_non_exhaustive()
    }
}

/// What a node tells unasked.
#[derive(Debug)]
pub struct Notifications {
    /// The newest head announced, as the node put it; older ones are overwritten.
    pub heads: watch::Receiver<Option<Value>>,
    /// Everything else, oldest first.
    pub pending: mpsc::Receiver<Value>,
    /// How many of `pending` were dropped because too many waited.
    pub dropped: Arc<AtomicU64>,
}

/// Drives one socket until it closes; the result says why it did.
pub type Driver = Pin<Box<dyn Future<Output = RpcError> + Send>>;

type Answer = Result<Value, RpcError>;
type Deliver = Box<dyn FnOnce(Answer) + Send>;

struct Outgoing {
    text: String,
    calls: Vec<(u64, String, Deliver)>,
}

impl Client {
    /// Connects to `url`. Nothing is sent or received unless the [`Driver`] is driven.
    ///
    /// # Errors
    /// [`RpcError::Connect`], without the address.
    pub async fn connect(
        node: Arc<str>,
        url: &NodeUrl,
        limits: RpcLimits,
    ) -> Result<(Self, Notifications, Driver), RpcError> {
        // The first caller in the process decides; that another one did is no failure.
        rustls::crypto::ring::default_provider().install_default().ok();
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits.message_bytes))
            .max_frame_size(Some(limits.message_bytes));
        let connecting = connect_async_with_config(url.expose().clone(), Some(config), true);
        let (socket, _) = timeout(Duration::from_millis(limits.connect_ms), connecting)
            .await
            .map_err(|_| RpcError::Connect {
                reason: format!("nothing within {} ms", limits.connect_ms),
            })?
            .map_err(|error| RpcError::Connect { reason: words(&error) })?;

        let (outgoing, requests) = mpsc::channel(limits.in_flight.max(1));
        let (heads_in, heads) = watch::channel(None);
        let (pending_in, pending) = mpsc::channel(limits.notifications.max(1));
        let dropped = Arc::new(AtomicU64::new(0));
        let told = Told { heads: heads_in, pending: pending_in, dropped: Arc::clone(&dropped) };
        let client = Self { node, limits, next_id: Arc::new(AtomicU64::new(1)), outgoing };
        let driver = Box::pin(drive(socket, requests, told, limits));
        Ok((client, Notifications { heads, pending, dropped }, driver))
    }

    /// Configured name of the node.
    pub fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// Asks, and waits for the `result` member of the answer; `params` is the JSON array of parameters.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let (deliver, answer) = oneshot::channel();
        self.send(vec![(method, params)], |_| {
            let deliver = deliver;
            vec![Box::new(move |outcome| drop(deliver.send(outcome)))]
        })?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Asks several things in one message; the answers come in the order of the calls.
    ///
    /// # Errors
    /// The message could not be sent; what happened to single calls is in the answers.
    pub async fn batch(&self, calls: Vec<(&str, Value)>) -> Result<Vec<Answer>, RpcError> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let (delivers, answers): (Vec<_>, Vec<_>) =
            calls.iter().map(|_| oneshot::channel()).unzip();
        self.send(calls, |_| {
            delivers
                .into_iter()
                .map(|deliver| Box::new(move |outcome| drop(deliver.send(outcome))) as Deliver)
                .collect()
        })?;
        let mut outcomes = Vec::with_capacity(answers.len());
        for answer in answers {
            outcomes.push(answer.await.unwrap_or_else(|_| Err(closed())));
        }
        Ok(outcomes)
    }

    /// As [`Client::batch`], blocking the calling thread, which must not be one that the driver needs.
    ///
    /// # Errors
    /// As [`Client::batch`].
    pub fn batch_blocking(&self, calls: Vec<(&str, Value)>) -> Result<Vec<Answer>, RpcError> {
        self.batch_blocking_within(calls, Duration::MAX)
    }

    /// As [`Client::batch_blocking`], for no longer than `within`.
    ///
    /// # Errors
    /// As [`Client::batch_blocking`].
    pub fn batch_blocking_within(
        &self,
        calls: Vec<(&str, Value)>,
        within: Duration,
    ) -> Result<Vec<Answer>, RpcError> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let methods: Vec<String> = calls.iter().map(|(method, _)| (*method).to_owned()).collect();
        let (delivers, answers): (Vec<_>, Vec<_>) =
            calls.iter().map(|_| blocking::sync_channel(1)).unzip();
        self.send(calls, |_| {
            delivers
                .into_iter()
                .map(|deliver| Box::new(move |outcome| drop(deliver.try_send(outcome))) as Deliver)
                .collect()
        })?;
        // The driver answers at its own limit; the margin serves a driver that does not run.
        let limit = Duration::from_millis(self.limits.request_ms.saturating_add(1_000));
        let began = Instant::now();
        let after_ms = u64::try_from(limit.min(within).as_millis()).unwrap_or(u64::MAX);
        let answers = answers.into_iter().zip(methods).map(|(answer, method)| {
            let left = Duration::from_millis(after_ms).saturating_sub(began.elapsed());
            match answer.recv_timeout(left) {
                Ok(outcome) => outcome,
                Err(blocking::RecvTimeoutError::Timeout) => {
                    Err(RpcError::Timeout { method, after_ms })
                }
                Err(blocking::RecvTimeoutError::Disconnected) => Err(closed()),
            }
        });
        Ok(answers.collect())
    }

    fn send(
        &self,
        calls: Vec<(&str, Value)>,
        delivers: impl FnOnce(usize) -> Vec<Deliver>,
    ) -> Result<(), RpcError> {
        let first_id = self.next_id.fetch_add(calls.len() as u64, Ordering::Relaxed);
        let method = calls.first().map(|(method, _)| (*method).to_owned()).unwrap_or_default();
        let delivers = delivers(calls.len());
        let mut requests = Vec::with_capacity(calls.len());
        let mut waiting = Vec::with_capacity(calls.len());
        for ((id, (method, params)), deliver) in (first_id..).zip(calls).zip(delivers) {
            requests
                .push(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
            waiting.push((id, method.to_owned(), deliver));
        }
        let message =
            if requests.len() == 1 { requests.swap_remove(0) } else { Value::Array(requests) };
        self.outgoing.try_send(Outgoing { text: message.to_string(), calls: waiting }).map_err(
            |error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    RpcError::Busy { method, in_flight: self.limits.in_flight }
                }
                mpsc::error::TrySendError::Closed(_) => closed(),
            },
        )
    }
}

fn closed() -> RpcError {
    RpcError::Closed { reason: "it ended before the answer".into() }
}

struct Told {
    heads: watch::Sender<Option<Value>>,
    pending: mpsc::Sender<Value>,
    dropped: Arc<AtomicU64>,
}

struct Waiting {
    method: String,
    deliver: Deliver,
    until: Instant,
}

async fn drive<S>(
    mut socket: S,
    mut requests: mpsc::Receiver<Outgoing>,
    told: Told,
    limits: RpcLimits,
) -> RpcError
where
    S: futures_util::Stream<Item = Result<Message, tungstenite::Error>>
        + futures_util::Sink<Message, Error = tungstenite::Error>
        + Unpin
        + Send,
{
    let mut waiting: HashMap<u64, Waiting> = HashMap::new();
    let mut reap = interval(Duration::from_millis((limits.request_ms / 20).clamp(10, 500)));
    reap.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ping = interval(Duration::from_millis((limits.silence_ms / 3).max(10)));
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            request = requests.recv() => {
                let Some(Outgoing { text, calls }) = request else {
                    socket.close().await.ok();
                    return RpcError::Closed { reason: "nobody asks any more".into() };
                };
                if waiting.len().saturating_add(calls.len()) > limits.in_flight {
                    for (_, method, deliver) in calls {
                        deliver(Err(RpcError::Busy { method, in_flight: limits.in_flight }));
                    }
                    continue;
                }
                let until = Instant::now() + Duration::from_millis(limits.request_ms);
                for (id, method, deliver) in calls {
                    waiting.insert(id, Waiting { method, deliver, until });
                }
                if let Err(error) = socket.send(Message::text(text)).await {
                    return RpcError::Closed { reason: words(&error) };
                }
            }
            message = socket.next() => {
                heard = Instant::now();
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Close(_))) | None => {
                        return RpcError::Closed { reason: "the node closed it".into() };
                    }
                    Some(Ok(Message::Binary(_))) => {
                        return RpcError::Closed { reason: "the node sent a binary message; expected JSON text".into() };
                    }
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return RpcError::Closed { reason: words(&error) },
                };
                match serde_json::from_str(text.as_str()) {
                    Ok(Value::Array(answers)) => answers.into_iter().for_each(|one| take(one, &mut waiting, &told)),
                    Ok(one @ Value::Object(_)) => take(one, &mut waiting, &told),
                    Ok(_) => return RpcError::Closed { reason: "the node sent JSON that is neither object nor array".into() },
                    Err(error) => return RpcError::Closed { reason: format!("the node sent what is not JSON: {error}") },
                }
            }
            now = reap.tick() => {
                let late: Vec<u64> =
                    waiting.iter().filter(|(_, one)| one.until <= now).map(|(id, _)| *id).collect();
                for id in late {
                    if let Some(Waiting { method, deliver, .. }) = waiting.remove(&id) {
                        deliver(Err(RpcError::Timeout { method, after_ms: limits.request_ms }));
                    }
                }
            }
            now = ping.tick() => {
                if now.saturating_duration_since(heard) > Duration::from_millis(limits.silence_ms) {
                    return RpcError::Closed { reason: format!("silent for {} ms", limits.silence_ms) };
                }
                if let Err(error) = socket.send(Message::Ping(Vec::new().into())).await {
                    return RpcError::Closed { reason: words(&error) };
                }
            }
        }
    }
}

/// Hands one object of the node to whoever waits for it; what nobody waits for is let go.
fn take(mut message: Value, waiting: &mut HashMap<u64, Waiting>, told: &Told) {
    let Some(id) = message.get("id").and_then(Value::as_u64) else {
        let Some(result) = message.pointer_mut("/params/result").map(Value::take) else { return };
        if result.get("parentHash").is_some() {
            told.heads.send_replace(Some(result));
        } else if told.pending.try_send(result).is_err() {
            told.dropped.fetch_add(1, Ordering::Relaxed);
        }
        return;
    };
    let Some(Waiting { method, deliver, .. }) = waiting.remove(&id) else { return };
    let error = message.get_mut("error").map(Value::take).filter(|error| !error.is_null());
    let answer = match (error, message.get_mut("result").map(Value::take)) {
        (Some(error), _) => Err(RpcError::Refused {
            method,
            code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
            message: error
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .chars()
                .take(512)
                .collect(),
            data: error.get("data").filter(|data| !data.is_null()).cloned(),
        }),
        (None, Some(result)) => Ok(result),
        (None, None) => {
            Err(RpcError::Malformed { method, expected: "a `result` or an `error`".into() })
        }
    };
    deliver(answer);
}

/// The socket's error in words that hold no address.
fn words(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Url(_) => "the address cannot be used".into(),
        tungstenite::Error::Http(response) => {
            format!("the node answered the handshake with HTTP {}", response.status())
        }
        other => other.to_string(),
    }
}
