//! State that every run leaves as it found it: a count of free places that is taken from and given back to, whose
//! first value comes from where the contract is made.
//!
//! What such state holds is proved for all entry points together: from each value that it can have when one is
//! entered, at rest or in the middle of another, the run ends with that value or not at all.

use std::collections::{BTreeMap, BTreeSet};

use ruint::aliases::U256;

use super::callee::hands_over_control;
use super::constants::{Constants, Known, Storage};
use super::entry::{AbsolutePlace, AbsoluteRoot, Entry, StateKey};
use super::{EntryPoint, Facts};
use crate::cfg::*;
use crate::hir::{ContractId, FunctionId, VariableId};
use crate::syntax::Span;

/// Calls that cannot be reached again while they run, and what storage then holds.
pub(super) type RestingLocks = BTreeMap<(ContractId, FunctionId, Span), Storage>;

/// State with more values than this is no lock.
const MAX_VALUES: usize = 4;

impl Facts<'_> {
    /// The calls that state of this kind locks.
    pub(super) fn resting_locks(&self) -> &RestingLocks {
        self.resting_locks.get_or_init(|| {
            let mut candidates: BTreeSet<(ContractId, VariableId)> = BTreeSet::new();
            for summary in self.summaries() {
                let ids = summary.given_back.iter().map(|id| (summary.contract, *id));
                candidates.extend(ids);
            }
            let mut locks = RestingLocks::new();
            for (contract, variable) in candidates {
                self.locked_by(contract, variable, &mut locks);
            }
            locks
        })
    }

    fn locked_by(&self, contract: ContractId, variable: VariableId, locks: &mut RestingLocks) {
        let place = AbsolutePlace { root: AbsoluteRoot::Variable(variable), path: Vec::new() };
        let key = StateKey::Variable(variable, None);
        let writers: Vec<_> = self
            .summaries()
            .iter()
            .filter(|summary| summary.contract == contract)
            .filter(|summary| summary.writes.iter().any(|write| write.variable == key))
            .filter_map(|summary| {
                let point = EntryPoint { contract, function: summary.function };
                Some((summary, self.view(point)?))
            })
            .collect();
        if writers.iter().any(|(summary, _)| summary.is_partial) {
            return;
        }
        let Some(first) = self.made_with(contract, &place) else { return };
        let held = |known: &Known| Storage::from([(place.clone(), known.clone())]);
        let mut values = vec![first.clone()];
        let mut at = 0;
        let mut calls = Vec::new();
        while let Some(value) = values.get(at).cloned() {
            for (summary, view) in &writers {
                let entry = Entry::new(self.program, view);
                let mut run = Constants::run(&entry, held(&value));
                for end in view.body.graph.node_indices() {
                    let is_end = end == view.exit || matches!(view.body.graph[end].end, End::Stop);
                    if is_end
                        && run.reaches(end)
                        && run.storage_before(end, usize::MAX).get(&place) != Some(&value)
                    {
                        return;
                    }
                }
                for (call_at, statement) in entry.statements() {
                    let StatementKind::Call(call) = &statement.kind else { continue };
                    if !hands_over_control(call) || !run.reaches_statement(call_at) {
                        continue;
                    }
                    let during = run.storage_before(call_at.block, call_at.index);
                    let Some(during) = during.get(&place).cloned() else { return };
                    if at == 0 {
                        let span = super::summary::site(self.program, view, statement).span;
                        let is_kept_out =
                            !Constants::run(&entry, held(&during)).reaches_statement(call_at);
                        calls.push((summary.function, span, during.clone(), is_kept_out));
                    }
                    if !values.contains(&during) {
                        values.push(during);
                    }
                }
            }
            at += 1;
            if values.len() > MAX_VALUES {
                return;
            }
        }
        for (function, span, during, is_kept_out) in calls {
            if is_kept_out {
                locks.insert((contract, function, span), held(&during));
            }
        }
    }

    /// What a place holds once the contract is made, where that is known.
    fn made_with(&self, contract: ContractId, place: &AbsolutePlace) -> Option<Known> {
        let zero = Known::Number(U256::ZERO);
        let Some(view) = self.deployment(contract) else { return self.declared_with(place) };
        let entry = Entry::new(self.program, &view);
        let mut run = Constants::run(&entry, Storage::from([(place.clone(), zero)]));
        run.storage_before(view.exit, usize::MAX).get(place).cloned()
    }

    fn declared_with(&self, place: &AbsolutePlace) -> Option<Known> {
        let AbsoluteRoot::Variable(id) = place.root else { return None };
        match &self.program.variable(id).init {
            None => Some(Known::Number(U256::ZERO)),
            Some(init) => super::constants::literal(init).map(Known::Number),
        }
    }
}

/// Variables that the view takes from and gives back to around a call.
pub(super) fn given_back(entry: &Entry<'_>) -> Vec<VariableId> {
    let has_call = || {
        entry.statements().any(|(_, statement)| {
            matches!(&statement.kind, StatementKind::Call(call) if hands_over_control(call))
        })
    };
    if entry.turned.is_empty() || !has_call() {
        return Vec::new();
    }
    let stores = |place: &AbsolutePlace| {
        entry
            .statements()
            .filter(|(at, statement)| {
                matches!(statement.kind, StatementKind::Store { .. })
                    && matches!(entry.accessed(*at), [written] if written == place)
            })
            .count()
    };
    entry
        .turned
        .iter()
        .filter(|place| place.path.is_empty() && stores(place) > 1)
        .filter_map(|place| match place.root {
            AbsoluteRoot::Variable(id) => Some(id),
            AbsoluteRoot::Slot(..) => None,
        })
        .collect()
}
