//! A decided pause, carried out and followed to its end.

use std::{sync::Arc, time::Duration};

use alloy::primitives::{B256, U256};
use portcullis_alerting::{
    guardian::{AttackFate, Inclusion},
    notify::{Alert, Severity},
};

use super::{Desk, GuardEvent, PauseHand, PauseOrder, PauseShown};

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
    /// The judged transaction.
    pub(crate) attack: B256,
    /// Head on which it was judged.
    pub(crate) block: u64,
    /// What would leave without the pause, wei.
    pub(crate) at_stake_wei: U256,
    /// The pause.
    pub(crate) order: PauseOrder,
}

/// Fires the pause, waits until it is mined, and says what became of the attack.
pub(crate) async fn pursue(
    pursuit: Pursuit,
    hand: Arc<dyn PauseHand>,
    desk: Arc<Desk>,
    ask_every: Duration,
) {
    let Some(pause) = fire(&pursuit, hand.as_ref(), &desk).await else { return };
    let act = |kind, detail| desk.act(&pursuit.chain, pursuit.attack, kind, detail, Some(pause));
    let mined = match hand.follow(pause, pursuit.block.saturating_add(BLOCKS_ALLOWED)).await {
        Ok(mined) if mined.has_succeeded => mined,
        Ok(mined) => {
            let detail = format!("reverted in block {} at {}", mined.block, mined.index);
            act("pause_failed", detail.clone());
            desk.raise(alarm(&pursuit, &desk, &detail));
            return;
        }
        Err(error) => {
            act("pause_failed", error.to_string());
            desk.raise(alarm(&pursuit, &desk, &error.to_string()));
            return;
        }
    };
    act(
        "pause_mined",
        format!("block {} at {}, cost {} wei", mined.block, mined.index, mined.cost_wei),
    );
    let (kind, detail) = fate(&pursuit, hand.as_ref(), &mined, ask_every).await;
    act(kind, detail);
}

async fn fire(pursuit: &Pursuit, hand: &dyn PauseHand, desk: &Desk) -> Option<B256> {
    let order = &pursuit.order;
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
            let kind = if fired.tx_hash.is_some() { "pause_sent" } else { "pause_shown" };
            let detail = format!(
                "{} ({}): fee cap {} wei over {}, tip {} wei over {}",
                pursuit.protocol,
                order.target,
                fired.max_fee_per_gas_wei,
                order.attack_max_fee_per_gas_wei,
                fired.max_tip_wei,
                order.attack_max_tip_wei
            );
            desk.act(&pursuit.chain, pursuit.attack, kind, detail, fired.tx_hash);
            fired.tx_hash
        }
        Err(error) => {
            desk.act(&pursuit.chain, pursuit.attack, "pause_failed", error.to_string(), None);
            desk.raise(alarm(pursuit, desk, &error.to_string()));
            None
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

fn alarm(pursuit: &Pursuit, desk: &Desk, detail: &str) -> Alert {
    Alert {
        incident: format!("{}/{}/pause", pursuit.chain, pursuit.protocol),
        severity: Severity::Critical,
        title: format!("{}: the pause failed", pursuit.protocol),
        text: format!(
            "the pause of {} against {} failed: {detail}",
            pursuit.order.target, pursuit.attack
        ),
        chain: pursuit.chain.clone(),
        tx_hash: Some(pursuit.attack),
        contract: Some(pursuit.order.target),
        at_ms: desk.now_ms(),
    }
}
