//! A decided pause, carried out and followed to its end.

use std::{sync::Arc, time::Duration};

use alloy::primitives::{B256, U256};
use portcullis_alerting::{
    guardian::{AttackFate, GuardianError, Inclusion, Premises},
    notify::{Alert, Severity},
};

use super::{Desk, GuardEvent, PauseHand, PauseOrder, PauseShown};
use crate::policy::Ticket;

/// Blocks in which a pause may be mined before it is given up.
const BLOCKS_ALLOWED: u64 = 5;
/// How often the chain is asked what became of the attack, and how long in between.
const FATE_ATTEMPTS: u32 = 30;

/// A pause to carry out.
#[derive(Debug)]
pub(crate) struct Pursuit {
    /// Name of the chain.
    pub(crate) chain: String,
    /// Name of the protocol.
    pub(crate) protocol: String,
    /// The incident that people were told of when it was judged.
    pub(crate) incident: String,
    /// The judged transaction.
    pub(crate) attack: B256,
    /// The evidence, in one line.
    pub(crate) reason: String,
    /// It waits until a person has answered.
    pub(crate) awaits_answer: bool,
    /// Head on which it was judged.
    pub(crate) block: u64,
    /// What would leave without the pause, wei.
    pub(crate) at_stake_wei: U256,
    /// The pause.
    pub(crate) order: PauseOrder,
    /// What was judged, for the nodes to confirm.
    pub(crate) premises: Premises,
    /// How long they may take for it.
    pub(crate) confirm_within: Duration,
    /// It raises the offer of a pause that is under way.
    pub(crate) is_raise: bool,
    /// The pause in the ledger; none where it is a raise.
    pub(crate) ticket: Option<Ticket>,
}

/// What became of a pause, for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It counts: mined, or shown where nothing is sent.
    Counts,
    /// Nothing was sent, or nobody mined it.
    TakenBack,
}

/// Has the nodes confirm what was judged, fires the pause, waits until it is mined, and says what became of the
/// attack. `settle` is called once, as soon as it is known whether the pause counts.
pub(crate) async fn pursue(
    pursuit: Pursuit,
    hand: Arc<dyn PauseHand>,
    desk: Arc<Desk>,
    ask_every: Duration,
    settle: impl FnOnce(Settled),
) {
    let pause = match fire(&pursuit, hand.as_ref(), &desk).await {
        Fired::Sent(pause) => pause,
        Fired::Shown => return settle(Settled::Counts),
        Fired::Not => return settle(Settled::TakenBack),
    };
    let act = |kind, detail, pause| {
        desk.act(&pursuit.chain, pursuit.attack, kind, detail, Some(pause));
    };
    let mined = match hand.follow(pause, pursuit.block.saturating_add(BLOCKS_ALLOWED)).await {
        Ok(mined) if mined.has_succeeded => mined,
        Ok(mined) => {
            settle(Settled::Counts);
            let detail = format!("reverted in block {} at {}", mined.block, mined.index);
            act("pause_failed", detail.clone(), mined.tx_hash);
            desk.raise(pursuit.failed(&desk, &detail));
            return;
        }
        Err(error) => {
            settle(Settled::TakenBack);
            act("pause_not_mined", error.to_string(), pause);
            desk.raise(pursuit.failed(&desk, &error.to_string()));
            return;
        }
    };
    settle(Settled::Counts);
    let place = format!("block {} at {}, cost {} wei", mined.block, mined.index, mined.cost_wei);
    act("pause_mined", place.clone(), mined.tx_hash);
    // An earlier pause of this protocol may have failed; that one is mended.
    desk.over(pursuit.failed(&desk, "a later pause was mined"));
    desk.raise(pursuit.paused(&desk, &place));
    let (kind, detail) = fate(&pursuit, hand.as_ref(), &mined, ask_every).await;
    act(kind, detail.clone(), mined.tx_hash);
    let told = pursuit.ended(&desk, kind, &detail);
    match kind {
        "attack_reverted" => desk.over(told),
        "attack_succeeded" => desk.raise(told),
        // Nobody knows whether it still comes: the incident stays open until it is quiet for long enough.
        _ => {}
    }
}

/// What was fired.
enum Fired {
    /// Sent under this hash.
    Sent(B256),
    /// Only shown.
    Shown,
    /// Nothing.
    Not,
}

