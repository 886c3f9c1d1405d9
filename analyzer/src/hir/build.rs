//! From syntax trees to the tables of a program.

use std::collections::BTreeMap;

use super::linearise::linearise;
use super::{
    Contract, ContractId, Declaration, Enum, EnumId, Event, EventId, File, Function, FunctionId,
    Import, Names, Param, Program, Scope, Source, Struct, StructId, Type, UserType, UserTypeId,
    Using, Variable, VariableId,
};
use crate::syntax::ast::{self, ContractKind, FunctionKind, Item, Visibility};
use crate::syntax::{Diagnostic, FileId, Parsed, deep_map, parse};

pub(crate) fn build(sources: Vec<Source>, threads: usize) -> (Program, Vec<Diagnostic>) {
    let parsed = deep_map(sources.len(), threads, |index| {
        let source = &sources[index];
        parse(&source.text, source.id)
    });
    let mut builder = Builder {
        program: Program {
            files: Vec::with_capacity(sources.len()),
            sources,
            contracts: Vec::new(),
            functions: Vec::new(),
            variables: Vec::new(),
            structs: Vec::new(),
            enums: Vec::new(),
            events: Vec::new(),
            user_types: Vec::new(),
            names: Names::default(),
        },
        diagnostics: Vec::new(),
        open_types: OpenTypes::default(),
    };
    for (index, file) in parsed.into_iter().enumerate() {
        builder.declare_file(FileId(u32::try_from(index).unwrap_or(u32::MAX)), file);
    }
    builder.resolve_bases();
    builder.resolve_types();
    builder.resolve_usings();
    builder.count_imports();
    builder.diagnostics.sort();
    (builder.program, builder.diagnostics)
}

/// Declarations whose types wait until all names are known.
#[derive(Default)]
struct OpenTypes {
    structs: Vec<(Scope, StructId, Vec<ast::Param>)>,
    user_types: Vec<(Scope, UserTypeId, ast::Expr)>,
    variables: Vec<(Scope, VariableId, ast::Expr)>,
    functions: Vec<(Scope, FunctionId, Vec<ast::Param>, Vec<ast::Param>)>,
    events: Vec<(Scope, EventId, Vec<ast::Param>)>,
    /// What `override(...)` names.
    overrides: Vec<(Scope, Vec<ast::Name>)>,
    usings: Vec<(Scope, ast::Using)>,
}

struct Builder {
    program: Program,
    diagnostics: Vec<Diagnostic>,
    open_types: OpenTypes,
}

impl Builder {
    fn declare_file(&mut self, file: FileId, parsed: Parsed) {
        self.diagnostics.extend(parsed.diagnostics);
        let (lowest, highest) = versions(&parsed.pragmas);
        self.program.files.push(File {
            is_checked: highest >= 8,
            has_static_calls: lowest >= 5,
            ..File::default()
        });
        let scope = Scope { file, contract: None };
        for item in parsed.unit.items {
            match item {
                Item::Import(import) => self.import(file, import),
                Item::Contract(contract) => self.contract(file, contract),
                other => self.declare(scope, other),
            }
        }
    }

    fn import(&mut self, file: FileId, import: ast::Import) {
        let source = &self.program.sources[file.0 as usize];
        let target = source.imports.get(&import.path).copied().flatten();
        let known = target.filter(|target| (target.0 as usize) < self.program.sources.len());
        self.program.files[file.0 as usize]
            .imports
            .push(Import { file: known, names: import.names });
    }

    fn contract(&mut self, file: FileId, contract: ast::Contract) {
        let id = ContractId::next(self.program.contracts.len());
        self.program.contracts.push(Contract {
            name: contract.name.text.clone(),
            kind: contract.kind,
            file,
            span: contract.span,
            name_span: contract.name.span,
            bases: contract.bases.into_iter().map(|base| (None, base)).collect(),
            linearisation: vec![id],
            has_unknown_base: false,
            layout: contract.layout,
            members: BTreeMap::new(),
            functions: Vec::new(),
            variables: Vec::new(),
            usings: Vec::new(),
        });
        self.name(Scope { file, contract: None }, contract.name.text, Declaration::Contract(id));
        let scope = Scope { file, contract: Some(id) };
        for part in contract.parts {
            self.declare(scope, part);
        }
    }

