//! Loops, and what bounds them.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::NodeIndex;

use super::bits::Bits;
use super::entry::{AbsoluteKey, AbsoluteRoot, At, Entry, overlap};
use super::origin::Origin;
use super::work::Work;
use super::{EntryPoint, Facts};
use crate::cfg::*;
use crate::hir::{ContractId, FunctionId};
use crate::syntax::Span;
use crate::syntax::ast::{BinaryOp, UnaryOp};

/// What the number of rounds depends on, the most harmless first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoopBound {
    /// Known before the program runs, or at most one round for each bit of a number.
    Constant,
    /// Something that the caller passed, and pays for.
    Caller,
    /// A number or a list that the contract keeps.
    Stored,
    /// The length of an array that the contract keeps: each element makes the loop dearer.
    StorageLength,
    /// What another contract answered.
    External,
    /// It could not be told.
    Unknown,
}

/// A loop, as the code that an entry point runs has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// The contract whose entry point it is; the first of `contracts`.
    pub contract: ContractId,
    /// The entry point with the worst bound.
    pub entry: FunctionId,
    /// The function that holds the loop.
    pub function: FunctionId,
    /// The condition that ends it; the first statement where no condition does.
    pub span: Span,
    /// The calls from the entry point to `function`, outermost first.
    pub path: Vec<Span>,
    /// What bounds it.
    pub bound: LoopBound,
    /// The state that it grows with: `holders.length`, `next[]`.
    pub variable: Option<String>,
    /// Each round may call another contract.
    pub calls_out: bool,
    /// All contracts in whose code it stands, in order of declaration.
    pub contracts: Vec<ContractId>,
}

/// A loop of one view.
#[derive(Debug, Clone)]
pub(crate) struct LoopHere {
    pub(crate) function: FunctionId,
    pub(crate) span: Span,
    pub(crate) path: Vec<Span>,
    pub(crate) bound: LoopBound,
    pub(crate) variable: Option<String>,
    pub(crate) calls_out: bool,
}

impl Facts<'_> {
    /// All loops that entry points reach, one entry per loop in the text with its worst bound, in order of place.
    pub fn loops(&self) -> &[Loop] {
        self.loops.get_or_init(|| {
            let mut found: BTreeMap<Span, Loop> = BTreeMap::new();
            for summary in self.summaries() {
                let entry = EntryPoint { contract: summary.contract, function: summary.function };
                for here in &summary.loops {
                    let new = here.at(entry);
                    match found.get_mut(&here.span) {
                        None => {
                            found.insert(here.span, new);
                        }
                        Some(known) => {
                            let mut contracts = std::mem::take(&mut known.contracts);
                            contracts.push(entry.contract);
                            if known.bound < new.bound {
                                *known = new;
                            }
                            known.contracts = contracts;
                        }
                    }
                }
            }
            let mut loops: Vec<_> = found.into_values().collect();
            for found in &mut loops {
                found.contracts.sort();
                found.contracts.dedup();
            }
            loops
        })
    }
}

impl LoopHere {
    fn at(&self, entry: EntryPoint) -> Loop {
        Loop {
            contract: entry.contract,
            entry: entry.function,
            function: self.function,
            span: self.span,
            path: self.path.clone(),
            bound: self.bound,
            variable: self.variable.clone(),
            calls_out: self.calls_out,
            contracts: vec![entry.contract],
        }
    }
}

/// What one way out of a loop says about how long it goes on.
struct Exit {
    bound: LoopBound,
    variable: Option<String>,
    span: Span,
    frame: FrameId,
}

impl Work<'_, '_> {
    pub(super) fn loops(&self) -> Vec<LoopHere> {
        let heads: BTreeSet<NodeIndex> = self.back_edges.iter().map(|(_, head)| *head).collect();
        let mut loops: Vec<_> = heads.into_iter().filter_map(|head| self.loop_at(head)).collect();
        loops.sort_by(|a, b| (a.span, a.bound, &a.path).cmp(&(b.span, b.bound, &b.path)));
        // One helper called twice is one loop of its own text; the worst of its bounds counts.
        loops.dedup_by(|worse, kept| {
            let is_same = worse.span == kept.span;
            if is_same {
                std::mem::swap(worse, kept);
            }
            is_same
        });
        loops
    }

