//! One pause per incident: raised in its place block by block, and never sent beside one that waits already.

#![expect(clippy::arithmetic_side_effects, reason = "a wrong number in a test fails it")]

use super::*;

/// A pool that knows what waits: it counts nonces, shows its next block, and asks a tenth more for a replacement.
struct Chain {
    head: AtomicUsize,
    waiting: Mutex<Vec<TxEnvelope>>,
}

impl Chain {
    fn new() -> Arc<Self> {
        Arc::new(Self { head: AtomicUsize::new(100), waiting: Mutex::default() })
    }

    fn engine(self: &Arc<Self>) -> Arc<PauseEngine> {
        let plain = engine(&[&Node::new(Manner::Accepts)]);
        let key = Key::from_env_value("KEY", &Secret::new(KEY)).unwrap();
        let rpcs: Vec<Arc<dyn Rpc>> = vec![Arc::clone(self) as Arc<dyn Rpc>];
        Arc::new(PauseEngine::new(key, plain.settings().clone(), rpcs).unwrap())
    }

    fn take(&self, params: &Value) -> Result<Value, RpcError> {
        let raw: Bytes = serde_json::from_value(params[0].clone()).unwrap();
        let new = TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap();
        let hash = *new.tx_hash();
        let refused = |message: &str| {
            Err(RpcError::Refused { code: -32000, message: message.into(), data: Value::Null })
        };
        let mut waiting = self.waiting.lock().unwrap();
        if waiting.iter().any(|old| *old.tx_hash() == hash) {
            return refused("already known");
        }
        if let Some(old) = waiting.iter_mut().find(|old| old.nonce() == new.nonce()) {
            let tips = |tx: &TxEnvelope| tx.max_priority_fee_per_gas().unwrap();
            if new.max_fee_per_gas() * 10 < old.max_fee_per_gas() * 11
                || tips(&new) * 10 < tips(old) * 11
            {
                return refused("replacement transaction underpriced");
            }
            *old = new;
        } else {
            waiting.push(new);
        }
        Ok(json!(hash))
    }
}

