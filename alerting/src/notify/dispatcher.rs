//! Brings an alert to every channel: each with a time limit, tried again with growing waits, given up in the end.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::{Alert, DeliveryError, Severity, Sink};

/// How often and how patiently a delivery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least one.
    pub attempts: u32,
    /// Time limit of one attempt.
    pub timeout: Duration,
    /// Wait after the first failed attempt; each further one doubles it.
    pub first_wait: Duration,
    /// Longest wait, also where the receiver asks for a longer one.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            timeout: Duration::from_secs(10),
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
        }
    }
}

/// How one channel fared with one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Name of the channel.
    pub sink: String,
    /// Attempts made.
    pub attempts: u32,
    /// Why it was given up; none where it arrived.
    pub failure: Option<String>,
}

/// All channels and what is common to them.
#[derive(Debug)]
pub struct Dispatcher {
    routes: Vec<(Severity, Box<dyn Sink>)>,
    pub(super) policy: RetryPolicy,
}

impl Dispatcher {
    /// Takes channels, each with the lowest severity that it wants to hear of.
    pub fn new(routes: Vec<(Severity, Box<dyn Sink>)>, policy: RetryPolicy) -> Self {
        Self { routes, policy }
    }

    /// Whether nobody would be told.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Delivers to every channel that wants it, all at once, and says how each fared, in the order of the
    /// settings. Takes as long as the slowest: never on the way to a pause.
    pub async fn deliver(&self, alert: &Alert) -> Vec<Delivery> {
        let wanted = self.routes.iter().filter(|(floor, _)| alert.severity >= *floor);
        join_all(wanted.map(|(_, sink)| self.deliver_to(sink.as_ref(), alert))).await
    }

    async fn deliver_to(&self, sink: &dyn Sink, alert: &Alert) -> Delivery {
        let mut wait = self.policy.first_wait;
        let mut attempts = 0;
        let failure = loop {
            attempts += 1;
            let outcome =
                timeout(self.policy.timeout, sink.deliver(alert)).await.unwrap_or_else(|_| {
                    let reason = format!("no answer within {} ms", self.policy.timeout.as_millis());
                    Err(DeliveryError::Retry { reason, after: None })
                });
            let after = match outcome {
                Ok(()) => break None,
                Err(DeliveryError::Retry { after, .. }) if attempts < self.policy.attempts => after,
                Err(error) => break Some(error.to_string()),
            };
            sleep(after.unwrap_or(wait).min(self.policy.longest_wait)).await;
            wait = wait.saturating_mul(2);
        };
        Delivery { sink: sink.name().to_owned(), attempts, failure }
    }
}