    fn loop_at(&self, head: NodeIndex) -> Option<LoopHere> {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        let inside = self.loop_body(head);
        let rounds = Rounds { entry, inside: &inside };
        let mut exits: Vec<Exit> = Vec::new();
        for at in inside.iter() {
            let block = NodeIndex::new(at);
            let End::Branch { condition, span } = &graph[block].end else { continue };
            let leaves =
                entry.successors(block).iter().any(|(_, next)| !inside.contains(next.index()));
            if !leaves {
                continue;
            }
            let Some((bound, variable)) = rounds.ended_by(condition) else { continue };
            let frame = rounds.frame_of(condition, block);
            exits.push(Exit { bound, variable, span: *span, frame });
        }
        // Whichever way out comes first ends the loop, so the best bound holds.
        exits.sort_by_key(|exit| (exit.bound, exit.span));
        let calls_out = inside.iter().any(|at| {
            graph[NodeIndex::new(at)].statements.iter().any(|statement| match &statement.kind {
                StatementKind::Call(call) => {
                    !matches!(call.kind, CallKind::Internal(..) | CallKind::Pointer(_))
                }
                _ => false,
            })
        });
        let (bound, variable, span, frame) = match exits.into_iter().next() {
            Some(exit) => (exit.bound, exit.variable, exit.span, exit.frame),
            None => {
                let first = inside
                    .iter()
                    .flat_map(|at| &graph[NodeIndex::new(at)].statements)
                    .min_by_key(|statement| statement.span)?;
                (LoopBound::Unknown, None, first.span, first.frame)
            }
        };
        let function = entry.view.frames[frame.0 as usize].function;
        let path = entry.view.path(frame);
        Some(LoopHere { function, span, path, bound, variable, calls_out })
    }

    /// The blocks of the loop with this head, but for loops that it does not hold.
    pub(super) fn loop_body(&self, head: NodeIndex) -> Bits {
        let mut inside = Bits::default();
        inside.insert(head.index());
        let mut open: Vec<NodeIndex> =
            self.back_edges.iter().filter(|(_, to)| *to == head).map(|(from, _)| *from).collect();
        while let Some(block) = open.pop() {
            if !inside.contains(block.index()) {
                inside.insert(block.index());
                open.extend(&self.origins[block.index()]);
            }
        }
        inside
    }
}

/// How a local changes from round to round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Up,
    Down,
    /// By a factor: as many rounds as a number has bits.
    Geometric,
    /// To something that is read.
    Read,
    Other,
    /// To what nobody foresees: a hash, an answer.
    Opaque,
}

struct Rounds<'r, 'a> {
    entry: &'r Entry<'a>,
    inside: &'r Bits,
}

impl Rounds<'_, '_> {
    /// What bounds the rounds, where `condition` compares something that changes with something that does not.
    fn ended_by(&self, condition: &Operand) -> Option<(LoopBound, Option<String>)> {
        let (left, right) = self.sides(condition, 8)?;
        let changing = |operand: &Operand| self.changing(operand, 16);
        match (changing(&left), changing(&right)) {
            (Some((local, change)), None) => Some(self.bound(local, change, &right)),
            (None, Some((local, change))) => Some(self.bound(local, change, &left)),
            // Two ends that move towards each other: where they started is the distance.
            (Some((first, _)), Some((second, _))) => {
                let (first, second) = (self.start(first), self.start(second));
                Some(first.max(second))
            }
            (None, None) => None,
        }
    }

