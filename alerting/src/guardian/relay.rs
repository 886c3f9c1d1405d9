//! Ways to a block beside the public pool: relays and builders that take bundles or private transactions.
//!
//! Requests follow the Flashbots RPC: `eth_sendBundle` and `eth_sendPrivateTransaction`, signed in the header
//! `X-Flashbots-Signature: address:signature`, where the signature is an EIP-191 personal signature over the
//! hexadecimal text of the Keccak-256 of the body.

use std::fmt;
use std::time::Duration;

use alloy::primitives::{Bytes, U64, keccak256};
use serde_json::{Value, json};
use thiserror::Error;
use ureq::Agent;
use ureq::http::Uri;

use super::Key;
use crate::secret::Secret;

/// The header that says who sends.
pub const FLASHBOTS_SIGNATURE: &str = "X-Flashbots-Signature";
/// Blocks after the next one in which a private transaction may still be included; relays keep it for 25 at most.
const PRIVATE_BLOCKS: u64 = 25;
/// Answers that are longer are cut off: a relay has nothing to say that is.
const ANSWER_BYTES: u64 = 64 * 1024;

/// What a relay is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayMethod {
    /// `eth_sendBundle`, for the next block; sent again for each further one.
    Bundle,
    /// `eth_sendPrivateTransaction`, shared with every builder that the relay knows.
    Private,
    /// `eth_sendRawTransaction`, such as a sequencer or a protected RPC takes it; not signed.
    Raw,
}

/// One relay, builder or sequencer.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Name in messages.
    pub name: String,
    /// Its address, `http` or `https`; may hold a token.
    pub url: Secret,
    /// What it is asked.
    pub method: RelayMethod,
    /// Builders that the relay shall hand the bundle on to, by their registered names; none leaves it to the relay.
    pub builders: Vec<String>,
    /// Whom the relay knows the sender as; it needs to hold nothing. None takes one made from the pauser's key.
    pub identity: Option<Key>,
}

/// An address that no relay can be reached at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("relay {name}: url: expected http:// or https:// and a host")]
pub struct RelayError {
    /// Name of the relay.
    pub name: String,
}

/// One relay, ready to be sent to.
pub struct Relay {
    name: String,
    url: Uri,
    method: RelayMethod,
    builders: Vec<String>,
    identity: Option<Key>,
    agent: Agent,
}

impl Relay {
    /// Checks the address; asks nothing.
    ///
    /// # Errors
    /// [`RelayError`].
    pub fn new(settings: RelaySettings) -> Result<Self, RelayError> {
        let url: Option<Uri> = settings.url.expose().parse().ok();
        let url = url.filter(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && url.host().is_some_and(|host| !host.is_empty())
        });
        let Some(url) = url else { return Err(RelayError { name: settings.name }) };
        let agent = Agent::config_builder()
            // Relays answer a wrong request with a status and say why in the body.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build()
            .new_agent();
        Ok(Self {
            name: settings.name,
            url,
            method: settings.method,
            builders: settings.builders,
            identity: settings.identity,
            agent,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hands over one signed transaction that shall be in block `block`; `otherwise` signs where no identity is set.
    ///
    /// # Errors
    /// The relay's own words, or why it could not be reached.
    pub(super) async fn send(
        &self,
        raw: &Bytes,
        block: u64,
        otherwise: &Key,
        within: Duration,
    ) -> Result<(), String> {
        let body = self.request(raw, block).to_string();
        let mut request = self
            .agent
            .post(&self.url)
            .config()
            .timeout_global(Some(within))
            .build()
            .header("Content-Type", "application/json");
        if self.method != RelayMethod::Raw {
            let key = self.identity.as_ref().unwrap_or(otherwise);
            request = request.header(FLASHBOTS_SIGNATURE, signature(key, &body)?);
        }
        // The client blocks, so it runs where blocking is allowed.
        let answered = tokio::task::spawn_blocking(move || {
            let mut response = request.send(body).map_err(|error| error.to_string())?;
            let status = response.status().as_u16();
            let text = response
                .body_mut()
                .with_config()
                .limit(ANSWER_BYTES)
                .read_to_string()
                .map_err(|error| error.to_string())?;
            let answer: Value =
                serde_json::from_str(&text).map_err(|_| format!("HTTP status {status}"))?;
            match (&answer["error"], &answer["result"]) {
                (Value::Null, Value::Null) => Err(format!("HTTP status {status}, no result")),
                (Value::Null, _) => Ok(()),
                (error, _) => Err(error["message"].as_str().map_or(error.to_string(), Into::into)),
            }
        });
        answered.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn request(&self, raw: &Bytes, block: u64) -> Value {
        let (method, params) = match self.method {
            RelayMethod::Bundle => {
                let mut bundle = json!({ "txs": [raw], "blockNumber": U64::from(block) });
                if !self.builders.is_empty() {
                    bundle["builders"] = json!(self.builders);
                }
                ("eth_sendBundle", bundle)
            }
            RelayMethod::Private => {
                let mut preferences = json!({ "fast": true });
                if !self.builders.is_empty() {
                    preferences["privacy"] = json!({ "builders": self.builders });
                }
                let last = U64::from(block.saturating_add(PRIVATE_BLOCKS).saturating_sub(1));
                let private =
                    json!({ "tx": raw, "maxBlockNumber": last, "preferences": preferences });
                ("eth_sendPrivateTransaction", private)
            }
            RelayMethod::Raw => ("eth_sendRawTransaction", json!(raw)),
        };
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [params] })
    }
}

/// The value of [`FLASHBOTS_SIGNATURE`] for a body.
fn signature(key: &Key, body: &str) -> Result<String, String> {
    let digest = format!("{:#x}", keccak256(body));
    Ok(format!("{}:{}", key.address(), key.sign_message(digest.as_bytes())?))
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("name", &self.name)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
