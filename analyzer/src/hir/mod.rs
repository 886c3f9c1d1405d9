//! Names resolved: what a program declares, and what each name stands for.
//!
//! Declarations are resolved when a [`Program`] is built; names inside of bodies are resolved by the
//! lowering in `cfg`, which asks [`Program`] what a name means at its place.

mod build;
mod constant;
mod coverage;
mod ids;
mod layout;
mod linearise;
mod lookup;
mod types;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::{project, single};

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::project::{Project, ProjectFile};
use crate::syntax::ast;
use crate::syntax::{Diagnostic, FileId, Span, on_deep_stack};

pub(crate) use constant::literal_bits;
pub(crate) use coverage::Names;
pub use ids::{ContractId, EnumId, EventId, FunctionId, StructId, UserTypeId, VariableId};
pub use layout::StorageSlot;
pub(crate) use lookup::{Declaration, Scope, elementary_type, type_of, type_path};
pub(crate) use types::{ArrayLength, FunctionType, Type};

/// One source file with its imports already found.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its number: the position of this file in the list given to [`Program::build`].
    pub id: FileId,
    /// Where it was read from, as it shall be shown.
    pub path: PathBuf,
    /// The whole text.
    pub text: Arc<str>,
    /// Each import path as written, with the file it stands for; `None` where it was not found.
    pub imports: BTreeMap<String, Option<FileId>>,
}

impl Source {
    /// The files of a project, by their numbers.
    pub fn of_project(project: &Project) -> Vec<Source> {
        let id =
            |number: usize| FileId(u32::try_from(number).expect("fewer than four billion files"));
        let imports = |file: &ProjectFile| {
            file.imports.iter().map(|(import, target)| (import.clone(), target.map(id))).collect()
        };
        let source = |(number, file): (usize, &ProjectFile)| Source {
            id: id(number),
            path: PathBuf::from(&file.shown),
            text: Arc::clone(&file.text),
            imports: imports(file),
        };
        project.files.iter().enumerate().map(source).collect()
    }
}

/// Everything that a set of sources declares.
pub struct Program {
    sources: Vec<Source>,
    pub(crate) files: Vec<File>,
    pub(crate) contracts: Vec<Contract>,
    pub(crate) functions: Vec<Function>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) structs: Vec<Struct>,
    pub(crate) enums: Vec<Enum>,
    pub(crate) events: Vec<Event>,
    pub(crate) user_types: Vec<UserType>,
    /// The names that declarations use.
    pub(crate) names: Names,
}

/// What one file brings into scope.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) declarations: BTreeMap<String, Vec<Declaration>>,
    pub(crate) imports: Vec<Import>,
    pub(crate) usings: Vec<Using>,
    /// Overflow reverts by default (0.8 and later, or no pragma that says otherwise).
    pub(crate) is_checked: bool,
    /// Calls of `view` functions are static (0.5 and later): the callee can change nothing.
    pub(crate) has_static_calls: bool,
}

#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) file: Option<FileId>,
    pub(crate) names: ast::ImportNames,
}

/// A `using` directive with its functions found.
#[derive(Debug, Clone)]
pub(crate) struct Using {
    /// A library all of whose functions are attached.
    pub(crate) library: Option<ContractId>,
    /// Single functions, each perhaps as an operator.
    pub(crate) functions: Vec<(FunctionId, Option<ast::Operator>)>,
    /// `None` for `*`.
    pub(crate) ty: Option<Type>,
    pub(crate) is_global: bool,
}

#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) name: String,
    pub(crate) kind: ast::ContractKind,
    pub(crate) file: FileId,
    pub(crate) span: Span,
    pub(crate) name_span: Span,
    /// Direct bases as written, with the arguments of their constructors.
    pub(crate) bases: Vec<(Option<ContractId>, ast::Invocation)>,
    /// This contract first, then its bases, most derived first.
    pub(crate) linearisation: Vec<ContractId>,
    /// A base could not be found, here or further up.
    pub(crate) has_unknown_base: bool,
    /// The expression of `layout at`.
    pub(crate) layout: Option<ast::Expr>,
    pub(crate) members: BTreeMap<String, Vec<Declaration>>,
    /// In order of declaration.
    pub(crate) functions: Vec<FunctionId>,
    /// In order of declaration.
    pub(crate) variables: Vec<VariableId>,
    pub(crate) usings: Vec<Using>,
}

#[derive(Debug, Clone)]
pub(crate) struct Param {
    pub(crate) name: Option<String>,
    pub(crate) ty: Type,
    pub(crate) location: Option<ast::Location>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) kind: ast::FunctionKind,
    pub(crate) file: FileId,
    pub(crate) contract: Option<ContractId>,
    pub(crate) params: Vec<Param>,
    pub(crate) returns: Vec<Param>,
    pub(crate) visibility: ast::Visibility,
    pub(crate) mutability: ast::Mutability,
    /// Modifiers, and base constructors of a constructor.
    pub(crate) invocations: Vec<ast::Invocation>,
    pub(crate) body: ast::Body,
    pub(crate) span: Span,
    pub(crate) name_span: Span,
    /// Name and parameter types: what overriding goes by.
    pub(crate) signature: String,
}

