//! Statements of Solidity to blocks.

use std::collections::BTreeMap;

use petgraph::graph::NodeIndex;

use super::builder::Builder;
use super::call::Arg;
use super::ir::*;
use super::value::Value;
use crate::hir::{
    ContractId, Declaration, FunctionId, Names, Param, Program, Scope, Type, VariableId,
};
use crate::syntax::Span;
use crate::syntax::ast::{self, Expr, ExprKind, FunctionKind, Location, Stmt, StmtKind};
use crate::syntax::uses;

/// Lowers one function; `None` where it is only declared.
pub(crate) fn lower_function(program: &Program, id: FunctionId) -> Option<(Body, Names)> {
    let function = program.function(id);
    if matches!(function.body, ast::Body::None) && function.kind != FunctionKind::Constructor {
        return None;
    }
    let mut lowerer =
        Lowerer::new(program, Scope { file: function.file, contract: function.contract });
    let body = lowerer.function(id);
    let mut uses = Vec::new();
    let mut visit = |span| uses.push(span);
    for invocation in &function.invocations {
        uses::in_invocation(invocation, &mut visit);
    }
    if let ast::Body::Block(block) = &function.body {
        uses::in_statement(block, &mut visit);
    }
    Some((body, lowerer.names_among(uses)))
}

/// Lowers what a variable is set to where it is declared; `None` where it is not.
pub(crate) fn lower_initialiser(program: &Program, id: VariableId) -> Option<(Body, Names)> {
    let variable = program.variable(id);
    let init = variable.init.as_ref()?;
    let mut lowerer =
        Lowerer::new(program, Scope { file: variable.file, contract: variable.contract });
    let body = lowerer.initialiser(id, init);
    let mut uses = Vec::new();
    uses::in_expression(init, &mut |span| uses.push(span));
    Some((body, lowerer.names_among(uses)))
}

/// Lowers the arguments that the head of a contract gives its bases; `None` where it gives none.
pub(crate) fn lower_base_arguments(program: &Program, id: ContractId) -> Option<(Body, Names)> {
    let contract = program.contract(id);
    let given = || contract.bases.iter().map(|(_, base)| base).filter(|base| base.args.is_some());
    given().next()?;
    let mut lowerer = Lowerer::new(program, Scope { file: contract.file, contract: Some(id) });
    let entry = lowerer.b.at;
    lowerer.b.graph[entry].end = End::Return;
    let modifiers = given().map(|base| lowerer.modifier(base)).collect();
    let body = Body {
        graph: std::mem::take(&mut lowerer.b.graph),
        entry,
        locals: std::mem::take(&mut lowerer.b.locals),
        params: Vec::new(),
        returns: Vec::new(),
        modifiers,
        is_partial: lowerer.is_partial,
    };
    let mut uses = Vec::new();
    // The names of the bases themselves were resolved before.
    for arg in given().flat_map(|base| base.args.iter().flatten()) {
        uses::in_expression(arg, &mut |span| uses.push(span));
    }
    Some((body, lowerer.names_among(uses)))
}

impl<'p> Lowerer<'p> {
    fn new(program: &'p Program, scope: Scope) -> Self {
        Self {
            program,
            scope,
            b: Builder::new(),
            names: vec![BTreeMap::new()],
            loops: Vec::new(),
            returns: Vec::new(),
            is_unchecked: false,
            memory: None,
            yul_functions: Vec::new(),
            labels: Vec::new(),
            leave_targets: Vec::new(),
            is_partial: false,
            noted: Vec::new(),
        }
    }

    /// Which of `uses` were resolved, at each place where they were lowered. A use that nothing looked at, in
    /// assembly that is never called for instance, was not resolved.
    fn names_among(&mut self, uses: Vec<Span>) -> Names {
        // Failures come first, and are the ones that are kept.
        self.noted.sort_unstable();
        self.noted.dedup_by_key(|(start, _)| *start);
        let mut names = Names::default();
        for span in uses {
            let at = self.noted.binary_search_by_key(&span.start, |(start, _)| *start);
            names.note(span, at.is_ok_and(|at| self.noted[at].1));
        }
        names
    }
}

