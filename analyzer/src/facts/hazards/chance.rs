//! Chance that is none: whoever makes the block, or calls from a contract, knows it beforehand.

use std::collections::BTreeSet;

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::entry::source;
use crate::facts::origin::{Depth, Origin};
use crate::facts::work::Work;
use crate::hir::{FunctionId, Type};
use crate::syntax::ast::BinaryOp;

impl Work<'_, '_> {
    pub(super) fn chance(&self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        // One for each function: a draw is often used in many places.
        let mut seen: BTreeSet<FunctionId> = BTreeSet::new();
        for (at, statement) in entry.statements() {
            let StatementKind::Assign { target, value } = &statement.kind else { continue };
            // What holds nothing of a block is no draw, and that is told at once.
            let mut is_of_block = false;
            value.each_operand(&mut |part| {
                is_of_block |= entry.operand_dependencies(part).contains(source::BLOCK);
            });
            if !is_of_block {
                continue;
            }
            // In assembly memory is one value, which has seen everything.
            let text = self.text(statement);
            if text.ends_with(')') && text.split('(').next().is_some_and(|name| name.len() < 5) {
                continue;
            }
            let of = |side| Origin::through(entry, side, Depth::Hashes);
            let function = entry.view.frames[statement.frame.0 as usize].function;
            let (op, left, right) = match value {
                Rvalue::Binary(op, left, right) => (op, left, right),
                Rvalue::Cast(whole) if self.is_cut_from_chance(*target, whole) => {
                    if self.constants.reaches(at.block) && seen.insert(function) {
                        let text = text.to_owned();
                        self.flaw(HazardKind::WeakChance, statement, text, out);
                    }
                    continue;
                }
                _ => continue,
            };
            let is_drawn = |origin: &Origin| origin.entropy || (origin.time && origin.hashed);
            let is_draw = match op {
                BinaryOp::Mod => {
                    let origin = of(left);
                    // What another contract had a part in, it may have kept secret.
                    (is_drawn(&origin) && !origin.external)
                        || (origin.time
                            && self.is_time_itself(left)
                            && self.is_asked_for_equality(statement))
                }
                // Checking a header is no draw: nobody guesses a hash as it is.
                BinaryOp::Eq | BinaryOp::Ne => {
                    [(left, right), (right, left)].into_iter().any(|(drawn, guess)| {
                        let drawn = of(drawn);
                        is_drawn(&drawn)
                            && drawn.hashed
                            && !drawn.recovered
                            && !drawn.external
                            && drawn.params.is_empty()
                            && of(guess).is_callers_choice()
                    }) || [(left, right), (right, left)].into_iter().any(|(hash, guess)| {
                        self.is_block_hash(hash) && self.is_kept_for_sender(guess)
                    })
                }
                BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                    let (left, right) = (of(left), of(right));
                    [&left, &right]
                        .into_iter()
                        .any(|side| is_drawn(side) && side.hashed && side.params.is_empty())
                }
                _ => false,
            };
            if is_draw && self.constants.reaches(at.block) && seen.insert(function) {
                self.flaw(HazardKind::WeakChance, statement, self.text(statement).to_owned(), out);
            }
        }
    }

    /// Whether a hash of what the block's producer knows is cut to a number that can be guessed.
    fn is_cut_from_chance(&self, small: LocalId, whole: &Operand) -> bool {
        let Type::Uint(bits) = self.entry.view.body.locals[small.index()].ty else { return false };
        if bits > 64 {
            return false;
        }
        let origin = Origin::through(self.entry, whole, Depth::Hashes);
        let is_hash =
            (origin.hashed && (origin.entropy || origin.time)) || self.is_block_hash(whole);
        is_hash
            && !origin.external
            && !origin.recovered
            && origin.loads.is_empty()
            && origin.params.is_empty()
    }

    /// Whether a value is the hash of a block, as it is.
    fn is_block_hash(&self, operand: &Operand) -> bool {
        let Operand::Local(id) = self.entry.canonical(operand) else { return false };
        self.entry.only_definition(id).is_some_and(|statement| {
            matches!(
                &statement.kind,
                StatementKind::Assign { value: Rvalue::Pure("blockhash", _), .. }
            )
        })
    }

    /// Whether a value is what the contract keeps for whoever calls.
    fn is_kept_for_sender(&self, operand: &Operand) -> bool {
        let Operand::Local(id) = self.entry.canonical(operand) else { return false };
        match self.entry.only_definition(id).map(|statement| &statement.kind) {
            Some(StatementKind::Load { place, .. }) => {
                let mut is_theirs = false;
                place.each_operand(&mut |key| {
                    is_theirs |=
                        self.entry.canonical(key) == Operand::Environment(Environment::Sender);
                });
                is_theirs
            }
            _ => false,
        }
    }

    /// Whether a time is used as it is: a calendar divides it, a schedule counts from somewhere.
    fn is_time_itself(&self, operand: &Operand) -> bool {
        self.entry.made_by(operand).iter().all(|at| {
            !matches!(
                &self.entry.statement(*at).kind,
                StatementKind::Assign {
                    value: Rvalue::Binary(BinaryOp::Div | BinaryOp::Sub | BinaryOp::Mod, ..)
                        | Rvalue::Wrapping(BinaryOp::Div | BinaryOp::Sub | BinaryOp::Mod, ..)
                        | Rvalue::Pure(..),
                    ..
                } | StatementKind::Call(_)
            )
        })
    }

    /// Whether the result is compared for equality: a time that is rounded is no draw.
    fn is_asked_for_equality(&self, statement: &Statement) -> bool {
        let StatementKind::Assign { target, .. } = &statement.kind else { return false };
        self.entry.statements().any(|(_, other)| match &other.kind {
            StatementKind::Assign {
                value: Rvalue::Binary(BinaryOp::Eq | BinaryOp::Ne, left, right),
                ..
            } => [left, right]
                .iter()
                .any(|side| self.entry.canonical(side) == Operand::Local(*target)),
            _ => false,
        })
    }
}
