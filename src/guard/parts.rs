//! From a checked configuration to the values that the guard is started with.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use portcullis_alerting::guardian::{FeeBudget, Key};
use portcullis_alerting::journal::clickhouse::ClickHouseSettings;
use portcullis_alerting::notify::{Dispatcher, RetryPolicy};
use portcullis_alerting::secret::Secret;
use portcullis_models::schema::{CONTRACT, Schema, TRANSACTION};
use portcullis_models::{Engine, Model, shipped};
use portcullis_rules::{Pack, RuleSet, packs};
use portcullis_watcher::settings::{
    ChainSettings, ChannelSettings, Flow, GuardSettings, HttpSettings, Listed, PauseCall,
    ProtectedSettings,
};
use portcullis_watcher::source::{NodeSettings, NodeUrl};
use portcullis_watcher::verdict::Beside;

use crate::config::{self, Config};
use crate::{dictionaries, platform};

/// Wei per gwei.
const GWEI: u128 = 1_000_000_000;
/// Wei per milliether.
const MILLIETHER: u128 = 1_000_000_000_000_000;
/// Simulations at the same time, over each chain.
const WORKERS: usize = 2;

/// What a configuration comes to.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Settings of the guard.
    pub settings: GuardSettings,
    /// Rules asked.
    pub rules: Arc<RuleSet>,
    /// Model asked, if any.
    pub model: Option<Arc<Model>>,
    /// Models beside it.
    pub beside: Beside,
    /// The pauser's key, if one is configured.
    pub key: Option<Key>,
    /// Who is told.
    pub dispatcher: Dispatcher,
}

/// Reads everything that `config` names; `path` is where it was read from.
///
/// # Errors
/// A secret, pack, model or key that cannot be had, with its place.
pub(crate) fn gather(config: &Config, path: &Path) -> anyhow::Result<Parts> {
    let base = path.parent().unwrap_or(Path::new(""));
    Ok(Parts {
        settings: settings(config, base).with_context(|| path.display().to_string())?,
        rules: Arc::new(rules(&config.rules, base)?),
        model: model(&config.model, base)?.map(Arc::new),
        beside: beside(&config.model, base)?,
        key: key(config, base).with_context(|| format!("{}: guardian.key", path.display()))?,
        dispatcher: dispatcher(config, base)?,
    })
}

fn settings(config: &Config, base: &Path) -> anyhow::Result<GuardSettings> {
    let chains = config
        .chains
        .iter()
        .map(|chain| self::chain(chain, base))
        .collect::<anyhow::Result<_>>()?;
    let protected = config
        .protected
        .iter()
        .map(|protected| ProtectedSettings {
            name: protected.name.clone(),
            chain: protected.chain.as_str().into(),
            addresses: protected.addresses.clone(),
            listed: Listed {
                tokens: protected.tokens.clone(),
                oracles: protected.oracles.clone(),
                related: protected.related.clone(),
            },
            pause: protected
                .pause
                .iter()
                .map(|call| PauseCall { to: call.to, data: call.data.clone() })
                .collect(),
            mode: protected.mode,
        })
        .collect();
    Ok(GuardSettings {
        chains,
        protected,
        mode: config.mode,
        policy: (&config.policy).into(),
        guardian: config.guardian.as_ref().map(|guardian| guardian.address),
        journal: Some(base.join(&config.journal.path)),
        clickhouse: clickhouse(&config.journal, base)?,
        evidence_floor: config.journal.evidence_floor,
        channels: ChannelSettings::default(),
        workers: WORKERS,
        http: config
            .http
            .as_ref()
            .map(|http| HttpSettings { listen: http.listen, hosts: http.hosts.clone() }),
        control: config.control.as_ref().map(|control| base.join(&control.socket)),
    })
}

/// The server that the journal is shipped to, with its password read from its place.
///
/// # Errors
/// A secret that cannot be had.
pub(crate) fn clickhouse(
    journal: &config::Journal,
    base: &Path,
) -> anyhow::Result<Option<ClickHouseSettings>> {
    let Some(server) = &journal.clickhouse else { return Ok(None) };
    let password = server.password.as_ref().map(|place| place.reveal(base)).transpose();
    let password = password.map_err(anyhow::Error::msg).context("journal.clickhouse.password")?;
    Ok(Some(ClickHouseSettings {
        url: server.url.trim_end_matches('/').to_owned(),
        database: server.database.clone(),
        user: server.user.clone(),
        password: password.map(Secret::new),
        retention_days: server.retention_days,
    }))
}

