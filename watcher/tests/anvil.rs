//! Sources, state and simulation against a real node: what is simulated must be what the node then mines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod node;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy::{
    consensus::{TxEip2930, TxEip7702, TxLegacy},
    eips::{
        eip2930::{AccessList, AccessListItem},
        eip7702::Authorization,
    },
    primitives::{Address, B256, Bytes, TxKind, U256},
    signers::SignerSync as _,
    sol,
    sol_types::{SolCall as _, SolValue as _},
};
use portcullis_watcher::{
    simulate::{
        Simulator,
        execution::{Execution, Status},
    },
    source::{
        Head, PendingTransaction, Pool, Source as _, SourceError, SourceEvent,
        recording::{Header, Pace, RecordedChain, Recording, RecordingSource, RecordingWriter},
    },
    state::{
        AdvanceReport, ChainRules, EmptiedBecause, ForkedState, Hardfork, HardforkSchedule,
        RecordingBackend, RpcBackend,
    },
};
use serde_json::{Value, json};

use node::{Anvil, CHAIN_ID, ETHER, Person, Stream, artifact};

sol! {
    function deposit() external payable;
    function withdraw(uint256 amount) external;
    function withdrawAll() external;
    function attack(address vault, uint256 loops) external payable;
    function roundTrip(address vault, uint256 amount) external payable;
    function transfer(address to, uint256 amount) external returns (bool);
}

const RULES: ChainRules = ChainRules {
    chain_id: CHAIN_ID,
    hardforks: HardforkSchedule::always(Hardfork::Prague),
    block_time_s: 1,
};

/// Simulates off the reactor, as the guard does: missing state is fetched over the same connection.
async fn simulate(
    simulator: &Simulator,
    tx: &Arc<PendingTransaction>,
    before: Vec<Arc<PendingTransaction>>,
) -> Execution {
    let (simulator, tx) = (simulator.clone(), Arc::clone(tx));
    tokio::task::spawn_blocking(move || simulator.simulate(&tx, &before)).await.unwrap().unwrap()
}

async fn advance(state: &Arc<ForkedState>, stream: &mut Stream) -> AdvanceReport {
    let block = stream.head().await;
    let state = Arc::clone(state);
    tokio::task::spawn_blocking(move || state.advance(&block)).await.unwrap().unwrap()
}

/// Status, gas used and logs.
type Ending = (bool, u64, Vec<(Address, Vec<B256>, Bytes)>);

/// Status, gas used and logs of the receipt, in the same form as [`of_execution`].
async fn of_receipt(stream: &Stream, hash: B256) -> Ending {
    let receipt = stream.ask("eth_getTransactionReceipt", json!([hash])).await;
    let number = |value: &Value| u64::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap();
    let logs = receipt["logs"].as_array().unwrap().iter().map(|log| {
        let part = |name: &str| log[name].clone();
        (
            serde_json::from_value(part("address")).unwrap(),
            serde_json::from_value(part("topics")).unwrap(),
            serde_json::from_value(part("data")).unwrap(),
        )
    });
    (receipt["status"] == "0x1", number(&receipt["gasUsed"]), logs.collect())
}

