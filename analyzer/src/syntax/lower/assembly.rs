//! Assembly, as the parser reads it or as it was read in the old dialect.

use solang_parser::pt;
use solang_parser::pt::CodeLocation;

use super::Lowerer;
use crate::syntax::ast::*;

impl Lowerer<'_> {
    pub(super) fn yul_block(&self, block: &pt::YulBlock) -> YulBlock {
        let span = self.span(&block.loc);
        if let Some(read) = self.recovered.old_assembly.get(&(span.start as usize)) {
            return read.clone();
        }
        YulBlock {
            statements: block.statements.iter().map(|statement| self.yul_stmt(statement)).collect(),
            is_opaque: self.recovered.broken_bodies.contains(&(span.start as usize)),
            span,
        }
    }

    pub(super) fn yul_stmt(&self, statement: &pt::YulStatement) -> YulStmt {
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
            pt::YulStatement::FunctionCall(call) => YulStmtKind::Call(self.yul_call(call)),
            pt::YulStatement::Error(_) => YulStmtKind::Error,
        };
        YulStmt { kind, span }
    }

    pub(super) fn yul_case(&self, case: &pt::YulSwitchOptions) -> (Option<YulExpr>, YulBlock) {
        match case {
            pt::YulSwitchOptions::Case(_, value, block) => {
                (Some(self.yul_expr(value)), self.yul_block(block))
            }
            pt::YulSwitchOptions::Default(_, block) => (None, self.yul_block(block)),
        }
    }

    pub(super) fn yul_path(&self, expr: &pt::YulExpression) -> Vec<Name> {
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

    pub(super) fn yul_call(&self, call: &pt::YulFunctionCall) -> YulExpr {
        let args = call.arguments.iter().map(|arg| self.yul_expr(arg)).collect();
        YulExpr { kind: YulExprKind::Call(self.name(&call.id), args), span: self.span(&call.loc) }
    }

    pub(super) fn yul_expr(&self, expr: &pt::YulExpression) -> YulExpr {
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
