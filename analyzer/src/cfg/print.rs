//! The intermediate representation as text.

use petgraph::visit::EdgeRef;

use super::ir::*;
use crate::hir::Program;

/// Prints a body, one statement a line; blocks that cannot be reached are left out.
pub(crate) fn print_body(program: &Program, body: &Body) -> String {
    let printer = Printer { program, body };
    let mut out = String::new();
    let mut order = Vec::new();
    let starts =
        std::iter::once(body.entry).chain(body.modifiers.iter().map(|modifier| modifier.code.0));
    for start in starts {
        let mut dfs = petgraph::visit::Dfs::new(&body.graph, start);
        while let Some(node) = dfs.next(&body.graph) {
            if !order.contains(&node) {
                order.push(node);
            }
        }
    }
    order.sort();
    let label = |node| order.iter().position(|known| *known == node).unwrap_or(usize::MAX);
    for modifier in &body.modifiers {
        let args = printer.list(&modifier.args);
        let name = program.text(modifier.span).split('(').next().unwrap_or("").trim();
        out.push_str(&format!("modifier {name}({args}) from bb{}\n", label(modifier.code.0)));
    }
    for &node in &order {
        out.push_str(&format!("bb{}:\n", label(node)));
        let block = &body.graph[node];
        for statement in &block.statements {
            out.push_str(&format!("  {}\n", printer.statement(&statement.kind)));
        }
        let target = |wanted: Edge| {
            body.graph
                .edges(node)
                .find(|edge| *edge.weight() == wanted)
                .map_or_else(|| "?".to_owned(), |edge| format!("bb{}", label(edge.target())))
        };
        let end = match &block.end {
            End::Goto if body.graph.edges(node).next().is_none() => "end".to_owned(),
            End::Goto => format!("goto {}", target(Edge::Next)),
            End::Branch { condition, .. } => {
                format!(
                    "if {} then {} else {}",
                    printer.operand(condition),
                    target(Edge::True),
                    target(Edge::False)
                )
            }
            End::Return => "return".to_owned(),
            End::Revert => "revert".to_owned(),
            End::Stop => "stop".to_owned(),
        };
        out.push_str(&format!("  {end}\n"));
    }
    out
}

/// Prints one call the way a reader of the source would name it.
struct Printer<'a> {
    program: &'a Program,
    body: &'a Body,
}

impl Printer<'_> {
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

    fn operand(&self, operand: &Operand) -> String {
        match operand {
            Operand::Local(id) => self.local(*id),
            Operand::Constant(constant) => match constant {
                Constant::Bool(value) => value.to_string(),
                Constant::Number(number) => number.clone(),
                Constant::Text(text) => format!("{text:?}"),
                Constant::Variable(id) => self.program.variable(*id).name.clone(),
                Constant::Function(id) => format!("&{}", self.program.function_name(*id)),
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
            Root::Variable(id) => self.program.variable(*id).name.clone(),
            Root::Reference(id) => format!("*{}", self.local(*id)),
            Root::Slot(operand, false) => format!("slot({})", self.operand(operand)),
            Root::Slot(operand, true) => format!("tslot({})", self.operand(operand)),
        };
        for key in &place.path {
            match key {
                Key::Index(operand) => {
                    out.push_str(&format!("[{}]", self.operand(operand)));
                }
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
                format!("{op:?}({})", self.operand(operand)).to_lowercase()
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

    fn statement(&self, kind: &StatementKind) -> String {
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
        let kind = match &call.kind {
            CallKind::Internal(id, dispatch) => {
                let how = match dispatch {
                    Dispatch::Static => "",
                    Dispatch::Virtual => "virtual ",
                    Dispatch::Super(_) => "super ",
                };
                format!("{how}{}", self.program.function_name(*id))
            }
            CallKind::Pointer(operand) => format!("pointer {}", self.operand(operand)),
            CallKind::External { name, is_view, .. } => {
                format!("external {}{name}", if *is_view { "view " } else { "" })
            }
            CallKind::LowLevel => "call".to_owned(),
            CallKind::StaticCall => "staticcall".to_owned(),
            CallKind::DelegateCall => "delegatecall".to_owned(),
            CallKind::Transfer => "transfer".to_owned(),
            CallKind::Send => "send".to_owned(),
            CallKind::New(contract) => {
                format!("new {}", contract.map_or("?", |id| self.program.contract_name(id)))
            }
            CallKind::SelfDestruct => "selfdestruct".to_owned(),
            CallKind::Unresolved(name) => format!("unresolved {name}"),
        };
        out.push_str(&kind);
        if let Some(callee) = &call.callee {
            out.push_str(&format!(" on {}", self.operand(callee)));
        }
        out.push_str(&format!("({})", self.list(&call.args)));
        if let Some(value) = &call.value {
            out.push_str(&format!(" value {}", self.operand(value)));
        }
        match &call.gas {
            Gas::Forwarded => {}
            Gas::Stipend => out.push_str(" gas 2300"),
            Gas::Limited(gas) => {
                out.push_str(&format!(" gas {}", self.operand(gas)));
            }
        }
        if call.may_fail {
            out.push_str(" may fail");
        }
        out
    }
}
