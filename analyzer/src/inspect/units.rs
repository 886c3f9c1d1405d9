//! The parts of a function's text that a reader takes as one: a simple statement, a condition.

use crate::hir::{FunctionId, Program};
use crate::syntax::ast::{
    self, Expr, ExprKind, Stmt, StmtKind, YulBlock, YulExprKind, YulStmt, YulStmtKind,
};
use crate::syntax::{Span, on_deep_stack};

use super::source::one_line;

/// A part of the text that is shown whole where it can be.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) span: Span,
    pub(super) function: FunctionId,
    /// A whole statement, rather than a condition in its head.
    pub(super) is_statement: bool,
    /// What stands before its text, as `case` does.
    pub(super) prefix: String,
    /// What is said where its condition fails and nothing else happens: a message, a `revert`.
    pub(super) failure: Option<String>,
    /// The clauses of a `try`, of which this is the call.
    pub(super) catches: Vec<String>,
}

/// A clause among several: its body, its head, and the head of the last one where that comes next.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    pub(super) body: Span,
    pub(super) head: String,
    pub(super) otherwise: Option<String>,
}

/// A choice between two values: the whole, the condition, and the value on either way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) whole: Span,
    pub(super) condition: Span,
    pub(super) yes: Span,
    pub(super) no: Span,
}

/// The units of some functions.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// By place; they do not overlap.
    units: Vec<Unit>,
    clauses: Vec<Clause>,
    choices: Vec<Choice>,
}

const MAX_HEAD_CHARS: usize = 44;

impl Units {
    /// The units of `functions`.
    pub(super) fn collect(program: &Program, functions: &[FunctionId]) -> Self {
        on_deep_stack(|| {
            let mut walk = Walk { program, function: FunctionId(0), units: Units::default() };
            for &function in functions {
                walk.function = function;
                if let ast::Body::Block(body) = &program.function(function).body {
                    walk.stmt(body);
                }
            }
            let mut units = walk.units;
            units.units.sort_by_key(|unit| unit.span);
            units
        })
    }

    /// The unit that `span` is a part of, as a position.
    pub(super) fn find(&self, span: Span) -> Option<usize> {
        let after = self
            .units
            .partition_point(|unit| (unit.span.file, unit.span.start) <= (span.file, span.start));
        let at = after.checked_sub(1)?;
        self.units[at].span.contains(&span).then_some(at)
    }

    pub(super) fn get(&self, at: usize) -> &Unit {
        &self.units[at]
    }

    /// The choice that stands at `span`.
    pub(super) fn choice(&self, span: Span) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.whole == span)
    }

    /// The clause whose body stands at `span`.
    pub(super) fn clause(&self, span: Span) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.body == span)
    }
}

struct Walk<'p> {
    program: &'p Program,
    function: FunctionId,
    units: Units,
}