    fn name(&mut self, scope: Scope, name: String, declaration: Declaration) {
        let map = match scope.contract {
            Some(contract) => &mut self.program.contracts[contract.index()].members,
            None => &mut self.program.files[scope.file.0 as usize].declarations,
        };
        map.entry(name).or_default().push(declaration);
    }

    fn declare(&mut self, scope: Scope, item: Item) {
        match item {
            Item::Import(_) | Item::Contract(_) => {}
            Item::Function(function) => self.function(scope, function),
            Item::Struct(item) => {
                let id = StructId::next(self.program.structs.len());
                let name = item.name.text;
                self.program.structs.push(Struct {
                    name: name.clone(),
                    file: scope.file,
                    fields: Vec::new(),
                });
                self.open_types.structs.push((scope, id, item.fields));
                self.name(scope, name, Declaration::Struct(id));
            }
            Item::Enum(item) => {
                let id = EnumId::next(self.program.enums.len());
                let values = item.values.into_iter().map(|value| value.text).collect();
                self.program.enums.push(Enum {
                    name: item.name.text.clone(),
                    file: scope.file,
                    values,
                });
                self.name(scope, item.name.text, Declaration::Enum(id));
            }
            Item::Event(item) => self.event(scope, item, false),
            Item::Error(item) => self.event(scope, item, true),
            Item::Variable(item) => {
                let id = VariableId::next(self.program.variables.len());
                self.program.variables.push(Variable {
                    name: item.name.text.clone(),
                    file: scope.file,
                    contract: scope.contract,
                    ty: Type::Unknown,
                    is_constant: item.is_constant,
                    is_immutable: item.is_immutable,
                    is_transient: item.is_transient,
                    is_private: item.is_private,
                    init: item.init,
                    span: item.span,
                });
                if let Some(contract) = scope.contract {
                    self.program.contracts[contract.index()].variables.push(id);
                }
                self.open_types.variables.push((scope, id, item.ty));
                self.overrides(scope, item.overrides);
                self.name(scope, item.name.text, Declaration::Variable(id));
            }
            Item::UserType(item) => {
                let id = UserTypeId::next(self.program.user_types.len());
                self.program.user_types.push(UserType {
                    name: item.name.text.clone(),
                    underlying: Type::Unknown,
                    file: scope.file,
                });
                self.open_types.user_types.push((scope, id, item.ty));
                self.name(scope, item.name.text, Declaration::UserType(id));
            }
            Item::Using(using) => self.open_types.usings.push((scope, using)),
        }
    }

    fn event(&mut self, scope: Scope, event: ast::Event, is_error: bool) {
        let id = EventId::next(self.program.events.len());
        let name = event.name.text;
        self.program.events.push(Event { name: name.clone(), is_error, params: Vec::new() });
        self.open_types.events.push((scope, id, event.params));
        self.name(scope, name, Declaration::Event(id));
    }

    fn overrides(&mut self, scope: Scope, overrides: Vec<Vec<ast::Name>>) {
        self.open_types.overrides.extend(overrides.into_iter().map(|path| (scope, path)));
    }

    fn function(&mut self, scope: Scope, function: ast::Function) {
        let id = FunctionId::next(self.program.functions.len());
        let contract = scope.contract.map(|contract| &self.program.contracts[contract.index()]);
        let is_old_constructor = function.kind == FunctionKind::Function
            && contract.is_some_and(|contract| {
                contract.name == function.name.text
                    && !matches!(contract.kind, ContractKind::Interface | ContractKind::Library)
            });
        let kind = if is_old_constructor { FunctionKind::Constructor } else { function.kind };
        let default_visibility = match (kind, contract.map(|contract| contract.kind)) {
            (FunctionKind::Modifier, _) | (_, None) => Visibility::Internal,
            (FunctionKind::Fallback | FunctionKind::Receive, _)
            | (_, Some(ContractKind::Interface)) => Visibility::External,
            _ => Visibility::Public,
        };
        let name =
            if kind == FunctionKind::Constructor { String::new() } else { function.name.text };
        self.program.functions.push(Function {
            name: name.clone(),
            kind,
            file: scope.file,
            contract: scope.contract,
            params: Vec::new(),
            returns: Vec::new(),
            visibility: function.visibility.unwrap_or(default_visibility),
            mutability: function.mutability,
            invocations: function.invocations,
            body: function.body,
            span: function.span,
            name_span: function.name.span,
            signature: String::new(),
        });
        self.open_types.functions.push((scope, id, function.params, function.returns));
        self.overrides(scope, function.overrides);
        if let Some(contract) = scope.contract {
            self.program.contracts[contract.index()].functions.push(id);
        }
        if !name.is_empty() {
            self.name(scope, name, Declaration::Function(id));
        }
    }

