//! Who calls whom, as the facts' call graph has it, followed as it runs on the most derived contracts: virtual functions
//! as those have them, modifiers as calls. What could not be found stays in the graph and says so.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::Inspected;
use super::drawing::{Direction, Drawing, Link, Node, Row, Shape, Tone, Way};
use super::name::{self, Target};
use super::source::{Place, one_line};
use crate::cfg::{Call, CallKind, Dispatch};
use crate::facts::{CallForm, Caller};
use crate::hir::{ContractId, FunctionId, Program};
use crate::syntax::Span;
use crate::syntax::ast::{Body, ContractKind, FunctionKind, Visibility};

/// What stands at the end of a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Callee {
    Function(FunctionId),
    /// Code that is not ours: a declared function of another contract, or only a kind of call.
    Foreign(String),
    /// Not found.
    Unresolved(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Internal,
    Modifier,
    Library,
    Super,
    External,
    Static,
    Delegate,
    Create,
    Destroy,
    Unresolved,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CallGraph {
    /// By contract and place.
    functions: Vec<Vertex>,
    calls: Vec<Arrow>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Vertex {
    id: usize,
    /// `Contract.function(types)`, or what is known of it.
    name: String,
    kind: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    /// Anyone can call it.
    is_entry_point: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Arrow {
    from: usize,
    to: usize,
    kind: Kind,
    /// Ether is sent along.
    sends_ether: bool,
    /// The lines of the calls.
    lines: Vec<usize>,
}

#[derive(Default)]
struct Walk {
    vertices: BTreeSet<Callee>,
    arrows: BTreeMap<(FunctionId, Callee, Kind, bool), BTreeSet<Span>>,
    /// Calls of other contracts: what may run, the name where none of it is shown, and the kind.
    far: Vec<Far>,
    seen: BTreeSet<(ContractId, FunctionId)>,
}

struct Far {
    from: FunctionId,
    targets: Vec<FunctionId>,
    declared: Callee,
    kind: Kind,
    sends_ether: bool,
    span: Span,
}

/// Follows all calls of the contracts or the function that are asked about.
pub(super) fn gather(asked: &Inspected<'_>) -> CallGraph {
    let program = asked.program;
    let mut walk = Walk::default();
    match asked.target {
        Target::Function { contract, function } => {
            let contract = contract.or(program.function(function).contract);
            walk.from(asked, contract, function);
        }
        Target::Contract(contract) => walk.contract(asked, contract),
        Target::All => {
            let bases: BTreeSet<ContractId> = program
                .contract_ids()
                .flat_map(|id| program.contract(id).linearisation.iter().skip(1).copied())
                .collect();
            for contract in asked.contracts() {
                let declared = program.contract(contract);
                let is_seen_elsewhere =
                    declared.kind == ContractKind::Abstract && bases.contains(&contract);
                if declared.kind != ContractKind::Interface && !is_seen_elsewhere {
                    walk.contract(asked, contract);
                }
            }
            for function in program.function_ids() {
                let declared = program.function(function);
                if declared.contract.is_none() && asked.is_reported(declared.file) {
                    walk.from(asked, None, function);
                }
            }
        }
    }
    walk.finish(program)
}

impl Walk {
    fn contract(&mut self, asked: &Inspected<'_>, contract: ContractId) {
        for function in name::functions_of(asked.program, contract) {
            let declared = asked.program.function(function);
            let is_start =
                declared.kind != FunctionKind::Modifier && !matches!(declared.body, Body::None);
            if is_start {
                self.from(asked, Some(contract), function);
            }
        }
    }

    fn from(&mut self, asked: &Inspected<'_>, contract: Option<ContractId>, start: FunctionId) {
        let program = asked.program;
        self.vertices.insert(Callee::Function(start));
        let mut open = vec![start];
        while let Some(function) = open.pop() {
            let on = contract.unwrap_or(ContractId(u32::MAX));
            if !self.seen.insert((on, function)) {
                continue;
            }
            for site in asked.facts.call_graph().from(Caller::Function(function)) {
                let (from, span) = (function, site.span);
                if site.form == CallForm::Unresolved && asked.facts.call_of(site).is_none() {
                    let text = one_line(program.text(span), 40);
                    self.arrow(from, (Callee::Unresolved(text), Kind::Unresolved), false, span);
                    continue;
                }
                let is_within = matches!(
                    site.form,
                    CallForm::Internal | CallForm::Modifier | CallForm::BaseConstructor
                );
                if is_within {
                    let targets = match contract {
                        Some(contract) => asked.facts.targets_on(site, contract),
                        None => site.targets.clone(),
                    };
                    for id in targets {
                        open.push(id);
                        let kind = match asked.facts.call_of(site).map(|call| &call.kind) {
                            Some(CallKind::Internal(_, how)) => {
                                internal_kind(program, contract, id, *how)
                            }
                            _ if site.form == CallForm::Modifier => Kind::Modifier,
                            _ => Kind::Internal,
                        };
                        self.arrow(from, (Callee::Function(id), kind), false, span);
                    }
                    continue;
                }
                let Some(call) = asked.facts.call_of(site) else { continue };
                let (declared, kind) = foreign(program, call);
                let sends_ether = call.value.is_some();
                let targets = site.targets.clone();
                self.far.push(Far { from, targets, declared, kind, sends_ether, span });
            }
        }
    }

    /// Calls of other contracts lead to those of their functions that are shown, and to what they name where more may
    /// run.
    fn join(&mut self) {
        let shown: BTreeSet<FunctionId> = self.seen.iter().map(|(_, function)| *function).collect();
        for far in std::mem::take(&mut self.far) {
            let Far { from, targets, declared, kind, sends_ether, span } = far;
            let is_all_shown = targets.iter().all(|id| shown.contains(id)) && !targets.is_empty();
            let here: Vec<_> = targets.into_iter().filter(|id| shown.contains(id)).collect();
            if !is_all_shown {
                self.arrow(from, (declared, kind), sends_ether, span);
            }
            for id in here {
                self.arrow(from, (Callee::Function(id), kind), sends_ether, span);
            }
        }
    }

    fn arrow(
        &mut self,
        from: FunctionId,
        (to, kind): (Callee, Kind),
        sends_ether: bool,
        span: Span,
    ) {
        self.vertices.insert(Callee::Function(from));
        self.vertices.insert(to.clone());
        self.arrows.entry((from, to, kind, sends_ether)).or_default().insert(span);
    }

    fn finish(mut self, program: &Program) -> CallGraph {
        self.join();
        let ids: BTreeMap<&Callee, usize> =
            self.vertices.iter().enumerate().map(|(id, vertex)| (vertex, id)).collect();
        let functions = self
            .vertices
            .iter()
            .enumerate()
            .map(|(id, callee)| vertex(program, id, callee))
            .collect();
        let calls = self
            .arrows
            .iter()
            .map(|((from, to, kind, sends_ether), spans)| {
                let mut lines: Vec<usize> =
                    spans.iter().map(|span| Place::of(program, *span).line).collect();
                lines.dedup();
                Arrow {
                    from: ids[&Callee::Function(*from)],
                    to: ids[to],
                    kind: *kind,
                    sends_ether: *sends_ether,
                    lines,
                }
            })
            .collect();
        CallGraph { functions, calls }
    }
}

fn internal_kind(
    program: &Program,
    contract: Option<ContractId>,
    id: FunctionId,
    how: Dispatch,
) -> Kind {
    let owner = program.function(id).contract;
    let is_library = owner != contract
        && owner.is_some_and(|owner| program.contract(owner).kind == ContractKind::Library);
    match how {
        _ if is_library => Kind::Library,
        Dispatch::Super(_) => Kind::Super,
        Dispatch::Static | Dispatch::Virtual => Kind::Internal,
    }
}

fn foreign(program: &Program, call: &Call) -> (Callee, Kind) {
    let named = |text: &str| Callee::Foreign(text.to_owned());
    match &call.kind {
        CallKind::External { target, name, is_view } => {
            let callee = match target {
                Some(id) => Callee::Foreign(name::label(program, None, *id)),
                None => Callee::Unresolved(format!("?.{name}")),
            };
            (callee, if *is_view { Kind::Static } else { Kind::External })
        }
        CallKind::LowLevel => (named("address.call"), Kind::External),
        CallKind::StaticCall => (named("address.staticcall"), Kind::Static),
        CallKind::DelegateCall => (named("address.delegatecall"), Kind::Delegate),
        CallKind::Transfer => (named("address.transfer"), Kind::External),
        CallKind::Send => (named("address.send"), Kind::External),
        CallKind::New(Some(id)) => {
            (Callee::Foreign(format!("new {}", program.contract_name(*id))), Kind::Create)
        }
        CallKind::New(None) => (named("new contract"), Kind::Create),
        CallKind::SelfDestruct => (named("selfdestruct"), Kind::Destroy),
        CallKind::Unresolved(name) => (Callee::Unresolved(one_line(name, 40)), Kind::Unresolved),
        CallKind::Internal(..) | CallKind::Pointer(_) => {
            (Callee::Unresolved("function pointer".to_owned()), Kind::Unresolved)
        }
    }
}

fn vertex(program: &Program, id: usize, callee: &Callee) -> Vertex {
    let function = match callee {
        Callee::Function(function) => *function,
        Callee::Foreign(name) => {
            let name = name.clone();
            return Vertex { id, name, kind: "foreign", place: None, is_entry_point: false };
        }
        Callee::Unresolved(name) => {
            let name = name.clone();
            return Vertex { id, name, kind: "unresolved", place: None, is_entry_point: false };
        }
    };
    let declared = program.function(function);
    let kind = match declared.kind {
        FunctionKind::Function => "function",
        FunctionKind::Constructor => "constructor",
        FunctionKind::Fallback => "fallback",
        FunctionKind::Receive => "receive",
        FunctionKind::Modifier => "modifier",
    };
    let is_callable = matches!(declared.visibility, Visibility::Public | Visibility::External)
        && matches!(
            declared.kind,
            FunctionKind::Function | FunctionKind::Fallback | FunctionKind::Receive
        );
    let is_in_contract = declared
        .contract
        .is_some_and(|owner| program.contract(owner).kind != ContractKind::Library);
    Vertex {
        id,
        name: name::label(program, None, function),
        kind,
        place: Some(Place::of(program, program.function_name_span(function))),
        is_entry_point: is_callable && is_in_contract,
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Modifier => "modifier",
            Self::Library => "library",
            Self::Super => "super",
            Self::External => "external",
            Self::Static => "static",
            Self::Delegate => "delegate",
            Self::Create => "create",
            Self::Destroy => "destroy",
            Self::Unresolved => "unresolved",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Internal | Self::Library | Self::Super => Tone::Inner,
            Self::Modifier => Tone::Emit,
            Self::External | Self::Delegate | Self::Create => Tone::Call,
            Self::Destroy => Tone::Destroy,
            Self::Static => Tone::Yes,
            Self::Unresolved => Tone::Revert,
        }
    }
}

impl CallGraph {
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        for vertex in self.functions.iter().filter(|vertex| vertex.place.is_some()) {
            let place = vertex.place.as_ref().map(Place::to_string).unwrap_or_default();
            let entry = if vertex.is_entry_point { "  (entry point)" } else { "" };
            out.push_str(&format!("{}  {place}{entry}\n", vertex.name));
            for arrow in self.calls.iter().filter(|arrow| arrow.from == vertex.id) {
                let lines: Vec<String> = arrow.lines.iter().map(usize::to_string).collect();
                let ether = if arrow.sends_ether { ", sends ether" } else { "" };
                out.push_str(&format!(
                    "  -> {}  ({}{ether}; line {})\n",
                    self.functions[arrow.to].name,
                    arrow.kind.word(),
                    lines.join(", ")
                ));
            }
        }
        if out.is_empty() {
            out.push_str("no function with a body\n");
        }
        out
    }

    pub(super) fn drawing(&self) -> Drawing {
        let nodes = self.functions.iter().map(Vertex::node).collect();
        let links = self
            .calls
            .iter()
            .map(|arrow| Link {
                from: arrow.from,
                to: arrow.to,
                label: String::new(),
                tone: arrow.kind.tone(),
                is_dashed: arrow.kind == Kind::Unresolved,
            })
            .collect();
        Drawing {
            way: Way::default(),
            title:
                "call graph  (round: anyone can call it; dashed: declared elsewhere or not found)"
                    .to_owned(),
            direction: Direction::Right,
            nodes,
            links,
            legend: vec![
                (Tone::Inner, "internal call"),
                (Tone::Emit, "modifier"),
                (Tone::Call, "external call"),
                (Tone::Destroy, "self-destruct"),
                (Tone::Yes, "static call"),
                (Tone::Revert, "not resolved"),
            ],
        }
    }
}

impl Vertex {
    fn node(&self) -> Node {
        let bare = self.name.split('(').next().unwrap_or(&self.name);
        let types = &self.name[bare.len()..];
        let mut rows = Vec::new();
        let own = match bare.rsplit_once('.') {
            Some((contract, own)) if self.place.is_some() => {
                rows.push(Row::new(Tone::Dim, contract));
                own
            }
            _ => bare,
        };
        let (shape, tone) = match self.kind {
            "foreign" => (Shape::Dashed, Tone::Call),
            "unresolved" => (Shape::Dashed, Tone::Revert),
            "modifier" => (Shape::Box, Tone::Emit),
            _ if self.is_entry_point => (Shape::Pill, Tone::Plain),
            _ => (Shape::Box, Tone::Plain),
        };
        rows.push(Row {
            gutter: String::new(),
            pieces: vec![(Tone::Plain, own.to_owned()), (Tone::Dim, one_line(types, 34))],
        });
        let hint = self.place.as_ref().map(Place::to_string).unwrap_or_default();
        Node { shape, tone, rows, hint }
    }
}
