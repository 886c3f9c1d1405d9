//! Decided pauses: put before people where that is ordered, carried out, and booked in the ledger by how they ended.

use std::{sync::Arc, time::Duration};

use alloy::primitives::{Address, B256};
use portcullis_alerting::{
    guardian::{Say, Waiting},
    journal::JournalError,
    notify::{Alert, Severity},
    record::Mode,
};
use tokio::{
    sync::oneshot,
    task::{JoinError, spawn_blocking},
    time::timeout,
};

use super::chain::Chain;
use crate::{
    act::{Asked, Consent, PauseHand, Pursuit, Said, Settled, Standing, pursue},
    policy::{Eased, Ticket},
    settings::WithoutAnswer,
    source::BlockRecord,
};

pub(super) async fn carry_out(chain: Arc<Chain>, mut pursuit: Pursuit, ask_every: Duration) {
    let Some(hand) = chain.hand.clone() else { return };
    if pursuit.awaits_answer {
        match chain.ask_people(pursuit, hand.guardian()).await {
            Some(answered) => pursuit = answered,
            None => return,
        }
    }
    send_off(chain, hand, pursuit, ask_every).await;
}

/// Goes on waiting for what people were asked before this start.
pub(super) async fn carry_on(chain: Arc<Chain>, standing: Standing, ask_every: Duration) {
    let (Some(hand), Some(consent)) = (chain.hand.clone(), chain.consent.clone()) else { return };
    let Standing { shown, answer } = standing;
    if let Some(pursuit) = chain.hear_people(consent, shown, answer, true).await {
        send_off(chain, hand, pursuit, ask_every).await;
    }
}

async fn send_off(
    chain: Arc<Chain>,
    hand: Arc<dyn PauseHand>,
    mut pursuit: Pursuit,
    ask_every: Duration,
) {
    let ticket = pursuit.ticket.take();
    let settle = |settled| chain.settle(ticket, settled);
    pursue(pursuit, hand, Arc::clone(&chain.desk), ask_every, settle).await;
}

/// Says where the pauser's key was used and not from here: by another guard that has it, or by a thief.
pub(super) fn look_for_strangers(chain: &Chain, block: &BlockRecord) {
    let Some(hand) = &chain.hand else { return };
    for tx in block.transactions.iter().filter(|tx| hand.is_foreign(tx.sender, tx.hash)) {
        let what = if tx.to() == Some(hand.guardian()) { "the guardian" } else { "something else" };
        let words = format!(
            "the pauser's key {} called {what} in block {}, and not from this guard ({}): another guard has it, this \
             one used it before a restart, or it is stolen; the guardian's owner ends its right with `setPauser`",
            tx.sender, block.number, tx.hash
        );
        chain.desk.act(&chain.name, tx.hash, "key_used", words.clone(), Some(tx.hash));
        chain.desk.raise(Alert {
            incident: format!("{}/key/{}", chain.name, tx.sender),
            severity: Severity::Critical,
            title: format!("{}: the pauser's key was used, and not from here", chain.name),
            text: words,
            chain: chain.name.clone(),
            tx_hash: Some(tx.hash),
            contract: tx.to(),
            at_ms: chain.desk.now_ms(),
        });
    }
}

impl Chain {
    /// What holds decisions back for a while, where anything does: a sender who is allowed before a quiet time.
    pub(super) fn eased(&self, sender: Address, protocol: &str, now_ms: u64) -> Option<Eased> {
        let is_meant = |name: &Option<String>| name.as_ref().is_none_or(|name| name == protocol);
        let allowed = self.policy.allow.iter().find(|allowed| {
            allowed.sender == sender && now_ms < allowed.until_ms && is_meant(&allowed.protected)
        });
        let quiet = self.policy.quiet.iter().find(|quiet| {
            (quiet.from_ms..quiet.until_ms).contains(&now_ms) && is_meant(&quiet.protected)
        });
        let allowed = allowed.map(|allowed| Eased::Allowed(allowed.reason.clone()));
        allowed.or_else(|| quiet.map(|quiet| Eased::Quiet(quiet.reason.clone())))
    }

