//! Values that must not stand in a configuration nor in a log.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use crate::platform;

/// Where a secret is found: `{ env = "NAME" }` or `{ file = "path" }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Secret {
    /// An environment variable.
    Env(String),
    /// A file, relative to the configuration; a trailing line break is dropped.
    File(PathBuf),
}

/// A literal where nothing in it is secret, or the place of a secret.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum SecretOr {
    /// The value itself.
    Literal(String),
    /// Where it is found.
    Secret(Secret),
}

/// Reads the place of a secret. A literal is refused in words of our own, since serde's would repeat it.
///
/// # Errors
/// The deserializer's, for what is neither a literal nor such a place.
pub(super) fn place<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<T, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        table @ toml::Value::Table(_) => table.try_into().map_err(D::Error::custom),
        _ => Err(D::Error::custom(
            "a secret never stands here itself: expected `env` or `file`, as in { env = \"NAME\" }",
        )),
    }
}

/// As [`place`], where there may be none.
///
/// # Errors
/// As [`place`].
pub(super) fn optional_place<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    place(deserializer).map(Some)
}

impl Secret {
    /// Reads the secret; the error names its place and never its value.
    pub(crate) fn reveal(&self, base: &Path) -> Result<String, String> {
        match self {
            Self::Env(name) => platform::variable(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("the environment variable {name} is not set")),
            Self::File(path) => {
                let path = base.join(path);
                std::fs::read_to_string(&path)
                    .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))
            }
        }
    }
}

impl SecretOr {
    /// The value, read from its place if it is a secret.
    pub(crate) fn reveal(&self, base: &Path) -> Result<String, String> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Secret(secret) => secret.reveal(base),
        }
    }

    /// Whether a literal address carries what is usually a key: user, path or query.
    pub(crate) fn is_keyed_literal(&self) -> bool {
        let Self::Literal(value) = self else { return false };
        let rest = value.split_once("://").map_or(value.as_str(), |(_, rest)| rest);
        let (authority, tail) =
            rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        authority.contains('@') || !matches!(tail, "" | "/")
    }
}