    /// The two sides of a comparison; a bare value is compared with zero.
    fn sides(&self, condition: &Operand, budget: usize) -> Option<(Operand, Operand)> {
        let zero = || Operand::Constant(Constant::Default);
        let Operand::Local(id) = self.entry.canonical(condition) else { return None };
        let Some(statement) = self.entry.only_definition(id) else {
            return Some((Operand::Local(id), zero()));
        };
        let StatementKind::Assign { value, .. } = &statement.kind else {
            return Some((Operand::Local(id), zero()));
        };
        match value {
            Rvalue::Unary(UnaryOp::Not, inner) if budget > 0 => self.sides(inner, budget - 1),
            Rvalue::Binary(op, left, right) if op.is_comparison() => {
                Some((left.clone(), right.clone()))
            }
            _ => Some((Operand::Local(id), zero())),
        }
    }

    /// The local that makes an operand change from round to round, and how.
    fn changing(&self, operand: &Operand, budget: usize) -> Option<(LocalId, Change)> {
        let Operand::Local(id) = self.entry.canonical(operand) else { return None };
        if budget == 0 {
            return None;
        }
        let inside: Vec<At> = self.definitions(id, true).collect();
        if self.entry.is_single(id) {
            let at = *inside.first()?;
            return match &self.entry.statement(at).kind {
                StatementKind::Assign { value, .. } => {
                    let mut found = None;
                    value.each_operand(&mut |operand| {
                        found = found.or_else(|| self.changing(operand, budget - 1));
                    });
                    // Elements, hashes and the like change with what they are taken of, but not in step.
                    found.map(|found| match value {
                        Rvalue::Pure("element" | "field", _) => (id, Change::Other),
                        Rvalue::Pure(..) => (id, Change::Opaque),
                        _ => found,
                    })
                }
                StatementKind::Load { place, .. } => {
                    let mut moves = self.is_written(at);
                    place.each_operand(&mut |key| {
                        moves |= self.changing(key, budget - 1).is_some();
                    });
                    moves.then_some((id, Change::Read))
                }
                _ => Some((id, Change::Opaque)),
            };
        }
        inside.iter().map(|at| self.step(id, *at)).max().map(|change| (id, change))
    }

    /// How one definition in the loop changes a local.
    fn step(&self, id: LocalId, at: At) -> Change {
        let StatementKind::Assign { value: Rvalue::Use(value) | Rvalue::Cast(value), .. } =
            &self.entry.statement(at).kind
        else {
            return match &self.entry.statement(at).kind {
                StatementKind::Assign { value, .. } => self.computed(id, value),
                StatementKind::Load { .. } => Change::Read,
                _ => Change::Other,
            };
        };
        let Operand::Local(temporary) = self.entry.canonical(value) else {
            return Change::Other;
        };
        match self.entry.only_definition(temporary).map(|statement| &statement.kind) {
            Some(StatementKind::Assign { value, .. }) => self.computed(id, value),
            Some(StatementKind::Load { .. }) => Change::Read,
            _ => Change::Other,
        }
    }

    fn computed(&self, id: LocalId, value: &Rvalue) -> Change {
        let (Rvalue::Binary(op, left, right) | Rvalue::Wrapping(op, left, right)) = value else {
            return Change::Other;
        };
        let is_itself = |operand: &Operand| self.entry.canonical(operand) == Operand::Local(id);
        match op {
            BinaryOp::Add if is_itself(left) || is_itself(right) => Change::Up,
            BinaryOp::Sub if is_itself(left) => Change::Down,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Shl | BinaryOp::Shr | BinaryOp::BitAnd
                if is_itself(left) =>
            {
                Change::Geometric
            }
            _ => Change::Other,
        }
    }

    /// Whether the loop writes what a load in it reads.
    fn is_written(&self, load: At) -> bool {
        let read = self.entry.accessed(load);
        self.inside.iter().map(NodeIndex::new).any(|block| {
            self.entry.stores_in(block).iter().any(|&index| {
                let written = self.entry.accessed(At { block, index });
                written.iter().any(|written| read.iter().any(|read| overlap(written, read)))
            })
        })
    }

