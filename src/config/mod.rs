//! `portcullis.toml`, version 1: what to guard, on which chains, and how far to go.
//!
//! The types here are the format: their documentation becomes the JSON schema, unknown keys are errors,
//! and every error names the file and the key. [`load`] returns a checked configuration.

mod check;
mod notify;
mod policy;
mod presets;
mod relay;
mod secret;
mod time;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, Bytes};
use portcullis_watcher::source::{Hardfork as ForkName, HardforkSchedule, ScheduleError};
use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use notify::Notify;
pub(crate) use policy::Policy;
pub(crate) use presets::Preset;
pub(crate) use relay::Relay;
pub(crate) use secret::{Secret, SecretOr};
pub(crate) use time::Moment;

/// The version of the format that this program reads.
pub(crate) const VERSION: u32 = 1;

/// A configuration that could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file could not be read.
    #[error("{path}: cannot read the configuration: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// Not TOML, an unknown key, or a value of the wrong type; `detail` draws the place.
    #[error("{path}: {detail}")]
    Malformed { path: PathBuf, detail: String },
    /// Another major version of the format.
    #[error(
        "{path}: version: expected {VERSION}, found {found}; this program reads version {VERSION} only"
    )]
    Version { path: PathBuf, found: u32 },
    /// A key whose value cannot be used.
    #[error("{path}: {key}: {problem}")]
    Value { path: PathBuf, key: String, problem: String },
}

/// The whole file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Format version; 1.
    #[expect(
        dead_code,
        reason = "checked before the rest is read; it stands here so that the key is known"
    )]
    pub version: u32,
    /// How far to go where a protected entry does not say: `observe` (default), `alert` or `armed`.
    #[serde(default)]
    #[schemars(with = "ModeName")]
    pub mode: portcullis_alerting::record::Mode,
    /// Chains to watch.
    #[serde(default)]
    pub chains: Vec<Chain>,
    /// Contracts to protect.
    #[serde(default)]
    pub protected: Vec<Protected>,
    /// Who pauses.
    #[serde(default)]
    pub guardian: Option<Guardian>,
    /// When a verdict becomes an alert or a pause.
    #[serde(default)]
    pub policy: Policy,
    /// Which rules are asked.
    #[serde(default)]
    pub rules: Rules,
    /// Which model is asked.
    #[serde(default)]
    pub model: Model,
    /// Where verdicts are written.
    #[serde(default)]
    pub journal: Journal,
    /// Who is told.
    #[serde(default)]
    pub notify: Vec<Notify>,
    /// Where metrics and health are served; without this table they are served nowhere.
    #[serde(default)]
    pub http: Option<Http>,
    /// Where `portcullis top` may look at the running guard; without this table nowhere.
    #[serde(default)]
    pub control: Option<Control>,
    /// What `portcullis audit` reads, asks and reports; the guard does not look at it.
    #[serde(default)]
    #[cfg(feature = "audit")]
    #[expect(
        dead_code,
        reason = "`audit` reads it by itself; it stands here so that the key is known"
    )]
    pub audit: crate::audit::settings::AuditSection,
    /// What the auditor, which is not part of this build, would read.
    #[serde(default)]
    #[schemars(skip)]
    #[cfg(not(feature = "audit"))]
    #[expect(dead_code, reason = "it stands here so that the key is known")]
    pub audit: serde::de::IgnoredAny,
}

/// The names of the modes, for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used: the type itself belongs to another crate")]
enum ModeName {
    Observe,
    Alert,
    Armed,
}

/// One chain and the nodes that tell of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chain {
    /// Name used by `protected` entries, in logs and in the journal.
    pub name: String,
    /// Values of a known chain for what is left out here.
    pub preset: Option<Preset>,
    /// EIP-155 chain id; required without a preset.
    pub chain_id: Option<u64>,
    /// WebSocket addresses (`ws://` or `wss://`). One that holds a key is a secret.
    pub nodes: Vec<SecretOr>,
    /// Where transactions come from.
    pub flow: Option<Flow>,
    /// Usual time between blocks, milliseconds; required without a preset.
    pub block_time_ms: Option<u64>,
    /// Hard forks by first block; the last one at or below a block is in force, and below all of them the first.
    /// Default: prague.
    #[serde(default)]
    pub hardforks: Vec<Hardfork>,
    /// What this chain does otherwise than Ethereum and the simulation does not know, one sentence each: told and
    /// journalled at each start. Added to what is known of a preset.
    #[serde(default)]
    pub not_modelled: Vec<String>,
    /// Limits on what a pause may cost.
    #[serde(default)]
    pub fees: Fees,
    /// Relays, builders and sequencers that pauses are sent to besides the nodes.
    #[serde(default)]
    pub relays: Vec<Relay>,
}

