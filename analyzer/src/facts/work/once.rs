//! What can be done only once, or only in its turn.

use std::collections::BTreeSet;

use ruint::aliases::U256;

use super::Work;
use crate::cfg::*;
use crate::facts::constants::{Constants, Known, Storage, constant_value};
use crate::facts::entry::{AbsolutePlace, At, StateKey};
use crate::facts::origin::Origin;
use crate::facts::summary::roots;
use crate::syntax::ast::{BinaryOp, UnaryOp};

impl Work<'_, '_> {
    /// State that the way to the statement depends on, and that the view changes.
    pub(in crate::facts) fn steps(&self, at: At) -> BTreeSet<StateKey> {
        let entry = self.entry;
        let asked: BTreeSet<StateKey> = self
            .controllers(at.block)
            .iter()
            .flat_map(|block| entry.loaded_state(&self.condition_bits(*block)))
            .collect();
        let changed = self.changed.get_or_init(|| {
            entry
                .statements()
                .filter(|(_, statement)| matches!(statement.kind, StatementKind::Store { .. }))
                .flat_map(|(store, _)| roots(entry, store))
                .collect()
        });
        asked.intersection(changed).cloned().collect()
    }

    /// Whether the statement cannot be reached again once a run has ended.
    pub(in crate::facts) fn is_one_shot(&mut self, at: At) -> bool {
        if self.one_shot.is_none() {
            let mut first = Constants::run_assuming(self.entry, Storage::new(), true);
            let storage = first.storage_before(self.entry.view.exit, usize::MAX);
            // A run that leaves nothing known behind is followed by one like itself.
            self.one_shot = Some(if storage.is_empty() {
                first
            } else {
                Constants::run_assuming(self.entry, storage, true)
            });
        }
        self.one_shot.as_ref().is_some_and(|run| !run.reaches(at.block))
    }

    /// Whether the way to the statement asks that some state be still zero, and the same run sets it to a
    /// value of the caller's: the first who comes takes it, even where foreign code runs in between.
    pub(in crate::facts) fn is_claimed(&self, at: At) -> bool {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        self.controllers(at.block).iter().any(|&block| {
            let End::Branch { condition, .. } = &graph[block].end else { return false };
            let Some((asked, taken)) = self.asks_for_zero(condition) else { return false };
            let undoes = entry
                .successors(block)
                .iter()
                .any(|&(edge, next)| edge == taken && !self.ends_well(next));
            undoes
                && Origin::of(entry, &Operand::Local(asked), false).loads.iter().any(|load| {
                    let read = entry.accessed(*load);
                    !read.is_empty() && self.is_set_by_caller(read)
                })
        })
    }

    pub(in crate::facts) fn is_set_by_caller(&self, places: &[AbsolutePlace]) -> bool {
        let entry = self.entry;
        entry.statements().any(|(store, statement)| match &statement.kind {
            StatementKind::Store { value, .. } => {
                entry.accessed(store) == places
                    && Origin::of(entry, value, false).is_callers_choice()
            }
            _ => false,
        })
    }

    /// The local that a condition compares with zero, and the way that is taken where it is something else.
    pub(in crate::facts) fn asks_for_zero(&self, condition: &Operand) -> Option<(LocalId, Edge)> {
        let entry = self.entry;
        let is_zero = |operand: &Operand| match entry.canonical(operand) {
            Operand::Constant(constant) => {
                constant_value(entry.program, &constant) == Some(Known::Number(U256::ZERO))
            }
            _ => false,
        };
        let local = |operand: &Operand| match entry.canonical(operand) {
            Operand::Local(id) => Some(id),
            _ => None,
        };
        let whole = local(condition)?;
        let Some(StatementKind::Assign { value, .. }) =
            entry.only_definition(whole).map(|statement| &statement.kind)
        else {
            return Some((whole, Edge::True));
        };
        match value {
            Rvalue::Unary(UnaryOp::Not, asked) => Some((local(asked)?, Edge::False)),
            Rvalue::Binary(op, asked, zero) if is_zero(zero) => match op {
                BinaryOp::Eq => Some((local(asked)?, Edge::False)),
                BinaryOp::Ne | BinaryOp::Gt => Some((local(asked)?, Edge::True)),
                _ => None,
            },
            Rvalue::Binary(op, zero, asked) if is_zero(zero) => match op {
                BinaryOp::Eq => Some((local(asked)?, Edge::False)),
                BinaryOp::Ne | BinaryOp::Lt => Some((local(asked)?, Edge::True)),
                _ => None,
            },
            _ => None,
        }
    }
}
