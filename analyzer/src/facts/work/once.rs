//! What can be done only once, or only in its turn.

use std::collections::BTreeSet;

use ruint::aliases::U256;

use super::Work;
use crate::cfg::*;
use crate::facts::constants::{Constants, Known, Storage, constant_value};
use crate::facts::entry::{AbsolutePlace, At, Entry, StateKey};
use crate::facts::origin::Origin;
use crate::facts::summary::roots;
use crate::hir::Type;
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
        let entry = self.entry;
        let constants = &mut self.constants;
        let after = self.one_shot.get_or_insert_with(|| {
            // Where no account is stored, that it is not the zero address tells nothing.
            let mut first =
                stores_account(entry).then(|| Constants::run_assuming(entry, Storage::new(), true));
            let storage =
                first.as_mut().unwrap_or(constants).storage_before(entry.view.exit, usize::MAX);
            // A run that leaves nothing known behind is followed by one like itself.
            if storage.is_empty() {
                first
            } else {
                Some(Constants::run_assuming(entry, storage, true))
            }
        });
        !after.as_ref().unwrap_or(&self.constants).reaches(at.block)
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

/// Whether some account that is not known is stored.
fn stores_account(entry: &Entry<'_>) -> bool {
    entry.statements().any(|(_, statement)| {
        let StatementKind::Store { value, .. } = &statement.kind else { return false };
        matches!(
            entry.canonical(value),
            Operand::Local(id)
                if matches!(entry.view.body.locals[id.index()].ty, Type::Address | Type::Contract(_))
        )
    })
}