/// One chain with its nodes' addresses read from their places; `base` is the configuration's folder.
///
/// # Errors
/// A secret or an address that cannot be had.
pub(crate) fn chain(chain: &config::Chain, base: &Path) -> anyhow::Result<ChainSettings> {
    let preset = chain.preset.map(config::Preset::values);
    let nodes = chain
        .nodes
        .iter()
        .enumerate()
        .map(|(i, node)| {
            let url = node.reveal(base).map_err(anyhow::Error::msg)?;
            let url: NodeUrl = url.parse()?;
            Ok(NodeSettings { name: format!("{}/{i}", chain.name).into(), url })
        })
        .collect::<anyhow::Result<_>>()
        .with_context(|| format!("chain `{}`: nodes", chain.name))?;
    let flow = chain.flow.or(preset.map(|values| values.flow)).unwrap_or(config::Flow::Mempool);
    Ok(ChainSettings {
        name: chain.name.as_str().into(),
        chain_id: chain.chain_id.or(preset.map(|values| values.chain_id)).context("a chain id")?,
        nodes,
        block_time_ms: chain
            .block_time_ms
            .or(preset.map(|values| values.block_time_ms))
            .context("a block time")?,
        hardforks: chain.schedule()?,
        flow: match flow {
            config::Flow::Mempool => Flow::Mempool,
            config::Flow::Blocks => Flow::Blocks,
            config::Flow::Flashblocks => Flow::Flashblocks,
        },
        not_modelled: preset
            .into_iter()
            .flat_map(|values| values.not_modelled.iter().map(|words| (*words).to_owned()))
            .chain(chain.not_modelled.iter().cloned())
            .collect(),
        relays: chain
            .relays
            .iter()
            .map(|relay| relay.settings(base))
            .collect::<anyhow::Result<_>>()
            .with_context(|| format!("chain `{}`: relays", chain.name))?,
        fees: FeeBudget {
            max_fee_per_gas_wei: u128::from(chain.fees.max_fee_gwei) * GWEI,
            max_tip_wei: u128::from(chain.fees.max_tip_gwei) * GWEI,
            max_cost_wei: u128::from(chain.fees.max_cost_milliether) * MILLIETHER,
        },
    })
}

fn rules(config: &config::Rules, base: &Path) -> anyhow::Result<RuleSet> {
    let dictionaries = dictionaries();
    let is_asked = |pack: &Pack| match packs::kit(pack.name()) {
        Some(kit) => config.kits.iter().any(|name| name == kit),
        None => config.shipped,
    };
    let mut loaded = packs::shipped(&dictionaries)?.packs;
    loaded.retain(is_asked);
    for path in &config.packs {
        let path = base.join(path);
        loaded.push(Pack::open(&path, &dictionaries).context("a rule pack")?);
    }
    Ok(RuleSet::new(loaded)?)
}

fn model(config: &config::Model, base: &Path) -> anyhow::Result<Option<Model>> {
    if config.disabled {
        return Ok(None);
    }
    loaded(config, base, config.path.as_deref(), &TRANSACTION, Some(shipped::TRANSACTION))
}

/// The contract model, which ships, and the shadow, which does not. A shadow of another schema is refused like any model,
/// and a reload that names one changes nothing.
fn beside(config: &config::Model, base: &Path) -> anyhow::Result<Beside> {
    if config.disabled {
        return Ok(Beside::default());
    }
    let contract =
        loaded(config, base, config.contract.as_deref(), &CONTRACT, Some(shipped::CONTRACT))?;
    let shadow = loaded(config, base, config.shadow.as_deref(), &TRANSACTION, None)?;
    Ok(Beside { contract: contract.map(Arc::new), shadow: shadow.map(Arc::new) })
}

fn loaded(
    config: &config::Model,
    base: &Path,
    path: Option<&Path>,
    schema: &'static Schema,
    shipped: Option<&[u8]>,
) -> anyhow::Result<Option<Model>> {
    let runtime = config.runtime.as_ref().map(|path| base.join(path));
    let engine =
        runtime.as_deref().map_or(Engine::Native, |library| Engine::OnnxRuntime { library });
    let Some(path) = path else {
        let shipped = shipped.map(|bytes| Model::from_bytes(bytes, schema, engine));
        return shipped.transpose().context("the model that ships");
    };
    let path = base.join(path);
    let model = Model::from_file(&path, schema, engine)
        .with_context(|| format!("model {}", path.display()))?;
    Ok(Some(model))
}

fn key(config: &Config, base: &Path) -> anyhow::Result<Option<Key>> {
    let place = config.guardian.as_ref().and_then(|guardian| guardian.key.as_ref());
    place.map(|place| key_at(place, base)).transpose()
}

/// The key at `place`; paths are relative to `base`.
///
/// # Errors
/// The place, and why nothing usable was there; never any part of the key.
pub(crate) fn key_at(place: &config::Key, base: &Path) -> anyhow::Result<Key> {
    Ok(match place {
        config::Key { keystore: Some(path), password: Some(password), .. } => {
            let password = Secret::new(password.reveal(base).map_err(anyhow::Error::msg)?);
            Key::from_keystore(base.join(path), &password)?
        }
        config::Key { env: Some(name), .. } => {
            let Some(value) = platform::variable(name) else {
                bail!("the environment variable {name} is not set")
            };
            Key::from_env_value(name, &Secret::new(value))?
        }
        config::Key { file: Some(path), .. } => Key::from_file(base.join(path))?,
        config::Key { .. } => bail!("expected exactly one of `keystore`, `env` and `file`"),
    })
}

fn dispatcher(config: &Config, base: &Path) -> anyhow::Result<Dispatcher> {
    let clock = Arc::new(platform::now_ms) as _;
    let mut routes = Vec::new();
    for channel in &config.notify {
        routes.push((channel.min_severity(), channel.sink(base, &clock)?));
    }
    // Any number does: guards that failed together were not started in the same millisecond.
    let policy = RetryPolicy { seed: platform::now_ms(), ..RetryPolicy::default() };
    Ok(Dispatcher::new(routes, policy))
}
