//! Calls of every kind.

use super::external::gas;
use super::ir::*;
use super::lower::Lowerer;
use super::value::{CallVia, Value};
use crate::hir::{FunctionId, Param, Type};
use crate::syntax::Span;
use crate::syntax::ast::{ContractKind, Expr, ExprKind, Location, Name, Visibility};

/// An argument with its name, where it has one.
pub(crate) type Arg<'a> = (Option<&'a Name>, &'a Expr);

#[derive(Default)]
pub(super) struct Options {
    pub(super) value: Option<Operand>,
    pub(super) gas: Option<Operand>,
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

    pub(super) fn values(&mut self, args: &[Arg<'_>]) -> Vec<Value> {
        args.iter().map(|(_, arg)| self.expr(arg)).collect()
    }

    pub(super) fn operands(&mut self, args: &[Arg<'_>]) -> Vec<Operand> {
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
    pub(super) fn finish(&mut self, mut call: Call, results: Vec<LocalId>, span: Span) -> Value {
        call.results.clone_from(&results);
        self.b.push(StatementKind::Call(Box::new(call)), span);
        let mut values: Vec<_> = results.into_iter().map(|id| self.local_value(id)).collect();
        match values.len() {
            0 => Value::Nothing,
            1 => values.remove(0),
            _ => Value::Tuple(values.into_iter().map(Some).collect()),
        }
    }

    pub(super) fn pass_all(
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
        let Some(id) = self.choose(functions, &values, args) else { return Value::unknown() };
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

    pub(super) fn results(&mut self, id: FunctionId) -> Vec<LocalId> {
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
        let Some(id) = self.choose(functions, &values, args) else { return Value::unknown() };
        let params = self.program.function(id).params.clone();
        // Names of arguments are those of the parameters after the receiver.
        let receiver = values.remove(0);
        let wants_storage =
            params.first().is_some_and(|param| param.location == Some(Location::Storage));
        let mut operands = vec![self.pass(receiver, wants_storage, span)];
        operands.extend(self.pass_all(params.get(1..).unwrap_or_default(), values, args, span));
        self.call_function(id, Dispatch::Static, operands, span)
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
}
