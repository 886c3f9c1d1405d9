//! Any HTTP server: the alert as JSON, signed so that the receiver knows who sent it and when.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use ureq::Agent;
use ureq::http::Uri;

use super::{Alert, Clock, DeliveryError, NotifyError, Sink};
use crate::secret::Secret;

/// Header with `sha256=` and the HMAC-SHA256, in hexadecimal, of the timestamp header's value, a full stop and the
/// body. A receiver compares it in constant time and refuses old timestamps.
pub const SIGNATURE_HEADER: &str = "X-Portcullis-Signature";

/// Header with the time of sending, milliseconds since the Unix epoch.
pub const TIMESTAMP_HEADER: &str = "X-Portcullis-Timestamp";

/// Upper bound on one attempt, also where the dispatcher has given up waiting: it frees the thread.
const HARD_TIMEOUT: Duration = Duration::from_secs(30);

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
        let refused = |field, reason: &str| {
            Err(NotifyError { channel: self.name.clone(), field, reason: reason.to_owned() })
        };
        let Ok(url) = self.url.expose().parse::<Uri>() else { return refused("url", "not a URL") };
        if !matches!(url.scheme_str(), Some("http" | "https"))
            || url.host().is_none_or(str::is_empty)
        {
            return refused("url", "expected http:// or https:// and a host");
        }
        if self.signing_key.expose().is_empty() {
            return refused("signing_key", "expected a key that is not empty");
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(HARD_TIMEOUT))
            .http_status_as_error(false)
            // A redirect would hand the alert to an address that nobody configured.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build()
            .new_agent();
        Ok(Webhook { settings: self, url, agent, clock: clock.clone() })
    }
}

pub(super) struct Webhook {
    settings: WebhookSettings,
    url: Uri,
    agent: Agent,
    clock: Clock,
}

impl Sink for Webhook {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        async move {
            let body = serde_json::to_string(alert).map_err(|error| refused(error.to_string()))?;
            let timestamp = (self.clock)().to_string();
            let signature = sign(&self.settings.signing_key, &timestamp, &body);
            let request = self
                .agent
                .post(&self.url)
                .header("Content-Type", "application/json")
                .header(TIMESTAMP_HEADER, timestamp)
                .header(SIGNATURE_HEADER, signature);
            // The client blocks, so it runs where blocking is allowed.
            tokio::task::spawn_blocking(move || outcome(request.send(body)))
                .await
                .unwrap_or_else(|error| Err(refused(error.to_string())))
        }
        .boxed()
    }
}

fn outcome(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<(), DeliveryError> {
    let response = match answer {
        Ok(response) => response,
        Err(error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_))) => {
            return Err(refused(error.to_string()));
        }
        Err(error) => return Err(DeliveryError::Retry { reason: error.to_string(), after: None }),
    };
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let reason = format!("HTTP status {}", status.as_u16());
    if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
        let after = response
            .headers()
            .get("Retry-After")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        return Err(DeliveryError::Retry { reason, after: after.map(Duration::from_secs) });
    }
    Err(refused(reason))
}

fn sign(key: &Secret, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string grows");
        text
    })
}

fn refused(reason: String) -> DeliveryError {
    DeliveryError::Refused { reason }
}
