//! What is done before what in one entry point, through all internal calls and modifiers.

use std::collections::BTreeSet;

use petgraph::algo::dominators::{Dominators, simple_fast};
use petgraph::graph::{DiGraph, NodeIndex};
use portcullis_rules::{FactSpec, FactType, Subject};

use super::bits::Bits;
use super::callee::hands_over_control;
use super::entry::{At, Entry, StateKey};
use super::work::Work;
use super::{EntryPoint, Facts};
use crate::cfg::{End, StatementKind};
use crate::syntax::Span;

const fn count(name: &'static str, doc: &'static str) -> FactSpec {
    FactSpec {
        name,
        subject: Subject::Function,
        ty: FactType::Uint,
        unit: "count",
        may_be_unknown: false,
        doc,
    }
}

/// What rules can ask about the order of things in one entry point, through all internal calls and modifiers. A
/// check is a branch one of whose ways undoes the run; an external call is one that hands over control with enough
/// gas to call back.
pub const ORDER_FACTS: &[FactSpec] = &[
    count(
        "unchecked_writes",
        "State variables that some run writes without having come past any check that could undo it.",
    ),
    count(
        "unchecked_calls",
        "External calls that some run makes without having come past any check that could undo it.",
    ),
    count(
        "written_before_calls",
        "State variables that some run writes before an external call, locks among them.",
    ),
    count(
        "written_after_calls",
        "State variables that some run writes after an external call, locks among them.",
    ),
    count("read_after_calls", "State variables that some run reads after an external call."),
    count("events_after_calls", "Events that some run emits after an external call."),
    count(
        "calls_after_calls",
        "External calls that some run makes after an external call, or again in a loop.",
    ),
    count(
        "checks_after_calls",
        "Checks that some run comes to after an external call and that could undo it.",
    ),
];

/// The values of [`ORDER_FACTS`], in that order.
pub(crate) type OrderCounts = [usize; ORDER_FACTS.len()];

/// How the statements of a view stand to its checks and its external calls, asked one by one.
#[derive(Debug)]
pub(super) struct Sequence {
    /// Blocks that are come to without a check.
    unchecked: Bits,
    /// External calls.
    calls: Vec<At>,
    /// Blocks that are come to from an external call.
    after: Bits,
    /// Blocks from which an external call is come to.
    before: Bits,
    checks_after: usize,
    unchecked_writes: BTreeSet<StateKey>,
    unchecked_calls: usize,
    written_before: BTreeSet<StateKey>,
    written_after: BTreeSet<StateKey>,
    read_after: BTreeSet<StateKey>,
    events_after: usize,
    calls_after: usize,
}

impl Sequence {
    pub(super) fn of(work: &Work<'_, '_>) -> Self {
        let body = &work.entry.view.body;
        let is_check = |block: NodeIndex| {
            matches!(body.graph[block].end, End::Branch { .. })
                && work.successors(block).iter().any(|next| !work.ends_well(*next))
        };
        let calls: Vec<At> = work
            .entry
            .statements()
            .filter(|(at, statement)| {
                matches!(&statement.kind, StatementKind::Call(call) if hands_over_control(call))
                    && work.constants.reaches(at.block)
            })
            .map(|(at, _)| at)
            .collect();
        let (mut after, mut before) = (Bits::default(), Bits::default());
        let mut checks_after = 0;
        if !calls.is_empty() {
            let next = calls.iter().flat_map(|call| work.successors(call.block));
            after = work.reachable(&next.copied().collect::<Vec<_>>(), |_, _| true);
            let mut open: Vec<NodeIndex> =
                calls.iter().flat_map(|call| &work.origins[call.block.index()]).copied().collect();
            while let Some(block) = open.pop() {
                if !before.contains(block.index()) {
                    before.insert(block.index());
                    open.extend(&work.origins[block.index()]);
                }
            }
            checks_after = body
                .graph
                .node_indices()
                .filter(|block| {
                    let follows = after.contains(block.index())
                        || calls.iter().any(|call| call.block == *block);
                    follows && work.constants.reaches(*block) && is_check(*block)
                })
                .count();
        }
        Self {
            unchecked: work.reachable(&[body.entry], |from, _| !is_check(from)),
            calls,
            after,
            before,
            checks_after,
            unchecked_writes: BTreeSet::new(),
            unchecked_calls: 0,
            written_before: BTreeSet::new(),
            written_after: BTreeSet::new(),
            read_after: BTreeSet::new(),
            events_after: 0,
            calls_after: 0,
        }
    }