impl Chain {
    /// Its hard forks, checked.
    pub(crate) fn schedule(&self) -> Result<HardforkSchedule, ScheduleError> {
        HardforkSchedule::new(self.hardforks.iter().map(|fork| (fork.from_block, fork.name)))
    }
}

/// Where transactions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flow {
    /// A public pool: pending transactions are announced.
    Mempool,
    /// No public pool: blocks only.
    Blocks,
    /// Blocks in slices: the block under construction is read through the `pending` tag, five times a second.
    Flashblocks,
}

/// One hard fork.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hardfork {
    /// Its name.
    pub name: ForkName,
    /// First block under it.
    #[serde(default)]
    pub from_block: u64,
}

/// Limits on what a pause may cost.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fees {
    /// Highest `maxFeePerGas` of a pause, gwei.
    pub max_fee_gwei: u64,
    /// Highest `maxPriorityFeePerGas` of a pause, gwei.
    pub max_tip_gwei: u64,
    /// Highest cost of one pause, milliether (gas limit times `maxFeePerGas`).
    pub max_cost_milliether: u64,
}

impl Default for Fees {
    fn default() -> Self {
        Self { max_fee_gwei: 2_000, max_tip_gwei: 1_000, max_cost_milliether: 500 }
    }
}

/// One protected protocol or contract.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Protected {
    /// Name for people.
    pub name: String,
    /// Name of a chain above.
    pub chain: String,
    /// Its contracts.
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<Address>,
    /// How far to go for it; default: the file's `mode`.
    #[schemars(with = "Option<ModeName>")]
    pub mode: Option<portcullis_alerting::record::Mode>,
    /// Tokens it holds; the fact `listed_token_outflow_max_bps` is about them alone.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub tokens: Vec<Address>,
    /// Price sources it reads; the facts `oracle_writes` and `oracle_moved_before_entry` are about them.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub oracles: Vec<Address>,
    /// Contracts that belong to it without holding value; the fact `related_writes` is about them.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub related: Vec<Address>,
    /// Calls that pause it, made by the guardian contract: `guardian register` puts them on its list, `guardian status`
    /// says whether they are on it, and without a key at hand they are what the rehearsal of a pause runs. The pauser's
    /// key itself only ever calls the guardian. Default: `pause()` of each address.
    #[serde(default)]
    pub pause: Vec<PauseCall>,
}

/// One call that pauses.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseCall {
    /// Contract to call.
    #[schemars(with = "String")]
    pub to: Address,
    /// Calldata, hex.
    #[schemars(with = "String")]
    pub data: Bytes,
}

/// The guardian contract and the key of one of its pausers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guardian {
    /// The guardian contract; the same address on every chain.
    #[schemars(with = "String")]
    pub address: Address,
    /// The pauser's key.
    #[serde(default, deserialize_with = "secret::optional_place")]
    pub key: Option<Key>,
}

/// Where the pauser's key lies.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// An encrypted keystore file (Web3 Secret Storage, version 3).
    pub keystore: Option<PathBuf>,
    /// The keystore's password.
    #[serde(default, deserialize_with = "secret::optional_place")]
    pub password: Option<Secret>,
    /// Environment variable that holds the private key, hex.
    pub env: Option<String>,
    /// File that holds the private key, hex.
    pub file: Option<PathBuf>,
}

/// Which rules are asked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rules {
    /// Ask the packs that ship with the program and hold for every protocol.
    pub shipped: bool,
    /// Kits to ask as well, by the kind of protocol that is guarded: `amm`, `bridge-escrow`, `erc4626`, `governor`,
    /// `lending`, `staking`.
    pub kits: Vec<String>,
    /// Further packs, paths relative to this file.
    pub packs: Vec<PathBuf>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { shipped: true, kits: Vec::new(), packs: Vec::new() }
    }
}

