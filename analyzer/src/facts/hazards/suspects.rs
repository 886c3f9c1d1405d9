//! Bodies that hold nothing that could be a flaw are told before any view of them is composed.
//!
//! What is asked here of a body alone is less than what makes a flaw in a view of it; a test holds the two against
//! each other.

use super::comparisons::{is_foregone, reads_the_same};
use crate::cfg::*;
use crate::hir::Program;
use crate::syntax::ast::BinaryOp;

/// Whether a view that this body is put into could have a flaw because of it.
pub(super) fn is_suspect(program: &Program, body: &Body) -> bool {
    let (mut multiplies, mut divides) = (false, false);
    let mut given = body.modifiers.iter().flat_map(|modifier| &modifier.args);
    given.any(is_chance)
        || body.graph.node_weights().any(|block| {
            let is_decided = matches!(
                block.end,
                End::Branch { condition: Operand::Constant(Constant::Bool(_)), .. }
            );
            is_decided
                || block.statements.iter().any(|statement| {
                    let mut is_suspect = false;
                    statement.each_operand(&mut |operand| is_suspect |= is_chance(operand));
                    is_suspect
                        || match &statement.kind {
                            StatementKind::Assign { value, .. } => {
                                if let Rvalue::Binary(op, ..) | Rvalue::Wrapping(op, ..) = value {
                                    multiplies |= *op == BinaryOp::Mul;
                                    divides |= *op == BinaryOp::Div;
                                }
                                (multiplies && divides)
                                    || is_suspect_value(program, body, statement, value)
                            }
                            // Emptying state may leave something behind.
                            StatementKind::Store { value, .. } => {
                                *value == Operand::Constant(Constant::Default)
                            }
                            // What others answer can be used in many wrong ways.
                            StatementKind::Call(call) => {
                                matches!(call.kind, CallKind::External { .. })
                            }
                            _ => false,
                        }
                })
        })
}

/// What chance is made of.
fn is_chance(operand: &Operand) -> bool {
    match operand {
        Operand::Environment(Environment::Block(name)) => matches!(
            *name,
            "timestamp" | "number" | "difficulty" | "prevrandao" | "coinbase" | "gaslimit"
        ),
        Operand::Storage(place) => {
            let mut found = false;
            place.each_operand(&mut |key| found |= is_chance(key));
            found
        }
        _ => false,
    }
}

fn is_suspect_value(program: &Program, body: &Body, statement: &Statement, value: &Rvalue) -> bool {
    let text = || program.text(statement.span);
    match value {
        Rvalue::Pure("ecrecover" | "balance" | "blockhash", _) => true,
        Rvalue::Pure("abi.encode", _) => text().starts_with("abi.encodePacked"),
        Rvalue::Wrapping(op, left, right) => {
            let file = program.files.get(statement.span.file.0 as usize);
            is_odd(*op, left, right)
                || (*op != BinaryOp::Pow && file.is_some_and(|file| !file.is_checked))
        }
        Rvalue::Binary(op, left, right) => {
            is_odd(*op, left, right)
                || (op.is_comparison()
                    && (is_foregone(program, body, *op, left, right) || reads_the_same(text())))
        }
        _ => false,
    }
}

/// Operators that are mistaken for others.
fn is_odd(op: BinaryOp, left: &Operand, right: &Operand) -> bool {
    let is_number = |operand: &Operand| matches!(operand, Operand::Constant(Constant::Number(_)));
    match op {
        BinaryOp::BitXor => is_number(left) && is_number(right),
        BinaryOp::Shl | BinaryOp::Shr => is_number(left),
        _ => false,
    }
}
