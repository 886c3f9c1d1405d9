//! Expressions to statements and values.

use super::ir::*;
use super::lower::Lowerer;
use super::value::{CallVia, Value};
use crate::hir::{ArrayLength, Declaration, FunctionId, Type, elementary_type, type_of};
use crate::syntax::Span;
use crate::syntax::ast::{self, BinaryOp, Expr, ExprKind, FunctionKind, Location, UnaryOp};

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
    fn keep(&mut self, operand: Operand, ty: &Type, span: Span) -> Operand {
        let Operand::Local(id) = operand else { return operand };
        if self.b.locals[id.index()].name.is_none() {
            return operand;
        }
        self.b.compute(Rvalue::Use(operand), ty.clone(), span)
    }

    fn ident(&mut self, name: &str, span: Span) -> Value {
        if let Some(id) = self.local_named(name) {
            let value = self.local_value(id);
            self.note_name(span, value.is_known());
            return value;
        }
        if let ("this", Some(contract)) = (name, self.scope.contract) {
            self.note_name(span, true);
            return Value::Operand(
                Operand::Environment(Environment::This),
                Type::Contract(contract),
            );
        }
        let found = self.program.lookup(self.scope, name);
        let value = self.declarations(&found, CallVia::Name).or_else(|| builtin(name));
        self.note_name(span, value.as_ref().is_some_and(Value::is_known));
        value.unwrap_or_else(Value::unknown)
    }

    pub(crate) fn local_value(&self, id: LocalId) -> Value {
        let local = &self.b.locals[id.index()];
        if local.location == Some(Location::Storage) {
            return Value::Place(
                Place { root: Root::Reference(id), path: Vec::new() },
                local.ty.clone(),
            );
        }
        Value::Operand(Operand::Local(id), local.ty.clone())
    }

    /// What a set of declarations of one name stands for.
    pub(crate) fn declarations(&self, found: &[Declaration], via: CallVia) -> Option<Value> {
        let functions: Vec<FunctionId> = found
            .iter()
            .filter_map(|declaration| match declaration {
                Declaration::Function(id)
                    if self.program.function(*id).kind == FunctionKind::Function =>
                {
                    Some(*id)
                }
                _ => None,
            })
            .collect();
        match found.first()? {
            Declaration::Variable(id) => {
                let variable = self.program.variable(*id);
                if variable.is_constant || variable.is_immutable || variable.contract.is_none() {
                    let constant = Operand::Constant(Constant::Variable(*id));
                    return Some(Value::Operand(constant, variable.ty.clone()));
                }
                Some(Value::Place(Place::variable(*id), variable.ty.clone()))
            }
            Declaration::Module(file) => Some(Value::Module(*file)),
            Declaration::Event(id) => {
                let event = &self.program.events[id.index()];
                Some(Value::Event {
                    name: event.name.clone(),
                    is_error: event.is_error,
                    params: event.params.clone(),
                })
            }
            _ if !functions.is_empty() => Some(Value::Functions(functions, via)),
            other => type_of(*other).map(Value::Type),
        }
    }

    fn member(&mut self, base: Value, name: &str, span: Span) -> Value {
        match base {
            Value::Namespace(namespace) => self.namespace_member(namespace, name),
            Value::Module(file) => {
                let found = self.program.lookup_file(file, name);
                self.declarations(&found, CallVia::Qualified).unwrap_or_else(Value::unknown)
            }
            Value::Super => {
                let mut functions = Vec::new();
                if let Some(contract) = self.scope.contract {
                    for &base in self.program.contract(contract).linearisation.iter().skip(1) {
                        for declaration in
                            self.program.contract(base).members.get(name).into_iter().flatten()
                        {
                            if let Declaration::Function(id) = declaration {
                                functions.push(*id);
                            }
                        }
                    }
                }
                if functions.is_empty() {
                    Value::unknown()
                } else {
                    Value::Functions(functions, CallVia::Super)
                }
            }
            Value::Type(ty) => self.type_member(ty, name),
            Value::TypeInfo(ty) => {
                let text = format!("type({}).{name}", ty.display(self.program));
                let member_ty = match name {
                    "interfaceId" => Type::FixedBytes(4),
                    "creationCode" | "runtimeCode" => Type::Bytes,
                    "name" => Type::String,
                    _ => ty,
                };
                Value::Operand(Operand::Constant(Constant::Text(text)), member_ty)
            }
            Value::Place(place, ty) => self.place_member(place, ty, name, span),
            Value::Element { root, mut keys, value, ty } => {
                if let Type::Struct(id) = &ty
                    && let Some(field) = self.field_type(*id, name)
                {
                    keys.push(Operand::Constant(Constant::Text(name.to_owned())));
                    let read = Rvalue::Pure(
                        "field",
                        vec![value, Operand::Constant(Constant::Text(name.to_owned()))],
                    );
                    let value = self.b.compute(read, field.clone(), span);
                    return Value::Element { root, keys, value, ty: field };
                }
                self.operand_member(value, ty, name, span)
            }
            Value::Functions(functions, _) if name == "selector" => {
                let selector =
                    functions.first().map_or(Constant::Unknown, |id| Constant::Function(*id));
                Value::Operand(Operand::Constant(selector), Type::FixedBytes(4))
            }
            Value::External { functions, .. } if name == "selector" => {
                let selector = functions
                    .first()
                    .map_or(Constant::Text(name.to_owned()), |id| Constant::Function(*id));
                Value::Operand(Operand::Constant(selector), Type::FixedBytes(4))
            }
            Value::External { callee, .. } if name == "address" => {
                Value::Operand(callee, Type::Address)
            }
            Value::Event { name: event, is_error, .. } if name == "selector" => {
                let ty = Type::FixedBytes(if is_error { 4 } else { 32 });
                Value::Operand(Operand::Constant(Constant::Text(event)), ty)
            }
            callable if callable.is_callable() && matches!(name, "value" | "gas") => {
                Value::OptionSetter { callable: Box::new(callable), is_value: name == "value" }
            }
            Value::Operand(operand, ty) => {
                if let (Type::Struct(id), Operand::Local(root)) = (&ty, &operand)
                    && let Some(field) = self.field_type(*id, name)
                {
                    let root = Some(*root);
                    let key = Operand::Constant(Constant::Text(name.to_owned()));
                    let value = self.b.compute(
                        Rvalue::Pure("field", vec![operand, key.clone()]),
                        field.clone(),
                        span,
                    );
                    return Value::Element { root, keys: vec![key], value, ty: field };
                }
                self.operand_member(operand, ty, name, span)
            }
            tuple @ Value::Tuple(_) => {
                let (operand, ty) = self.read(tuple, span);
                self.operand_member(operand, ty, name, span)
            }
            _ => Value::unknown(),
        }
    }

    fn field_type(&self, id: crate::hir::StructId, name: &str) -> Option<Type> {
        self.program.structs[id.index()]
            .fields
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, ty)| ty.clone())
    }

    fn namespace_member(&mut self, namespace: &'static str, name: &str) -> Value {
        let environment = |environment, ty| Value::Operand(Operand::Environment(environment), ty);
        match (namespace, name) {
            ("msg", "sender") => environment(Environment::Sender, Type::Address),
            ("msg", "value") => environment(Environment::Value, Type::Uint(256)),
            ("msg", "data") => environment(Environment::Data, Type::Bytes),
            ("msg", "sig") => environment(Environment::Data, Type::FixedBytes(4)),
            ("msg", "gas") => environment(Environment::Block("gas"), Type::Uint(256)),
            ("tx", "origin") => environment(Environment::Origin, Type::Address),
            ("tx", "gasprice") => environment(Environment::Block("gasprice"), Type::Uint(256)),
            ("block", "coinbase") => environment(Environment::Block("coinbase"), Type::Address),
            ("block", "blockhash") => Value::Builtin("blockhash".to_owned()),
            ("block", _) => {
                let known = [
                    "timestamp",
                    "number",
                    "difficulty",
                    "prevrandao",
                    "gaslimit",
                    "chainid",
                    "basefee",
                    "blobbasefee",
                ];
                match known.iter().find(|known| **known == name) {
                    Some(known) => environment(Environment::Block(known), Type::Uint(256)),
                    None => Value::unknown(),
                }
            }
            _ => Value::Builtin(format!("{namespace}.{name}")),
        }
    }

    fn type_member(&mut self, ty: Type, name: &str) -> Value {
        match &ty {
            Type::Contract(id) => {
                let found = self.program.members(*id, name);
                self.declarations(&found, CallVia::Qualified).unwrap_or_else(Value::unknown)
            }
            Type::Enum(id) => {
                match self.program.enums[id.index()].values.iter().position(|value| value == name) {
                    Some(at) => Value::Operand(Operand::number(&at.to_string()), ty),
                    None => Value::unknown(),
                }
            }
            Type::User(_) if name == "wrap" => Value::Type(ty),
            Type::User(id) if name == "unwrap" => {
                Value::Type(self.program.user_types[id.index()].underlying.clone())
            }
            Type::Bytes | Type::String if name == "concat" => Value::Builtin("concat".to_owned()),
            _ => Value::unknown(),
        }
    }

    fn place_member(&mut self, place: Place, ty: Type, name: &str, span: Span) -> Value {
        match &ty {
            Type::Struct(id) => {
                if let Some(field) = self.field_type(*id, name) {
                    return Value::Place(place.then(Key::Field(name.to_owned())), field);
                }
            }
            Type::Array(element, _) => match name {
                "length" => return Value::Place(place.then(Key::Length), Type::Uint(256)),
                "push" | "pop" => {
                    return Value::ArrayMethod {
                        place,
                        element: (**element).clone(),
                        is_push: name == "push",
                    };
                }
                _ => {}
            },
            Type::Bytes => match name {
                "length" => return Value::Place(place.then(Key::Length), Type::Uint(256)),
                "push" | "pop" => {
                    return Value::ArrayMethod {
                        place,
                        element: Type::FixedBytes(1),
                        is_push: name == "push",
                    };
                }
                _ => {}
            },
            _ => {}
        }
        let attached = self.program.attached(self.scope, &ty, name);
        if !attached.is_empty() {
            return Value::Attached(attached, Box::new(Value::Place(place, ty)));
        }
        if ty.is_reference() && ty != Type::Unknown {
            return Value::unknown();
        }
        let operand = self.b.load(place, ty.clone(), span);
        self.operand_member(operand, ty, name, span)
    }

    fn operand_member(&mut self, operand: Operand, ty: Type, name: &str, span: Span) -> Value {
        match (&ty, name) {
            (Type::Array(..) | Type::Bytes | Type::String | Type::FixedBytes(_), "length") => {
                let value =
                    self.b.compute(Rvalue::Pure("length", vec![operand]), Type::Uint(256), span);
                return Value::Operand(value, Type::Uint(256));
            }
            (Type::Struct(id), _) => {
                if let Some(field) = self.field_type(*id, name) {
                    let key = Operand::Constant(Constant::Text(name.to_owned()));
                    let value = self.b.compute(
                        Rvalue::Pure("field", vec![operand, key]),
                        field.clone(),
                        span,
                    );
                    return Value::Operand(value, field);
                }
            }
            (Type::Function(_), "selector") => {
                return Value::Operand(
                    self.b.compute(
                        Rvalue::Pure("selector", vec![operand]),
                        Type::FixedBytes(4),
                        span,
                    ),
                    Type::FixedBytes(4),
                );
            }
            (Type::Function(_), "address") => return Value::Operand(operand, Type::Address),
            (Type::Contract(id), _) => {
                let found = self.program.members(*id, name);
                if let Some(value) = self.external_member(&operand, &found, name) {
                    return value;
                }
            }
            _ => {}
        }
        let is_address = matches!(ty, Type::Address | Type::Contract(_) | Type::Unknown);
        if is_address {
            match name {
                "balance" => {
                    let value = self.b.compute(
                        Rvalue::Pure("balance", vec![operand]),
                        Type::Uint(256),
                        span,
                    );
                    return Value::Operand(value, Type::Uint(256));
                }
                "code" => {
                    return Value::Operand(
                        self.b.compute(Rvalue::Pure("code", vec![operand]), Type::Bytes, span),
                        Type::Bytes,
                    );
                }
                "codehash" => {
                    let value = self.b.compute(
                        Rvalue::Pure("codehash", vec![operand]),
                        Type::FixedBytes(32),
                        span,
                    );
                    return Value::Operand(value, Type::FixedBytes(32));
                }
                "call" | "delegatecall" | "staticcall" | "callcode" => {
                    return Value::AddressMember { callee: operand, name: name.to_owned() };
                }
                "send" | "transfer" if ty != Type::Unknown => {
                    return Value::AddressMember { callee: operand, name: name.to_owned() };
                }
                _ => {}
            }
        }
        let attached = self.program.attached(self.scope, &ty, name);
        if !attached.is_empty() {
            return Value::Attached(attached, Box::new(Value::Operand(operand, ty)));
        }
        match ty {
            // Something whose declaration is missing: it may be a contract.
            Type::Unknown | Type::Contract(_) if operand != Operand::unknown() => Value::External {
                callee: operand,
                functions: Vec::new(),
                name: name.to_owned(),
                getter: None,
            },
            _ => Value::unknown(),
        }
    }

    fn external_member(
        &self,
        callee: &Operand,
        found: &[Declaration],
        name: &str,
    ) -> Option<Value> {
        let functions: Vec<_> = found
            .iter()
            .filter_map(|declaration| match declaration {
                Declaration::Function(id) => Some(*id),
                _ => None,
            })
            .collect();
        let getter = found.iter().find_map(|declaration| match declaration {
            Declaration::Variable(id) => Some(self.program.variable(*id).ty.clone()),
            _ => None,
        });
        if functions.is_empty() && getter.is_none() {
            return None;
        }
        Some(Value::External { callee: callee.clone(), functions, name: name.to_owned(), getter })
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

    fn unary(&mut self, op: UnaryOp, inner: &Expr, span: Span) -> Value {
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

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, span: Span) -> Value {
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

    fn arithmetic(
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

    fn short_circuit(&mut self, op: BinaryOp, left: &Expr, right: &Expr, span: Span) -> Value {
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

    fn conditional(&mut self, condition: &Expr, left: &Expr, right: &Expr, span: Span) -> Value {
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

    fn assign(&mut self, op: Option<BinaryOp>, left: &Expr, right: &Expr, span: Span) -> Value {
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
            Value::Operand(Operand::Constant(Constant::Variable(_)), _) => {
                // Immutables are set by constructors, before the contract can be called.
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

/// What the language itself calls `name`.
fn builtin(name: &str) -> Option<Value> {
    Some(match name {
        "msg" => Value::Namespace("msg"),
        "tx" => Value::Namespace("tx"),
        "block" => Value::Namespace("block"),
        "abi" => Value::Namespace("abi"),
        "now" => {
            Value::Operand(Operand::Environment(Environment::Block("timestamp")), Type::Uint(256))
        }
        "this" => Value::Operand(Operand::Environment(Environment::This), Type::Address),
        "super" => Value::Super,
        "require" | "assert" | "revert" | "keccak256" | "sha3" | "sha256" | "ripemd160"
        | "ecrecover" | "addmod" | "mulmod" | "selfdestruct" | "suicide" | "blockhash"
        | "blobhash" | "gasleft" | "type" | "log0" | "log1" | "log2" | "log3" | "log4" => {
            Value::Builtin(name.to_owned())
        }
        _ => return None,
    })
}
