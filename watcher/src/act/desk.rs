//! Everything that leaves the guard passes here: journal rows, events for observers, alerts.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use alloy::primitives::{Address, B256};
use portcullis_alerting::{
    journal::{JournalHealth, JournalRow, JournalWriter},
    notify::{Alert, Delivery, Severity},
    record::{ActionRow, DeadLetter, Decision, Outcome},
};

use crate::source::Clock;

use super::{GuardEvent, Judged, Totals};

/// Who is told of every event, in order.
type Observer = Box<dyn Fn(GuardEvent) + Send + Sync>;

/// Takes a notice for delivery; gives it back where there is no room.
type NoticeQueue = Box<dyn Fn(Notice) -> Result<(), Box<Notice>> + Send + Sync>;

/// What people are told of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// There is one, or more of it.
    Raised(Alert),
    /// It is over; the text says how it ended.
    Over(Alert),
}

/// The one place through which judged transactions, actions and alerts leave.
pub(crate) struct Desk {
    journal: Option<JournalWriter>,
    observer: Observer,
    alerts: Option<NoticeQueue>,
    clock: Clock,
    totals: Mutex<Totals>,
    /// Chain and head of the last alert about something unknown: one for each head is enough.
    last_unknown: Mutex<Option<(String, u64)>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("journal", &self.journal)
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}

impl Desk {
    /// A desk; without `alerts` nobody is told, as in a replay.
    pub(crate) fn new(
        journal: Option<JournalWriter>,
        observer: Observer,
        alerts: Option<NoticeQueue>,
        clock: Clock,
    ) -> Self {
        Self {
            journal,
            observer,
            alerts,
            clock,
            totals: Mutex::default(),
            last_unknown: Mutex::default(),
        }
    }

    /// Milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// Tells observers.
    pub(crate) fn tell(&self, event: GuardEvent) {
        (self.observer)(event);
    }

    /// Journals a judged transaction, tells observers, and alerts people where that is decided.
    pub(crate) fn publish(&self, judged: Judged, contract: Option<Address>) {
        self.record(JournalRow::Verdict(judged.row.clone()));
        if let Some(evidence) = &judged.evidence {
            self.record(JournalRow::Evidence(Box::new(evidence.clone())));
        }
        self.count(|totals| totals.count(&judged));
        let alert = (judged.row.decision != Decision::None && self.is_news(&judged))
            .then(|| alert(&judged, contract));
        self.tell(GuardEvent::Verdict(Box::new(judged)));
        if let Some(alert) = alert {
            self.raise(alert);
        }
    }

    /// Journals an action and tells observers.
    pub(crate) fn act(
        &self,
        chain: &str,
        tx_hash: B256,
        kind: &str,
        detail: String,
        action_tx_hash: Option<B256>,
    ) {
        let row = ActionRow {
            at_ms: self.now_ms(),
            chain: chain.to_owned(),
            tx_hash,
            kind: kind.to_owned(),
            detail,
            action_tx_hash,
        };
        self.record(JournalRow::Action(row.clone()));
        self.tell(GuardEvent::Action(row));
    }

    /// Alerts people.
    pub(crate) fn raise(&self, alert: Alert) {
        self.notify(Notice::Raised(alert));
    }

    /// Tells those who heard of an incident that it is over.
    pub(crate) fn over(&self, alert: Alert) {
        self.notify(Notice::Over(alert));
    }

    fn notify(&self, notice: Notice) {
        let Some(queue) = &self.alerts else { return };
        if let Err(notice) = queue(notice) {
            let is_over = matches!(*notice, Notice::Over(_));
            let (Notice::Raised(alert) | Notice::Over(alert)) = *notice;
            self.keep(&alert, is_over, None, "no room for it", 0);
            let detail = format!("no room for: {}", alert.title);
            self.act(&alert.chain, alert.tx_hash.unwrap_or_default(), "alert_failed", detail, None);
        }
    }

    /// Journals how the deliveries of an alert went.
    pub(crate) fn delivered(&self, alert: &Alert, deliveries: &[Delivery]) {
        let tx_hash = alert.tx_hash.unwrap_or_default();
        if deliveries.is_empty() {
            let detail = format!("no channel wants it: {}", alert.title);
            self.act(&alert.chain, tx_hash, "alert_unheard", detail, None);
        }
        for delivery in deliveries {
            let (kind, detail) = match &delivery.failure {
                None if delivery.is_folded => {
                    ("alert_folded", format!("{}: {}", delivery.sink, alert.title))
                }
                None => ("alert_delivered", format!("{}: {}", delivery.sink, alert.title)),
                Some(failure) => (
                    "alert_failed",
                    format!(
                        "{}: given up after {} attempts: {failure}",
                        delivery.sink, delivery.attempts
                    ),
                ),
            };
            self.act(&alert.chain, tx_hash, kind, detail, None);
            self.keep_failed(alert, false, delivery);
        }
    }

