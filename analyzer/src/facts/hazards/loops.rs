//! What a loop does again in every round, and how many rounds there may be.

use std::collections::BTreeSet;

use petgraph::graph::NodeIndex;
use ruint::aliases::U256;

use super::{Candidate, HazardKind, Need};
use crate::cfg::*;
use crate::facts::constants::{Known, constant_value};
use crate::facts::entry::{AbsoluteKey, AbsolutePlace, AbsoluteRoot, At, StateKey};
use crate::facts::origin::Origin;
use crate::facts::work::Work;
use crate::hir::{ArrayLength, Type};
use crate::syntax::Span;

/// Lists of this length can be gone through, and emptied, in one transaction.
const MAX_LENGTH: U256 = U256::from_limbs([1024, 0, 0, 0]);

impl Work<'_, '_> {
    pub(super) fn loop_costs(&mut self, out: &mut Vec<Candidate>) {
        self.rounds(out);
        self.cleared_lists(out);
        self.work_of_rounds(out);
    }

    /// Loops that go on until the end of a list in storage.
    fn rounds(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        for block in graph.node_indices() {
            let End::Branch { condition: Operand::Local(id), .. } = &graph[block].end else {
                continue;
            };
            if !self.in_loop.contains(block.index()) || !self.leaves_loop(block) {
                continue;
            }
            let Some(at) = entry.definitions[id.index()].first().copied() else { continue };
            for load in self.limits(at) {
                let Some(list) = entry.accessed(load).first().filter(|place| is_length(place))
                else {
                    continue;
                };
                let is_theirs = self.is_theirs(list);
                let detail = self.describe(list).trim_end_matches(".length").to_owned();
                if self.in_loop.contains(load.block.index()) {
                    self.flaw(HazardKind::LengthInLoop, entry.statement(load), detail.clone(), out);
                }
                if !is_theirs && self.has_effects() {
                    let keys = StateKey::of(entry.program, list);
                    self.push(HazardKind::UnboundedLoop, at, entry.statement(at), Some(keys), out);
                    if let Some(one) = out.last_mut() {
                        one.needs = Need::GrowingList;
                        one.guard = None;
                        one.detail = detail;
                    }
                }
            }
        }
    }

