//! What a name means at a place.

use super::{
    ContractId, EnumId, EventId, FunctionId, Program, StructId, Type, UserTypeId, Using, VariableId,
};
use crate::syntax::FileId;
use crate::syntax::ast::{self, Elementary, Expr, ExprKind, FunctionKind, Name};

use super::{ArrayLength, FunctionType};

/// What a name can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Declaration {
    Contract(ContractId),
    Function(FunctionId),
    Variable(VariableId),
    Struct(StructId),
    Enum(EnumId),
    Event(EventId),
    UserType(UserTypeId),
    Module(FileId),
}

/// Where a name is used: a file, and perhaps a contract in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) file: FileId,
    pub(crate) contract: Option<ContractId>,
}

impl Program {
    /// All declarations called `name` that are visible at `scope`: those of the contract and its bases,
    /// else those of the file. Overridden functions are left out.
    pub(crate) fn lookup(&self, scope: Scope, name: &str) -> Vec<Declaration> {
        if let Some(contract) = scope.contract {
            let members = self.members(contract, name);
            if !members.is_empty() {
                return members;
            }
            if self.contract(contract).name == name {
                return vec![Declaration::Contract(contract)];
            }
        }
        self.lookup_file(scope.file, name)
    }

    /// Whether an import of the file or a base of the contract is missing, so that unknown names are
    /// no surprise.
    pub(crate) fn has_gaps(&self, scope: Scope) -> bool {
        scope.contract.is_some_and(|contract| self.contract(contract).has_unknown_base)
            || self
                .files
                .get(scope.file.0 as usize)
                .is_some_and(|file| file.imports.iter().any(|import| import.file.is_none()))
    }

    /// The members of `contract` called `name`, its own before inherited ones. What is private to a base is meant
    /// only where there is nothing else, which no compiler would take.
    pub(crate) fn members(&self, contract: ContractId, name: &str) -> Vec<Declaration> {
        let mut out: Vec<Declaration> = Vec::new();
        let mut hidden: Vec<Declaration> = Vec::new();
        for &base in &self.contract(contract).linearisation {
            for &declaration in
                self.contract(base).members.get(name).map(Vec::as_slice).unwrap_or_default()
            {
                if base != contract && self.is_private(declaration) {
                    hidden.push(declaration);
                    continue;
                }
                if let Declaration::Function(id) = declaration {
                    let function = self.function(id);
                    let is_overridden = out.iter().any(|known| match known {
                        Declaration::Function(known) => {
                            self.function(*known).signature == function.signature
                        }
                        // A public variable implements the getter that a base declares.
                        Declaration::Variable(_) => true,
                        _ => false,
                    });
                    if is_overridden {
                        continue;
                    }
                }
                out.push(declaration);
            }
        }
        if out.is_empty() { hidden } else { out }
    }

    fn is_private(&self, declaration: Declaration) -> bool {
        match declaration {
            Declaration::Variable(id) => self.variable(id).is_private,
            Declaration::Function(id) => self.function(id).visibility == ast::Visibility::Private,
            _ => false,
        }
    }

    /// The declarations called `name` in a file or in what it imports.
    pub(crate) fn lookup_file(&self, file: FileId, name: &str) -> Vec<Declaration> {
        let mut out = Vec::new();
        self.collect(file, name, &mut Vec::new(), &mut out);
        out.sort();
        out.dedup();
        out
    }

    fn collect(
        &self,
        file: FileId,
        name: &str,
        visited: &mut Vec<FileId>,
        out: &mut Vec<Declaration>,
    ) {
        if visited.contains(&file) {
            return;
        }
        visited.push(file);
        let Some(scope) = self.files.get(file.0 as usize) else { return };
        if let Some(declarations) = scope.declarations.get(name) {
            out.extend(declarations);
        }
        for import in &scope.imports {
            let Some(target) = import.file else { continue };
            match &import.names {
                ast::ImportNames::All => self.collect(target, name, visited, out),
                ast::ImportNames::Module(module) if module.text == name => {
                    out.push(Declaration::Module(target))
                }
                ast::ImportNames::Module(_) => {}
                ast::ImportNames::Some(names) => {
                    for (from, to) in names {
                        if to.as_ref().unwrap_or(from).text == name {
                            // The file may also be imported under other names: each is its own search.
                            self.collect(target, &from.text, &mut vec![], out);
                        }
                    }
                }
            }
        }
    }

