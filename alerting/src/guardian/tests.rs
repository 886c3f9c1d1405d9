//! The engine against nodes that misbehave; a real node is in `tests/guardian_anvil.rs`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::consensus::transaction::SignerRecoverable;
use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::eips::Decodable2718;
use alloy::primitives::{Address, B256, Bytes, address};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::*;
use crate::secret::Secret;

mod paths;
mod places;

/// The first account of the usual development mnemonic.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const GUARDIAN: Address = address!("00000000000000000000000000000000000000aa");
const TARGET: Address = address!("00000000000000000000000000000000000000bb");
const GWEI: u128 = 1_000_000_000;

/// What a scripted node does with a transaction.
#[derive(Clone, Copy)]
enum Manner {
    Accepts,
    Refuses(&'static str),
    RefusesOnce(&'static str),
    NeverAnswers,
    LiesAboutTheHash,
}

struct Node {
    manner: Manner,
    nonce: u64,
    sent: Mutex<Vec<TxEnvelope>>,
    nonce_reads: AtomicUsize,
}

impl Node {
    fn new(manner: Manner) -> Arc<Self> {
        Self::with_nonce(manner, 7)
    }

    fn with_nonce(manner: Manner, nonce: u64) -> Arc<Self> {
        Arc::new(Self { manner, nonce, sent: Mutex::default(), nonce_reads: AtomicUsize::new(0) })
    }

    fn accept(&self, params: &Value) -> Result<Value, RpcError> {
        let raw: Bytes = serde_json::from_value(params[0].clone()).unwrap();
        let transaction = TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap();
        let hash = *transaction.tx_hash();
        let mut sent = self.sent.lock().unwrap();
        sent.push(transaction);
        let refused = |message: &str| {
            Err(RpcError::Refused { code: -32000, message: message.into(), data: Value::Null })
        };
        match self.manner {
            Manner::Refuses(message) => refused(message),
            Manner::RefusesOnce(message) if sent.len() == 1 => refused(message),
            Manner::LiesAboutTheHash => Ok(json!(B256::ZERO)),
            _ => Ok(json!(hash)),
        }
    }
}

impl Rpc for Node {
    fn request<'a>(
        &'a self,
        method: &'a str,
        params: Value,
    ) -> BoxFuture<'a, Result<Value, RpcError>> {
        async move {
            match method {
                "eth_getTransactionCount" => {
                    self.nonce_reads.fetch_add(1, Ordering::SeqCst);
                    Ok(json!(format!("{:#x}", self.nonce)))
                }
                "eth_sendRawTransaction" if matches!(self.manner, Manner::NeverAnswers) => {
                    std::future::pending().await
                }
                "eth_sendRawTransaction" => self.accept(&params),
                other => panic!("{other} was not expected"),
            }
        }
        .boxed()
    }
}

fn engine(nodes: &[&Arc<Node>]) -> PauseEngine {
    let settings = EngineSettings {
        chain: "test".into(),
        chain_id: 31337,
        guardian: GUARDIAN,
        budget: FeeBudget {
            max_fee_per_gas_wei: 1_000 * GWEI,
            max_tip_wei: 500 * GWEI,
            max_cost_wei: u128::MAX,
        },
        gas_limit: 300_000,
        send_timeout: Duration::from_millis(200),
        refire_after: Duration::from_secs(60),
        poll_every: Duration::from_millis(10),
        follow_timeout: Duration::from_secs(1),
    };
    let key = Key::from_env_value("KEY", &Secret::new(KEY)).unwrap();
    let rpcs = nodes.iter().map(|node| Arc::clone(node) as Arc<dyn Rpc>).collect();
    PauseEngine::new(key, settings, rpcs).unwrap()
}

fn request(target: Address) -> PauseRequest {
    PauseRequest {
        chain_id: 31337,
        guardian: GUARDIAN,
        target,
        evidence: B256::repeat_byte(0xee),
        attack_max_fee_per_gas: 100 * GWEI,
        attack_max_priority_fee_per_gas: 50 * GWEI,
        base_fee_wei: 20 * GWEI,
        head: 100,
        gas_limit: None,
        nonce: None,
    }
}

#[tokio::test]
async fn what_is_sent_outbids_the_attack_and_calls_the_guardian() {
    let node = Node::new(Manner::Accepts);
    let engine = engine(&[&node]);
    let sent = engine.fire(&request(TARGET)).await.unwrap();
    let transactions = node.sent.lock().unwrap();
    let [transaction] = transactions.as_slice() else { panic!("one transaction") };
    assert_eq!(*transaction.tx_hash(), sent.tx_hash);
    assert_eq!(transaction.recover_signer().unwrap(), engine.address());
    assert_eq!(transaction.to(), Some(GUARDIAN));
    assert_eq!(*transaction.input(), engine.pause_call(TARGET, B256::repeat_byte(0xee)).data);
    assert_eq!((transaction.nonce(), transaction.chain_id()), (7, Some(31337)));
    assert!(transaction.max_fee_per_gas() > 100 * GWEI);
    assert!(transaction.max_priority_fee_per_gas().unwrap() > 50 * GWEI);
}

