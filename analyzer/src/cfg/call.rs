//! Calls of every kind.

use super::ir::*;
use super::lower::Lowerer;
use super::value::{CallVia, Value};
use crate::hir::{FunctionId, Param, Type};
use crate::syntax::Span;
use crate::syntax::ast::{ContractKind, Expr, ExprKind, Location, Mutability, Name, Visibility};

/// An argument with its name, where it has one.
pub(crate) type Arg<'a> = (Option<&'a Name>, &'a Expr);

#[derive(Default)]
struct Options {
    value: Option<Operand>,
    gas: Option<Operand>,
}

impl Lowerer<'_> {
    pub(crate) fn call_expr(&mut self, callee: &Expr, args: &[Arg<'_>], span: Span) -> Value {
        if let ExprKind::Ident(name) = &callee.kind
            && self.local_named(name).is_none()
            && let Some(value) = self.check_call(name, callee.span, args)
        {
            return value;
        }
        let callable = self.expr(callee);
        self.call_value(callable, args, Options::default(), span)
    }

    /// `require`, `assert` and `revert`, unless the program declares such a function itself.
    fn check_call(&mut self, name: &str, at: Span, args: &[Arg<'_>]) -> Option<Value> {
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

    fn values(&mut self, args: &[Arg<'_>]) -> Vec<Value> {
        args.iter().map(|(_, arg)| self.expr(arg)).collect()
    }

    fn operands(&mut self, args: &[Arg<'_>]) -> Vec<Operand> {
        args.iter().map(|(_, arg)| self.operand(arg).0).collect()
    }

    fn call_value(
        &mut self,
        callable: Value,
        args: &[Arg<'_>],
        options: Options,
        span: Span,
    ) -> Value {
        match callable {
            Value::WithOptions { callable, value, gas } => {
                let options = Options { value: value.or(options.value), gas: gas.or(options.gas) };
                self.call_value(*callable, args, options, span)
            }
            Value::OptionSetter { callable, is_value } => {
                let operand = self.operands(args).into_iter().next();
                let (value, gas) = if is_value { (operand, None) } else { (None, operand) };
                Value::WithOptions { callable, value, gas }
            }
            Value::Type(ty) => self.convert(ty, args, span),
            Value::Builtin(name) => self.builtin_call(&name, args, span),
            Value::Functions(functions, via) => self.call_functions(&functions, via, args, span),
            Value::Attached(functions, receiver) => {
                self.call_attached(&functions, *receiver, args, span)
            }
            Value::External { callee, functions, name, getter } => {
                self.call_external(callee, &functions, &name, getter, args, options, span)
            }
            Value::AddressMember { callee, name } => {
                self.call_address(callee, &name, args, options, span)
            }
            Value::ArrayMethod { place, element, is_push } => {
                self.array_method(place, element, is_push, args, span)
            }
            Value::New(ty) => self.new_value(ty, args, options, span),
            Value::Event { is_error: true, params, .. } => {
                self.note_arguments(args, &params);
                let operands = self.operands(args);
                Value::Operand(
                    self.b.compute(Rvalue::Pure("error", operands), Type::Bytes, span),
                    Type::Bytes,
                )
            }
            Value::Event { name: event, params, .. } => {
                self.note_arguments(args, &params);
                let args = self.operands(args);
                self.b.push(StatementKind::Emit { event, args }, span);
                Value::Nothing
            }
            Value::Operand(operand, Type::Function(function)) => {
                let args = self.operands(args);
                let results: Vec<_> =
                    function.returns.iter().map(|ty| self.b.local(None, ty.clone())).collect();
                let kind = if function.is_external {
                    CallKind::External {
                        target: None,
                        name: "function pointer".to_owned(),
                        is_view: false,
                    }
                } else {
                    CallKind::Pointer(operand.clone())
                };
                let mut call = Call::new(kind, args);
                if function.is_external {
                    call.callee = Some(operand);
                }
                call.value = options.value;
                call.gas = gas(options.gas);
                self.finish(call, results, span)
            }
            Value::Place(place, ty @ Type::Function(_)) => {
                let operand = self.b.load(place, ty.clone(), span);
                self.call_value(Value::Operand(operand, ty), args, options, span)
            }
            Value::Element { value, ty: ty @ Type::Function(_), .. } => {
                self.call_value(Value::Operand(value, ty), args, options, span)
            }
            _ => {
                let args = self.operands(args);
                let name = self
                    .program
                    .text(span)
                    .split('(')
                    .next()
                    .unwrap_or("")
                    .trim()
                    .chars()
                    .take(60)
                    .collect();
                let result = self.b.local(None, Type::Unknown);
                self.finish(Call::new(CallKind::Unresolved(name), args), vec![result], span)
            }
        }
    }

    /// Pushes a call and gives its results.
    fn finish(&mut self, mut call: Call, results: Vec<LocalId>, span: Span) -> Value {
        call.results.clone_from(&results);
        self.b.push(StatementKind::Call(Box::new(call)), span);
        let mut values: Vec<_> = results.into_iter().map(|id| self.local_value(id)).collect();
        match values.len() {
            0 => Value::Nothing,
            1 => values.remove(0),
            _ => Value::Tuple(values.into_iter().map(Some).collect()),
        }
    }

    fn convert(&mut self, ty: Type, args: &[Arg<'_>], span: Span) -> Value {
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

    fn cast(&mut self, operand: Operand, from: &Type, ty: Type, span: Span) -> Value {
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

    fn builtin_call(&mut self, name: &str, args: &[Arg<'_>], span: Span) -> Value {
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
    fn encode_call(&mut self, args: &[Arg<'_>]) -> Vec<Operand> {
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

    fn abi_decode(&mut self, data: Vec<Operand>, args: &[Arg<'_>], span: Span) -> Value {
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

    /// The candidate that takes these arguments; the first where none does.
    fn choose(
        &self,
        candidates: &[FunctionId],
        types: &[Type],
        names: &[Option<&Name>],
    ) -> Option<FunctionId> {
        let fits = |id: &&FunctionId| {
            let params = &self.program.function(**id).params;
            params.len() == types.len()
                && (0..types.len()).all(|at| {
                    let param = match names.get(at).copied().flatten() {
                        Some(name) => {
                            params.iter().find(|param| param.name.as_ref() == Some(&name.text))
                        }
                        None => params.get(at),
                    };
                    param.is_some_and(|param| param.ty.accepts(&types[at], self.program))
                })
        };
        let exact = |id: &&FunctionId| {
            let params = &self.program.function(**id).params;
            params.iter().zip(types).all(|(param, ty)| param.ty == *ty)
        };
        let fitting: Vec<FunctionId> = candidates.iter().filter(fits).copied().collect();
        fitting
            .iter()
            .find(exact)
            .or(fitting.first())
            .or_else(|| {
                candidates.iter().find(|id| self.program.function(**id).params.len() == types.len())
            })
            .or(candidates.first())
            .copied()
    }

    fn pass_all(
        &mut self,
        params: &[Param],
        values: Vec<Value>,
        args: &[Arg<'_>],
        span: Span,
    ) -> Vec<Operand> {
        self.note_arguments(args, params);
        let mut slots: Vec<(usize, Value)> = values
            .into_iter()
            .enumerate()
            .map(|(at, value)| {
                let name = args.get(at).and_then(|(name, _)| *name);
                let position = name.and_then(|name| {
                    params.iter().position(|param| param.name.as_ref() == Some(&name.text))
                });
                (position.unwrap_or(at), value)
            })
            .collect();
        slots.sort_by_key(|(position, _)| *position);
        slots
            .into_iter()
            .map(|(position, value)| {
                let wants_storage = params.get(position).is_some_and(|param| {
                    param.location == Some(Location::Storage)
                        || matches!(param.ty, Type::Mapping(..))
                });
                self.pass(value, wants_storage, span)
            })
            .collect()
    }

    fn call_functions(
        &mut self,
        functions: &[FunctionId],
        via: CallVia,
        args: &[Arg<'_>],
        span: Span,
    ) -> Value {
        let values = self.values(args);
        let types: Vec<_> = values.iter().map(Value::ty).collect();
        let names: Vec<_> = args.iter().map(|(name, _)| *name).collect();
        let Some(id) = self.choose(functions, &types, &names) else { return Value::unknown() };
        let operands = self.pass_all(&self.program.function(id).params.clone(), values, args, span);
        let dispatch = match (via, self.scope.contract) {
            (CallVia::Super, Some(contract)) => Dispatch::Super(contract),
            (CallVia::Name, _) if self.is_virtual(id) => Dispatch::Virtual,
            _ => Dispatch::Static,
        };
        self.call_function(id, dispatch, operands, span)
    }

    fn is_virtual(&self, id: FunctionId) -> bool {
        let function = self.program.function(id);
        function.visibility != Visibility::Private
            && function.contract.is_some_and(|contract| {
                self.program.contract(contract).kind != ContractKind::Library
            })
    }

    pub(crate) fn call_function(
        &mut self,
        id: FunctionId,
        dispatch: Dispatch,
        args: Vec<Operand>,
        span: Span,
    ) -> Value {
        let results = self.results(id);
        self.finish(Call::new(CallKind::Internal(id, dispatch), args), results, span)
    }

    fn results(&mut self, id: FunctionId) -> Vec<LocalId> {
        let program = self.program;
        program
            .function(id)
            .returns
            .iter()
            .map(|param| {
                let local = self.b.local(None, param.ty.clone());
                self.b.locals[local.index()].location = param.location;
                local
            })
            .collect()
    }

    fn call_attached(
        &mut self,
        functions: &[FunctionId],
        receiver: Value,
        args: &[Arg<'_>],
        span: Span,
    ) -> Value {
        let mut values = vec![receiver];
        values.extend(self.values(args));
        let types: Vec<_> = values.iter().map(Value::ty).collect();
        let mut names = vec![None];
        names.extend(args.iter().map(|(name, _)| *name));
        let Some(id) = self.choose(functions, &types, &names) else { return Value::unknown() };
        let params = self.program.function(id).params.clone();
        // Names of arguments are those of the parameters after the receiver.
        let receiver = values.remove(0);
        let wants_storage =
            params.first().is_some_and(|param| param.location == Some(Location::Storage));
        let mut operands = vec![self.pass(receiver, wants_storage, span)];
        operands.extend(self.pass_all(params.get(1..).unwrap_or_default(), values, args, span));
        self.call_function(id, Dispatch::Static, operands, span)
    }

    #[expect(clippy::too_many_arguments, reason = "one external call has this many parts")]
    fn call_external(
        &mut self,
        callee: Operand,
        functions: &[FunctionId],
        name: &str,
        getter: Option<Type>,
        args: &[Arg<'_>],
        options: Options,
        span: Span,
    ) -> Value {
        let values = self.values(args);
        let types: Vec<_> = values.iter().map(Value::ty).collect();
        let names: Vec<_> = args.iter().map(|(name, _)| *name).collect();
        let target = self.choose(functions, &types, &names);
        // With one argument and an unknown receiver these are the members of an address.
        if target.is_none()
            && getter.is_none()
            && args.len() == 1
            && matches!(name, "transfer" | "send")
        {
            return self.call_address(callee, name, args, options, span);
        }
        let operands = match target {
            Some(id) => {
                self.pass_all(&self.program.function(id).params.clone(), values, args, span)
            }
            None => values.into_iter().map(|value| self.read(value, span).0).collect(),
        };
        let results = match (target, getter.clone()) {
            (Some(id), _) => {
                let results = self.results(id);
                // What comes from another contract is never a reference into this one's storage.
                for &id in &results {
                    self.b.locals[id.index()].location = None;
                }
                results
            }
            (None, Some(mut ty)) => {
                while let Type::Mapping(_, value) | Type::Array(value, _) = ty {
                    ty = *value;
                }
                self.getter_types(ty).into_iter().map(|ty| self.b.local(None, ty)).collect()
            }
            (None, None) => vec![self.b.local(None, Type::Unknown)],
        };
        let is_view = match target {
            Some(id) => {
                matches!(self.program.function(id).mutability, Mutability::View | Mutability::Pure)
            }
            None => getter.is_some(),
        };
        let has_static_calls = self
            .program
            .files
            .get(self.scope.file.0 as usize)
            .is_none_or(|file| file.has_static_calls);
        let is_view = is_view && has_static_calls;
        let mut call =
            Call::new(CallKind::External { target, name: name.to_owned(), is_view }, operands);
        call.callee = Some(callee);
        call.value = options.value;
        call.gas = gas(options.gas);
        self.finish(call, results, span)
    }

    /// What the getter of a variable gives: of a struct, its fields but for arrays and mappings.
    fn getter_types(&self, ty: Type) -> Vec<Type> {
        let Type::Struct(id) = ty else { return vec![ty] };
        let fields = self.program.structs[id.index()].fields.iter().map(|(_, ty)| ty);
        fields.filter(|ty| !matches!(ty, Type::Mapping(..) | Type::Array(..))).cloned().collect()
    }

    fn call_address(
        &mut self,
        callee: Operand,
        name: &str,
        args: &[Arg<'_>],
        options: Options,
        span: Span,
    ) -> Value {
        let operands = self.operands(args);
        let mut call = Call::new(CallKind::LowLevel, operands);
        call.callee = Some(callee);
        call.value = options.value;
        call.gas = gas(options.gas);
        match name {
            "transfer" | "send" => {
                call.kind = if name == "send" { CallKind::Send } else { CallKind::Transfer };
                call.value = call.args.pop();
                call.gas = Gas::Stipend;
                call.may_fail = name == "send";
                let results =
                    if name == "send" { vec![self.b.local(None, Type::Bool)] } else { Vec::new() };
                return self.finish(call, results, span);
            }
            "staticcall" => call.kind = CallKind::StaticCall,
            "delegatecall" | "callcode" => call.kind = CallKind::DelegateCall,
            _ => {}
        }
        call.may_fail = true;
        let results = vec![self.b.local(None, Type::Bool), self.b.local(None, Type::Bytes)];
        self.finish(call, results, span)
    }

    fn array_method(
        &mut self,
        place: Place,
        element: Type,
        is_push: bool,
        args: &[Arg<'_>],
        span: Span,
    ) -> Value {
        let length = self.b.load(place.clone().then(Key::Length), Type::Uint(256), span);
        let operand = self.operands(args).into_iter().next();
        let op = if is_push {
            crate::syntax::ast::BinaryOp::Add
        } else {
            crate::syntax::ast::BinaryOp::Sub
        };
        let changed = self.b.compute(
            Rvalue::Binary(op, length.clone(), Operand::number("1")),
            Type::Uint(256),
            span,
        );
        let at = if is_push { length } else { changed.clone() };
        let slot = place.clone().then(Key::Index(at));
        let value = operand.clone().unwrap_or(Operand::Constant(Constant::Default));
        self.b.push(StatementKind::Store { place: slot.clone(), value }, span);
        self.b.push(
            StatementKind::Store { place: place.then(Key::Length), value: changed.clone() },
            span,
        );
        match (is_push, operand) {
            // `push()` gives the new element.
            (true, None) => Value::Place(slot, element),
            // Before 0.6 `push(x)` gave the new length.
            (true, Some(_)) => Value::Operand(changed, Type::Uint(256)),
            (false, _) => Value::Nothing,
        }
    }

    fn new_value(&mut self, ty: Type, args: &[Arg<'_>], options: Options, span: Span) -> Value {
        match ty {
            Type::Array(..) | Type::Bytes | Type::String => {
                let operands = self.operands(args);
                Value::Operand(
                    self.b.compute(Rvalue::Pure("allocate", operands), ty.clone(), span),
                    ty,
                )
            }
            _ => {
                let operands = self.operands(args);
                let contract = match ty {
                    Type::Contract(id) => Some(id),
                    _ => None,
                };
                let mut call = Call::new(CallKind::New(contract), operands);
                call.value = options.value;
                call.gas = gas(options.gas);
                let result = self.b.local(None, ty);
                self.finish(call, vec![result], span)
            }
        }
    }
}

fn gas(limit: Option<Operand>) -> Gas {
    match limit {
        // `gas(2300)` and less is the stipend by another name.
        Some(Operand::Constant(Constant::Number(number)))
            if number.parse::<u64>().is_ok_and(|gas| gas <= 2300) =>
        {
            Gas::Stipend
        }
        Some(operand) => Gas::Limited(operand),
        None => Gas::Forwarded,
    }
}
