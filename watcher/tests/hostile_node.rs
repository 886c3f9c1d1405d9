//! Nodes that know less than they should, or mean harm, played by a WebSocket server of our own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    primitives::{Address, B256, TxKind, U256, keccak256},
    rpc::types::Transaction,
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use futures_util::{SinkExt as _, StreamExt as _};
use portcullis_watcher::source::{
    Backoff, NodeSettings, NodeSource, NodeUrl, PendingTransaction, Source as _, SourceEvent,
    rpc::{Client, RpcError, RpcLimits},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tokio_tungstenite::{accept_async, tungstenite::Message};

const LIMITS: RpcLimits = RpcLimits {
    message_bytes: 64 * 1024,
    connect_ms: 10_000,
    request_ms: 10_000,
    silence_ms: 30_000,
    in_flight: 8,
    notifications: 16,
};

/// For what must never come: a slow machine changes nothing.
const IMPATIENT: RpcLimits = RpcLimits { request_ms: 300, silence_ms: 600, ..LIMITS };

/// Listens, and answers every text message with what `answer` gives for it.
async fn node(mut answer: impl FnMut(Value) -> Vec<String> + Send + 'static) -> NodeUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut socket = accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                let Message::Text(text) = message else { continue };
                for reply in answer(serde_json::from_str(text.as_str()).unwrap()) {
                    if socket.send(Message::text(reply)).await.is_err() {
                        break;
                    }
                }
            }
        }
    });
    url
}

async fn ask(url: &NodeUrl, limits: RpcLimits) -> Result<Value, RpcError> {
    let (client, _told, driver) = Client::connect("fake".into(), url, limits).await.unwrap();
    tokio::select! {
        answer = client.request("eth_chainId", json!([])) => answer,
        reason = driver => Err(reason),
    }
}

#[tokio::test]
async fn hostile_answers_are_errors() {
    type Reply = fn(Value) -> String;
    let cases: [(&str, Reply); 7] = [
        ("not JSON", |_| "{\"jsonrpc\":".into()),
        ("neither object nor array", |_| "42".into()),
        ("not JSON", |_| "[".repeat(50_000)),
        ("expected a `result` or an `error`", |ask| json!({ "id": ask["id"] }).to_string()),
        ("code -32000: no", |ask| {
            json!({ "id": ask["id"], "error": { "code": -32000, "message": "no" } }).to_string()
        }),
        ("no answer to `eth_chainId` within 300 ms", |ask| {
            json!([1, null, { "id": "x" }, { "id": -1 }, { "id": ask["id"].as_u64().unwrap() + 1, "result": 1 }]).to_string()
        }),
        ("too long", |_| format!("\"{}\"", "x".repeat(100_000))),
    ];
    for (expected, reply) in cases {
        let url = node(move |ask| vec![reply(ask)]).await;
        let limits = if expected.starts_with("no answer") { IMPATIENT } else { LIMITS };
        let error = ask(&url, limits).await.unwrap_err();
        assert!(
            error.to_string().to_lowercase().contains(&expected.to_lowercase()),
            "{expected}: {error}"
        );
    }
}

#[tokio::test]
async fn a_silent_node_is_left_and_an_unanswered_request_times_out() {
    let url = node(|_| vec![]).await;
    assert_eq!(
        ask(&url, IMPATIENT).await,
        Err(RpcError::Timeout { method: "eth_chainId".into(), after_ms: 300 })
    );

    // Frozen: it takes connections, and answers not even a ping.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: NodeUrl = format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap();
    let frozen = async {
        let (stream, _) = listener.accept().await.unwrap();
        let _socket = accept_async(stream).await.unwrap();
        std::future::pending::<()>().await;
    };
    let listening = async {
        let (_client, _told, driver) =
            Client::connect("fake".into(), &url, IMPATIENT).await.unwrap();
        driver.await
    };
    let reason = tokio::select! { reason = listening => reason, () = frozen => unreachable!() };
    assert_eq!(reason.to_string(), "connection lost: silent for 600 ms");
}