    fn resolve_bases(&mut self) {
        for index in 0..self.program.contracts.len() {
            let scope = Scope { file: self.program.contracts[index].file, contract: None };
            for base in 0..self.program.contracts[index].bases.len() {
                let path = &self.program.contracts[index].bases[base].1.path;
                let found =
                    self.program.lookup_path(scope, path).into_iter().find_map(|declaration| {
                        match declaration {
                            Declaration::Contract(id) if id.index() != index => Some(id),
                            _ => None,
                        }
                    });
                if found.is_none() && !self.program.has_gaps(scope) {
                    let span = self.program.contracts[index].bases[base].1.span;
                    self.diagnostics.push(Diagnostic::new(span, "unknown base contract"));
                }
                let invocation = &self.program.contracts[index].bases[base].1;
                self.program.names.note_path(&invocation.path, found.is_some());
                self.program.contracts[index].bases[base].0 = found;
            }
        }
        let mut done = vec![false; self.program.contracts.len()];
        for index in 0..self.program.contracts.len() {
            self.linearise(ContractId::next(index), &mut done, &mut Vec::new());
        }
    }

    fn linearise(&mut self, id: ContractId, done: &mut [bool], open: &mut Vec<ContractId>) {
        if done[id.index()] || open.contains(&id) {
            return;
        }
        open.push(id);
        let all = self.program.contract(id).bases.clone();
        let mut bases: Vec<ContractId> = Vec::new();
        for base in all.iter().filter_map(|(base, _)| *base) {
            if !bases.contains(&base) && !open.contains(&base) {
                bases.push(base);
            }
        }
        for &base in &bases {
            self.linearise(base, done, open);
        }
        open.pop();
        let of = |base: ContractId| self.program.contract(base).linearisation.clone();
        let order = linearise(id, &bases, of);
        let is_consistent = order.is_some();
        let order = order.unwrap_or_else(|| {
            let mut order = vec![id];
            for &base in bases.iter().rev() {
                for entry in of(base) {
                    if !order.contains(&entry) {
                        order.push(entry);
                    }
                }
            }
            order
        });
        let unknown = all.iter().any(|(base, _)| base.is_none())
            || order.iter().skip(1).any(|base| self.program.contract(*base).has_unknown_base);
        let contract = &mut self.program.contracts[id.index()];
        contract.linearisation = order;
        contract.has_unknown_base = unknown;
        if !is_consistent {
            let span = contract.name_span;
            self.diagnostics.push(
                Diagnostic::new(span, "bases have no consistent order")
                    .with_note("they are searched in the order written"),
            );
        }
        done[id.index()] = true;
    }

    fn resolve_types(&mut self) {
        let open = std::mem::take(&mut self.open_types);
        for (scope, id, ty) in open.user_types {
            self.program.user_types[id.index()].underlying = self.ty(scope, &ty);
        }
        for (scope, id, fields) in open.structs {
            let fields = fields
                .iter()
                .map(|field| {
                    let name =
                        field.name.as_ref().map(|name| name.text.clone()).unwrap_or_default();
                    (name, self.ty(scope, &field.ty))
                })
                .collect();
            self.program.structs[id.index()].fields = fields;
        }
        for (scope, id, ty) in open.variables {
            self.program.variables[id.index()].ty = self.ty(scope, &ty);
        }
        for (scope, id, params) in open.events {
            self.program.events[id.index()].params = self.params(scope, &params);
        }
        for (scope, id, params, returns) in open.functions {
            let (params, returns) = (self.params(scope, &params), self.params(scope, &returns));
            let types: Vec<_> =
                params.iter().map(|param| param.ty.display(&self.program)).collect();
            let function = &mut self.program.functions[id.index()];
            // Modifiers are overridden by name alone.
            function.signature = match function.kind {
                FunctionKind::Modifier => function.name.clone(),
                _ => format!("{}({})", function.name, types.join(",")),
            };
            function.params = params;
            function.returns = returns;
        }
        for (scope, path) in open.overrides {
            let is_known = self.program.names_contract(scope, &path);
            self.program.names.note_path(&path, is_known);
        }
        self.open_types.usings = open.usings;
    }

