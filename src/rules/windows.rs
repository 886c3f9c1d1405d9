//! Windows over the rows of a journal, as far as what was stored tells them.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};
use portcullis_alerting::record::{Evidence, VerdictRow};
use portcullis_rules::question::{Fold, Instance, Per, Question, Replies, Window};
use portcullis_rules::{FactTable, RuleSet, Value};
use portcullis_watcher::facts::dictionary;
use serde_json::Value as Json;

/// Contracts of one transaction that rules are asked about.
const MAX_CONTRACTS: usize = 64;

/// The stored transactions of a journal, in the order in which they were seen.
///
/// A row says on which head a transaction was judged, and not whether it was mined; all that were judged count.
#[derive(Debug, Default)]
pub(super) struct Windows {
    done: Vec<Done>,
    /// Height of the first row of each chain.
    first: BTreeMap<u64, u64>,
}

/// What one stored transaction did.
#[derive(Debug)]
struct Done {
    chain_id: u64,
    head: u64,
    sender: Address,
    /// Sender, the contract called first unless it is protected, and contracts that were created; as the guard has it.
    actor: BTreeSet<Address>,
    protocols: BTreeSet<String>,
    facts: FactTable,
}

impl Windows {
    /// Notes a row without evidence: it touched nothing that is protected.
    pub(super) fn pass(&mut self, row: &VerdictRow) {
        let first = self.first.entry(row.chain_id).or_insert(row.block);
        *first = (*first).min(row.block);
    }

    /// Answers the windows of `rules` for a row, which is remembered; what else rules ask is unknown.
    pub(super) fn take(
        &mut self,
        rules: &RuleSet,
        row: &VerdictRow,
        evidence: &Evidence,
        facts: &FactTable,
    ) -> Vec<Instance> {
        self.pass(row);
        let contracts = contracts(evidence);
        let protocols: BTreeSet<String> = contracts.values().cloned().collect();
        if protocols.is_empty() {
            return Vec::new();
        }
        let mut actor = BTreeSet::from([row.from]);
        actor.extend(row.to.filter(|to| !contracts.contains_key(to)));
        actor.extend(created(evidence).filter(|address| !contracts.contains_key(address)));
        let (chain_id, head, sender) = (row.chain_id, row.block, row.from);
        self.done.push(Done { chain_id, head, sender, actor, protocols, facts: facts.clone() });
        if rules.questions().is_empty() {
            return Vec::new();
        }
        let answer = |protocol: &str, question: &Question| match question {
            Question::Window(window) => self.answer(window, protocol),
            _ => Value::Unknown,
        };
        let instance = |(contract, protocol): (&Address, &String)| Instance {
            contract: contract.into_array(),
            replies: Replies::new(
                rules
                    .questions()
                    .iter()
                    .map(|question| Some(answer(protocol, question)))
                    .enumerate(),
            ),
            // A journal keeps no storage.
            trail: None,
        };
        contracts.iter().take(MAX_CONTRACTS).map(instance).collect()
    }

    /// What a window comes to for the transaction that was taken last.
    fn answer(&self, window: &Window, protocol: &str) -> Value {
        let Some(own) = self.done.last() else { return Value::Unknown };
        let Some(position) = dictionary().position(window.fact) else { return Value::Unknown };
        let from = (own.head + 1).saturating_sub(window.blocks);
        let is_whole = self.first.get(&own.chain_id).is_some_and(|first| *first <= from);
        let (mut amount, mut is_floor) = (U256::ZERO, !is_whole);
        let counts = |done: &&Done| {
            done.chain_id == own.chain_id
                && (from..=own.head).contains(&done.head)
                && done.protocols.contains(protocol)
                && match window.per {
                    Per::Protocol => true,
                    Per::Sender => done.sender == own.sender,
                    Per::Actor => !done.actor.is_disjoint(&own.actor),
                }
        };
        for done in self.done.iter().filter(counts) {
            let value = match done.facts.value(position) {
                Value::Bool(value) => U256::from(u8::from(*value)),
                Value::Uint(value) => *value,
                Value::Unknown | Value::AtLeast(_) => {
                    is_floor = true;
                    continue;
                }
                Value::Text(_) | Value::Address(_) => continue,
            };
            amount = match window.how {
                Fold::Sum => amount.saturating_add(value),
                Fold::Count => amount.saturating_add(U256::from(u8::from(!value.is_zero()))),
                Fold::Max => amount.max(value),
            };
        }
        if is_floor { Value::AtLeast(amount) } else { Value::Uint(amount) }
    }
}

/// The protected contracts of a stored call tree, each with the name of its protocol.
fn contracts(evidence: &Evidence) -> BTreeMap<Address, String> {
    let address = |frame: &Json| frame["acts_on"].as_str()?.parse().ok();
    let known = |frame: &Json| Some((address(frame)?, frame["protected"].as_str()?.to_owned()));
    frames(evidence).filter_map(known).collect()
}

fn created(evidence: &Evidence) -> impl Iterator<Item = Address> + '_ {
    frames(evidence).filter_map(|frame| {
        let is_creation = frame["kind"].as_str().is_some_and(|kind| kind.starts_with("create"));
        is_creation.then(|| frame["acts_on"].as_str()?.parse().ok())?
    })
}

fn frames(evidence: &Evidence) -> impl Iterator<Item = &Json> {
    evidence.call_tree.as_array().into_iter().flatten()
}