    /// Journals to whom it was said that an incident is over.
    pub(crate) fn resolved(&self, alert: &Alert, deliveries: &[Delivery]) {
        for delivery in deliveries {
            let (kind, detail) = match &delivery.failure {
                None => ("incident_over", format!("{}: {}", delivery.sink, alert.incident)),
                Some(failure) => (
                    "alert_failed",
                    format!(
                        "{}: not told that {} is over, given up after {} attempts: {failure}",
                        delivery.sink, alert.incident, delivery.attempts
                    ),
                ),
            };
            self.act(&alert.chain, alert.tx_hash.unwrap_or_default(), kind, detail, None);
            self.keep_failed(alert, true, delivery);
        }
    }

    fn keep_failed(&self, alert: &Alert, is_over: bool, delivery: &Delivery) {
        if let Some(failure) = &delivery.failure {
            self.keep(alert, is_over, Some(&delivery.sink), failure, delivery.attempts);
        }
    }

    /// Keeps what people were not told, so that it can be sent again.
    fn keep(
        &self,
        alert: &Alert,
        is_over: bool,
        channel: Option<&str>,
        failure: &str,
        attempts: u32,
    ) {
        self.record(JournalRow::DeadLetter(DeadLetter {
            at_ms: self.now_ms(),
            channel: channel.map(str::to_owned),
            is_over,
            alert: serde_json::to_value(alert).unwrap_or_default(),
            failure: failure.to_owned(),
            attempts,
        }));
    }

    /// Counts transactions that were dropped unjudged, and says so.
    pub(crate) fn drop_one(&self, chain: &str, stage: &str) {
        let count = self.count(|totals| {
            totals.dropped += 1;
            totals.dropped
        });
        self.tell(GuardEvent::Dropped { chain: chain.to_owned(), stage: stage.to_owned(), count });
    }

    /// Counts mined transactions, and those of them that had been seen pending.
    pub(crate) fn cover(&self, mined: u64, seen: u64) {
        self.count(|totals| {
            totals.mined += mined;
            totals.seen_pending += seen;
        });
    }

    /// What was counted so far.
    pub(crate) fn totals(&self) -> Totals {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the journal fares; none where there is none.
    pub(crate) fn journal_health(&self) -> Option<JournalHealth> {
        self.journal.as_ref().map(JournalWriter::health)
    }

    /// Waits for the journal's rows to be written. Blocks.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        self.journal.as_ref().is_none_or(|journal| journal.flush(within))
    }

    fn record(&self, row: JournalRow) {
        if let Some(journal) = &self.journal
            && !journal.record(row)
        {
            self.count(|totals| totals.journal_lost += 1);
        }
    }

    fn count<T>(&self, change: impl FnOnce(&mut Totals) -> T) -> T {
        change(&mut self.totals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_news(&self, judged: &Judged) -> bool {
        if judged.row.outcome != Outcome::Unknown {
            return true;
        }
        let this = (judged.row.chain.clone(), judged.row.block);
        let mut last = self.last_unknown.lock().unwrap_or_else(PoisonError::into_inner);
        last.replace(this.clone()) != Some(this)
    }
}

/// The incident that a judged transaction belongs to: what one sender does to the same protocols of a chain.
pub(crate) fn incident(chain: &str, touched: &[String], from: Address) -> String {
    let whom = if touched.is_empty() { chain.to_owned() } else { touched.join(", ") };
    format!("{chain}/{whom}/{from}")
}

fn alert(judged: &Judged, contract: Option<Address>) -> Alert {
    let row = &judged.row;
    let severity = match row.outcome {
        Outcome::Attack => Severity::Critical,
        Outcome::Suspicious => Severity::High,
        Outcome::Unknown => Severity::Medium,
        Outcome::Clear => Severity::Info,
    };
    let whom =
        if judged.touched.is_empty() { row.chain.clone() } else { judged.touched.join(", ") };
    let mut lines = vec![
        format!(
            "transaction {} of {} on {} (head {})",
            row.tx_hash, row.from, row.chain, row.block
        ),
        format!("at stake: {} wei", judged.outflow_wei),
        format!("decision: {:?}, mode {:?}: {}", row.decision, row.mode, row.reason),
    ];
    lines.extend(judged.reasons.iter().cloned());
    Alert {
        incident: incident(&row.chain, &judged.touched, row.from),
        severity,
        title: format!("{whom}: {}", row.reason),
        text: lines.join("\n"),
        chain: row.chain.clone(),
        tx_hash: Some(row.tx_hash),
        contract,
        at_ms: row.seen_at_ms,
    }
}
