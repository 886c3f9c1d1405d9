//! Decided pauses: carried out, and booked in the ledger by how they ended.

use std::{sync::Arc, time::Duration};

use super::chain::Chain;
use crate::{
    act::{Pursuit, Settled, pursue},
    policy::Ticket,
};

pub(super) async fn carry_out(chain: Arc<Chain>, mut pursuit: Pursuit, ask_every: Duration) {
    if let Some(hand) = chain.hand.clone() {
        let ticket = pursuit.ticket.take();
        let settle = |settled| chain.settle(ticket, settled);
        pursue(pursuit, hand, Arc::clone(&chain.desk), ask_every, settle).await;
    }
}

impl Chain {
    /// Books a pause that was carried out, or takes it back.
    fn settle(&self, ticket: Option<Ticket>, settled: Settled) {
        let Some(ticket) = ticket else { return };
        match settled {
            Settled::Counts => self.ledger().settle(ticket),
            Settled::TakenBack => self.ledger().take_back(ticket),
        }
    }
}
