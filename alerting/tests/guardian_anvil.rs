//! The guardian on a real node: set up, found wanting, fired, and mined before the attack.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use portcullis_alerting::guardian::deploy::{self, RegisteredCall};
use portcullis_alerting::guardian::{
    AttackFate, EngineSettings, FeeBudget, GuardianError, Key, PauseEngine, PauseRequest, Receipt,
    Rpc, RpcError, Transaction, transact,
};
use portcullis_alerting::secret::Secret;
use serde_json::{Value, json};

alloy::sol! {
    function deposit() external payable;
    function pause() external;
    function paused() external view returns (bool);
    function grantRole(bytes32 role, address account) external;
    function revokeRole(bytes32 role, address account) external;
    function attack(address vault, uint256 loops) external payable;
}

const GWEI: u128 = 1_000_000_000;
const CHAIN_ID: u64 = 31337;
const WITHIN: Duration = Duration::from_secs(20);

/// Accounts of the usual development mnemonic, which the node funds.
const KEYS: [&str; 4] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
];

/// A node of our own, ended when it goes out of scope.
struct Anvil {
    process: Child,
    rpc: Arc<HttpRpc>,
}

struct HttpRpc {
    url: String,
    agent: ureq::Agent,
}

impl Rpc for HttpRpc {
    fn label(&self) -> &str {
        "anvil"
    }

    fn request<'a>(
        &'a self,
        method: &'a str,
        params: Value,
    ) -> BoxFuture<'a, Result<Value, RpcError>> {
        let body =
            json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let request = self.agent.post(&self.url).header("Content-Type", "application/json");
        async move {
            let text = tokio::task::spawn_blocking(move || {
                request.send(body)?.body_mut().read_to_string()
            })
            .await
            .unwrap()
            .map_err(|error| RpcError::Connection(error.to_string()))?;
            let mut answer: Value = serde_json::from_str(&text).unwrap();
            match answer.get_mut("error").map(Value::take) {
                None => Ok(answer["result"].take()),
                Some(mut error) => Err(RpcError::Refused {
                    code: error["code"].as_i64().unwrap(),
                    message: error["message"].as_str().unwrap().to_owned(),
                    data: error["data"].take(),
                }),
            }
        }
        .boxed()
    }
}

