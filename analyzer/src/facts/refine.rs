//! What a condition tells of storage, on the way that is taken because it holds, or because it does not.
//!
//! Only state is asked for that is made of itself: a lock that is turned round (`busy = !busy`), counted up and down,
//! or one bit of a word. What other state holds is told by what is written to it.

use petgraph::graph::NodeIndex;
use ruint::aliases::U256;

use super::constants::{Constants, State};
use super::entry::{AbsolutePlace, At, covers, overlap};
use super::known::Known;
use crate::cfg::*;
use crate::hir::Type;
use crate::syntax::ast::{BinaryOp, UnaryOp};

/// Conditions are followed through no more definitions than this.
const MAX_STEPS: usize = 12;

/// What is known of a value on one way.
enum Told {
    /// Whether it is taken for true.
    Truth(bool),
    /// Which number it is.
    Is(U256),
    /// Which number it is not.
    IsNot(U256),
}

impl Constants<'_, '_> {
    /// What holds on the way from a block over one of its edges; `None` where the condition tells nothing new.
    pub(super) fn refined(&self, block: NodeIndex, edge: Edge, state: &State) -> Option<State> {
        if self.entry.turned.is_empty() {
            return None;
        }
        let End::Branch { condition, .. } = &self.entry.view.body.graph[block].end else {
            return None;
        };
        let (place, known) = self.told(block, condition, Told::Truth(edge == Edge::True), state)?;
        let known = match (state.storage.get(&place), known) {
            (Some(Known::Number(_) | Known::Symbol(_)), _) => return None,
            (Some(Known::Bits { mask, ones }), Known::Bits { mask: new, ones: set }) => {
                Known::bits(*mask | new, *ones | set)?
            }
            (_, known) => known,
        };
        let mut refined = state.clone();
        refined.storage.insert(place, known);
        Some(refined)
    }

    /// The place that an operand was read from, and what is known of it.
    fn told(
        &self,
        block: NodeIndex,
        operand: &Operand,
        told: Told,
        state: &State,
    ) -> Option<(AbsolutePlace, Known)> {
        let (mut operand, mut told) = (operand.clone(), told);
        for _ in 0..MAX_STEPS {
            let Operand::Local(id) = operand else { return None };
            let [at] = self.entry.definitions[id.index()] else { return None };
            if !self.entry.is_single(id) {
                return None;
            }
            match &self.entry.statement(at).kind {
                StatementKind::Load { .. } => {
                    let place = self.still_read(block, at)?;
                    let is_truth = self.entry.view.body.locals[id.index()].ty == Type::Bool;
                    let known = match told {
                        Told::Truth(truth) if is_truth || !truth => Known::truth(truth),
                        Told::Truth(_) => Known::NonZero,
                        Told::Is(number) => Known::Number(number),
                        Told::IsNot(number) if is_truth => Known::truth(number.is_zero()),
                        Told::IsNot(number) if number.is_zero() => Known::NonZero,
                        Told::IsNot(_) => return None,
                    };
                    return Some((place, known));
                }
                StatementKind::Assign { value, .. } => match value {
                    Rvalue::Use(inner) | Rvalue::Cast(inner) => operand = inner.clone(),
                    Rvalue::Unary(UnaryOp::Not, inner) => {
                        let Told::Truth(truth) = told else { return None };
                        operand = inner.clone();
                        told = Told::Truth(!truth);
                    }
                    Rvalue::Binary(op, left, right) | Rvalue::Wrapping(op, left, right) => {
                        let (inner, number) =
                            match (self.operand(left, state), self.operand(right, state)) {
                                (_, Some(Known::Number(number))) => (left, number),
                                (Some(Known::Number(number)), _) if is_symmetric(*op) => {
                                    (right, number)
                                }
                                _ => return None,
                            };
                        if *op == BinaryOp::BitAnd {
                            return self.told_of_bits(block, inner, number, &told);
                        }
                        let Told::Truth(truth) = told else { return None };
                        told = compared(*op, number, truth)?;
                        operand = inner.clone();
                    }
                    _ => return None,
                },
                _ => return None,
            }
        }
        None
    }

    /// The same, of the bits of a place that `mask` cuts out.
    fn told_of_bits(
        &self,
        block: NodeIndex,
        whole: &Operand,
        mask: U256,
        told: &Told,
    ) -> Option<(AbsolutePlace, Known)> {
        let Operand::Local(id) = self.entry.canonical(whole) else { return None };
        let [at] = self.entry.definitions[id.index()] else { return None };
        let is_one_bit = mask.count_ones() == 1;
        let ones = match told {
            Told::Truth(false) => U256::ZERO,
            Told::Is(number) => *number,
            Told::Truth(true) if is_one_bit => mask,
            Told::IsNot(number) if is_one_bit && number.is_zero() => mask,
            Told::IsNot(number) if is_one_bit && *number == mask => U256::ZERO,
            Told::Truth(_) | Told::IsNot(_) => return None,
        };
        Some((self.still_read(block, at)?, Known::bits(mask, ones)?))
    }

    /// The place that the load at `at` reads, where it is state that is made of itself and still holds the same at
    /// the end of `block`.
    fn still_read(&self, block: NodeIndex, at: At) -> Option<AbsolutePlace> {
        let [place] = self.entry.accessed(at) else { return None };
        let is_load = matches!(self.entry.statement(at).kind, StatementKind::Load { .. });
        let is_turned = self.entry.turned.iter().any(|turned| covers(turned, place));
        let is_overwritten = self.entry.stores_in(block).iter().any(|&index| {
            index > at.index
                && self
                    .entry
                    .accessed(At { block, index })
                    .iter()
                    .any(|written| overlap(written, place))
        });
        (is_load && is_turned && at.block == block && !is_overwritten).then(|| place.clone())
    }
}

/// What is told of a number by its comparison with `other` coming out as `truth`.
fn compared(op: BinaryOp, other: U256, truth: bool) -> Option<Told> {
    let one = U256::from(1);
    match (op, truth) {
        (BinaryOp::Eq, true) | (BinaryOp::Ne, false) => Some(Told::Is(other)),
        (BinaryOp::Eq, false) | (BinaryOp::Ne, true) => Some(Told::IsNot(other)),
        // Below one there is only zero.
        (BinaryOp::Lt, true) | (BinaryOp::Ge, false) if other == one => Some(Told::Is(U256::ZERO)),
        (BinaryOp::Le, true) | (BinaryOp::Gt, false) if other.is_zero() => {
            Some(Told::Is(U256::ZERO))
        }
        (BinaryOp::Gt, true) | (BinaryOp::Le, false) if other.is_zero() => {
            Some(Told::IsNot(U256::ZERO))
        }
        (BinaryOp::Ge, true) | (BinaryOp::Lt, false) if other == one => {
            Some(Told::IsNot(U256::ZERO))
        }
        _ => None,
    }
}

fn is_symmetric(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::BitAnd)
}
