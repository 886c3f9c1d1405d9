//! What a name or a member stands for at its place.

use super::ir::*;
use super::lower::Lowerer;
use super::value::{CallVia, Value};
use crate::hir::{Declaration, FunctionId, Type, type_of};
use crate::syntax::Span;
use crate::syntax::ast::{FunctionKind, Location};

impl Lowerer<'_> {
    pub(super) fn ident(&mut self, name: &str, span: Span) -> Value {
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

    pub(super) fn member(&mut self, base: Value, name: &str, span: Span) -> Value {
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
