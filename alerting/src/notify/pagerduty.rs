//! PagerDuty, Events API v2: an incident is triggered, updated and resolved under one `dedup_key`.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::http::Endpoint;
use super::{Alert, Clock, DeliveryError, NotifyError, Severity, Sink, cut};
use crate::calendar::timestamp;
use crate::secret::Secret;

/// PagerDuty refuses longer summaries.
const SUMMARY_CHARS: usize = 1_024;
/// PagerDuty refuses longer keys, in bytes.
const DEDUP_KEY_BYTES: usize = 255;

/// What a PagerDuty channel is built from.
#[derive(Debug, Clone)]
pub struct PagerDutySettings {
    /// Name in logs and in the journal.
    pub name: String,
    /// Integration key of the service ("Events API v2").
    pub routing_key: Secret,
    /// Where events are taken, usually `https://events.pagerduty.com/v2/enqueue`.
    pub url: String,
}

impl PagerDutySettings {
    pub(super) fn build(self, _clock: &Clock) -> Result<PagerDuty, NotifyError> {
        let endpoint = Endpoint::new(&self.name, "url", &Secret::new(self.url))?;
        if self.routing_key.expose().trim().is_empty() {
            return Err(NotifyError {
                channel: self.name,
                field: "routing_key",
                reason: "expected a key that is not empty".to_owned(),
            });
        }
        Ok(PagerDuty { name: self.name, routing_key: self.routing_key, endpoint })
    }
}

pub(super) struct PagerDuty {
    name: String,
    routing_key: Secret,
    endpoint: Endpoint,
}

impl PagerDuty {
    fn event(&self, action: &str, alert: &Alert) -> Value {
        json!({
            "routing_key": self.routing_key.expose().trim(),
            "event_action": action,
            "dedup_key": dedup_key(&alert.incident),
        })
    }
}

impl Sink for PagerDuty {
    fn name(&self) -> &str {
        &self.name
    }

    fn folds_incidents(&self) -> bool {
        true
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        async move {
            let mut event = self.event("trigger", alert);
            event["client"] = "portcullis".into();
            event["payload"] = json!({
                "summary": cut(&alert.title, SUMMARY_CHARS),
                "source": alert.chain,
                "severity": match alert.severity {
                    Severity::Info | Severity::Low => "info",
                    Severity::Medium => "warning",
                    Severity::High => "error",
                    Severity::Critical => "critical",
                },
                "timestamp": timestamp(alert.at_ms),
                "component": alert.contract,
                "custom_details": {
                    "text": alert.text,
                    "transaction": alert.tx_hash,
                    "incident": alert.incident,
                },
            });
            self.endpoint.post(&[], event.to_string()).await
        }
        .boxed()
    }

    fn resolve<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        async move { self.endpoint.post(&[], self.event("resolve", alert).to_string()).await }
            .boxed()
    }
}

/// The incident itself, or its hash where it is too long to be a key.
fn dedup_key(incident: &str) -> String {
    if incident.len() <= DEDUP_KEY_BYTES {
        return incident.to_owned();
    }
    format!("sha256:{:x}", Sha256::digest(incident.as_bytes()))
}
