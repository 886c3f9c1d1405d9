//! The execution as named values that rules read, and as the vector that models read.
//!
//! One look over an [`Execution`] finds the protected accounts in it. Where there is none, nearly all is known to
//! be zero and the passes end at once; otherwise each pass reads what it needs. Every fact stands in a table beside
//! the pass that computes it, so [`dictionary`] cannot name what no pass fills.
//!
//! Facts of a truncated execution are unknown unless they do not depend on what was cut off.
#![warn(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::float_cmp)]

pub mod asked;
mod contract;
mod estate;
mod features;
mod identity;
mod ledger;
mod loans;
mod outcome;
mod pools;
mod privilege;
mod protected;
mod reentry;
mod relevance;
mod shape;
mod signs;
#[cfg(test)]
pub(crate) mod staging;
mod surroundings;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_features;
mod value;
mod view;

use std::{collections::BTreeMap, sync::LazyLock};

use alloy::primitives::{Address, U256};
use portcullis_models::schema::Vector;
use portcullis_rules::{Dictionary, FactSpec, FactTable, FactType, Subject, Value};

use crate::simulate::execution::Execution;

pub use contract::{
    Creation, Deployment, Targets, contract_dictionary, contract_vector, observe_contract,
};
pub use protected::Protected;
use {
    identity::Identity, outcome::Outcome, privilege::Privilege, reentry::Reentry,
    relevance::Relevance, shape::Shape, surroundings::Surroundings, value::Flow, view::View,
};

/// What rules and models are asked with, and whom it concerns.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Facts by position in [`dictionary`].
    pub facts: FactTable,
    /// Features of the `transaction` schema.
    pub vector: Vector,
    /// Protected accounts that occur in the execution, sorted.
    pub touched: Vec<Address>,
    /// Protocols they belong to, by their place in [`Protected`], sorted.
    pub touched_groups: Vec<usize>,
    /// Sender, what it created here, and the root target unless that is protected; sorted. Empty where nothing
    /// protected is touched.
    pub cluster: Vec<Address>,
    /// Net ether that left protected protocols, wei; what a pause would have kept.
    pub outflow_wei: U256,
    /// Everything that protected protocols lost, for comparison with another execution.
    pub losses: Losses,
    /// The execution was cut short, so what it does not show is unknown.
    pub truncated: bool,
}

/// What protected protocols lost in one execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    /// Net ether, wei.
    pub ether_wei: U256,
    /// Net amounts by token, in its base units, as its logs tell it.
    pub tokens: BTreeMap<Address, U256>,
    /// Proxy slots changed and contracts destroyed.
    pub rights: usize,
}

impl Losses {
    /// Whether no ether is lost here and something that `other` lost is lost less or not at all.
    ///
    /// Not "nothing at all is lost": an attacker who foresees the pause could let a worthless token of its own leave
    /// a protected account in any case, and so make every pause look useless.
    pub fn spares_what_was_lost_in(&self, other: &Self) -> bool {
        let lost = |losses: &Self, token| losses.tokens.get(token).copied().unwrap_or_default();
        let is_spared = self.ether_wei < other.ether_wei
            || self.rights < other.rights
            || other.tokens.keys().any(|token| lost(self, token) < lost(other, token));
        self.ether_wei.is_zero() && is_spared
    }
}

/// The facts of a transaction: names, types, units and what they measure.
pub fn dictionary() -> Dictionary {
    shared().clone()
}

fn shared() -> &'static Dictionary {
    static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
        let specs: Vec<FactSpec> = specs(relevance::FACTS)
            .chain(specs(reentry::FACTS))
            .chain(specs(value::FACTS))
            .chain(specs(privilege::FACTS))
            .chain(specs(shape::FACTS))
            .chain(specs(surroundings::FACTS))
            .chain(specs(identity::FACTS))
            .chain(specs(outcome::FACTS))
            .collect();
        Dictionary::new(Subject::Transaction, [specs.as_slice()])
    });
    &DICTIONARY
}

