//! State that was read on the way to a call, on which the way depended, and that is written after it.

use std::collections::BTreeSet;

use petgraph::graph::NodeIndex;

use super::Work;
use crate::cfg::*;
use crate::facts::bits::Bits;
use crate::facts::constants::{Constants, Storage};
use crate::facts::entry::{AbsoluteKey, AbsolutePlace, At, StateKey, covers, overlap, source};
use crate::facts::summary::Stale;
use crate::syntax::Span;

impl<'e, 'a> Work<'e, 'a> {
    /// State that was read on the way to the call, on which the way depended, that still stands as read
    /// when the call is made, and that is written after it.
    pub(in crate::facts) fn stale(&mut self, at: At, call: &Call) -> Vec<Stale> {
        let mut found = self.stale_places(at, call);
        found.retain(|(place, _)| !self.is_as_before(at, place));
        found.into_iter().map(|(_, stale)| stale).collect()
    }

    /// Whether the place is changed after the call and, at the end of every run, holds again a constant with which
    /// the call is made: what was written to it serves the run itself.
    pub(in crate::facts) fn is_as_before(&mut self, at: At, place: &AbsolutePlace) -> bool {
        let entry = self.entry;
        let after = self.forward(at.block);
        let values: BTreeSet<Operand> = entry
            .statements()
            .filter(|(store, _)| {
                after.contains(store.block.index())
                    && (store.block != at.block || store.index > at.index)
                    && matches!(entry.accessed(*store), [only] if only == place)
            })
            .filter_map(|(_, statement)| match &statement.kind {
                StatementKind::Store { value, .. } => Some(entry.canonical(value)),
                _ => None,
            })
            .collect();
        let last = self.constants.storage_before(entry.view.exit, usize::MAX);
        let Some(known) = last.get(place).filter(|_| values.len() > 1) else { return false };
        let storage = Storage::from([(place.clone(), known.clone())]);
        self.locked_runs
            .entry(storage)
            .or_insert_with_key(|storage| Constants::run(entry, storage.clone()))
            .reaches(at.block)
    }

    /// The stores that run after the statement, in this round of a loop or the next.
    pub(in crate::facts) fn stores_after(
        &self,
        at: At,
        after: &Bits,
    ) -> Vec<(At, &'e [AbsolutePlace], Span)> {
        let entry = self.entry;
        let everything = self.reachable(&[at.block], |_, _| true);
        let mut stores = Vec::new();
        for (store, statement) in entry.statements() {
            if !matches!(statement.kind, StatementKind::Store { .. }) {
                continue;
            }
            let is_in_block = store.block == at.block;
            let is_forward = if is_in_block {
                store.index > at.index
            } else {
                after.contains(store.block.index())
            };
            // A write that precedes the call in its round is an effect before the interaction.
            let is_round_a_loop = !is_forward
                && everything.contains(store.block.index())
                && !is_in_block
                && !self.forward(store.block).contains(at.block.index());
            if is_forward || is_round_a_loop {
                stores.push((store, entry.accessed(store), statement.span));
            }
        }
        stores
    }

    pub(in crate::facts) fn stale_places(
        &self,
        at: At,
        call: &Call,
    ) -> Vec<(AbsolutePlace, Stale)> {
        let entry = self.entry;
        let after = self.forward(at.block);
        let stores = self.stores_after(at, &after);
        if stores.is_empty() {
            return Vec::new();
        }
        let mut bits = Bits::default();
        for operand in call.callee.iter().chain(&call.value).chain(&call.args) {
            bits.union(&entry.operand_dependencies(operand));
        }
        bits.union(&self.control_bits(at.block));
        let mut out: Vec<(AbsolutePlace, Stale)> = Vec::new();
        for bit in bits.iter().filter(|bit| *bit >= source::FIRST_LOAD) {
            let load = entry.loads[bit - source::FIRST_LOAD];
            let statement = entry.statement(load);
            for read in entry.accessed(load) {
                let candidates: Vec<_> = stores
                    .iter()
                    .filter(|(_, places, _)| places.iter().any(|place| overlap(place, read)))
                    .collect();
                if candidates.is_empty() || !self.stands(load, at, read) {
                    continue;
                }
                let written = candidates
                    .into_iter()
                    .find(|(store, ..)| !self.is_checked_again(at, *store, read, &after));
                let Some((_, places, write)) = written else { continue };
                let is_callers_own = places.contains(read)
                    && read
                        .path
                        .contains(&AbsoluteKey::Index(Operand::Environment(Environment::Sender)));
                let stale = Stale {
                    keys: StateKey::of(entry.program, read),
                    variable: self.describe(read),
                    read: statement.span,
                    write: *write,
                    is_callers_own,
                };
                if !out.iter().any(|(_, known)| {
                    known.variable == stale.variable && known.write == stale.write
                }) {
                    out.push((read.clone(), stale));
                }
            }
        }
        out
    }

    /// Whether some way leads from the read to the call without the place being overwritten.
    pub(in crate::facts) fn stands(&self, load: At, at: At, read: &AbsolutePlace) -> bool {
        let entry = self.entry;
        let overwrites = |block: NodeIndex, from: usize, to: usize| {
            entry
                .stores_in(block)
                .iter()
                .filter(|index| (from..to).contains(*index))
                .any(|&index| {
                    matches!(entry.accessed(At { block, index }), [only] if covers(only, read))
                })
        };
        if load.block == at.block && load.index < at.index {
            return !overwrites(at.block, load.index, at.index);
        }
        if overwrites(load.block, load.index, usize::MAX) {
            return false;
        }
        let starts = self.successors(load.block);
        let ways =
            self.reachable(starts, |from, _| from != at.block && !overwrites(from, 0, usize::MAX));
        ways.contains(at.block.index()) && !overwrites(at.block, 0, at.index)
    }

    /// Whether the place is read afresh after the call and a check of it, which undoes everything where
    /// it fails, stands before the write.
    pub(in crate::facts) fn is_checked_again(
        &self,
        at: At,
        store: At,
        read: &AbsolutePlace,
        after: &Bits,
    ) -> bool {
        let entry = self.entry;
        let fresh: Vec<usize> = entry
            .loads
            .iter()
            .enumerate()
            .filter(|(_, load)| {
                if load.block == at.block {
                    load.index > at.index
                } else {
                    after.contains(load.block.index())
                }
            })
            .filter(|(_, load)| {
                let places = entry.accessed(**load);
                places.contains(read) || (!places.is_empty() && places == entry.accessed(store))
            })
            .map(|(index, _)| source::FIRST_LOAD + index)
            .collect();
        if fresh.is_empty() {
            return false;
        }
        self.controllers(store.block).iter().any(|&block| {
            let is_after = after.contains(block.index());
            let bits = self.condition_bits(block);
            is_after
                && fresh.iter().any(|bit| bits.contains(*bit))
                && self.successors(block).iter().any(|next| !self.ends_well(*next))
        })
    }
}
