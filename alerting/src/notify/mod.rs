//! Tells people. One file per channel; a channel only delivers, and [`Dispatcher`] does everything that is the
//! same for all of them: waiting, trying again, giving up.

mod dispatcher;
mod webhook;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use dispatcher::{Delivery, Dispatcher, RetryPolicy};
pub use webhook::{SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookSettings};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
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

/// One channel.
pub trait Sink: Send + Sync {
    /// Its name in logs and in the journal.
    fn name(&self) -> &str;

    /// Delivers once; neither waits nor tries again by itself.
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), DeliveryError>>;
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

sinks! {
    /// Any HTTP server, with a signature.
    Webhook(WebhookSettings),
}

#[cfg(test)]
mod tests;
