//! Answers about one view, each computed when first asked: where its ways lead, what decides about a statement, who
//! may come to it.

mod lock;
mod once;
mod stale;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use petgraph::algo::dominators::{Dominators, simple_fast};
use petgraph::graph::NodeIndex;

use super::bits::{Bits, Lists};
use super::callee::{Callee, callee};
use super::constants::{Constants, Storage};
use super::entry::{AbsoluteKey, AbsolutePlace, AbsoluteRoot, At, Entry, StateKey};
use super::guards::Guards;
use super::summary::Guard;
use crate::cfg::*;
use crate::hir::FunctionId;

/// Answers about one view, each computed when first asked.
pub(super) struct Work<'e, 'a> {
    pub(super) entry: &'e Entry<'a>,
    /// The run that knows nothing of storage; ways that it does not take are not there.
    pub(super) constants: Constants<'e, 'a>,
    pub(super) guards: Option<Guards>,
    /// Where each block leads, and where it is come to from, over edges that can be taken.
    ways: Lists<NodeIndex>,
    pub(super) origins: Lists<NodeIndex>,
    /// Blocks from which some way ends without undoing everything.
    ends_well: Bits,
    /// The runs that start with what storage holds at a call, by that content.
    locked_runs: BTreeMap<Storage, Constants<'e, 'a>>,
    /// The branches that decide about each block.
    controllers: RefCell<BTreeMap<NodeIndex, Rc<[NodeIndex]>>>,
    /// The run that follows a completed one; `Some(None)` where it is one like any other.
    one_shot: Option<Option<Constants<'e, 'a>>>,
    /// State that the view writes.
    changed: OnceCell<BTreeSet<StateKey>>,
    dominators: OnceCell<Dominators<NodeIndex>>,
    /// Edges that close a loop.
    pub(super) back_edges: BTreeSet<(NodeIndex, NodeIndex)>,
    /// Where the loop of each head goes on when it ends.
    loop_exits: BTreeMap<NodeIndex, Vec<NodeIndex>>,
    pub(super) in_loop: Bits,
}

impl<'e, 'a> Work<'e, 'a> {
    pub(super) fn new(entry: &'e Entry<'a>) -> Self {
        let body = &entry.view.body;
        let mut work = Work {
            entry,
            constants: Constants::run(entry, Storage::new()),
            guards: None,
            ways: Lists::default(),
            origins: Lists::default(),
            ends_well: Bits::default(),
            locked_runs: BTreeMap::new(),
            controllers: RefCell::default(),
            one_shot: None,
            changed: OnceCell::new(),
            dominators: OnceCell::new(),
            back_edges: BTreeSet::new(),
            loop_exits: BTreeMap::new(),
            in_loop: Bits::default(),
        };
        let mut origins = Vec::new();
        for block in body.graph.node_indices() {
            work.ways.begin();
            for &(_, next) in entry.successors(block) {
                if work.constants.takes(block, next) {
                    work.ways.push(next);
                    origins.push((next.index(), block));
                }
            }
        }
        work.origins = Lists::of(body.graph.node_count(), &origins);
        let ends = |block: &NodeIndex| {
            *block == entry.view.exit || matches!(body.graph[*block].end, End::Stop)
        };
        let mut open: Vec<NodeIndex> = body.graph.node_indices().filter(ends).collect();
        while let Some(block) = open.pop() {
            if !work.ends_well.contains(block.index()) {
                work.ends_well.insert(block.index());
                open.extend(&work.origins[block.index()]);
            }
        }
        if entry.has_loops() {
            work.find_loops();
        }
        work
    }

    pub(super) fn find_loops(&mut self) {
        let entry = self.entry;
        for component in petgraph::algo::tarjan_scc(&entry.view.body.graph) {
            if component.len() < 2 {
                continue;
            }
            for &from in &component {
                self.in_loop.insert(from.index());
                for &(_, to) in entry.successors(from) {
                    if self.is_before(to, from) {
                        self.back_edges.insert((from, to));
                    }
                }
            }
        }
        let heads: BTreeSet<NodeIndex> = self.back_edges.iter().map(|(_, to)| *to).collect();
        self.loop_exits = heads.into_iter().map(|head| (head, self.exits_of(head))).collect();
    }

    pub(super) fn guard(&mut self, at: At) -> Guard {
        let guards = self.guards.get_or_insert_with(|| Guards::of(self.entry));
        let is_guarded = guards.guards(at);
        let rests_on = if is_guarded { guards.rests_on.clone() } else { BTreeSet::new() };
        Guard { is_guarded, rests_on }
    }

    /// Whether some run ends in the middle, with everything done so far.
    pub(super) fn stops(&self) -> bool {
        let graph = &self.entry.view.body.graph;
        graph
            .node_indices()
            .any(|block| matches!(graph[block].end, End::Stop) && self.constants.reaches(block))
    }

    /// The calls of functions of other contracts that every run must have made, with success, before it comes here.
    pub(super) fn passed_before(&self, at: At) -> Vec<(FunctionId, Callee)> {
        let entry = self.entry;
        let mut found = Vec::new();
        for (other, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            let CallKind::External { target: Some(target), is_view: false, .. } = call.kind else {
                continue;
            };
            if !call.may_fail && self.stands_before(other, at) {
                found.push((target, callee(entry, call)));
            }
        }
        found
    }