    fn ty(&mut self, scope: Scope, ty: &ast::Expr) -> Type {
        let mut names = std::mem::take(&mut self.program.names);
        self.program.each_type_name(scope, ty, &mut |span, is_known| names.note(span, is_known));
        self.program.names = names;
        self.program.resolve_type(scope, ty)
    }

    fn params(&mut self, scope: Scope, params: &[ast::Param]) -> Vec<Param> {
        params
            .iter()
            .map(|param| Param {
                name: param.name.as_ref().map(|name| name.text.clone()),
                ty: self.ty(scope, &param.ty),
                location: param.location,
                span: param.span,
            })
            .collect()
    }

    /// Counts the names that imports choose; what a missing file would declare is unknown.
    fn count_imports(&mut self) {
        let mut names = Names::default();
        for file in &self.program.files {
            for import in &file.imports {
                if let ast::ImportNames::Some(chosen) = &import.names {
                    for (name, _) in chosen {
                        let is_known = import.file.is_some_and(|target| {
                            !self.program.lookup_file(target, &name.text).is_empty()
                        });
                        names.note(name.span, is_known);
                    }
                }
            }
        }
        self.program.names.add(&names);
    }

    fn resolve_usings(&mut self) {
        for (scope, using) in std::mem::take(&mut self.open_types.usings) {
            let mut resolved = Using {
                library: None,
                functions: Vec::new(),
                ty: using.ty.as_ref().map(|ty| self.ty(scope, ty)),
                is_global: using.is_global,
            };
            match &using.what {
                ast::UsingWhat::Library(path) => {
                    resolved.library =
                        self.program.lookup_path(scope, path).into_iter().find_map(|declaration| {
                            match declaration {
                                Declaration::Contract(id) => Some(id),
                                _ => None,
                            }
                        });
                    self.program.names.note_path(path, resolved.library.is_some());
                }
                ast::UsingWhat::Functions(functions) => {
                    for (path, operator) in functions {
                        let found = self.program.lookup_path(scope, path);
                        self.program.names.note_path(path, !found.is_empty());
                        for declaration in found {
                            match declaration {
                                Declaration::Function(id) => {
                                    resolved.functions.push((id, *operator))
                                }
                                Declaration::Contract(id) if operator.is_none() => {
                                    resolved.library = Some(id)
                                }
                                _ => {}
                            }
                        }
                    }
                }
            }
            match scope.contract {
                Some(contract) => self.program.contracts[contract.index()].usings.push(resolved),
                None => self.program.files[scope.file.0 as usize].usings.push(resolved),
            }
        }
    }
}

/// The lowest and highest minor version (0.x) that the pragmas admit; without any, today's.
fn versions(pragmas: &[(String, crate::syntax::Span)]) -> (u32, u32) {
    const TODAY: u32 = 8;
    let Some((pragma, _)) = pragmas.iter().find(|(pragma, _)| pragma.starts_with("solidity"))
    else {
        return (TODAY, TODAY);
    };
    let minors: Vec<u32> = pragma
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter_map(|version| {
            let mut parts = version.split('.');
            let major: u32 = parts.next()?.parse().ok()?;
            let minor: u32 = parts.next()?.parse().ok()?;
            Some(if major > 0 { TODAY } else { minor.min(TODAY) })
        })
        .collect();
    let (Some(&lowest), Some(&highest)) = (minors.iter().min(), minors.iter().max()) else {
        return (TODAY, TODAY);
    };
    // `>=0.6.0` alone admits everything since; `>=0.6.0 <0.8.0` excludes 0.8.
    match (pragma.contains('>'), pragma.contains('<')) {
        (true, false) => (lowest, TODAY),
        (_, true) if !pragma.contains("<=") && highest > lowest && !pragma.contains("0.9") => {
            (lowest, highest - 1)
        }
        _ => (lowest, highest),
    }
}