pub(crate) struct Lowerer<'p> {
    pub(crate) program: &'p Program,
    pub(crate) scope: Scope,
    pub(crate) b: Builder,
    /// Local names, innermost scope last.
    pub(crate) names: Vec<BTreeMap<String, LocalId>>,
    /// Where `continue` and `break` go.
    pub(crate) loops: Vec<(NodeIndex, NodeIndex)>,
    pub(crate) returns: Vec<LocalId>,
    pub(crate) is_unchecked: bool,
    /// Memory as assembly sees it, as one value.
    pub(crate) memory: Option<LocalId>,
    pub(crate) yul_functions: Vec<BTreeMap<String, super::yul::YulFunction>>,
    /// Where the labels of each assembly block stand.
    pub(crate) labels: Vec<BTreeMap<String, NodeIndex>>,
    /// Where `leave` goes in each assembly function being lowered.
    pub(crate) leave_targets: Vec<NodeIndex>,
    pub(crate) is_partial: bool,
    /// Where each name that was looked up starts, and whether it was found.
    pub(crate) noted: Vec<(u32, bool)>,
}

impl Lowerer<'_> {
    fn function(&mut self, id: FunctionId) -> Body {
        let program = self.program;
        let function = program.function(id);
        let entry = self.b.at;
        let mut params = Vec::new();
        for param in &function.params {
            let local = self.declare(param.name.as_deref(), param.ty.clone(), param.location);
            self.b.locals[local.index()].is_param = true;
            params.push(local);
        }
        for param in &function.returns {
            let local = self.declare(param.name.as_deref(), param.ty.clone(), param.location);
            self.returns.push(local);
            if param.name.is_some() && param.location != Some(Location::Storage) {
                let value = Rvalue::Use(Operand::Constant(Constant::Default));
                self.b.push(StatementKind::Assign { target: local, value }, param.span);
            }
        }
        match &function.body {
            ast::Body::None => {}
            ast::Body::Broken => self.unknown(function.span),
            ast::Body::Block(body) => self.stmt(body),
        }
        self.b.graph[self.b.at].end = End::Return;
        let modifiers =
            function.invocations.iter().map(|invocation| self.modifier(invocation)).collect();
        Body {
            graph: std::mem::take(&mut self.b.graph),
            entry,
            locals: std::mem::take(&mut self.b.locals),
            params,
            returns: self.returns.clone(),
            modifiers,
            is_partial: self.is_partial,
        }
    }

    fn modifier(&mut self, invocation: &ast::Invocation) -> ModifierUse {
        let start = self.b.block();
        self.b.at = start;
        let found = self.program.lookup_path(self.scope, &invocation.path);
        let target = found
            .iter()
            .find_map(|declaration| match declaration {
                Declaration::Function(id)
                    if self.program.function(*id).kind == FunctionKind::Modifier =>
                {
                    Some(ModifierTarget::Modifier(*id))
                }
                Declaration::Contract(id) => Some(ModifierTarget::BaseConstructor(*id)),
                _ => None,
            })
            .unwrap_or(ModifierTarget::Unknown);
        for name in &invocation.path {
            self.note_name(name.span, target != ModifierTarget::Unknown);
        }
        let params = match target {
            ModifierTarget::Modifier(id) => self.program.function(id).params.clone(),
            _ => Vec::new(),
        };
        let mut args = Vec::new();
        for (index, arg) in invocation.args.iter().flatten().enumerate() {
            let value = self.expr(arg);
            let wants_storage =
                params.get(index).is_some_and(|param| param.location == Some(Location::Storage));
            args.push(self.pass(value, wants_storage, arg.span));
        }
        ModifierUse { target, args, code: (start, self.b.at), span: invocation.span }
    }

    fn initialiser(&mut self, id: VariableId, init: &Expr) -> Body {
        let entry = self.b.at;
        let variable = self.program.variable(id);
        let value = self.expr(init);
        let operand = self.read(value, init.span).0;
        if !variable.is_constant {
            // Immutables are state to the constructor that sets them.
            let place = Place::variable(id);
            self.b.push(StatementKind::Store { place, value: operand }, variable.span);
        }
        self.b.graph[self.b.at].end = End::Return;
        Body {
            graph: std::mem::take(&mut self.b.graph),
            entry,
            locals: std::mem::take(&mut self.b.locals),
            params: Vec::new(),
            returns: Vec::new(),
            modifiers: Vec::new(),
            is_partial: self.is_partial,
        }
    }

    pub(crate) fn note_name(&mut self, span: Span, is_resolved: bool) {
        self.noted.push((span.start, is_resolved));
    }

    /// Notes the names in a type.
    pub(crate) fn note_type(&mut self, ty: &Expr) {
        let noted = &mut self.noted;
        self.program.each_type_name(self.scope, ty, &mut |span, is_known| {
            noted.push((span.start, is_known));
        });
    }

    /// Notes the names of arguments: those that are among the parameters were found.
    pub(crate) fn note_arguments(&mut self, args: &[Arg<'_>], params: &[Param]) {
        for (name, _) in args {
            if let Some(name) = name {
                let is_known =
                    params.iter().any(|param| param.name.as_deref() == Some(name.text.as_str()));
                self.note_name(name.span, is_known);
            }
        }
    }

    pub(crate) fn unknown(&mut self, span: Span) {
        self.is_partial = true;
        self.b.push(StatementKind::Unknown, span);
    }

    /// Makes a local variable and brings its name into scope.
    pub(crate) fn declare(
        &mut self,
        name: Option<&str>,
        ty: Type,
        location: Option<Location>,
    ) -> LocalId {
        let id = self.b.local(name, ty.clone());
        let is_mapping = matches!(ty, Type::Mapping(..));
        self.b.locals[id.index()].location =
            if is_mapping { Some(Location::Storage) } else { location };
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let scope = self.names.last_mut().expect("a function has a scope");
            scope.insert(name.to_owned(), id);
        }
        id
    }

    pub(crate) fn local_named(&self, name: &str) -> Option<LocalId> {
        self.names.iter().rev().find_map(|scope| scope.get(name).copied())
    }

    fn scoped(&mut self, work: impl FnOnce(&mut Self)) {
        self.names.push(BTreeMap::new());
        work(self);
        self.names.pop();
    }

    fn stmts(&mut self, statements: &[Stmt]) {
        for statement in statements {
            self.stmt(statement);
        }
    }

    pub(crate) fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Block { unchecked, statements } => {
                let outer = self.is_unchecked;
                self.is_unchecked |= unchecked;
                self.scoped(|this| this.stmts(statements));
                self.is_unchecked = outer;
            }
            StmtKind::If(condition, then, otherwise) => {
                self.if_stmt(condition, then, otherwise.as_deref())
            }
            StmtKind::While(condition, body) => {
                let (head, inside, after) = (self.b.block(), self.b.block(), self.b.block());
                self.b.goto(head);
                self.condition(condition, inside, after);
                self.loop_body(inside, head, after, |this| this.stmt(body));
            }
            StmtKind::DoWhile(body, condition) => {
                let (inside, check, after) = (self.b.block(), self.b.block(), self.b.block());
                self.b.goto(inside);
                self.loops.push((check, after));
                self.stmt(body);
                self.loops.pop();
                self.b.goto(check);
                self.condition(condition, inside, after);
                self.b.at = after;
            }
            StmtKind::For(init, condition, step, body) => self.scoped(|this| {
                if let Some(init) = init {
                    this.stmt(init);
                }
                let (head, inside, next, after) =
                    (this.b.block(), this.b.block(), this.b.block(), this.b.block());
                this.b.goto(head);
                match condition {
                    Some(condition) => this.condition(condition, inside, after),
                    None => this.b.goto(inside),
                }
                this.b.at = inside;
                this.loops.push((next, after));
                if let Some(body) = body {
                    this.stmt(body);
                }
                this.loops.pop();
                this.b.goto(next);
                if let Some(step) = step {
                    this.expr(step);
                }
                this.b.graph.add_edge(this.b.at, head, Edge::Next);
                this.b.at = after;
            }),
            StmtKind::Expr(expr) => {
                self.expr(expr);
            }
            StmtKind::Let(declarations, init) => {
                self.let_stmt(declarations, init.as_ref(), stmt.span)
            }
            StmtKind::Return(value) => self.return_stmt(value.as_ref(), stmt.span),
            StmtKind::Revert(error, args) => {
                let params = self.event(error);
                let args: Vec<_> = args.iter().map(|(name, arg)| (name.as_ref(), arg)).collect();
                self.note_arguments(&args, &params);
                for (_, arg) in args {
                    self.expr(arg);
                }
                self.b.end(End::Revert);
            }
            StmtKind::Emit(event) => self.emit(event, stmt.span),
            StmtKind::Try { call, returns, success, catches } => {
                self.try_stmt(call, returns, success.as_deref(), catches, stmt.span);
            }
            StmtKind::Break => self.leave_loop(|(_, after)| after),
            StmtKind::Continue => self.leave_loop(|(next, _)| next),
            StmtKind::Assembly(block) => self.assembly(block),
            StmtKind::Placeholder => self.b.push(StatementKind::Placeholder, stmt.span),
            StmtKind::Error => self.unknown(stmt.span),
        }
    }

    fn leave_loop(&mut self, target: impl FnOnce((NodeIndex, NodeIndex)) -> NodeIndex) {
        match self.loops.last() {
            Some(&targets) => self.b.jump(target(targets)),
            // Outside of a loop the compiler refuses it.
            None => self.b.end(End::Revert),
        }
    }

    pub(crate) fn loop_body(
        &mut self,
        inside: NodeIndex,
        next: NodeIndex,
        after: NodeIndex,
        body: impl FnOnce(&mut Self),
    ) {
        self.b.at = inside;
        self.loops.push((next, after));
        body(self);
        self.loops.pop();
        self.b.graph.add_edge(self.b.at, next, Edge::Next);
        self.b.at = after;
    }

    fn if_stmt(&mut self, condition: &Expr, then: &Stmt, otherwise: Option<&Stmt>) {
        let (yes, no, after) = (self.b.block(), self.b.block(), self.b.block());
        self.condition(condition, yes, no);
        self.b.at = yes;
        self.scoped(|this| this.stmt(then));
        self.b.goto(after);
        self.b.at = no;
        if let Some(otherwise) = otherwise {
            self.scoped(|this| this.stmt(otherwise));
        }
        self.b.goto(after);
    }

    /// Goes to `yes` or `no` by `condition`; `&&`, `||` and `!` become edges.
    pub(crate) fn condition(&mut self, condition: &Expr, yes: NodeIndex, no: NodeIndex) {
        match &condition.kind {
            ExprKind::Binary(ast::BinaryOp::And, left, right) => {
                let both = self.b.block();
                self.condition(left, both, no);
                self.b.at = both;
                self.condition(right, yes, no);
            }
            ExprKind::Binary(ast::BinaryOp::Or, left, right) => {
                let second = self.b.block();
                self.condition(left, yes, second);
                self.b.at = second;
                self.condition(right, yes, no);
            }
            ExprKind::Unary(ast::UnaryOp::Not, inner) => self.condition(inner, no, yes),
            _ => {
                let (operand, _) = self.operand(condition);
                self.b.branch(operand, yes, no, condition.span);
            }
        }
    }

    fn let_stmt(&mut self, declarations: &[Option<ast::Param>], init: Option<&Expr>, span: Span) {
        // The initialiser is read before the names come into scope.
        let value = init.map(|init| self.expr(init));
        if let ([Some(declaration)], value) = (declarations, value.as_ref()) {
            self.declare_one(declaration, value.cloned(), span);
            return;
        }
        let parts = value.map(|value| self.parts(value, declarations.len())).unwrap_or_default();
        let mut parts = parts.into_iter();
        for declaration in declarations {
            let part = parts.next();
            if let Some(declaration) = declaration {
                self.declare_one(declaration, part, span);
            }
        }
    }

    fn declare_one(&mut self, declaration: &ast::Param, value: Option<Value>, span: Span) {
        let is_var = matches!(&declaration.ty.kind, ExprKind::Ident(name) if name == "var");
        let mut ty = if is_var {
            value.as_ref().map_or(Type::Unknown, Value::ty)
        } else {
            let ty = self.program.resolve_type(self.scope, &declaration.ty);
            self.note_type(&declaration.ty);
            ty
        };
        if ty == Type::Number {
            ty = Type::Uint(256);
        }
        let mut location = declaration.location;
        // Before 0.5 a local of reference type without a location was a storage reference.
        if location.is_none()
            && ty.is_reference()
            && (!is_var || matches!(value, Some(Value::Place(..))))
        {
            location = Some(Location::Storage);
        }
        let name = declaration.name.as_ref().map(|name| name.text.as_str());
        let Some(value) = value else {
            let local = self.declare(name, ty, location);
            if location != Some(Location::Storage) {
                let value = Rvalue::Use(Operand::Constant(Constant::Default));
                self.b.push(StatementKind::Assign { target: local, value }, span);
            }
            return;
        };
        let is_storage = location == Some(Location::Storage) || matches!(ty, Type::Mapping(..));
        let operand = self.pass(value, is_storage, span);
        let local = self.declare(name, ty, location);
        self.b.push(StatementKind::Assign { target: local, value: Rvalue::Use(operand) }, span);
    }

    fn return_stmt(&mut self, value: Option<&Expr>, span: Span) {
        if let Some(expr) = value {
            let value = self.expr(expr);
            let returns = self.returns.clone();
            let parts =
                if returns.len() == 1 { vec![value] } else { self.parts(value, returns.len()) };
            for (target, part) in returns.into_iter().zip(parts) {
                let wants_storage =
                    self.b.locals[target.index()].location == Some(Location::Storage);
                let operand = self.pass(part, wants_storage, span);
                self.b.push(StatementKind::Assign { target, value: Rvalue::Use(operand) }, span);
            }
        }
        self.b.end(End::Return);
    }

    fn emit(&mut self, event: &Expr, span: Span) {
        let (callee, args): (&Expr, Vec<Arg<'_>>) = match &event.kind {
            ExprKind::Call(callee, args) => (callee, args.iter().map(|arg| (None, arg)).collect()),
            ExprKind::NamedCall(callee, args) => {
                (callee, args.iter().map(|(name, arg)| (Some(name), arg)).collect())
            }
            _ => (event, Vec::new()),
        };
        let path = crate::hir::type_path(callee).unwrap_or_default();
        let params = self.event(&path);
        self.note_arguments(&args, &params);
        let args = args.into_iter().map(|(_, arg)| self.operand(arg).0).collect();
        let event = path.last().map(|name| name.text.clone()).unwrap_or_default();
        self.b.push(StatementKind::Emit { event, args }, span);
    }

    /// The parameters of the event or error that a path names; notes the names in the path.
    fn event(&mut self, path: &[ast::Name]) -> Vec<Param> {
        let found = self.program.lookup_path(self.scope, path).into_iter();
        let id = found
            .filter_map(|found| match found {
                Declaration::Event(id) => Some(id),
                _ => None,
            })
            .next();
        for name in path {
            self.note_name(name.span, id.is_some());
        }
        id.map(|id| self.program.events[id.index()].params.clone()).unwrap_or_default()
    }

    fn try_stmt(
        &mut self,
        call: &Expr,
        returns: &[ast::Param],
        success: Option<&Stmt>,
        catches: &[(Vec<ast::Param>, Stmt)],
        span: Span,
    ) {
        let value = self.expr(call);
        let succeeded = self.b.local(None, Type::Bool);
        self.mark_last_call_as_tried(succeeded);
        let (yes, no, after) = (self.b.block(), self.b.block(), self.b.block());
        self.b.branch(Operand::Local(succeeded), yes, no, call.span);
        self.b.at = yes;
        self.scoped(|this| {
            let parts =
                if returns.len() == 1 { vec![value] } else { this.parts(value, returns.len()) };
            for (param, part) in returns.iter().zip(parts) {
                this.declare_one(param, Some(part), span);
            }
            if let Some(success) = success {
                this.stmt(success);
            }
        });
        self.b.goto(after);
        self.b.at = no;
        for (index, (params, body)) in catches.iter().enumerate() {
            let next = if index + 1 < catches.len() {
                let (this_one, next) = (self.b.block(), self.b.block());
                self.b.branch(Operand::unknown(), this_one, next, body.span);
                self.b.at = this_one;
                Some(next)
            } else {
                None
            };
            self.scoped(|this| {
                for param in params {
                    let ty = this.program.resolve_type(this.scope, &param.ty);
                    this.note_type(&param.ty);
                    let name = param.name.as_ref().map(|name| name.text.clone());
                    let local = this.declare(name.as_deref(), ty, Some(Location::Memory));
                    let value = Rvalue::Pure("returned_data", vec![Operand::Local(succeeded)]);
                    this.b.push(StatementKind::Assign { target: local, value }, param.span);
                }
                this.stmt(body);
            });
            self.b.graph.add_edge(self.b.at, after, Edge::Next);
            if let Some(next) = next {
                self.b.at = next;
            }
        }
        if catches.is_empty() {
            self.b.graph[no].end = End::Revert;
        }
        self.b.at = after;
    }

    fn mark_last_call_as_tried(&mut self, succeeded: LocalId) {
        let at = self.b.at;
        let last =
            self.b.graph[at].statements.iter_mut().rev().find_map(|statement| match &mut statement
                .kind
            {
                StatementKind::Call(call) => Some(call),
                _ => None,
            });
        match last {
            Some(call) => {
                call.may_fail = true;
                call.results.push(succeeded);
            }
            None => {
                let value = Rvalue::Use(Operand::unknown());
                self.b.push(StatementKind::Assign { target: succeeded, value }, Span::default());
            }
        }
    }
}