fn of_execution(execution: &Execution) -> Ending {
    let logs = execution.logs.iter().filter(|log| log.kept);
    (
        execution.status == Status::Success,
        execution.gas_used,
        logs.map(|log| (log.address, log.topics.clone(), log.data.clone())).collect(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulations_equal_receipts_and_the_state_stays_exact() {
    let anvil = Anvil::start(0);
    let mut stream = Stream::open(anvil.port, CHAIN_ID);
    let state = ForkedState::new(RULES, Arc::new(RpcBackend::new([stream.link.clone()])));
    let simulator = Simulator::new(Arc::clone(&state));
    assert_eq!(advance(&state, &mut stream).await, AdvanceReport::Emptied(EmptiedBecause::First));

    let (mut admin, mut user, mut thief) =
        (Person::number(0), Person::number(1), Person::number(2));
    let vault = admin.address().create(0);
    let token = admin.address().create(1);
    let thiefs = thief.address().create(0);
    let reenterer = user.address().create(0);
    let create =
        |name: &str, arguments: Vec<u8>| (TxKind::Create, 0, [artifact(name), arguments].concat());
    let ether = |tenths: u128| U256::from(tenths * ETHER / 10);
    let mut touched = std::collections::BTreeSet::new();

    let mut steps = Vec::new();
    let mut step = |person: &mut Person, (to, value, input): (TxKind, u128, Vec<u8>)| {
        steps.push(person.sign(to, value, input.into()));
    };
    step(&mut admin, create("Vault", admin_argument(Person::number(0).address())));
    step(&mut admin, create("Token", U256::from(1_000_000).abi_encode()));
    step(&mut user, create("HarmlessReenter", vec![]));
    step(&mut thief, create("Attacker", vec![]));
    step(&mut user, (TxKind::Call(vault), 10 * ETHER, depositCall {}.abi_encode()));
    step(&mut user, (TxKind::Call(vault), 0, withdrawCall { amount: ether(5) }.abi_encode()));
    step(&mut user, (TxKind::Call(vault), 0, withdrawCall { amount: ether(500) }.abi_encode()));
    step(
        &mut user,
        (TxKind::Call(reenterer), ETHER, roundTripCall { vault, amount: ether(4) }.abi_encode()),
    );
    step(
        &mut admin,
        (TxKind::Call(token), 0, transferCall { to: thiefs, amount: U256::from(77) }.abi_encode()),
    );
    step(&mut admin, (TxKind::Call(Address::repeat_byte(0x55)), ETHER, vec![]));
    step(
        &mut thief,
        (TxKind::Call(thiefs), ETHER, attackCall { vault, loops: U256::from(20) }.abi_encode()),
    );
    step(&mut user, (TxKind::Call(vault), 0, withdrawAllCall {}.abi_encode()));

    for tx in steps {
        stream.send(&tx).await;
        let seen = stream.pending(tx.hash).await;
        assert_eq!(seen.sender, tx.sender);
        let execution = simulate(&simulator, &seen, vec![]).await;
        stream.mine().await;
        let report = advance(&state, &mut stream).await;
        assert_eq!(report, AdvanceReport::Exact { transactions: 1 });
        assert_eq!(of_execution(&execution), of_receipt(&stream, tx.hash).await);
        let written =
            execution.accesses.iter().filter(|access| access.after.is_some() && !access.transient);
        touched.extend(written.map(|access| (access.address, access.slot)));
    }

    // The history contract is written by the protocol itself, before the first transaction of each block.
    let history: Address = "0x0000F90827F1C53a10cb7A02335B175320002935".parse().unwrap();
    touched.insert((history, U256::from(state.head().unwrap().number - 1)));
    assert!(touched.len() > 5, "{} slots", touched.len());
    for (address, slot) in touched {
        let node: U256 = {
            let word = stream.ask("eth_getStorageAt", json!([address, slot, "latest"])).await;
            serde_json::from_value::<B256>(word).unwrap().into()
        };
        assert_eq!(
            state.view().unwrap().storage(address, slot).unwrap(),
            node,
            "slot {slot:#x} of {address}"
        );
    }
    for address in
        [vault, thiefs, reenterer, thief.address(), user.address(), admin.address(), Address::ZERO]
    {
        let node: U256 =
            serde_json::from_value(stream.ask("eth_getBalance", json!([address, "latest"])).await)
                .unwrap();
        let ours = {
            let state = Arc::clone(&state);
            tokio::task::spawn_blocking(move || state.view().unwrap().balance_wei(address).unwrap())
                .await
                .unwrap()
        };
        assert_eq!(ours, node, "balance of {address}");
    }
    let counts = state.counts();
    assert_eq!(
        (counts.emptied_mismatch, counts.emptied_not_runnable, counts.emptied_reorg),
        (0, 0, 0),
        "{counts:?}"
    );
}

fn admin_argument(admin: Address) -> Vec<u8> {
    admin.abi_encode()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attack_prepared_in_the_same_block_is_seen_through_its_predecessors() {
    let anvil = Anvil::start(0);
    let mut stream = Stream::open(anvil.port, CHAIN_ID);
    let state = ForkedState::new(RULES, Arc::new(RpcBackend::new([stream.link.clone()])));
    let simulator = Simulator::new(Arc::clone(&state));
    advance(&state, &mut stream).await;

    let (mut admin, mut thief) = (Person::number(0), Person::number(2));
    let vault = admin.address().create(0);
    let deploy = [artifact("Vault"), admin_argument(admin.address())].concat();
    for tx in [
        admin.sign(TxKind::Create, 0, deploy.into()),
        admin.sign(TxKind::Call(vault), 9 * ETHER, depositCall {}.abi_encode().into()),
    ] {
        stream.send(&tx).await;
    }
    stream.mine().await;
    assert_eq!(advance(&state, &mut stream).await, AdvanceReport::Exact { transactions: 2 });

    let weapon = thief.address().create(0);
    let prepare = thief.sign(TxKind::Create, 0, artifact("Attacker").into());
    let call = attackCall { vault, loops: U256::from(20) };
    let strike = thief.sign(TxKind::Call(weapon), ETHER, call.abi_encode().into());
    let mut pool = Pool::new(100);
    for tx in [&prepare, &strike] {
        stream.send(tx).await;
        pool.insert(stream.pending(tx.hash).await);
    }
    let before = pool.predecessors(&strike, 0);
    assert_eq!(before.len(), 1);
    let execution = simulate(&simulator, &strike, before).await;
    let left = execution.balances_after.iter().find(|(address, _)| *address == vault).unwrap().1;
    assert_eq!(left, U256::ZERO);

    stream.mine().await;
    let block = stream.head().await;
    pool.mined(&block);
    assert!(pool.is_empty());
    assert_eq!(of_execution(&execution), of_receipt(&stream, strike.hash).await);
}

/// Blocks with many transactions of several people, some of which fail: status, gas and logs of each go into the
/// receipts root, so `Exact` means that all of them were equal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_blocks_of_varied_transactions_run_exactly() {
    let anvil = Anvil::start(0);
    let mut stream = Stream::open(anvil.port, CHAIN_ID);
    let state = ForkedState::new(RULES, Arc::new(RpcBackend::new([stream.link.clone()])));
    advance(&state, &mut stream).await;

    let mut people = [Person::number(0), Person::number(1), Person::number(2)];
    let vault = people[0].address().create(0);
    let token = people[0].address().create(1);
    let reenterer = people[1].address().create(0);
    let create = |name: &str, arguments: Vec<u8>| Bytes::from([artifact(name), arguments].concat());
    let mut block = vec![
        people[0].sign(
            TxKind::Create,
            0,
            create("Vault", admin_argument(Person::number(0).address())),
        ),
        people[0].sign(TxKind::Create, 0, create("Token", U256::from(1_000_000).abi_encode())),
        people[1].sign(TxKind::Create, 0, create("HarmlessReenter", vec![])),
    ];
    // A small generator with a fixed seed: the same transactions each time.
    let mut seed = 7_u64;
    let mut dice = move |sides: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % sides
    };
    let (mut run, mut failed) = (0, 0);
    for _ in 0..20 {
        for tx in &block {
            stream.send(tx).await;
        }
        stream.mine().await;
        let told = stream.head().await;
        assert_eq!(told.transactions.len(), block.len());
        let moving = Arc::clone(&state);
        let report =
            tokio::task::spawn_blocking(move || moving.advance(&told)).await.unwrap().unwrap();
        assert_eq!(report, AdvanceReport::Exact { transactions: block.len() });
        run += block.len();
        for tx in &block {
            failed += usize::from(!of_receipt(&stream, tx.hash).await.0);
        }
        block.clear();
        for _ in 0..15 {
            let amount = u128::from(dice(5)) * ETHER / 10;
            let payload = |call: Vec<u8>| Bytes::from(call);
            let (to, value, input) = match dice(7) {
                0 => (vault, amount, payload(depositCall {}.abi_encode())),
                1 => (vault, 0, payload(withdrawCall { amount: U256::from(amount) }.abi_encode())),
                2 => (vault, 0, payload(withdrawAllCall {}.abi_encode())),
                3 => (
                    token,
                    0,
                    payload(
                        transferCall { to: reenterer, amount: U256::from(dice(9)) }.abi_encode(),
                    ),
                ),
                4 => (
                    reenterer,
                    amount,
                    payload(roundTripCall { vault, amount: U256::from(amount) }.abi_encode()),
                ),
                5 => (Address::from_word(U256::from(dice(1 << 30)).into()), amount, Bytes::new()),
                _ => (vault, amount, Bytes::from(vec![1, 2, 3])),
            };
            let person = dice(3) as usize;
            block.push(people[person].sign(TxKind::Call(to), value, input));
        }
    }
    assert!(failed > run / 10 && failed < run * 9 / 10, "{failed} of {run} failed");
}

/// Every envelope that a wallet can make: legacy, access list, fees, delegated code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_transaction_runs_with_its_real_envelope() {
    let anvil = Anvil::start(0);
    let mut stream = Stream::open(anvil.port, CHAIN_ID);
    let state = ForkedState::new(RULES, Arc::new(RpcBackend::new([stream.link.clone()])));
    let simulator = Simulator::new(Arc::clone(&state));
    advance(&state, &mut stream).await;

    let mut admin = Person::number(0);
    let delegate = Person::number(1);
    let vault = admin.address().create(0);
    let deploy = [artifact("Vault"), admin_argument(admin.address())].concat();
    let mut steps = vec![admin.sign(TxKind::Create, 0, deploy.into())];
    let to = TxKind::Call(vault);
    let (value, input) = (U256::from(ETHER), Bytes::from(depositCall {}.abi_encode()));
    let list = AccessList(vec![AccessListItem { address: vault, storage_keys: vec![B256::ZERO] }]);
    let (gas_limit, gas_price) = (500_000, 5_000_000_000);
    steps.push(admin.seal(TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce: 1,
        gas_price,
        gas_limit,
        to,
        value,
        input: input.clone(),
    }));
    steps.push(admin.seal(TxLegacy {
        chain_id: None,
        nonce: 2,
        gas_price,
        gas_limit,
        to,
        value,
        input: input.clone(),
    }));
    steps.push(admin.seal(TxEip2930 {
        chain_id: CHAIN_ID,
        nonce: 3,
        gas_price,
        gas_limit,
        to,
        value,
        access_list: list.clone(),
        input: input.clone(),
    }));
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: vault, nonce: 0 };
    let signature = delegate.signer.sign_hash_sync(&authorization.signature_hash()).unwrap();
    steps.push(admin.seal(TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 4,
        gas_limit,
        max_fee_per_gas: gas_price,
        max_priority_fee_per_gas: 1,
        to: delegate.address(),
        value,
        access_list: list,
        authorization_list: vec![authorization.into_signed(signature)],
        input: input.clone(),
    }));
    // The delegated account now answers with the vault's code.
    steps.push(admin.seal(TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce: 5,
        gas_price,
        gas_limit,
        to: TxKind::Call(delegate.address()),
        value,
        input,
    }));

    for tx in steps {
        stream.send(&tx).await;
        let seen = stream.pending(tx.hash).await;
        assert_eq!(seen.envelope, tx.envelope);
        let execution = simulate(&simulator, &seen, vec![]).await;
        stream.mine().await;
        assert_eq!(advance(&state, &mut stream).await, AdvanceReport::Exact { transactions: 1 });
        assert_eq!(of_execution(&execution), of_receipt(&stream, tx.hash).await);
        assert_eq!(execution.status, Status::Success);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_session_replays_without_the_node_to_the_same_executions() {
    let mut anvil = Anvil::start(0);
    let mut stream = Stream::open(anvil.port, CHAIN_ID);
    let first = stream.head().await;
    let header = Header {
        format: String::new(),
        version: 0,
        chain: RecordedChain {
            name: "test".into(),
            id: CHAIN_ID,
            hardfork: Hardfork::Prague,
            later_hardforks: Default::default(),
            block_time_s: 1,
        },
        contracts: Default::default(),
        complete: false,
        head: Head::from(&*first),
        state: Default::default(),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.jsonl");
    let writer = Arc::new(Mutex::new(RecordingWriter::create(&path, header).unwrap()));
    let backend = RecordingBackend::new(
        Arc::new(RpcBackend::new([stream.link.clone()])),
        Arc::clone(&writer),
    );
    let state = ForkedState::new(RULES, Arc::new(backend));
    let simulator = Simulator::new(Arc::clone(&state));
    state.advance(&first).unwrap();

    let (mut admin, mut thief) = (Person::number(0), Person::number(2));
    let vault = admin.address().create(0);
    let weapon = thief.address().create(0);
    let deploy = [artifact("Vault"), admin_argument(admin.address())].concat();
    let call = attackCall { vault, loops: U256::from(20) };
    let mut live = Vec::new();
    for tx in [
        admin.sign(TxKind::Create, 0, deploy.into()),
        admin.sign(TxKind::Call(vault), 9 * ETHER, depositCall {}.abi_encode().into()),
        thief.sign(TxKind::Create, 0, artifact("Attacker").into()),
        thief.sign(TxKind::Call(weapon), ETHER, call.abi_encode().into()),
    ] {
        stream.send(&tx).await;
        let seen = stream.pending(tx.hash).await;
        writer.lock().unwrap().pending(&seen).unwrap();
        live.push(simulate(&simulator, &seen, vec![]).await);
        stream.mine().await;
        let block = stream.head().await;
        writer.lock().unwrap().head(&block).unwrap();
        let state = Arc::clone(&state);
        tokio::task::spawn_blocking(move || state.advance(&block)).await.unwrap().unwrap();
    }
    drop((simulator, state));
    Arc::into_inner(writer).unwrap().into_inner().unwrap().finish().unwrap();
    anvil.stop();

    let recording = Arc::new(Recording::open(&path).unwrap());
    let state = ForkedState::from_recording(&recording).unwrap();
    let simulator = Simulator::new(Arc::clone(&state));
    let (mut events, task) = Box::new(RecordingSource::new(recording, Pace::Unpaced)).start(8);
    tokio::spawn(task);
    let mut replayed = Vec::new();
    while let Some(event) = events.recv().await {
        match event {
            SourceEvent::Head(block) => drop(state.advance(&block).unwrap()),
            SourceEvent::Pending(tx) => replayed.push(simulator.simulate(&tx, &[]).unwrap()),
            _ => {}
        }
    }
    assert_eq!(replayed, live);
    assert_eq!(state.counts().emptied_mismatch, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_before_the_guard_came_is_seen() {
    let anvil = Anvil::start(0);
    let tx = Person::number(0).sign(TxKind::Call(Address::repeat_byte(1)), 1, Bytes::new());
    let mut early = Stream::open(anvil.port, CHAIN_ID);
    early.head().await;
    early.send(&tx).await;
    early.pending(tx.hash).await;

    let mut late = Stream::open(anvil.port, CHAIN_ID);
    assert_eq!(
        *late.pending(tx.hash).await,
        PendingTransaction { seen_at_ms: 7, node: "local".into(), ..(*tx).clone() }
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_of_the_block_under_construction_are_read_once_each() {
    let anvil = Anvil::start(0);
    let mut stream = Stream::open_as(&[anvil.port], CHAIN_ID, |source| source.with_slices(20));
    stream.head().await;
    let mut person = Person::number(0);
    let mut sent = Vec::new();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let tx = person.sign(TxKind::Call(Address::repeat_byte(1)), 1, Bytes::new());
        stream.send(&tx).await;
        sent.push(tx.hash);
        let pending = |event| match event {
            SourceEvent::Pending(tx) => Some(tx.hash),
            _ => None,
        };
        seen.push(stream.find("a slice's transaction", pending).await);
    }
    assert_eq!(seen, sent, "each slice holds those before it, and they are told once");
    stream.mine().await;
    assert_eq!(stream.head().await.transactions.len(), 3);

    // Without a pool nothing is seen before it is mined.
    let mut blocks = Stream::open_as(&[anvil.port], CHAIN_ID, |source| source.without_mempool());
    blocks.head().await;
    let tx = person.sign(TxKind::Call(Address::repeat_byte(1)), 1, Bytes::new());
    stream.send(&tx).await;
    stream.mine().await;
    let first = blocks
        .find("a block or a pending transaction", |event| match event {
            SourceEvent::Head(block) => Some(Ok(block.transactions[0].hash)),
            SourceEvent::Pending(tx) => Some(Err(tx.hash)),
            _ => None,
        })
        .await;
    assert_eq!(first, Ok(tx.hash));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_is_rolled_back_and_missed_heads_are_filled_in() {
    let anvil = Anvil::start(0);
    let mut stream = Stream::open(anvil.port, CHAIN_ID);
    let state = ForkedState::new(RULES, Arc::new(RpcBackend::new([stream.link.clone()])));
    advance(&state, &mut stream).await;
    let snapshot = stream.ask("evm_snapshot", json!([])).await;
    stream.ask("anvil_mine", json!(["0x5"])).await;
    let mut heights = Vec::new();
    for _ in 0..5 {
        let block = stream.head().await;
        heights.push(block.number);
        assert_eq!(state.advance(&block).unwrap(), AdvanceReport::Exact { transactions: 0 });
    }
    assert_eq!(heights, [1, 2, 3, 4, 5]);

    stream.ask("evm_revert", json!([snapshot])).await;
    stream.ask("evm_increaseTime", json!([1000])).await;
    stream.mine().await;
    let block = stream.head().await;
    assert_eq!(block.number, 1);
    let rolled_back = AdvanceReport::RolledBack { blocks: 5, transactions: 0 };
    assert_eq!(state.advance(&block).unwrap(), rolled_back);
    assert_eq!(state.head().unwrap().hash, block.hash);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_of_one_chain_tell_everything_once() {
    let anvil = Anvil::start(0);
    let mut stream = Stream::open_to(&[anvil.port, anvil.port], CHAIN_ID);
    for _ in 0..2 {
        stream.find("node", |event| matches!(event, SourceEvent::Up { .. }).then_some(())).await;
    }
    let mut person = Person::number(0);
    let mut sent = Vec::new();
    for _ in 0..5 {
        let tx = person.sign(TxKind::Call(Address::repeat_byte(1)), 1, Bytes::new());
        stream.send(&tx).await;
        sent.push(tx.hash);
        stream.mine().await;
    }
    let last = person.sign(TxKind::Call(Address::repeat_byte(1)), 1, Bytes::new());
    let (mut pending, mut heads) = (Vec::new(), Vec::new());
    stream.send(&last).await;
    sent.push(last.hash);
    stream
        .find("the last head and transaction", |event| {
            match event {
                SourceEvent::Pending(tx) => pending.push(tx.hash),
                SourceEvent::Head(block) => heads.push(block.number),
                _ => {}
            }
            (pending.contains(&last.hash) && heads.contains(&5)).then_some(())
        })
        .await;
    assert_eq!(pending, sent);
    heads.retain(|number| *number > 0);
    assert_eq!(heads, [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_found_again() {
    let mut anvil = Anvil::start(0);
    let port = anvil.port;
    let mut stream = Stream::open(port, CHAIN_ID);
    stream.head().await;
    anvil.stop();
    let retry_in_ms = stream
        .find("loss", |event| match event {
            SourceEvent::Down { retry_in_ms, attempt: 1, .. } => Some(retry_in_ms),
            _ => None,
        })
        .await;
    assert_eq!(retry_in_ms, 250);
    let refused = stream.link.request("eth_chainId", json!([])).await;
    assert!(refused.is_err());

    let _anvil = Anvil::start(port);
    stream.find("return", |event| matches!(event, SourceEvent::Up { .. }).then_some(())).await;
    let mut person = Person::number(0);
    let tx = person.sign(TxKind::Call(Address::repeat_byte(1)), 1, Bytes::new());
    stream.send(&tx).await;
    stream.pending(tx.hash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_chain_than_configured_is_an_error_that_names_both() {
    let anvil = Anvil::start(0);
    let stream = Stream::open(anvil.port, 1);
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.task).await.unwrap().unwrap();
    match ended {
        Err(SourceError::WrongChain { expected, found, .. }) => {
            assert_eq!((expected, found), (1, CHAIN_ID))
        }
        other => panic!("{other:?}"),
    }
}