    /// Puts a pause before people and waits for their answer; the pause where it is to be fired, entered in the ledger
    /// and brought up to the head of that moment.
    async fn ask_people(&self, pursuit: Pursuit, guardian: Address) -> Option<Pursuit> {
        let (attack, told) = (pursuit.attack, pursuit.told());
        let note = |kind: &str, detail: String| {
            self.desk.act(&self.name, attack, kind, detail, None);
        };
        let Some(consent) = &self.consent else {
            note("pause_not_asked", "a replay asks nobody".to_owned());
            return None;
        };
        let (waiting, answer) =
            match consent.ask(pursuit, self.chain_id, guardian, self.desk.now_ms()) {
                Asked::Now(waiting, answer) => (waiting, answer),
                Asked::Already(waiting) => {
                    note("pause_waits", format!("the answer to {} decides", waiting.incident));
                    return None;
                }
                Asked::Vetoed(until_ms) => {
                    note("pause_vetoed", format!("by an earlier veto, until {until_ms} (Unix ms)"));
                    return None;
                }
                Asked::NoRoom => {
                    let words = "not paused: too many decisions wait for people";
                    note("pause_not_asked", words.to_owned());
                    self.desk.raise(told.alert(Severity::Critical, words, self.desk.now_ms()));
                    return None;
                }
            };
        // Before anybody is told, so that whoever answers finds it also after a restart.
        let (keeper, name) = (Arc::clone(consent), waiting.incident);
        let kept = spawn_blocking(move || keeper.keep(name)).await;
        if let Some(error) = failure(kept) {
            note("pause_waits", format!("{name}: not written down, a restart forgets it: {error}"));
        }
        let left = left(&waiting, self.desk.now_ms());
        note("pause_waits", words(&waiting, left));
        // An incident of its own: folded into what was told a moment ago, nobody would hear of it.
        let asked = Told { incident: told.under("waits", &waiting), ..told.clone() };
        let mut alert =
            asked.alert(Severity::Critical, "a pause waits for an answer", self.desk.now_ms());
        alert.text = words(&waiting, left);
        self.desk.raise(alert);
        self.hear_people(Arc::clone(consent), waiting, answer, false).await
    }

    /// Waits for people's answer; the pause where it is to be fired.
    async fn hear_people(
        &self,
        consent: Arc<Consent>,
        waiting: Waiting,
        answer: oneshot::Receiver<Said>,
        is_from_before: bool,
    ) -> Option<Pursuit> {
        let name = waiting.incident;
        let attack = waiting.tx_hash;
        let note = |kind: &str, detail: String| {
            self.desk.act(&self.name, attack, kind, detail, None);
        };
        let left = left(&waiting, self.desk.now_ms());
        if is_from_before {
            let words = words(&waiting, left);
            note("pause_waits", format!("asked before this start, and still: {words}"));
        }
        // While no guard ran nobody could answer, and what was approved before is no longer meant.
        let is_too_late = is_from_before && left.is_zero();
        let said = if is_too_late { None } else { timeout(left, answer).await.ok() };
        let pursuit = consent.take(name)?;
        let told = pursuit.told();
        let asked = Told { incident: told.under("waits", &waiting), ..told.clone() };
        if let Some(Err(_)) = said {
            // It stays written down: the next guard goes on with it.
            note(
                "pause_unanswered",
                format!("{name}: the guard ends, and asks on when it starts again"),
            );
            return None;
        }
        self.desk.over(asked.alert(Severity::Critical, "it waits no longer", self.desk.now_ms()));
        let fires = match said {
            Some(Ok(Said { signer, say: Say::Approve, .. })) => {
                note("pause_approved", format!("{name}: by {signer}"));
                true
            }
            Some(Ok(Said { signer, say: Say::Veto, until_s })) => {
                let words = format!("by {signer}, until {until_s} (Unix seconds)");
                note("pause_vetoed", format!("{name}: {words}"));
                let title = format!("not paused: vetoed {words}");
                self.desk.over(told.alert(Severity::Critical, &title, self.desk.now_ms()));
                false
            }
            Some(Err(_)) | None => {
                let fires =
                    !is_too_late && consent.settings().without_answer == WithoutAnswer::Pause;
                let then = if fires { "it is fired, as configured" } else { "not paused" };
                let title = match is_too_late {
                    false => format!("nobody answered in time: {then}"),
                    true => "its time ran out while no guard ran: not paused".to_owned(),
                };
                note("pause_unanswered", format!("{name}: {title}"));
                let told = Told { incident: told.under("unanswered", &waiting), ..told.clone() };
                self.desk.raise(told.alert(Severity::Critical, &title, self.desk.now_ms()));
                fires
            }
        };
        let settled = spawn_blocking(move || consent.settle(name)).await;
        // What is not known to be settled would be fired again by the next guard.
        let unsettled = failure(settled).map(|error| format!("it could not be settled: {error}"));
        if !fires {
            if let Some(error) = unsettled {
                note("pause_held", format!("{name}: {error}"));
            }
            return None;
        }
        let entered = match unsettled {
            Some(error) => Err(error),
            None => self.enter_answered(pursuit),
        };
        if let Err(held) = &entered {
            note("pause_held", held.clone());
            let title = format!("not paused: {held}");
            let told = Told { incident: told.under("held", &waiting), ..told };
            self.desk.raise(told.alert(Severity::Critical, &title, self.desk.now_ms()));
        }
        entered.ok()
    }

