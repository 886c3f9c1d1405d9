//! Decided pauses: put before people where that is ordered, carried out, and booked in the ledger by how they ended.

use std::{sync::Arc, time::Duration};

use alloy::primitives::{Address, B256};
use portcullis_alerting::{
    guardian::{Say, Waiting},
    notify::{Alert, Severity},
    record::Mode,
};
use tokio::time::timeout;

use super::chain::Chain;
use crate::{
    act::{Asked, Pursuit, Said, Settled, pursue},
    policy::{Eased, Ticket},
    settings::WithoutAnswer,
    source::BlockRecord,
};

pub(super) async fn carry_out(chain: Arc<Chain>, mut pursuit: Pursuit, ask_every: Duration) {
    if let Some(hand) = chain.hand.clone() {
        if pursuit.awaits_answer {
            match chain.ask_people(pursuit, hand.guardian()).await {
                Some(answered) => pursuit = answered,
                None => return,
            }
        }
        let ticket = pursuit.ticket.take();
        let settle = |settled| chain.settle(ticket, settled);
        pursue(pursuit, hand, Arc::clone(&chain.desk), ask_every, settle).await;
    }
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
        let wait = Duration::from_millis(consent.settings().wait_ms);
        note("pause_waits", words(&waiting, wait));
        // An incident of its own: folded into what was told a moment ago, nobody would hear of it.
        let asked = Told { incident: told.under("waits", &waiting), ..told.clone() };
        let mut alert =
            asked.alert(Severity::Critical, "a pause waits for an answer", self.desk.now_ms());
        alert.text = words(&waiting, wait);
        self.desk.raise(alert);
        let said = timeout(wait, answer).await;
        let pursuit = consent.take(waiting.incident)?;
        self.desk.over(asked.alert(Severity::Critical, "it waits no longer", self.desk.now_ms()));
        let fires = match said {
            Ok(Ok(Said { signer, say: Say::Approve, .. })) => {
                note("pause_approved", format!("{}: by {signer}", waiting.incident));
                true
            }
            Ok(Ok(Said { signer, say: Say::Veto, until_s })) => {
                let words = format!("by {signer}, until {until_s} (Unix seconds)");
                note("pause_vetoed", format!("{}: {words}", waiting.incident));
                let title = format!("not paused: vetoed {words}");
                self.desk.over(told.alert(Severity::Critical, &title, self.desk.now_ms()));
                false
            }
            Ok(Err(_)) => {
                note("pause_unanswered", format!("{}: the guard ends", waiting.incident));
                false
            }
            Err(_) => {
                let fires = consent.settings().without_answer == WithoutAnswer::Pause;
                let then = if fires { "it is fired, as configured" } else { "not paused" };
                let title = format!("nobody answered in {} s: {then}", wait.as_secs());
                note("pause_unanswered", format!("{}: {title}", waiting.incident));
                let told = Told { incident: told.under("unanswered", &waiting), ..told.clone() };
                self.desk.raise(told.alert(Severity::Critical, &title, self.desk.now_ms()));
                fires
            }
        };
        if !fires {
            return None;
        }
        let entered = self.enter_answered(pursuit);
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
