//! A real anvil of one's own, people who sign, and a stream to listen to.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use alloy::{
    consensus::{SignableTransaction, Signed, TxEip1559, TxEnvelope},
    primitives::{Address, B256, Bytes, Signature, TxKind, U256},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use portcullis_watcher::source::{
    BlockRecord, NodeLink, NodeSettings, NodeSource, PendingTransaction, Source as _, SourceEvent,
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

pub(crate) const CHAIN_ID: u64 = 31337;
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;

/// An anvil that mines when it is told to, ended when it is dropped.
pub(crate) struct Anvil {
    child: Child,
    pub(crate) port: u16,
}

impl Anvil {
    pub(crate) fn start(port: u16) -> Self {
        let binary = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
        let mut child = Command::new(&binary)
            .args(["--hardfork", "prague", "--no-mining", "--order", "fees"])
            .args(["--port", &port.to_string(), "--chain-id", &CHAIN_ID.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `npm ci` first", binary.display()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.rsplit_once("Listening on 127.0.0.1:")
                    .and_then(|(_, port)| port.trim().parse().ok())
            })
            .expect("anvil says where it listens");
        // Its pipe must not fill.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A source that runs, and what it has told.
pub(crate) struct Stream {
    pub(crate) events: mpsc::Receiver<SourceEvent>,
    pub(crate) link: NodeLink,
    pub(crate) task: JoinHandle<Result<(), portcullis_watcher::source::SourceError>>,
}

impl Stream {
    pub(crate) fn open(port: u16, chain_id: u64) -> Self {
        Self::open_to(&[port], chain_id)
    }

    pub(crate) fn open_to(ports: &[u16], chain_id: u64) -> Self {
        Self::open_as(ports, chain_id, |source| source)
    }

    /// With the source set up by `set`.
    pub(crate) fn open_as(
        ports: &[u16],
        chain_id: u64,
        set: impl FnOnce(NodeSource) -> NodeSource,
    ) -> Self {
        let nodes = ports.iter().map(|port| NodeSettings {
            name: "local".into(),
            url: format!("ws://127.0.0.1:{port}").parse().unwrap(),
        });
        let source = NodeSource::new("test".into(), chain_id, nodes.collect(), Arc::new(|| 7));
        let source = set(source);
        let link = source.links().remove(0);
        let (events, task) = Box::new(source).start(1024);
        Self { events, link, task: tokio::spawn(task) }
    }

    /// The next event for which `pick` has an answer; those before it are let go.
    pub(crate) async fn find<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(SourceEvent) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                let event = self
                    .events
                    .recv()
                    .await
                    .unwrap_or_else(|| panic!("the stream ended before {what}"));
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        timeout(Duration::from_secs(20), found)
            .await
            .unwrap_or_else(|_| panic!("no {what} in time"))
    }

    pub(crate) async fn head(&mut self) -> Arc<BlockRecord> {
        self.find("head", |event| match event {
            SourceEvent::Head(block) => Some(block),
            _ => None,
        })
        .await
    }

    pub(crate) async fn pending(&mut self, hash: B256) -> Arc<PendingTransaction> {
        self.find("pending transaction", |event| match event {
            SourceEvent::Pending(tx) if tx.hash == hash => Some(tx),
            _ => None,
        })
        .await
    }

    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        self.link.request(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    pub(crate) async fn send(&self, tx: &PendingTransaction) {
        self.ask("eth_sendRawTransaction", json!([tx.raw()])).await;
    }

    pub(crate) async fn mine(&self) {
        self.ask("evm_mine", json!([])).await;
    }
}

/// One of anvil's funded accounts.
pub(crate) struct Person {
    pub(crate) signer: PrivateKeySigner,
    pub(crate) nonce: u64,
}

impl Person {
    pub(crate) fn number(idx: usize) -> Self {
        const KEYS: [&str; 3] = [
            "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
            "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
            "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
        ];
        Self { signer: KEYS[idx].parse().unwrap(), nonce: 0 }
    }

    pub(crate) fn address(&self) -> Address {
        self.signer.address()
    }

    pub(crate) fn sign(
        &mut self,
        to: TxKind,
        value: u128,
        input: Bytes,
    ) -> Arc<PendingTransaction> {
        let tx = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce,
            gas_limit: 3_000_000,
            max_fee_per_gas: 5_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to,
            value: U256::from(value),
            access_list: Default::default(),
            input,
        };
        self.nonce += 1;
        self.seal(tx)
    }

    /// Signs what is ready but for the signature.
    pub(crate) fn seal<T>(&self, tx: T) -> Arc<PendingTransaction>
    where
        T: SignableTransaction<Signature>,
        TxEnvelope: From<Signed<T>>,
    {
        let signature = self.signer.sign_hash_sync(&tx.signature_hash()).unwrap();
        let envelope = TxEnvelope::from(tx.into_signed(signature));
        Arc::new(PendingTransaction::from_envelope(envelope, 0, "test".into()).unwrap())
    }
}

pub(crate) fn artifact(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../fixtures/contracts/artifacts/{name}.json"));
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let code: Bytes = serde_json::from_value(json["bytecode"].clone()).unwrap();
    code.to_vec()
}
