//! Discord, by a channel's webhook: `{"embeds": [...]}`.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::http::Endpoint;
use super::{Alert, Clock, DeliveryError, NotifyError, Severity, Sink, cut};
use crate::calendar::timestamp;
use crate::secret::Secret;

/// Discord refuses longer titles.
const TITLE_CHARS: usize = 256;
/// Discord refuses longer descriptions.
const TEXT_CHARS: usize = 4_096;

/// What a Discord channel is built from.
#[derive(Debug, Clone)]
pub struct DiscordSettings {
    /// Name in logs and in the journal.
    pub name: String,
    /// The webhook's address; it is the credential, so it is never printed.
    pub url: Secret,
}

impl DiscordSettings {
    pub(super) fn build(self, _clock: &Clock) -> Result<Discord, NotifyError> {
        let endpoint = Endpoint::new(&self.name, "url", &self.url)?;
        Ok(Discord { name: self.name, endpoint })
    }
}

pub(super) struct Discord {
    name: String,
    endpoint: Endpoint,
}

impl Sink for Discord {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        async move { self.endpoint.post(&[], message(alert).to_string()).await }.boxed()
    }
}

fn message(alert: &Alert) -> Value {
    let colour = match alert.severity {
        Severity::Info | Severity::Low => 0x3B_82F6,
        Severity::Medium => 0xEA_B308,
        Severity::High | Severity::Critical => 0xDC_2626,
    };
    json!({
        "embeds": [{
            "title": cut(&format!("[{}] {}", alert.severity, alert.title), TITLE_CHARS),
            "description": cut(&alert.text, TEXT_CHARS),
            "color": colour,
            "timestamp": timestamp(alert.at_ms),
            "footer": { "text": cut(&format!("{} on {}", alert.incident, alert.chain), TITLE_CHARS) },
        }],
        // Nothing in an alert may call everybody.
        "allowed_mentions": { "parse": [] },
    })
}