    /// Whether some way from `block` ends without undoing everything.
    pub(super) fn ends_well(&self, block: NodeIndex) -> bool {
        self.ends_well.contains(block.index())
    }

    /// Blocks reachable from `starts` (included) over edges that can be taken and that `passes` admits.
    pub(super) fn reachable(
        &self,
        starts: &[NodeIndex],
        passes: impl Fn(NodeIndex, NodeIndex) -> bool,
    ) -> Bits {
        let mut seen = Bits::default();
        let mut open = starts.to_vec();
        while let Some(block) = open.pop() {
            if seen.contains(block.index()) {
                continue;
            }
            seen.insert(block.index());
            open.extend(self.successors(block).iter().filter(|next| passes(block, **next)));
        }
        seen
    }

    pub(super) fn successors(&self, block: NodeIndex) -> &[NodeIndex] {
        &self.ways[block.index()]
    }

    /// Whether every run that comes to `at` has come by `first`.
    pub(super) fn stands_before(&self, first: At, at: At) -> bool {
        if first.block == at.block {
            first.index < at.index
        } else {
            self.is_before(first.block, at.block)
        }
    }

    pub(super) fn is_before(&self, first: NodeIndex, second: NodeIndex) -> bool {
        let body = &self.entry.view.body;
        self.dominators
            .get_or_init(|| simple_fast(&body.graph, body.entry))
            .dominators(second)
            .is_some_and(|mut above| above.any(|block| block == first))
    }

    /// Blocks that run after `block` without going round a loop; where a loop ends at its head, what follows it
    /// is among them.
    pub(super) fn forward(&self, block: NodeIndex) -> Bits {
        let mut seen = Bits::default();
        let mut open = vec![block];
        while let Some(block) = open.pop() {
            if seen.contains(block.index()) {
                continue;
            }
            seen.insert(block.index());
            for &next in self.successors(block) {
                if self.back_edges.contains(&(block, next)) {
                    open.extend(self.loop_exits.get(&next).into_iter().flatten());
                } else {
                    open.push(next);
                }
            }
        }
        seen
    }

    /// Where the loop that begins at `head` can be left to.
    pub(super) fn exits_of(&self, head: NodeIndex) -> Vec<NodeIndex> {
        let inside = self.loop_body(head);
        inside
            .iter()
            .flat_map(|at| self.successors(NodeIndex::new(at)))
            .filter(|next| !inside.contains(next.index()))
            .copied()
            .collect()
    }

    /// Branches that decide whether `target` is reached.
    pub(super) fn controllers(&self, target: NodeIndex) -> Rc<[NodeIndex]> {
        if let Some(known) = self.controllers.borrow().get(&target) {
            return Rc::clone(known);
        }
        let found: Rc<[NodeIndex]> = self.find_controllers(target).into();
        self.controllers.borrow_mut().insert(target, Rc::clone(&found));
        found
    }

    pub(super) fn find_controllers(&self, target: NodeIndex) -> Vec<NodeIndex> {
        let graph = &self.entry.view.body.graph;
        let mut leads = Bits::default();
        let mut open = vec![target];
        while let Some(block) = open.pop() {
            if !leads.contains(block.index()) {
                leads.insert(block.index());
                open.extend(&self.origins[block.index()]);
            }
        }
        let mut out = Vec::new();
        for at in leads.iter() {
            let block = NodeIndex::new(at);
            if block == target || !matches!(graph[block].end, End::Branch { .. }) {
                continue;
            }
            let next = self.successors(block);
            let decides = if self.in_loop.contains(at) {
                let ways: Vec<bool> = next
                    .iter()
                    .map(|next| {
                        *next != block
                            && self
                                .reachable(&[*next], |_, to| to != block)
                                .contains(target.index())
                    })
                    .collect();
                ways.contains(&true) && (ways.contains(&false) || next.len() < 2)
            } else {
                next.iter().any(|next| !leads.contains(next.index()))
            };
            if decides {
                out.push(block);
            }
        }
        out
    }

    pub(super) fn condition_bits(&self, block: NodeIndex) -> Bits {
        match &self.entry.view.body.graph[block].end {
            End::Branch { condition, .. } => self.entry.operand_dependencies(condition),
            _ => Bits::default(),
        }
    }

    /// What decides whether `block` is reached depends on this.
    pub(super) fn control_bits(&self, block: NodeIndex) -> Bits {
        let mut bits = Bits::default();
        for &controller in self.controllers(block).iter() {
            bits.union(&self.condition_bits(controller));
        }
        bits
    }

    /// The place as a reader of the source names it.
    pub(super) fn describe(&self, place: &AbsolutePlace) -> String {
        let mut out = match &place.root {
            AbsoluteRoot::Variable(id) => self.entry.program.variable(*id).name.clone(),
            AbsoluteRoot::Slot(..) => "a computed storage slot".to_owned(),
        };
        for key in &place.path {
            match key {
                AbsoluteKey::Index(_) => out.push_str("[]"),
                AbsoluteKey::Field(name) => {
                    out.push('.');
                    out.push_str(name);
                }
                AbsoluteKey::Length => out.push_str(".length"),
            }
        }
        out
    }
}
