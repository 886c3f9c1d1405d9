//! One chain of the configuration, and connections to its nodes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::{Context, bail};
use portcullis_alerting::guardian::{Key, Receipt, Rpc, Transaction, transact};
use portcullis_watcher::settings::ChainSettings;
use portcullis_watcher::source::rpc::{Client, RpcLimits};
use tokio::task::JoinHandle;

use super::On;
use crate::config::{self, Config, Protected};
use crate::guard::parts;

/// How long a transaction may take until it is mined.
const MINED_WITHIN: Duration = Duration::from_secs(180);

/// One chain of a configuration.
#[derive(Debug)]
pub(super) struct Site {
    config: Config,
    path: PathBuf,
    guardian: Option<Address>,
    /// The chain, secrets resolved.
    pub chain: ChainSettings,
}

impl Site {
    /// Reads the configuration and picks the chain.
    ///
    /// # Errors
    /// A configuration that cannot be used, or does not say which chain.
    pub(super) fn open(on: &On) -> anyhow::Result<Self> {
        let config = config::load(&on.config)?;
        let names =
            || config.chains.iter().map(|chain| chain.name.as_str()).collect::<Vec<_>>().join(", ");
        let chain = match (&on.chain, config.chains.as_slice()) {
            (Some(name), chains) => {
                chains.iter().find(|chain| chain.name == *name).with_context(|| {
                    format!("--chain: no chain is named `{name}`; expected one of: {}", names())
                })?
            }
            (None, [chain]) => chain,
            (None, []) => bail!("{}: no chain is configured", on.config.display()),
            (None, _) => {
                bail!("several chains are configured; pass --chain with one of: {}", names())
            }
        };
        let chain = parts::chain(chain, base(&on.config))
            .with_context(|| on.config.display().to_string())?;
        let guardian = on.guardian.or(config.guardian.as_ref().map(|guardian| guardian.address));
        Ok(Self { guardian, chain, path: on.config.clone(), config })
    }

    /// The guardian contract.
    ///
    /// # Errors
    /// None is named.
    pub(super) fn guardian(&self) -> anyhow::Result<Address> {
        self.guardian.with_context(|| {
            format!(
                "{}: no guardian is configured; deploy one, or pass --guardian",
                self.path.display()
            )
        })
    }

    /// Where the guard serves, if it does.
    pub(super) fn listens_at(&self) -> Option<SocketAddr> {
        self.config.http.as_ref().map(|http| http.listen)
    }

    /// Every protected contract of the chain, with the entry that names it.
    pub(super) fn targets(&self) -> impl Iterator<Item = (Address, &Protected)> {
        let here =
            self.config.protected.iter().filter(|protected| *protected.chain == *self.chain.name);
        here.flat_map(|protected| {
            protected.addresses.iter().map(move |address| (*address, protected))
        })
    }

    /// The configured pauser's key.
    ///
    /// # Errors
    /// It is configured and cannot be had.
    pub(super) fn pauser_key(&self) -> anyhow::Result<Option<Key>> {
        let place = self.config.guardian.as_ref().and_then(|guardian| guardian.key.as_ref());
        place
            .map(|place| parts::key_at(place, base(&self.path)))
            .transpose()
            .with_context(|| format!("{}: guardian.key", self.path.display()))
    }

    /// Connects to every node of the chain.
    ///
    /// # Errors
    /// None can be reached.
    pub(super) async fn connect(&self) -> anyhow::Result<Nodes> {
        let mut nodes = Nodes { rpcs: Vec::new(), unreachable: Vec::new(), drivers: Vec::new() };
        for node in &self.chain.nodes {
            match Client::connect(Arc::clone(&node.name), &node.url, RpcLimits::default()).await {
                Ok((client, _notifications, driver)) => {
                    nodes.rpcs.push(Arc::new(client));
                    nodes.drivers.push(tokio::spawn(async move {
                        driver.await;
                    }));
                }
                Err(error) => nodes.unreachable.push(format!("node {}: {error}", node.name)),
            }
        }
        if nodes.rpcs.is_empty() {
            bail!("chain `{}`: {}", self.chain.name, nodes.unreachable.join("; "));
        }
        Ok(nodes)
    }
}

/// The folder that paths in the configuration are relative to.
fn base(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Connections that end when this is dropped; at least one.
pub(super) struct Nodes {
    /// Those that answered, in the order of the configuration.
    pub rpcs: Vec<Arc<dyn Rpc>>,
    /// What keeps the others from it.
    pub unreachable: Vec<String>,
    drivers: Vec<JoinHandle<()>>,
}

impl Nodes {
    /// The first that answered.
    pub(super) fn first(&self) -> &dyn Rpc {
        self.rpcs.first().expect("connecting fails without a node").as_ref()
    }

    /// Sends a transaction and waits until it is mined.
    pub(super) async fn send(
        &self,
        key: &Key,
        transaction: &Transaction,
    ) -> anyhow::Result<Receipt> {
        Ok(transact(key, self.first(), transaction, MINED_WITHIN).await?)
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.drivers.iter().for_each(JoinHandle::abort);
    }
}