impl Rpc for Chain {
    fn request<'a>(
        &'a self,
        method: &'a str,
        params: Value,
    ) -> BoxFuture<'a, Result<Value, RpcError>> {
        async move {
            let waiting = self.waiting.lock().unwrap().clone();
            match (method, params[1].as_str(), params[0].as_str()) {
                ("eth_sendRawTransaction", ..) => self.take(&params),
                ("eth_getTransactionCount", Some("latest"), _) => Ok(json!("0x7")),
                ("eth_getTransactionCount", ..) => Ok(json!(format!("{:#x}", 7 + waiting.len()))),
                ("eth_blockNumber", ..) => {
                    Ok(json!(format!("{:#x}", self.head.fetch_add(1, Ordering::SeqCst))))
                }
                ("eth_getTransactionReceipt", ..) => Ok(Value::Null),
                ("eth_getBlockByNumber", _, Some("pending")) => {
                    let transactions: Vec<Value> = waiting
                        .iter()
                        .map(|tx| {
                            json!({
                                "hash": tx.tx_hash(),
                                "from": tx.recover_signer().unwrap(),
                                "to": tx.to(),
                                "nonce": format!("{:#x}", tx.nonce()),
                                "input": tx.input(),
                                "maxFeePerGas": format!("{:#x}", tx.max_fee_per_gas()),
                                "maxPriorityFeePerGas":
                                    format!("{:#x}", tx.max_priority_fee_per_gas().unwrap()),
                            })
                        })
                        .collect();
                    Ok(json!({ "transactions": transactions }))
                }
                ("eth_getBlockByNumber", ..) => {
                    Ok(json!({ "baseFeePerGas": format!("{:#x}", 20 * GWEI) }))
                }
                (other, ..) => panic!("{other} was not expected"),
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn two_processes_with_one_key_pause_once() {
    let chain = Chain::new();
    let (first, second) = (chain.engine(), chain.engine());
    first.refresh().await.unwrap();
    second.refresh().await.unwrap();
    let sent = first.fire(&request(TARGET)).await.unwrap();

    // The other saw the same attack at the same price: the very same bytes, which the pool knows.
    assert_eq!(second.fire(&request(TARGET)).await.unwrap().tx_hash, sent.tx_hash);
    // A third saw it with other evidence: refused by the pool, and found there.
    let third = chain.engine();
    let other = PauseRequest { evidence: B256::ZERO, nonce: Some(7), ..request(TARGET) };
    assert_eq!(
        third.fire(&other).await.unwrap_err(),
        GuardianError::AlreadySent { target: TARGET, tx_hash: sent.tx_hash }
    );
    assert_eq!(chain.waiting.lock().unwrap().len(), 1);

    // Another target is another pause, behind it.
    let elsewhere = PauseRequest { nonce: Some(7), ..request(Address::repeat_byte(0xcc)) };
    assert_eq!(chain.engine().fire(&elsewhere).await.unwrap().nonce, 8);
}

/// A transaction of the same key that pauses nothing, from wherever, must not hold a pause up behind it.
#[tokio::test]
async fn what_stands_in_the_way_and_pauses_nothing_is_replaced() {
    let stray = |chain: &Arc<Chain>, tip_gwei: u128| {
        let tx = alloy::consensus::TxEip1559 {
            chain_id: 31337,
            nonce: 7,
            gas_limit: 21_000,
            max_fee_per_gas: (20 + tip_gwei) * GWEI,
            max_priority_fee_per_gas: tip_gwei * GWEI,
            to: alloy::primitives::TxKind::Call(TARGET),
            value: Default::default(),
            access_list: Default::default(),
            input: Bytes::new(),
        };
        let key = Key::from_env_value("KEY", &Secret::new(KEY)).unwrap();
        let raw = alloy::eips::Encodable2718::encoded_2718(&key.sign(tx).unwrap());
        chain.take(&json!([Bytes::from(raw)])).unwrap();
    };
    // Cheaper than the pause, and dearer; there before the engine looked, and after it.
    for (tip_gwei, is_known) in [(1, true), (1, false), (120, true), (120, false)] {
        let chain = Chain::new();
        let engine = chain.engine();
        if is_known {
            stray(&chain, tip_gwei);
        }
        assert_eq!(engine.refresh().await.unwrap(), 7);
        if !is_known {
            stray(&chain, tip_gwei);
        }
        let sent = engine.fire(&request(TARGET)).await.unwrap();
        assert_eq!(sent.nonce, 7, "{tip_gwei} gwei, known {is_known}");
        let waiting = chain.waiting.lock().unwrap();
        let [pause] = waiting.as_slice() else { panic!("one waits: {waiting:?}") };
        assert_eq!((*pause.tx_hash(), pause.to()), (sent.tx_hash, Some(GUARDIAN)));
        assert!(sent.max_tip_wei >= tip_gwei * GWEI * 11 / 10);
    }
}

#[tokio::test]
async fn after_a_restart_the_pause_that_waits_is_known_and_raised_in_its_place() {
    let chain = Chain::new();
    let sent = chain.engine().fire(&request(TARGET)).await.unwrap();

    let restarted = chain.engine();
    assert_eq!(restarted.refresh().await.unwrap(), 8);
    let again = restarted.fire(&request(TARGET)).await.unwrap_err();
    assert_eq!(again, GuardianError::AlreadySent { target: TARGET, tx_hash: sent.tx_hash });
    let dear = PauseRequest { attack_max_fee_per_gas: 600 * GWEI, ..request(TARGET) };
    let raised = restarted.fire(&dear).await.unwrap();
    assert_eq!((raised.nonce, raised.replaces), (sent.nonce, Some(sent.tx_hash)));
    assert_eq!(chain.waiting.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn each_block_that_leaves_the_pause_out_raises_its_offer_until_the_budget_ends() {
    let chain = Chain::new();
    let engine = chain.engine();
    let sent = engine.fire(&request(TARGET)).await.unwrap();
    let mut offers = vec![(sent.max_fee_per_gas_wei, sent.max_tip_wei)];
    for head in 101..140 {
        let Some(raised) = engine.raise(sent.tx_hash, head).await.unwrap() else { break };
        assert_eq!(raised.nonce, sent.nonce);
        offers.push((raised.max_fee_per_gas_wei, raised.max_tip_wei));
        assert_eq!(engine.raise(sent.tx_hash, head).await.unwrap(), None, "once for each head");
    }
    assert!(offers.len() > 5, "{offers:?}");
    for pair in offers.windows(2) {
        let ((fee, tip), (next_fee, next_tip)) = (pair[0], pair[1]);
        assert!(next_fee * 10 >= fee * 11 && next_tip * 10 >= tip * 11, "{offers:?}");
    }
    let budget = engine.settings().budget;
    let (fee, tip) = *offers.last().unwrap();
    assert!(fee <= budget.max_fee_per_gas_wei && tip <= budget.max_tip_wei);
    assert_eq!(chain.waiting.lock().unwrap().len(), 1);
    // Whoever follows does the same: the head moves each time it is asked for.
    let error = engine.follow(sent.tx_hash, 110).await.unwrap_err();
    assert!(matches!(error, GuardianError::NotMined { .. }), "{error}");
}

#[tokio::test]
async fn what_is_signed_ahead_is_what_is_sent_and_never_more_than_twice_the_price() {
    let chain = Chain::new();
    let engine = chain.engine();
    engine.sign_ahead_for(&[TARGET]);
    engine.refresh().await.unwrap();
    assert!(engine.signed_ahead_count() > 50, "{}", engine.signed_ahead_count());
    let sent = engine.fire(&request(TARGET)).await.unwrap();
    assert_eq!(sent.evidence, reference(31337, GUARDIAN, TARGET, 7));
    assert!(sent.max_tip_wei > 50 * GWEI && sent.max_tip_wei <= 2 * 57 * GWEI, "{sent:?}");
    assert!(sent.max_fee_per_gas_wei > 100 * GWEI);
    let waiting = chain.waiting.lock().unwrap().clone();
    let [transaction] = waiting.as_slice() else { panic!("one") };
    assert_eq!(*transaction.input(), engine.pause_call(TARGET, sent.evidence).data);
    assert_eq!(transaction.recover_signer().unwrap(), engine.address());
    // The next head signs for the nonces that come, and forgets those behind.
    let signed = engine.signed_ahead_count();
    engine.refresh().await.unwrap();
    assert_eq!(engine.signed_ahead_count(), signed);
    // A target that nothing is signed for is paused all the same, with the attack as its evidence.
    let other = engine.fire(&request(Address::repeat_byte(0xcc))).await.unwrap();
    assert_eq!(other.evidence, B256::repeat_byte(0xee));
}

/// A node that says of everything what it is told to say.
struct Witness {
    name: &'static str,
    slot: u64,
    head: u8,
    lag: AtomicUsize,
}

impl Rpc for Witness {
    fn label(&self) -> &str {
        self.name
    }

    fn request<'a>(
        &'a self,
        method: &'a str,
        params: Value,
    ) -> BoxFuture<'a, Result<Value, RpcError>> {
        async move {
            if method != "eth_chainId" {
                let block = if method == "eth_getStorageAt" { &params[2] } else { &params[0] };
                assert!(*block == json!("0x64") || params[1] == json!("0x64"), "{method} {params}");
            }
            Ok(match method {
                "eth_chainId" => json!("0x7a69"),
                "eth_getBlockByNumber" if self.lag.load(Ordering::SeqCst) > 0 => {
                    self.lag.fetch_sub(1, Ordering::SeqCst);
                    Value::Null
                }
                "eth_getBlockByNumber" => json!({ "hash": B256::repeat_byte(self.head) }),
                "eth_getCode" => json!("0x6001"),
                "eth_getStorageAt" => json!(B256::from(alloy::primitives::U256::from(self.slot))),
                "eth_getBalance" => json!("0x9"),
                other => panic!("{other} was not expected"),
            })
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_majority_of_the_configured_nodes_must_confirm_what_was_judged() {
    use alloy::primitives::{U256, keccak256};
    let honest = |name| Witness { name, slot: 5, head: 1, lag: AtomicUsize::new(0) };
    let liar = |name| Witness { slot: 6, ..honest(name) };
    let forked = |name| Witness { head: 2, ..honest(name) };
    let behind = |name, lag| Witness { lag: AtomicUsize::new(lag), ..honest(name) };
    let premises = Premises {
        block: 100,
        block_hash: B256::repeat_byte(1),
        codes: vec![(TARGET, keccak256([0x60, 0x01]))],
        slots: vec![(TARGET, U256::from(3), U256::from(5))],
        balances: vec![(TARGET, U256::from(9))],
    };
    let confirmed = async |witnesses: Vec<Witness>, within_ms| {
        let settings = engine(&[&Node::new(Manner::Accepts)]).settings().clone();
        let key = Key::from_env_value("KEY", &Secret::new(KEY)).unwrap();
        let rpcs = witnesses.into_iter().map(|witness| Arc::new(witness) as Arc<dyn Rpc>).collect();
        let engine = PauseEngine::new(key, settings, rpcs).unwrap();
        engine.confirm(&premises, Duration::from_millis(within_ms)).await
    };
    let slow = 20_000;
    confirmed(vec![honest("a")], slow).await.unwrap();
    confirmed(vec![honest("a"), honest("b")], slow).await.unwrap();
    confirmed(vec![liar("a"), honest("b"), honest("c")], slow).await.unwrap();
    confirmed(vec![behind("a", 3), behind("b", 3), liar("c")], slow).await.unwrap();
    for (witnesses, words) in [
        (vec![liar("a")], "a: slot 0x3 of"),
        (vec![liar("a"), honest("b")], "of 2 nodes confirm what was judged, 2 must: a: slot 0x3"),
        (vec![forked("a"), honest("b")], "a: block 100 is 0x0202"),
        // The one that invented the attack agrees with itself; the others do not.
        (vec![honest("a"), liar("b"), liar("c")], "of 3 nodes confirm what was judged, 2 must"),
    ] {
        let error = confirmed(witnesses, slow).await.unwrap_err();
        assert!(matches!(error, GuardianError::NotConfirmed { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // Two nodes, one of which never hears of the block: not in time is not at all.
    let error = confirmed(vec![honest("a"), behind("b", usize::MAX)], 300).await.unwrap_err();
    assert!(error.to_string().contains("b: no answer within 300 ms"), "{error}");
}