    fn is_after_call(&self, at: At) -> bool {
        let is_here = |call: &At| call.block == at.block && call.index < at.index;
        self.after.contains(at.block.index()) || self.calls.iter().any(is_here)
    }

    fn is_before_call(&self, at: At) -> bool {
        let is_here = |call: &At| call.block == at.block && call.index > at.index;
        self.before.contains(at.block.index()) || self.calls.iter().any(is_here)
    }

    pub(super) fn read(&mut self, at: At, variables: &[StateKey]) {
        if self.is_after_call(at) {
            self.read_after.extend(variables.iter().map(StateKey::whole));
        }
    }

    pub(super) fn write(&mut self, at: At, variables: &[StateKey]) {
        let whole = variables.iter().map(StateKey::whole);
        if self.unchecked.contains(at.block.index()) {
            self.unchecked_writes.extend(whole.clone());
        }
        if self.is_before_call(at) {
            self.written_before.extend(whole.clone());
        }
        if self.is_after_call(at) {
            self.written_after.extend(whole);
        }
    }

    pub(super) fn emit(&mut self, at: At) {
        self.events_after += usize::from(self.is_after_call(at));
    }

    pub(super) fn counts(mut self) -> OrderCounts {
        for call in &self.calls {
            self.unchecked_calls += usize::from(self.unchecked.contains(call.block.index()));
            self.calls_after += usize::from(self.is_after_call(*call));
        }
        [
            self.unchecked_writes.len(),
            self.unchecked_calls,
            self.written_before.len(),
            self.written_after.len(),
            self.read_after.len(),
            self.events_after,
            self.calls_after,
            self.checks_after,
        ]
    }
}

/// The order of what one entry point runs. Statements are named by their place in the sources; a call stands for
/// everything that it runs within the contract.
#[derive(Debug)]
pub struct Order {
    steps: Vec<Step>,
    /// The ways that can be taken, by block.
    ways: DiGraph<(), ()>,
    dominators: Dominators<NodeIndex>,
}

#[derive(Debug)]
struct Step {
    span: Span,
    /// The calls that lead here.
    path: Vec<Span>,
    block: NodeIndex,
    index: usize,
}

impl Step {
    fn is_of(&self, span: Span) -> bool {
        span.contains(&self.span) || self.path.iter().any(|call| span.contains(call))
    }
}

impl Facts<'_> {
    /// The order of what `entry` runs; `None` where it has no body.
    pub fn order(&self, entry: EntryPoint) -> Option<Order> {
        let view = self.view(entry)?;
        let entry = Entry::new(self.program, &view);
        let work = Work::new(&entry);
        let mut ways = DiGraph::with_capacity(view.body.graph.node_count(), 0);
        for _ in view.body.graph.node_indices() {
            ways.add_node(());
        }
        for block in view.body.graph.node_indices() {
            for next in work.successors(block) {
                ways.add_edge(block, *next, ());
            }
        }
        let steps = entry
            .statements()
            .filter(|(at, _)| work.constants.reaches(at.block))
            .map(|(at, statement)| Step {
                span: statement.span,
                path: view.path(statement.frame),
                block: at.block,
                index: at.index,
            })
            .collect();
        let dominators = simple_fast(&ways, view.body.entry);
        Some(Order { steps, ways, dominators })
    }
}

impl Order {
    /// Whether every run that comes to `then` has come past `first` before (dominance). Never where one of them
    /// is not run at all.
    pub fn always_before(&self, first: Span, then: Span) -> bool {
        let mut later = self.steps.iter().filter(|step| step.is_of(then)).peekable();
        let is_before = |step: &Step| {
            self.steps.iter().filter(|other| other.is_of(first)).any(|other| {
                if other.block == step.block {
                    return other.index < step.index;
                }
                let mut above = self.dominators.dominators(step.block).into_iter().flatten();
                above.any(|block| block == other.block)
            })
        };
        later.peek().is_some() && later.all(is_before)
    }

    /// Whether some run comes to `then` after it has come past `first`, in the same round of a loop or a later one.
    pub fn may_follow(&self, first: Span, then: Span) -> bool {
        let earlier = self.steps.iter().filter(|step| step.is_of(first));
        let mut later = earlier.flat_map(|step| {
            self.steps.iter().filter(|other| other.is_of(then)).map(move |other| (step, other))
        });
        later.any(|(step, other)| {
            (step.block == other.block && step.index < other.index)
                || self.ways.neighbors(step.block).any(|next| {
                    petgraph::algo::has_path_connecting(&self.ways, next, other.block, None)
                })
        })
    }
}
