//! Brings an alert to every channel: folded where it repeats, held to a rate, each with a time limit, tried again
//! with growing waits, given up in the end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::{Alert, DeliveryError, Severity, Sink};

/// Incidents remembered at most; the oldest is forgotten first, and told again where it repeats.
const MAX_INCIDENTS: usize = 4_096;
/// The span over which [`Quiet::alerts_per_minute`] counts.
const MINUTE_MS: u64 = 60_000;

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
    /// Seed of the waits: each lies between half and all of what is said above, so that guards that failed
    /// together do not come back together.
    pub seed: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            timeout: Duration::from_secs(10),
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            seed: 0,
        }
    }
}

/// What a channel is spared. Both are measured by the alerts' own times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// After an alert was delivered, others of its incident that are no worse are folded into it for so long.
    pub fold_within: Duration,
    /// Alerts that a channel gets in a minute; those above are given up. Critical ones always pass.
    pub alerts_per_minute: usize,
    /// An incident of which nothing more was heard for so long is over.
    pub over_after: Duration,
}

impl Default for Quiet {
    fn default() -> Self {
        Self {
            fold_within: Duration::from_secs(600),
            alerts_per_minute: 30,
            over_after: Duration::from_secs(3_600),
        }
    }
}

/// How one channel fared with one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Name of the channel.
    pub sink: String,
    /// Attempts made; none where it was folded or held back.
    pub attempts: u32,
    /// Why it was given up; none where it arrived or was folded.
    pub failure: Option<String>,
    /// Not sent, because the channel was told of this incident a moment ago.
    pub is_folded: bool,
}

/// All channels and what is common to them.
#[derive(Debug)]
pub struct Dispatcher {
    routes: Vec<Route>,
    pub(super) policy: RetryPolicy,
    quiet: Quiet,
}

#[derive(Debug)]
struct Route {
    floor: Severity,
    sink: Box<dyn Sink>,
    memory: Mutex<Memory>,
}

/// What a channel was told.
#[derive(Debug, Default)]
struct Memory {
    incidents: BTreeMap<String, Told>,
    /// Times of the alerts of the last minute.
    recent_ms: VecDeque<u64>,
}

#[derive(Debug)]
struct Told {
    /// The last alert that arrived; what says that the incident is over is made of it.
    alert: Alert,
    at_ms: u64,
    /// When the incident was last heard of, told or folded.
    heard_at_ms: u64,
    severity: Severity,
    /// Alerts folded since.
    folded: u64,
}

/// What to do with an alert.
enum Plan {
    /// Tell it; so many were folded since the incident was told last.
    Tell {
        folded: u64,
    },
    Fold,
    OverRate,
}

impl Dispatcher {
    /// Takes channels, each with the lowest severity that it wants to hear of.
    pub fn new(routes: Vec<(Severity, Box<dyn Sink>)>, policy: RetryPolicy) -> Self {
        let routes = routes
            .into_iter()
            .map(|(floor, sink)| Route { floor, sink, memory: Mutex::default() })
            .collect();
        Self { routes, policy, quiet: Quiet::default() }
    }

    /// The same, sparing the channels as `quiet` says.
    #[must_use]
    pub fn with_quiet(mut self, quiet: Quiet) -> Self {
        self.quiet = quiet;
        self
    }

    /// Whether nobody would be told.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Delivers to every channel that wants it, all at once, and says how each fared, in the order of the
    /// settings. Takes as long as the slowest: never on the way to a pause.
    pub async fn deliver(&self, alert: &Alert) -> Vec<Delivery> {
        let wanted = self.routes.iter().filter(|route| alert.severity >= route.floor);
        join_all(wanted.map(|route| self.deliver_to(route, alert))).await
    }

    /// Says of every incident that was not heard of for [`Quiet::over_after`] that it is over, and forgets it. Gives
    /// what was said, and how each channel fared with it.
    pub async fn resolve_quiet(&self, now_ms: u64) -> Vec<(Alert, Vec<Delivery>)> {
        let over_after_ms = milliseconds(self.quiet.over_after);
        let mut over: BTreeMap<String, Alert> = BTreeMap::new();
        // An incident that any channel heard of a moment ago is not over for the others either.
        let mut alive: Vec<String> = Vec::new();
        for route in &self.routes {
            for (incident, told) in &route.lock().incidents {
                if now_ms.saturating_sub(told.heard_at_ms) < over_after_ms {
                    alive.push(incident.clone());
                } else {
                    over.entry(incident.clone()).or_insert_with(|| told.alert.clone());
                }
            }
        }
        let mut resolved = Vec::new();
        for (incident, alert) in over {
            if !alive.contains(&incident) {
                let deliveries = self.resolve(&alert).await;
                resolved.push((alert, deliveries));
            }
        }
        resolved
    }

    /// Says to every channel that was told of this alert's incident that it is over, and forgets it.
    pub async fn resolve(&self, alert: &Alert) -> Vec<Delivery> {
        let told = self
            .routes
            .iter()
            .filter(|route| route.lock().incidents.remove(&alert.incident).is_some());
        join_all(
            told.map(|route| self.attempt(route.sink.as_ref(), alert, |sink| sink.resolve(alert))),
        )
        .await
    }