async fn fire(pursuit: &Pursuit, hand: &dyn PauseHand, desk: &Desk) -> Fired {
    let order = &pursuit.order;
    let note = |kind, detail, pause| {
        desk.act(&pursuit.chain, pursuit.attack, kind, detail, pause);
    };
    if let Err(error) = hand.confirm(&pursuit.premises, pursuit.confirm_within).await {
        note("pause_unconfirmed", error.to_string(), None);
        desk.raise(pursuit.unconfirmed(desk, &error.to_string()));
        return Fired::Not;
    }
    match hand.fire(order).await {
        Ok(fired) => {
            desk.tell(GuardEvent::Pause(PauseShown {
                chain: pursuit.chain.clone(),
                protocol: pursuit.protocol.clone(),
                tx_hash: pursuit.attack,
                guardian: hand.guardian(),
                target: order.target,
                max_fee_per_gas_wei: fired.max_fee_per_gas_wei,
                max_tip_wei: fired.max_tip_wei,
                attack_max_fee_per_gas_wei: order.attack_max_fee_per_gas_wei,
                attack_max_tip_wei: order.attack_max_tip_wei,
                at_stake_wei: pursuit.at_stake_wei,
                pause_hash: fired.tx_hash,
            }));
            let kind = match fired.tx_hash {
                Some(_) if pursuit.is_raise => "pause_raised",
                Some(_) => "pause_sent",
                None => "pause_shown",
            };
            let detail = format!(
                "{} ({}): fee cap {} wei over {}, tip {} wei over {}, evidence {}",
                pursuit.protocol,
                order.target,
                fired.max_fee_per_gas_wei,
                order.attack_max_fee_per_gas_wei,
                fired.max_tip_wei,
                order.attack_max_tip_wei,
                fired.evidence
            );
            note(kind, detail, fired.tx_hash);
            fired.tx_hash.map_or(Fired::Shown, Fired::Sent)
        }
        // The contract is being paused already, for another transaction of the attack: as it should be.
        Err(
            error @ (GuardianError::InFlight { .. }
            | GuardianError::AlreadySent { .. }
            | GuardianError::AlreadyPaused { .. }),
        ) => {
            let standing = match &error {
                GuardianError::AlreadySent { tx_hash, .. } => Some(*tx_hash),
                _ => None,
            };
            note("pause_stands", error.to_string(), standing);
            Fired::Not
        }
        Err(error) => {
            note("pause_failed", error.to_string(), None);
            desk.raise(pursuit.failed(desk, &error.to_string()));
            Fired::Not
        }
    }
}

/// What became of the attack, asked until it is mined or that is given up.
async fn fate(
    pursuit: &Pursuit,
    hand: &dyn PauseHand,
    pause: &Inclusion,
    ask_every: Duration,
) -> (&'static str, String) {
    let mut unanswered = None;
    for _ in 0..FATE_ATTEMPTS {
        match hand.attack_fate(pause, pursuit.attack).await {
            Ok(AttackFate::Mined { block, index, has_succeeded, is_after_pause }) => {
                let place =
                    format!("block {block} at {index}, {} the pause", order_word(is_after_pause));
                return if has_succeeded {
                    ("attack_succeeded", place)
                } else {
                    ("attack_reverted", format!("{place}; {} wei saved", pursuit.at_stake_wei))
                };
            }
            Ok(AttackFate::NotMined) => unanswered = None,
            Err(error) => unanswered = Some(error.to_string()),
        }
        tokio::time::sleep(ask_every).await;
    }
    match unanswered {
        Some(error) => ("attack_unknown", error),
        None => {
            ("attack_not_mined", format!("not mined so far; {} wei saved", pursuit.at_stake_wei))
        }
    }
}

fn order_word(is_after: bool) -> &'static str {
    if is_after { "after" } else { "before" }
}

impl Pursuit {
    /// The pause itself went wrong.
    fn failed(&self, desk: &Desk, detail: &str) -> Alert {
        let text =
            format!("the pause of {} against {} failed: {detail}", self.order.target, self.attack);
        Alert {
            incident: format!("{}/{}/pause", self.chain, self.protocol),
            ..self.alert(desk, Severity::Critical, "the pause failed", text)
        }
    }

    /// The nodes contradict each other, so nothing was fired.
    fn unconfirmed(&self, desk: &Desk, detail: &str) -> Alert {
        let text = format!(
            "{} was not paused against {}: {detail}; somebody must look at the nodes and at the contract",
            self.order.target, self.attack
        );
        Alert {
            incident: format!("{}/{}/nodes", self.chain, self.protocol),
            ..self.alert(desk, Severity::Critical, "not paused, the nodes do not agree", text)
        }
    }

    /// It is paused, and only its owner can end that.
    fn paused(&self, desk: &Desk, place: &str) -> Alert {
        let text = format!(
            "{} was paused against {} ({place}); at stake: {} wei; its owner ends the pause",
            self.order.target, self.attack, self.at_stake_wei
        );
        Alert {
            incident: format!("{}/{}/paused", self.chain, self.protocol),
            ..self.alert(desk, Severity::High, "paused", text)
        }
    }

    /// How the attack ended, for the incident that it was told as.
    fn ended(&self, desk: &Desk, kind: &str, detail: &str) -> Alert {
        let words = kind.replace('_', " ");
        let text = format!("{words} ({}): {detail}", self.attack);
        Alert {
            incident: self.incident.clone(),
            ..self.alert(desk, Severity::Critical, &words, text)
        }
    }

    fn alert(&self, desk: &Desk, severity: Severity, title: &str, text: String) -> Alert {
        Alert {
            incident: String::new(),
            severity,
            title: format!("{}: {title}", self.protocol),
            text,
            chain: self.chain.clone(),
            tx_hash: Some(self.attack),
            contract: Some(self.order.target),
            at_ms: desk.now_ms(),
        }
    }
}
