//! A real node on this machine to tell stories to: anvil, ordering by fees, on a loopback port.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use portcullis_watcher::source::rpc::{Client, RpcError, RpcLimits};
use portcullis_watcher::source::{NodeUrl, NodeUrlError};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::story::{Role, Step, Story};

/// Where npm puts anvil, from the project's root.
const NPM_ANVIL: &str = "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
/// Where `.ci/setup` puts hardhat, from the project's root.
const NPM_HARDHAT: &str = ".parts/hardhat";
/// How long a node may take to answer its first call. One that ends instead is noticed at once.
const START_LIMIT: Duration = Duration::from_secs(300);
/// How long a receipt is waited for.
const RECEIPT_LIMIT: Duration = Duration::from_secs(300);

/// Why a local node does not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// No anvil was found.
    #[error("anvil was found neither on PATH nor at {NPM_ANVIL}; `bash .ci/setup` installs it")]
    NotFound,
    /// It could not be started.
    #[error("{program}: {source}")]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It ended before it answered, most often because something else has its port.
    #[error("{program}: ended before it answered ({status})")]
    Ended {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// It did not answer in time.
    #[error("anvil did not answer within {} s: {reason}", START_LIMIT.as_secs())]
    Silent {
        /// The last failure.
        reason: String,
    },
    /// A call failed.
    #[error("{0}")]
    Rpc(#[from] RpcError),
    /// The address is none.
    #[error("{0}")]
    Url(#[from] NodeUrlError),
    /// An answer has another shape than expected.
    #[error("{method}: expected {expected}, the node answered {found}")]
    Answer {
        /// Method asked.
        method: &'static str,
        /// What was expected.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// A transaction was not mined in time.
    #[error("{what} ({hash}) was not mined within {} s", RECEIPT_LIMIT.as_secs())]
    NotMined {
        /// The step's label.
        what: String,
        /// Its hash.
        hash: B256,
    },
    /// A setup step was mined and failed.
    #[error("{what} ({hash}) failed on the node")]
    SetupFailed {
        /// The step's label.
        what: String,
        /// Its hash.
        hash: B256,
    },
}

/// A running anvil; it ends when this is dropped.
#[derive(Debug)]
pub struct LocalNode {
    child: Child,
    address: String,
    client: Client,
    driver: JoinHandle<()>,
}

/// What a node keeps of a mined transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// It returned.
    pub succeeded: bool,
    /// Height.
    pub block: u64,
    /// Position in the block.
    pub index: u64,
}

/// Finds anvil: on `path` (the value of `PATH`), then in the npm folder below `root`.
pub fn find_anvil(path: Option<&OsStr>, root: &Path) -> Option<PathBuf> {
    let on_path =
        path.into_iter().flat_map(std::env::split_paths).map(|folder| folder.join("anvil"));
    on_path.chain([root.join(NPM_ANVIL)]).find(|candidate| candidate.is_file())
}

impl LocalNode {
    /// Starts `program` with a block every `block_time_s` seconds.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn start(
        program: &Path,
        chain_id: u64,
        block_time_s: u64,
    ) -> Result<Self, NodeError> {
        let start = |source| NodeError::Start { program: program.to_owned(), source };
        let port = free_port().map_err(start)?;
        let mut command = anvil(program, chain_id, port);
        command.args(["--block-time", &block_time_s.to_string()]);
        Self::launch(command, program, port).await
    }

    /// As [`LocalNode::start`], on a fork of the head of the node at `url`: what happens here never reaches that one, and
    /// with a `chain_id` of its own no transaction of this one is valid there.
    ///
    /// # Errors
    /// See [`NodeError`]; an address that answers nothing ends the node.
    pub async fn start_fork(
        program: &Path,
        chain_id: u64,
        block_time_s: u64,
        url: &str,
    ) -> Result<Self, NodeError> {
        let start = |source| NodeError::Start { program: program.to_owned(), source };
        let port = free_port().map_err(start)?;
        let mut command = anvil(program, chain_id, port);
        command.args(["--block-time", &block_time_s.to_string(), "--fork-url", url]);
        Self::launch(command, program, port).await
    }

    /// Starts `program`, an anvil, that mines when it is told to, by the highest fee cap first.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn start_by_hand(program: &Path, chain_id: u64) -> Result<Self, NodeError> {
        let start = |source| NodeError::Start { program: program.to_owned(), source };
        let port = free_port().map_err(start)?;
        let mut command = anvil(program, chain_id, port);
        command.arg("--no-mining");
        Self::launch(command, program, port).await
    }

    /// Starts the hardhat that is set up in `folder`: chain id 31337; it mines when it is told to, by the highest tip
    /// first.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn start_hardhat(folder: &Path) -> Result<Self, NodeError> {
        let start = |source| NodeError::Start { program: folder.to_owned(), source };
        let port = free_port().map_err(start)?;
        let mut command = Command::new("node");
        command
            .current_dir(folder)
            .args(["node_modules/hardhat/internal/cli/cli.js", "node"])
            .args(["--hostname", "127.0.0.1", "--port", &port.to_string()])
            .env("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true");
        Self::launch(command, folder, port).await
    }

    async fn launch(mut command: Command, program: &Path, port: u16) -> Result<Self, NodeError> {
        let start = |source| NodeError::Start { program: program.to_owned(), source };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let address = format!("ws://127.0.0.1:{port}");
        let url: NodeUrl = address.parse()?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            match Client::connect(Arc::from("local"), &url, RpcLimits::default()).await {
                Ok((client, _notifications, driver)) => {
                    let driver = tokio::spawn(async move {
                        driver.await;
                    });
                    return Ok(Self { child, address, client, driver });
                }
                Err(error) => {
                    if let Some(status) = child.try_wait().map_err(start)? {
                        return Err(NodeError::Ended { program: program.to_owned(), status });
                    }
                    if Instant::now() >= deadline {
                        return Err(NodeError::Silent { reason: error.to_string() });
                    }
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Its WebSocket address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process id; none once it has ended.
    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends the node at once, as a crash would.
    ///
    /// # Errors
    /// The system does not let it.
    pub async fn kill(&mut self) -> std::io::Result<()> {
        self.child.kill().await
    }

    /// Asks the node.
    ///
    /// # Errors
    /// See [`RpcError`].
    pub async fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.client.request(method, params).await
    }

    /// Gives every account of `story` its ether, sends the setup and waits until it is mined.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn set_up(&self, story: &Story) -> Result<(), NodeError> {
        for (address, balance) in &story.funds {
            self.request("anvil_setBalance", json!([address, balance])).await?;
        }
        let setup: Vec<&Step> =
            story.steps.iter().filter(|step| step.role == Role::Setup).collect();
        for step in &setup {
            self.send(&step.raw).await?;
        }
        for step in setup {
            if !self.mined(&step.label, step.hash).await?.succeeded {
                return Err(NodeError::SetupFailed { what: step.label.clone(), hash: step.hash });
            }
        }
        Ok(())
    }

    /// Has a block mined now, with everything that waits and fits.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn mine(&self) -> Result<(), NodeError> {
        self.request("evm_mine", json!([])).await?;
        Ok(())
    }

    /// As [`LocalNode::set_up`] for several stories of different casts, on a node that mines when it is told to.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn set_up_all(&self, stories: &[Story]) -> Result<(), NodeError> {
        for (address, balance) in stories.iter().flat_map(|story| &story.funds) {
            self.request("hardhat_setBalance", json!([address, balance])).await?;
        }
        for story in stories {
            let setup = story.steps.iter().filter(|step| step.role == Role::Setup);
            for step in setup.clone() {
                self.send(&step.raw).await?;
            }
            for step in setup {
                let deadline = Instant::now() + RECEIPT_LIMIT;
                let failed = || (step.label.clone(), step.hash);
                while self.receipt(step.hash).await?.is_none() {
                    if Instant::now() > deadline {
                        let (what, hash) = failed();
                        return Err(NodeError::NotMined { what, hash });
                    }
                    self.mine().await?;
                }
                if !self.mined(&step.label, step.hash).await?.succeeded {
                    let (what, hash) = failed();
                    return Err(NodeError::SetupFailed { what, hash });
                }
            }
        }
        Ok(())
    }

    /// Sends signed bytes; returns the hash.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn send(&self, raw: &Bytes) -> Result<B256, NodeError> {
        let answer = self.request("eth_sendRawTransaction", json!([raw])).await?;
        parse(answer, "eth_sendRawTransaction", "a transaction hash")
    }

    /// The receipt of a mined transaction; none while it waits.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, NodeError> {
        const METHOD: &str = "eth_getTransactionReceipt";
        let answer = self.request(METHOD, json!([hash])).await?;
        if answer.is_null() {
            return Ok(None);
        }
        let number = |field: &str| -> Result<u64, NodeError> {
            let value: U256 = parse(answer[field].clone(), METHOD, "a receipt")?;
            Ok(value.saturating_to())
        };
        Ok(Some(Receipt {
            succeeded: number("status")? == 1,
            block: number("blockNumber")?,
            index: number("transactionIndex")?,
        }))
    }

    /// Waits until a transaction is mined.
    ///
    /// # Errors
    /// [`NodeError::NotMined`] after five minutes.
    pub async fn mined(&self, what: &str, hash: B256) -> Result<Receipt, NodeError> {
        let waiting = async {
            loop {
                if let Some(receipt) = self.receipt(hash).await? {
                    return Ok(receipt);
                }
                sleep(Duration::from_millis(40)).await;
            }
        };
        timeout(RECEIPT_LIMIT, waiting)
            .await
            .unwrap_or_else(|_| Err(NodeError::NotMined { what: what.to_owned(), hash }))
    }

    /// Waits until `blocks` more blocks are mined.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn wait_blocks(&self, blocks: u64) -> Result<(), NodeError> {
        let target = self.height().await? + blocks;
        while self.height().await? < target {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Number of the newest block.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn height(&self) -> Result<u64, NodeError> {
        let answer = self.request("eth_blockNumber", json!([])).await?;
        parse::<U256>(answer, "eth_blockNumber", "a number").map(|height| height.saturating_to())
    }

    /// Ether of an account at the newest block, wei.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn balance_wei(&self, address: Address) -> Result<U256, NodeError> {
        let answer = self.request("eth_getBalance", json!([address, "latest"])).await?;
        parse(answer, "eth_getBalance", "an amount")
    }

    /// The word that a view of `to` returns at the newest block.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub async fn view_word(&self, to: Address, data: &[u8]) -> Result<U256, NodeError> {
        let call = json!({ "to": to, "data": Bytes::copy_from_slice(data) });
        let answer = self.request("eth_call", json!([call, "latest"])).await?;
        let bytes: Bytes = parse(answer, "eth_call", "bytes")?;
        U256::try_from_be_slice(bytes.get(..32).unwrap_or(&bytes)).ok_or_else(|| {
            NodeError::Answer { method: "eth_call", expected: "a word", found: bytes.to_string() }
        })
    }
}

/// A port that is free now; that something takes it before the node does is noticed by the first call.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn anvil(program: &Path, chain_id: u64, port: u16) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--host", "127.0.0.1", "--hardfork", "prague", "--order", "fees", "--accounts", "1"])
        .args(["--port", &port.to_string(), "--chain-id", &chain_id.to_string()]);
    command
}

/// Finds the folder that hardhat is set up in, below `root`.
pub fn find_hardhat(root: &Path) -> Option<PathBuf> {
    let folder = root.join(NPM_HARDHAT);
    folder.join("node_modules/hardhat").is_dir().then_some(folder)
}

impl Drop for LocalNode {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn parse<T: serde::de::DeserializeOwned>(
    answer: Value,
    method: &'static str,
    expected: &'static str,
) -> Result<T, NodeError> {
    let found = answer.to_string();
    serde_json::from_value(answer).map_err(|_| NodeError::Answer { method, expected, found })
}
