//! Statements.

use solang_parser::pt;
use solang_parser::pt::CodeLocation;

use super::Lowerer;
use crate::syntax::ast::*;

impl Lowerer<'_> {
    pub(super) fn stmts(&self, statements: &[pt::Statement]) -> Vec<Stmt> {
        statements.iter().map(|statement| self.stmt(statement)).collect()
    }

    pub(super) fn boxed(&self, statement: &pt::Statement) -> Box<Stmt> {
        Box::new(self.stmt(statement))
    }

    pub(super) fn stmt(&self, statement: &pt::Statement) -> Stmt {
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

    pub(super) fn catch(&self, clause: &pt::CatchClause) -> (Vec<Param>, Stmt) {
        match clause {
            pt::CatchClause::Simple(_, param, block) => {
                (param.iter().map(|param| self.param(param)).collect(), self.stmt(block))
            }
            pt::CatchClause::Named(_, _, param, block) => {
                (vec![self.param(param)], self.stmt(block))
            }
        }
    }

    pub(super) fn expr_stmt(&self, expr: &pt::Expression) -> StmtKind {
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
    pub(super) fn declarations(&self, left: &pt::Expression) -> Option<Vec<Option<Param>>> {
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

    pub(super) fn var_param(&self, expr: &pt::Expression) -> Option<Param> {
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
}
