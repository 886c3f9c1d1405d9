//! The counterfactual: would the pause, mined first, stop the attack?

use std::sync::Arc;

use alloy::primitives::{Address, U256};
use portcullis_alerting::record::Counterfactual;

use crate::{
    simulate::{
        CallOnly, Simulator,
        execution::{Execution, Status},
    },
    source::PendingTransaction,
};

/// Contracts of one protocol that are tried at most, one after the other.
const CANDIDATES_LIMIT: usize = 8;

/// What the rehearsal of a pause showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rehearsed {
    /// For the journal.
    pub(crate) counterfactual: Counterfactual,
    /// The contract whose pause stops the attack; none where no pause does.
    pub(crate) target: Option<Address>,
    /// Where none does: the contract whose pause leaves the attack least, where that is less than it takes without.
    pub(crate) dampener: Option<Address>,
}

/// What is left of an attack behind a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing of what it took.
    Nothing,
    /// Part of it, and how much ether, wei.
    Less(U256),
    /// All of it, or nobody can say.
    All,
}

/// Runs [pause, attack] for each candidate until a pause stops the attack.
///
/// `calls` gives the calls that pause a candidate; `left` judges what is left of the attack.
pub(crate) fn rehearse(
    simulator: &Simulator,
    candidates: &[Address],
    calls: impl Fn(Address) -> Vec<CallOnly>,
    attack: &PendingTransaction,
    predecessors: &[Arc<PendingTransaction>],
    left: impl Fn(&Execution) -> Left,
) -> Rehearsed {
    let mut best = Counterfactual {
        pause_succeeds: false,
        attack_stopped: false,
        detail: "no call is known that pauses what is touched".to_owned(),
    };
    let mut dampener: Option<(Address, U256)> = None;
    for candidate in candidates.iter().take(CANDIDATES_LIMIT) {
        let calls = calls(*candidate);
        if calls.is_empty() {
            continue;
        }
        let (tried, left) = try_out(simulator, *candidate, &calls, attack, predecessors, &left);
        if tried.pause_succeeds && tried.attack_stopped {
            return Rehearsed { counterfactual: tried, target: Some(*candidate), dampener: None };
        }
        let is_better = match (tried.pause_succeeds, left) {
            (true, Left::Less(wei)) => {
                let is_least = dampener.is_none_or(|(_, least)| wei < least);
                if is_least {
                    dampener = Some((*candidate, wei));
                }
                is_least
            }
            (succeeds, _) => succeeds && !best.pause_succeeds,
        };
        // What is told is the attempt that came furthest, the first of equals.
        if is_better || best.detail.starts_with("no call") {
            best = tried;
        }
    }
    let dampener = dampener.map(|(candidate, _)| candidate);
    Rehearsed { counterfactual: best, target: None, dampener }
}

fn try_out(
    simulator: &Simulator,
    candidate: Address,
    calls: &[CallOnly],
    attack: &PendingTransaction,
    predecessors: &[Arc<PendingTransaction>],
    left: impl Fn(&Execution) -> Left,
) -> (Counterfactual, Left) {
    let (pauses, after) = match simulator.simulate_calls(predecessors, calls, attack) {
        Ok(done) => done,
        Err(error) => {
            let detail = format!("the pause of {candidate} could not be simulated: {error}");
            let failed = Counterfactual { pause_succeeds: false, attack_stopped: false, detail };
            return (failed, Left::All);
        }
    };
    let failed = pauses.iter().find(|pause| pause.status != Status::Success);
    let left = match &after.status {
        Status::Success => left(&after),
        Status::Revert { .. } | Status::Halt { .. } => Left::Nothing,
    };
    let attack_stopped = left == Left::Nothing;
    let pause = match failed.map(|pause| &pause.status) {
        None => format!("the pause of {candidate} succeeds"),
        Some(status) => format!("the pause of {candidate} fails ({})", words(status)),
    };
    let attack = match (&after.status, left) {
        (Status::Success, Left::Nothing) => {
            "the attack then takes no ether, and less than without it".to_owned()
        }
        (Status::Success, Left::Less(wei)) => {
            format!("the attack then takes less, but still {wei} wei")
        }
        (Status::Success, Left::All) => "the attack still takes what it took without it".to_owned(),
        (status, _) => format!("the attack then fails ({})", words(status)),
    };
    let tried = Counterfactual {
        pause_succeeds: failed.is_none(),
        attack_stopped,
        detail: format!("{pause}; {attack}"),
    };
    (tried, left)
}

fn words(status: &Status) -> String {
    match status {
        Status::Success => "success".to_owned(),
        // The two errors by which contracts of the usual kind say that they are paused (OpenZeppelin 5).
        Status::Revert { reason } if reason.starts_with("0xd93c0665") => {
            "revert: EnforcedPause()".to_owned()
        }
        Status::Revert { reason } if reason.starts_with("0x8dfc202b") => {
            "revert: ExpectedPause()".to_owned()
        }
        Status::Revert { reason } => format!("revert: {reason}"),
        Status::Halt { reason } => format!("halt: {reason}"),
    }
}
