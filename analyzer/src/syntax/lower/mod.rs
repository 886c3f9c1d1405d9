//! The parser's tree to ours: items here, what they hold beside it.

mod assembly;
mod expression;
mod statement;

use solang_parser::pt;

use super::ast::*;
use super::recover::Recovered;
use super::{FileId, Span};

pub(crate) fn lower(recovered: &Recovered, text: &str, file: FileId) -> Unit {
    let lowerer = Lowerer { recovered, text, file, shift: 0 };
    Unit { items: recovered.unit.0.iter().filter_map(|part| lowerer.unit_part(part)).collect() }
}

struct Lowerer<'a> {
    recovered: &'a Recovered,
    text: &'a str,
    file: FileId,
    /// Where the parsed text begins in the file.
    shift: usize,
}

impl Lowerer<'_> {
    fn span(&self, loc: &pt::Loc) -> Span {
        match *loc {
            pt::Loc::File(_, start, end) => {
                Span::new(self.file, start + self.shift, end + self.shift)
            }
            _ => Span { file: self.file, start: 0, end: 0 },
        }
    }

    /// The name as the original text has it; the parser may have seen a stand-in.
    fn name(&self, identifier: &pt::Identifier) -> Name {
        let span = self.span(&identifier.loc);
        let original = span.text(self.text);
        let is_word = !original.is_empty() && original.len() == identifier.name.len();
        let text = if is_word { original.to_owned() } else { identifier.name.clone() };
        Name { text, span }
    }

    fn path(&self, path: &pt::IdentifierPath) -> Vec<Name> {
        path.identifiers.iter().map(|identifier| self.name(identifier)).collect()
    }

    fn unit_part(&self, part: &pt::SourceUnitPart) -> Option<Item> {
        Some(match part {
            pt::SourceUnitPart::ImportDirective(import) => Item::Import(self.import(import)?),
            pt::SourceUnitPart::ContractDefinition(contract) => {
                Item::Contract(self.contract(contract)?)
            }
            pt::SourceUnitPart::EnumDefinition(item) => Item::Enum(self.enumeration(item)?),
            pt::SourceUnitPart::StructDefinition(item) => Item::Struct(self.structure(item)?),
            pt::SourceUnitPart::EventDefinition(item) => Item::Event(self.event(item)?),
            pt::SourceUnitPart::ErrorDefinition(item) => Item::Error(self.error(item)?),
            pt::SourceUnitPart::FunctionDefinition(item) => Item::Function(self.function(item)?),
            pt::SourceUnitPart::VariableDefinition(item) => Item::Variable(self.variable(item)?),
            pt::SourceUnitPart::TypeDefinition(item) => Item::UserType(self.user_type(item)),
            pt::SourceUnitPart::Using(item) => Item::Using(self.using(item)?),
            pt::SourceUnitPart::PragmaDirective(_)
            | pt::SourceUnitPart::Annotation(_)
            | pt::SourceUnitPart::StraySemicolon(_) => return None,
        })
    }

    fn contract_part(&self, part: &pt::ContractPart) -> Option<Item> {
        Some(match part {
            pt::ContractPart::EnumDefinition(item) => Item::Enum(self.enumeration(item)?),
            pt::ContractPart::StructDefinition(item) => Item::Struct(self.structure(item)?),
            pt::ContractPart::EventDefinition(item) => Item::Event(self.event(item)?),
            pt::ContractPart::ErrorDefinition(item) => Item::Error(self.error(item)?),
            pt::ContractPart::FunctionDefinition(item) => Item::Function(self.function(item)?),
            pt::ContractPart::VariableDefinition(item) => Item::Variable(self.variable(item)?),
            pt::ContractPart::TypeDefinition(item) => Item::UserType(self.user_type(item)),
            pt::ContractPart::Using(item) => Item::Using(self.using(item)?),
            pt::ContractPart::Annotation(_) | pt::ContractPart::StraySemicolon(_) => return None,
        })
    }

    fn import(&self, import: &pt::Import) -> Option<Import> {
        let path = import.literal()?.string.clone();
        let names = match import {
            pt::Import::Plain(..) => ImportNames::All,
            pt::Import::GlobalSymbol(_, name, _) => ImportNames::Module(self.name(name)),
            pt::Import::Rename(_, names, _) => {
                let names = names
                    .iter()
                    .map(|(from, to)| (self.name(from), to.as_ref().map(|to| self.name(to))));
                ImportNames::Some(names.collect())
            }
        };
        Some(Import { path, names })
    }

    fn contract(&self, contract: &pt::ContractDefinition) -> Option<Contract> {
        let kind = match contract.ty {
            pt::ContractTy::Abstract(_) => ContractKind::Abstract,
            pt::ContractTy::Contract(_) => ContractKind::Contract,
            pt::ContractTy::Interface(_) => ContractKind::Interface,
            pt::ContractTy::Library(_) => ContractKind::Library,
        };
        Some(Contract {
            kind,
            name: self.name(contract.name.as_ref()?),
            bases: contract.base.iter().map(|base| self.invocation(base)).collect(),
            parts: contract.parts.iter().filter_map(|part| self.contract_part(part)).collect(),
            layout: self.layout(self.span(&contract.loc)),
            span: self.span(&contract.loc),
        })
    }

    /// The expression of the `layout at` that stands in the head of a contract.
    fn layout(&self, contract: Span) -> Option<Expr> {
        /// What stands before the expression while it is read; `layout at` is longer.
        const HEAD: &str = "uint x=";
        /// Longer ones are not read: depth is bounded by length.
        const MAX_BYTES: usize = 4_096;
        let layouts = &self.recovered.layouts;
        let range = contract.range();
        let first = layouts.partition_point(|(start, _)| *start < range.start);
        let &(start, end) = layouts.get(first).filter(|(_, end)| *end <= range.end)?;
        let broken = Expr { kind: ExprKind::Error, span: Span::new(self.file, start, end) };
        let text = self.text.get(start..end).filter(|text| text.len() <= MAX_BYTES);
        let (Some(text), Some(shift)) = (text, start.checked_sub(HEAD.len())) else {
            return Some(broken);
        };
        let unit = solang_parser::parse(&format!("{HEAD}{text};"), 0).ok();
        let expr = unit.and_then(|(unit, _)| match unit.0.as_slice() {
            [pt::SourceUnitPart::VariableDefinition(item)] => {
                item.initializer.as_ref().map(|init| Lowerer { shift, ..*self }.expr(init))
            }
            _ => None,
        });
        Some(expr.unwrap_or(broken))
    }

    fn invocation(&self, base: &pt::Base) -> Invocation {
        Invocation {
            path: self.path(&base.name),
            args: base.args.as_ref().map(|args| args.iter().map(|arg| self.expr(arg)).collect()),
            span: self.span(&base.loc),
        }
    }

    fn enumeration(&self, item: &pt::EnumDefinition) -> Option<Enum> {
        Some(Enum {
            name: self.name(item.name.as_ref()?),
            values: item.values.iter().flatten().map(|value| self.name(value)).collect(),
        })
    }

    fn event(&self, item: &pt::EventDefinition) -> Option<Event> {
        let param = |field: &pt::EventParameter| Param {
            ty: self.expr(&field.ty),
            location: None,
            name: field.name.as_ref().map(|name| self.name(name)),
            span: self.span(&field.loc),
        };
        let params = item.fields.iter().map(param).collect();
        Some(Event { name: self.name(item.name.as_ref()?), params })
    }

    fn error(&self, item: &pt::ErrorDefinition) -> Option<Event> {
        let param = |field: &pt::ErrorParameter| Param {
            ty: self.expr(&field.ty),
            location: None,
            name: field.name.as_ref().map(|name| self.name(name)),
            span: self.span(&field.loc),
        };
        let params = item.fields.iter().map(param).collect();
        Some(Event { name: self.name(item.name.as_ref()?), params })
    }

    fn structure(&self, item: &pt::StructDefinition) -> Option<Struct> {
        let fields = item.fields.iter().map(|field| self.declaration(field)).collect();
        Some(Struct { name: self.name(item.name.as_ref()?), fields })
    }

    fn declaration(&self, declaration: &pt::VariableDeclaration) -> Param {
        Param {
            ty: self.expr(&declaration.ty),
            location: declaration.storage.as_ref().map(location),
            name: declaration.name.as_ref().map(|name| self.name(name)),
            span: self.span(&declaration.loc),
        }
    }

    fn param(&self, param: &pt::Parameter) -> Param {
        Param {
            ty: self.expr(&param.ty),
            location: param.storage.as_ref().map(location),
            name: param.name.as_ref().map(|name| self.name(name)),
            span: self.span(&param.loc),
        }
    }

    fn params(&self, list: &pt::ParameterList) -> Vec<Param> {
        list.iter().filter_map(|(_, param)| param.as_ref()).map(|param| self.param(param)).collect()
    }

    fn function(&self, item: &pt::FunctionDefinition) -> Option<Function> {
        let span = self.span(&item.loc);
        let name = match &item.name {
            Some(name) => self.name(name),
            None => Name { text: String::new(), span: self.span(&item.name_loc) },
        };
        let kind = match item.ty {
            pt::FunctionTy::Constructor => FunctionKind::Constructor,
            pt::FunctionTy::Fallback => FunctionKind::Fallback,
            pt::FunctionTy::Receive => FunctionKind::Receive,
            pt::FunctionTy::Modifier => FunctionKind::Modifier,
            pt::FunctionTy::Function if item.name.is_none() => FunctionKind::Fallback,
            pt::FunctionTy::Function => FunctionKind::Function,
        };
        let mut function = Function {
            kind,
            name,
            params: self.params(&item.params),
            returns: self.params(&item.returns),
            visibility: None,
            mutability: Mutability::NonPayable,
            invocations: Vec::new(),
            overrides: Vec::new(),
            body: Body::None,
            span,
        };
        for attribute in &item.attributes {
            match attribute {
                pt::FunctionAttribute::Mutability(mutability) => {
                    function.mutability = match mutability {
                        pt::Mutability::Pure(_) => Mutability::Pure,
                        pt::Mutability::View(_) | pt::Mutability::Constant(_) => Mutability::View,
                        pt::Mutability::Payable(_) => Mutability::Payable,
                    };
                }
                pt::FunctionAttribute::Visibility(visibility) => {
                    function.visibility = Some(lower_visibility(visibility))
                }
                pt::FunctionAttribute::BaseOrModifier(_, base) => {
                    function.invocations.push(self.invocation(base))
                }
                pt::FunctionAttribute::Override(_, bases) => {
                    function.overrides.extend(bases.iter().map(|base| self.path(base)));
                }
                pt::FunctionAttribute::Virtual(_)
                | pt::FunctionAttribute::Immutable(_)
                | pt::FunctionAttribute::Error(_) => {}
            }
        }
        function.body = match &item.body {
            None => Body::None,
            Some(body) => {
                let stmt = self.stmt(body);
                let is_broken = self.recovered.broken_bodies.contains(&(stmt.span.start as usize));
                if is_broken { Body::Broken } else { Body::Block(stmt) }
            }
        };
        Some(function)
    }

    fn variable(&self, item: &pt::VariableDefinition) -> Option<Variable> {
        let mut variable = Variable {
            name: self.name(item.name.as_ref()?),
            ty: self.expr(&item.ty),
            is_constant: false,
            is_immutable: false,
            is_transient: false,
            is_private: false,
            overrides: Vec::new(),
            init: item.initializer.as_ref().map(|init| self.expr(init)),
            span: self.span(&item.loc),
        };
        for attribute in &item.attrs {
            match attribute {
                pt::VariableAttribute::Constant(_) => variable.is_constant = true,
                pt::VariableAttribute::Immutable(_) => variable.is_immutable = true,
                pt::VariableAttribute::StorageType(pt::StorageType::Temporary(_)) => {
                    variable.is_transient = true
                }
                pt::VariableAttribute::Override(_, bases) => {
                    variable.overrides.extend(bases.iter().map(|base| self.path(base)));
                }
                pt::VariableAttribute::Visibility(pt::Visibility::Private(_)) => {
                    variable.is_private = true;
                }
                pt::VariableAttribute::Visibility(_) | pt::VariableAttribute::StorageType(_) => {}
            }
        }
        Some(variable)
    }

    fn user_type(&self, item: &pt::TypeDefinition) -> UserType {
        UserType { name: self.name(&item.name), ty: self.expr(&item.ty) }
    }

    fn using(&self, item: &pt::Using) -> Option<Using> {
        let what = match &item.list {
            pt::UsingList::Library(path) => UsingWhat::Library(self.path(path)),
            pt::UsingList::Functions(functions) => UsingWhat::Functions(
                functions
                    .iter()
                    .map(|function| (self.path(&function.path), function.oper.map(operator)))
                    .collect(),
            ),
            pt::UsingList::Error => return None,
        };
        Some(Using {
            what,
            ty: item.ty.as_ref().map(|ty| self.expr(ty)),
            is_global: item.global.is_some(),
        })
    }
}

