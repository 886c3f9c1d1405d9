//! What is done before what in one entry point, through all internal calls and modifiers.

use petgraph::algo::dominators::{Dominators, simple_fast};
use petgraph::graph::{DiGraph, NodeIndex};

use super::entry::Entry;
use super::summary::Work;
use super::{EntryPoint, Facts};
use crate::syntax::Span;

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
