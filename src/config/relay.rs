//! `[[chains.relays]]`: ways to a block beside the public pool.

use std::path::Path;

use portcullis_alerting::guardian::{RelayMethod, RelaySettings};
use portcullis_alerting::secret;
use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretOr;

/// A relay, builder or sequencer that pauses are sent to as well, at the same time as to the nodes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Relay {
    /// Name in logs and in the journal.
    pub name: String,
    /// Address, `http://` or `https://`; one that holds a token is a secret.
    pub url: SecretOr,
    /// What it is asked: `bundle` (`eth_sendBundle`), `private` (`eth_sendPrivateTransaction`) or `raw`
    /// (`eth_sendRawTransaction`, such as a sequencer takes it). The first two are signed as Flashbots has it, by a key
    /// made from the pauser's that holds nothing.
    pub method: Method,
    /// Builders that a bundle is shared with, by their registered names; default: the relay's choice.
    #[serde(default)]
    pub builders: Vec<String>,
}

/// What a relay is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    /// A bundle for the next block.
    Bundle,
    /// A private transaction.
    Private,
    /// A plain transaction.
    Raw,
}

impl Relay {
    /// With its address read from its place; `base` is the configuration's folder.
    ///
    /// # Errors
    /// The place, and why nothing was there.
    pub(crate) fn settings(&self, base: &Path) -> anyhow::Result<RelaySettings> {
        let url = self.url.reveal(base).map_err(anyhow::Error::msg)?;
        Ok(RelaySettings {
            name: self.name.clone(),
            url: secret::Secret::new(url),
            method: match self.method {
                Method::Bundle => RelayMethod::Bundle,
                Method::Private => RelayMethod::Private,
                Method::Raw => RelayMethod::Raw,
            },
            builders: self.builders.clone(),
            identity: None,
        })
    }
}
