//! What really runs when an entry point of a contract is called: its modifiers and all internal calls
//! are put in place, with virtual functions as the most derived contract has them.

use std::collections::BTreeSet;

use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;

use super::builder::Builder;
use super::ir::*;
use crate::hir::{ContractId, FunctionId, Program};
use crate::syntax::Span;

/// A view grows no larger than this many statements; further calls stay calls.
const MAX_STATEMENTS: usize = 12_000;
/// Calls are put in place no deeper than this.
const MAX_DEPTH: usize = 40;

/// An inlined call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) function: FunctionId,
    /// The frame and the call that it was entered from.
    pub(crate) caller: Option<(FrameId, Span)>,
}

/// One entry point as one graph.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) contract: ContractId,
    pub(crate) function: FunctionId,
    pub(crate) body: Body,
    pub(crate) frames: Vec<Frame>,
    /// The block in which the call ends normally.
    pub(crate) exit: NodeIndex,
    /// Some internal calls were left as calls: recursion, or too large.
    pub(crate) is_truncated: bool,
}

impl View {
    /// The calls that lead to `frame`, outermost first.
    pub(crate) fn path(&self, frame: FrameId) -> Vec<Span> {
        let mut out = Vec::new();
        let mut at = frame;
        while let Some((caller, span)) = self.frames[at.0 as usize].caller {
            out.push(span);
            at = caller;
        }
        out.reverse();
        out
    }
}

/// What becomes of internal calls in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    /// They are put in place, as far as the bounds allow.
    InPlace,
    /// They stay calls; modifiers alone are put in place.
    Kept,
}

/// Composes the view of `function` as called on `contract`.
pub(crate) fn view(
    program: &Program,
    bodies: &[Option<Body>],
    contract: ContractId,
    function: FunctionId,
) -> Option<View> {
    compose(program, bodies, contract, function, Calls::InPlace)
}

/// Composes the view of `function` as called on `contract`, with or without the code of what it calls.
pub(crate) fn compose(
    program: &Program,
    bodies: &[Option<Body>],
    contract: ContractId,
    function: FunctionId,
    calls: Calls,
) -> Option<View> {
    bodies.get(function.index())?.as_ref()?;
    let mut composer = Composer::new(program, bodies, contract, function, calls);
    let entry = composer.b.at;
    let (params, returns) = composer.run(function, FrameId(0), None);
    Some(composer.finish(entry, params, returns))
}

pub(super) struct Composer<'a> {
    program: &'a Program,
    bodies: &'a [Option<Body>],
    contract: ContractId,
    calls: Calls,
    pub(super) b: Builder,
    frames: Vec<Frame>,
    pub(super) open: Vec<FunctionId>,
    statements: usize,
    is_truncated: bool,
    pub(super) is_partial: bool,
    /// Constructors of bases are run apart from those that name them.
    pub(super) is_deployment: bool,
}

/// A body being put in place: where its locals begin, and what a placeholder stands for.
#[derive(Clone, Copy)]
pub(super) struct Instance<'a> {
    pub(super) body: &'a Body,
    pub(super) offset: u32,
    pub(super) frame: FrameId,
    /// For a modifier: the function it wraps and the position of the next modifier.
    pub(super) wrapped: Option<(&'a Wrapped<'a>, usize)>,
}

/// A function whose modifiers are being put in place.
pub(super) struct Wrapped<'a> {
    pub(super) body: &'a Body,
    pub(super) offset: u32,
    pub(super) frame: FrameId,
}

impl<'a> Composer<'a> {
    pub(super) fn new(
        program: &'a Program,
        bodies: &'a [Option<Body>],
        contract: ContractId,
        function: FunctionId,
        calls: Calls,
    ) -> Self {
        Self {
            program,
            bodies,
            contract,
            calls,
            b: Builder::new(),
            frames: vec![Frame { function, caller: None }],
            open: vec![function],
            statements: 0,
            is_truncated: false,
            is_partial: false,
            is_deployment: false,
        }
    }

    /// The view, which ends at the current block.
    pub(super) fn finish(
        mut self,
        entry: NodeIndex,
        params: Vec<LocalId>,
        returns: Vec<LocalId>,
    ) -> View {
        let exit = self.b.at;
        self.b.graph[exit].end = End::Return;
        View {
            contract: self.contract,
            function: self.frames[0].function,
            body: Body {
                graph: self.b.graph,
                entry,
                locals: self.b.locals,
                params,
                returns,
                modifiers: Vec::new(),
                is_partial: self.is_partial,
            },
            frames: self.frames,
            exit,
            is_truncated: self.is_truncated,
        }
    }

