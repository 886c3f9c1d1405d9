//! Any HTTP server: the alert as JSON, signed so that the receiver knows who sent it and when.

use std::fmt::Write as _;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

use super::http::Endpoint;
use super::{Alert, Clock, DeliveryError, NotifyError, Sink};
use crate::secret::Secret;

/// Header with `sha256=` and the HMAC-SHA256, in hexadecimal, of the timestamp header's value, a full stop and the
/// body. A receiver compares it in constant time and refuses old timestamps.
pub const SIGNATURE_HEADER: &str = "X-Portcullis-Signature";

/// Header with the time of sending, milliseconds since the Unix epoch.
pub const TIMESTAMP_HEADER: &str = "X-Portcullis-Timestamp";

/// What a webhook is built from.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Name in logs and in the journal.
    pub name: String,
    /// Address, `http` or `https`; may hold a token, so it is never printed.
    pub url: Secret,
    /// Key of the signature.
    pub signing_key: Secret,
}

impl WebhookSettings {
    pub(super) fn build(self, clock: &Clock) -> Result<Webhook, NotifyError> {
        let endpoint = Endpoint::new(&self.name, "url", &self.url)?;
        if self.signing_key.expose().is_empty() {
            return Err(NotifyError {
                channel: self.name,
                field: "signing_key",
                reason: "expected a key that is not empty".to_owned(),
            });
        }
        Ok(Webhook { settings: self, endpoint, clock: clock.clone() })
    }
}

pub(super) struct Webhook {
    settings: WebhookSettings,
    endpoint: Endpoint,
    clock: Clock,
}

impl Sink for Webhook {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        async move {
            let body = serde_json::to_string(alert)
                .map_err(|error| DeliveryError::Refused { reason: error.to_string() })?;
            let timestamp = (self.clock)().to_string();
            let signature = sign(&self.settings.signing_key, &timestamp, &body);
            let headers = [(TIMESTAMP_HEADER, timestamp), (SIGNATURE_HEADER, signature)];
            self.endpoint.post(&headers, body).await
        }
        .boxed()
    }
}

/// Why a request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Forgery {
    /// The signature is not over this timestamp and this body with this key.
    #[error("the signature does not fit the timestamp and the body")]
    Signature,
    /// The timestamp is no number, or too far from now: an old request, sent again.
    #[error("the timestamp is not within {tolerance_ms} ms of now")]
    Stale {
        /// How far it may be away.
        tolerance_ms: u64,
    },
}

/// Whether a request was made by whoever holds the key, and just now: what every receiver has to ask. `timestamp` and
/// `signature` are the values of [`TIMESTAMP_HEADER`] and [`SIGNATURE_HEADER`]; the comparison takes the same time
/// wherever they differ.
///
/// # Errors
/// [`Forgery`].
pub fn verify(
    signing_key: &Secret,
    (timestamp, signature): (&str, &str),
    body: &[u8],
    now_ms: u64,
    tolerance_ms: u64,
) -> Result<(), Forgery> {
    let given = signature.strip_prefix("sha256=").and_then(|hex| alloy::hex::decode(hex).ok());
    let mac = keyed(signing_key).chain_update(timestamp).chain_update(".").chain_update(body);
    mac.verify_slice(&given.unwrap_or_default()).map_err(|_| Forgery::Signature)?;
    let is_fresh =
        timestamp.parse::<u64>().is_ok_and(|at_ms| at_ms.abs_diff(now_ms) <= tolerance_ms);
    if is_fresh { Ok(()) } else { Err(Forgery::Stale { tolerance_ms }) }
}

fn keyed(key: &Secret) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of any length")
}

fn sign(key: &Secret, timestamp: &str, body: &str) -> String {
    let mut mac = keyed(key);
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string grows");
        text
    })
}
