//! What an expression stands for while it is lowered.

use super::ir::*;
use crate::hir::{FunctionId, Param, Type};
use crate::syntax::FileId;

#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A value that was computed.
    Operand(Operand, Type),
    /// A place in storage, not read yet.
    Place(Place, Type),
    /// An element of something in memory: the variable it belongs to, the value itself, its type.
    Element {
        root: Option<LocalId>,
        keys: Vec<Operand>,
        value: Operand,
        ty: Type,
    },
    Tuple(Vec<Option<Value>>),
    Type(Type),
    Module(FileId),
    /// `super`.
    Super,
    /// Functions that can be called without a receiver.
    Functions(Vec<FunctionId>, CallVia),
    /// Functions attached to a value.
    Attached(Vec<FunctionId>, Box<Value>),
    /// Functions of another contract; empty where the declaration is unknown.
    External {
        callee: Operand,
        functions: Vec<FunctionId>,
        name: String,
        getter: Option<Type>,
    },
    /// `call`, `send`, ... of an address.
    AddressMember {
        callee: Operand,
        name: String,
    },
    /// `push` or `pop` of an array in storage.
    ArrayMethod {
        place: Place,
        element: Type,
        is_push: bool,
    },
    /// A function of the language: `keccak256`, `abi.encode`, `require`.
    Builtin(String),
    /// A namespace of the language: `msg`, `tx`, `block`, `abi`.
    Namespace(&'static str),
    /// `type(T)`.
    TypeInfo(Type),
    New(Type),
    /// An event or an error.
    Event {
        name: String,
        is_error: bool,
        params: Vec<Param>,
    },
    /// A callable with ether or gas attached.
    WithOptions {
        callable: Box<Value>,
        value: Option<Operand>,
        gas: Option<Operand>,
    },
    /// The old `.value` and `.gas` of a callable, before they are called themselves.
    OptionSetter {
        callable: Box<Value>,
        is_value: bool,
    },
    Nothing,
}

/// How functions without a receiver were named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallVia {
    /// By their bare name: overrides count.
    Name,
    /// Through a contract or library: exactly that function.
    Qualified,
    /// Through `super`.
    Super,
}

impl Value {
    pub(crate) fn ty(&self) -> Type {
        match self {
            Value::Operand(_, ty) | Value::Place(_, ty) | Value::Element { ty, .. } => ty.clone(),
            Value::Tuple(parts) => Type::Tuple(
                parts.iter().map(|part| part.as_ref().map_or(Type::Unknown, Value::ty)).collect(),
            ),
            _ => Type::Unknown,
        }
    }

    /// Whether what this stands for, and its type, were found.
    pub(crate) fn is_known(&self) -> bool {
        match self {
            Value::Operand(Operand::Constant(Constant::Unknown), _) => false,
            Value::Operand(_, ty)
            | Value::Place(_, ty)
            | Value::Element { ty, .. }
            | Value::Type(ty)
            | Value::TypeInfo(ty)
            | Value::New(ty) => ty.is_known(),
            Value::External { functions, getter, .. } => {
                !functions.is_empty() || getter.as_ref().is_some_and(Type::is_known)
            }
            Value::WithOptions { callable, .. } | Value::OptionSetter { callable, .. } => {
                callable.is_known()
            }
            Value::ArrayMethod { element, .. } => element.is_known(),
            Value::Tuple(_)
            | Value::Module(_)
            | Value::Super
            | Value::Functions(..)
            | Value::Attached(..)
            | Value::AddressMember { .. }
            | Value::Builtin(_)
            | Value::Namespace(_)
            | Value::Event { .. }
            | Value::Nothing => true,
        }
    }

    pub(crate) fn unknown() -> Self {
        Value::Operand(Operand::unknown(), Type::Unknown)
    }

    pub(crate) fn is_callable(&self) -> bool {
        matches!(
            self,
            Value::Functions(..)
                | Value::External { .. }
                | Value::AddressMember { .. }
                | Value::New(_)
                | Value::WithOptions { .. }
                | Value::Attached(..)
        )
    }
}
