//! What rules ask beyond the facts of one transaction: windows over blocks, views before and after, who entered what.
//!
//! [`instances`] answers only what the rules could still fire on, once for each protected contract that is touched.

mod file;
mod memory;
mod probes;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::{Address, B256, Bytes};
use portcullis_rules::{
    RuleSet, Value,
    question::{Instance, Moment, Question, Reading, ReadingSource, Replies, Trail},
};

use crate::{
    simulate::{Around, LeftBehind, Plan, Simulator, execution::Execution},
    source::{BlockRecord, PendingTransaction},
    state::{AdvanceReport, StateError},
};

use super::{Observation, Protected, observe};
pub use file::{MemoryFile, MemoryFileError};
pub use memory::{Contribution, Mark, Memory};

/// Everything that answers.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Runs views.
    pub simulator: &'a Simulator,
    /// The protected set.
    pub protected: &'a Protected,
    /// The blocks before.
    pub memory: &'a Memory,
}

/// The judged transaction.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// As it was signed.
    pub tx: &'a PendingTransaction,
    /// What must be mined before it.
    pub predecessors: &'a [Arc<PendingTransaction>],
    /// What it does.
    pub execution: &'a Execution,
    /// The same as facts.
    pub observation: &'a Observation,
}

/// Moves the state to a block, and says what each of its transactions did to protected protocols; `each` sees those that
/// touch one, or create a contract. What was done is none where the state did not move exactly.
///
/// # Errors
/// State that the block needs could not be had.
pub fn advance(
    simulator: &Simulator,
    protected: &Protected,
    block: &BlockRecord,
    mut each: impl FnMut(&Execution, &Observation),
) -> Result<(AdvanceReport, Option<Vec<Contribution>>), StateError> {
    let mut done = Vec::new();
    let concerns = |address: &Address| protected.group(address).is_some();
    let report = simulator.advance(block, concerns, |tx, execution| {
        let observation = observe(&execution, protected);
        each(&execution, &observation);
        done.extend(Contribution::of(tx.hash, tx.sender, &observation, protected));
    })?;
    let is_whole = matches!(report, AdvanceReport::Exact { .. } | AdvanceReport::RolledBack { .. });
    Ok((report, is_whole.then_some(done)))
}

/// Answers what `rules` ask about each protected contract that the transaction touches, as far as it matters; empty where
/// they ask nothing at all. What cannot be had is unknown. `left` is the state that the transaction left, where it was kept.
pub fn instances(
    rules: &RuleSet,
    sources: Sources<'_>,
    judged: Judged<'_>,
    left: Option<&mut LeftBehind<'_>>,
) -> Vec<Instance> {
    if rules.questions().is_empty() || judged.observation.touched.is_empty() {
        return Vec::new();
    }
    let touched = &judged.observation.touched;
    let probes = probes::Probes::new(judged.execution, sources.protected);
    let trails: Vec<Option<Trail>> = if judged.execution.truncated {
        vec![None; touched.len()]
    } else {
        probes.trails(touched).into_iter().map(Some).collect()
    };
    let wanted: Vec<Vec<usize>> = touched
        .iter()
        .zip(&trails)
        .map(|(contract, trail)| {
            let facts = &judged.observation.facts;
            rules.wanted(facts, &contract.into_array(), trail.as_ref())
        })
        .collect();
    let read = readings(rules.questions(), sources.simulator, judged, left, &wanted);
    let reply = |contract: Address, place: usize| match &rules.questions()[place] {
        Question::Window(window) => {
            Some(sources.memory.answer(window, contract, sources.protected, judged))
        }
        Question::Reading(reading, moment) => {
            answer_reading(read.get(&(contract, reading)), reading, *moment)
        }
        // What is cut off could be what is asked for.
        _ if judged.execution.truncated => Some(Value::Unknown),
        question => Some(probes.answer(question, contract)),
    };
    let of_contract = |((contract, wanted), trail): ((&Address, &Vec<usize>), Option<Trail>)| {
        let replies = wanted.iter().map(|place| (*place, reply(*contract, *place)));
        Instance { contract: contract.into_array(), replies: Replies::new(replies), trail }
    };
    touched.iter().zip(&wanted).zip(trails).map(of_contract).collect()
}

type Readings<'q> = BTreeMap<(Address, &'q Reading), Option<Around>>;

/// Runs every view that is wanted, all in one go.
fn readings<'q>(
    questions: &'q [Question],
    simulator: &Simulator,
    judged: Judged<'_>,
    left: Option<&mut LeftBehind<'_>>,
    wanted: &[Vec<usize>],
) -> Readings<'q> {
    let mut asked: Vec<(Address, &Reading)> = Vec::new();
    for (contract, wanted) in judged.observation.touched.iter().zip(wanted) {
        for place in wanted {
            if let Some(Question::Reading(reading, _)) = questions.get(*place) {
                asked.push((*contract, reading));
            }
        }
    }
    asked.sort_unstable();
    asked.dedup();
    if asked.is_empty() {
        return Readings::new();
    }
    let plans: Vec<Plan> =
        asked.iter().map(|(contract, reading)| plan(*contract, reading)).collect();
    match simulator.read_around(judged.tx, judged.predecessors, judged.execution, left, &plans) {
        Ok(answers) => asked.into_iter().zip(answers.into_iter().map(Some)).collect(),
        Err(error) => {
            tracing::debug!(target: "watcher::facts", %error, "views not read");
            asked.into_iter().map(|key| (key, None)).collect()
        }
    }
}

fn plan(contract: Address, reading: &Reading) -> Plan {
    let of = reading.of.map_or(contract, Address::from);
    match &reading.source {
        ReadingSource::Slot(slot) => Plan::Slot { of, slot: *slot },
        ReadingSource::Calls(calls) => Plan::Views {
            of,
            calls: calls.iter().map(|call| Bytes::from(call.data(contract.into_array()))).collect(),
        },
    }
}

/// A view that the contract does not have before the transaction is no view of it; one that fails afterwards is
/// unknown.
fn answer_reading(
    found: Option<&Option<Around>>,
    reading: &Reading,
    moment: Moment,
) -> Option<Value> {
    let Some(Some(around)) = found else { return Some(Value::Unknown) };
    let decode = |word: &B256| reading.decode(&word.0);
    let before = around.before.as_ref()?;
    Some(match moment {
        Moment::Before => decode(before),
        Moment::After => around.after.as_ref().map_or(Value::Unknown, decode),
    })
}
