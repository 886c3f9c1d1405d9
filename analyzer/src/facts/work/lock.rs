//! What keeps a call from being reached again while it runs.

use super::Work;
use crate::cfg::*;
use crate::facts::constants::Constants;
use crate::facts::entry::At;
use crate::facts::locks::is_the_same_everywhere;
use crate::facts::summary::{Lock, roots};
use crate::syntax::ast::BinaryOp;

impl Work<'_, '_> {
    /// What keeps the call from being reached again while it runs: what storage holds at the call makes a
    /// second run end before it, or a counter tells that there was one.
    pub(in crate::facts) fn lock(&mut self, at: At) -> Option<Lock> {
        let storage = self.constants.storage_before(at.block, at.index);
        if !storage.is_empty() {
            let entry = self.entry;
            let run = self
                .locked_runs
                .entry(storage.clone())
                .or_insert_with_key(|storage| Constants::run(entry, storage.clone()));
            if !run.reaches_statement(at) {
                let shared = storage.into_iter().filter(|(place, _)| is_the_same_everywhere(place));
                return Some(Lock::State(shared.collect()));
            }
        }
        self.counter(at).map(|kept| Lock::Counter(roots(self.entry, kept)))
    }

    /// The lock that counts entries: a counter is raised and kept before the call, and after it
    /// everything is undone unless the counter still is what was kept.
    pub(in crate::facts) fn counter(&self, at: At) -> Option<At> {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        let after = self.forward(at.block);
        let is_earlier = |load: &At| {
            if load.block == at.block {
                load.index < at.index
            } else {
                self.is_before(load.block, at.block)
            }
        };
        let load_of = |operand: &Operand| match entry.canonical(operand) {
            Operand::Local(id) => match &entry.definitions[id.index()] {
                [only] if matches!(entry.statement(*only).kind, StatementKind::Load { .. }) => {
                    Some(*only)
                }
                _ => None,
            },
            _ => None,
        };
        graph.node_indices().filter(|block| after.contains(block.index())).find_map(|block| {
            let End::Branch { condition: Operand::Local(condition), .. } = &graph[block].end else {
                return None;
            };
            let Some(StatementKind::Assign {
                value: Rvalue::Binary(BinaryOp::Eq | BinaryOp::Ne, left, right),
                ..
            }) = entry.only_definition(*condition).map(|statement| &statement.kind)
            else {
                return None;
            };
            let (Some(left), Some(right)) = (load_of(left), load_of(right)) else { return None };
            let (kept, fresh) = if is_earlier(&left) { (left, right) } else { (right, left) };
            let is_same =
                entry.accessed(kept).len() == 1 && entry.accessed(kept) == entry.accessed(fresh);
            let is_fresh = if fresh.block == at.block {
                fresh.index > at.index
            } else {
                after.contains(fresh.block.index())
            };
            if !is_earlier(&kept) || !is_same || !is_fresh {
                return None;
            }
            let is_raised = entry.statements().any(|(store, statement)| {
                let is_ahead = if store.block == kept.block {
                    store.index < kept.index
                } else {
                    self.is_before(store.block, kept.block)
                };
                matches!(statement.kind, StatementKind::Store { .. })
                    && is_ahead
                    && entry.accessed(store) == entry.accessed(kept)
            });
            let undoes = self.successors(block).iter().any(|next| !self.ends_well(*next));
            let is_counted = is_raised
                && undoes
                && (block == at.block
                    || !self
                        .reachable(&[at.block], |from, _| from != block)
                        .contains(entry.view.exit.index()));
            is_counted.then_some(kept)
        })
    }
}