    /// Follows a dotted path.
    pub(crate) fn lookup_path(&self, scope: Scope, path: &[Name]) -> Vec<Declaration> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let mut found = self.lookup(scope, &first.text);
        for name in rest {
            found = found
                .iter()
                .flat_map(|&declaration| self.inside(declaration, &name.text))
                .collect();
        }
        found
    }

    /// The declarations called `name` inside of a namespace.
    pub(crate) fn inside(&self, declaration: Declaration, name: &str) -> Vec<Declaration> {
        match declaration {
            Declaration::Contract(id) => self.members(id, name),
            Declaration::Module(file) => self.lookup_file(file, name),
            _ => Vec::new(),
        }
    }

    /// The type that an expression names; `Unknown` where a name was not found.
    pub(crate) fn resolve_type(&self, scope: Scope, expr: &Expr) -> Type {
        match &expr.kind {
            ExprKind::Elementary(elementary) => elementary_type(*elementary),
            ExprKind::Ident(_) | ExprKind::Member(..) => {
                let Some(path) = type_path(expr) else { return Type::Unknown };
                self.lookup_path(scope, &path)
                    .iter()
                    .find_map(|declaration| type_of(*declaration))
                    .unwrap_or(Type::Unknown)
            }
            ExprKind::Mapping(key, value) => Type::Mapping(
                Box::new(self.resolve_type(scope, key)),
                Box::new(self.resolve_type(scope, value)),
            ),
            ExprKind::Index(element, None) => {
                Type::Array(Box::new(self.resolve_type(scope, element)), ArrayLength::Dynamic)
            }
            ExprKind::Index(element, Some(length)) => {
                let length = self
                    .constant(scope, length)
                    .and_then(|length| u64::try_from(length).ok())
                    .map_or(ArrayLength::FixedUnknown, ArrayLength::Fixed);
                Type::Array(Box::new(self.resolve_type(scope, element)), length)
            }
            ExprKind::FunctionType { params, returns, is_external } => {
                Type::Function(Box::new(FunctionType {
                    params: params
                        .iter()
                        .map(|param| self.resolve_type(scope, &param.ty))
                        .collect(),
                    returns: returns
                        .iter()
                        .map(|param| self.resolve_type(scope, &param.ty))
                        .collect(),
                    is_external: *is_external,
                }))
            }
            ExprKind::Tuple(items) => Type::Tuple(
                items.iter().flatten().map(|item| self.resolve_type(scope, item)).collect(),
            ),
            _ => Type::Unknown,
        }
    }

    /// Functions that `using` directives attach to values of type `ty` under `name`: those for this very type, else
    /// those for a type that takes it.
    pub(crate) fn attached(&self, scope: Scope, ty: &Type, name: &str) -> Vec<FunctionId> {
        let mut exact = Vec::new();
        let mut near = Vec::new();
        for using in self.usings(scope, ty) {
            let is_exact = using.ty.as_ref().is_none_or(|wanted| wanted == ty);
            let out = if is_exact { &mut exact } else { &mut near };
            if let Some(library) = using.library {
                let members = self.contract(library).members.get(name);
                out.extend(members.into_iter().flatten().filter_map(
                    |declaration| match declaration {
                        Declaration::Function(id)
                            if self.function(*id).kind == FunctionKind::Function =>
                        {
                            Some(*id)
                        }
                        _ => None,
                    },
                ));
            }
            let named = using.functions.iter();
            out.extend(
                named
                    .filter(|(id, operator)| operator.is_none() && self.function(*id).name == name)
                    .map(|(id, _)| *id),
            );
        }
        let mut out = if exact.is_empty() { near } else { exact };
        out.sort();
        out.dedup();
        out
    }

    /// The function that defines `operator` on values of the user-defined type `ty`.
    pub(crate) fn operator(
        &self,
        scope: Scope,
        ty: &Type,
        operator: ast::Operator,
    ) -> Option<FunctionId> {
        if !matches!(ty, Type::User(_)) {
            return None;
        }
        // `-` is written for both operators; the function's parameters tell which it is.
        let (written, operands) = match operator {
            ast::Operator::Unary(ast::UnaryOp::Negate) => {
                (ast::Operator::Binary(ast::BinaryOp::Sub), 1)
            }
            ast::Operator::Unary(_) => (operator, 1),
            ast::Operator::Binary(_) => (operator, 2),
        };
        self.usings(scope, ty)
            .flat_map(|using| using.functions.iter())
            .find(|(id, known)| {
                *known == Some(written) && self.function(*id).params.len() == operands
            })
            .map(|(id, _)| *id)
    }

    fn usings<'a>(&'a self, scope: Scope, ty: &'a Type) -> impl Iterator<Item = &'a Using> {
        // Before 0.7 `using` was inherited; today it is not, but a directive that the compiler ignores
        // attaches nothing that the code could use.
        let inherited = scope
            .contract
            .into_iter()
            .flat_map(|contract| self.contract(contract).linearisation.iter())
            .flat_map(|base| self.contract(*base).usings.iter());
        let own =
            self.files.get(scope.file.0 as usize).into_iter().flat_map(|file| file.usings.iter());
        let global = self
            .file_of(ty)
            .filter(|file| *file != scope.file)
            .and_then(|file| self.files.get(file.0 as usize))
            .into_iter()
            .flat_map(|file| file.usings.iter().filter(|using| using.is_global));
        inherited.chain(own).chain(global).filter(|using| match &using.ty {
            None => true,
            Some(Type::Unknown) => false,
            Some(wanted) => wanted.accepts(ty, self) || *ty == Type::Unknown,
        })
    }

    fn file_of(&self, ty: &Type) -> Option<FileId> {
        match ty {
            Type::User(id) => Some(self.user_types[id.index()].file),
            Type::Struct(id) => Some(self.structs[id.index()].file),
            Type::Enum(id) => Some(self.enums[id.index()].file),
            Type::Contract(id) => Some(self.contract(*id).file),
            _ => None,
        }
    }

    /// The implementation of `function` that a call finds in the view of `contract`: the first in its
    /// linearisation with the same signature and kind, after `after` where that is given.
    pub(crate) fn dispatch(
        &self,
        contract: ContractId,
        function: FunctionId,
        after: Option<ContractId>,
    ) -> FunctionId {
        let wanted = self.function(function);
        let order = &self.contract(contract).linearisation;
        let start = after
            .and_then(|after| order.iter().position(|&base| base == after))
            .map_or(0, |at| at + 1);
        let mut declared = None;
        for base in order.iter().skip(start) {
            for &candidate in &self.contract(*base).functions {
                let known = self.function(candidate);
                if known.kind == wanted.kind && known.signature == wanted.signature {
                    if !matches!(known.body, ast::Body::None) {
                        return candidate;
                    }
                    declared.get_or_insert(candidate);
                }
            }
        }
        declared.unwrap_or(function)
    }
}

