//! What the types cannot say: names that must exist, values that must agree.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Chain, ClickHouse, Config, ConfigError, Key, SecretOr};
use portcullis_alerting::record::Mode;
use portcullis_rules::packs;

/// Checks a parsed configuration; the first problem found is returned with its key.
pub(super) fn check(config: &Config, path: &Path) -> Result<(), ConfigError> {
    let problem = find_problem(config);
    problem.map_or(Ok(()), |(key, problem)| {
        Err(ConfigError::Value { path: path.to_owned(), key, problem })
    })
}

fn find_problem(config: &Config) -> Option<(String, String)> {
    let mut names = BTreeSet::new();
    for (i, chain) in config.chains.iter().enumerate() {
        let key = format!("chains[{i}]");
        if !names.insert(chain.name.as_str()) {
            return Some((
                format!("{key}.name"),
                format!("a chain named `{}` stands above", chain.name),
            ));
        }
        if let Some((field, problem)) = chain_problem(chain) {
            return Some((format!("{key}.{field}"), problem));
        }
    }
    for (i, protected) in config.protected.iter().enumerate() {
        let key = format!("protected[{i}]");
        if !names.contains(protected.chain.as_str()) {
            let known = names.iter().copied().collect::<Vec<_>>().join(", ");
            let problem =
                format!("no chain is named `{}`; expected one of: {known}", protected.chain);
            return Some((format!("{key}.chain"), problem));
        }
        if protected.addresses.is_empty() {
            return Some((format!("{key}.addresses"), "expected at least one address".to_owned()));
        }
        let armed = protected.mode.unwrap_or(config.mode) == Mode::Armed;
        if armed && config.guardian.as_ref().is_none_or(|guardian| guardian.key.is_none()) {
            return Some((
                "guardian.key".to_owned(),
                format!(
                    "`{}` is armed, so a guardian and its pauser key are needed",
                    protected.name
                ),
            ));
        }
    }
    if let Some(key) = config.guardian.as_ref().and_then(|guardian| guardian.key.as_ref())
        && let Some(problem) = key_problem(key)
    {
        return Some(("guardian.key".to_owned(), problem));
    }
    for (field, score) in [
        ("policy.alert_score", Some(config.policy.alert_score)),
        ("policy.pause_score", config.policy.pause_score),
        ("journal.evidence_floor", Some(config.journal.evidence_floor)),
    ] {
        if score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return Some((field.to_owned(), "expected a probability from 0 to 1".to_owned()));
        }
    }
    if let Some(problem) = config.policy.problem(&config.protected, config.http.is_some()) {
        return Some(problem);
    }
    if let Some(server) = &config.journal.clickhouse
        && let Some((field, problem)) = clickhouse_problem(server)
    {
        return Some((format!("journal.clickhouse.{field}"), problem));
    }
    let is_kit = |name: &String| packs::kits().any(|kit| kit == name);
    if let Some(unknown) = config.rules.kits.iter().find(|name| !is_kit(name)) {
        let known = packs::kits().collect::<Vec<_>>().join(", ");
        return Some((
            "rules.kits".to_owned(),
            format!("no kit is named `{unknown}`; expected: {known}"),
        ));
    }
    let mut channels = BTreeSet::new();
    for (i, channel) in config.notify.iter().enumerate() {
        if !channels.insert(channel.name()) {
            let problem = format!("a channel named `{}` stands above", channel.name());
            return Some((format!("notify[{i}].name"), problem));
        }
        if channel.has_keyed_literal() {
            return Some((format!("notify[{i}].url"), keyed("address")));
        }
    }
    None
}

fn chain_problem(chain: &Chain) -> Option<(&'static str, String)> {
    if chain.preset.is_none() {
        if chain.chain_id.is_none() {
            return Some(("chain_id", "expected a chain id, or a preset that knows it".to_owned()));
        }
        if chain.block_time_ms.is_none() {
            return Some((
                "block_time_ms",
                "expected milliseconds, or a preset that knows them".to_owned(),
            ));
        }
    }
    if chain.block_time_ms == Some(0) {
        return Some(("block_time_ms", "expected more than 0".to_owned()));
    }
    if let (Some(preset), Some(id)) = (chain.preset, chain.chain_id)
        && preset.values().chain_id != id
    {
        let expected = preset.values().chain_id;
        return Some((
            "chain_id",
            format!("the preset is chain {expected}, not {id}; leave one of them out"),
        ));
    }
    if let Err(error) = chain.schedule() {
        return Some(("hardforks", error.to_string()));
    }
    if chain.nodes.is_empty() {
        return Some(("nodes", "expected at least one WebSocket address".to_owned()));
    }
    for node in &chain.nodes {
        let SecretOr::Literal(url) = node else { continue };
        if !url.starts_with("ws://") && !url.starts_with("wss://") {
            return Some((
                "nodes",
                format!("expected a `ws://` or `wss://` address, found `{url}`"),
            ));
        }
        if node.is_keyed_literal() {
            return Some(("nodes", keyed("node address")));
        }
    }
    if chain.relays.iter().any(|relay| relay.url.is_keyed_literal()) {
        return Some(("relays", keyed("relay address")));
    }
    None
}

fn clickhouse_problem(server: &ClickHouse) -> Option<(&'static str, String)> {
    let literal = SecretOr::Literal(server.url.clone());
    if !server.url.starts_with("http://") && !server.url.starts_with("https://") {
        return Some(("url", "expected an `http://` or `https://` address".to_owned()));
    }
    if literal.is_keyed_literal() {
        let problem = "expected host and port alone; `user` and `password` stand beside it";
        return Some(("url", problem.to_owned()));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if server.database.is_empty() || !server.database.chars().all(is_name) {
        return Some(("database", "expected letters, digits and underscores".to_owned()));
    }
    (server.retention_days == Some(0))
        .then(|| ("retention_days", "expected more than 0".to_owned()))
}

fn keyed(what: &str) -> String {
    format!(
        "a {what} with a user, path or query may hold a key: write {{ env = \"NAME\" }} or {{ file = \"path\" }}"
    )
}

fn key_problem(key: &Key) -> Option<String> {
    let places = [key.keystore.is_some(), key.env.is_some(), key.file.is_some()];
    match places.iter().filter(|place| **place).count() {
        1 if key.keystore.is_some() == key.password.is_some() => None,
        1 if key.keystore.is_some() => {
            Some("a keystore needs `password = { env = ... }` or `{ file = ... }`".to_owned())
        }
        1 => Some("`password` belongs to `keystore`".to_owned()),
        _ => Some("expected exactly one of `keystore`, `env` and `file`".to_owned()),
    }
}