/// Turns an execution into facts and features.
pub fn observe(execution: &Execution, protected: &Protected) -> Observation {
    let view = View::new(execution, protected);
    let (relevance, reentry, flow) = (Relevance::of(&view), Reentry::of(&view), Flow::of(&view));
    let (privilege, shape) = (Privilege::of(&view), Shape::of(&view));
    let mut writer =
        Writer { table: shared().empty_table(), position: 0, truncated: execution.truncated };
    writer.fill(relevance::FACTS, &relevance);
    writer.fill(reentry::FACTS, &reentry);
    writer.fill(value::FACTS, &flow);
    writer.fill(privilege::FACTS, &privilege);
    writer.fill(shape::FACTS, &shape);
    writer.fill(surroundings::FACTS, &Surroundings::of(&view));
    writer.fill(identity::FACTS, &Identity::of(&view));
    let outcome = Outcome::of(&view);
    writer.fill(outcome::FACTS, &outcome);
    let facts = writer.table;
    let losses = Losses {
        ether_wei: flow.outflow_wei,
        tokens: flow.lost_tokens.clone(),
        rights: privilege.proxy_writes.saturating_add(privilege.destroyed),
    };
    let vector = features::vector(
        &view,
        &features::Found { relevance, reentry, flow: &flow, privilege, shape, outcome },
    );
    let mut touched_groups: Vec<usize> =
        view.touched.iter().filter_map(|address| protected.group(address)).collect();
    touched_groups.sort_unstable();
    touched_groups.dedup();
    Observation {
        facts,
        vector,
        touched_groups,
        touched: view.touched,
        cluster: view.cluster,
        outflow_wei: flow.outflow_wei,
        losses,
        truncated: execution.truncated,
    }
}

/// One fact, and how it is read from what its pass found.
#[derive(Debug)]
struct Fact<T> {
    spec: FactSpec,
    /// What was cut off a truncated execution could change it.
    is_partial: bool,
    value: fn(&T) -> Value,
}

impl<T> Fact<T> {
    /// A fact that holds even for a truncated execution.
    const fn new(
        name: &'static str,
        ty: FactType,
        unit: &'static str,
        doc: &'static str,
        value: fn(&T) -> Value,
    ) -> Self {
        let spec =
            FactSpec { name, subject: Subject::Transaction, ty, unit, may_be_unknown: false, doc };
        Self { spec, is_partial: false, value }
    }

    /// A fact that is unknown for a truncated execution, and wherever its pass says so.
    const fn partial(
        name: &'static str,
        ty: FactType,
        unit: &'static str,
        doc: &'static str,
        value: fn(&T) -> Value,
    ) -> Self {
        let spec =
            FactSpec { name, subject: Subject::Transaction, ty, unit, may_be_unknown: true, doc };
        Self { spec, is_partial: true, value }
    }

    /// What was cut off cannot take this back; the pass itself says when it is unknown.
    const fn despite_truncation(self) -> Self {
        Self { is_partial: false, ..self }
    }
}

fn specs<T>(facts: &[Fact<T>]) -> impl Iterator<Item = FactSpec> + '_ {
    facts.iter().map(|fact| fact.spec)
}

/// Fills a table pass by pass, in the order in which [`dictionary`] lists them.
#[derive(Debug)]
struct Writer {
    table: FactTable,
    position: usize,
    truncated: bool,
}

impl Writer {
    fn fill<T>(&mut self, facts: &[Fact<T>], found: &T) {
        for fact in facts {
            if !(fact.is_partial && self.truncated) {
                self.table.set(self.position, (fact.value)(found));
            }
            self.position = self.position.saturating_add(1);
        }
    }
}

fn bool(value: bool) -> Value {
    Value::Bool(value)
}

fn uint(value: U256) -> Value {
    Value::Uint(value)
}

fn count(value: usize) -> Value {
    Value::Uint(U256::from(value))
}

fn maybe(value: Option<U256>) -> Value {
    value.map_or(Value::Unknown, Value::Uint)
}
