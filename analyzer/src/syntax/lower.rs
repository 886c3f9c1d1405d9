//! The parser's tree to ours.

use solang_parser::pt;
use solang_parser::pt::CodeLocation;

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

    fn stmts(&self, statements: &[pt::Statement]) -> Vec<Stmt> {
        statements.iter().map(|statement| self.stmt(statement)).collect()
    }

    fn boxed(&self, statement: &pt::Statement) -> Box<Stmt> {
        Box::new(self.stmt(statement))
    }

    fn stmt(&self, statement: &pt::Statement) -> Stmt {
        let span = self.span(&statement.loc());
        let kind = match statement {
            pt::Statement::Block { unchecked, statements, .. } => {
                StmtKind::Block { unchecked: *unchecked, statements: self.stmts(statements) }
            }
            pt::Statement::Assembly { block, .. } => StmtKind::Assembly(self.yul_block(block)),
            // `{a: 1}` where a statement is expected.
            pt::Statement::Args(..) | pt::Statement::Error(_) => StmtKind::Error,
            pt::Statement::If(_, condition, then, otherwise) => StmtKind::If(
                self.expr(condition),
                self.boxed(then),
                otherwise.as_ref().map(|stmt| self.boxed(stmt)),
            ),
            pt::Statement::While(_, condition, body) => {
                StmtKind::While(self.expr(condition), self.boxed(body))
            }
            pt::Statement::DoWhile(_, body, condition) => {
                StmtKind::DoWhile(self.boxed(body), self.expr(condition))
            }
            pt::Statement::For(_, init, condition, step, body) => StmtKind::For(
                init.as_ref().map(|stmt| self.boxed(stmt)),
                condition.as_ref().map(|expr| self.expr(expr)),
                step.as_ref().map(|expr| self.expr(expr)),
                body.as_ref().map(|stmt| self.boxed(stmt)),
            ),
            pt::Statement::Expression(_, expr) => self.expr_stmt(expr),
            pt::Statement::VariableDefinition(_, declaration, init) => StmtKind::Let(
                vec![Some(self.declaration(declaration))],
                init.as_ref().map(|init| self.expr(init)),
            ),
            pt::Statement::Continue(_) => StmtKind::Continue,
            pt::Statement::Break(_) => StmtKind::Break,
            pt::Statement::Return(_, value) => {
                StmtKind::Return(value.as_ref().map(|value| self.expr(value)))
            }
            pt::Statement::Revert(_, error, args) => StmtKind::Revert(
                error.iter().flat_map(|path| self.path(path)).collect(),
                args.iter().map(|arg| (None, self.expr(arg))).collect(),
            ),
            pt::Statement::RevertNamedArgs(_, error, args) => StmtKind::Revert(
                error.iter().flat_map(|path| self.path(path)).collect(),
                args.iter().map(|arg| (Some(self.name(&arg.name)), self.expr(&arg.expr))).collect(),
            ),
            pt::Statement::Emit(_, event) => StmtKind::Emit(self.expr(event)),
            pt::Statement::Try(_, call, returns, catches) => {
                // Without `returns` the parser takes the block for options of the call.
                let (call, block) = match call {
                    pt::Expression::FunctionCallBlock(_, call, block) => {
                        (call.as_ref(), Some(block))
                    }
                    other => (other, None),
                };
                StmtKind::Try {
                    call: self.expr(call),
                    returns: returns
                        .as_ref()
                        .map(|(params, _)| self.params(params))
                        .unwrap_or_default(),
                    success: returns
                        .as_ref()
                        .map(|(_, block)| block)
                        .or(block)
                        .map(|block| self.boxed(block)),
                    catches: catches.iter().map(|clause| self.catch(clause)).collect(),
                }
            }
        };
        Stmt { kind, span }
    }

    fn catch(&self, clause: &pt::CatchClause) -> (Vec<Param>, Stmt) {
        match clause {
            pt::CatchClause::Simple(_, param, block) => {
                (param.iter().map(|param| self.param(param)).collect(), self.stmt(block))
            }
            pt::CatchClause::Named(_, _, param, block) => {
                (vec![self.param(param)], self.stmt(block))
            }
        }
    }

    fn expr_stmt(&self, expr: &pt::Expression) -> StmtKind {
        match expr {
            pt::Expression::Variable(identifier) => match self.name(identifier).text.as_str() {
                "throw" => return StmtKind::Revert(Vec::new(), Vec::new()),
                "_" => return StmtKind::Placeholder,
                _ => {}
            },
            // `(uint a, uint b) = f();` and `var (a, b) = f();`
            pt::Expression::Assign(_, left, right) => {
                if let Some(declarations) = self.declarations(left) {
                    return StmtKind::Let(declarations, Some(self.expr(right)));
                }
            }
            _ => {
                if let Some(declarations) = self.declarations(expr)
                    && !declarations.is_empty()
                {
                    return StmtKind::Let(declarations, None);
                }
            }
        }
        StmtKind::Expr(self.expr(expr))
    }

    /// The declarations that a tuple makes, where it makes any.
    fn declarations(&self, left: &pt::Expression) -> Option<Vec<Option<Param>>> {
        match left {
            pt::Expression::List(loc, list) => {
                let is_var = self.recovered.var_tuples.contains(&(self.span(loc).start as usize));
                let is_declaration = is_var
                    || list
                        .iter()
                        .any(|(_, param)| param.as_ref().is_some_and(|param| param.name.is_some()));
                if !is_declaration {
                    return None;
                }
                Some(
                    list.iter()
                        .map(|(_, param)| {
                            let param = param.as_ref()?;
                            Some(if is_var {
                                self.var_param(&param.ty)?
                            } else {
                                self.param(param)
                            })
                        })
                        .collect(),
                )
            }
            pt::Expression::FunctionCall(_, callee, args) => {
                let pt::Expression::Variable(identifier) = callee.as_ref() else { return None };
                if identifier.name != "var" {
                    return None;
                }
                Some(args.iter().map(|arg| self.var_param(arg)).collect())
            }
            _ => None,
        }
    }

    fn var_param(&self, expr: &pt::Expression) -> Option<Param> {
        let pt::Expression::Variable(identifier) = expr else { return None };
        let name = self.name(identifier);
        let span = name.span;
        Some(Param {
            ty: Expr { kind: ExprKind::Ident("var".to_owned()), span },
            location: None,
            name: Some(name),
            span,
        })
    }

    fn exprs(&self, exprs: &[pt::Expression]) -> Vec<Expr> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    fn sub(&self, expr: &pt::Expression) -> Box<Expr> {
        Box::new(self.expr(expr))
    }

    fn named(&self, args: &[pt::NamedArgument]) -> Vec<(Name, Expr)> {
        args.iter().map(|arg| (self.name(&arg.name), self.expr(&arg.expr))).collect()
    }

    fn expr(&self, expr: &pt::Expression) -> Expr {
        use pt::Expression as E;
        let span = self.span(&expr.loc());
        let kind = match expr {
            E::Parenthesis(_, inner) => return self.expr(inner),
            E::New(_, inner) => return self.new_expr(inner, span),
            E::PostIncrement(_, inner) => ExprKind::Step(BinaryOp::Add, false, self.sub(inner)),
            E::PostDecrement(_, inner) => ExprKind::Step(BinaryOp::Sub, false, self.sub(inner)),
            E::PreIncrement(_, inner) => ExprKind::Step(BinaryOp::Add, true, self.sub(inner)),
            E::PreDecrement(_, inner) => ExprKind::Step(BinaryOp::Sub, true, self.sub(inner)),
            E::Not(_, inner) => ExprKind::Unary(UnaryOp::Not, self.sub(inner)),
            E::BitwiseNot(_, inner) => ExprKind::Unary(UnaryOp::BitNot, self.sub(inner)),
            E::Negate(_, inner) => ExprKind::Unary(UnaryOp::Negate, self.sub(inner)),
            E::UnaryPlus(_, inner) => return self.expr(inner),
            E::Delete(_, inner) => ExprKind::Delete(self.sub(inner)),
            E::ArraySubscript(_, base, index) => {
                ExprKind::Index(self.sub(base), index.as_ref().map(|index| self.sub(index)))
            }
            E::ArraySlice(_, base, from, to) => ExprKind::Slice(
                self.sub(base),
                from.as_ref().map(|from| self.sub(from)),
                to.as_ref().map(|to| self.sub(to)),
            ),
            E::MemberAccess(_, base, member) => ExprKind::Member(self.sub(base), self.name(member)),
            E::FunctionCall(_, callee, args) => ExprKind::Call(self.sub(callee), self.exprs(args)),
            E::NamedFunctionCall(_, callee, args) => {
                ExprKind::NamedCall(self.sub(callee), self.named(args))
            }
            E::FunctionCallBlock(_, callee, block) => {
                ExprKind::Options(self.sub(callee), self.options(block))
            }
            E::Power(_, l, r) => self.binary(BinaryOp::Pow, l, r),
            E::Multiply(_, l, r) => self.binary(BinaryOp::Mul, l, r),
            E::Divide(_, l, r) => self.binary(BinaryOp::Div, l, r),
            E::Modulo(_, l, r) => self.binary(BinaryOp::Mod, l, r),
            E::Add(_, l, r) => self.binary(BinaryOp::Add, l, r),
            E::Subtract(_, l, r) => self.binary(BinaryOp::Sub, l, r),
            E::ShiftLeft(_, l, r) => self.binary(BinaryOp::Shl, l, r),
            E::ShiftRight(_, l, r) => self.binary(BinaryOp::Shr, l, r),
            E::BitwiseAnd(_, l, r) => self.binary(BinaryOp::BitAnd, l, r),
            E::BitwiseXor(_, l, r) => self.binary(BinaryOp::BitXor, l, r),
            E::BitwiseOr(_, l, r) => self.binary(BinaryOp::BitOr, l, r),
            E::Less(_, l, r) => self.binary(BinaryOp::Lt, l, r),
            E::More(_, l, r) => self.binary(BinaryOp::Gt, l, r),
            E::LessEqual(_, l, r) => self.binary(BinaryOp::Le, l, r),
            E::MoreEqual(_, l, r) => self.binary(BinaryOp::Ge, l, r),
            E::Equal(_, l, r) => self.binary(BinaryOp::Eq, l, r),
            E::NotEqual(_, l, r) => self.binary(BinaryOp::Ne, l, r),
            E::And(_, l, r) => self.binary(BinaryOp::And, l, r),
            E::Or(_, l, r) => self.binary(BinaryOp::Or, l, r),
            E::ConditionalOperator(_, c, l, r) => {
                ExprKind::Conditional(self.sub(c), self.sub(l), self.sub(r))
            }
            E::Assign(_, l, r) => self.assign(None, l, r),
            E::AssignOr(_, l, r) => self.assign(Some(BinaryOp::BitOr), l, r),
            E::AssignAnd(_, l, r) => self.assign(Some(BinaryOp::BitAnd), l, r),
            E::AssignXor(_, l, r) => self.assign(Some(BinaryOp::BitXor), l, r),
            E::AssignShiftLeft(_, l, r) => self.assign(Some(BinaryOp::Shl), l, r),
            E::AssignShiftRight(_, l, r) => self.assign(Some(BinaryOp::Shr), l, r),
            E::AssignAdd(_, l, r) => self.assign(Some(BinaryOp::Add), l, r),
            E::AssignSubtract(_, l, r) => self.assign(Some(BinaryOp::Sub), l, r),
            E::AssignMultiply(_, l, r) => self.assign(Some(BinaryOp::Mul), l, r),
            E::AssignDivide(_, l, r) => self.assign(Some(BinaryOp::Div), l, r),
            E::AssignModulo(_, l, r) => self.assign(Some(BinaryOp::Mod), l, r),
            E::BoolLiteral(_, value) => ExprKind::Bool(*value),
            E::NumberLiteral(_, integer, exponent, unit) => {
                let exponent =
                    if exponent.is_empty() { String::new() } else { format!("e{exponent}") };
                ExprKind::Number(
                    format!("{integer}{exponent}"),
                    unit.as_ref().map(|unit| self.name(unit).text),
                )
            }
            E::RationalNumberLiteral(_, integer, fraction, exponent, unit) => {
                let exponent =
                    if exponent.is_empty() { String::new() } else { format!("e{exponent}") };
                let number = format!("{integer}.{fraction}{exponent}");
                ExprKind::Number(number, unit.as_ref().map(|unit| self.name(unit).text))
            }
            E::HexNumberLiteral(_, number, unit) => ExprKind::Number(
                number.replace('_', ""),
                unit.as_ref().map(|unit| self.name(unit).text),
            ),
            E::StringLiteral(parts) => {
                ExprKind::Text(parts.iter().map(|part| part.string.as_str()).collect())
            }
            E::HexLiteral(parts) => {
                ExprKind::Hex(parts.iter().map(|part| part.hex.as_str()).collect())
            }
            E::AddressLiteral(_, text) => ExprKind::Text(text.clone()),
            E::Type(_, ty) => self.ty(ty),
            E::Variable(identifier) => ExprKind::Ident(self.name(identifier).text),
            E::List(_, list) => ExprKind::Tuple(
                list.iter()
                    .map(|(_, param)| param.as_ref().map(|param| self.expr(&param.ty)))
                    .collect(),
            ),
            E::ArrayLiteral(_, items) => ExprKind::Array(self.exprs(items)),
        };
        Expr { kind, span }
    }

    fn binary(&self, op: BinaryOp, left: &pt::Expression, right: &pt::Expression) -> ExprKind {
        ExprKind::Binary(op, self.sub(left), self.sub(right))
    }

    fn assign(
        &self,
        op: Option<BinaryOp>,
        left: &pt::Expression,
        right: &pt::Expression,
    ) -> ExprKind {
        ExprKind::Assign(op, self.sub(left), self.sub(right))
    }

    fn options(&self, block: &pt::Statement) -> Vec<(Name, Expr)> {
        match block {
            pt::Statement::Args(_, args) => self.named(args),
            _ => Vec::new(),
        }
    }

    /// The parser binds `new` to everything that follows (`new (A(x).b())`); here it binds to the type.
    fn new_expr(&self, inner: &pt::Expression, span: Span) -> Expr {
        use pt::Expression as E;
        let outer = |loc: &pt::Loc| Span { start: span.start, ..self.span(loc) };
        match inner {
            E::FunctionCall(loc, callee, args) => {
                let callee = Box::new(self.new_expr(callee, span));
                Expr { kind: ExprKind::Call(callee, self.exprs(args)), span: outer(loc) }
            }
            E::NamedFunctionCall(loc, callee, args) => {
                let callee = Box::new(self.new_expr(callee, span));
                Expr { kind: ExprKind::NamedCall(callee, self.named(args)), span: outer(loc) }
            }
            E::FunctionCallBlock(loc, callee, block) => {
                let callee = Box::new(self.new_expr(callee, span));
                Expr { kind: ExprKind::Options(callee, self.options(block)), span: outer(loc) }
            }
            E::MemberAccess(loc, base, member) if contains_call(base) => {
                let base = Box::new(self.new_expr(base, span));
                Expr { kind: ExprKind::Member(base, self.name(member)), span: outer(loc) }
            }
            E::ArraySubscript(loc, base, Some(index)) if contains_call(base) => {
                let base = Box::new(self.new_expr(base, span));
                Expr { kind: ExprKind::Index(base, Some(self.sub(index))), span: outer(loc) }
            }
            _ => Expr { kind: ExprKind::New(self.sub(inner)), span: outer(&inner.loc()) },
        }
    }

    fn ty(&self, ty: &pt::Type) -> ExprKind {
        match ty {
            pt::Type::Address => ExprKind::Elementary(Elementary::Address { payable: false }),
            pt::Type::AddressPayable | pt::Type::Payable => {
                ExprKind::Elementary(Elementary::Address { payable: true })
            }
            pt::Type::Bool => ExprKind::Elementary(Elementary::Bool),
            pt::Type::String => ExprKind::Elementary(Elementary::String),
            pt::Type::Int(bits) => ExprKind::Elementary(Elementary::Int(*bits)),
            pt::Type::Uint(bits) => ExprKind::Elementary(Elementary::Uint(*bits)),
            pt::Type::Bytes(bytes) => ExprKind::Elementary(Elementary::FixedBytes(*bytes)),
            pt::Type::DynamicBytes => ExprKind::Elementary(Elementary::Bytes),
            pt::Type::Rational => ExprKind::Error,
            pt::Type::Mapping { key, value, .. } => {
                ExprKind::Mapping(self.sub(key), self.sub(value))
            }
            pt::Type::Function { params, attributes, returns } => ExprKind::FunctionType {
                params: self.params(params),
                returns: returns
                    .as_ref()
                    .map(|(returns, _)| self.params(returns))
                    .unwrap_or_default(),
                is_external: attributes.iter().any(|attribute| {
                    matches!(
                        attribute,
                        pt::FunctionAttribute::Visibility(pt::Visibility::External(_))
                    )
                }),
            },
        }
    }

    fn yul_block(&self, block: &pt::YulBlock) -> YulBlock {
        let span = self.span(&block.loc);
        let mut statements: Vec<_> =
            block.statements.iter().map(|statement| self.yul_stmt(statement)).collect();
        self.put_labels(span, &mut statements);
        YulBlock {
            statements,
            is_opaque: self.recovered.broken_bodies.contains(&(span.start as usize)),
            span,
        }
    }

    /// Puts the labels that stand directly in a block between its statements.
    fn put_labels(&self, block: Span, statements: &mut Vec<YulStmt>) {
        let labels = &self.recovered.labels;
        let range = block.range();
        let first = labels.partition_point(|(start, _)| *start < range.start);
        for &(start, end) in labels[first..].iter().take_while(|(_, end)| *end <= range.end) {
            let span = Span::new(self.file, start, end);
            let at = statements.partition_point(|statement| statement.span.end <= span.start);
            if statements.get(at).is_none_or(|next| !next.span.contains(&span)) {
                let name = Name { text: span.text(self.text).to_owned(), span };
                statements.insert(at, YulStmt { kind: YulStmtKind::Label(name), span });
            }
        }
    }

    fn yul_stmt(&self, statement: &pt::YulStatement) -> YulStmt {
        let span = self.span(&statement.loc());
        let kind = match statement {
            pt::YulStatement::Assign(_, targets, value) => YulStmtKind::Assign(
                targets.iter().map(|target| self.yul_path(target)).collect(),
                self.yul_expr(value),
            ),
            pt::YulStatement::VariableDeclaration(_, names, value) => YulStmtKind::Let(
                names.iter().map(|name| self.name(&name.id)).collect(),
                value.as_ref().map(|value| self.yul_expr(value)),
            ),
            pt::YulStatement::If(_, condition, body) => {
                YulStmtKind::If(self.yul_expr(condition), self.yul_block(body))
            }
            pt::YulStatement::For(item) => YulStmtKind::For {
                init: self.yul_block(&item.init_block),
                condition: self.yul_expr(&item.condition),
                post: self.yul_block(&item.post_block),
                body: self.yul_block(&item.execution_block),
            },
            pt::YulStatement::Switch(item) => YulStmtKind::Switch(
                self.yul_expr(&item.condition),
                item.cases.iter().chain(&item.default).map(|case| self.yul_case(case)).collect(),
            ),
            pt::YulStatement::Leave(_) => YulStmtKind::Leave,
            pt::YulStatement::Break(_) => YulStmtKind::Break,
            pt::YulStatement::Continue(_) => YulStmtKind::Continue,
            pt::YulStatement::Block(block) => YulStmtKind::Block(self.yul_block(block)),
            pt::YulStatement::FunctionDefinition(item) => YulStmtKind::Function {
                name: self.name(&item.id),
                params: item.params.iter().map(|param| self.name(&param.id)).collect(),
                returns: item.returns.iter().map(|param| self.name(&param.id)).collect(),
                body: self.yul_block(&item.body),
            },
            pt::YulStatement::FunctionCall(call) => match self.popped(span) {
                Some(name) => YulStmtKind::Assign(vec![vec![name]], self.yul_call(call)),
                None => YulStmtKind::Call(self.yul_call(call)),
            },
            pt::YulStatement::Error(_) => YulStmtKind::Error,
        };
        YulStmt { kind, span }
    }

    /// The name that takes the value of a statement, in the `value =: name` of the old dialect.
    fn popped(&self, statement: Span) -> Option<Name> {
        let pops = &self.recovered.pops;
        let end = statement.range().end;
        let next = pops.partition_point(|(operator, ..)| *operator < end);
        let &(operator, start, end_of_name) = pops.get(next)?;
        let between = self.text.get(end..operator)?;
        between.trim().is_empty().then(|| {
            let span = Span::new(self.file, start, end_of_name);
            Name { text: span.text(self.text).to_owned(), span }
        })
    }

    fn yul_case(&self, case: &pt::YulSwitchOptions) -> (Option<YulExpr>, YulBlock) {
        match case {
            pt::YulSwitchOptions::Case(_, value, block) => {
                (Some(self.yul_expr(value)), self.yul_block(block))
            }
            pt::YulSwitchOptions::Default(_, block) => (None, self.yul_block(block)),
        }
    }

    fn yul_path(&self, expr: &pt::YulExpression) -> Vec<Name> {
        match expr {
            pt::YulExpression::Variable(identifier) => vec![self.name(identifier)],
            pt::YulExpression::SuffixAccess(_, base, member) => {
                let mut path = self.yul_path(base);
                path.push(self.name(member));
                path
            }
            _ => Vec::new(),
        }
    }

    fn yul_call(&self, call: &pt::YulFunctionCall) -> YulExpr {
        let args = call.arguments.iter().map(|arg| self.yul_expr(arg)).collect();
        YulExpr { kind: YulExprKind::Call(self.name(&call.id), args), span: self.span(&call.loc) }
    }

    fn yul_expr(&self, expr: &pt::YulExpression) -> YulExpr {
        use pt::YulExpression as Y;
        let span = self.span(&expr.loc());
        let kind = match expr {
            Y::BoolLiteral(_, value, _) => {
                YulExprKind::Literal(if *value { "1" } else { "0" }.to_owned())
            }
            Y::NumberLiteral(_, number, exponent, _) if exponent.is_empty() => {
                YulExprKind::Literal(number.clone())
            }
            Y::NumberLiteral(_, number, exponent, _) => {
                YulExprKind::Literal(format!("{number}e{exponent}"))
            }
            Y::HexNumberLiteral(_, number, _) => YulExprKind::Literal(number.replace('_', "")),
            Y::HexStringLiteral(literal, _) => YulExprKind::Literal(format!("0x{}", literal.hex)),
            Y::StringLiteral(literal, _) => YulExprKind::Literal(format!("\"{}\"", literal.string)),
            Y::Variable(_) | Y::SuffixAccess(..) => YulExprKind::Path(self.yul_path(expr)),
            Y::FunctionCall(call) => return self.yul_call(call),
        };
        YulExpr { kind, span }
    }
}

/// Whether a call stands somewhere on the left spine of `expr`.
fn contains_call(expr: &pt::Expression) -> bool {
    use pt::Expression as E;
    match expr {
        E::FunctionCall(..) | E::NamedFunctionCall(..) => true,
        E::MemberAccess(_, base, _)
        | E::ArraySubscript(_, base, _)
        | E::FunctionCallBlock(_, base, _) => contains_call(base),
        _ => false,
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
