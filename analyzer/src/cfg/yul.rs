//! Assembly to the same statements as Solidity.

use std::collections::BTreeMap;

use petgraph::graph::NodeIndex;

use super::builder::Builder;
use super::ir::*;
use super::lower::Lowerer;
use crate::hir::{Declaration, Type};
use crate::syntax::Span;
use crate::syntax::ast::{
    BinaryOp, Location, Name, UnaryOp, YulBlock, YulExpr, YulExprKind, YulStmt, YulStmtKind,
};

/// A function defined in assembly; calls of it are lowered in place.
#[derive(Debug, Clone)]
pub(crate) struct YulFunction {
    params: Vec<Name>,
    returns: Vec<Name>,
    body: YulBlock,
    /// Being lowered right now: a call from inside is recursive.
    is_open: bool,
    was_called: bool,
}

/// Calls of assembly functions nest no deeper than this; beyond, what they do is unknown.
const MAX_INLINED: usize = 12;
/// A body grows no larger than this by lowering assembly functions in place.
const MAX_BLOCKS: usize = 20_000;

impl Lowerer<'_> {
    pub(crate) fn assembly(&mut self, block: &YulBlock) {
        self.yul_block(block);
    }

    fn memory(&mut self) -> LocalId {
        match self.memory {
            Some(id) => id,
            None => {
                let id = self.b.local(Some("memory"), Type::Bytes);
                self.memory = Some(id);
                id
            }
        }
    }

    fn yul_block(&mut self, block: &YulBlock) {
        if block.is_opaque {
            self.unknown(block.span);
            return;
        }
        self.names.push(BTreeMap::new());
        self.open_functions(block);
        let labels = block.statements.iter().filter_map(|statement| match &statement.kind {
            YulStmtKind::Label(name) => Some(name.text.clone()),
            _ => None,
        });
        let labels = labels.map(|name| (name, self.b.block())).collect();
        self.labels.push(labels);
        for statement in &block.statements {
            self.yul_stmt(statement);
        }
        self.labels.pop();
        self.look_at_uncalled();
        self.yul_functions.pop();
        self.names.pop();
    }

    /// Resolves the names in functions that nothing calls; they leave nothing in the body.
    fn look_at_uncalled(&mut self) {
        let level = self.yul_functions.len() - 1;
        let uncalled = self.yul_functions[level].iter().filter(|(_, known)| !known.was_called);
        let uncalled: Vec<_> =
            uncalled.map(|(name, known)| (name.clone(), known.params.len())).collect();
        for (name, params) in uncalled {
            let body = std::mem::replace(&mut self.b, Builder::new());
            let memory = self.memory.take();
            let is_partial = self.is_partial;
            self.yul_inline(level, &name, vec![Operand::unknown(); params], 0, Span::default());
            self.b = body;
            self.memory = memory;
            self.is_partial = is_partial;
        }
    }

    /// Functions are visible in the whole block, before their definition too.
    fn open_functions(&mut self, block: &YulBlock) {
        let mut functions = BTreeMap::new();
        for statement in &block.statements {
            if let YulStmtKind::Function { name, params, returns, body } = &statement.kind {
                let function = YulFunction {
                    params: params.clone(),
                    returns: returns.clone(),
                    body: body.clone(),
                    is_open: false,
                    was_called: false,
                };
                functions.insert(name.text.clone(), function);
            }
        }
        self.yul_functions.push(functions);
    }

    fn yul_stmt(&mut self, statement: &YulStmt) {
        let span = statement.span;
        match &statement.kind {
            YulStmtKind::Block(block) => self.yul_block(block),
            YulStmtKind::Let(names, value) => {
                let values = match value {
                    Some(value) => self.yul_values(value, names.len()),
                    None => vec![Operand::number("0"); names.len()],
                };
                for (name, value) in names.iter().zip(values) {
                    let local = self.declare(Some(&name.text), Type::Uint(256), None);
                    self.b.push(
                        StatementKind::Assign { target: local, value: Rvalue::Use(value) },
                        span,
                    );
                }
            }
            YulStmtKind::Assign(targets, value) => {
                let values = self.yul_values(value, targets.len());
                for (target, value) in targets.iter().zip(values) {
                    self.yul_assign(target, value, span);
                }
            }
            YulStmtKind::Call(call) => {
                self.yul_values(call, 0);
            }
            YulStmtKind::If(condition, body) => {
                let operand = self.yul_expr(condition);
                let (yes, after) = (self.b.block(), self.b.block());
                self.b.branch(operand, yes, after, condition.span);
                self.b.at = yes;
                self.yul_block(body);
                self.b.goto(after);
            }
            YulStmtKind::For { init, condition, post, body } => {
                self.yul_for(init, condition, post, body)
            }
            YulStmtKind::Switch(value, cases) => self.yul_switch(value, cases),
            YulStmtKind::Function { .. } => {}
            YulStmtKind::Label(name) => {
                if let Some(&here) = self.labels.last().and_then(|labels| labels.get(&name.text)) {
                    self.b.goto(here);
                }
            }
            YulStmtKind::Leave => match self.loops_leave() {
                Some(target) => self.b.jump(target),
                None => self.b.end(End::Return),
            },
            YulStmtKind::Break => self.yul_leave(|(_, after)| after),
            YulStmtKind::Continue => self.yul_leave(|(next, _)| next),
            YulStmtKind::Error => self.unknown(span),
        }
    }

    fn loops_leave(&self) -> Option<NodeIndex> {
        self.leave_targets.last().copied()
    }

    fn yul_leave(&mut self, target: impl FnOnce((NodeIndex, NodeIndex)) -> NodeIndex) {
        match self.loops.last() {
            Some(&targets) => self.b.jump(target(targets)),
            None => self.b.end(End::Revert),
        }
    }

    fn yul_for(&mut self, init: &YulBlock, condition: &YulExpr, post: &YulBlock, body: &YulBlock) {
        // Names of the initialiser are visible in all parts.
        self.names.push(BTreeMap::new());
        self.open_functions(init);
        for statement in &init.statements {
            self.yul_stmt(statement);
        }
        let (head, inside, next, after) =
            (self.b.block(), self.b.block(), self.b.block(), self.b.block());
        self.b.goto(head);
        let operand = self.yul_expr(condition);
        self.b.branch(operand, inside, after, condition.span);
        self.b.at = inside;
        self.loops.push((next, after));
        self.yul_block(body);
        self.loops.pop();
        self.b.goto(next);
        self.yul_block(post);
        self.b.graph.add_edge(self.b.at, head, Edge::Next);
        self.b.at = after;
        self.yul_functions.pop();
        self.names.pop();
    }

    fn yul_switch(&mut self, value: &YulExpr, cases: &[(Option<YulExpr>, YulBlock)]) {
        let operand = self.yul_expr(value);
        let after = self.b.block();
        let mut default = None;
        for (case, body) in cases {
            let Some(case) = case else {
                default = Some(body);
                continue;
            };
            let wanted = self.yul_expr(case);
            let equal = Rvalue::Binary(BinaryOp::Eq, operand.clone(), wanted);
            let condition = self.b.compute(equal, Type::Bool, case.span);
            let (yes, no) = (self.b.block(), self.b.block());
            self.b.branch(condition, yes, no, case.span);
            self.b.at = yes;
            self.yul_block(body);
            self.b.graph.add_edge(self.b.at, after, Edge::Next);
            self.b.at = no;
        }
        if let Some(body) = default {
            self.yul_block(body);
        }
        self.b.goto(after);
    }

    fn yul_assign(&mut self, target: &[Name], value: Operand, span: Span) {
        let (name, suffix) = self.split(target);
        let found = self.local_named(&name);
        for part in target {
            self.note_name(part.span, found.is_some());
        }
        let Some(id) = found else { return };
        if suffix.as_deref() == Some("slot") {
            let place = Place { root: Root::Slot(value, false), path: Vec::new() };
            let value = Rvalue::Use(Operand::Storage(Box::new(place)));
            self.b.push(StatementKind::Assign { target: id, value }, span);
        } else {
            self.b.push(StatementKind::Assign { target: id, value: Rvalue::Use(value) }, span);
        }
    }

    fn yul_expr(&mut self, expr: &YulExpr) -> Operand {
        self.yul_values(expr, 1).into_iter().next().unwrap_or_else(Operand::unknown)
    }

    fn yul_values(&mut self, expr: &YulExpr, wanted: usize) -> Vec<Operand> {
        match &expr.kind {
            YulExprKind::Literal(text) => vec![Operand::number(text)],
            YulExprKind::Path(path) => vec![self.yul_path(path)],
            YulExprKind::Unknown => vec![Operand::unknown()],
            YulExprKind::Call(name, args) => self.yul_call(name, args, wanted, expr.span),
        }
    }

    /// The name and suffix of a path; old dialects write `x_slot` for `x.slot`, unless that is a name itself.
    fn split(&self, path: &[Name]) -> (String, Option<String>) {
        if let [single] = path {
            let is_name = self.local_named(&single.text).is_some()
                || !self.program.lookup(self.scope, &single.text).is_empty();
            if is_name {
                return (single.text.clone(), None);
            }
        }
        split_path(path)
    }

    fn yul_path(&mut self, path: &[Name]) -> Operand {
        let (name, suffix) = self.split(path);
        if let Some(id) = self.local_named(&name) {
            let is_known = self.b.locals[id.index()].ty.is_known();
            for part in path {
                self.note_name(part.span, is_known && is_suffix(suffix.as_deref()));
            }
            let is_storage = self.b.locals[id.index()].location == Some(Location::Storage);
            return match suffix.as_deref() {
                Some("slot") => Operand::Storage(Box::new(Place {
                    root: Root::Reference(id),
                    path: Vec::new(),
                })),
                Some("offset") if is_storage => Operand::number("0"),
                _ if is_storage => Operand::Storage(Box::new(Place {
                    root: Root::Reference(id),
                    path: Vec::new(),
                })),
                _ => Operand::Local(id),
            };
        }
        let found = self.program.lookup(self.scope, &name);
        let variable = found.iter().find_map(|declaration| match declaration {
            Declaration::Variable(id) => Some(*id),
            _ => None,
        });
        if let ([only], None) = (path, variable)
            && let Some(Some(operand)) = self.instruction(&name, Vec::new(), only.span)
        {
            // Before 0.5 instructions without arguments needed no parentheses.
            self.note_name(only.span, true);
            return operand;
        }
        let is_known = variable.is_some_and(|id| self.program.variable(id).ty.is_known());
        for part in path {
            self.note_name(part.span, is_known && is_suffix(suffix.as_deref()));
        }
        let Some(id) = variable else { return Operand::unknown() };
        let declared = self.program.variable(id);
        match suffix.as_deref() {
            Some("offset") => Operand::number("0"),
            _ if declared.is_constant || declared.is_immutable => {
                Operand::Constant(Constant::Variable(id))
            }
            _ => Operand::Storage(Box::new(Place::variable(id))),
        }
    }

    fn yul_call(
        &mut self,
        name: &Name,
        args: &[YulExpr],
        wanted: usize,
        span: Span,
    ) -> Vec<Operand> {
        if let ("jump" | "jumpi", Some(YulExprKind::Path(label))) =
            (name.text.as_str(), args.first().map(|arg| &arg.kind))
            && let [label] = label.as_slice()
            && let Some(target) =
                self.labels.iter().rev().find_map(|labels| labels.get(&label.text).copied())
        {
            self.note_name(name.span, true);
            self.note_name(label.span, true);
            match args.get(1) {
                Some(condition) => {
                    let operand = self.yul_expr(condition);
                    let next = self.b.block();
                    self.b.branch(operand, target, next, condition.span);
                    self.b.at = next;
                }
                None => self.b.jump(target),
            }
            return Vec::new();
        }
        // Arguments are evaluated from the last to the first.
        let mut operands: Vec<_> = args.iter().rev().map(|arg| self.yul_expr(arg)).collect();
        operands.reverse();
        let level =
            self.yul_functions.iter().rposition(|functions| functions.contains_key(&name.text));
        if let Some(level) = level {
            self.note_name(name.span, true);
            return self.yul_inline(level, &name.text, operands, wanted, span);
        }
        let result = self.instruction(&name.text, operands, span);
        self.note_name(name.span, result.is_some());
        match result {
            Some(Some(operand)) => vec![operand],
            Some(None) => Vec::new(),
            None => {
                self.unknown(span);
                vec![Operand::unknown(); wanted]
            }
        }
    }

    fn yul_inline(
        &mut self,
        level: usize,
        name: &str,
        args: Vec<Operand>,
        wanted: usize,
        span: Span,
    ) -> Vec<Operand> {
        let open = self.leave_targets.len();
        let Some(function) = self.yul_functions[level].get_mut(name) else { return Vec::new() };
        if function.is_open || open >= MAX_INLINED || self.b.graph.node_count() > MAX_BLOCKS {
            self.unknown(span);
            return vec![Operand::unknown(); wanted];
        }
        function.is_open = true;
        function.was_called = true;
        let function = function.clone();
        // Outer variables are not visible inside.
        let hidden = std::mem::replace(&mut self.names, vec![BTreeMap::new()]);
        let hidden_functions = self.yul_functions.split_off(level + 1);
        let loops = std::mem::take(&mut self.loops);
        for (param, arg) in function.params.iter().zip(args) {
            let local = self.declare(Some(&param.text), Type::Uint(256), None);
            self.b.push(StatementKind::Assign { target: local, value: Rvalue::Use(arg) }, span);
        }
        let returns: Vec<_> = function
            .returns
            .iter()
            .map(|name| {
                let local = self.declare(Some(&name.text), Type::Uint(256), None);
                let zero = Rvalue::Use(Operand::number("0"));
                self.b.push(StatementKind::Assign { target: local, value: zero }, name.span);
                local
            })
            .collect();
        let after = self.b.block();
        self.leave_targets.push(after);
        self.yul_block(&function.body);
        self.leave_targets.pop();
        self.b.goto(after);
        self.loops = loops;
        self.names = hidden;
        self.yul_functions.extend(hidden_functions);
        if let Some(function) = self.yul_functions[level].get_mut(name) {
            function.is_open = false;
        }
        returns.into_iter().map(Operand::Local).collect()
    }

    /// One machine instruction: `None` where there is none of that name, `Some(None)` where it gives nothing.
    fn instruction(
        &mut self,
        name: &str,
        args: Vec<Operand>,
        span: Span,
    ) -> Option<Option<Operand>> {
        let word = Type::Uint(256);
        let arg = |at: usize| args.get(at).cloned().unwrap_or_else(Operand::unknown);
        let binary = match name {
            "add" => Some(BinaryOp::Add),
            "sub" => Some(BinaryOp::Sub),
            "mul" => Some(BinaryOp::Mul),
            "div" | "sdiv" => Some(BinaryOp::Div),
            "mod" | "smod" => Some(BinaryOp::Mod),
            "exp" => Some(BinaryOp::Pow),
            "and" => Some(BinaryOp::BitAnd),
            "or" => Some(BinaryOp::BitOr),
            "xor" => Some(BinaryOp::BitXor),
            "lt" | "slt" => Some(BinaryOp::Lt),
            "gt" | "sgt" => Some(BinaryOp::Gt),
            "eq" => Some(BinaryOp::Eq),
            _ => None,
        };
        if let Some(op) = binary {
            let overflows =
                matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Pow);
            let value = if overflows {
                Rvalue::Wrapping(op, arg(0), arg(1))
            } else {
                Rvalue::Binary(op, arg(0), arg(1))
            };
            return Some(Some(self.b.compute(value, word, span)));
        }
        let value = match name {
            "shl" => Rvalue::Binary(BinaryOp::Shl, arg(1), arg(0)),
            "shr" | "sar" => Rvalue::Binary(BinaryOp::Shr, arg(1), arg(0)),
            "iszero" => Rvalue::Unary(UnaryOp::Not, arg(0)),
            "not" => Rvalue::Unary(UnaryOp::BitNot, arg(0)),
            "caller" => return Some(Some(Operand::Environment(Environment::Sender))),
            "origin" => return Some(Some(Operand::Environment(Environment::Origin))),
            "callvalue" => return Some(Some(Operand::Environment(Environment::Value))),
            "address" => return Some(Some(Operand::Environment(Environment::This))),
            "calldataload" => {
                Rvalue::Pure("calldata", vec![Operand::Environment(Environment::Data), arg(0)])
            }
            "calldatasize" => return Some(Some(Operand::Environment(Environment::Data))),
            "timestamp" | "number" | "difficulty" | "prevrandao" | "gaslimit" | "chainid"
            | "basefee" | "blobbasefee" | "coinbase" | "gasprice" | "gas" => {
                let known = [
                    "timestamp",
                    "number",
                    "difficulty",
                    "prevrandao",
                    "gaslimit",
                    "chainid",
                    "basefee",
                    "blobbasefee",
                    "coinbase",
                    "gasprice",
                    "gas",
                ];
                let known = known.iter().find(|known| **known == name)?;
                return Some(Some(Operand::Environment(Environment::Block(known))));
            }
            "balance" => Rvalue::Pure("balance", vec![arg(0)]),
            "selfbalance" => Rvalue::Pure("balance", vec![Operand::Environment(Environment::This)]),
            "extcodesize" | "extcodehash" => Rvalue::Pure("code", vec![arg(0)]),
            "blockhash" | "blobhash" => Rvalue::Pure("blockhash", vec![arg(0)]),
            "byte" | "signextend" | "addmod" | "mulmod" | "clz" => Rvalue::Pure("arithmetic", args),
            "mload" | "keccak256" | "sha3" => {
                let memory = Operand::Local(self.memory());
                let name = if name == "mload" { "mload" } else { "keccak256" };
                let mut operands = vec![memory];
                operands.extend(args);
                Rvalue::Pure(name, operands)
            }
            "returndatasize" | "msize" | "codesize" | "pc" | "datasize" | "dataoffset"
            | "linkersymbol" | "loadimmutable" => Rvalue::Pure("environment", Vec::new()),
            "memoryguard" => return Some(Some(arg(0))),
            "sload" | "tload" => {
                let place = slot(arg(0), name == "tload");
                return Some(Some(self.b.load(place, word, span)));
            }
            _ => return self.effect(name, args, span),
        };
        Some(Some(self.b.compute(value, word, span)))
    }

    fn effect(&mut self, name: &str, args: Vec<Operand>, span: Span) -> Option<Option<Operand>> {
        let arg = |at: usize| args.get(at).cloned().unwrap_or_else(Operand::unknown);
        match name {
            "sstore" | "tstore" => {
                let place = slot(arg(0), name == "tstore");
                self.b.push(StatementKind::Store { place, value: arg(1) }, span);
            }
            "mstore" | "mstore8" | "mcopy" | "calldatacopy" | "codecopy" | "extcodecopy"
            | "returndatacopy" | "datacopy" | "setimmutable" => {
                let memory = self.memory();
                let mut operands = vec![Operand::Local(memory)];
                if name == "calldatacopy" {
                    operands.push(Operand::Environment(Environment::Data));
                }
                operands.extend(args);
                self.b.push(
                    StatementKind::Assign {
                        target: memory,
                        value: Rvalue::Pure("update", operands),
                    },
                    span,
                );
            }
            "pop" => {}
            "log0" | "log1" | "log2" | "log3" | "log4" => {
                self.b.push(StatementKind::Emit { event: name.to_owned(), args }, span);
            }
            "revert" | "invalid" => self.b.end(End::Revert),
            "stop" => self.b.end(End::Stop),
            "return" => {
                let returned = self.memory();
                for target in self.returns.clone() {
                    let value = Rvalue::Pure("mload", vec![Operand::Local(returned)]);
                    self.b.push(StatementKind::Assign { target, value }, span);
                }
                self.b.end(End::Stop);
            }
            "selfdestruct" | "suicide" => {
                self.b.push(
                    StatementKind::Call(Box::new(Call::new(CallKind::SelfDestruct, args))),
                    span,
                );
                self.b.end(End::Stop);
            }
            "call" | "callcode" | "delegatecall" | "staticcall" => {
                return Some(Some(self.machine_call(name, &args, span)));
            }
            "create" | "create2" => {
                let result = self.b.local(None, Type::Address);
                let mut call = Call::new(CallKind::New(None), args);
                call.results.push(result);
                call.may_fail = true;
                self.b.push(StatementKind::Call(Box::new(call)), span);
                return Some(Some(Operand::Local(result)));
            }
            // Jumps of the old dialects go where only the compiler knows.
            "jump" | "jumpi" => self.unknown(span),
            _ => return None,
        }
        Some(None)
    }

    fn machine_call(&mut self, name: &str, args: &[Operand], span: Span) -> Operand {
        let memory = self.memory();
        let has_value = matches!(name, "call" | "callcode");
        let kind = match name {
            "call" => CallKind::LowLevel,
            "staticcall" => CallKind::StaticCall,
            _ => CallKind::DelegateCall,
        };
        let mut inputs = vec![Operand::Local(memory)];
        inputs.extend(args.iter().skip(if has_value { 3 } else { 2 }).take(2).cloned());
        let mut call = Call::new(kind, inputs);
        call.callee = args.get(1).cloned();
        call.value =
            if has_value { args.get(2).cloned().filter(|value| !is_zero(value)) } else { None };
        call.gas = match args.first() {
            Some(Operand::Constant(Constant::Number(number)))
                if number.parse::<u64>().is_ok_and(|gas| gas <= 2300) =>
            {
                Gas::Stipend
            }
            Some(Operand::Environment(Environment::Block("gas"))) | None => Gas::Forwarded,
            Some(gas) => Gas::Limited(gas.clone()),
        };
        call.may_fail = true;
        let (succeeded, data) = (self.b.local(None, Type::Bool), self.b.local(None, Type::Bytes));
        call.results = vec![succeeded, data];
        self.b.push(StatementKind::Call(Box::new(call)), span);
        let update = Rvalue::Pure("update", vec![Operand::Local(memory), Operand::Local(data)]);
        self.b.push(StatementKind::Assign { target: memory, value: update }, span);
        Operand::Local(succeeded)
    }
}

/// Whether assembly knows what stands after the point.
fn is_suffix(suffix: Option<&str>) -> bool {
    matches!(suffix, None | Some("slot" | "offset" | "length" | "address" | "selector"))
}

fn is_zero(operand: &Operand) -> bool {
    matches!(operand, Operand::Constant(Constant::Number(number)) if number == "0" || number == "0x0" || number == "0x00")
}

/// The place that a computed slot names; a reference stands for its own place.
fn slot(operand: Operand, is_transient: bool) -> Place {
    match operand {
        Operand::Storage(place) => *place,
        other => Place { root: Root::Slot(other, is_transient), path: Vec::new() },
    }
}

/// A path's name and suffix; old dialects write `x_slot` for `x.slot`.
fn split_path(path: &[Name]) -> (String, Option<String>) {
    match path {
        [single] => {
            for suffix in ["slot", "offset"] {
                if let Some(name) =
                    single.text.strip_suffix(suffix).and_then(|name| name.strip_suffix('_'))
                {
                    return (name.to_owned(), Some(suffix.to_owned()));
                }
            }
            (single.text.clone(), None)
        }
        [name, .., suffix] => (name.text.clone(), Some(suffix.text.clone())),
        [] => (String::new(), None),
    }
}
