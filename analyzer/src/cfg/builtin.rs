//! Functions of the language itself: checks, conversions, hashes and encodings.

use super::call::Arg;
use super::ir::*;
use super::lower::Lowerer;
use super::value::Value;
use crate::hir::Type;
use crate::syntax::Span;
use crate::syntax::ast::{ExprKind, Name};

impl Lowerer<'_> {
    /// `require`, `assert` and `revert`, unless the program declares such a function itself.
    pub(super) fn check_call(&mut self, name: &str, at: Span, args: &[Arg<'_>]) -> Option<Value> {
        if !matches!(name, "require" | "assert" | "revert")
            || !self.program.lookup(self.scope, name).is_empty()
        {
            return None;
        }
        self.note_name(at, true);
        if name == "revert" {
            for (_, arg) in args {
                self.expr(arg);
            }
            self.b.end(End::Revert);
            return Some(Value::Nothing);
        }
        let (_, condition) = args.first()?;
        let (go_on, fail) = (self.b.block(), self.b.block());
        self.condition(condition, go_on, fail);
        self.b.at = fail;
        // The message is computed only where the check fails.
        for (_, arg) in args.iter().skip(1) {
            self.expr(arg);
        }
        let last = self.b.at;
        self.b.graph[last].end = End::Revert;
        self.b.at = go_on;
        Some(Value::Nothing)
    }

    pub(super) fn convert(&mut self, ty: Type, args: &[Arg<'_>], span: Span) -> Value {
        if let Type::Struct(id) = &ty {
            let position = |name: Option<&Name>| {
                let fields = &self.program.structs[id.index()].fields;
                name.and_then(|name| fields.iter().position(|(field, _)| *field == name.text))
            };
            let mut args = args.to_vec();
            let known: Vec<_> = args
                .iter()
                .filter_map(|(name, _)| {
                    name.map(|name| (name.span, position(Some(name)).is_some()))
                })
                .collect();
            if known.len() == args.len() {
                args.sort_by_key(|(name, _)| position(*name));
            }
            for (span, is_known) in known {
                self.note_name(span, is_known);
            }
            let operands = self.operands(&args);
            return Value::Operand(
                self.b.compute(Rvalue::Pure("struct", operands), ty.clone(), span),
                ty,
            );
        }
        let Some((_, arg)) = args.first() else { return Value::unknown() };
        let value = match self.expr(arg) {
            // `bytes(text)` of something in storage stays in storage.
            Value::Place(place, from) if from.is_reference() && ty.is_reference() => {
                return Value::Place(place, ty);
            }
            other => other,
        };
        let (operand, from) = self.read(value, span);
        self.cast(operand, &from, ty, span)
    }

    pub(super) fn cast(&mut self, operand: Operand, from: &Type, ty: Type, span: Span) -> Value {
        let may_change = matches!(
            (from, &ty),
            (
                Type::Uint(_) | Type::Int(_) | Type::FixedBytes(_),
                Type::Uint(_) | Type::Int(_) | Type::FixedBytes(_)
            )
        );
        if may_change && *from != ty {
            return Value::Operand(self.b.compute(Rvalue::Cast(operand), ty.clone(), span), ty);
        }
        Value::Operand(operand, ty)
    }

    pub(super) fn builtin_call(&mut self, name: &str, args: &[Arg<'_>], span: Span) -> Value {
        if name == "type" {
            let Some((_, arg)) = args.first() else { return Value::unknown() };
            return match self.expr(arg) {
                Value::Type(ty) => Value::TypeInfo(ty),
                _ => Value::unknown(),
            };
        }
        let operands = if name == "abi.decode" {
            args.first().map(|(_, data)| self.operand(data).0).into_iter().collect()
        } else if name == "abi.encodeCall" {
            self.encode_call(args)
        } else {
            self.operands(args)
        };
        let (pure_name, ty) = match name {
            "selfdestruct" | "suicide" => {
                self.b.push(
                    StatementKind::Call(Box::new(Call::new(CallKind::SelfDestruct, operands))),
                    span,
                );
                self.b.end(End::Stop);
                return Value::Nothing;
            }
            "log0" | "log1" | "log2" | "log3" | "log4" => {
                self.b.push(StatementKind::Emit { event: name.to_owned(), args: operands }, span);
                return Value::Nothing;
            }
            "gasleft" => {
                return Value::Operand(
                    Operand::Environment(Environment::Block("gas")),
                    Type::Uint(256),
                );
            }
            "keccak256" | "sha3" => ("keccak256", Type::FixedBytes(32)),
            "sha256" => ("sha256", Type::FixedBytes(32)),
            "ripemd160" => ("ripemd160", Type::FixedBytes(20)),
            "ecrecover" => ("ecrecover", Type::Address),
            "addmod" => ("addmod", Type::Uint(256)),
            "mulmod" => ("mulmod", Type::Uint(256)),
            "blockhash" | "blobhash" => ("blockhash", Type::FixedBytes(32)),
            "concat" => ("concat", Type::Bytes),
            "abi.decode" => return self.abi_decode(operands, args, span),
            _ => ("abi.encode", Type::Bytes),
        };
        Value::Operand(self.b.compute(Rvalue::Pure(pure_name, operands), ty.clone(), span), ty)
    }

    /// `abi.encodeCall(f, (a, b))`: the arguments stand in a tuple.
    pub(super) fn encode_call(&mut self, args: &[Arg<'_>]) -> Vec<Operand> {
        let mut out = Vec::new();
        for (_, arg) in args {
            match self.expr(arg) {
                Value::Tuple(parts) => {
                    for part in parts.into_iter().flatten() {
                        out.push(self.read(part, arg.span).0);
                    }
                }
                other => out.push(self.read(other, arg.span).0),
            }
        }
        out
    }

    pub(super) fn abi_decode(&mut self, data: Vec<Operand>, args: &[Arg<'_>], span: Span) -> Value {
        if let Some((_, ty)) = args.get(1) {
            self.note_type(ty);
        }
        let types = match args.get(1).map(|(_, ty)| &ty.kind) {
            Some(ExprKind::Tuple(items)) => items
                .iter()
                .flatten()
                .map(|item| self.program.resolve_type(self.scope, item))
                .collect(),
            Some(_) => vec![self.program.resolve_type(self.scope, args[1].1)],
            None => Vec::new(),
        };
        let mut values: Vec<_> = types
            .into_iter()
            .map(|ty| {
                Value::Operand(
                    self.b.compute(Rvalue::Pure("abi.decode", data.clone()), ty.clone(), span),
                    ty,
                )
            })
            .collect();
        if values.len() == 1 {
            values.remove(0)
        } else {
            Value::Tuple(values.into_iter().map(Some).collect())
        }
    }
}
