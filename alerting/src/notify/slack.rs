//! Slack, by an incoming webhook: `{"text", "blocks": [...]}`.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::http::Endpoint;
use super::{Alert, Clock, DeliveryError, NotifyError, Sink, cut};
use crate::secret::Secret;

/// Slack refuses longer headers.
const HEADER_CHARS: usize = 150;
/// Slack refuses sections of more than 3,000; escaping makes text up to five times as long.
const SECTION_CHARS: usize = 2_900;

/// What a Slack channel is built from.
#[derive(Debug, Clone)]
pub struct SlackSettings {
    /// Name in logs and in the journal.
    pub name: String,
    /// The incoming webhook's address; it is the credential, so it is never printed.
    pub url: Secret,
}

impl SlackSettings {
    pub(super) fn build(self, _clock: &Clock) -> Result<Slack, NotifyError> {
        let endpoint = Endpoint::new(&self.name, "url", &self.url)?;
        Ok(Slack { name: self.name, endpoint })
    }
}

pub(super) struct Slack {
    name: String,
    endpoint: Endpoint,
}

impl Sink for Slack {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        async move { self.endpoint.post(&[], message(alert).to_string()).await }.boxed()
    }
}

fn message(alert: &Alert) -> Value {
    let title = format!("[{}] {}", alert.severity, alert.title);
    let footer = format!("incident `{}` on {}", escape(&alert.incident), escape(&alert.chain));
    json!({
        // What a notification shows; blocks are not read there.
        "text": escape(&title),
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": cut(&title, HEADER_CHARS) } },
            { "type": "section", "text": { "type": "mrkdwn", "text": cut_escaped(&alert.text) } },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": footer }] },
        ],
    })
}

/// The text escaped, cut so that no entity is torn.
fn cut_escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let escaped = escape(character.encode_utf8(&mut [0; 4]));
        if out.chars().count() + escaped.chars().count() > SECTION_CHARS {
            out.push('…');
            break;
        }
        out.push_str(&escaped);
    }
    // An empty section is refused.
    if out.is_empty() { "-".to_owned() } else { out }
}

/// Nothing in an alert may become a link or a mention.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
