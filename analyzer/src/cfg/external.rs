//! Calls that leave the contract: of other contracts, of bare addresses, and of constructors.

use super::call::{Arg, Options};
use super::ir::*;
use super::lower::Lowerer;
use super::value::Value;
use crate::hir::{FunctionId, Type};
use crate::syntax::Span;
use crate::syntax::ast::Mutability;

impl Lowerer<'_> {
    #[expect(clippy::too_many_arguments, reason = "one external call has this many parts")]
    pub(super) fn call_external(
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
        let target = self.choose(functions, &values, args);
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
    pub(super) fn getter_types(&self, ty: Type) -> Vec<Type> {
        let Type::Struct(id) = ty else { return vec![ty] };
        let fields = self.program.structs[id.index()].fields.iter().map(|(_, ty)| ty);
        fields.filter(|ty| !matches!(ty, Type::Mapping(..) | Type::Array(..))).cloned().collect()
    }

    pub(super) fn call_address(
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

    pub(super) fn new_value(
        &mut self,
        ty: Type,
        args: &[Arg<'_>],
        options: Options,
        span: Span,
    ) -> Value {
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

pub(super) fn gas(limit: Option<Operand>) -> Gas {
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
