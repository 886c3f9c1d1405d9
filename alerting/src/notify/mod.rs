//! Tells people. One file per channel; a channel only delivers, and [`Dispatcher`] does everything that is the
//! same for all of them: waiting, trying again, giving up.

mod alertmanager;
mod discord;
mod dispatcher;
mod email;
mod http;
mod pagerduty;
mod slack;
mod telegram;
mod template;
mod webhook;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use alertmanager::AlertmanagerSettings;
pub use discord::DiscordSettings;
pub use dispatcher::{Delivery, Dispatcher, Quiet, RetryPolicy};
pub use email::{EmailSettings, Encryption};
pub use pagerduty::PagerDutySettings;
pub use slack::SlackSettings;
pub use telegram::TelegramSettings;
pub use template::{Template, TemplateError, worded};
pub use webhook::{Forgery, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookSettings, verify};

/// Milliseconds since the Unix epoch, from whoever may read a clock.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Same for everything that belongs to one incident.
    pub incident: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// Everything else, in plain text.
    pub text: String,
    /// Name of the chain.
    pub chain: String,
    /// The judged transaction, where there is one.
    pub tx_hash: Option<B256>,
    /// The protected contract, where there is one.
    pub contract: Option<Address>,
    /// When it was raised, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// How bad it is, the worst last.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// Look at it today.
    Low,
    /// Look at it within the hour.
    Medium,
    /// Look at it now.
    High,
    /// Money is leaving.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// One channel.
pub trait Sink: Send + Sync {
    /// Its name in logs and in the journal.
    fn name(&self) -> &str;

    /// Delivers once; neither waits nor tries again by itself.
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>>;

    /// Whether the receiver itself folds what is told of one incident, so that telling it again is an update and
    /// no repetition.
    fn folds_incidents(&self) -> bool {
        false
    }

    /// Says once that the incident of `alert` is over, where the receiver keeps incidents; elsewhere does nothing.
    fn resolve<'a>(&'a self, _alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl fmt::Debug for dyn Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sink({})", self.name())
    }
}

/// Why one delivery failed, and whether another makes sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// May work later.
    #[error("{reason}")]
    Retry {
        /// What went wrong.
        reason: String,
        /// How long the receiver asks to wait.
        after: Option<Duration>,
    },
    /// Will not work, however often it is tried.
    #[error("refused: {reason}")]
    Refused {
        /// The receiver's words.
        reason: String,
    },
}

/// A setting that no channel can be built from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("notification channel {channel}: {field}: {reason}")]
pub struct NotifyError {
    /// Name of the channel.
    pub channel: String,
    /// The setting.
    pub field: &'static str,
    /// What is wrong and what was expected; never the value of a secret.
    pub reason: String,
}

/// The channels. Each line gives the settings that a channel is built from; nothing else lists them.
macro_rules! sinks {
    ($($(#[doc = $doc:literal])+ $kind:ident($settings:ty),)+) => {
        /// Settings of one channel of any kind, secrets already resolved.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub enum SinkSettings {
            $($(#[doc = $doc])+ $kind($settings),)+
        }

        impl SinkSettings {
            /// Builds the channel; sends nothing.
            ///
            /// # Errors
            /// [`NotifyError`] for a setting that cannot work.
            pub fn build(self, clock: &Clock) -> Result<Box<dyn Sink>, NotifyError> {
                match self {
                    $(Self::$kind(settings) => settings.build(clock).map(|sink| Box::new(sink) as Box<dyn Sink>),)+
                }
            }
        }
    };
}

/// At most `chars` characters, the last one an ellipsis where something was cut.
fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars.saturating_sub(1)).chain(['…']).collect(),
    }
}

sinks! {
    /// Prometheus Alertmanager.
    Alertmanager(AlertmanagerSettings),
    /// A Discord channel.
    Discord(DiscordSettings),
    /// E-mail, by a mail server.
    Email(EmailSettings),
    /// PagerDuty, Events API v2.
    PagerDuty(PagerDutySettings),
    /// A Slack channel.
    Slack(SlackSettings),
    /// A Telegram chat.
    Telegram(TelegramSettings),
    /// Any HTTP server, with a signature.
    Webhook(WebhookSettings),
}

#[cfg(test)]
mod tests;
