//! How long a decided pause takes until its bytes are on every socket: the engine that guards, over the connections that
//! guard, against nodes and relays that note when they have read them.
//!
//! The nodes and relays are stand-ins on this machine, each a thread of its own: what is measured is this program and
//! the system's sockets, and no network.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use portcullis_alerting::guardian::{
    EngineSettings, FeeBudget, GuardianError, Key, KeyError, PauseEngine, PauseRequest, Premises,
    Relay, RelayError, RelayMethod, RelaySettings, Rpc,
};
use portcullis_alerting::secret::Secret;
use portcullis_watcher::source::NodeUrlError;
use portcullis_watcher::source::rpc::{Client, RpcError, RpcLimits};
use serde_json::{Value, json};
use thiserror::Error;
use tokio_tungstenite::tungstenite::{Message, accept};

const CHAIN_ID: u64 = 31_337;
const GWEI: u128 = 1_000_000_000;
/// How long one path may take; longer is a failure, not a figure.
const PATIENCE: Duration = Duration::from_secs(10);
/// A key that everyone can compute.
const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct WireOptions {
    /// Nodes that the pause is sent to.
    pub nodes: usize,
    /// Relays that it is sent to as well.
    pub relays: usize,
    /// Pauses, each measured twice: alone, and with the nodes' confirmation before it.
    pub shots: u32,
}

/// Times in microseconds, one for each pause, until its bytes were read from the last of all sockets.
#[derive(Debug, Clone, Default)]
pub struct WireTimes {
    /// From the order to pause.
    pub sent_us: Vec<f64>,
    /// From the verdict, the nodes' confirmation of what it rests on included.
    pub confirmed_us: Vec<f64>,
}

/// Why nothing was measured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The system gives no socket.
    #[error("a stand-in cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// A stand-in cannot be reached.
    #[error("a stand-in cannot be reached: {0}")]
    Connect(#[from] RpcError),
    /// A stand-in's address is none.
    #[error(transparent)]
    Address(#[from] NodeUrlError),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] GuardianError),
    /// A relay cannot be set up.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The bytes did not arrive everywhere.
    #[error("the pause was read from {read} of {paths} sockets within {} s", PATIENCE.as_secs())]
    Lost {
        /// Sockets that it was read from.
        read: usize,
        /// All of them.
        paths: usize,
    },
}

/// Measures. Needs a running tokio runtime with more than one thread.
///
/// # Errors
/// [`WireError`].
pub async fn measure(options: &WireOptions) -> Result<WireTimes, WireError> {
    let paths = options.nodes + options.relays;
    let (note, notes) = sync_channel(paths.max(1) * 4);
    let mut rpcs: Vec<Arc<dyn Rpc>> = Vec::new();
    for number in 0..options.nodes {
        let address = stand_in(&note, node)?;
        let url = format!("ws://{address}").parse()?;
        let name = format!("node {number}").into();
        let (client, _told, driver) = Client::connect(name, &url, RpcLimits::default()).await?;
        tokio::spawn(async move {
            driver.await;
        });
        rpcs.push(Arc::new(client));
    }
    let mut relays = Vec::new();
    for number in 0..options.relays {
        let address = stand_in(&note, relay)?;
        relays.push(Relay::new(RelaySettings {
            name: format!("relay {number}"),
            url: Secret::new(format!("http://{address}")),
            method: RelayMethod::Bundle,
            builders: Vec::new(),
            identity: None,
        })?);
    }
    let guardian = Address::repeat_byte(0xaa);
    let target = Address::repeat_byte(0xbb);
    let settings = EngineSettings {
        chain: "bench".into(),
        chain_id: CHAIN_ID,
        guardian,
        budget: FeeBudget {
            max_fee_per_gas_wei: 2_000 * GWEI,
            max_tip_wei: 1_000 * GWEI,
            max_cost_wei: u128::MAX,
        },
        gas_limit: 300_000,
        send_timeout: PATIENCE,
        refire_after: Duration::from_secs(3_600),
        poll_every: Duration::from_secs(1),
        follow_timeout: Duration::from_secs(1),
    };
    let key = Key::from_env_value("the bench's own", &Secret::new(KEY))?;
    let engine = Arc::new(PauseEngine::new(key, settings, rpcs)?.with_relays(relays));
    engine.sign_ahead_for(&[target]);
    let notes = Notes { notes, paths };
    let mut times = WireTimes::default();
    for shot in 0..options.shots.saturating_mul(2) {
        // As at every head, before an attack is known.
        engine.refresh().await?;
        let request = PauseRequest {
            chain_id: CHAIN_ID,
            guardian,
            target,
            evidence: B256::repeat_byte(0xee),
            // Another price each time, so that each is picked from the ladder anew.
            attack_max_fee_per_gas: (60 + u128::from(shot % 400)) * GWEI,
            attack_max_priority_fee_per_gas: u128::from(shot % 400) * GWEI,
            base_fee_wei: 20 * GWEI,
            head: 100,
            gas_limit: None,
            nonce: None,
        };
        let confirms = shot % 2 == 1;
        let began = Instant::now();
        if confirms {
            engine.confirm(&premises(target), PATIENCE).await?;
        }
        engine.fire(&request).await?;
        let last = notes.last()?;
        let took_us = last.saturating_duration_since(began).as_secs_f64() * 1e6;
        if confirms {
            times.confirmed_us.push(took_us);
        } else {
            times.sent_us.push(took_us);
        }
        engine.release(target);
    }
    Ok(times)
}

/// What a pause of one contract usually rests on: a few contracts, a few slots, a balance.
fn premises(target: Address) -> Premises {
    let contracts: Vec<Address> = (1..=3).map(Address::repeat_byte).chain([target]).collect();
    Premises {
        block: 100,
        block_hash: B256::repeat_byte(0x64),
        codes: contracts.iter().map(|address| (*address, keccak256([]))).collect(),
        slots: (0..8).map(|slot| (target, U256::from(slot), U256::ZERO)).collect(),
        balances: vec![(target, U256::ZERO)],
    }
}

/// When the bytes were read.
struct Notes {
    notes: Receiver<Instant>,
    paths: usize,
}

impl Notes {
    /// When the pause was read from the last of all sockets.
    fn last(&self) -> Result<Instant, WireError> {
        let mut last = None;
        for read in 0..self.paths {
            let at = self.notes.recv_timeout(PATIENCE).map_err(|error| match error {
                RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected => {
                    WireError::Lost { read, paths: self.paths }
                }
            })?;
            last = last.max(Some(at));
        }
        last.ok_or(WireError::Lost { read: 0, paths: 0 })
    }
}

/// What a stand-in does with its one client.
type Manner = fn(TcpStream, &SyncSender<Instant>);

/// Starts a stand-in; its thread ends with its client.
fn stand_in(note: &SyncSender<Instant>, manner: Manner) -> Result<String, std::io::Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?.to_string();
    let note = note.clone();
    std::thread::Builder::new().name("stand-in".into()).spawn(move || {
        // A relay's client may connect anew.
        for stream in listener.incoming().map_while(Result::ok) {
            stream.set_nodelay(true).ok();
            manner(stream, &note);
        }
    })?;
    Ok(address)
}

