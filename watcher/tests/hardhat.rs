//! A second node implementation, which announces hashes alone and orders blocks by effective tip.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "this test needs a part of it")]
mod node;

use std::{
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use alloy::{
    consensus::TxEip1559,
    primitives::{Address, TxKind, U256},
    sol,
    sol_types::{SolCall as _, SolValue as _},
};
use portcullis_watcher::{
    simulate::{Simulator, execution::Status},
    source::PendingTransaction,
    state::{AdvanceReport, ChainRules, ForkedState, Hardfork, HardforkSchedule, RpcBackend},
};
use serde_json::json;

use node::{CHAIN_ID, Person, Stream, artifact};

sol! {
    function deposit() external payable;
    function withdraw(uint256 amount) external;
}

const RULES: ChainRules = ChainRules {
    chain_id: CHAIN_ID,
    hardforks: HardforkSchedule::always(Hardfork::Prague),
    block_time_s: 1,
};

/// A node of hardhat's, ended when it is dropped.
struct Hardhat {
    child: Child,
    port: u16,
}

impl Hardhat {
    fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.parts/hardhat");
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut child = Command::new("node")
            .current_dir(&folder)
            .args(["node_modules/hardhat/internal/cli/cli.js", "node"])
            .args(["--hostname", "127.0.0.1", "--port", &port.to_string()])
            .env("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `bash .ci/setup`", folder.display()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_up =
            lines.by_ref().map_while(Result::ok).any(|line| line.contains("JSON-RPC server at"));
        assert!(is_up, "hardhat says where it listens; run `bash .ci/setup`");
        // Its pipe must not fill.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }
}

impl Drop for Hardhat {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hashes_are_fetched_blocks_are_ordered_by_tip_and_simulations_equal_receipts() {
    let hardhat = Hardhat::start();
    let mut stream = Stream::open(hardhat.port, CHAIN_ID);
    let state = ForkedState::new(RULES, Arc::new(RpcBackend::new([stream.link.clone()])));
    let first = stream.head().await;
    let moving = Arc::clone(&state);
    tokio::task::spawn_blocking(move || moving.advance(&first)).await.unwrap().unwrap();
    let refused = stream
        .link
        .request("eth_subscribe", json!(["newPendingTransactions", true]))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("refused"), "hashes alone: {refused}");

    let (mut admin, mut user, mut other) =
        (Person::number(0), Person::number(1), Person::number(2));
    let code = [artifact("Vault"), admin.address().abi_encode()].concat();
    let vault = admin.address().create(0);
    let deploy = admin.sign(TxKind::Create, 0, code.into());
    settle(&mut stream, &state, &[&deploy]).await;

    // The first offers more per gas, the second leaves more for the builder.
    let offer = |person: &mut Person, max_fee_per_gas, max_priority_fee_per_gas, ether: u64| {
        let tx = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: person.nonce,
            gas_limit: 200_000,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: TxKind::Call(vault),
            value: U256::from(ether),
            access_list: Default::default(),
            input: depositCall {}.abi_encode().into(),
        };
        person.nonce += 1;
        person.seal(tx)
    };
    let proud = offer(&mut user, 90_000_000_000, 1_000_000_000, 7);
    let generous = offer(&mut other, 50_000_000_000, 3_000_000_000, 9);
    settle(&mut stream, &state, &[&generous, &proud]).await;

    // One that is allowed and one that reverts.
    let withdraw = |amount: u64| withdrawCall { amount: U256::from(amount) }.abi_encode().into();
    let allowed = user.sign(TxKind::Call(vault), 0, withdraw(5));
    let refused = other.sign(TxKind::Call(vault), 0, withdraw(1_000));
    settle(&mut stream, &state, &[&allowed]).await;
    settle(&mut stream, &state, &[&refused]).await;
    assert_eq!(state.counts().emptied_mismatch, 0);
}

/// Sends transactions the other way round, sees each of them pending, simulates it, and has them mined: in this order,
/// with what was simulated.
async fn settle(
    stream: &mut Stream,
    state: &Arc<ForkedState>,
    expected: &[&Arc<PendingTransaction>],
) {
    let simulator = Simulator::new(Arc::clone(state));
    let mut simulated = Vec::new();
    for tx in expected.iter().rev() {
        stream.send(tx).await;
        let pending = stream.pending(tx.hash).await;
        let simulator = simulator.clone();
        let done = tokio::task::spawn_blocking(move || simulator.simulate(&pending, &[]));
        simulated.push(done.await.unwrap().unwrap());
    }
    simulated.reverse();
    stream.mine().await;
    let block = stream.head().await;
    let order: Vec<_> = block.transactions.iter().map(|tx| tx.hash).collect();
    assert_eq!(order, expected.iter().map(|tx| tx.hash).collect::<Vec<_>>());
    for execution in simulated {
        let hash = execution.envelope.tx_hash;
        let receipt = stream.ask("eth_getTransactionReceipt", json!([hash])).await;
        let gas_used = format!("{:#x}", execution.gas_used);
        let status = if execution.status == Status::Success { "0x1" } else { "0x0" };
        assert_eq!((&receipt["gasUsed"], &receipt["status"]), (&json!(gas_used), &json!(status)));
        let emitters: Vec<Address> = execution.logs.iter().map(|log| log.address).collect();
        let logs = receipt["logs"].as_array().unwrap().iter();
        let told: Vec<Address> =
            logs.map(|log| serde_json::from_value(log["address"].clone()).unwrap()).collect();
        assert_eq!(emitters, told);
    }
    let moving = Arc::clone(state);
    let transactions = block.transactions.len();
    let report =
        tokio::task::spawn_blocking(move || moving.advance(&block)).await.unwrap().unwrap();
    assert_eq!(report, AdvanceReport::Exact { transactions });
}
