//! Every use of a name in a tree, so that what was resolved can be held against what there was to resolve.

use super::Span;
use super::ast::*;

/// Calls `visit` with the span of every use of an identifier or member in `statement`, assembly and the names of
/// arguments included. Declared names, the names of call options and words of the language are no uses.
pub(crate) fn in_statement(statement: &Stmt, visit: &mut dyn FnMut(Span)) {
    match &statement.kind {
        StmtKind::Block { statements, .. } => {
            statements.iter().for_each(|inner| in_statement(inner, visit));
        }
        StmtKind::If(condition, then, otherwise) => {
            in_expression(condition, visit);
            in_statement(then, visit);
            in_optional(otherwise.as_deref(), visit);
        }
        StmtKind::While(condition, body) | StmtKind::DoWhile(body, condition) => {
            in_expression(condition, visit);
            in_statement(body, visit);
        }
        StmtKind::For(init, condition, step, body) => {
            in_optional(init.as_deref(), visit);
            condition.iter().chain(step).for_each(|expr| in_expression(expr, visit));
            in_optional(body.as_deref(), visit);
        }
        StmtKind::Expr(expr) | StmtKind::Emit(expr) => in_expression(expr, visit),
        StmtKind::Let(declarations, init) => {
            in_params(declarations.iter().flatten(), visit);
            init.iter().for_each(|expr| in_expression(expr, visit));
        }
        StmtKind::Return(value) => value.iter().for_each(|expr| in_expression(expr, visit)),
        StmtKind::Revert(error, args) => {
            in_path(error, visit);
            in_arguments(args.iter().map(|(name, arg)| (name.as_ref(), arg)), visit);
        }
        StmtKind::Try { call, returns, success, catches } => {
            in_expression(call, visit);
            in_params(returns, visit);
            in_optional(success.as_deref(), visit);
            for (params, body) in catches {
                in_params(params, visit);
                in_statement(body, visit);
            }
        }
        StmtKind::Assembly(block) => in_assembly(block, visit),
        StmtKind::Break | StmtKind::Continue | StmtKind::Placeholder | StmtKind::Error => {}
    }
}

/// The uses of names in an expression or a type; see [`in_statement`].
pub(crate) fn in_expression(expr: &Expr, visit: &mut dyn FnMut(Span)) {
    match &expr.kind {
        // The type of a variable that takes the type of its value.
        ExprKind::Ident(name) if name == "var" => {}
        ExprKind::Ident(_) => visit(expr.span),
        ExprKind::Member(base, name) => {
            in_expression(base, visit);
            visit(name.span);
        }
        ExprKind::Mapping(left, right)
        | ExprKind::Binary(_, left, right)
        | ExprKind::Assign(_, left, right) => {
            in_expression(left, visit);
            in_expression(right, visit);
        }
        ExprKind::FunctionType { params, returns, .. } => {
            in_params(params.iter().chain(returns), visit);
        }
        ExprKind::Index(base, index) => {
            in_expression(base, visit);
            index.iter().for_each(|index| in_expression(index, visit));
        }
        ExprKind::Slice(base, from, to) => {
            in_expression(base, visit);
            from.iter().chain(to).for_each(|bound| in_expression(bound, visit));
        }
        ExprKind::Call(callee, args) => {
            in_expression(callee, visit);
            args.iter().for_each(|arg| in_expression(arg, visit));
        }
        ExprKind::NamedCall(callee, args) => {
            in_expression(callee, visit);
            in_arguments(args.iter().map(|(name, arg)| (Some(name), arg)), visit);
        }
        ExprKind::Options(callee, options) => {
            in_expression(callee, visit);
            options.iter().for_each(|(_, option)| in_expression(option, visit));
        }
        ExprKind::New(inner)
        | ExprKind::Unary(_, inner)
        | ExprKind::Step(_, _, inner)
        | ExprKind::Delete(inner) => in_expression(inner, visit),
        ExprKind::Conditional(condition, left, right) => {
            [condition, left, right].into_iter().for_each(|part| in_expression(part, visit));
        }
        ExprKind::Tuple(items) => {
            items.iter().flatten().for_each(|item| in_expression(item, visit));
        }
        ExprKind::Array(items) => items.iter().for_each(|item| in_expression(item, visit)),
        ExprKind::Number(..)
        | ExprKind::Bool(_)
        | ExprKind::Text(_)
        | ExprKind::Hex(_)
        | ExprKind::Elementary(_)
        | ExprKind::Error => {}
    }
}

/// The uses of names in the head of a function: modifiers and base constructors with their arguments.
pub(crate) fn in_invocation(invocation: &Invocation, visit: &mut dyn FnMut(Span)) {
    in_path(&invocation.path, visit);
    invocation.args.iter().flatten().for_each(|arg| in_expression(arg, visit));
}

/// What old assembly keeps on the stack has names that stand nowhere in the text: those are no uses.
fn in_path(path: &[Name], visit: &mut dyn FnMut(Span)) {
    path.iter().filter(|name| name.span.start < name.span.end).for_each(|name| visit(name.span));
}

fn in_optional(statement: Option<&Stmt>, visit: &mut dyn FnMut(Span)) {
    statement.into_iter().for_each(|statement| in_statement(statement, visit));
}

fn in_params<'a>(params: impl IntoIterator<Item = &'a Param>, visit: &mut dyn FnMut(Span)) {
    params.into_iter().for_each(|param| in_expression(&param.ty, visit));
}

fn in_arguments<'a>(
    args: impl Iterator<Item = (Option<&'a Name>, &'a Expr)>,
    visit: &mut dyn FnMut(Span),
) {
    for (name, arg) in args {
        name.into_iter().for_each(|name| visit(name.span));
        in_expression(arg, visit);
    }
}

fn in_assembly(block: &YulBlock, visit: &mut dyn FnMut(Span)) {
    for statement in &block.statements {
        match &statement.kind {
            YulStmtKind::Block(inner) => in_assembly(inner, visit),
            YulStmtKind::Let(_, value) => value.iter().for_each(|value| in_yul(value, visit)),
            YulStmtKind::Assign(targets, value) => {
                targets.iter().for_each(|target| in_path(target, visit));
                in_yul(value, visit);
            }
            YulStmtKind::Call(call) => in_yul(call, visit),
            YulStmtKind::If(condition, body) => {
                in_yul(condition, visit);
                in_assembly(body, visit);
            }
            YulStmtKind::For { init, condition, post, body } => {
                in_assembly(init, visit);
                in_yul(condition, visit);
                in_assembly(post, visit);
                in_assembly(body, visit);
            }
            YulStmtKind::Switch(value, cases) => {
                in_yul(value, visit);
                for (case, body) in cases {
                    case.iter().for_each(|case| in_yul(case, visit));
                    in_assembly(body, visit);
                }
            }
            YulStmtKind::Function { body, .. } => in_assembly(body, visit),
            YulStmtKind::Label(_)
            | YulStmtKind::Leave
            | YulStmtKind::Break
            | YulStmtKind::Continue
            | YulStmtKind::Error => {}
        }
    }
}

fn in_yul(expr: &YulExpr, visit: &mut dyn FnMut(Span)) {
    match &expr.kind {
        YulExprKind::Literal(_) | YulExprKind::Unknown => {}
        YulExprKind::Path(path) => in_path(path, visit),
        YulExprKind::Call(name, args) => {
            in_path(std::slice::from_ref(name), visit);
            args.iter().for_each(|arg| in_yul(arg, visit));
        }
    }
}
