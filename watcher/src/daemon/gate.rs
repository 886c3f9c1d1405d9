//! Decided pauses: carried out, and booked in the ledger by how they ended.

use std::{sync::Arc, time::Duration};

use alloy::primitives::Address;

use super::chain::Chain;
use crate::{
    act::{Pursuit, Settled, pursue},
    policy::{Eased, Ticket},
};

pub(super) async fn carry_out(chain: Arc<Chain>, mut pursuit: Pursuit, ask_every: Duration) {
    if let Some(hand) = chain.hand.clone() {
        let ticket = pursuit.ticket.take();
        let settle = |settled| chain.settle(ticket, settled);
        pursue(pursuit, hand, Arc::clone(&chain.desk), ask_every, settle).await;
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

    /// Books a pause that was carried out, or takes it back.
    fn settle(&self, ticket: Option<Ticket>, settled: Settled) {
        let Some(ticket) = ticket else { return };
        match settled {
            Settled::Counts => self.ledger().settle(ticket),
            Settled::TakenBack => self.ledger().take_back(ticket),
        }
    }
}