pub(crate) fn elementary_type(elementary: Elementary) -> Type {
    match elementary {
        Elementary::Address { .. } => Type::Address,
        Elementary::Bool => Type::Bool,
        Elementary::String => Type::String,
        Elementary::Bytes => Type::Bytes,
        Elementary::FixedBytes(bytes) => Type::FixedBytes(bytes),
        Elementary::Int(bits) => Type::Int(bits),
        Elementary::Uint(bits) => Type::Uint(bits),
    }
}

/// The type that a declaration names.
pub(crate) fn type_of(declaration: Declaration) -> Option<Type> {
    match declaration {
        Declaration::Contract(id) => Some(Type::Contract(id)),
        Declaration::Struct(id) => Some(Type::Struct(id)),
        Declaration::Enum(id) => Some(Type::Enum(id)),
        Declaration::UserType(id) => Some(Type::User(id)),
        Declaration::Function(_)
        | Declaration::Variable(_)
        | Declaration::Event(_)
        | Declaration::Module(_) => None,
    }
}

/// The names of a dotted path.
pub(crate) fn type_path(expr: &Expr) -> Option<Vec<Name>> {
    match &expr.kind {
        ExprKind::Ident(text) => Some(vec![Name { text: text.clone(), span: expr.span }]),
        ExprKind::Member(base, name) => {
            let mut path = type_path(base)?;
            path.push(name.clone());
            Some(path)
        }
        _ => None,
    }
}