    /// Enters a pause that people answered for, as the head and the budget are now; why it is held back where it is.
    fn enter_answered(&self, mut pursuit: Pursuit) -> Result<Pursuit, String> {
        let key = self.key_of(&pursuit.protocol);
        let now_ms = self.desk.now_ms();
        if let Some(head) = self.simulator.state().head() {
            pursuit.block = head.number;
            pursuit.order.head = head.number;
            // A block can raise the base fee by an eighth at most (EIP-1559).
            let next_wei = u128::from(head.base_fee_wei).saturating_mul(9) / 8;
            pursuit.order.base_fee_wei = pursuit.order.base_fee_wei.max(next_wei);
        }
        let mut ledger = self.ledger();
        let standing = ledger.standing(&key, Mode::Armed, now_ms, pursuit.block);
        if standing.pauses_left == 0 {
            return Err("today's budget of pauses is used up".to_owned());
        }
        if let Some(until) = standing.cooling_until_block {
            return Err(format!("cooling down after a pause until block {until}"));
        }
        pursuit.is_raise = ledger.is_open(&key, pursuit.block);
        pursuit.ticket = (!pursuit.is_raise).then(|| ledger.enter(&key, now_ms, pursuit.block));
        Ok(pursuit)
    }

    /// Books a pause that was carried out, or takes it back.
    fn settle(&self, ticket: Option<Ticket>, settled: Settled) {
        let Some(ticket) = ticket else { return };
        match settled {
            Settled::Counts => self.ledger().settle(ticket),
            Settled::TakenBack => self.ledger().take_back(ticket),
        }
    }
}

/// How long it still waits.
fn left(waiting: &Waiting, now_ms: u64) -> Duration {
    Duration::from_millis(waiting.until_ms.saturating_sub(now_ms))
}

/// Why something was not written down.
fn failure(done: Result<Result<(), JournalError>, JoinError>) -> Option<String> {
    match done {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(crashed) => Some(crashed.to_string()),
    }
}

/// What whoever may answer has to know.
fn words(waiting: &Waiting, wait: Duration) -> String {
    format!(
        "{}: {}; {} wei at stake; to be paused: {} through {} on chain {}; answer within {} s: \
         `portcullis guardian answer approve --incident {}`, or `veto`",
        waiting.incident,
        waiting.reason,
        waiting.at_stake_wei,
        waiting.target,
        waiting.guardian,
        waiting.chain_id,
        wait.as_secs(),
        waiting.incident
    )
}

/// What alerts about a pause that waits have in common.
#[derive(Clone)]
struct Told {
    chain: String,
    protocol: String,
    incident: String,
    attack: B256,
    target: Address,
}

impl Told {
    /// An incident for one thing about one decision.
    fn under(&self, what: &str, waiting: &Waiting) -> String {
        format!("{}/{}/{what}/{}", self.chain, self.protocol, waiting.incident)
    }

    fn alert(&self, severity: Severity, title: &str, at_ms: u64) -> Alert {
        Alert {
            incident: self.incident.clone(),
            severity,
            title: format!("{}: {title}", self.protocol),
            text: format!("{title}; the transaction is {}", self.attack),
            chain: self.chain.clone(),
            tx_hash: Some(self.attack),
            contract: Some(self.target),
            at_ms,
        }
    }
}

impl Pursuit {
    fn told(&self) -> Told {
        Told {
            chain: self.chain.clone(),
            protocol: self.protocol.clone(),
            incident: self.incident.clone(),
            attack: self.attack,
            target: self.order.target,
        }
    }
}
