//! Expressions to statements and values.

use super::ir::*;
use super::lower::Lowerer;
use super::value::Value;
use crate::hir::{ArrayLength, FunctionId, Type, elementary_type};
use crate::syntax::Span;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind};

impl Lowerer<'_> {
    /// The value of an expression, read from storage where it stands there.
    pub(crate) fn operand(&mut self, expr: &Expr) -> (Operand, Type) {
        let value = self.expr(expr);
        self.read(value, expr.span)
    }

    /// Makes a value of what an expression stands for.
    pub(crate) fn read(&mut self, value: Value, span: Span) -> (Operand, Type) {
        match value {
            Value::Operand(operand, ty) => (operand, ty),
            Value::Place(place, ty) if matches!(ty, Type::Mapping(..)) => {
                (Operand::Storage(Box::new(place)), ty)
            }
            Value::Place(place, ty) => (self.b.load(place, ty.clone(), span), ty),
            Value::Element { value, ty, .. } => (value, ty),
            // Before 0.5 a low-level call gave only its success.
            Value::Tuple(parts) => match parts.into_iter().next().flatten() {
                Some(first) => self.read(first, span),
                None => (Operand::unknown(), Type::Unknown),
            },
            Value::Functions(functions, _) => match functions.first() {
                Some(&id) => {
                    (Operand::Constant(Constant::Function(id)), self.function_type(id, false))
                }
                None => (Operand::unknown(), Type::Unknown),
            },
            Value::External { callee, functions, .. } => match functions.first() {
                Some(&id) => (callee, self.function_type(id, true)),
                None => (callee, Type::Unknown),
            },
            _ => (Operand::unknown(), Type::Unknown),
        }
    }

    fn function_type(&self, id: FunctionId, is_external: bool) -> Type {
        let function = self.program.function(id);
        Type::Function(Box::new(crate::hir::FunctionType {
            params: function.params.iter().map(|param| param.ty.clone()).collect(),
            returns: function.returns.iter().map(|param| param.ty.clone()).collect(),
            is_external,
        }))
    }

    /// Passes a value on: as a reference where storage is wanted, else read.
    pub(crate) fn pass(&mut self, value: Value, wants_storage: bool, span: Span) -> Operand {
        match value {
            Value::Place(place, ty) if wants_storage || matches!(ty, Type::Mapping(..)) => {
                Operand::Storage(Box::new(place))
            }
            other => self.read(other, span).0,
        }
    }

    /// Splits a value into the parts of a tuple.
    pub(crate) fn parts(&mut self, value: Value, wanted: usize) -> Vec<Value> {
        match value {
            Value::Tuple(parts) => {
                parts.into_iter().map(|part| part.unwrap_or(Value::Nothing)).collect()
            }
            Value::Operand(operand, Type::Unknown) => {
                vec![Value::Operand(operand, Type::Unknown); wanted]
            }
            other => vec![other],
        }
    }

    pub(crate) fn expr(&mut self, expr: &Expr) -> Value {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Ident(name) => self.ident(name, span),
            ExprKind::Number(number, unit) => {
                let text =
                    unit.as_ref().map_or_else(|| number.clone(), |unit| format!("{number} {unit}"));
                let is_address = number.len() == 42 && number.starts_with("0x");
                let ty = if is_address { Type::Address } else { Type::Number };
                Value::Operand(Operand::Constant(Constant::Number(text)), ty)
            }
            ExprKind::Bool(value) => {
                Value::Operand(Operand::Constant(Constant::Bool(*value)), Type::Bool)
            }
            ExprKind::Text(text) => {
                Value::Operand(Operand::Constant(Constant::Text(text.clone())), Type::String)
            }
            ExprKind::Hex(text) => {
                Value::Operand(Operand::Constant(Constant::Text(text.clone())), Type::String)
            }
            ExprKind::Elementary(elementary) => Value::Type(elementary_type(*elementary)),
            ExprKind::Mapping(..) | ExprKind::FunctionType { .. } => {
                self.note_type(expr);
                Value::Type(self.program.resolve_type(self.scope, expr))
            }
            ExprKind::Member(base, name) => {
                let base = self.expr(base);
                let value = self.member(base, &name.text, span);
                self.note_name(name.span, value.is_known());
                value
            }
            ExprKind::Index(base, index) => self.index(base, index.as_deref(), span),
            ExprKind::Slice(base, from, to) => {
                let (base, ty) = self.operand(base);
                let mut operands = vec![base];
                for bound in [from, to].into_iter().flatten() {
                    operands.push(self.operand(bound).0);
                }
                Value::Operand(
                    self.b.compute(Rvalue::Pure("slice", operands), ty.clone(), span),
                    ty,
                )
            }
            ExprKind::Call(callee, args) => {
                let named: Vec<_> = args.iter().map(|arg| (None, arg)).collect();
                self.call_expr(callee, &named, span)
            }
            ExprKind::NamedCall(callee, args) => {
                let named: Vec<_> = args.iter().map(|(name, arg)| (Some(name), arg)).collect();
                self.call_expr(callee, &named, span)
            }
            ExprKind::Options(callee, options) => {
                let callable = self.expr(callee);
                let (mut value, mut gas) = (None, None);
                for (name, option) in options {
                    let operand = self.operand(option).0;
                    match name.text.as_str() {
                        "value" => value = Some(operand),
                        "gas" => gas = Some(operand),
                        _ => {}
                    }
                }
                Value::WithOptions { callable: Box::new(callable), value, gas }
            }
            ExprKind::New(ty) => {
                self.note_type(ty);
                Value::New(self.program.resolve_type(self.scope, ty))
            }
            ExprKind::Unary(op, inner) => self.unary(*op, inner, span),
            ExprKind::Step(op, is_prefix, inner) => {
                let target = self.expr(inner);
                let (old, ty) = self.read(target.clone(), span);
                let old = if *is_prefix { old } else { self.keep(old, &ty, span) };
                let new = self.arithmetic(*op, old.clone(), Operand::number("1"), ty.clone(), span);
                self.assign_to(target, new.clone(), span);
                Value::Operand(if *is_prefix { new } else { old }, ty)
            }
            ExprKind::Delete(inner) => {
                let target = self.expr(inner);
                self.assign_to(target, Operand::Constant(Constant::Default), span);
                Value::Nothing
            }
            ExprKind::Binary(op @ (BinaryOp::And | BinaryOp::Or), left, right) => {
                self.short_circuit(*op, left, right, span)
            }
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right, span),
            ExprKind::Assign(op, left, right) => self.assign(*op, left, right, span),
            ExprKind::Conditional(condition, left, right) => {
                self.conditional(condition, left, right, span)
            }
            ExprKind::Tuple(items) => {
                if items.len() == 1
                    && let Some(Some(only)) = items.first()
                {
                    return self.expr(only);
                }
                Value::Tuple(
                    items.iter().map(|item| item.as_ref().map(|item| self.expr(item))).collect(),
                )
            }
            ExprKind::Array(items) => {
                let mut element = Type::Unknown;
                let operands: Vec<_> = items
                    .iter()
                    .map(|item| {
                        let (operand, ty) = self.operand(item);
                        element = ty;
                        operand
                    })
                    .collect();
                let length = ArrayLength::Fixed(operands.len() as u64);
                let ty = Type::Array(Box::new(element), length);
                Value::Operand(
                    self.b.compute(Rvalue::Pure("array", operands), ty.clone(), span),
                    ty,
                )
            }
            ExprKind::Error => {
                self.unknown(span);
                Value::unknown()
            }
        }
    }

    /// Copies a variable that is about to change.
    pub(super) fn keep(&mut self, operand: Operand, ty: &Type, span: Span) -> Operand {
        let Operand::Local(id) = operand else { return operand };
        if self.b.locals[id.index()].name.is_none() {
            return operand;
        }
        self.b.compute(Rvalue::Use(operand), ty.clone(), span)
    }

    fn index(&mut self, base: &Expr, index: Option<&Expr>, span: Span) -> Value {
        let base_value = self.expr(base);
        let Some(index) = index else {
            // `T[]` as a type.
            return match base_value {
                Value::Type(ty) => Value::Type(Type::Array(Box::new(ty), ArrayLength::Dynamic)),
                _ => Value::unknown(),
            };
        };
        if let Value::Type(ty) = base_value {
            return Value::Type(Type::Array(Box::new(ty), ArrayLength::FixedUnknown));
        }
        let (key, _) = self.operand(index);
        // The key names the element as it is now, whatever becomes of the variable.
        let element = |ty: &Type| match ty {
            Type::Mapping(_, value) => (**value).clone(),
            Type::Array(element, _) => (**element).clone(),
            Type::Bytes | Type::FixedBytes(_) => Type::FixedBytes(1),
            _ => Type::Unknown,
        };
        match base_value {
            Value::Place(place, ty) => Value::Place(place.then(Key::Index(key)), element(&ty)),
            Value::Element { root, mut keys, value, ty } => {
                let ty = element(&ty);
                keys.push(key.clone());
                let value =
                    self.b.compute(Rvalue::Pure("element", vec![value, key]), ty.clone(), span);
                Value::Element { root, keys, value, ty }
            }
            other => {
                let (operand, ty) = self.read(other, base.span);
                let ty = element(&ty);
                let root = match &operand {
                    Operand::Local(id) => Some(*id),
                    _ => None,
                };
                let value = self.b.compute(
                    Rvalue::Pure("element", vec![operand, key.clone()]),
                    ty.clone(),
                    span,
                );
                Value::Element { root, keys: vec![key], value, ty }
            }
        }
    }
}