impl Walk<'_> {
    fn push(&mut self, span: Span, is_statement: bool) -> &mut Unit {
        self.units.units.push(Unit {
            span,
            function: self.function,
            is_statement,
            prefix: String::new(),
            failure: None,
            catches: Vec::new(),
        });
        self.units.units.last_mut().expect("a unit was just pushed")
    }

    /// A statement, with the choices between values in it.
    fn statement<'e>(&mut self, span: Span, exprs: impl IntoIterator<Item = &'e Expr>) {
        self.push(span, true);
        for expr in exprs {
            self.choices(expr);
        }
    }

    fn condition(&mut self, condition: &Expr, failure: Option<String>) {
        self.push(condition.span, false).failure = failure;
        self.choices(condition);
    }

    fn text(&self, span: Span) -> String {
        one_line(self.program.text(span), MAX_HEAD_CHARS)
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Block { statements, .. } => {
                for stmt in statements {
                    self.stmt(stmt);
                }
            }
            StmtKind::If(condition, then, otherwise) => {
                let arms = [Some(then.as_ref()), otherwise.as_deref()];
                let failure = arms.into_iter().flatten().find_map(|arm| self.only_reverts(arm));
                self.condition(condition, failure);
                self.stmt(then);
                if let Some(otherwise) = otherwise {
                    self.stmt(otherwise);
                }
            }
            StmtKind::While(condition, body) | StmtKind::DoWhile(body, condition) => {
                self.condition(condition, None);
                self.stmt(body);
            }
            StmtKind::For(init, condition, step, body) => {
                if let Some(init) = init {
                    self.stmt(init);
                }
                for part in condition.iter().chain(step) {
                    self.condition(part, None);
                }
                if let Some(body) = body {
                    self.stmt(body);
                }
            }
            StmtKind::Expr(expr) => {
                let failure = self.message(expr);
                self.push(stmt.span, true).failure = failure;
                self.choices(expr);
            }
            StmtKind::Let(_, value) | StmtKind::Return(value) => {
                self.statement(stmt.span, value);
            }
            StmtKind::Revert(_, args) => {
                self.statement(stmt.span, args.iter().map(|(_, arg)| arg));
            }
            StmtKind::Emit(event) => self.statement(stmt.span, [event]),
            StmtKind::Placeholder | StmtKind::Error => self.statement(stmt.span, []),
            StmtKind::Try { call, success, catches, .. } => {
                let heads: Vec<String> =
                    catches.iter().map(|(_, body)| self.catch_head(body.span)).collect();
                for (at, (_, body)) in catches.iter().enumerate() {
                    let is_next_last = at + 2 == catches.len();
                    self.units.clauses.push(Clause {
                        body: body.span,
                        head: heads[at].clone(),
                        otherwise: heads.last().filter(|_| is_next_last).cloned(),
                    });
                }
                let unit = self.push(call.span, false);
                unit.prefix = "try ".to_owned();
                unit.catches = heads;
                if let Some(success) = success {
                    self.stmt(success);
                }
                for (_, body) in catches {
                    self.stmt(body);
                }
            }
            StmtKind::Break | StmtKind::Continue => {}
            // What could not be read is shown as it stands.
            StmtKind::Assembly(block) if block.is_opaque => self.statement(stmt.span, []),
            StmtKind::Assembly(block) => self.yul_block(block),
        }
    }

    /// `catch Error(string memory reason)`: the tree keeps the parameters alone.
    fn catch_head(&self, body: Span) -> String {
        let text = self.program.source(body.file).map_or("", |source| &source.text);
        let before = text.get(..body.start as usize).unwrap_or("");
        let head = before.rfind("catch").map_or("catch", |at| &before[at..]);
        one_line(head, MAX_HEAD_CHARS)
    }

    /// The text of a statement that does nothing but revert.
    fn only_reverts(&self, stmt: &Stmt) -> Option<String> {
        match &stmt.kind {
            StmtKind::Block { statements, .. } => match statements.as_slice() {
                [only] => self.only_reverts(only),
                _ => None,
            },
            StmtKind::Revert(..) => Some(self.text(stmt.span).trim_end_matches(';').to_owned()),
            StmtKind::Expr(Expr { kind: ExprKind::Call(callee, _), .. }) if matches!(&callee.kind, ExprKind::Ident(name) if name == "revert") => {
                Some(self.text(stmt.span).trim_end_matches(';').to_owned())
            }
            _ => None,
        }
    }

    /// The message of a `require`.
    fn message(&self, expr: &Expr) -> Option<String> {
        let ExprKind::Call(callee, args) = &expr.kind else { return None };
        let is_require = matches!(&callee.kind, ExprKind::Ident(name) if name == "require");
        let message = args.get(1).filter(|_| is_require)?;
        Some(format!("revert {}", self.text(message.span)))
    }

    fn choices(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Conditional(condition, yes, no) => {
                self.units.choices.push(Choice {
                    whole: expr.span,
                    condition: condition.span,
                    yes: yes.span,
                    no: no.span,
                });
                for part in [condition, yes, no] {
                    self.choices(part);
                }
            }
            ExprKind::Call(callee, args) => {
                self.choices(callee);
                args.iter().for_each(|arg| self.choices(arg));
            }
            ExprKind::NamedCall(callee, args) | ExprKind::Options(callee, args) => {
                self.choices(callee);
                args.iter().for_each(|(_, arg)| self.choices(arg));
            }
            ExprKind::Binary(_, left, right) | ExprKind::Assign(_, left, right) => {
                self.choices(left);
                self.choices(right);
            }
            ExprKind::Index(base, key) => {
                self.choices(base);
                key.iter().for_each(|key| self.choices(key));
            }
            ExprKind::Member(inner, _)
            | ExprKind::Unary(_, inner)
            | ExprKind::Step(_, _, inner)
            | ExprKind::Delete(inner) => self.choices(inner),
            ExprKind::Tuple(items) => items.iter().flatten().for_each(|item| self.choices(item)),
            ExprKind::Array(items) => items.iter().for_each(|item| self.choices(item)),
            _ => {}
        }
    }

    fn yul_block(&mut self, block: &YulBlock) {
        for stmt in &block.statements {
            self.yul_stmt(stmt);
        }
    }

    fn yul_stmt(&mut self, stmt: &YulStmt) {
        match &stmt.kind {
            YulStmtKind::Block(block) | YulStmtKind::Function { body: block, .. } => {
                self.yul_block(block);
            }
            YulStmtKind::Let(..)
            | YulStmtKind::Assign(..)
            | YulStmtKind::Call(_)
            | YulStmtKind::Error => self.statement(stmt.span, []),
            YulStmtKind::If(condition, body) => {
                let failure = self.yul_reverts(body);
                self.push(condition.span, false).failure = failure;
                self.yul_block(body);
            }
            YulStmtKind::For { init, condition, post, body } => {
                self.yul_block(init);
                self.push(condition.span, false);
                self.yul_block(post);
                self.yul_block(body);
            }
            YulStmtKind::Switch(value, cases) => {
                // A call stands in a line of its own above.
                let head = match &value.kind {
                    YulExprKind::Call(..) => String::new(),
                    _ => format!("switch {} ", self.text(value.span)),
                };
                self.push(value.span, false).prefix = "switch ".to_owned();
                for (case, body) in cases {
                    if let Some(case) = case {
                        self.push(case.span, false).prefix = format!("{head}case ");
                    }
                    self.yul_block(body);
                }
            }
            YulStmtKind::Leave
            | YulStmtKind::Break
            | YulStmtKind::Continue
            | YulStmtKind::Label(_) => {}
        }
    }

    fn yul_reverts(&self, block: &YulBlock) -> Option<String> {
        let [only] = block.statements.as_slice() else { return None };
        let YulStmtKind::Call(call) = &only.kind else { return None };
        let YulExprKind::Call(name, _) = &call.kind else { return None };
        matches!(name.text.as_str(), "revert" | "invalid").then(|| self.text(only.span))
    }
}
