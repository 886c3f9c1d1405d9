//! The counterfactual: would the pause, mined first, stop the attack?

use std::sync::Arc;

use alloy::primitives::Address;
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
}

/// Runs [pause, attack] for each candidate until a pause stops the attack.
///
/// `calls` gives the calls that pause a candidate; `is_harmless` judges what is left of the attack.
pub(crate) fn rehearse(
    simulator: &Simulator,
    candidates: &[Address],
    calls: impl Fn(Address) -> Vec<CallOnly>,
    attack: &PendingTransaction,
    predecessors: &[Arc<PendingTransaction>],
    is_harmless: impl Fn(&Execution) -> bool,
) -> Rehearsed {
    let mut best = Counterfactual {
        pause_succeeds: false,
        attack_stopped: false,
        detail: "no call is known that pauses what is touched".to_owned(),
    };
    for candidate in candidates.iter().take(CANDIDATES_LIMIT) {
        let calls = calls(*candidate);
        if calls.is_empty() {
            continue;
        }
        let tried = try_out(simulator, *candidate, &calls, attack, predecessors, &is_harmless);
        if tried.pause_succeeds && tried.attack_stopped {
            return Rehearsed { counterfactual: tried, target: Some(*candidate) };
        }
        // What is told is the attempt that came furthest, the first of equals.
        if (tried.pause_succeeds && !best.pause_succeeds) || best.detail.starts_with("no call") {
            best = tried;
        }
    }
    Rehearsed { counterfactual: best, target: None }
}

fn try_out(
    simulator: &Simulator,
    candidate: Address,
    calls: &[CallOnly],
    attack: &PendingTransaction,
    predecessors: &[Arc<PendingTransaction>],
    is_harmless: impl Fn(&Execution) -> bool,
) -> Counterfactual {
    let (pauses, after) = match simulator.simulate_calls(predecessors, calls, attack) {
        Ok(done) => done,
        Err(error) => {
            let detail = format!("the pause of {candidate} could not be simulated: {error}");
            return Counterfactual { pause_succeeds: false, attack_stopped: false, detail };
        }
    };
    let failed = pauses.iter().find(|pause| pause.status != Status::Success);
    let attack_stopped = match &after.status {
        Status::Success => is_harmless(&after),
        Status::Revert { .. } | Status::Halt { .. } => true,
    };
    let pause = match failed.map(|pause| &pause.status) {
        None => format!("the pause of {candidate} succeeds"),
        Some(status) => format!("the pause of {candidate} fails ({})", words(status)),
    };
    let attack = match (&after.status, attack_stopped) {
        (Status::Success, true) => {
            "the attack then takes no ether, and less than without it".to_owned()
        }
        (Status::Success, false) => "the attack still takes what it took without it".to_owned(),
        (status, _) => format!("the attack then fails ({})", words(status)),
    };
    Counterfactual {
        pause_succeeds: failed.is_none(),
        attack_stopped,
        detail: format!("{pause}; {attack}"),
    }
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
