//! Telegram, by a bot: `sendMessage` with `{"chat_id", "text", "parse_mode": "MarkdownV2"}`.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::http::Endpoint;
use super::{Alert, Clock, DeliveryError, NotifyError, Sink, cut};
use crate::secret::Secret;

/// Telegram takes 4,096 characters, counted without the marks.
const TEXT_CHARS: usize = 3_600;
/// What is left for the title.
const TITLE_CHARS: usize = 256;

/// What a Telegram channel is built from.
#[derive(Debug, Clone)]
pub struct TelegramSettings {
    /// Name in logs and in the journal.
    pub name: String,
    /// Token of the bot.
    pub token: Secret,
    /// The chat to write to: its number, or `@name` of a public channel.
    pub chat_id: String,
    /// Where the bot API is served, usually `https://api.telegram.org`.
    pub api: String,
}

impl TelegramSettings {
    pub(super) fn build(self, _clock: &Clock) -> Result<Telegram, NotifyError> {
        let refused = |field, reason: &str| {
            Err(NotifyError { channel: self.name.clone(), field, reason: reason.to_owned() })
        };
        // Checked here, because a token with a slash would change which method is called.
        let is_token_character =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
        if self.token.expose().is_empty() || !self.token.expose().chars().all(is_token_character) {
            return refused("token", "expected a bot token such as `123456:ABC-...`");
        }
        let is_number = |text: &str| text.parse::<i64>().is_ok();
        if !is_number(&self.chat_id) && self.chat_id.strip_prefix('@').is_none_or(str::is_empty) {
            return refused("chat_id", "expected a number or `@name`");
        }
        let api = self.api.trim_end_matches('/');
        let url = Secret::new(format!("{api}/bot{}/sendMessage", self.token.expose()));
        let endpoint = Endpoint::new(&self.name, "api", &url)?;
        Ok(Telegram { name: self.name, chat_id: self.chat_id, endpoint })
    }
}

pub(super) struct Telegram {
    name: String,
    chat_id: String,
    endpoint: Endpoint,
}

impl Sink for Telegram {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        async move { self.endpoint.post(&[], message(&self.chat_id, alert).to_string()).await }
            .boxed()
    }
}

fn message(chat_id: &str, alert: &Alert) -> Value {
    let title = escape(&cut(&format!("[{}] {}", alert.severity, alert.title), TITLE_CHARS));
    let text = escape(&cut(&alert.text, TEXT_CHARS));
    json!({
        "chat_id": chat_id,
        "text": format!("*{title}*\n{text}"),
        "parse_mode": "MarkdownV2",
        "link_preview_options": { "is_disabled": true },
    })
}

/// Every character that MarkdownV2 gives a meaning stands for itself; one that is forgotten makes Telegram refuse
/// the whole message.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if "_*[]()~`>#+-=|{}.!\\".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}
