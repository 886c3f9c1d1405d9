//! The pipeline on the caller's thread, without tasks or journal: for measuring it.

use std::sync::{Arc, Mutex};

use crate::{
    act::{Desk, DryHand, PauseHand},
    facts::Protected,
    policy::Ledger,
    settings::GuardSettings,
    simulate::Simulator,
    source::{BlockRecord, PendingTransaction, recording::Recording},
    state::{ForkedState, StateError},
    verdict::Judge,
};

use super::{
    GuardError, Parts,
    build::limits,
    chain::{Chain, Done, Job, Shared},
    replay::configured,
};

/// The pipeline of a recording's chain. Any number of threads may judge at once.
#[derive(Debug)]
pub struct Trial {
    chain: Chain,
    judge: Judge,
}

impl Trial {
    /// Stands on the head that `recording` begins with. What is told goes nowhere; pauses are rehearsed with `hand`
    /// and not carried out.
    ///
    /// # Errors
    /// As [`super::replay`].
    pub fn new(
        settings: &GuardSettings,
        parts: &Parts,
        recording: &Recording,
        hand: Option<DryHand>,
    ) -> Result<Self, GuardError> {
        let chain = configured(settings, recording)?;
        let state = ForkedState::from_recording(recording)?;
        state.advance(&recording.first_block())?;
        let desk = Desk::new(None, Box::new(drop), None, Arc::clone(&parts.clock));
        let judge =
            Judge::new(Arc::clone(&parts.rules), parts.model.clone()).with(parts.beside.clone());
        let ledger = Arc::new(Mutex::new(Ledger::new(limits(settings, &judge))));
        let hand = hand.map(|hand| Arc::new(hand) as Arc<dyn PauseHand>);
        let chain = Chain::new(
            chain,
            settings,
            state,
            hand,
            Shared {
                judge: judge.clone(),
                ledger,
                desk: Arc::new(desk),
                metrics: Arc::default(),
                consent: None,
            },
        )
        .with_clerk()
        .map_err(|error| GuardError::Crashed(format!("no thread for the clerk: {error}")))?;
        Ok(Self { chain, judge })
    }

    /// Takes a mined block over.
    ///
    /// # Errors
    /// State that the block needs is not in the recording.
    pub fn advance(&self, block: &BlockRecord) -> Result<(), StateError> {
        self.chain.take_block(block)?;
        self.chain.pool().mined(block);
        Ok(())
    }

    /// Takes a pending transaction into the pool.
    pub fn offer(&self, tx: Arc<PendingTransaction>) {
        self.chain.pool().insert(tx);
    }

    /// What `tx` may depend on among those that were offered.
    ///
    /// # Errors
    /// The sender's nonce is not in the recording.
    pub fn predecessors(
        &self,
        tx: &PendingTransaction,
    ) -> Result<Vec<Arc<PendingTransaction>>, StateError> {
        let nonce = self.simulator().state().view()?.nonce(tx.sender)?;
        Ok(self.chain.pool().predecessors(tx, nonce))
    }

    /// Judges, from the simulation to the decision and its handing over to the clerk, who writes it down on a thread of
    /// its own; false where `tx` cannot be mined yet.
    pub fn judge(&self, tx: Arc<PendingTransaction>) -> bool {
        matches!(self.chain.work(Job::replayed(tx)), Done::Settled(_))
    }

    /// Waits until everything judged so far is written down.
    pub fn settle(&self) {
        self.chain.settle_papers();
    }

    /// The simulator below.
    pub fn simulator(&self) -> &Simulator {
        &self.chain.simulator
    }

    /// The protected contracts.
    pub fn protected(&self) -> &Protected {
        &self.chain.protected
    }

    /// Rules and model.
    pub fn asks(&self) -> &Judge {
        &self.judge
    }
}
