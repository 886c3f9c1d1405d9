//! What may go wrong around a guard: a node that freezes, a wire that is cut, lies, a flood, a full disk. It judges
//! nothing falsely, says what happened, and goes on; how soon is printed.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;
#[path = "process/relay.rs"]
mod relay;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy::primitives::{Address, B256, Signature, TxKind, U256};
use portcullis_alerting::journal::{Journal, VerdictFilter};
use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_range::story::{Role, Step, Story, StoryOptions};
use process::GuardProcess;
use relay::Relay;
use serde_json::{Value, json};

const CHAIN_ID: u64 = 31_337;

/// A node with the story's vault on it, and a folder for a guard's configuration and journal.
struct Scene {
    node: LocalNode,
    story: Story,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR")))
            .expect("anvil is set up: `bash .ci/setup`");
        let node = LocalNode::start(&anvil, CHAIN_ID, 1).await.unwrap();
        let story = Story::tell(&StoryOptions::default());
        node.set_up(&story).await.unwrap();
        Self { node, story, folder: tempfile::tempdir().unwrap() }
    }

    fn configuration(&self, node: &str, more: &str) -> PathBuf {
        let path = self.folder.path().join("portcullis.toml");
        let text = format!(
            "version = 1\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\nblock_time_ms = 1000\nnodes = ['{node}']\n\
             [[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n{more}",
            self.story.vault
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    fn benign(&self) -> Vec<&Step> {
        self.story.steps.iter().filter(|step| step.role == Role::Benign).collect()
    }

    /// Sends a step and waits for what is said of it.
    async fn judge(&self, guard: &mut GuardProcess, step: &Step) -> Value {
        self.node.send(&step.raw).await.unwrap();
        verdict_on(guard, step.hash)
    }
}

fn verdict_on(guard: &mut GuardProcess, hash: B256) -> Value {
    let hash = hash.to_string();
    guard.wait_until(&format!("verdict on {hash}"), |event| {
        event["event"] == "verdict" && event["row"]["tx_hash"] == hash.as_str()
    })
}

fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.unwrap().success());
}

