//! The control flow of functions, over the lines of their source.

mod forms;
mod lines;

use std::collections::BTreeSet;

use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) use forms::one_function;
use lines::Source;

use super::drawing::Tone;
use super::name::{self, Target};
use super::source::Place;
use super::units::Units;
use super::{InspectError, Inspected};
use crate::cfg::{Body, CallKind, Edge, Frame, StatementKind};
use crate::hir::{ContractId, FunctionId};
use crate::syntax::ast::FunctionKind;

/// The functions that were asked about.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Functions {
    functions: Vec<Picture>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Picture {
    /// `Contract.function(types)`.
    function: String,
    #[serde(flatten)]
    place: Place,
    /// Something in it could not be read or resolved.
    is_partial: bool,
    /// Some internal calls were left as calls: recursion, or too large.
    is_truncated: bool,
    blocks: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Entry,
    Code,
    /// Undoes everything.
    Revert,
    /// Ends the whole call with success.
    Stop,
    Exit,
}

/// A run of code without a branch, as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
struct Part {
    id: usize,
    kind: Kind,
    lines: Vec<Line>,
    next: Vec<Next>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Line {
    /// From 1; missing for what does not stand in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    text: String,
    /// What happens where in the text.
    marks: Vec<Mark>,
    #[serde(skip)]
    tone: Tone,
}

/// Characters `from..to` of a line.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Mark {
    from: usize,
    to: usize,
    what: &'static str,
    #[serde(skip)]
    tone: Tone,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Next {
    to: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    when: String,
    #[serde(skip)]
    tone: Tone,
}

/// Lowers nothing itself: shows what the facts are asked over.
pub(super) fn gather(asked: &Inspected<'_>) -> Result<Functions, InspectError> {
    let functions = chosen(asked)?;
    let pictures = functions
        .into_iter()
        .filter_map(|(contract, function)| picture(asked, contract, function))
        .collect();
    Ok(Functions { functions: pictures })
}

/// The functions with a body that are asked about: those that a contract declares, or the named one.
pub(super) fn chosen(
    asked: &Inspected<'_>,
) -> Result<Vec<(Option<ContractId>, FunctionId)>, InspectError> {
    let program = asked.program;
    let has_body = |id: &FunctionId| asked.facts.body(*id).is_some();
    match asked.target {
        Target::Function { contract, function } => {
            if !has_body(&function) {
                return Err(InspectError::NoBody(name::label(program, contract, function)));
            }
            Ok(vec![(contract, function)])
        }
        Target::Contract(contract) => Ok(name::functions_of(program, contract)
            .into_iter()
            .filter(has_body)
            .map(|id| (Some(contract), id))
            .collect()),
        Target::All => Ok(program
            .function_ids()
            .filter(|id| asked.is_reported(program.function(*id).file))
            .filter(has_body)
            .map(|id| (program.function(id).contract, id))
            .collect()),
    }
}

/// A body as it shall be shown: with its modifiers, or with internal calls in place too.
pub(super) struct Shown {
    pub(super) body: Body,
    pub(super) frames: Vec<Frame>,
    pub(super) is_truncated: bool,
}

pub(super) fn shown(
    asked: &Inspected<'_>,
    contract: Option<ContractId>,
    function: FunctionId,
) -> Option<Shown> {
    let declared = asked.program.function(function);
    match contract {
        Some(contract) if declared.kind != FunctionKind::Modifier => {
            let view = asked.facts.composed(contract, function, asked.calls)?;
            Some(Shown { body: view.body, frames: view.frames, is_truncated: view.is_truncated })
        }
        _ => Some(Shown {
            body: asked.facts.body(function)?.clone(),
            frames: vec![Frame { function, caller: None }],
            is_truncated: false,
        }),
    }
}

fn picture(
    asked: &Inspected<'_>,
    contract: Option<ContractId>,
    function: FunctionId,
) -> Option<Picture> {
    let shown = shown(asked, contract, function)?;
    let program = asked.program;
    let mut functions: Vec<FunctionId> = shown.frames.iter().map(|frame| frame.function).collect();
    functions.sort();
    functions.dedup();
    let units = Units::collect(program, &functions);
    let view = Source { program, shown: &shown, units: &units };
    Some(Picture {
        function: name::label(program, contract, function),
        place: Place::of(program, program.function_name_span(function)),
        is_partial: shown.body.is_partial,
        is_truncated: shown.is_truncated,
        blocks: view.parts(function),
    })
}

/// The blocks that can be reached, each before those that come after it.
pub(super) fn in_order(body: &Body) -> Vec<NodeIndex> {
    let mut seen = BTreeSet::from([body.entry]);
    let mut out = Vec::new();
    let mut stack = vec![(body.entry, successors(body, body.entry))];
    while let Some((node, left)) = stack.last_mut() {
        match left.pop() {
            Some((_, next)) => {
                if seen.insert(next) {
                    let left = successors(body, next);
                    stack.push((next, left));
                }
            }
            None => {
                out.push(*node);
                stack.pop();
            }
        }
    }
    out.reverse();
    out
}

/// Where a block leads, in the order of the edges: the true way first.
pub(super) fn successors(body: &Body, node: NodeIndex) -> Vec<(Edge, NodeIndex)> {
    let mut out: Vec<_> =
        body.graph.edges(node).map(|edge| (*edge.weight(), edge.target())).collect();
    out.sort();
    out
}

/// What a statement does, where it shall be seen.
pub(super) fn tone(kind: &StatementKind) -> Option<Tone> {
    match kind {
        StatementKind::Call(call) => Some(match &call.kind {
            CallKind::External { is_view, .. } if !is_view => Tone::Call,
            CallKind::LowLevel
            | CallKind::DelegateCall
            | CallKind::Transfer
            | CallKind::Send
            | CallKind::New(_) => Tone::Call,
            CallKind::SelfDestruct => Tone::Destroy,
            _ => Tone::Inner,
        }),
        StatementKind::Store { .. } => Some(Tone::Write),
        StatementKind::Emit { .. } => Some(Tone::Emit),
        StatementKind::Placeholder => Some(Tone::Inner),
        StatementKind::Unknown => Some(Tone::Revert),
        StatementKind::Assign { .. } | StatementKind::Load { .. } => None,
    }
}

pub(super) const LEGEND: [(Tone, &str); 5] = [
    (Tone::Call, "external call"),
    (Tone::Destroy, "self-destruct"),
    (Tone::Inner, "internal or static call"),
    (Tone::Write, "storage write"),
    (Tone::Emit, "event"),
];