    /// Puts `function` in place at the current block; gives its parameters and returns as locals of the view.
    fn run(
        &mut self,
        function: FunctionId,
        frame: FrameId,
        args: Option<(&[Operand], Span)>,
    ) -> (Vec<LocalId>, Vec<LocalId>) {
        let Some(body) = self.bodies[function.index()].as_ref() else {
            return (Vec::new(), Vec::new());
        };
        let offset = self.open_locals(body, args.is_none());
        self.is_partial |= body.is_partial;
        let shift = |id: &LocalId| LocalId(id.0 + offset);
        let params: Vec<_> = body.params.iter().map(shift).collect();
        if let Some((args, span)) = args {
            self.assign_params(&params, args, span, frame);
        }
        let wrapped = Wrapped { body, offset, frame };
        self.run_modifiers(&wrapped, 0);
        (params, body.returns.iter().map(shift).collect())
    }

    pub(super) fn open_locals(&mut self, body: &Body, is_entry: bool) -> u32 {
        let offset = u32::try_from(self.b.locals.len()).expect("a view is bounded");
        self.b.locals.extend(
            body.locals
                .iter()
                .map(|local| Local { is_param: local.is_param && is_entry, ..local.clone() }),
        );
        offset
    }

    pub(super) fn assign_params(
        &mut self,
        params: &[LocalId],
        args: &[Operand],
        span: Span,
        frame: FrameId,
    ) {
        for (target, arg) in params.iter().zip(args) {
            let kind = StatementKind::Assign { target: *target, value: Rvalue::Use(arg.clone()) };
            self.push(Statement { kind, span, frame });
        }
    }

    fn push(&mut self, statement: Statement) {
        self.statements += 1;
        self.b.graph[self.b.at].statements.push(statement);
    }

    pub(super) fn run_modifiers(&mut self, wrapped: &Wrapped<'_>, index: usize) {
        let body = wrapped.body;
        let Some(modifier) = body.modifiers.get(index) else {
            let instance =
                Instance { body, offset: wrapped.offset, frame: wrapped.frame, wrapped: None };
            self.copy(instance, body.entry, None);
            return;
        };
        if self.is_deployment && matches!(modifier.target, ModifierTarget::BaseConstructor(_)) {
            self.run_modifiers(wrapped, index + 1);
            return;
        }
        let instance =
            Instance { body, offset: wrapped.offset, frame: wrapped.frame, wrapped: None };
        self.copy(instance, modifier.code.0, Some(modifier.code.1));
        let target = match modifier.target {
            ModifierTarget::Modifier(id) => Some(self.dispatch(id, Dispatch::Virtual)),
            ModifierTarget::BaseConstructor(_) => None,
            ModifierTarget::Unknown => {
                self.is_partial = true;
                let name = self.program.text(modifier.span).to_owned();
                let kind = StatementKind::Call(Box::new(Call::new(
                    CallKind::Unresolved(name),
                    Vec::new(),
                )));
                self.push(Statement { kind, span: modifier.span, frame: wrapped.frame });
                None
            }
        };
        let Some((target, target_body)) =
            target.and_then(|id| Some((id, self.bodies[id.index()].as_ref()?)))
        else {
            self.run_modifiers(wrapped, index + 1);
            return;
        };
        let frame = self.open_frame(target, wrapped.frame, modifier.span);
        let offset = self.open_locals(target_body, false);
        let params: Vec<_> = target_body.params.iter().map(|id| LocalId(id.0 + offset)).collect();
        let args: Vec<_> =
            modifier.args.iter().map(|arg| shift_operand(arg, wrapped.offset)).collect();
        self.assign_params(&params, &args, modifier.span, frame);
        self.is_partial |= target_body.is_partial;
        let instance =
            Instance { body: target_body, offset, frame, wrapped: Some((wrapped, index + 1)) };
        self.copy(instance, target_body.entry, None);
    }

    pub(super) fn open_frame(
        &mut self,
        function: FunctionId,
        caller: FrameId,
        span: Span,
    ) -> FrameId {
        let id = FrameId(u32::try_from(self.frames.len()).expect("a view is bounded"));
        self.frames.push(Frame { function, caller: Some((caller, span)) });
        id
    }

