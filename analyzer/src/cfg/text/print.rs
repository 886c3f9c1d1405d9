//! Bodies to text.

use std::collections::BTreeMap;

use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;

use super::super::ir::*;
use super::{Names, UNITS};
use crate::hir::{ContractId, Program, VariableId};
use crate::syntax::Span;
use crate::syntax::ast::{Location, UnaryOp};

/// Whether places in the source, and the inlined calls that statements belong to, are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spans {
    /// For those who hand the text back.
    Kept,
    Left,
}

/// Prints the blocks of a body as it stands on `context`, one statement a line, without declarations.
pub(crate) fn print_body(program: &Program, context: Option<ContractId>, body: &Body) -> String {
    let names = Names::new(program);
    Printer::new(&names, context, body).code(Spans::Left)
}

/// Prints one body.
#[derive(Debug)]
pub(crate) struct Printer<'a> {
    names: &'a Names<'a>,
    context: Option<ContractId>,
    body: &'a Body,
    scope: BTreeMap<&'a str, VariableId>,
    /// The blocks that can be reached, with their labels.
    labels: BTreeMap<NodeIndex, usize>,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(names: &'a Names<'a>, context: Option<ContractId>, body: &'a Body) -> Self {
        let mut reached = std::collections::BTreeSet::new();
        let starts = std::iter::once(body.entry)
            .chain(body.modifiers.iter().flat_map(|used| [used.code.0, used.code.1]));
        for start in starts {
            let mut dfs = petgraph::visit::Dfs::new(&body.graph, start);
            while let Some(node) = dfs.next(&body.graph) {
                reached.insert(node);
            }
        }
        let labels = reached.into_iter().enumerate().map(|(label, node)| (node, label)).collect();
        Self { names, context, body, scope: names.in_scope(context), labels }
    }

    /// The whole body; [`super::parse()`] reads it back.
    pub(crate) fn document(&self, spans: Spans) -> String {
        let mut out = match self.context {
            Some(contract) => format!("on {}\n", self.names.contract(contract)),
            None => "on nothing\n".to_owned(),
        };
        for (index, local) in (0_u32..).zip(&self.body.locals) {
            let location = match local.location {
                None => "",
                Some(Location::Memory) => " memory",
                Some(Location::Storage) => " storage",
                Some(Location::Calldata) => " calldata",
            };
            let param = if local.is_param { " param" } else { "" };
            let (name, ty) = (self.local(LocalId(index)), self.names.ty(&local.ty));
            out.push_str(&format!("local {name}: {ty}{location}{param}\n"));
        }
        let locals =
            |ids: &[LocalId]| ids.iter().map(|id| self.local(*id)).collect::<Vec<_>>().join(", ");
        if !self.body.params.is_empty() {
            out.push_str(&format!("params {}\n", locals(&self.body.params)));
        }
        if !self.body.returns.is_empty() {
            out.push_str(&format!("returns {}\n", locals(&self.body.returns)));
        }
        if self.body.is_partial {
            out.push_str("partial\n");
        }
        out.push_str(&format!("entry {}\n", self.label(self.body.entry)));
        out.push_str(&self.code(spans));
        out
    }

    fn code(&self, spans: Spans) -> String {
        let mut out = String::new();
        for used in &self.body.modifiers {
            let target = match used.target {
                ModifierTarget::Modifier(id) => self.names.function(id).to_owned(),
                ModifierTarget::BaseConstructor(id) => format!("base {}", self.names.contract(id)),
                ModifierTarget::Unknown => "?".to_owned(),
            };
            out.push_str(&format!(
                "modifier {target}({}) from {} to {}{}\n",
                self.list(&used.args),
                self.label(used.code.0),
                self.label(used.code.1),
                place(spans, used.span, FrameId(0))
            ));
        }
        for &node in self.labels.keys() {
            out.push_str(&format!("{}:\n", self.label(node)));
            let block = &self.body.graph[node];
            for statement in &block.statements {
                let at = place(spans, statement.span, statement.frame);
                out.push_str(&format!("  {}{at}\n", self.statement(&statement.kind)));
            }
            let at = match block.end {
                End::Branch { span, .. } => place(spans, span, FrameId(0)),
                _ => String::new(),
            };
            out.push_str(&format!("  {}{at}\n", self.end(node, &block.end)));
        }
        out
    }

    /// The blocks that can be reached, with the numbers of their labels.
    #[cfg(test)]
    pub(super) fn labels(&self) -> impl Iterator<Item = (NodeIndex, usize)> {
        self.labels.iter().map(|(node, label)| (*node, *label))
    }

    /// What a block is called.
    pub(crate) fn label(&self, node: NodeIndex) -> String {
        self.labels.get(&node).map_or_else(|| "?".to_owned(), |label| format!("bb{label}"))
    }

    fn end(&self, node: NodeIndex, end: &End) -> String {
        let target = |wanted: Edge| {
            let mut edges = self.body.graph.edges(node);
            let edge = edges.find(|edge| *edge.weight() == wanted);
            edge.map_or_else(|| "?".to_owned(), |edge| self.label(edge.target()))
        };
        match end {
            End::Goto if self.body.graph.edges(node).next().is_none() => "end".to_owned(),
            End::Goto => format!("goto {}", target(Edge::Next)),
            End::Branch { condition, .. } => format!(
                "if {} then {} else {}",
                self.operand(condition),
                target(Edge::True),
                target(Edge::False)
            ),
            End::Return => "return".to_owned(),
            End::Revert => "revert".to_owned(),
            End::Stop => "stop".to_owned(),
        }
    }

    fn local(&self, id: LocalId) -> String {
        match self
            .body
            .locals
            .get(id.index())
            .and_then(|local| local.name.as_deref())
            .filter(|name| !name.is_empty())
        {
            Some(name) => format!("{name}.{}", id.0),
            None => format!("%{}", id.0),
        }
    }

    fn list(&self, operands: &[Operand]) -> String {
        operands.iter().map(|operand| self.operand(operand)).collect::<Vec<_>>().join(", ")
    }

    fn variable(&self, id: VariableId) -> &str {
        let name = self.names.program.variable_name(id);
        if self.scope.get(name) == Some(&id) { name } else { self.names.path_of_variable(id) }
    }

    /// One operand.
    pub(crate) fn operand(&self, operand: &Operand) -> String {
        match operand {
            Operand::Local(id) => self.local(*id),
            Operand::Constant(constant) => match constant {
                Constant::Bool(value) => value.to_string(),
                Constant::Number(number) if is_plain_number(number) => number.clone(),
                Constant::Number(number) => format!("number({number:?})"),
                Constant::Text(text) => format!("{text:?}"),
                Constant::Variable(id) => self.variable(*id).to_owned(),
                Constant::Function(id) => format!("fn {}", self.names.function(*id)),
                Constant::Default => "zero".to_owned(),
                Constant::Unknown => "?".to_owned(),
            },
            Operand::Environment(environment) => match environment {
                Environment::Sender => "msg.sender".to_owned(),
                Environment::Origin => "tx.origin".to_owned(),
                Environment::Value => "msg.value".to_owned(),
                Environment::Data => "msg.data".to_owned(),
                Environment::This => "this".to_owned(),
                Environment::Block(name) => format!("block.{name}"),
            },
            Operand::Storage(place) => format!("&{}", self.place(place)),
        }
    }

    fn place(&self, place: &Place) -> String {
        let mut out = match &place.root {
            Root::Variable(id) => self.variable(*id).to_owned(),
            Root::Reference(id) => format!("*{}", self.local(*id)),
            Root::Slot(operand, false) => format!("slot({})", self.operand(operand)),
            Root::Slot(operand, true) => format!("tslot({})", self.operand(operand)),
        };
        for key in &place.path {
            match key {
                Key::Index(operand) => {
                    out.push_str(&format!("[{}]", self.operand(operand)));
                }
                Key::Field(name) if name == "length" => out.push_str(".field(length)"),
                Key::Field(name) => {
                    out.push_str(&format!(".{name}"));
                }
                Key::Length => out.push_str(".length"),
            }
        }
        out
    }

    fn rvalue(&self, value: &Rvalue) -> String {
        match value {
            Rvalue::Use(operand) => self.operand(operand),
            Rvalue::Unary(op, operand) => {
                let name = match op {
                    UnaryOp::Not => "not",
                    UnaryOp::BitNot => "bitnot",
                    UnaryOp::Negate => "negate",
                };
                format!("{name}({})", self.operand(operand))
            }
            Rvalue::Binary(op, left, right) => {
                format!("{} {} {}", self.operand(left), op.symbol(), self.operand(right))
            }
            Rvalue::Wrapping(op, left, right) => {
                format!("{} {}% {}", self.operand(left), op.symbol(), self.operand(right))
            }
            Rvalue::Cast(operand) => format!("cast({})", self.operand(operand)),
            Rvalue::Pure(name, operands) => format!("{name}({})", self.list(operands)),
        }
    }

    /// One statement.
    pub(crate) fn statement(&self, kind: &StatementKind) -> String {
        match kind {
            StatementKind::Assign { target, value } => {
                format!("{} = {}", self.local(*target), self.rvalue(value))
            }
            StatementKind::Load { target, place } => {
                format!("{} = load {}", self.local(*target), self.place(place))
            }
            StatementKind::Store { place, value } => {
                format!("store {} = {}", self.place(place), self.operand(value))
            }
            StatementKind::Call(call) => self.call(call),
            StatementKind::Emit { event, args } => format!("emit {event}({})", self.list(args)),
            StatementKind::Placeholder => "_".to_owned(),
            StatementKind::Unknown => "unknown".to_owned(),
        }
    }

    fn call(&self, call: &Call) -> String {
        let mut out = String::new();
        if !call.results.is_empty() {
            let results: Vec<_> = call.results.iter().map(|id| self.local(*id)).collect();
            out.push_str(&format!("{} = ", results.join(", ")));
        }
        out.push_str(&self.call_kind(&call.kind));
        if let Some(callee) = &call.callee {
            out.push_str(&format!(" on {}", self.operand(callee)));
        }
        out.push_str(&format!("({})", self.list(&call.args)));
        if let Some(value) = &call.value {
            out.push_str(&format!(" value {}", self.operand(value)));
        }
        match &call.gas {
            Gas::Forwarded => {}
            Gas::Stipend => out.push_str(" gas stipend"),
            Gas::Limited(gas) => {
                out.push_str(&format!(" gas {}", self.operand(gas)));
            }
        }
        if call.may_fail {
            out.push_str(" may fail");
        }
        out
    }

    fn call_kind(&self, kind: &CallKind) -> String {
        match kind {
            CallKind::Internal(id, dispatch) => {
                let how = match dispatch {
                    Dispatch::Static => String::new(),
                    Dispatch::Virtual => "virtual ".to_owned(),
                    Dispatch::Super(after) => format!("super({}) ", self.names.contract(*after)),
                };
                format!("{how}{}", self.names.function(*id))
            }
            CallKind::Pointer(operand) => format!("pointer {}", self.operand(operand)),
            CallKind::External { target, name, is_view } => {
                let how = if *is_view { "view " } else { "" };
                let own = |id| self.names.program.function(id).name.as_str();
                match target {
                    Some(id) if own(*id) == name => {
                        format!("external {how}fn {}", self.names.function(*id))
                    }
                    Some(id) => {
                        format!("external {how}{name:?} fn {}", self.names.function(*id))
                    }
                    None => format!("external {how}{name:?}"),
                }
            }
            CallKind::LowLevel => "call".to_owned(),
            CallKind::StaticCall => "staticcall".to_owned(),
            CallKind::DelegateCall => "delegatecall".to_owned(),
            CallKind::Transfer => "transfer".to_owned(),
            CallKind::Send => "send".to_owned(),
            CallKind::New(contract) => {
                format!("new {}", contract.map_or("?", |id| self.names.contract(id)))
            }
            CallKind::SelfDestruct => "selfdestruct".to_owned(),
            CallKind::Unresolved(name) => format!("unresolved {name:?}"),
        }
    }
}

/// ` @file:start..end ^frame`, where it is wanted and there is something to say.
fn place(spans: Spans, span: Span, frame: FrameId) -> String {
    if spans == Spans::Left {
        return String::new();
    }
    let mut out = String::new();
    if span != Span::default() {
        out.push_str(&format!(" @{span}"));
    }
    if frame.0 != 0 {
        out.push_str(&format!(" ^{}", frame.0));
    }
    out
}

/// Whether a number reads back from its bare text.
fn is_plain_number(text: &str) -> bool {
    let (digits, unit) = match text.split_once(' ') {
        Some((digits, unit)) => (digits, Some(unit)),
        None => (text, None),
    };
    unit.is_none_or(|unit| UNITS.contains(&unit))
        && digits.strip_prefix('-').unwrap_or(digits).starts_with(|c: char| c.is_ascii_digit())
        && digits
            .strip_prefix('-')
            .unwrap_or(digits)
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.')
}