#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) file: FileId,
    pub(crate) contract: Option<ContractId>,
    pub(crate) ty: Type,
    pub(crate) is_constant: bool,
    pub(crate) is_immutable: bool,
    pub(crate) is_transient: bool,
    pub(crate) is_private: bool,
    pub(crate) init: Option<ast::Expr>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) file: FileId,
    pub(crate) fields: Vec<(String, Type)>,
}

#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) name: String,
    pub(crate) file: FileId,
    pub(crate) values: Vec<String>,
}

/// An event or an error.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) is_error: bool,
    pub(crate) params: Vec<Param>,
}

#[derive(Debug)]
pub(crate) struct UserType {
    pub(crate) name: String,
    pub(crate) underlying: Type,
    pub(crate) file: FileId,
}

impl Program {
    /// Parses and resolves `sources`; what cannot be read is said in the diagnostics and left out.
    ///
    /// The order of `sources` changes only the numbers of declarations.
    ///
    /// # Panics
    /// When the system cannot start a thread.
    pub fn build(sources: Vec<Source>) -> (Program, Vec<Diagnostic>) {
        let threads = rayon::current_num_threads();
        on_deep_stack(|| build::build(sources, threads))
    }

    /// The sources, by [`FileId`].
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The source that `file` numbers; `None` for a number of another program.
    pub fn source(&self, file: FileId) -> Option<&Source> {
        self.sources.get(file.0 as usize)
    }

    /// The text under `span`; empty where there is none.
    pub fn text(&self, span: Span) -> &str {
        self.source(span.file).map_or("", |source| span.text(&source.text))
    }

    /// All contracts, interfaces and libraries, in order of declaration.
    pub fn contract_ids(&self) -> impl Iterator<Item = ContractId> {
        (0..self.contracts.len()).map(ContractId::next)
    }

    /// All functions and modifiers, in order of declaration.
    pub fn function_ids(&self) -> impl Iterator<Item = FunctionId> {
        (0..self.functions.len()).map(FunctionId::next)
    }

    /// The name of a contract.
    pub fn contract_name(&self, id: ContractId) -> &str {
        &self.contract(id).name
    }

    /// The span of a contract's name.
    pub fn contract_name_span(&self, id: ContractId) -> Span {
        self.contract(id).name_span
    }

    /// The constructor that a contract declares itself.
    pub fn constructor(&self, id: ContractId) -> Option<FunctionId> {
        let mut functions = self.contract(id).functions.iter().copied();
        functions.find(|id| self.function(*id).kind == ast::FunctionKind::Constructor)
    }

    /// A contract and its bases, most derived first, as C3 orders them.
    pub fn linearisation(&self, id: ContractId) -> &[ContractId] {
        &self.contract(id).linearisation
    }

    /// The span of a whole contract.
    pub fn contract_span(&self, id: ContractId) -> Span {
        self.contract(id).span
    }

    /// The contract that declares a function; `None` for a free function.
    pub fn function_contract(&self, id: FunctionId) -> Option<ContractId> {
        self.function(id).contract
    }

    /// `Contract.name` of a function; constructors, fallback and receive functions go by their keyword.
    pub fn function_name(&self, id: FunctionId) -> String {
        let function = self.function(id);
        let name = match function.kind {
            ast::FunctionKind::Constructor => "constructor",
            ast::FunctionKind::Fallback => "fallback",
            ast::FunctionKind::Receive => "receive",
            ast::FunctionKind::Function | ast::FunctionKind::Modifier => &function.name,
        };
        match function.contract {
            Some(contract) => format!("{}.{name}", self.contract(contract).name),
            None => name.to_owned(),
        }
    }

    /// The span of a function's name; of its head where it has none.
    pub fn function_name_span(&self, id: FunctionId) -> Span {
        self.function(id).name_span
    }

    /// The span of a whole function.
    pub fn function_span(&self, id: FunctionId) -> Span {
        self.function(id).span
    }

    /// The name of a state variable.
    pub fn variable_name(&self, id: VariableId) -> &str {
        &self.variable(id).name
    }

    /// The span of a state variable's declaration.
    pub fn variable_span(&self, id: VariableId) -> Span {
        self.variable(id).span
    }

    pub(crate) fn contract(&self, id: ContractId) -> &Contract {
        &self.contracts[id.index()]
    }

    pub(crate) fn function(&self, id: FunctionId) -> &Function {
        &self.functions[id.index()]
    }

    pub(crate) fn variable(&self, id: VariableId) -> &Variable {
        &self.variables[id.index()]
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("sources", &self.sources.len())
            .field("contracts", &self.contracts.len())
            .field("functions", &self.functions.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let functions = std::mem::take(&mut self.functions);
        let variables = std::mem::take(&mut self.variables);
        let contracts = std::mem::take(&mut self.contracts);
        on_deep_stack(move || drop((functions, variables, contracts)));
    }
}