impl Anvil {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let binary = root.join("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
        let mut process = Command::new(binary)
            .args(["--port", "0", "--hardfork", "prague", "--order", "fees"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("`npm ci --ignore-scripts` has run");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("anvil says where it listens").unwrap();
            if let Some(address) = line.strip_prefix("Listening on ") {
                break address.to_owned();
            }
        };
        // Read on, so that a full pipe never stops the node.
        std::thread::spawn(move || lines.for_each(drop));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        Self { process, rpc: Arc::new(HttpRpc { url: format!("http://{address}"), agent }) }
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        self.rpc.request(method, params).await.unwrap()
    }

    async fn send(
        &self,
        key: &Key,
        to: Option<Address>,
        data: impl Into<Bytes>,
        value_wei: U256,
    ) -> Receipt {
        let transaction = Transaction { to, data: data.into(), value_wei };
        let receipt = transact(key, self.rpc.as_ref(), &transaction, WITHIN).await.unwrap();
        assert!(receipt.has_succeeded());
        receipt
    }

    async fn is_paused(&self, vault: Address) -> bool {
        let call = json!({ "to": vault, "input": Bytes::from(pausedCall {}.abi_encode()) });
        let answer: Bytes =
            serde_json::from_value(self.ask("eth_call", json!([call, "latest"])).await).unwrap();
        pausedCall::abi_decode_returns(&answer).unwrap()
    }

    async fn balance(&self, account: Address) -> U256 {
        serde_json::from_value(self.ask("eth_getBalance", json!([account, "latest"])).await)
            .unwrap()
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn key(index: usize) -> Key {
    Key::from_env_value("KEY", &Secret::new(KEYS[index])).unwrap()
}

fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(10).pow(U256::from(18))
}

fn creation_code(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text =
        std::fs::read_to_string(root.join(format!("fixtures/contracts/artifacts/{name}.json")))
            .unwrap();
    let artifact: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value::<Bytes>(artifact["bytecode"].clone()).unwrap().to_vec()
}

/// A node with a funded vault and a guardian that knows how to pause it but may not yet, and has no pauser yet.
struct Stage {
    anvil: Anvil,
    owner: Key,
    guardian: Address,
    vault: Address,
}

impl Stage {
    async fn set_up() -> Self {
        let anvil = Anvil::start();
        let owner = key(0);
        let creation = [creation_code("Vault"), owner.address().abi_encode()].concat();
        let vault = anvil.send(&owner, None, creation, U256::ZERO).await.contract_address.unwrap();
        anvil.send(&owner, Some(vault), depositCall {}.abi_encode(), ether(10)).await;
        let guardian = deploy::deployment(owner.address());
        let guardian =
            anvil.send(&owner, None, guardian.data, U256::ZERO).await.contract_address.unwrap();
        Self { anvil, owner, guardian, vault }
    }

    async fn register(&self) {
        let calls = [RegisteredCall { to: self.vault, data: pauseCall {}.abi_encode().into() }];
        self.own(deploy::register_call(self.vault, &calls)).await;
    }

    async fn grant_role(&self) {
        let call = grantRoleCall { role: keccak256("PAUSER_ROLE"), account: self.guardian };
        self.anvil.send(&self.owner, Some(self.vault), call.abi_encode(), U256::ZERO).await;
    }

    async fn own(&self, data: Bytes) {
        self.anvil.send(&self.owner, Some(self.guardian), data, U256::ZERO).await;
    }

    fn engine(&self, key: Key, change: impl FnOnce(&mut EngineSettings)) -> PauseEngine {
        let mut settings = EngineSettings {
            chain: "local".into(),
            chain_id: CHAIN_ID,
            guardian: self.guardian,
            budget: FeeBudget {
                max_fee_per_gas_wei: 2_000 * GWEI,
                max_tip_wei: 1_000 * GWEI,
                max_cost_wei: 500_000_000 * GWEI,
            },
            gas_limit: 200_000,
            send_timeout: Duration::from_secs(5),
            refire_after: Duration::from_secs(60),
            poll_every: Duration::from_millis(20),
            follow_timeout: WITHIN,
        };
        change(&mut settings);
        PauseEngine::new(key, settings, vec![self.anvil.rpc.clone()]).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pause_is_mined_first_and_the_attack_reverts() {
    let stage = Stage::set_up().await;
    let anvil = &stage.anvil;
    let pauser = key(1);
    stage.register().await;
    stage.grant_role().await;
    stage.own(deploy::add_pauser_call(pauser.address(), u64::MAX)).await;
    let attacker = key(2);
    let attack_contract = anvil
        .send(&attacker, None, creation_code("Attacker"), U256::ZERO)
        .await
        .contract_address
        .unwrap();

    let engine = stage.engine(pauser, |_| {});
    let preflight = engine.preflight(&[stage.vault]).await.unwrap();
    assert_eq!(
        (preflight.pauser, preflight.nonce, preflight.expires_at),
        (engine.address(), 0, u64::MAX)
    );

    // The attack waits in the pool, as it would between two blocks.
    anvil.ask("evm_setAutomine", json!([false])).await;
    let (attack_fee, attack_tip) = (300 * GWEI, 200 * GWEI);
    let nonce = anvil.ask("eth_getTransactionCount", json!([attacker.address(), "latest"])).await;
    let send_attack = async |max_fee_wei: u128, tip_wei: u128| {
        let attack = json!({
            "from": attacker.address(),
            "to": attack_contract,
            "input": Bytes::from(attackCall { vault: stage.vault, loops: U256::from(9) }.abi_encode()),
            "value": ether(1),
            "gas": "0xf4240",
            "nonce": nonce,
            "maxFeePerGas": U256::from(max_fee_wei),
            "maxPriorityFeePerGas": U256::from(tip_wei),
        });
        let sent = anvil.ask("eth_sendTransaction", json!([attack])).await;
        serde_json::from_value::<B256>(sent).unwrap()
    };
    let attack = send_attack(attack_fee, attack_tip).await;
    let request = PauseRequest {
        chain_id: CHAIN_ID,
        guardian: stage.guardian,
        target: stage.vault,
        evidence: attack,
        attack_max_fee_per_gas: attack_fee,
        attack_max_priority_fee_per_gas: attack_tip,
        base_fee_wei: GWEI,
        head: 0,
        gas_limit: None,
        nonce: None,
    };
    let first = engine.fire(&request).await.unwrap();
    assert!(first.max_fee_per_gas_wei > attack_fee && first.max_tip_wei > attack_tip);

    // The attacker raises the fees of the attack that waits, and the pause follows.
    let (attack_fee, attack_tip) = (first.max_fee_per_gas_wei + GWEI, first.max_tip_wei + GWEI);
    let attack = send_attack(attack_fee, attack_tip).await;
    let request = PauseRequest {
        evidence: attack,
        attack_max_fee_per_gas: attack_fee,
        attack_max_priority_fee_per_gas: attack_tip,
        ..request
    };
    let sent = engine.fire(&request).await.unwrap();
    assert_eq!(sent.replaces, Some(first.tx_hash));
    anvil.ask("evm_mine", json!([])).await;

    // Whoever follows the pause that was replaced learns of the one that was mined.
    let mined = engine.follow(first.tx_hash, u64::MAX).await.unwrap();
    assert_eq!(mined.tx_hash, sent.tx_hash);
    assert!(mined.has_succeeded && mined.gas_used < 200_000, "{mined:?}");
    assert_eq!(
        mined.cost_wei,
        U256::from(mined.gas_used) * U256::from(mined.effective_gas_price_wei)
    );
    let fate = engine.attack_fate(&mined, attack).await.unwrap();
    let expected = AttackFate::Mined {
        block: mined.block,
        index: 1,
        has_succeeded: false,
        is_after_pause: true,
    };
    assert_eq!((mined.index, fate), (0, expected));
    assert!(anvil.is_paused(stage.vault).await);
    assert_eq!(anvil.balance(stage.vault).await, ether(10));

    // The event names the journalled evidence.
    let receipt = anvil.ask("eth_getTransactionReceipt", json!([sent.tx_hash])).await;
    let paused = json!(keccak256("Paused(address,address,bytes32)"));
    let logs = receipt["logs"].as_array().unwrap();
    assert!(
        logs.iter().any(|log| log["topics"][0] == paused && log["topics"][3] == json!(attack)),
        "{receipt}"
    );

    // A daemon that starts anew knows from the chain that there is nothing left to pause.
    let refusal =
        async || stage.engine(key(1), |_| {}).preflight(&[stage.vault]).await.unwrap_err();
    let error = refusal().await;
    assert!(
        matches!(error, GuardianError::CoolingDown { target, .. } if target == stage.vault),
        "{error}"
    );
    anvil.ask("evm_increaseTime", json!([601])).await;
    anvil.ask("evm_mine", json!([])).await;
    assert_eq!(refusal().await, GuardianError::AlreadyPaused { target: stage.vault });
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pause_the_attack_empties_the_vault() {
    let stage = Stage::set_up().await;
    let anvil = &stage.anvil;
    let attacker = key(2);
    let contract = anvil
        .send(&attacker, None, creation_code("Attacker"), U256::ZERO)
        .await
        .contract_address
        .unwrap();
    let attack = attackCall { vault: stage.vault, loops: U256::from(100) };
    anvil.send(&attacker, Some(contract), attack.abi_encode(), ether(1)).await;
    assert_eq!(anvil.balance(stage.vault).await, U256::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn preflight_says_what_is_missing() {
    let stage = Stage::set_up().await;
    let pauser = key(1).address();
    let refusal = async |engine: PauseEngine| engine.preflight(&[stage.vault]).await.unwrap_err();

    let error = refusal(stage.engine(key(1), |settings| settings.chain_id = 1)).await;
    assert!(
        matches!(error, GuardianError::WrongChain { expected: 1, found: CHAIN_ID, .. }),
        "{error}"
    );
    let error =
        refusal(stage.engine(key(1), |settings| settings.guardian = Address::repeat_byte(9))).await;
    assert!(matches!(error, GuardianError::NoGuardian { .. }), "{error}");

    let error = refusal(stage.engine(key(1), |_| {})).await;
    assert!(
        matches!(error, GuardianError::NotAPauser { address, .. } if address == pauser),
        "{error}"
    );
    assert!(error.to_string().contains("never granted"), "{error}");
    stage.own(deploy::add_pauser_call(pauser, 1_000)).await;
    let error = refusal(stage.engine(key(1), |_| {})).await;
    assert!(
        matches!(error, GuardianError::NotAPauser { .. }) && error.to_string().contains("ended"),
        "{error}"
    );
    stage.own(deploy::add_pauser_call(pauser, u64::MAX)).await;

    let error =
        refusal(stage.engine(key(1), |settings| settings.budget.max_cost_wei = u128::MAX)).await;
    assert!(matches!(error, GuardianError::Unfunded { .. }), "{error}");
    let error = refusal(stage.engine(key(1), |_| {})).await;
    assert!(matches!(error, GuardianError::NotRegistered { .. }), "{error}");
    stage.register().await;
    let error = refusal(stage.engine(key(1), |_| {})).await;
    let GuardianError::WouldFail { reason, .. } = &error else { panic!("{error}") };
    assert!(
        reason.contains("has not granted") && reason.contains(&stage.guardian.to_string()),
        "{reason}"
    );
    stage.grant_role().await;
    stage.engine(key(1), |_| {}).preflight(&[stage.vault]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_pauser_key_can_pause_and_nothing_else() {
    let stage = Stage::set_up().await;
    let thief = key(1);
    stage.register().await;
    stage.grant_role().await;
    stage.own(deploy::add_pauser_call(thief.address(), u64::MAX)).await;
    let calls = [RegisteredCall { to: stage.vault, data: Bytes::from_static(b"\x3f\x4b\xa8\x3a") }];
    for data in [
        deploy::register_call(stage.vault, &calls),
        deploy::add_pauser_call(key(3).address(), u64::MAX),
        deploy::set_limits_call(0, 1, u32::MAX),
        deploy::transfer_ownership_call(thief.address()),
        deploy::accept_ownership_call(),
    ] {
        let transaction = Transaction { to: Some(stage.guardian), data, value_wei: U256::ZERO };
        let error =
            transact(&thief, stage.anvil.rpc.as_ref(), &transaction, WITHIN).await.unwrap_err();
        assert!(
            matches!(error, GuardianError::Rpc { .. }) && error.to_string().contains("revert"),
            "{error}"
        );
    }

    let engine = stage.engine(key(1), |_| {});
    let pause = engine.pause_call(stage.vault, B256::ZERO);
    stage.anvil.send(&thief, Some(pause.to), pause.data.clone(), U256::ZERO).await;
    assert!(stage.anvil.is_paused(stage.vault).await);
    let again = Transaction { to: Some(pause.to), data: pause.data, value_wei: U256::ZERO };
    assert!(
        transact(&thief, stage.anvil.rpc.as_ref(), &again, WITHIN).await.is_err(),
        "cooling down"
    );

    stage.own(deploy::add_pauser_call(thief.address(), 0)).await;
    let status = deploy::status(
        stage.anvil.rpc.as_ref(),
        stage.guardian,
        &[thief.address()],
        &[stage.vault],
    )
    .await
    .unwrap();
    assert_eq!((status.owner, status.pausers), (stage.owner.address(), vec![(thief.address(), 0)]));
    assert_eq!(status.targets[0].1[0].to, stage.vault);
    assert!(status.targets[0].2 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guardian_pauses_what_it_can_and_not_too_often() {
    let stage = Stage::set_up().await;
    let anvil = &stage.anvil;
    let pauser = key(1);
    stage.grant_role().await;
    stage.own(deploy::add_pauser_call(pauser.address(), u64::MAX)).await;
    stage.own(deploy::set_limits_call(60, 3_600, 2)).await;
    // The first of the two calls always fails: the vault has no such function.
    let calls = [
        RegisteredCall { to: stage.vault, data: Bytes::from_static(b"nope") },
        RegisteredCall { to: stage.vault, data: pauseCall {}.abi_encode().into() },
    ];
    stage.own(deploy::register_call(stage.vault, &calls)).await;

    let engine = stage.engine(key(1), |_| {});
    let refusal = async || engine.preflight(&[stage.vault]).await.unwrap_err();
    let pause = engine.pause_call(stage.vault, B256::ZERO);
    for _ in 0..2 {
        engine.preflight(&[stage.vault]).await.unwrap();
        let receipt = anvil.send(&pauser, Some(pause.to), pause.data.clone(), U256::ZERO).await;
        let receipt =
            anvil.ask("eth_getTransactionReceipt", json!([receipt.transaction_hash])).await;
        let failed = json!(keccak256("CallFailed(address,address,uint256)"));
        assert!(
            receipt["logs"].as_array().unwrap().iter().any(|log| log["topics"][0] == failed),
            "{receipt}"
        );
        assert!(anvil.is_paused(stage.vault).await);
        let unpause = Bytes::from_static(b"\x3f\x4b\xa8\x3a");
        anvil.send(&stage.owner, Some(stage.vault), unpause, U256::ZERO).await;
        let GuardianError::CoolingDown { reason, .. } = refusal().await else {
            panic!("cooling down")
        };
        assert!(reason.contains("cool-down"), "{reason}");
        anvil.ask("evm_increaseTime", json!([61])).await;
        anvil.ask("evm_mine", json!([])).await;
    }
    let GuardianError::CoolingDown { reason, until, .. } = refusal().await else {
        panic!("used up")
    };
    assert!(reason.contains("used up"), "{reason}");
    let status =
        deploy::status(anvil.rpc.as_ref(), stage.guardian, &[], &[stage.vault]).await.unwrap();
    assert_eq!(status.targets[0].2, until);
    anvil.ask("evm_increaseTime", json!([3_600])).await;
    anvil.ask("evm_mine", json!([])).await;
    engine.preflight(&[stage.vault]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ownership_changes_hands_in_two_steps() {
    let stage = Stage::set_up().await;
    let heir = key(3);
    stage.own(deploy::transfer_ownership_call(heir.address())).await;
    stage
        .anvil
        .send(&heir, Some(stage.guardian), deploy::accept_ownership_call(), U256::ZERO)
        .await;
    let status = deploy::status(stage.anvil.rpc.as_ref(), stage.guardian, &[], &[]).await.unwrap();
    assert_eq!((status.owner, status.pending_owner), (heir.address(), Address::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_is_not_mined_in_time_is_said() {
    let stage = Stage::set_up().await;
    let engine = stage.engine(key(1), |_| {});
    let error = engine.follow(B256::repeat_byte(7), 1).await.unwrap_err();
    assert!(matches!(error, GuardianError::NotMined { .. }), "{error}");
}
