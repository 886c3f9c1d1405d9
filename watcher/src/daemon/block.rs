//! What a new block asks for: what nobody announced is judged, and the state moves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::primitives::B256;

use super::{
    chain::{Chain, Job},
    gate::look_for_strangers,
    resume::{MadeUp, Resume},
    run::Worker,
};
use crate::{
    act::GuardEvent,
    source::{BlockRecord, Offered},
    state::AdvanceReport,
    verdict::Unjudged,
};

/// Goes back to the head that a block stands on, before anything of it is judged; says and journals so. Blocks.
pub(super) fn go_back(chain: &Chain, block: &BlockRecord) -> usize {
    let gone = chain.simulator.state().head().map(|head| (head.number, head.hash));
    let blocks = chain.simulator.state().stand_below(block);
    if let Some((number, hash)) = gone.filter(|_| blocks > 0) {
        let words = format!(
            "block {} ({}) replaces what stood up to block {number} ({hash}): {blocks} blocks taken back; verdicts \
             given on them stand on heads that are gone",
            block.number, block.hash
        );
        chain.desk.act(&chain.name, B256::ZERO, "reorg", words, None);
    }
    blocks
}

/// Moves the state to a block, after `went_back` blocks were taken back for it. Blocks.
pub(super) fn advance(chain: &Chain, block: &BlockRecord, went_back: usize) {
    let began = Instant::now();
    let advanced = chain.take_block(block);
    chain.metrics.advance.note(began.elapsed());
    look_for_strangers(chain, block);
    let state = match advanced {
        Ok(AdvanceReport::Exact { .. }) if went_back > 0 => format!("rolled back {went_back}"),
        Ok(AdvanceReport::Exact { .. }) => "exact".to_owned(),
        Ok(AdvanceReport::RolledBack { blocks, .. }) => format!("rolled back {blocks}"),
        Ok(AdvanceReport::Known) => "known".to_owned(),
        Ok(AdvanceReport::Emptied(because)) => format!("emptied: {because:?}"),
        Err(error) => format!("emptied: {error}"),
    };
    // A head is told after the verdicts that were given below it.
    chain.settle_papers();
    chain.desk.tell(GuardEvent::Head {
        chain: chain.name.clone(),
        number: block.number,
        transactions: block.transactions.len(),
        state,
    });
}

/// What nobody announced before it was mined is judged on the head below, as if it were still pending. Blocks.
///
/// A head does not wait for ever: what was not begun within the time given is dropped and counted, except while a
/// gap is made up for.
pub(super) fn judge_block(
    worker: &Worker,
    block: &Arc<BlockRecord>,
    resume: Option<&Resume>,
    within: Duration,
) -> MadeUp {
    let chain = &worker.chain;
    let mut made_up = MadeUp::default();
    if chain.simulator.state().head().is_none() {
        return made_up;
    }
    let began = Instant::now();
    for (place, tx) in block.transactions.iter().enumerate() {
        if resume.is_some_and(|resume| resume.knows(&tx.hash)) {
            made_up.known += 1;
        } else if chain.pool().insert(Arc::clone(tx)) != Offered::Known {
            let job = Job::taken(Arc::clone(tx), chain.desk.now_ms()).mined_in(block, place);
            if resume.is_none() && began.elapsed() > within {
                let reason =
                    "too much was mined unseen to judge it before the next head".to_owned();
                chain.settle_unjudged(&job, Unjudged::NotJudged { reason });
                chain.desk.drop_one(&chain.name, "mined");
                continue;
            }
            made_up.judged += 1;
            worker.work(job);
        }
    }
    made_up
}
