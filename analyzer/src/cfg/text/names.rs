//! Names in the text of the intermediate representation: each stands for one declaration, and back.

use std::collections::BTreeMap;

use super::{PURE, RESERVED};
use crate::hir::{
    ArrayLength, ContractId, EnumId, FunctionId, Program, StructId, Type, UserTypeId, VariableId,
};
use crate::syntax::ast::FunctionKind;

/// All names of a program. The second declaration of a name gets `#2`, and so on, in order of declaration.
#[derive(Debug)]
pub(crate) struct Names<'p> {
    pub(crate) program: &'p Program,
    contracts: Table,
    /// `Contract::name`, or `::name` for constants of files.
    variables: Table,
    /// `Contract.name` or `name`; with `{types}` where a name is overloaded.
    functions: Table,
    structs: Table,
    enums: Table,
    user_types: Table,
}

/// Names by number, and numbers by name.
#[derive(Debug, Default)]
struct Table {
    names: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Table {
    fn of(names: impl Iterator<Item = String>) -> Self {
        let mut table = Table::default();
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for (number, name) in (0_u32..).zip(names) {
            let count = counts.entry(name.clone()).or_default();
            *count += 1;
            let name = if *count == 1 { name } else { format!("{name}#{count}") };
            table.numbers.insert(name.clone(), number);
            table.names.push(name);
        }
        table
    }

    fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("?", String::as_str)
    }
}

impl<'p> Names<'p> {
    pub(crate) fn new(program: &'p Program) -> Self {
        let contracts = Table::of(program.contracts.iter().map(|contract| contract.name.clone()));
        let variables = Table::of(program.variables.iter().map(|variable| {
            let contract = variable.contract.map_or("", |id| contracts.name(id.index()));
            format!("{contract}::{}", variable.name)
        }));
        let plain: Vec<String> = program
            .functions
            .iter()
            .map(|function| {
                let name = match function.kind {
                    FunctionKind::Constructor => "constructor",
                    FunctionKind::Fallback => "fallback",
                    FunctionKind::Receive => "receive",
                    FunctionKind::Function | FunctionKind::Modifier => &function.name,
                };
                match function.contract {
                    Some(contract) => format!("{}.{name}", contracts.name(contract.index())),
                    None if RESERVED.contains(&name) || PURE.contains(&name) => format!("::{name}"),
                    None => name.to_owned(),
                }
            })
            .collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &plain {
            *counts.entry(name).or_default() += 1;
        }
        let functions = Table::of(plain.iter().zip(&program.functions).map(|(name, function)| {
            let types = function.signature.split_once('(').map(|(_, types)| types);
            match types.and_then(|types| types.strip_suffix(')')) {
                Some(types) if counts[name.as_str()] > 1 => format!("{name}{{{types}}}"),
                _ => name.clone(),
            }
        }));
        Self {
            program,
            variables,
            functions,
            structs: Table::of(program.structs.iter().map(|of| of.name.clone())),
            enums: Table::of(program.enums.iter().map(|of| of.name.clone())),
            user_types: Table::of(program.user_types.iter().map(|of| of.name.clone())),
            contracts,
        }
    }

    pub(crate) fn contract(&self, id: ContractId) -> &str {
        self.contracts.name(id.index())
    }

    pub(crate) fn function(&self, id: FunctionId) -> &str {
        self.functions.name(id.index())
    }

    pub(super) fn path_of_variable(&self, id: VariableId) -> &str {
        self.variables.name(id.index())
    }

    pub(super) fn find_contract(&self, name: &str) -> Option<ContractId> {
        self.contracts.numbers.get(name).copied().map(ContractId)
    }

    pub(super) fn find_function(&self, name: &str) -> Option<FunctionId> {
        self.functions.numbers.get(name).copied().map(FunctionId)
    }

    pub(super) fn find_variable(&self, path: &str) -> Option<VariableId> {
        self.variables.numbers.get(path).copied().map(VariableId)
    }

    pub(super) fn find_struct(&self, name: &str) -> Option<StructId> {
        self.structs.numbers.get(name).copied().map(StructId)
    }

    pub(super) fn find_enum(&self, name: &str) -> Option<EnumId> {
        self.enums.numbers.get(name).copied().map(EnumId)
    }

    pub(super) fn find_user_type(&self, name: &str) -> Option<UserTypeId> {
        self.user_types.numbers.get(name).copied().map(UserTypeId)
    }

    /// The variables that need no path on `context`: those of its linearisation, nearest first, then
    /// constants of files.
    pub(super) fn in_scope(&self, context: Option<ContractId>) -> BTreeMap<&'p str, VariableId> {
        let program = self.program;
        let mut scope = BTreeMap::new();
        let bases = context.map(|id| program.contract(id).linearisation.as_slice());
        for base in bases.unwrap_or_default() {
            for id in &program.contract(*base).variables {
                scope.entry(program.variable(*id).name.as_str()).or_insert(*id);
            }
        }
        for (number, variable) in (0_u32..).zip(&program.variables) {
            if variable.contract.is_none() {
                scope.entry(variable.name.as_str()).or_insert(VariableId(number));
            }
        }
        scope.retain(|name, _| !RESERVED.contains(name) && !name.is_empty());
        scope
    }

    /// How a type is written in a declaration.
    pub(super) fn ty(&self, ty: &Type) -> String {
        match ty {
            Type::Unknown => "?".to_owned(),
            Type::Bool => "bool".to_owned(),
            Type::Address => "address".to_owned(),
            Type::Uint(bits) => format!("uint{bits}"),
            Type::Int(bits) => format!("int{bits}"),
            Type::FixedBytes(bytes) => format!("bytes{bytes}"),
            Type::Bytes => "bytes".to_owned(),
            Type::String => "string".to_owned(),
            Type::Number => "number".to_owned(),
            Type::Contract(id) => format!("contract {}", self.contract(*id)),
            Type::Struct(id) => format!("struct {}", self.structs.name(id.index())),
            Type::Enum(id) => format!("enum {}", self.enums.name(id.index())),
            Type::User(id) => format!("type {}", self.user_types.name(id.index())),
            Type::Mapping(key, value) => format!("mapping({} => {})", self.ty(key), self.ty(value)),
            Type::Array(element, length) => {
                let length = match length {
                    ArrayLength::Dynamic => String::new(),
                    ArrayLength::Fixed(length) => length.to_string(),
                    ArrayLength::FixedUnknown => "?".to_owned(),
                };
                format!("{}[{length}]", self.ty(element))
            }
            Type::Function(function) => {
                let how = if function.is_external { "external " } else { "" };
                let (params, returns) =
                    (self.types(&function.params), self.types(&function.returns));
                format!("{how}function({params}) returns ({returns})")
            }
            Type::Tuple(types) => format!("({})", self.types(types)),
        }
    }

    fn types(&self, types: &[Type]) -> String {
        types.iter().map(|ty| self.ty(ty)).collect::<Vec<_>>().join(", ")
    }
}
