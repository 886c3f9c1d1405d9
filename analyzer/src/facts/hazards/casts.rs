//! Numbers that lose their upper part when they are made smaller: the language cuts them off without a word.

use std::collections::BTreeSet;

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::origin::Origin;
use crate::facts::work::Work;
use crate::hir::Type;
use crate::syntax::ast::{BinaryOp, ContractKind};

impl Work<'_, '_> {
    /// Amounts that the caller gives, or that have grown, made smaller and then counted.
    pub(super) fn narrowings(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        // A library is given its numbers by contracts, which are looked at with it.
        if entry.program.contract(entry.view.contract).kind == ContractKind::Library {
            return;
        }
        for (at, statement) in entry.statements() {
            let StatementKind::Assign { target, value: Rvalue::Cast(whole @ Operand::Local(id)) } =
                &statement.kind
            else {
                continue;
            };
            let locals = &entry.view.body.locals;
            let cuts = match (&locals[id.index()].ty, &locals[target.index()].ty) {
                (Type::Uint(from), Type::Uint(to)) | (Type::Int(from), Type::Int(to)) => to < from,
                (Type::Uint(from), Type::Int(to)) => to <= from,
                _ => false,
            };
            if !cuts || !self.constants.reaches(at.block) {
                continue;
            }
            let origin = Origin::of(entry, whole, false);
            let is_amount = !origin.time
                && !origin.entropy
                && !origin.hashed
                && !origin.length
                && !origin.unknown
                && !origin.external
                && !origin.sender
                && (!origin.params.is_empty() || origin.value || self.has_grown(whole));
            if is_amount
                && !self.is_masked(whole)
                && !self.is_limited(*target, whole, &origin)
                && self.is_counted_as(*target)
            {
                let text = self.text(statement).to_owned();
                self.push(HazardKind::CutNumber, at, statement, Some(Vec::new()), out);
                if let Some(one) = out.last_mut() {
                    one.detail = text;
                }
            }
        }
    }

    /// Whether a value is a sum or product with what is kept.
    fn has_grown(&self, operand: &Operand) -> bool {
        let entry = self.entry;
        entry.made_by(operand).iter().any(|at| match &entry.statement(*at).kind {
            StatementKind::Assign {
                value:
                    Rvalue::Binary(BinaryOp::Add | BinaryOp::Mul, left, right)
                    | Rvalue::Wrapping(BinaryOp::Add | BinaryOp::Mul, left, right),
                ..
            } => [left, right]
                .into_iter()
                .all(|side| !Origin::of(entry, side, false).loads.is_empty()),
            _ => false,
        })
    }

    /// Whether the upper part was taken off on purpose, or the value is one of several in a word.
    fn is_masked(&self, operand: &Operand) -> bool {
        let entry = self.entry;
        entry.made_by(operand).iter().any(|at| {
            matches!(
                &entry.statement(*at).kind,
                StatementKind::Assign {
                    value: Rvalue::Binary(
                        BinaryOp::BitAnd
                            | BinaryOp::BitOr
                            | BinaryOp::Shr
                            | BinaryOp::Shl
                            | BinaryOp::Mod
                            | BinaryOp::BitXor,
                        ..
                    ) | Rvalue::Unary(..)
                        | Rvalue::Pure(..),
                    ..
                }
            )
        })
    }

    /// Whether some decision compares the number, what it is made of, or the smaller one with anything but zero.
    fn is_limited(&self, smaller: LocalId, whole: &Operand, origin: &Origin) -> bool {
        let entry = self.entry;
        let copies =
            entry.flow([smaller], |value| matches!(value, Rvalue::Use(_) | Rvalue::Cast(_)));
        let value = entry.canonical(whole);
        entry.statements().any(|(_, statement)| {
            let StatementKind::Assign { value: Rvalue::Binary(op, left, right), .. } =
                &statement.kind
            else {
                return false;
            };
            op.is_comparison()
                && [(left, right), (right, left)].into_iter().any(|(side, against)| {
                    if self.is_zero(against) {
                        return false;
                    }
                    let is_copy = matches!(side, Operand::Local(id) if copies.contains(id));
                    let side_origin = Origin::of(entry, side, false);
                    let is_part = (!origin.params.is_empty()
                        && !side_origin.params.is_disjoint(&origin.params))
                        || (!origin.loads.is_empty()
                            && !side_origin.loads.is_disjoint(&origin.loads));
                    is_copy || entry.canonical(side) == value || is_part
                })
        }) || self.is_taken_away(whole, origin)
    }

    /// Whether what the number is made of is also taken from something that is kept, which would fail for more.
    fn is_taken_away(&self, whole: &Operand, origin: &Origin) -> bool {
        let entry = self.entry;
        let value = entry.canonical(whole);
        entry.statements().any(|(_, statement)| match &statement.kind {
            StatementKind::Assign { value: Rvalue::Binary(BinaryOp::Sub, kept, taken), .. } => {
                let taken_origin = Origin::of(entry, taken, false);
                // A signed number may be more than what it is taken from.
                let is_unsigned = matches!(kept, Operand::Local(id)
                    if matches!(entry.view.body.locals[id.index()].ty, Type::Uint(_)));
                is_unsigned
                    && !Origin::of(entry, kept, false).loads.is_empty()
                    && (entry.canonical(taken) == value
                        || (!origin.params.is_empty()
                            && !taken_origin.params.is_disjoint(&origin.params)))
            }
            // Ether that came is bounded by what there is.
            _ => origin.value && origin.params.is_empty() && origin.loads.is_empty(),
        })
    }

    /// Whether a number is added to, or taken from, what is kept.
    fn is_counted_as(&self, number: LocalId) -> bool {
        let entry = self.entry;
        let is_sum = |value: &Rvalue| {
            matches!(
                value,
                Rvalue::Use(_)
                    | Rvalue::Cast(_)
                    | Rvalue::Binary(BinaryOp::Add | BinaryOp::Sub, ..)
                    | Rvalue::Wrapping(BinaryOp::Add | BinaryOp::Sub, ..)
            )
        };
        let flow: BTreeSet<LocalId> = entry.flow([number], is_sum);
        entry.statements().any(|(_, statement)| match &statement.kind {
            StatementKind::Store { value: Operand::Local(id), place } => {
                // A table that is looked up again, not a single setting.
                flow.contains(id)
                    && (place.path.iter().any(|key| matches!(key, Key::Index(_))) || *id != number)
            }
            _ => false,
        })
    }
}