#[tokio::test]
async fn one_good_node_among_bad_ones_is_enough() {
    let bad = Node::new(Manner::Refuses("txpool is full"));
    let dead = Node::new(Manner::NeverAnswers);
    let good = Node::new(Manner::Accepts);
    let sent = engine(&[&dead, &bad, &good]).fire(&request(TARGET)).await.unwrap();
    assert_eq!(good.sent.lock().unwrap().len(), 1);
    assert_eq!(sent.nonce, 7);
}

#[tokio::test]
async fn a_node_that_has_it_already_has_accepted_it() {
    engine(&[&Node::new(Manner::Refuses("already known"))]).fire(&request(TARGET)).await.unwrap();
}

#[tokio::test]
async fn no_acceptance_is_an_error_that_names_every_node_and_leaves_the_target_free() {
    let (liar, dead) = (Node::new(Manner::LiesAboutTheHash), Node::new(Manner::NeverAnswers));
    let engine = engine(&[&liar, &dead]);
    let error = engine.fire(&request(TARGET)).await.unwrap_err();
    assert!(matches!(error, GuardianError::NotAccepted { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("expected the hash of the pause") && text.contains("no answer within 200 ms"),
        "{text}"
    );
    let again = engine.fire(&request(TARGET)).await.unwrap_err();
    assert!(matches!(again, GuardianError::NotAccepted { .. }), "{again}");
}

#[tokio::test]
async fn one_pause_per_target_however_often_it_is_asked_for() {
    let node = Node::new(Manner::Accepts);
    let engine = engine(&[&node]);
    let request = request(TARGET);
    let (first, second) = tokio::join!(engine.fire(&request), engine.fire(&request));
    let sent = first.unwrap();
    let again = GuardianError::AlreadySent { target: TARGET, tx_hash: sent.tx_hash };
    assert_eq!(second, Err(again.clone()), "it waited for the first, and found it sent");
    assert_eq!(engine.fire(&request).await.unwrap_err(), again);
    assert_eq!(node.sent.lock().unwrap().len(), 1);
    engine.release(TARGET);
    engine.fire(&request).await.unwrap();
}

#[tokio::test]
async fn an_attack_that_raises_its_fees_while_its_pause_is_being_sent_is_outbid_too() {
    let node = Node::new(Manner::Accepts);
    let engine = engine(&[&node]);
    let raised = PauseRequest { attack_max_fee_per_gas: 600 * GWEI, ..request(TARGET) };
    let cheap = request(TARGET);
    let (first, second) = tokio::join!(engine.fire(&cheap), engine.fire(&raised));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((second.nonce, second.replaces), (first.nonce, Some(first.tx_hash)));
    assert!(second.max_fee_per_gas_wei > 600 * GWEI, "{second:?}");
}

#[tokio::test]
async fn an_attack_that_raises_its_fees_is_outbid_again_in_the_same_place() {
    let node = Node::new(Manner::Accepts);
    let engine = engine(&[&node]);
    let first = engine.fire(&request(TARGET)).await.unwrap();
    let raised = PauseRequest {
        attack_max_fee_per_gas: first.max_fee_per_gas_wei,
        attack_max_priority_fee_per_gas: 60 * GWEI,
        ..request(TARGET)
    };
    let second = engine.fire(&raised).await.unwrap();
    assert_eq!((second.nonce, second.replaces), (first.nonce, Some(first.tx_hash)));
    for (new, old) in [
        (second.max_fee_per_gas_wei, first.max_fee_per_gas_wei),
        (second.max_tip_wei, first.max_tip_wei),
    ] {
        assert!(new * 10 >= old * 11, "nodes would refuse {new} after {old}");
    }
    assert!(second.max_tip_wei > 60 * GWEI);
    // The same attack again changes nothing, and neither does one that is beyond the budget.
    let known = GuardianError::AlreadySent { target: TARGET, tx_hash: second.tx_hash };
    assert_eq!(engine.fire(&raised).await.unwrap_err(), known);
    let dear = PauseRequest { attack_max_fee_per_gas: 2_000 * GWEI, ..request(TARGET) };
    assert!(matches!(engine.fire(&dear).await, Err(GuardianError::Price(_))));
    assert_eq!(engine.fire(&raised).await.unwrap_err(), known);
    assert_eq!(node.sent.lock().unwrap().len(), 2);
    assert_eq!(engine.versions_of(first.tx_hash), [second.tx_hash, first.tx_hash]);
    // Once either is mined, no fee of an attack brings another.
    engine.note_mined(first.tx_hash);
    let late = PauseRequest { attack_max_fee_per_gas: 900 * GWEI, ..request(TARGET) };
    assert_eq!(engine.fire(&late).await.unwrap_err(), known);
}

#[tokio::test]
async fn pauses_of_different_targets_never_share_a_nonce() {
    let node = Node::new(Manner::Accepts);
    let engine = engine(&[&node]);
    let (first, second) = (request(TARGET), request(Address::repeat_byte(0xcc)));
    let (first, second) = tokio::join!(engine.fire(&first), engine.fire(&second));
    assert_eq!((first.unwrap().nonce, second.unwrap().nonce), (7, 8));
    assert_eq!(node.nonce_reads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_node_that_lags_does_not_make_one_pause_replace_another() {
    // The node's answer stays 7, as if it had not heard of the first pause.
    let node = Node::new(Manner::Accepts);
    let engine = engine(&[&node]);
    assert_eq!(engine.refresh_nonce().await.unwrap(), 7);
    engine.fire(&request(TARGET)).await.unwrap();
    assert_eq!(engine.refresh_nonce().await.unwrap(), 8);
    assert_eq!(engine.fire(&request(Address::repeat_byte(0xcc))).await.unwrap().nonce, 8);
}

#[tokio::test]
async fn one_node_of_three_does_not_misplace_the_pause() {
    for nonce in [0, u64::MAX] {
        let odd = Node::with_nonce(Manner::Accepts, nonce);
        let (second, third) = (Node::new(Manner::Accepts), Node::new(Manner::Accepts));
        assert_eq!(engine(&[&odd, &second, &third]).refresh_nonce().await.unwrap(), 7);
    }
}

#[tokio::test]
async fn a_nonce_behind_the_chain_is_read_again() {
    for words in ["nonce too low: next nonce 7, tx nonce 3", "Nonce too low", "OldNonce"] {
        let node = Node::new(Manner::RefusesOnce(words));
        let stale = PauseRequest { nonce: Some(3), ..request(TARGET) };
        let sent = engine(&[&node]).fire(&stale).await.unwrap();
        assert_eq!(sent.nonce, 7);
        assert_eq!(
            node.sent.lock().unwrap().iter().map(|sent| sent.nonce()).collect::<Vec<_>>(),
            [3, 7]
        );
    }
}

#[tokio::test]
async fn a_request_for_another_chain_or_guardian_is_never_signed() {
    let node = Node::new(Manner::Accepts);
    let engine = engine(&[&node]);
    let elsewhere = PauseRequest { chain_id: 1, ..request(TARGET) };
    assert!(matches!(
        engine.fire(&elsewhere).await,
        Err(GuardianError::WrongRequest { field: "chain_id", .. })
    ));
    let other = PauseRequest { guardian: TARGET, ..request(TARGET) };
    assert!(matches!(
        engine.fire(&other).await,
        Err(GuardianError::WrongRequest { field: "guardian", .. })
    ));
    assert!(node.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_attack_beyond_the_budget_is_not_answered_at_any_price() {
    let node = Node::new(Manner::Accepts);
    let engine = engine(&[&node]);
    let dear = PauseRequest { attack_max_fee_per_gas: 1_000 * GWEI, ..request(TARGET) };
    assert!(matches!(
        engine.fire(&dear).await,
        Err(GuardianError::Price(PriceError::FeeLimit { .. }))
    ));
    assert!(node.sent.lock().unwrap().is_empty());
    engine.fire(&request(TARGET)).await.unwrap();
}

/// Made with Node's `crypto`: the development key above under the password `correct horse`, with few rounds of
/// PBKDF2, so that the test is quick.
const KEYSTORE: &str = include_str!("testdata/keystore.json");

#[test]
fn keys_are_read_from_everywhere_and_printed_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, keystore) = (dir.path().join("key"), dir.path().join("keystore.json"));
    std::fs::write(&plain, format!("0x{KEY}\n")).unwrap();
    std::fs::write(&keystore, KEYSTORE).unwrap();
    let expected = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    let keys = [
        Key::from_env_value("KEY", &Secret::new(KEY)).unwrap(),
        Key::from_file(&plain).unwrap(),
        Key::from_keystore(&keystore, &Secret::new("correct horse")).unwrap(),
    ];
    for key in keys {
        assert_eq!(key.address(), expected);
        let printed = format!("{key:?}");
        assert!(printed.contains("****") && !printed.contains("ac0974"), "{printed}");
    }
}

#[test]
fn a_bad_key_is_an_error_that_does_not_show_it() {
    let secret = "0xdeadbeefdeadbeef";
    let error =
        Key::from_env_value("PORTCULLIS_KEY", &Secret::new(secret)).unwrap_err().to_string();
    assert!(error.contains("PORTCULLIS_KEY") && !error.contains("deadbeef"), "{error}");
    let zero = Key::from_env_value("KEY", &Secret::new("00".repeat(32))).unwrap_err();
    assert!(matches!(zero, KeyError::Malformed { .. }));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keystore.json");
    assert!(matches!(
        Key::from_keystore(&path, &Secret::new("x")),
        Err(KeyError::Unreadable { .. })
    ));
    std::fs::write(&path, KEYSTORE).unwrap();
    assert!(matches!(
        Key::from_keystore(&path, &Secret::new("wrong")),
        Err(KeyError::Keystore { .. })
    ));
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(Key::from_keystore(&path, &Secret::new("x")), Err(KeyError::Keystore { .. })));
    std::fs::write(&path, " ".repeat(100_000)).unwrap();
    assert!(matches!(
        Key::from_keystore(&path, &Secret::new("x")),
        Err(KeyError::Unreadable { .. })
    ));
}