    async fn deliver_to(&self, route: &Route, alert: &Alert) -> Delivery {
        let sink = route.sink.as_ref();
        let unsent = |failure: Option<String>| Delivery {
            sink: sink.name().to_owned(),
            attempts: 0,
            is_folded: failure.is_none(),
            failure,
        };
        let folded = match route.plan(alert, &self.quiet) {
            Plan::Fold => return unsent(None),
            Plan::OverRate => {
                let limit = self.quiet.alerts_per_minute;
                return unsent(Some(format!("more than {limit} alerts in a minute")));
            }
            Plan::Tell { folded } => folded,
        };
        let with_count = (folded > 0).then(|| Alert {
            text: format!(
                "{}\n({folded} more of this incident since it was last told)",
                alert.text
            ),
            ..alert.clone()
        });
        let told = with_count.as_ref().unwrap_or(alert);
        let delivery = self.attempt(sink, alert, |sink| sink.deliver(told)).await;
        if delivery.failure.is_none() {
            route.remember(alert, &self.quiet);
        }
        delivery
    }

    async fn attempt<'a, F>(
        &self,
        sink: &'a dyn Sink,
        alert: &Alert,
        once: impl Fn(&'a dyn Sink) -> F,
    ) -> Delivery
    where
        F: Future<Output = Result<(), DeliveryError>>,
    {
        let mut wait = self.policy.first_wait;
        let mut attempts = 0;
        let failure = loop {
            attempts += 1;
            let outcome = timeout(self.policy.timeout, once(sink)).await.unwrap_or_else(|_| {
                let reason = format!("no answer within {} ms", self.policy.timeout.as_millis());
                Err(DeliveryError::Retry { reason, after: None })
            });
            let after = match outcome {
                Ok(()) => break None,
                Err(DeliveryError::Retry { after, .. }) if attempts < self.policy.attempts => after,
                Err(error) => break Some(error.to_string()),
            };
            let wait_now = after.unwrap_or_else(|| {
                jittered(wait, self.policy.seed, &[sink.name(), &alert.incident], attempts)
            });
            sleep(wait_now.min(self.policy.longest_wait)).await;
            wait = wait.saturating_mul(2);
        };
        Delivery { sink: sink.name().to_owned(), attempts, failure, is_folded: false }
    }
}

impl Route {
    fn plan(&self, alert: &Alert, quiet: &Quiet) -> Plan {
        let window_ms = milliseconds(quiet.fold_within);
        let mut memory = self.lock();
        let mut folded = 0;
        if let Some(told) = memory.incidents.get_mut(&alert.incident) {
            let is_recent = alert.at_ms.saturating_sub(told.at_ms) < window_ms;
            if is_recent && alert.severity <= told.severity && !self.sink.folds_incidents() {
                told.folded = told.folded.saturating_add(1);
                told.heard_at_ms = alert.at_ms;
                return Plan::Fold;
            }
            folded = told.folded;
        }
        while memory.recent_ms.front().is_some_and(|at| at.saturating_add(MINUTE_MS) <= alert.at_ms)
        {
            memory.recent_ms.pop_front();
        }
        if alert.severity < Severity::Critical && memory.recent_ms.len() >= quiet.alerts_per_minute
        {
            return Plan::OverRate;
        }
        if memory.recent_ms.len() >= quiet.alerts_per_minute {
            memory.recent_ms.pop_front();
        }
        memory.recent_ms.push_back(alert.at_ms);
        Plan::Tell { folded }
    }

    /// Only what arrived is remembered: what nobody was told must not silence what follows.
    fn remember(&self, alert: &Alert, quiet: &Quiet) {
        // Incidents stay known until they are over: what was never told cannot be taken back.
        let kept_ms = milliseconds(quiet.over_after).max(milliseconds(quiet.fold_within));
        let mut memory = self.lock();
        memory.incidents.retain(|_, told| {
            alert.at_ms.saturating_sub(told.heard_at_ms) <= kept_ms.saturating_mul(2)
        });
        if memory.incidents.len() >= MAX_INCIDENTS {
            let oldest = memory
                .incidents
                .iter()
                .min_by_key(|(_, told)| told.at_ms)
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                memory.incidents.remove(&oldest);
            }
        }
        let told = Told {
            alert: alert.clone(),
            at_ms: alert.at_ms,
            heard_at_ms: alert.at_ms,
            severity: alert.severity,
            folded: 0,
        };
        memory.incidents.insert(alert.incident.clone(), told);
    }

    /// A thread that panicked while it held the lock left counts behind that are still right.
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Between half of `wait` and all of it; the same for the same seed, names and attempt.
fn jittered(wait: Duration, seed: u64, names: &[&str], attempt: u32) -> Duration {
    // FNV-1a over what tells deliveries apart, then the finisher of SplitMix64 to spread it.
    let bytes = names.iter().flat_map(|name| name.bytes().chain([0])).chain(attempt.to_le_bytes());
    let mut state = bytes.fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^= state >> 31;
    let per_mille = u32::try_from(500 + state % 501).expect("at most 1,000");
    wait.saturating_mul(per_mille) / 1_000
}
