//! Sums that do not come out as they were meant.

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::origin::Origin;
use crate::facts::work::Work;
use crate::hir::{ArrayLength, Type};
use crate::syntax::ast::BinaryOp;

impl Work<'_, '_> {
    pub(super) fn arithmetic(&self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let StatementKind::Assign { target, value } = &statement.kind else { continue };
            if !self.constants.reaches(at.block) {
                continue;
            }
            match value {
                Rvalue::Binary(op, left, right) | Rvalue::Wrapping(op, left, right) => {
                    self.operation(statement, *op, left, right, out);
                }
                Rvalue::Pure("abi.encode", operands)
                    if self.text(statement).starts_with("abi.encodePacked")
                        && self.are_ambiguous(operands)
                        && self.is_hashed(*target) =>
                {
                    self.flaw(HazardKind::PackedTexts, statement, String::new(), out);
                }
                _ => {}
            }
        }
    }

    fn operation(
        &self,
        statement: &Statement,
        op: BinaryOp,
        left: &Operand,
        right: &Operand,
        out: &mut Vec<Candidate>,
    ) {
        let text = self.text(statement);
        let is_machine = |name: &str| {
            text.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('('))
        };
        match op {
            BinaryOp::Mul if !is_machine("mul") => {
                let quotient =
                    [(left, right), (right, left)].into_iter().find_map(|(factor, other)| {
                        let (divided, divisor) = self.quotient(factor, statement.frame)?;
                        // Rounding down to a multiple is what the same factor is for.
                        let is_rounding =
                            self.is_same(divisor, other) || self.is_taken_back(factor, divisor);
                        (!is_rounding).then_some(divided)
                    });
                if let Some(divided) = quotient {
                    let detail = self.text(divided).to_owned();
                    self.flaw(HazardKind::DivisionFirst, statement, detail, out);
                }
            }
            BinaryOp::BitXor if !is_machine("xor") => {
                let is_decimal = |operand: &Operand| matches!(operand, Operand::Constant(Constant::Number(number)) if !number.starts_with("0x"));
                if is_decimal(left) && is_decimal(right) {
                    self.flaw(HazardKind::CaretForPower, statement, text.to_owned(), out);
                }
            }
            BinaryOp::Shl | BinaryOp::Shr => {
                let small = match left {
                    Operand::Constant(Constant::Number(number)) => number.parse::<u64>().ok(),
                    _ => None,
                };
                let is_swapped = match small {
                    // One shifted to the left is a power of two; eight is hardly ever meant.
                    Some(value) if is_machine("shl") => value > 0 && value % 8 == 0 && value <= 256,
                    Some(value) if is_machine("shr") || is_machine("sar") => {
                        value > 0 && value <= 256
                    }
                    _ => false,
                };
                if is_swapped && self.is_given(right) {
                    self.flaw(HazardKind::SwappedShift, statement, text.to_owned(), out);
                }
            }
            _ => {}
        }
    }

    /// A value that comes from outside of the function, rather than one that was computed as a number of bits.
    fn is_given(&self, operand: &Operand) -> bool {
        let Operand::Local(id) = self.entry.canonical(operand) else { return false };
        match self.entry.only_definition(id).map(|statement| &statement.kind) {
            None => self.entry.view.body.locals[id.index()].is_param,
            Some(StatementKind::Load { .. } | StatementKind::Call(_)) => true,
            Some(StatementKind::Assign { value: Rvalue::Pure(name, _), .. }) => {
                matches!(*name, "calldata" | "mload" | "element" | "field")
            }
            _ => false,
        }
    }

    /// The division that `factor` is the result of, in the same function, and its divisor.
    fn quotient(&self, factor: &Operand, frame: FrameId) -> Option<(&Statement, &Operand)> {
        let Operand::Local(id) = self.entry.canonical(factor) else { return None };
        let statement = self.entry.only_definition(id)?;
        match &statement.kind {
            StatementKind::Assign {
                value: Rvalue::Binary(BinaryOp::Div, dividend, divisor),
                ..
            } if statement.frame == frame
                    && !self.text(statement).starts_with("div")
                    // Sizes are cut into pieces on purpose.
                    && !Origin::of(self.entry, dividend, false).length =>
            {
                Some((statement, divisor))
            }
            _ => None,
        }
    }

    /// Whether the quotient is elsewhere multiplied by its divisor: the remainder is made.
    fn is_taken_back(&self, quotient: &Operand, divisor: &Operand) -> bool {
        self.entry.statements().any(|(_, statement)| match &statement.kind {
            StatementKind::Assign {
                value:
                    Rvalue::Binary(BinaryOp::Mul, left, right)
                    | Rvalue::Wrapping(BinaryOp::Mul, left, right),
                ..
            } => [(left, right), (right, left)].into_iter().any(|(factor, other)| {
                self.is_same(factor, quotient) && self.is_same(other, divisor)
            }),
            _ => false,
        })
    }

    /// Whether two operands stand for the same value, as far as the function alone tells.
    fn is_same(&self, left: &Operand, right: &Operand) -> bool {
        let (left, right) = (self.entry.canonical(left), self.entry.canonical(right));
        if left == right {
            return true;
        }
        let place = |operand: &Operand| match operand {
            Operand::Local(id) => match &self.entry.definitions[id.index()] {
                [at] if matches!(self.entry.statement(*at).kind, StatementKind::Load { .. }) => {
                    Some(self.entry.accessed(*at))
                }
                _ => None,
            },
            _ => None,
        };
        match (place(&left), place(&right)) {
            (Some(left), Some(right)) => !left.is_empty() && left == right,
            _ => false,
        }
    }

    /// Two texts of any length, each the caller's or kept: where one ends and the other begins is lost.
    fn are_ambiguous(&self, operands: &[Operand]) -> bool {
        let is_text = |operand: &&Operand| {
            let Operand::Local(id) = self.entry.canonical(operand) else { return false };
            let local = &self.entry.view.body.locals[id.index()];
            let is_dynamic = matches!(
                local.ty,
                Type::Bytes | Type::String | Type::Array(_, ArrayLength::Dynamic)
            );
            let is_kept = self
                .entry
                .only_definition(id)
                .is_some_and(|statement| matches!(statement.kind, StatementKind::Load { .. }));
            is_dynamic && (local.is_param || is_kept)
        };
        operands.iter().filter(is_text).count() > 1
    }

    fn is_hashed(&self, packed: LocalId) -> bool {
        self.entry.statements().any(|(_, statement)| match &statement.kind {
            StatementKind::Assign {
                value: Rvalue::Pure("keccak256" | "sha256", operands), ..
            } => operands
                .iter()
                .any(|operand| self.entry.canonical(operand) == Operand::Local(packed)),
            _ => false,
        })
    }
}