/// Nothing in this session was an attack.
fn assert_no_false_verdict(events: &[Value]) {
    let accused = events.iter().filter(|event| {
        let outcome = event["row"]["outcome"].as_str();
        event["event"] == "verdict" && matches!(outcome, Some("attack" | "suspicious"))
    });
    assert_eq!(accused.collect::<Vec<_>>(), [&Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_freezes_is_left_and_found_again() {
    let scene = Scene::set().await;
    let mut guard = GuardProcess::start(&scene.configuration(scene.node.address(), ""), None);
    guard.wait_for("ready");
    let benign = scene.benign();
    scene.judge(&mut guard, benign[0]).await;

    let process = scene.node.process_id().unwrap();
    signal(process, "STOP");
    let frozen = Instant::now();
    let down = guard.wait_for("node_down");
    println!("a frozen node was left after {:?}: {}", frozen.elapsed(), down["reason"]);
    assert!(down["reason"].as_str().unwrap().contains("stands still"), "{down}");
    signal(process, "CONT");
    let thawed = Instant::now();
    let gap = guard.wait_until("gap", |event| event["kind"] == "gap");
    println!("found again {:?} after it went on: {}", thawed.elapsed(), gap["detail"]);
    let detail = gap["detail"].as_str().unwrap();
    assert!(detail.starts_with("nothing was heard of any node for "), "{gap}");
    assert!(
        detail.contains("at most 8192 pending transactions that a lost node had told"),
        "{gap}"
    );

    let row = scene.judge(&mut guard, benign[1]).await;
    assert_eq!(row["row"]["outcome"], "clear", "{row}");
    assert_eq!(guard.interrupt(), Some(0));
    assert_no_false_verdict(&guard.rest());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_wire_and_lies_cost_a_connection_and_no_verdict() {
    let scene = Scene::set().await;
    let relay = Relay::before(scene.node.address());
    let mut guard = GuardProcess::start(&scene.configuration(relay.address(), ""), None);
    guard.wait_for("ready");
    let benign = scene.benign();
    scene.judge(&mut guard, benign[0]).await;

    relay.cut_next_message();
    let cut = Instant::now();
    guard.wait_for("node_down");
    guard.wait_for("node_up");
    println!("cut in the middle of a message, connected again after {:?}", cut.elapsed());
    scene.judge(&mut guard, benign[1]).await;

    let lie = {
        let mut lie = as_json(&bought(0, 1));
        lie["from"] = json!(Address::repeat_byte(9));
        lie
    };
    let told = |result: Value| {
        json!({ "jsonrpc": "2.0", "method": "eth_subscription", "params": { "result": result } })
            .to_string()
    };
    let believed = [
        told(lie),
        told(json!({ "hash": B256::repeat_byte(3), "from": Address::ZERO, "nonce": "0xzz" })),
        told(json!(B256::repeat_byte(4))),
        told(json!(["0x", {}, null])),
        json!({ "id": u64::MAX, "result": "0x1" }).to_string(),
        json!({ "id": 1, "error": { "code": 1e300, "message": [] } }).to_string(),
    ];
    relay.say(&believed);
    let refused = |guard: &mut GuardProcess, reason: &str| {
        guard.wait_until(reason, |event| {
            event["event"] == "refused" && event["reason"].as_str().unwrap().contains(reason)
        });
    };
    refused(&mut guard, "node says from is");
    refused(&mut guard, "cannot be decoded");
    refused(&mut guard, "gone when asked for");
    // A head that is announced replaces one that was not yet looked at, so the chain stands still for the last lie.
    scene.node.request("evm_setIntervalMining", json!([0])).await.unwrap();
    let reached = scene.node.request("eth_blockNumber", json!([])).await.unwrap();
    let reached: U256 = serde_json::from_value(reached).unwrap();
    if !guard.has_told(|event| event["event"] == "head" && is_number(event, reached)) {
        guard.wait_until("the last head", |event| {
            event["event"] == "head" && is_number(event, reached)
        });
    }
    // What no node may say ends the connection; it is made anew each time.
    let unbearable = [
        "{\"jsonrpc\":\"2.0\",\"method\":".to_owned(),
        "[".repeat(100_000),
        told(
            json!({ "parentHash": B256::ZERO, "number": "0xffffffffffffffff", "hash": B256::repeat_byte(5) }),
        ),
    ];
    for text in unbearable {
        relay.say(&[text]);
        guard.wait_for("node_down");
        guard.wait_for("node_up");
    }
    let row = scene.judge(&mut guard, benign[2]).await;
    assert_eq!(row["row"]["outcome"], "clear", "{row}");
    assert_eq!(guard.interrupt(), Some(0));
    let events = guard.rest();
    assert_no_false_verdict(&events);
    let hash = bought(0, 1).0.tx_hash().to_string();
    assert!(events.iter().all(|event| event["row"]["tx_hash"] != hash.as_str()));
}

fn is_number(event: &Value, number: U256) -> bool {
    event["number"].as_u64().map(U256::from) == Some(number)
}

/// A transaction that anybody can make without a key: any signature is somebody's.
fn bought(nonce: u64, sender: u64) -> (TxEnvelope, Address) {
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 5_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::repeat_byte(0x42)),
        ..TxEip1559::default()
    };
    let mut s = sender;
    loop {
        // Every second number is no point of the curve.
        let signature = Signature::new(U256::from(1), U256::from(s + 1), false);
        let hash = tx.signature_hash();
        match signature.recover_address_from_prehash(&hash) {
            Ok(sender) => return (TxEnvelope::from(tx.into_signed(signature)), sender),
            Err(_) => s += 1_000_000,
        }
    }
}

fn as_json((envelope, sender): &(TxEnvelope, Address)) -> Value {
    let inner = Recovered::new_unchecked(envelope.clone(), *sender);
    serde_json::to_value(alloy::rpc::types::Transaction {
        inner,
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: None,
        block_timestamp: None,
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_leaves_out_what_is_not_protected_and_the_strike_is_seen() {
    const FLOOD: u64 = 5_000;
    let scene = Scene::set().await;
    let relay = Relay::before(scene.node.address());
    let config = scene.configuration(relay.address(), "[http]\nlisten = '127.0.0.1:0'\n");
    let mut guard = GuardProcess::start(&config, None);
    let page = guard.wait_for("listening")["address"].as_str().unwrap().to_owned();
    guard.wait_for("ready");
    let benign = scene.benign();
    scene.judge(&mut guard, benign[0]).await;

    let texts: Vec<String> = (0..FLOOD)
        .map(|n| {
            let result = as_json(&bought(0, n));
            json!({ "jsonrpc": "2.0", "method": "eth_subscription", "params": { "result": result } })
                .to_string()
        })
        .collect();
    let strike = scene.story.steps.iter().find(|step| step.role == Role::Attack).unwrap();
    let began = Instant::now();
    relay.say(&texts);
    println!("{FLOOD} transactions told within {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(1), "a second is all that they get");
    let struck = Instant::now();
    let row = scene.judge(&mut guard, strike).await;
    println!("the strike behind them was judged after {:?}", struck.elapsed());
    assert_eq!(row["row"]["outcome"], "attack", "{row}");
    let calm = scene.judge(&mut guard, benign[1]).await;
    println!("and the next of the vault's users after {:?}", struck.elapsed());
    assert_eq!(calm["row"]["outcome"], "clear", "{calm}");

    let metrics = ask(&page, "/metrics");
    let count = |sample: &str| -> u64 {
        let line = metrics.lines().find(|line| line.starts_with(sample));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    let seen = count("portcullis_seen_total{chain=\"local\"}");
    let full =
        count("portcullis_dropped_total{chain=\"local\",stage=\"source\",reason=\"channel_full\"}");
    let skipped = count("portcullis_skipped_total{chain=\"local\",priority=\"other\"}");
    println!("seen {seen}, no room at the source {full}, left out of the queue {skipped}");
    assert!(seen + full >= FLOOD, "each one is counted:\n{metrics}");
    for priority in ["named", "acquainted"] {
        let sample = format!("portcullis_skipped_total{{chain=\"local\",priority=\"{priority}\"}}");
        assert_eq!(count(&sample), 0, "{metrics}");
    }
    assert_eq!(guard.interrupt(), Some(0));
    let accused = guard.rest().into_iter().filter(|event| event["row"]["outcome"] == "attack");
    let accused: Vec<Value> = accused.map(|event| event["row"]["tx_hash"].clone()).collect();
    assert_eq!(accused, [json!(strike.hash)], "nothing but the strike");
}

fn ask(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_what_waited_is_written_when_there_is_room() {
    let scene = Scene::set().await;
    let config = scene.configuration(scene.node.address(), "[http]\nlisten = '127.0.0.1:0'\n");
    // Its log is on the same disk, and cannot be written either.
    let log_path = scene.folder.path().join("guard.log");
    std::fs::write(&log_path, [b'\n'; 1_024]).unwrap();
    let log = std::fs::File::options().append(true).open(&log_path).unwrap();
    let mut guard = GuardProcess::start_under_limits(&config, log);
    let page = guard.wait_for("listening")["address"].as_str().unwrap().to_owned();
    guard.wait_for("ready");
    let benign = scene.benign();
    scene.judge(&mut guard, benign[0]).await;

    guard.limit_files(Some(512));
    let row = scene.judge(&mut guard, benign[1]).await;
    assert_eq!(row["row"]["outcome"], "clear", "the guard judges on: {row}");
    let failing = |metrics: &str| {
        let sample = "portcullis_journal_failed_writes_total ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(sample));
        line.unwrap().parse::<u64>().unwrap()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while failing(&ask(&page, "/metrics")) == 0 {
        assert!(Instant::now() < deadline, "the failure shows in the metrics");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let written = |hash: B256| {
        let journal = Journal::open_read_only(scene.folder.path().join("portcullis.db")).unwrap();
        let rows = journal.verdicts(&VerdictFilter::default()).unwrap();
        rows.iter().filter(|row| row.tx_hash == hash).count()
    };
    assert_eq!(written(benign[1].hash), 0);
    guard.limit_files(None);
    let freed = Instant::now();
    while written(benign[1].hash) == 0 {
        assert!(freed.elapsed() < Duration::from_secs(20), "{}", ask(&page, "/metrics"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("written {:?} after there was room", freed.elapsed());
    assert_eq!(guard.interrupt(), Some(0), "nothing was lost");
    assert_eq!(benign[..2].iter().map(|step| written(step.hash)).collect::<Vec<_>>(), [1, 1]);
    assert_no_false_verdict(&guard.rest());
}

/// Two nodes of one chain: here a node and a wire of its own to the same one, which can be frozen alone.
#[tokio::test(flavor = "multi_thread")]
async fn with_one_of_two_nodes_frozen_the_other_carries_on_and_nothing_is_judged_twice() {
    let scene = Scene::set().await;
    let relay = Relay::before(scene.node.address());
    let config = scene.folder.path().join("portcullis.toml");
    let text = format!(
        "version = 1\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\nblock_time_ms = 1000\nnodes = ['{}', '{}']\n\
         [[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n",
        relay.address(),
        scene.node.address(),
        scene.story.vault
    );
    std::fs::write(&config, text).unwrap();
    let mut guard = GuardProcess::start(&config, None);
    for node in ["local/0", "local/1"] {
        if !guard.has_told(|event| event["event"] == "node_up" && event["node"] == node) {
            guard.wait_until(node, |event| event["event"] == "node_up" && event["node"] == node);
        }
    }
    if !guard.has_told(|event| event["event"] == "ready") {
        guard.wait_for("ready");
    }
    let benign = scene.benign();
    scene.judge(&mut guard, benign[0]).await;

    relay.freeze();
    let frozen = Instant::now();
    // While it is frozen and nobody knows yet, the other one tells everything.
    let row = scene.judge(&mut guard, benign[1]).await;
    println!("judged {:?} after one node froze", frozen.elapsed());
    assert_eq!(row["row"]["outcome"], "clear", "{row}");
    let down = guard.wait_for("node_down");
    println!("the frozen node was left after {:?}: {}", frozen.elapsed(), down["reason"]);
    assert_eq!(down["node"], "local/0", "{down}");
    scene.judge(&mut guard, benign[2]).await;

    relay.thaw();
    guard.wait_until("the frozen node again", |event| {
        event["event"] == "node_up" && event["node"] == "local/0"
    });
    let strike = scene.story.steps.iter().find(|step| step.role == Role::Attack).unwrap();
    let row = scene.judge(&mut guard, strike).await;
    assert_eq!(row["row"]["outcome"], "attack", "{row}");
    assert_eq!(guard.interrupt(), Some(0));

    let events = guard.rest();
    let mut judged: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "verdict")
        .map(|event| event["row"]["tx_hash"].as_str().unwrap())
        .collect();
    let all = judged.len();
    judged.sort_unstable();
    judged.dedup();
    assert_eq!(judged.len(), all, "each once");
    assert!(events.iter().all(|event| event["kind"] != "gap"), "one node was always there");
}
