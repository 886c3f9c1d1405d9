//! Prometheus Alertmanager, API v2: an alert is known by its labels, and ends at `endsAt`.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::http::Endpoint;
use super::{Alert, Clock, DeliveryError, NotifyError, Sink};
use crate::calendar::timestamp;
use crate::secret::Secret;

/// What an Alertmanager channel is built from.
#[derive(Debug, Clone)]
pub struct AlertmanagerSettings {
    /// Name in logs and in the journal.
    pub name: String,
    /// Where it is served, such as `http://127.0.0.1:9093`; may hold a password, so it is never printed.
    pub url: Secret,
}

impl AlertmanagerSettings {
    pub(super) fn build(self, clock: &Clock) -> Result<Alertmanager, NotifyError> {
        let url = Secret::new(format!("{}/api/v2/alerts", self.url.expose().trim_end_matches('/')));
        let endpoint = Endpoint::new(&self.name, "url", &url)?;
        Ok(Alertmanager { name: self.name, endpoint, clock: clock.clone() })
    }
}

pub(super) struct Alertmanager {
    name: String,
    endpoint: Endpoint,
    clock: Clock,
}

impl Sink for Alertmanager {
    fn name(&self) -> &str {
        &self.name
    }

    fn folds_incidents(&self) -> bool {
        true
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        async move { self.endpoint.post(&[], json!([message(alert)]).to_string()).await }.boxed()
    }

    fn resolve<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        async move {
            let mut message = message(alert);
            message["endsAt"] = timestamp((self.clock)()).into();
            self.endpoint.post(&[], json!([message]).to_string()).await
        }
        .boxed()
    }
}

/// Of what may differ within an incident only the severity is a label, because alerts are routed by it; any other
/// would make a second alert of it.
fn message(alert: &Alert) -> Value {
    let mut annotations = json!({
        "summary": alert.title,
        "description": alert.text,
    });
    if let Some(hash) = alert.tx_hash {
        annotations["transaction"] = hash.to_string().into();
    }
    if let Some(contract) = alert.contract {
        annotations["contract"] = contract.to_string().into();
    }
    json!({
        "labels": {
            "alertname": "portcullis",
            "incident": alert.incident,
            "chain": alert.chain,
            "severity": alert.severity,
        },
        "annotations": annotations,
        "startsAt": timestamp(alert.at_ms),
    })
}