    /// Copies the blocks reachable from `start` behind the current block, and goes on where they return;
    /// `last` ends a part that does not return.
    pub(super) fn copy(
        &mut self,
        instance: Instance<'_>,
        start: NodeIndex,
        last: Option<NodeIndex>,
    ) {
        let graph = &instance.body.graph;
        let mut order = vec![start];
        // The block that each block becomes; none for what lies apart.
        let mut first = vec![NodeIndex::end(); graph.node_count()];
        first[start.index()] = self.b.at;
        let mut at = 0;
        while let Some(&node) = order.get(at) {
            at += 1;
            for edge in graph.edges(node) {
                let place = &mut first[edge.target().index()];
                if *place == NodeIndex::end() {
                    *place = self.b.block();
                    order.push(edge.target());
                }
            }
        }
        // The start is entered from outside and perhaps again by a loop: a block of its own keeps the two apart.
        if graph.edges_directed(start, petgraph::Direction::Incoming).next().is_some() {
            let head = self.b.block();
            self.b.goto(head);
            first[start.index()] = head;
        }
        let exit = self.b.block();
        for node in order {
            self.b.at = first[node.index()];
            let n_statements = graph[node].statements.len();
            self.b.graph[self.b.at].statements.reserve(n_statements);
            for statement in &graph[node].statements {
                self.statement(instance, statement);
            }
            let end = match &graph[node].end {
                End::Return => {
                    self.b.graph.add_edge(self.b.at, exit, Edge::Next);
                    End::Goto
                }
                End::Branch { condition, span } => End::Branch {
                    condition: shift_operand(condition, instance.offset),
                    span: *span,
                },
                other => other.clone(),
            };
            if last == Some(node) {
                self.b.graph.add_edge(self.b.at, exit, Edge::Next);
            }
            self.b.graph[self.b.at].end = end;
            // Edges come out newest first; the order they were made in is the order they are printed in.
            let mut edges: Vec<_> = graph
                .edges(node)
                .map(|edge| (*edge.weight(), first[edge.target().index()]))
                .collect();
            edges.reverse();
            for (weight, target) in edges {
                self.b.graph.add_edge(self.b.at, target, weight);
            }
        }
        self.b.at = exit;
    }

    fn statement(&mut self, instance: Instance<'_>, statement: &Statement) {
        match &statement.kind {
            StatementKind::Placeholder => {
                if let Some((wrapped, index)) = instance.wrapped {
                    if self.statements < MAX_STATEMENTS {
                        self.run_modifiers(wrapped, index);
                    } else {
                        self.is_truncated = true;
                    }
                }
            }
            StatementKind::Call(call) => {
                if let CallKind::Internal(id, dispatch) = call.kind
                    && self.call(instance, call, id, dispatch, statement.span)
                {
                    return;
                }
                self.push(shift_statement(statement, instance));
            }
            _ => self.push(shift_statement(statement, instance)),
        }
    }

    /// Puts an internal call in place; false where it has to stay a call.
    fn call(
        &mut self,
        instance: Instance<'_>,
        call: &Call,
        id: FunctionId,
        dispatch: Dispatch,
        span: Span,
    ) -> bool {
        let target = self.dispatch(id, dispatch);
        if self.calls == Calls::Kept || self.bodies[target.index()].is_none() {
            return false;
        }
        if self.open.contains(&target)
            || self.open.len() >= MAX_DEPTH
            || self.statements >= MAX_STATEMENTS
        {
            self.is_truncated = true;
            return false;
        }
        let args: Vec<_> =
            call.args.iter().map(|arg| shift_operand(arg, instance.offset)).collect();
        let frame = self.open_frame(target, instance.frame, span);
        self.open.push(target);
        let (_, returns) = self.run(target, frame, Some((&args, span)));
        self.open.pop();
        for (result, returned) in call.results.iter().zip(returns) {
            let value = Rvalue::Use(Operand::Local(returned));
            let kind = StatementKind::Assign { target: LocalId(result.0 + instance.offset), value };
            self.push(Statement { kind, span, frame: instance.frame });
        }
        true
    }

    fn dispatch(&self, id: FunctionId, how: Dispatch) -> FunctionId {
        dispatch(self.program, self.contract, id, how)
    }
}

/// The function that runs on `contract` where a body names `id`.
pub(crate) fn dispatch(
    program: &Program,
    contract: ContractId,
    id: FunctionId,
    how: Dispatch,
) -> FunctionId {
    let is_inherited = program
        .function(id)
        .contract
        .is_some_and(|declaring| program.contract(contract).linearisation.contains(&declaring));
    match how {
        Dispatch::Virtual if is_inherited => program.dispatch(contract, id, None),
        Dispatch::Super(after) if is_inherited => program.dispatch(contract, id, Some(after)),
        _ => id,
    }
}

/// What the bodies of a program name, so that views can be compared without composing them.
pub(crate) struct Shapes<'a> {
    program: &'a Program,
    /// The functions and modifiers that each body names, each once.
    named: Vec<Vec<(FunctionId, Dispatch)>>,
}

impl<'a> Shapes<'a> {
    pub(crate) fn new(program: &'a Program, bodies: &[Option<Body>]) -> Self {
        let named = bodies.iter().map(|body| body.as_ref().map(names).unwrap_or_default());
        Self { program, named: named.collect() }
    }

