//! `portcullis guardian` on a real node: from nothing to a guardian that could pause, and every step that is missing.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, Bytes, U256, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use portcullis_alerting::guardian::{Key, Transaction, transact};
use portcullis_alerting::secret::Secret;
use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_watcher::source::rpc::{Client, RpcLimits};
use serde_json::{Value, json};

alloy::sol! {
    function grantRole(bytes32 role, address account) external;
    function pause() external;
}

const CHAIN_ID: u64 = 31_337;
const WITHIN: Duration = Duration::from_secs(60);
/// The node's first account, which it funds.
const OWNER: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const PAUSER: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

struct Stage {
    node: LocalNode,
    client: Client,
    folder: tempfile::TempDir,
    owner: Key,
    pauser: Key,
    vault: Address,
}

impl Stage {
    async fn set_up() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let anvil = find_anvil(None, &root).expect("anvil is set up: `bash .ci/setup`");
        let node = LocalNode::start(&anvil, CHAIN_ID, 1).await.unwrap();
        let url = node.address().parse().unwrap();
        let (client, _, driver) =
            Client::connect(Arc::from("test"), &url, RpcLimits::default()).await.unwrap();
        tokio::spawn(async move {
            driver.await;
        });
        let key = |value| Key::from_env_value("KEY", &Secret::new(value)).unwrap();
        let (owner, pauser) = (key(OWNER), key(PAUSER));
        let ether = U256::from(10).pow(U256::from(18));
        for account in [owner.address(), pauser.address()] {
            node.request("anvil_setBalance", json!([account, ether * U256::from(100)]))
                .await
                .unwrap();
        }
        let artifact =
            std::fs::read_to_string(root.join("fixtures/contracts/artifacts/Vault.json")).unwrap();
        let artifact: Value = serde_json::from_str(&artifact).unwrap();
        let code: Bytes = serde_json::from_value(artifact["bytecode"].clone()).unwrap();
        let data = [code.to_vec(), owner.address().abi_encode()].concat().into();
        let create = Transaction { to: None, data, value_wei: U256::ZERO };
        let vault =
            transact(&owner, &client, &create, WITHIN).await.unwrap().contract_address.unwrap();
        Self { node, client, folder: tempfile::tempdir().unwrap(), owner, pauser, vault }
    }

    /// Writes a configuration; without a guardian there is no table for it.
    fn configure(&self, guardian: Option<&str>) -> PathBuf {
        let path = self.folder.path().join("portcullis.toml");
        let guardian = guardian.map_or(String::new(), |address| {
            format!(
                "[guardian]\naddress = '{address}'\nkey = {{ env = 'PORTCULLIS_TEST_PAUSER' }}\n"
            )
        });
        let text = format!(
            "version = 1\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\nblock_time_ms = 1000\nnodes = ['{}']\n\
             [[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n{guardian}",
            self.node.address(),
            self.vault
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn own(&self, to: Address, data: Vec<u8>) {
        let call = Transaction { to: Some(to), data: data.into(), value_wei: U256::ZERO };
        assert!(transact(&self.owner, &self.client, &call, WITHIN).await.unwrap().has_succeeded());
    }
}

/// Runs `portcullis guardian`.
fn guardian(config: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("guardian")
        .args(args)
        .arg("--config")
        .arg(config)
        .env("PORTCULLIS_TEST_OWNER", OWNER)
        .env("PORTCULLIS_TEST_PAUSER", PAUSER)
        .output()
        .expect("the command starts")
}

/// Runs it, expects success, and gives what it printed.
fn done(config: &Path, args: &[&str]) -> String {
    let output = guardian(config, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Exit code and report of `guardian status`.
fn status(config: &Path) -> (Option<i32>, Value) {
    let output = guardian(config, &["status", "--format", "json"]);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

fn only_problem(report: &Value) -> &str {
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{report:#}");
    problems[0].as_str().unwrap()
}

const KEY: [&str; 2] = ["--owner-key", "env:PORTCULLIS_TEST_OWNER"];

#[tokio::test(flavor = "multi_thread")]
async fn status_names_what_is_missing_until_a_pause_would_work() {
    let stage = Stage::set_up().await;
    let config = stage.configure(None);
    let address = done(&config, &["deploy", KEY[0], KEY[1]]);
    let address = address.trim();
    let config = stage.configure(Some(address));

    let (code, report) = status(&config);
    assert_eq!(code, Some(1));
    assert!(only_problem(&report).contains("is not a pauser"), "{report:#}");
    assert_eq!(report["owner"], json!(stage.owner.address()));

    done(&config, &["grant", "--expires-in", "30", KEY[0], KEY[1]]);
    let (code, report) = status(&config);
    assert_eq!(code, Some(1));
    assert!(only_problem(&report).contains("has no pause calls for"), "{report:#}");
    let days = report["pausers"][0]["expires_at_s"].as_u64().unwrap()
        - report["head_time_s"].as_u64().unwrap();
    assert!((29 * 86_400..=30 * 86_400).contains(&days), "{report:#}");

    done(&config, &["register", KEY[0], KEY[1]]);
    let (code, report) = status(&config);
    assert_eq!(code, Some(1));
    assert!(
        only_problem(&report).contains("has not granted"),
        "the vault's own role is missing: {report:#}"
    );

    let role = grantRoleCall { role: keccak256("PAUSER_ROLE"), account: address.parse().unwrap() };
    stage.own(stage.vault, role.abi_encode()).await;
    let (code, report) = status(&config);
    assert_eq!((code, &report["problems"]), (Some(0), &json!([])), "{report:#}");
    let target = &report["targets"][0];
    assert_eq!(
        target["calls"],
        json!([{ "to": stage.vault, "data": Bytes::from(pauseCall {}.abi_encode()) }])
    );
    assert_eq!(
        target["rehearsals"][0],
        json!({ "pauser": stage.pauser.address(), "works": true, "problem": null })
    );
    let page = done(&config, &["status"]);
    assert!(page.ends_with("a pause would work now\n"), "{page}");

    done(&config, &["renounce"]);
    let (code, report) = status(&config);
    assert_eq!(code, Some(1));
    assert!(only_problem(&report).contains("never granted or was revoked"), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_owners_key_a_call_is_printed_and_nothing_is_sent() {
    let stage = Stage::set_up().await;
    let address = done(&stage.configure(None), &["deploy", KEY[0], KEY[1]]);
    let config = stage.configure(Some(address.trim()));
    let printed = done(&config, &["register"]);
    let call: Value = serde_json::from_str(&printed).expect("one JSON object");
    let (_, report) = status(&config);
    assert_eq!(report["targets"][0]["calls"], json!([]), "nothing was sent");

    // What was printed does what it says when its owner sends it.
    let data: Bytes = serde_json::from_value(call["data"].clone()).unwrap();
    stage.own(serde_json::from_value(call["to"].clone()).unwrap(), data.to_vec()).await;
    let (_, report) = status(&config);
    assert_eq!(report["targets"][0]["calls"][0]["to"], json!(stage.vault));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_with_exit_code_2() {
    let stage = Stage::set_up().await;
    let config = stage.configure(None);
    for (args, words) in [
        (&["status"][..], "no guardian is configured"),
        (&["deploy"], "pass --owner-key"),
        (&["deploy", "--owner-key", "env:NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE"),
        (&["register", "--chain", "mars"], "no chain is named `mars`; expected one of: local"),
        (&["deploy", "--owner-key", OWNER], "expected `env:NAME`, `file:PATH` or `keystore:PATH`"),
    ] {
        let output = guardian(&config, args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
        assert!(!said.contains(OWNER), "a key given by mistake is not repeated: {said}");
    }

    // A contract that somebody else owns is not changed, and says whose it is.
    let elsewhere = Address::repeat_byte(7).to_string();
    let address = done(&config, &["deploy", "--owner", &elsewhere, KEY[0], KEY[1]]);
    let config = stage.configure(Some(address.trim()));
    let output = guardian(&config, &["register", KEY[0], KEY[1]]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("is owned by {elsewhere}")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_holds_the_configuration_against_the_chain() {
    let stage = Stage::set_up().await;
    let config = stage.configure(None);
    let address = done(&config, &["deploy", KEY[0], KEY[1]]);
    let guardian_address: Address = address.trim().parse().unwrap();
    let config = stage.configure(Some(address.trim()));
    let check = || {
        let output = guardian(&config, &["check", "--format", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), report)
    };
    let (code, report) = check();
    assert_eq!(code, Some(1));
    let problems = report["problems"].to_string();
    assert!(problems.contains("is configured and not registered"), "{report:#}");
    assert!(problems.contains("is not a pauser"), "{report:#}");

    // Another call than the configured one: it is registered, it is known, and it is not what was meant.
    done(&config, &["register", KEY[0], KEY[1]]);
    done(&config, &["grant", "--expires-in", "30", KEY[0], KEY[1]]);
    let role = grantRoleCall { role: keccak256("PAUSER_ROLE"), account: guardian_address };
    stage.own(stage.vault, role.abi_encode()).await;
    let (code, report) = check();
    assert_eq!((code, &report["problems"]), (Some(0), &json!([])), "{report:#}");
    assert_eq!(report["notes"], json!([]), "{report:#}");
    let sound = report["sound"].to_string();
    for what in ["works now", "knows the function 0x8456cb59", "is registered", "has code"] {
        assert!(sound.contains(what), "{what}: {report:#}");
    }

    let text = std::fs::read_to_string(&config).unwrap();
    let other = Address::repeat_byte(0x77);
    let pause = format!("pause = [{{ to = '{other}', data = '0x12345678' }}]\n[guardian]");
    std::fs::write(&config, text.replace("[guardian]", &pause)).unwrap();
    let (code, report) = check();
    assert_eq!(code, Some(1), "{report:#}");
    assert!(only_problem(&report).contains("0x12345678"), "{report:#}");
    assert!(report["notes"].to_string().contains("is registered for"), "{report:#}");
}

/// Exit code and report of a drill.
fn drill(args: &[&str]) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["guardian", "drill", "--format", "json"])
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the command starts");
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

/// Its report once it passed: a machine that has no time for it may miss a block, and does not do so every time.
fn passing_drill(args: &[&str]) -> (Option<i32>, Value) {
    let again = |_| Some(drill(args)).filter(|(code, _)| *code == Some(0));
    (0..4).find_map(again).unwrap_or_else(|| drill(args))
}

#[test]
fn a_drill_passes_every_step_in_order() {
    let (code, report) = passing_drill(&["--local"]);
    assert_eq!((code, &report["passed"]), (Some(0), &json!(true)), "{report:#}");
    let steps = report["steps"].as_array().unwrap();
    let times: Vec<u64> =
        steps.iter().skip(1).map(|step| step["after_ms"].as_u64().unwrap()).collect();
    assert_eq!(times.len(), 5);
    assert!(times.is_sorted(), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_on_a_fork_of_a_running_head_passes_and_leaves_that_chain_alone() {
    let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR")))
        .expect("anvil is set up: `bash .ci/setup`");
    let running = LocalNode::start_by_hand(&anvil, 4_242).await.unwrap();
    for _ in 0..7 {
        running.mine().await.unwrap();
    }
    let url = running.address().replace("ws://", "http://");
    let rehearsed = tokio::task::spawn_blocking(move || passing_drill(&["--fork", &url]));
    let (code, report) = rehearsed.await.unwrap();
    assert_eq!((code, &report["passed"]), (Some(0), &Value::Bool(true)), "{report:#}");
    let mined = report["steps"].as_array().unwrap().iter().find(|step| step["name"] == "mined");
    let detail = mined.unwrap()["detail"].as_str().unwrap();
    let block = detail.trim_start_matches("block ").split(',').next().unwrap();
    assert!(block.parse::<u64>().unwrap() > 7, "on top of the head: {detail}");
    assert_eq!(running.height().await.unwrap(), 7, "nothing happened there");
}

/// What each fault looks like: where the chain breaks, and in which words; a nonce that is taken breaks nothing.
#[test]
fn a_drill_shows_what_each_fault_looks_like() {
    let folder = tempfile::tempdir().unwrap();
    for (what, words) in [("funds", "holds 0 wei"), ("chain-id", "31338")] {
        let metrics = folder.path().join("drill.prom");
        let (code, report) =
            drill(&["--local", "--without", what, "--metrics", metrics.to_str().unwrap()]);
        assert_eq!((code, &report["passed"]), (Some(1), &json!(false)), "{what}: {report:#}");
        let first = &report["steps"][0];
        assert_eq!((&first["name"], &first["passed"]), (&json!("ready"), &json!(false)), "{what}");
        assert!(first["detail"].as_str().unwrap().contains(words), "{what}: {report:#}");
        let metrics = std::fs::read_to_string(metrics).unwrap();
        assert!(metrics.contains("\nportcullis_drill_passed 0\n"), "{metrics}");
        assert!(metrics.contains("portcullis_drill_step_passed{step=\"mined\"} 0\n"), "{metrics}");
    }
    let metrics = folder.path().join("drill.prom");
    let (code, report) =
        drill(&["--local", "--without", "nonce", "--metrics", metrics.to_str().unwrap()]);
    assert_eq!((code, &report["passed"]), (Some(0), &json!(true)), "{report:#}");
    let metrics = std::fs::read_to_string(metrics).unwrap();
    assert!(metrics.contains("\nportcullis_drill_passed 1\n"), "{metrics}");
    assert!(metrics.contains("portcullis_drill_step_seconds{step=\"mined\"} "), "{metrics}");
}

#[test]
fn a_drill_without_the_role_breaks_before_the_attack() {
    let (code, report) = drill(&["--local", "--without", "role"]);
    assert_eq!((code, &report["passed"]), (Some(1), &json!(false)), "{report:#}");
    let first = &report["steps"][0];
    assert_eq!((&first["name"], &first["passed"]), (&json!("ready"), &json!(false)));
    assert!(first["detail"].as_str().unwrap().contains("is not a pauser"), "{report:#}");
}
