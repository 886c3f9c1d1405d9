//! One HTTP POST, as every channel makes it.

use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;

use super::{DeliveryError, NotifyError};
use crate::secret::Secret;

/// Upper bound on one attempt, also where the dispatcher has given up waiting: it frees the thread.
const HARD_TIMEOUT: Duration = Duration::from_secs(30);

/// An address to post to. It may hold a token, so it is never printed.
pub(super) struct Endpoint {
    url: Uri,
    agent: Agent,
}

impl Endpoint {
    /// Takes an `http` or `https` address; `channel` and `field` are for the error.
    pub(super) fn new(
        channel: &str,
        field: &'static str,
        url: &Secret,
    ) -> Result<Self, NotifyError> {
        let refused = |reason: &str| NotifyError {
            channel: channel.to_owned(),
            field,
            reason: reason.to_owned(),
        };
        let url: Uri = url.expose().parse().map_err(|_| refused("not a URL"))?;
        if !matches!(url.scheme_str(), Some("http" | "https"))
            || url.host().is_none_or(str::is_empty)
        {
            return Err(refused("expected http:// or https:// and a host"));
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(HARD_TIMEOUT))
            .http_status_as_error(false)
            // A redirect would hand the alert to an address that nobody configured.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build()
            .new_agent();
        Ok(Self { url, agent })
    }

    /// Posts JSON once.
    pub(super) async fn post(
        &self,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<(), DeliveryError> {
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        // The client blocks, so it runs where blocking is allowed.
        tokio::task::spawn_blocking(move || outcome(request.send(body)))
            .await
            .unwrap_or_else(|error| Err(refused(error.to_string())))
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

fn refused(reason: String) -> DeliveryError {
    DeliveryError::Refused { reason }
}