    /// The functions that `function` comes down to on `contract`, in a fixed order. Views of one function
    /// on two contracts are the same graph where these are the same.
    pub(crate) fn shape(&self, contract: ContractId, function: FunctionId) -> Vec<FunctionId> {
        let mut shape = vec![function];
        let mut seen = BTreeSet::from([function]);
        let mut open = vec![function];
        while let Some(function) = open.pop() {
            for &(id, how) in &self.named[function.index()] {
                let target = dispatch(self.program, contract, id, how);
                shape.push(target);
                if seen.insert(target) {
                    open.push(target);
                }
            }
        }
        shape
    }
}

fn names(body: &Body) -> Vec<(FunctionId, Dispatch)> {
    let mut out = Vec::new();
    let mut add = |id, how| {
        if !out.contains(&(id, how)) {
            out.push((id, how));
        }
    };
    for modifier in &body.modifiers {
        if let ModifierTarget::Modifier(id) = modifier.target {
            add(id, Dispatch::Virtual);
        }
    }
    for block in body.graph.node_weights() {
        for statement in &block.statements {
            if let StatementKind::Call(call) = &statement.kind
                && let CallKind::Internal(id, how) = call.kind
            {
                add(id, how);
            }
        }
    }
    out
}

fn shift_statement(statement: &Statement, instance: Instance<'_>) -> Statement {
    let offset = instance.offset;
    let local = |id: &LocalId| LocalId(id.0 + offset);
    let operands = |operands: &[Operand]| {
        operands.iter().map(|operand| shift_operand(operand, offset)).collect()
    };
    let kind = match &statement.kind {
        StatementKind::Assign { target, value } => {
            let value = match value {
                Rvalue::Use(operand) => Rvalue::Use(shift_operand(operand, offset)),
                Rvalue::Unary(op, operand) => Rvalue::Unary(*op, shift_operand(operand, offset)),
                Rvalue::Binary(op, left, right) => {
                    Rvalue::Binary(*op, shift_operand(left, offset), shift_operand(right, offset))
                }
                Rvalue::Wrapping(op, left, right) => {
                    Rvalue::Wrapping(*op, shift_operand(left, offset), shift_operand(right, offset))
                }
                Rvalue::Cast(operand) => Rvalue::Cast(shift_operand(operand, offset)),
                Rvalue::Pure(name, args) => Rvalue::Pure(name, operands(args)),
            };
            StatementKind::Assign { target: local(target), value }
        }
        StatementKind::Load { target, place } => {
            StatementKind::Load { target: local(target), place: shift_place(place, offset) }
        }
        StatementKind::Store { place, value } => StatementKind::Store {
            place: shift_place(place, offset),
            value: shift_operand(value, offset),
        },
        StatementKind::Call(call) => {
            let shift = |operand: &Operand| shift_operand(operand, offset);
            StatementKind::Call(Box::new(Call {
                kind: match &call.kind {
                    CallKind::Pointer(operand) => CallKind::Pointer(shift(operand)),
                    other => other.clone(),
                },
                callee: call.callee.as_ref().map(shift),
                args: operands(&call.args),
                value: call.value.as_ref().map(shift),
                gas: match &call.gas {
                    Gas::Limited(operand) => Gas::Limited(shift(operand)),
                    other => other.clone(),
                },
                results: call.results.iter().map(local).collect(),
                may_fail: call.may_fail,
            }))
        }
        StatementKind::Emit { event, args } => {
            StatementKind::Emit { event: event.clone(), args: operands(args) }
        }
        StatementKind::Placeholder => StatementKind::Placeholder,
        StatementKind::Unknown => StatementKind::Unknown,
    };
    Statement { kind, span: statement.span, frame: instance.frame }
}

pub(super) fn shift_operand(operand: &Operand, offset: u32) -> Operand {
    match operand {
        Operand::Local(id) => Operand::Local(LocalId(id.0 + offset)),
        Operand::Storage(place) => Operand::Storage(Box::new(shift_place(place, offset))),
        other => other.clone(),
    }
}

fn shift_place(place: &Place, offset: u32) -> Place {
    let root = match &place.root {
        Root::Variable(id) => Root::Variable(*id),
        Root::Reference(id) => Root::Reference(LocalId(id.0 + offset)),
        Root::Slot(operand, is_transient) => {
            Root::Slot(shift_operand(operand, offset), *is_transient)
        }
    };
    let path = place.path.iter().map(|key| match key {
        Key::Index(operand) => Key::Index(shift_operand(operand, offset)),
        other => other.clone(),
    });
    Place { root, path: path.collect() }
}
