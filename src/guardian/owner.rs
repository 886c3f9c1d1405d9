//! The owner's calls: sent with a key, or printed for a multisig to propose.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use alloy::primitives::{Address, Bytes};
use anyhow::{Context, bail};
use portcullis_alerting::guardian::{Key, Transaction, deploy};
use serde_json::json;

use super::site::{Nodes, Site};
use crate::config::{self, Secret};
use crate::guard::parts;
use crate::terminal;

/// Where the owner's key lies, said as the configuration says it of the pauser's.
#[derive(Debug, clap::Args)]
pub(super) struct OwnerKey {
    /// The owner's key: `env:NAME`, `file:PATH` or `keystore:PATH`
    #[arg(long, value_name = "PLACE")]
    owner_key: Option<Place>,
    /// Password of the owner's keystore: `env:NAME` or `file:PATH`
    #[arg(long, value_name = "PLACE", requires = "owner_key")]
    owner_password: Option<Place>,
}

/// A place for a key or a password.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Env(String),
    File(PathBuf),
    Keystore(PathBuf),
    /// Something else, which is not kept: it may be the key itself.
    Nowhere,
}

impl From<&str> for Place {
    fn from(text: &str) -> Self {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Self::Env(name.to_owned()),
            Some(("file", path)) if !path.is_empty() => Self::File(path.into()),
            Some(("keystore", path)) if !path.is_empty() => Self::Keystore(path.into()),
            _ => Self::Nowhere,
        }
    }
}

impl OwnerKey {
    /// Reads the key, if one is named; paths are relative to the current folder.
    ///
    /// # Errors
    /// The place, and why nothing usable was there.
    pub(super) fn read(&self) -> anyhow::Result<Option<Key>> {
        read_key("owner", self.owner_key.as_ref(), self.owner_password.as_ref())
    }
}

/// Reads the key of `--WHOSE-key` and `--WHOSE-password`, if one is named; paths are relative to the current folder.
///
/// # Errors
/// The place, and why nothing usable was there.
pub(super) fn read_key(
    whose: &str,
    place: Option<&Place>,
    password: Option<&Place>,
) -> anyhow::Result<Option<Key>> {
    let Some(place) = place else { return Ok(None) };
    let mut key = config::Key { keystore: None, password: None, env: None, file: None };
    match (place, password) {
        (Place::Env(name), None) => key.env = Some(name.clone()),
        (Place::File(path), None) => key.file = Some(path.clone()),
        (Place::Keystore(path), Some(Place::Env(name))) => {
            key.keystore = Some(path.clone());
            key.password = Some(Secret::Env(name.clone()));
        }
        (Place::Keystore(path), Some(Place::File(password))) => {
            key.keystore = Some(path.clone());
            key.password = Some(Secret::File(password.clone()));
        }
        (Place::Keystore(_), _) => {
            bail!("--{whose}-key keystore:... needs --{whose}-password `env:NAME` or `file:PATH`")
        }
        (Place::Nowhere, _) => {
            bail!("--{whose}-key: expected `env:NAME`, `file:PATH` or `keystore:PATH`")
        }
        (_, Some(_)) => bail!("--{whose}-password belongs to --{whose}-key keystore:..."),
    }
    parts::key_at(&key, Path::new("")).with_context(|| format!("--{whose}-key")).map(Some)
}

/// As [`call_over`], connecting only where there is something to send.
pub(super) async fn call(
    site: &Site,
    key: Option<&Key>,
    guardian: Address,
    calls: Vec<(String, Bytes)>,
) -> anyhow::Result<ExitCode> {
    if key.is_none() {
        return propose(guardian, &calls);
    }
    call_over(&site.connect().await?, key, guardian, calls).await
}

/// Sends the owner's calls one after the other, each with what to say once it is mined; without a key they are
/// printed.
pub(super) async fn call_over(
    nodes: &Nodes,
    key: Option<&Key>,
    guardian: Address,
    calls: Vec<(String, Bytes)>,
) -> anyhow::Result<ExitCode> {
    let Some(key) = key else { return propose(guardian, &calls) };
    let owner = deploy::status(nodes.first(), guardian, &[], &[]).await?.owner;
    if owner != key.address() {
        bail!(
            "guardian {guardian} is owned by {owner}, and --owner-key is the key of {}",
            key.address()
        );
    }
    for (done, data) in calls {
        let transaction = Transaction { to: Some(guardian), data, value_wei: Default::default() };
        let receipt = nodes.send(key, &transaction).await.with_context(|| format!("not {done}"))?;
        if !receipt.has_succeeded() {
            bail!("not {done}: transaction {} was mined and failed", receipt.transaction_hash);
        }
        terminal::print(&format!(
            "{done} (block {}, {})\n",
            receipt.block_number, receipt.transaction_hash
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn propose(guardian: Address, calls: &[(String, Bytes)]) -> anyhow::Result<ExitCode> {
    terminal::say("no --owner-key: nothing was sent; the owner has to send:");
    for (_, data) in calls {
        terminal::print(&format!("{}\n", json!({ "to": guardian, "data": data, "value": "0x0" })))?;
    }
    Ok(ExitCode::SUCCESS)
}