fn location(location: &pt::StorageLocation) -> Location {
    match location {
        pt::StorageLocation::Memory(_) => Location::Memory,
        pt::StorageLocation::Storage(_) => Location::Storage,
        pt::StorageLocation::Calldata(_) => Location::Calldata,
    }
}

fn lower_visibility(visibility: &pt::Visibility) -> Visibility {
    match visibility {
        pt::Visibility::External(_) => Visibility::External,
        pt::Visibility::Public(_) => Visibility::Public,
        pt::Visibility::Internal(_) => Visibility::Internal,
        pt::Visibility::Private(_) => Visibility::Private,
    }
}

fn operator(operator: pt::UserDefinedOperator) -> Operator {
    use pt::UserDefinedOperator as U;
    match operator {
        U::BitwiseNot => Operator::Unary(UnaryOp::BitNot),
        U::Negate => Operator::Unary(UnaryOp::Negate),
        U::BitwiseAnd => Operator::Binary(BinaryOp::BitAnd),
        U::BitwiseOr => Operator::Binary(BinaryOp::BitOr),
        U::BitwiseXor => Operator::Binary(BinaryOp::BitXor),
        U::Add => Operator::Binary(BinaryOp::Add),
        U::Divide => Operator::Binary(BinaryOp::Div),
        U::Modulo => Operator::Binary(BinaryOp::Mod),
        U::Multiply => Operator::Binary(BinaryOp::Mul),
        U::Subtract => Operator::Binary(BinaryOp::Sub),
        U::Equal => Operator::Binary(BinaryOp::Eq),
        U::More => Operator::Binary(BinaryOp::Gt),
        U::MoreEqual => Operator::Binary(BinaryOp::Ge),
        U::Less => Operator::Binary(BinaryOp::Lt),
        U::LessEqual => Operator::Binary(BinaryOp::Le),
        U::NotEqual => Operator::Binary(BinaryOp::Ne),
    }
}
