//! A story played on a chain in memory: what a node would have told of it, and how each step ended.

use std::sync::Arc;

use alloy::primitives::B256;
use portcullis_watcher::source::{BlockRecord, PendingTransaction, Refusal, decode_raw};
use portcullis_watcher::state::{
    AccountState, ChainRules, ForkedState, Hardfork, HardforkSchedule, Outcome, StateError,
};

use super::{Role, Story};

/// Milliseconds between two pending transactions of a played stream.
const STEP_MS: u64 = 240;
/// Pending transactions that wait before a block is mined.
const BLOCK_STEPS: usize = 8;

/// What a node would have told.
#[derive(Debug, Clone)]
pub enum Told {
    /// A transaction waits; its index in the story's steps.
    Pending(usize, Arc<PendingTransaction>),
    /// A block was mined.
    Head(Arc<BlockRecord>),
}

/// A played story.
#[derive(Debug)]
pub struct Played {
    /// The chain after the last block.
    pub state: Arc<ForkedState>,
    /// Everything told, in order.
    pub told: Vec<Told>,
    /// How each step ended, by transaction hash, in order of mining.
    pub outcomes: Vec<(B256, Outcome)>,
}

/// Why a story could not be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// A step may not run on the chain.
    #[error("{0}")]
    State(#[from] StateError),
    /// A step's bytes are not a transaction.
    #[error("step {step}: {reason}")]
    Step {
        /// Index in the story's steps.
        step: usize,
        /// What the decoder met.
        reason: Refusal,
    },
}

/// The rules that stories are played under: two seconds a block.
pub fn rules(chain_id: u64) -> ChainRules {
    ChainRules { chain_id, hardforks: HardforkSchedule::always(Hardfork::Prague), block_time_s: 2 }
}

/// What the story's accounts hold at the start.
pub fn genesis(story: &Story) -> impl Iterator<Item = (alloy::primitives::Address, AccountState)> {
    story.funds.iter().map(|(address, balance)| {
        (*address, AccountState { balance: *balance, ..Default::default() })
    })
}

/// Plays `story` on a fresh chain.
///
/// Setup is mined in one block without having been pending; then every step waits before it is mined.
///
/// # Errors
/// See [`PlayError`]; a step that reverts is none.
pub fn play(story: &Story, chain_id: u64) -> Result<Played, PlayError> {
    let state = ForkedState::in_memory(rules(chain_id), genesis(story))?;
    let mut now_ms = state.head().map_or(0, |head| head.timestamp_s * 1_000);
    let mut played = Played { state, told: Vec::new(), outcomes: Vec::new() };
    let mut waiting = Vec::new();
    for (step, told) in story.steps.iter().enumerate() {
        let mut tx = decode_raw(&told.raw).map_err(|reason| PlayError::Step { step, reason })?;
        now_ms += STEP_MS;
        tx.seen_at_ms = now_ms;
        let tx = Arc::new(tx);
        if told.role == Role::Setup {
            waiting.push(tx);
            continue;
        }
        let is_first = story.steps[..step].last().is_some_and(|before| before.role == Role::Setup);
        if is_first || told.wait_blocks > 0 || waiting.len() >= BLOCK_STEPS {
            played.mine(&mut waiting, now_ms)?;
        }
        played.told.push(Told::Pending(step, Arc::clone(&tx)));
        waiting.push(tx);
    }
    played.mine(&mut waiting, now_ms)?;
    Ok(played)
}

impl Played {
    fn mine(
        &mut self,
        waiting: &mut Vec<Arc<PendingTransaction>>,
        now_ms: u64,
    ) -> Result<(), PlayError> {
        let (mut block, outcomes) = self.state.mine(waiting)?;
        block.seen_at_ms = now_ms;
        self.outcomes.extend(waiting.drain(..).map(|tx| tx.hash).zip(outcomes));
        self.told.push(Told::Head(Arc::new(block)));
        Ok(())
    }

    /// How the transaction ended.
    pub fn outcome(&self, hash: B256) -> Option<&Outcome> {
        self.outcomes.iter().find(|(known, _)| *known == hash).map(|(_, outcome)| outcome)
    }
}