    /// Lists in storage that are emptied as a whole, which frees one entry after another.
    fn cleared_lists(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let StatementKind::Store { value, .. } = &statement.kind else { continue };
            let [list] = entry.accessed(at) else { continue };
            let is_list = matches!(entry.type_at(list), Type::Array(_, ArrayLength::Dynamic));
            if !is_list
                || !self.is_new(value)
                || !self.constants.reaches(at.block)
                || self.is_theirs(list)
            {
                continue;
            }
            let keys = StateKey::of(entry.program, list);
            // Whoever goes through the list has run out of gas before.
            let is_gone_through = out
                .iter()
                .any(|one| one.kind == HazardKind::UnboundedLoop && one.needs_open == keys);
            if is_gone_through {
                continue;
            }
            let detail = self.describe(list);
            self.push(HazardKind::ClearedList, at, statement, Some(keys), out);
            if let Some(one) = out.last_mut() {
                one.needs = Need::GrowingList;
                one.guard = None;
                one.detail = detail;
            }
        }
    }

    /// Whether a value is empty, or a list that was made in memory.
    fn is_new(&self, value: &Operand) -> bool {
        match self.entry.canonical(value) {
            Operand::Constant(constant) => constant == Constant::Default,
            Operand::Local(id) => matches!(
                self.entry.only_definition(id).map(|statement| &statement.kind),
                Some(StatementKind::Assign { value: Rvalue::Pure("allocate", _), .. })
            ),
            _ => false,
        }
    }

    /// Whether a list belongs to the caller, who pays for its length.
    fn is_theirs(&self, list: &AbsolutePlace) -> bool {
        list.path.iter().any(|key| match key {
            AbsoluteKey::Index(key) => Origin::of(self.entry, key, true).sender,
            _ => false,
        })
    }

    /// Whether the way to a statement that makes a list longer asks for its length to be below a number that a block
    /// has gas for.
    pub(in crate::facts) fn is_capped(&self, at: At) -> bool {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        let is_length = |operand: &Operand| match entry.canonical(operand) {
            Operand::Local(id) => match entry.definitions[id.index()] {
                [load] => entry.accessed(load) == entry.accessed(at),
                _ => false,
            },
            _ => false,
        };
        let is_small = |operand: &Operand| match entry.canonical(operand) {
            Operand::Constant(constant) => matches!(
                constant_value(entry.program, &constant),
                Some(Known::Number(number)) if number <= MAX_LENGTH
            ),
            _ => false,
        };
        self.controllers(at.block).iter().any(|block| {
            let End::Branch { condition: Operand::Local(id), .. } = &graph[*block].end else {
                return false;
            };
            match entry.only_definition(*id).map(|statement| &statement.kind) {
                Some(StatementKind::Assign { value: Rvalue::Binary(op, left, right), .. }) => {
                    op.is_comparison()
                        && ((is_length(left) && is_small(right))
                            || (is_length(right) && is_small(left)))
                }
                _ => false,
            }
        })
    }

    /// The loads that a comparison is made with as they are: where the counter began is no limit.
    fn limits(&self, at: At) -> Vec<At> {
        let StatementKind::Assign { value: Rvalue::Binary(_, left, right), .. } =
            &self.entry.statement(at).kind
        else {
            return Vec::new();
        };
        [left, right]
            .into_iter()
            .filter_map(|side| {
                let Operand::Local(id) = self.entry.canonical(side) else { return None };
                let [load] = &self.entry.definitions[id.index()] else { return None };
                matches!(self.entry.statement(*load).kind, StatementKind::Load { .. })
                    .then_some(*load)
            })
            .collect()
    }

    fn leaves_loop(&self, block: NodeIndex) -> bool {
        self.entry.successors(block).iter().any(|(_, next)| {
            !self.in_loop.contains(next.index()) || {
                // Out of an inner loop into an outer one.
                !self.forward(*next).contains(block.index())
            }
        })
    }

    /// Whether the view changes anything: a question that costs too much costs only whoever asks.
    fn has_effects(&self) -> bool {
        self.entry.statements().any(|(_, statement)| match &statement.kind {
            StatementKind::Store { .. } => true,
            StatementKind::Call(call) => !matches!(
                call.kind,
                CallKind::StaticCall | CallKind::External { is_view: true, .. }
            ),
            _ => false,
        })
    }

    fn work_of_rounds(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        let mut written: BTreeSet<Span> = BTreeSet::new();
        for (at, statement) in entry.statements() {
            if !self.in_loop.contains(at.block.index()) || !self.constants.reaches(at.block) {
                continue;
            }
            match &statement.kind {
                StatementKind::Call(call) if self.undoes_all(call) && self.varies(call) => {
                    self.push(HazardKind::CallInLoop, at, statement, Some(Vec::new()), out);
                }
                StatementKind::Store { place, .. } => {
                    let places = entry.accessed(at);
                    let is_fixed = matches!(places, [only] if self.is_fixed(only))
                        && !matches!(place.root, Root::Reference(_));
                    if is_fixed && self.is_in_innermost(at) && written.insert(statement.span) {
                        let detail = self.describe(&places[0]);
                        self.flaw(HazardKind::WriteInLoop, statement, detail, out);
                    }
                }
                _ => {}
            }
        }
    }

    /// A call whose failure is the failure of the whole: nobody looks at its success and goes on.
    fn undoes_all(&self, call: &Call) -> bool {
        match call.kind {
            CallKind::Transfer => true,
            CallKind::External { is_view, .. } => !call.may_fail && !is_view,
            CallKind::LowLevel | CallKind::Send => call.results.first().is_some_and(|success| {
                let graph = &self.entry.view.body.graph;
                graph.node_indices().any(|block| {
                    matches!(&graph[block].end, End::Branch { condition, .. } if self.entry.canonical(condition) == Operand::Local(*success))
                        && self.entry.successors(block).iter().any(|(_, next)| !self.ends_well(*next))
                })
            }),
            _ => false,
        }
    }

    /// Whether another account is called in each round, and one that somebody else chose.
    fn varies(&self, call: &Call) -> bool {
        let Some(callee) = &call.callee else { return false };
        let Operand::Local(id) = self.entry.canonical(callee) else { return false };
        self.entry.definitions[id.index()].iter().any(|at| {
            let is_element = match &self.entry.statement(*at).kind {
                StatementKind::Load { place, .. } => {
                    place.path.iter().any(|key| matches!(key, Key::Index(_)))
                }
                StatementKind::Assign { value: Rvalue::Pure(name, _), .. } => {
                    matches!(*name, "element" | "field")
                }
                _ => false,
            };
            is_element && self.in_loop.contains(at.block.index())
        })
    }

    /// Whether a place is the same in every round.
    fn is_fixed(&self, place: &AbsolutePlace) -> bool {
        matches!(place.root, AbsoluteRoot::Variable(_))
            && place.path.iter().all(|key| match key {
                AbsoluteKey::Index(Operand::Local(id)) => {
                    let definitions = &self.entry.definitions[id.index()];
                    definitions.iter().all(|at| !self.in_loop.contains(at.block.index()))
                }
                AbsoluteKey::Length => false,
                _ => true,
            })
    }

    /// Whether the statement runs in every round that comes past it, rather than on the way out.
    fn is_in_innermost(&self, at: At) -> bool {
        !self.entry.successors(at.block).is_empty()
            && self
                .entry
                .reachable(
                    &self
                        .entry
                        .successors(at.block)
                        .iter()
                        .map(|(_, next)| *next)
                        .collect::<Vec<_>>(),
                    |_, _, _| true,
                )
                .contains(at.block.index())
    }
}

fn is_length(place: &AbsolutePlace) -> bool {
    place.path.last() == Some(&AbsoluteKey::Length)
}
