//! Chance that is none: whoever makes the block, or calls from a contract, knows it beforehand.

use std::collections::BTreeSet;

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::origin::{Depth, Origin};
use crate::facts::summary::Work;
use crate::hir::FunctionId;
use crate::syntax::ast::BinaryOp;

impl Work<'_, '_> {
    pub(super) fn chance(&self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        // One for each function: a draw is often used in many places.
        let mut seen: BTreeSet<FunctionId> = BTreeSet::new();
        for (at, statement) in entry.statements() {
            let StatementKind::Assign { value: Rvalue::Binary(op, left, right), .. } =
                &statement.kind
            else {
                continue;
            };
            // In assembly memory is one value, which has seen everything.
            let text = self.text(statement);
            if text.ends_with(')') && text.split('(').next().is_some_and(|name| name.len() < 5) {
                continue;
            }
            let of = |side| Origin::through(entry, side, Depth::Hashes);
            let is_drawn = |origin: &Origin| origin.entropy || (origin.time && origin.hashed);
            let is_draw = match op {
                BinaryOp::Mod => {
                    let origin = of(left);
                    is_drawn(&origin) || (origin.time && self.is_asked_for_equality(statement))
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
            let function = entry.view.frames[statement.frame.0 as usize].function;
            if is_draw && self.constants.reaches(at.block) && seen.insert(function) {
                self.flaw(HazardKind::WeakChance, statement, self.text(statement).to_owned(), out);
            }
        }
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
