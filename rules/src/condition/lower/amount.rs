//! Amounts: literals with units, arithmetic, and what is known of a result before any fact is.

use cel::common::ast::{Expr, IdedExpr, LiteralValue};
use ruint::aliases::U256;

use super::{Lowered, Lowering, Scope, Typed};
use crate::condition::Complaint;
use crate::condition::literal;
use crate::condition::range::Range;
use crate::condition::syntax::Source;
use crate::condition::tree::{Amount, Operation};
use crate::facts::{Dictionary, Subject};
use crate::list::Lists;

/// Functions that make a constant amount: name, decimals, unit.
pub(super) const AMOUNT_LITERALS: &[(&str, usize, &str)] = &[
    ("eth", 18, "wei"),
    ("gwei", 9, "wei"),
    ("wei", 0, "wei"),
    ("bps", 0, "bps"),
    ("blocks", 0, "blocks"),
];
/// Functions of two amounts.
pub(super) const AMOUNT_FUNCTIONS: &[(&str, Operation)] =
    &[("above", Operation::Above), ("min", Operation::Smaller), ("max", Operation::Larger)];
/// An amount with what is known of it at load.
pub(super) struct Quantity {
    pub(super) amount: Amount,
    /// Empty where any unit fits: plain numbers, products.
    pub(super) unit: &'static str,
    pub(super) range: Range,
}

impl Quantity {
    pub(super) fn constant(value: U256, unit: &'static str) -> Self {
        Self { amount: Amount::Constant(value), unit, range: Range::only(value) }
    }
}

impl<'a> Lowering<'a> {
    /// Evaluates the source as a constant amount for a fact whose unit is `unit`.
    pub(in crate::condition) fn constant(source: &'a Source, unit: &str) -> Lowered<U256> {
        let nothing = Dictionary::new(Subject::Transaction, []);
        let lists = Lists::new();
        let scope = Scope { dictionary: &nothing, all: &[], lists: &lists, suffix: "" };
        let mut lowering = Lowering::new(source, scope);
        let quantity = lowering.quantity(&source.root)?;
        let span = source.span(&source.root);
        if !quantity.unit.is_empty() && !unit.is_empty() && quantity.unit != unit {
            return Err(Complaint::new(
                span,
                format!("this amount is in {}, the fact is in {unit}", quantity.unit),
            ));
        }
        match quantity.amount {
            Amount::Constant(value) => Ok(value),
            _ => Err(Complaint::new(span, "expected a constant amount")),
        }
    }

    pub(super) fn amount_literal(
        &self,
        expression: &IdedExpr,
        name: &str,
        arguments: &[IdedExpr],
        decimals: usize,
        unit: &'static str,
    ) -> Lowered<Typed> {
        let text = match arguments {
            [IdedExpr { expr: Expr::Literal(LiteralValue::String(text)), .. }] => {
                text.inner().to_owned()
            }
            [argument @ IdedExpr { expr: Expr::Literal(LiteralValue::Int(value)), .. }] => {
                let Ok(value) = u64::try_from(*value.inner()) else {
                    return Err(self.complain(argument, "amounts are never negative"));
                };
                value.to_string()
            }
            // The digits of the author, not the float that CEL made of them.
            [argument @ IdedExpr { expr: Expr::Literal(LiteralValue::Double(_)), .. }] => {
                self.source.text(self.source.token(argument))
            }
            _ => {
                return Err(self.complain(
                    expression,
                    format!("`{name}` takes one number, or its digits as text where it is large"),
                ));
            }
        };
        literal::decimal(&text, decimals)
            .map(|value| Typed::Amount(Quantity::constant(value, unit)))
            .map_err(|message| self.complain(expression, message))
    }

    pub(super) fn arithmetic(
        &mut self,
        expression: &IdedExpr,
        operation: Operation,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Lowered<Typed> {
        let left = self.quantity(left)?;
        let right = self.quantity(right)?;
        let unit = match operation {
            // A product of two units has none that a comparison could check.
            Operation::Multiply if left.unit.is_empty() => right.unit,
            Operation::Multiply if right.unit.is_empty() => left.unit,
            Operation::Multiply => "",
            Operation::Divide if right.unit.is_empty() => left.unit,
            Operation::Divide => "",
            Operation::Remainder => left.unit,
            Operation::Add
            | Operation::Subtract
            | Operation::Above
            | Operation::Smaller
            | Operation::Larger => self.common_unit(expression, &left, &right)?,
        };
        if let (Amount::Constant(left), Amount::Constant(right)) = (&left.amount, &right.amount) {
            return match operation.apply(*left, *right) {
                Some(value) => Ok(Typed::Amount(Quantity::constant(value, unit))),
                None => {
                    Err(self
                        .complain(expression, "this amount does not fit into 256 unsigned bits"))
                }
            };
        }
        let range = left.range.apply(operation, right.range);
        let amount = Amount::Binary {
            operation,
            left: Box::new(left.amount),
            right: Box::new(right.amount),
        };
        Ok(Typed::Amount(Quantity { amount, unit, range }))
    }

    pub(super) fn quantity(&mut self, expression: &IdedExpr) -> Lowered<Quantity> {
        match self.typed(expression)? {
            Typed::Amount(quantity) => Ok(quantity),
            other => {
                Err(self
                    .complain(expression, format!("expected an amount, found {}", other.kind())))
            }
        }
    }

    /// The unit of two amounts that are added or compared.
    pub(super) fn common_unit(
        &self,
        expression: &IdedExpr,
        left: &Quantity,
        right: &Quantity,
    ) -> Lowered<&'static str> {
        match (left.unit, right.unit) {
            ("", unit) | (unit, "") => Ok(unit),
            (left, right) if left == right => Ok(left),
            (left, right) => {
                Err(self
                    .complain(expression, format!("one side is in {left}, the other in {right}")))
            }
        }
    }
}