/// Which model is asked.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Model {
    /// `true` asks no model at all.
    pub disabled: bool,
    /// An ONNX file, relative to this file; default: the model that ships.
    pub path: Option<PathBuf>,
    /// An ONNX file that scores fresh contracts which hold a protected address, relative to this file; default: the one that
    /// ships. It can warn, and brings no pause about.
    pub contract: Option<PathBuf>,
    /// An ONNX file that is asked beside the model, relative to this file, so that the two can be compared: where it would
    /// decide otherwise, the reasons say so. It brings nothing about.
    pub shadow: Option<PathBuf>,
    /// The ONNX Runtime library; default: the model is walked natively, with the same numbers.
    pub runtime: Option<PathBuf>,
}

/// Where verdicts are written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Journal {
    /// SQLite file, relative to this file.
    pub path: PathBuf,
    /// Model probability from which full evidence is kept for a transaction that touches nothing protected.
    pub evidence_floor: f32,
    /// A ClickHouse server that the file is shipped to, for many guards and a long history.
    pub clickhouse: Option<ClickHouse>,
}

/// A ClickHouse server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClickHouse {
    /// `http://` or `https://`, host and port.
    pub url: String,
    /// Database; created where it is missing.
    #[serde(default = "database")]
    pub database: String,
    /// User; default: the server's own `default`.
    pub user: Option<String>,
    /// The user's password.
    #[serde(default, deserialize_with = "secret::optional_place")]
    pub password: Option<Secret>,
    /// Days after which the server forgets a row; default: never. The file keeps its rows.
    pub retention_days: Option<u32>,
}

fn database() -> String {
    "portcullis".to_owned()
}

impl Default for Journal {
    fn default() -> Self {
        Self { path: PathBuf::from("portcullis.db"), evidence_floor: 0.2, clickhouse: None }
    }
}

/// Where `/metrics`, `/healthz` and `/readyz` are served.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    /// Address and port to listen on. Nobody is asked who they are: keep it where only those who may read can reach.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Names under which clients may ask, besides addresses and `localhost`; without port.
    pub hosts: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9616)), hosts: Vec::new() }
    }
}

/// The socket over which the running guard can be looked at, and nothing changed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Control {
    /// Unix socket, relative to this file; made with mode 0600, so that only the guard's own user can look.
    pub socket: PathBuf,
}

impl Default for Control {
    fn default() -> Self {
        Self { socket: PathBuf::from("portcullis.sock") }
    }
}

/// Reads and checks a configuration.
///
/// # Errors
/// [`ConfigError`]: the file, the key, and what was expected.
pub(crate) fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Reads and checks a configuration from its text; `path` is used in errors.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    // The version is looked at first: a file of another major version should say so, not complain
    // about keys that this version does not know.
    let malformed = |error: toml::de::Error| ConfigError::Malformed {
        path: path.to_owned(),
        detail: draw(&error, text),
    };
    let probe: VersionProbe = toml::from_str(text).map_err(malformed)?;
    if probe.version != VERSION {
        return Err(ConfigError::Version { path: path.to_owned(), found: probe.version });
    }
    let config: Config = toml::from_str(text).map_err(malformed)?;
    check::check(&config, path)?;
    Ok(config)
}

/// A parse error with its line, of which only the key is shown: the value may be a secret in the wrong place.
fn draw(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().trim_end();
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return message.to_owned();
    };
    let number = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let shown = line.split_once('=').map_or(line.to_owned(), |(key, _)| format!("{key}= ****"));
    let caret = " ".repeat((column - 1).min(shown.chars().count()));
    let margin = " ".repeat(number.to_string().len());
    format!(
        "line {number}, column {column}\n{margin} |\n{number} | {shown}\n{margin} | {caret}^\n{message}"
    )
}

#[derive(Deserialize)]
struct VersionProbe {
    version: u32,
}

/// The JSON schema of the format.
pub(crate) fn schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}

#[cfg(test)]
mod tests;