    fn bound(
        &self,
        local: LocalId,
        change: Change,
        fixed: &Operand,
    ) -> (LoopBound, Option<String>) {
        match change {
            Change::Geometric => (LoopBound::Constant, None),
            Change::Up => self.source(fixed),
            Change::Down => self.start(local).max(self.source(fixed)),
            Change::Opaque => (LoopBound::Unknown, None),
            // A walk from element to element, as long as what is read leads on.
            Change::Read | Change::Other => {
                let mut loads = BTreeSet::new();
                for at in self.definitions(local, true) {
                    if let StatementKind::Load { .. } = self.entry.statement(at).kind {
                        loads.insert(at);
                    }
                    self.entry.statement(at).each_operand(&mut |operand| {
                        loads.extend(Origin::of(self.entry, operand, false).loads);
                    });
                }
                match self.state(&loads) {
                    Some((bound, name)) => (bound, Some(name)),
                    None => (LoopBound::Unknown, None),
                }
            }
        }
    }

    /// What a local started with.
    fn start(&self, local: LocalId) -> (LoopBound, Option<String>) {
        let mut worst = (LoopBound::Constant, None);
        if self.entry.view.body.locals[local.index()].is_param {
            worst.0 = LoopBound::Caller;
        }
        for at in self.definitions(local, false) {
            let found = match &self.entry.statement(at).kind {
                StatementKind::Load { .. } => match self.state(&BTreeSet::from([at])) {
                    Some((bound, name)) => (bound, Some(name)),
                    None => (LoopBound::Stored, None),
                },
                StatementKind::Assign { value, .. } => {
                    let mut found = (LoopBound::Constant, None);
                    value.each_operand(&mut |operand| {
                        found = found.clone().max(self.source(operand));
                    });
                    found
                }
                _ => (LoopBound::External, None),
            };
            worst = worst.max(found);
        }
        worst
    }

    /// What a value that does not change in the loop depends on.
    fn source(&self, operand: &Operand) -> (LoopBound, Option<String>) {
        let origin = Origin::of(self.entry, operand, false);
        if origin.unknown || origin.time || origin.entropy {
            return (LoopBound::Unknown, None);
        }
        if origin.external || origin.balance {
            return (LoopBound::External, None);
        }
        if let Some((bound, name)) = self.state(&origin.loads) {
            return (bound, Some(name));
        }
        if !origin.loads.is_empty() {
            return (LoopBound::Stored, None);
        }
        if origin.data || origin.sender || origin.signer || origin.value {
            return (LoopBound::Caller, None);
        }
        (LoopBound::Constant, None)
    }

    /// The state behind loads, the worst first, with its name.
    fn state(&self, loads: &BTreeSet<At>) -> Option<(LoopBound, String)> {
        let places = loads.iter().flat_map(|at| self.entry.accessed(*at));
        places
            .map(|place| {
                let is_length = place.path.last() == Some(&AbsoluteKey::Length);
                let bound = if is_length { LoopBound::StorageLength } else { LoopBound::Stored };
                let mut name = match &place.root {
                    AbsoluteRoot::Variable(id) => self.entry.program.variable_name(*id).to_owned(),
                    AbsoluteRoot::Slot(..) => "a computed storage slot".to_owned(),
                };
                for key in &place.path {
                    match key {
                        AbsoluteKey::Index(_) => name.push_str("[]"),
                        AbsoluteKey::Field(field) => {
                            name.push('.');
                            name.push_str(field);
                        }
                        AbsoluteKey::Length => name.push_str(".length"),
                    }
                }
                (bound, name)
            })
            .max_by_key(|(bound, _)| *bound)
    }

    fn definitions(&self, id: LocalId, is_inside: bool) -> impl Iterator<Item = At> + '_ {
        self.entry.definitions[id.index()]
            .iter()
            .copied()
            .filter(move |at| self.inside.contains(at.block.index()) == is_inside)
    }

    /// The call that the condition belongs to.
    fn frame_of(&self, condition: &Operand, block: NodeIndex) -> FrameId {
        let definition = match condition {
            Operand::Local(id) => self.entry.definitions[id.index()].first().copied(),
            _ => None,
        };
        let last = self.entry.view.body.graph[block].statements.last();
        let statement = definition.map(|at| self.entry.statement(at)).or(last);
        statement.map_or(FrameId(0), |statement| statement.frame)
    }
}
