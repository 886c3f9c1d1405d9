//! Operators, conditions and assignments.

use super::ir::*;
use super::lower::Lowerer;
use super::value::Value;
use crate::hir::Type;
use crate::syntax::Span;
use crate::syntax::ast::{self, BinaryOp, Expr, Location, UnaryOp};

impl Lowerer<'_> {
    pub(super) fn unary(&mut self, op: UnaryOp, inner: &Expr, span: Span) -> Value {
        let (operand, ty) = self.operand(inner);
        if let Some(function) = self.program.operator(self.scope, &ty, ast::Operator::Unary(op)) {
            return self.call_function(function, Dispatch::Static, vec![operand], span);
        }
        if let (UnaryOp::Negate, Operand::Constant(Constant::Number(number))) = (op, &operand) {
            return Value::Operand(Operand::Constant(Constant::Number(format!("-{number}"))), ty);
        }
        let ty = if op == UnaryOp::Not { Type::Bool } else { ty };
        Value::Operand(self.b.compute(Rvalue::Unary(op, operand), ty.clone(), span), ty)
    }

    pub(super) fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, span: Span) -> Value {
        let (left, left_ty) = self.operand(left);
        let (right, right_ty) = self.operand(right);
        if let Some(function) =
            self.program.operator(self.scope, &left_ty, ast::Operator::Binary(op))
        {
            return self.call_function(function, Dispatch::Static, vec![left, right], span);
        }
        let ty = if op.is_comparison() {
            Type::Bool
        } else if left_ty == Type::Number
            || (right_ty.accepts(&left_ty, self.program) && right_ty != Type::Number)
        {
            right_ty
        } else {
            left_ty
        };
        let operand = self.arithmetic(op, left, right, ty.clone(), span);
        Value::Operand(operand, ty)
    }

    pub(super) fn arithmetic(
        &mut self,
        op: BinaryOp,
        left: Operand,
        right: Operand,
        ty: Type,
        span: Span,
    ) -> Operand {
        let overflows = matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Pow);
        let is_checked = !self.is_unchecked
            && self
                .program
                .files
                .get(self.scope.file.0 as usize)
                .is_none_or(|file| file.is_checked);
        let value = if overflows && !is_checked {
            Rvalue::Wrapping(op, left, right)
        } else {
            Rvalue::Binary(op, left, right)
        };
        self.b.compute(value, ty, span)
    }

    pub(super) fn short_circuit(
        &mut self,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
        span: Span,
    ) -> Value {
        let result = self.b.local(None, Type::Bool);
        let (more, short, after) = (self.b.block(), self.b.block(), self.b.block());
        match op {
            BinaryOp::And => self.condition(left, more, short),
            _ => self.condition(left, short, more),
        }
        self.b.at = short;
        let known = Rvalue::Use(Operand::Constant(Constant::Bool(op == BinaryOp::Or)));
        self.b.push(StatementKind::Assign { target: result, value: known }, left.span);
        self.b.goto(after);
        self.b.at = more;
        let (operand, _) = self.operand(right);
        self.b.push(StatementKind::Assign { target: result, value: Rvalue::Use(operand) }, span);
        self.b.goto(after);
        Value::Operand(Operand::Local(result), Type::Bool)
    }

    pub(super) fn conditional(
        &mut self,
        condition: &Expr,
        left: &Expr,
        right: &Expr,
        span: Span,
    ) -> Value {
        let (yes, no, after) = (self.b.block(), self.b.block(), self.b.block());
        self.condition(condition, yes, no);
        let mut results: Vec<LocalId> = Vec::new();
        let mut is_tuple = false;
        for (block, side) in [(yes, left), (no, right)] {
            self.b.at = block;
            let value = self.expr(side);
            let parts = match value {
                Value::Tuple(parts) => {
                    is_tuple = true;
                    parts.into_iter().map(|part| part.unwrap_or(Value::Nothing)).collect()
                }
                other => vec![other],
            };
            for (index, part) in parts.into_iter().enumerate() {
                let is_storage = matches!(&part, Value::Place(_, ty) if ty.is_reference());
                let ty = part.ty();
                let operand = self.pass(part, is_storage, side.span);
                if results.len() <= index {
                    let local = self.b.local(None, ty);
                    if is_storage {
                        self.b.locals[local.index()].location = Some(Location::Storage);
                    }
                    results.push(local);
                } else if self.b.locals[results[index].index()].ty == Type::Number {
                    self.b.locals[results[index].index()].ty = ty;
                }
                self.b.push(
                    StatementKind::Assign { target: results[index], value: Rvalue::Use(operand) },
                    span,
                );
            }
            self.b.goto(after);
        }
        let values: Vec<_> = results.into_iter().map(|id| self.local_value(id)).collect();
        if is_tuple {
            return Value::Tuple(values.into_iter().map(Some).collect());
        }
        values.into_iter().next().unwrap_or_else(Value::unknown)
    }

    pub(super) fn assign(
        &mut self,
        op: Option<BinaryOp>,
        left: &Expr,
        right: &Expr,
        span: Span,
    ) -> Value {
        let value = self.expr(right);
        let target = self.expr(left);
        if let (Value::Tuple(targets), None) = (&target, op) {
            let mut values = self.parts(value, targets.len());
            // All values are read before any of them is written: `(a, b) = (b, a)` swaps.
            for (value, target) in values.iter_mut().zip(targets) {
                let moves_a_reference = matches!(target, Some(Value::Place(Place { root: Root::Reference(_), path }, _)) if path.is_empty());
                if !moves_a_reference && !matches!(value, Value::Nothing) {
                    let (operand, ty) = self.read(value.clone(), span);
                    *value = Value::Operand(self.keep(operand, &ty, span), ty);
                }
            }
            for (target, value) in targets.clone().into_iter().zip(values) {
                if let Some(target) = target {
                    self.assign_value(target, value, span);
                }
            }
            return target;
        }
        let Some(op) = op else {
            return self.assign_value(target, value, span);
        };
        let (right, right_ty) = self.read(value, right.span);
        let (old, ty) = self.read(target.clone(), left.span);
        let new = match self.program.operator(self.scope, &ty, ast::Operator::Binary(op)) {
            Some(function) => {
                let value = self.call_function(function, Dispatch::Static, vec![old, right], span);
                self.read(value, span).0
            }
            None => self.arithmetic(
                op,
                old,
                right,
                if ty == Type::Unknown { right_ty } else { ty.clone() },
                span,
            ),
        };
        self.assign_to(target, new.clone(), span);
        Value::Operand(new, ty)
    }

    fn assign_value(&mut self, target: Value, value: Value, span: Span) -> Value {
        // Assigning to a storage reference makes it point elsewhere.
        if let Value::Place(Place { root: Root::Reference(id), path }, _) = &target
            && path.is_empty()
        {
            let operand = self.pass(value, true, span);
            self.b.push(StatementKind::Assign { target: *id, value: Rvalue::Use(operand) }, span);
            return target;
        }
        let ty = value.ty();
        let (operand, _) = self.read(value, span);
        self.assign_to(target, operand.clone(), span);
        Value::Operand(operand, ty)
    }

    pub(crate) fn assign_to(&mut self, target: Value, operand: Operand, span: Span) {
        match target {
            Value::Place(place, _) => {
                self.b.push(StatementKind::Store { place, value: operand }, span)
            }
            Value::Operand(Operand::Local(id), _) => {
                self.b
                    .push(StatementKind::Assign { target: id, value: Rvalue::Use(operand) }, span);
            }
            // Immutables are state to the constructor that sets them, and constants to everything after it.
            Value::Operand(Operand::Constant(Constant::Variable(id)), _)
                if self.program.variable(id).is_immutable =>
            {
                let place = Place::variable(id);
                self.b.push(StatementKind::Store { place, value: operand }, span);
            }
            Value::Element { root: Some(root), keys, .. } => {
                let mut operands = vec![Operand::Local(root), operand];
                operands.extend(keys);
                self.b.push(
                    StatementKind::Assign { target: root, value: Rvalue::Pure("update", operands) },
                    span,
                );
            }
            Value::Tuple(parts) => {
                for part in parts.into_iter().flatten() {
                    self.assign_to(part, operand.clone(), span);
                }
            }
            _ => {}
        }
    }
}