#[tokio::test]
async fn more_requests_than_may_wait_are_refused_at_once() {
    let url = node(|_| vec![]).await;
    let (client, _told, driver) = Client::connect("fake".into(), &url, LIMITS).await.unwrap();
    let driving = tokio::spawn(driver);
    let calls = (0..9).map(|_| ("eth_chainId", json!([]))).collect();
    let answers = client.batch(calls).await.unwrap();
    assert!(
        answers.iter().all(|answer| matches!(answer, Err(RpcError::Busy { in_flight: 8, .. }))),
        "{answers:?}"
    );
    drop(client);
    assert!(matches!(driving.await.unwrap(), RpcError::Closed { .. }));
}

#[tokio::test]
async fn errors_never_show_the_address() {
    let url: NodeUrl = "ws://127.0.0.1:1/v2/SECRET?token=SECRET".parse().unwrap();
    let error = Client::connect("fake".into(), &url, LIMITS).await.err().unwrap();
    assert!(matches!(error, RpcError::Connect { .. }));
    assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");

    // TLS is spoken where it is asked for, and a node that speaks none is an error.
    let plain = node(|_| vec![]).await.to_string();
    let url: NodeUrl = format!("{}/SECRET", plain.replace("ws:", "wss:")).parse().unwrap();
    let error = Client::connect("fake".into(), &url, LIMITS).await.err().unwrap();
    assert!(
        matches!(&error, RpcError::Connect { reason } if !reason.contains("address")),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
}

fn signed(nonce: u64) -> PendingTransaction {
    let signer = PrivateKeySigner::from_bytes(&keccak256("someone")).unwrap();
    let tx = TxEip1559 {
        chain_id: 31337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 7,
        to: TxKind::Call(Address::ZERO),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
    PendingTransaction::from_envelope(TxEnvelope::from(tx.into_signed(signature)), 0, "test".into())
        .unwrap()
}

fn as_json(tx: &PendingTransaction) -> Value {
    let inner =
        alloy::consensus::transaction::Recovered::new_unchecked(tx.envelope.clone(), tx.sender);
    serde_json::to_value(Transaction {
        inner,
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: None,
        block_timestamp: None,
    })
    .unwrap()
}

fn block() -> Value {
    json!({
        "number": "0x1", "hash": B256::repeat_byte(1), "parentHash": B256::repeat_byte(2), "timestamp": "0x1",
        "gasLimit": "0x1c9c380", "gasUsed": "0x0", "miner": Address::ZERO, "transactions": []
    })
}

/// A node that answers as one should, except where `odd` has another answer.
fn mostly_right(odd: impl Fn(&str, &Value) -> Option<Value>) -> impl FnMut(Value) -> Vec<String> {
    move |message| {
        let one = |ask: &Value| {
            let method = ask["method"].as_str().unwrap();
            let mut answer = odd(method, &ask["params"]).unwrap_or_else(|| match method {
                "eth_chainId" => json!({ "result": "0x7a69" }),
                "eth_subscribe" => json!({ "result": "0x1" }),
                _ => json!({ "result": block() }),
            });
            answer["id"] = ask["id"].clone();
            answer
        };
        match &message {
            Value::Array(asks) => vec![Value::Array(asks.iter().map(one).collect()).to_string()],
            ask => {
                let mut replies = vec![one(ask).to_string()];
                if ask["params"] == json!(["newPendingTransactions"]) {
                    for nonce in 0..3 {
                        let told = json!({ "method": "eth_subscription", "params": { "result": signed(nonce).hash } });
                        replies.push(told.to_string());
                    }
                }
                replies
            }
        }
    }
}

fn listen(url: NodeUrl) -> mpsc::Receiver<SourceEvent> {
    listen_through(url, 64)
}

fn listen_through(url: NodeUrl, capacity: usize) -> mpsc::Receiver<SourceEvent> {
    let node = NodeSettings { name: "fake".into(), url };
    let source = NodeSource::new("test".into(), 31337, vec![node], Arc::new(|| 7))
        .with_limits(LIMITS)
        .with_backoff(Backoff { first_ms: 10, most_ms: 40 });
    let (events, task) = Box::new(source).start(capacity);
    tokio::spawn(task);
    events
}

async fn next(events: &mut mpsc::Receiver<SourceEvent>) -> SourceEvent {
    timeout(Duration::from_secs(10), events.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn hashes_are_fetched_where_bodies_are_refused_and_lies_are_not_believed() {
    let url = node(mostly_right(|method, params| match method {
        "eth_subscribe" if params[1] == true => {
            Some(json!({ "error": { "code": -32602, "message": "invalid params" } }))
        }
        "eth_getTransactionByHash" if params[0] == json!(signed(0).hash) => {
            Some(json!({ "result": as_json(&signed(0)) }))
        }
        // The second is told under another sender, the third is gone.
        "eth_getTransactionByHash" if params[0] == json!(signed(1).hash) => {
            let mut lie = as_json(&signed(1));
            lie["from"] = json!(Address::repeat_byte(9));
            Some(json!({ "result": lie }))
        }
        "eth_getTransactionByHash" => Some(json!({ "result": null })),
        _ => None,
    }))
    .await;
    let mut events = listen(url);
    let (mut told, mut refused) = (Vec::new(), Vec::new());
    while told.is_empty() || refused.len() < 2 {
        match next(&mut events).await {
            SourceEvent::Pending(tx) => told.push((tx.hash, tx.sender, tx.seen_at_ms)),
            SourceEvent::Refused { reason, count, .. } => refused.push((reason.kind(), count)),
            SourceEvent::Up { .. } | SourceEvent::Head(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, [(signed(0).hash, signed(0).sender, 7)]);
    assert_eq!(refused, [("contradiction", 1), ("gone", 1)]);
}

#[tokio::test]
async fn a_flood_drops_pending_transactions_counts_them_and_loses_no_head() {
    const FLOOD: u64 = 300;
    let mut answer = mostly_right(|_, _| None);
    let url = node(move |ask| {
        let mut replies = answer(ask.clone());
        if ask["params"][0] == "newPendingTransactions" {
            for nonce in 0..FLOOD {
                let told = json!({ "method": "eth_subscription", "params": { "result": as_json(&signed(nonce)) } });
                replies.push(told.to_string());
            }
        }
        replies
    })
    .await;
    let mut events = listen_through(url, 4);
    let (mut pending, mut dropped, mut heads) = (0, 0, 0);
    while pending + dropped < FLOOD || heads == 0 {
        match next(&mut events).await {
            SourceEvent::Pending(_) => pending += 1,
            SourceEvent::Refused { reason, count, .. } => {
                assert_eq!(reason.kind(), "channel_full");
                dropped = count;
            }
            SourceEvent::Head(_) => heads += 1,
            SourceEvent::Up { .. } => {}
            other => panic!("{other:?}"),
        }
        // A slow listener, so that the channel is full most of the time.
        tokio::task::yield_now().await;
    }
    assert_eq!((pending + dropped, heads), (FLOOD, 1));
    assert!(dropped > 0);
}

#[tokio::test]
async fn a_node_with_broken_blocks_is_tried_again_ever_more_rarely() {
    let url = node(mostly_right(|method, _| match method {
        "eth_chainId" => Some(json!({ "result": "many" })),
        _ => None,
    }))
    .await;
    let mut events = listen(url);
    let mut waits = Vec::new();
    while waits.len() < 4 {
        match next(&mut events).await {
            SourceEvent::Down { retry_in_ms, reason, .. } => {
                assert_eq!(
                    reason,
                    "answer to `eth_chainId` is malformed: expected a hexadecimal quantity"
                );
                waits.push(retry_in_ms);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waits, [10, 20, 40, 40]);

    let implausible = node(mostly_right(|method, _| match method {
        "eth_getBlockByNumber" => {
            let mut block = block();
            block["baseFeePerGas"] = json!("0xffffffffffffffff");
            Some(json!({ "result": block }))
        }
        _ => None,
    }))
    .await;
    let mut events = listen(implausible);
    loop {
        match next(&mut events).await {
            SourceEvent::Down { reason, .. } => {
                assert!(reason.contains("expected a base fee of at most"), "{reason}");
                break;
            }
            SourceEvent::Head(block) => panic!("{block:?}"),
            _ => {}
        }
    }
}
