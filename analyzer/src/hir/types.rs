//! Types, as far as the analyzer needs to tell them apart.

use super::{ContractId, EnumId, Program, StructId, UserTypeId};

/// How long an array is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ArrayLength {
    Dynamic,
    Fixed(u64),
    /// Fixed by an expression that was not evaluated.
    FixedUnknown,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Type {
    /// Depends on a name that was not found.
    Unknown,
    Bool,
    Address,
    Uint(u16),
    Int(u16),
    FixedBytes(u8),
    Bytes,
    String,
    /// A number literal, which takes the type it is used with.
    Number,
    Contract(ContractId),
    Struct(StructId),
    Enum(EnumId),
    User(UserTypeId),
    Mapping(Box<Type>, Box<Type>),
    Array(Box<Type>, ArrayLength),
    Function(Box<FunctionType>),
    Tuple(Vec<Type>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FunctionType {
    pub(crate) params: Vec<Type>,
    pub(crate) returns: Vec<Type>,
    pub(crate) is_external: bool,
}

impl Type {
    /// Whether values of this type live behind a reference (memory, storage, calldata).
    pub(crate) fn is_reference(&self) -> bool {
        matches!(
            self,
            Type::Bytes | Type::String | Type::Struct(_) | Type::Mapping(..) | Type::Array(..)
        )
    }

    /// Whether every name in the type was found.
    pub(crate) fn is_known(&self) -> bool {
        match self {
            Type::Unknown => false,
            Type::Mapping(key, value) => key.is_known() && value.is_known(),
            Type::Array(element, length) => {
                element.is_known() && *length != ArrayLength::FixedUnknown
            }
            Type::Function(function) => {
                function.params.iter().chain(&function.returns).all(Type::is_known)
            }
            Type::Tuple(types) => types.iter().all(Type::is_known),
            _ => true,
        }
    }

    /// Whether an argument of type `from` can be passed where this type is expected.
    pub(crate) fn accepts(&self, from: &Type, program: &Program) -> bool {
        match (self, from) {
            (Type::Unknown, _) | (_, Type::Unknown) => true,
            (Type::Uint(_) | Type::Int(_) | Type::FixedBytes(_) | Type::Address, Type::Number) => {
                true
            }
            (Type::Uint(wide), Type::Uint(narrow)) | (Type::Int(wide), Type::Int(narrow)) => {
                wide >= narrow
            }
            (Type::FixedBytes(wide), Type::FixedBytes(narrow)) => wide >= narrow,
            (Type::Bytes | Type::String | Type::FixedBytes(_), Type::String) => true,
            (Type::Contract(base), Type::Contract(derived)) => {
                program.contract(*derived).linearisation.contains(base)
            }
            // Contracts were addresses before 0.5.
            (Type::Address, Type::Contract(_)) => true,
            (Type::Array(to, ArrayLength::Dynamic), Type::Array(from, _)) => {
                to.accepts(from, program)
            }
            (Type::Array(to, _), Type::Array(from, _)) => to.accepts(from, program),
            (Type::Function(_), Type::Function(_)) => true,
            _ => self == from,
        }
    }

    /// How the type is written; the key by which overloads and overrides are matched.
    pub(crate) fn display(&self, program: &Program) -> String {
        match self {
            Type::Unknown => "?".to_owned(),
            Type::Bool => "bool".to_owned(),
            Type::Address => "address".to_owned(),
            Type::Uint(bits) => format!("uint{bits}"),
            Type::Int(bits) => format!("int{bits}"),
            Type::FixedBytes(bytes) => format!("bytes{bytes}"),
            Type::Bytes => "bytes".to_owned(),
            Type::String => "string".to_owned(),
            Type::Number => "number".to_owned(),
            Type::Contract(id) => program.contract(*id).name.clone(),
            Type::Struct(id) => program.structs[id.index()].name.clone(),
            Type::Enum(id) => program.enums[id.index()].name.clone(),
            Type::User(id) => program.user_types[id.index()].name.clone(),
            Type::Mapping(key, value) => {
                format!("mapping({} => {})", key.display(program), value.display(program))
            }
            Type::Array(element, ArrayLength::Fixed(length)) => {
                format!("{}[{length}]", element.display(program))
            }
            Type::Array(element, ArrayLength::FixedUnknown) => {
                format!("{}[?]", element.display(program))
            }
            Type::Array(element, ArrayLength::Dynamic) => format!("{}[]", element.display(program)),
            Type::Function(function) => {
                let params: Vec<_> = function.params.iter().map(|ty| ty.display(program)).collect();
                format!("function({})", params.join(","))
            }
            Type::Tuple(types) => {
                let types: Vec<_> = types.iter().map(|ty| ty.display(program)).collect();
                format!("({})", types.join(","))
            }
        }
    }
}
