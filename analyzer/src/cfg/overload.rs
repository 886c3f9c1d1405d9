//! Which of several functions of one name a call means: the one that takes all arguments, and the receiver where
//! there is one, by implicit conversion (Solidity documentation, "Overload Resolution and Argument matching").

use super::call::Arg;
use super::ir::{Constant, Operand};
use super::lower::Lowerer;
use super::value::Value;
use crate::hir::{FunctionId, Param, Type, literal_bits};
use crate::syntax::ast::Location;

/// How a parameter takes an argument, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Not,
    /// Only compilers of old, or nothing is known of the type.
    Perhaps,
    Converted,
    Exact,
}

impl Lowerer<'_> {
    /// The candidate that takes these values; where none does, the first with as many parameters, or the first.
    /// The last values are those of `args`; a value before them is the receiver.
    pub(super) fn choose(
        &self,
        candidates: &[FunctionId],
        values: &[Value],
        args: &[Arg<'_>],
    ) -> Option<FunctionId> {
        let (&first, rest) = candidates.split_first()?;
        if rest.is_empty() {
            return Some(first);
        }
        let mut best: Option<(FunctionId, (Fit, usize))> = None;
        for &id in candidates {
            let fit = self.fit_of(&self.program.function(id).params, values, args);
            if let Some(fit) = fit
                && best.is_none_or(|(_, known)| fit > known)
            {
                best = Some((id, fit));
            }
        }
        let has_as_many =
            |id: &&FunctionId| self.program.function(**id).params.len() == values.len();
        best.map(|(id, _)| id)
            .or_else(|| candidates.iter().find(has_as_many).copied())
            .or(Some(first))
    }

    /// The worst fit, and how many are exact; `None` where some parameter does not take its argument.
    fn fit_of(&self, params: &[Param], values: &[Value], args: &[Arg<'_>]) -> Option<(Fit, usize)> {
        if params.len() != values.len() {
            return None;
        }
        let receivers = values.len() - args.len();
        let (mut worst, mut exact) = (Fit::Exact, 0);
        for (at, value) in values.iter().enumerate() {
            let name = at.checked_sub(receivers).and_then(|at| args[at].0);
            let param = match name {
                Some(name) => {
                    params.iter().find(|param| param.name.as_ref() == Some(&name.text))?
                }
                None => &params[at],
            };
            let fit = self.fit(param, value);
            if fit == Fit::Not {
                return None;
            }
            worst = worst.min(fit);
            exact += usize::from(fit == Fit::Exact);
        }
        Some((worst, exact))
    }

    fn fit(&self, param: &Param, value: &Value) -> Fit {
        let fit = match value {
            Value::Operand(Operand::Constant(Constant::Number(text)), Type::Number) => {
                fit_of_number(&param.ty, text)
            }
            Value::Operand(Operand::Constant(Constant::Text(text)), Type::String) => {
                match &param.ty {
                    Type::FixedBytes(bytes) if text.len() <= usize::from(*bytes) => Fit::Converted,
                    Type::FixedBytes(_) => Fit::Not,
                    Type::Bytes => Fit::Converted,
                    ty => self.fit_of_type(ty, &Type::String),
                }
            }
            Value::Operand(_, ty) | Value::Place(_, ty) | Value::Element { ty, .. } => {
                self.fit_of_type(&param.ty, ty)
            }
            other => self.fit_of_type(&param.ty, &other.ty()),
        };
        // Storage is passed by reference to storage and copied to memory; there is no way back.
        match (param.location, value) {
            (Some(Location::Storage), Value::Place(..)) => fit,
            (Some(Location::Storage), _) => fit.min(Fit::Perhaps),
            (Some(_), Value::Place(..)) => fit.min(Fit::Converted),
            _ => fit,
        }
    }

    fn fit_of_type(&self, to: &Type, from: &Type) -> Fit {
        match (to, from) {
            (Type::Unknown, _) | (_, Type::Unknown) => Fit::Perhaps,
            (to, from) if to == from => Fit::Exact,
            (Type::Uint(wide), Type::Uint(narrow)) | (Type::Int(wide), Type::Int(narrow))
                if wide > narrow =>
            {
                Fit::Converted
            }
            // Before 0.7 signed numbers took unsigned ones that are narrower.
            (Type::Int(wide), Type::Uint(narrow)) if wide > narrow => Fit::Perhaps,
            (Type::FixedBytes(wide), Type::FixedBytes(narrow)) if wide > narrow => Fit::Converted,
            (Type::Uint(_) | Type::Int(_), Type::Number) => Fit::Converted,
            (Type::FixedBytes(_) | Type::Address, Type::Number) => Fit::Perhaps,
            (Type::Contract(_), Type::Contract(_)) if to.accepts(from, self.program) => {
                Fit::Converted
            }
            (Type::Array(to, _), Type::Array(from, _)) => match self.fit_of_type(to, from) {
                // The elements of a literal take the type of the first; elements are not converted.
                Fit::Converted if **from != Type::Number => Fit::Not,
                fit => fit,
            },
            // Contracts were addresses before 0.5, and pointers are told apart by more than is kept.
            (Type::Address, Type::Contract(_)) | (Type::Function(_), Type::Function(_)) => {
                Fit::Perhaps
            }
            _ => Fit::Not,
        }
    }
}

/// A number literal is taken by every type that has room for it, and one in hexadecimal by bytes of its length.
fn fit_of_number(to: &Type, text: &str) -> Fit {
    let bits = literal_bits(text);
    let has_room = |room: u16| match bits {
        Some(bits) if bits > usize::from(room) => Fit::Not,
        _ => Fit::Converted,
    };
    match to {
        Type::Uint(bits) => has_room(*bits),
        Type::Int(bits) => has_room(bits.saturating_sub(1)),
        Type::FixedBytes(bytes) => {
            let digits = text.strip_prefix("0x").map_or(0, str::len);
            if digits == 2 * usize::from(*bytes) {
                Fit::Converted
            } else if bits == Some(0) {
                Fit::Perhaps
            } else {
                Fit::Not
            }
        }
        Type::Address => Fit::Perhaps,
        Type::Number => Fit::Exact,
        Type::Unknown => Fit::Perhaps,
        _ => Fit::Not,
    }
}