/// Answers as a node on a chain where nothing is.
fn node(stream: TcpStream, note: &SyncSender<Instant>) {
    let Ok(mut socket) = accept(stream) else { return };
    while let Ok(message) = socket.read() {
        let at = Instant::now();
        let Message::Text(text) = message else { continue };
        let Ok(request) = serde_json::from_str::<Value>(&text) else { return };
        let result = match request["method"].as_str().unwrap_or_default() {
            "eth_sendRawTransaction" => {
                // Before the answer: only what was read counts.
                if note.send(at).is_err() {
                    return;
                }
                let raw: Bytes =
                    serde_json::from_value(request["params"][0].clone()).unwrap_or_default();
                json!(keccak256(&raw))
            }
            // The engine counts its own.
            "eth_getTransactionCount" => json!("0x0"),
            "eth_chainId" => json!(U256::from(CHAIN_ID)),
            "eth_getBlockByNumber" => {
                json!({ "hash": B256::repeat_byte(0x64), "transactions": [], "baseFeePerGas": "0x1" })
            }
            "eth_getCode" => json!("0x"),
            "eth_getStorageAt" => json!(B256::ZERO),
            "eth_getBalance" => json!("0x0"),
            _ => Value::Null,
        };
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
        if socket.send(Message::text(answer.to_string())).is_err() {
            return;
        }
    }
}

/// Takes bundles over HTTP.
fn relay(stream: TcpStream, note: &SyncSender<Instant>) {
    let Ok(mut answering) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(1..) => {}
                _ => return,
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse::<usize>().unwrap_or(0).min(1 << 20);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() || note.send(Instant::now()).is_err() {
            return;
        }
        let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": { "bundleHash": B256::ZERO } })
            .to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        if answering.write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_pause_is_read_from_every_socket() {
        let options = WireOptions { nodes: 3, relays: 1, shots: 4 };
        let times = measure(&options).await.unwrap();
        assert_eq!((times.sent_us.len(), times.confirmed_us.len()), (4, 4));
        assert!(times.sent_us.iter().chain(&times.confirmed_us).all(|us| *us > 0.0));
    }
}
