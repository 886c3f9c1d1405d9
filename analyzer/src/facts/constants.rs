//! Conditional constants: which blocks run, and what locals and storage hold there, given what storage
//! holds at the start.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::NodeIndex;
use ruint::aliases::U256;

use super::bits::Bits;
use super::entry::{AbsolutePlace, At, Entry, overlap};
use crate::cfg::*;
use crate::hir::{Program, Type, VariableId};
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, UnaryOp};

/// A value known before the program runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Known {
    /// Numbers, truth values (0 and 1), addresses.
    Number(U256),
    /// A constant or immutable whose value is not computed: equal only to itself.
    Symbol(VariableId),
    /// Any number but zero.
    NonZero,
}

/// What storage holds, where it is known.
pub(crate) type Storage = BTreeMap<AbsolutePlace, Known>;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct State {
    storage: Storage,
    /// Locals with several definitions; others stand in the table of the run.
    locals: BTreeMap<LocalId, Known>,
}

/// One run over a view.
pub(crate) struct Constants<'e, 'a> {
    entry: &'e Entry<'a>,
    /// Locals with one definition: `None` until it is seen, `Some(None)` once it varies.
    single: Vec<Option<Option<Known>>>,
    /// What holds at the start of each block.
    states: Vec<Option<State>>,
    reached: Bits,
    /// The blocks that each block can go on to.
    taken: Vec<Vec<NodeIndex>>,
    /// Whoever sets an account does not set it to zero.
    assumes_accounts: bool,
}

impl<'e, 'a> Constants<'e, 'a> {
    /// Runs the view with `storage` at its start.
    pub(crate) fn run(entry: &'e Entry<'a>, storage: Storage) -> Self {
        Self::run_assuming(entry, storage, false)
    }

    /// The same; with `assumes_accounts`, accounts that are stored are not the zero address.
    pub(crate) fn run_assuming(
        entry: &'e Entry<'a>,
        storage: Storage,
        assumes_accounts: bool,
    ) -> Self {
        let mut run = Self {
            entry,
            single: vec![None; entry.view.body.locals.len()],
            states: vec![None; entry.view.body.graph.node_count()],
            reached: Bits::default(),
            taken: vec![Vec::new(); entry.view.body.graph.node_count()],
            assumes_accounts,
        };
        let start = entry.view.body.entry;
        run.states[start.index()] = Some(State { storage, locals: BTreeMap::new() });
        let mut open = BTreeSet::from([start]);
        // The lattice is finite and values only fall; the bound guards against a mistake in that reasoning.
        let mut budget = 64 * (entry.view.body.graph.node_count() + 16);
        let mut changed = Vec::new();
        while let Some(block) = open.pop_first() {
            budget -= 1;
            if budget == 0 {
                run.give_up();
                break;
            }
            run.reached.insert(block.index());
            changed.clear();
            let state = run.through(block, usize::MAX, &mut changed);
            // Uses of a local may stand in blocks that were run before.
            for reader in changed.iter().flat_map(|id| &entry.readers[id.index()]) {
                if *reader != block && run.reached.contains(reader.index()) {
                    open.insert(*reader);
                }
            }
            let wanted = run.wanted(block, &state);
            for &(edge, next) in entry.successors(block) {
                if wanted.is_some_and(|wanted| wanted != edge) {
                    continue;
                }
                if !run.takes(block, next) {
                    run.taken[block.index()].push(next);
                }
                let joined = match &run.states[next.index()] {
                    None => Some(state.clone()),
                    Some(old) => join(old, &state),
                };
                if let Some(joined) = joined {
                    run.states[next.index()] = Some(joined);
                    open.insert(next);
                }
            }
        }
        run
    }

    /// What is known of an account that is not constant.
    fn account(&self, operand: &Operand) -> Option<Known> {
        match self.entry.canonical(operand) {
            Operand::Environment(Environment::Sender | Environment::Origin | Environment::This) => {
                Some(Known::NonZero)
            }
            Operand::Local(id) if self.assumes_accounts => {
                let ty = &self.entry.view.body.locals[id.index()].ty;
                matches!(ty, Type::Address | Type::Contract(_)).then_some(Known::NonZero)
            }
            _ => None,
        }
    }

    /// Every block and every edge counts as possible, and nothing as known.
    fn give_up(&mut self) {
        let graph = &self.entry.view.body.graph;
        self.states.fill(None);
        for block in graph.node_indices() {
            self.reached.insert(block.index());
            self.taken[block.index()] =
                self.entry.successors(block).iter().map(|(_, next)| *next).collect();
        }
    }

    /// Whether the way from one block to the next can be taken.
    pub(crate) fn takes(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.taken[from.index()].contains(&to)
    }

    pub(crate) fn reaches(&self, block: NodeIndex) -> bool {
        self.reached.contains(block.index())
    }

    /// What storage holds just before a statement.
    pub(crate) fn storage_before(&mut self, block: NodeIndex, index: usize) -> Storage {
        if self.states[block.index()].is_none() {
            return Storage::new();
        }
        self.through(block, index, &mut Vec::new()).storage
    }

    /// The state after the first `count` statements of a block; locals with one definition whose value
    /// fell are added to `changed`.
    fn through(&mut self, block: NodeIndex, count: usize, changed: &mut Vec<LocalId>) -> State {
        let mut state = self.states[block.index()].clone().unwrap_or_default();
        let entry = self.entry;
        for (index, statement) in
            entry.view.body.graph[block].statements.iter().take(count).enumerate()
        {
            let at = At { block, index };
            match &statement.kind {
                StatementKind::Assign { target, value } => {
                    let value = self.rvalue(value, &state);
                    self.set(*target, value, &mut state, changed);
                }
                StatementKind::Load { target, .. } => {
                    let value = match entry.accessed(at) {
                        [only] => state.storage.get(only).cloned(),
                        _ => None,
                    };
                    self.set(*target, value, &mut state, changed);
                }
                StatementKind::Store { value, .. } => {
                    let value = self.operand(value, &state).or_else(|| self.account(value));
                    let places = entry.accessed(at);
                    for written in places {
                        state.storage.retain(|known, _| !overlap(known, written));
                    }
                    if let ([only], Some(value)) = (places, value) {
                        state.storage.insert(only.clone(), value);
                    }
                }
                StatementKind::Call(call) => {
                    for result in &call.results {
                        self.set(*result, None, &mut state, changed);
                    }
                    if matches!(
                        call.kind,
                        CallKind::Internal(..) | CallKind::Pointer(_) | CallKind::DelegateCall
                    ) {
                        state.storage.clear();
                    }
                }
                StatementKind::Unknown => state.storage.clear(),
                StatementKind::Emit { .. } | StatementKind::Placeholder => {}
            }
        }
        state
    }

    fn set(
        &mut self,
        target: LocalId,
        value: Option<Known>,
        state: &mut State,
        changed: &mut Vec<LocalId>,
    ) {
        if !self.entry.is_single(target) {
            match value {
                Some(value) => state.locals.insert(target, value),
                None => state.locals.remove(&target),
            };
            return;
        }
        let slot = &mut self.single[target.index()];
        let next = match slot {
            None => value,
            Some(known) if *known == value || known.is_none() => return,
            Some(_) => None,
        };
        *slot = Some(next);
        changed.push(target);
    }

    /// The one way out of a block that can be taken, where its condition is known.
    fn wanted(&self, block: NodeIndex, state: &State) -> Option<Edge> {
        match &self.entry.view.body.graph[block].end {
            End::Branch { condition, .. } => match self.operand(condition, state) {
                Some(Known::Number(number)) if number.is_zero() => Some(Edge::False),
                Some(Known::Number(_) | Known::NonZero) => Some(Edge::True),
                _ => None,
            },
            _ => None,
        }
    }

    fn operand(&self, operand: &Operand, state: &State) -> Option<Known> {
        match operand {
            Operand::Local(id) => {
                if self.entry.is_single(*id) {
                    self.single[id.index()].clone().flatten()
                } else {
                    state.locals.get(id).cloned()
                }
            }
            Operand::Constant(constant) => constant_value(self.entry.program, constant),
            Operand::Environment(_) | Operand::Storage(_) => None,
        }
    }

    fn rvalue(&self, value: &Rvalue, state: &State) -> Option<Known> {
        match value {
            Rvalue::Use(operand) | Rvalue::Cast(operand) => self.operand(operand, state),
            Rvalue::Unary(op, operand) => match (op, self.operand(operand, state)?) {
                (UnaryOp::Not, Known::Number(number)) => Some(truth(number.is_zero())),
                (UnaryOp::Not, Known::NonZero) => Some(truth(false)),
                _ => None,
            },
            Rvalue::Binary(op, left, right) | Rvalue::Wrapping(op, left, right) => {
                binary(*op, self.operand(left, state)?, self.operand(right, state)?)
            }
            // A contract that can be called has code; only its constructor sees none.
            Rvalue::Pure("length", operands) => {
                let code = self.entry.canonical(operands.first()?);
                let Operand::Local(id) = code else { return None };
                let statement = self.entry.only_definition(id)?;
                match &statement.kind {
                    StatementKind::Assign { value: Rvalue::Pure("code", of), .. }
                        if of.first() == Some(&Operand::Environment(Environment::This)) =>
                    {
                        Some(Known::Number(U256::from(1)))
                    }
                    _ => None,
                }
            }
            Rvalue::Pure(..) => None,
        }
    }
}

/// The facts that hold on both ways; `None` where that is no less than what was known.
fn join(old: &State, new: &State) -> Option<State> {
    let still_holds =
        old.storage.iter().all(|(place, known)| new.storage.get(place) == Some(known))
            && old.locals.iter().all(|(id, known)| new.locals.get(id) == Some(known));
    if still_holds {
        return None;
    }
    let storage: Storage = old
        .storage
        .iter()
        .filter(|(place, known)| new.storage.get(*place) == Some(known))
        .map(|(p, k)| (p.clone(), k.clone()))
        .collect();
    let locals: BTreeMap<_, _> = old
        .locals
        .iter()
        .filter(|(id, known)| new.locals.get(id) == Some(known))
        .map(|(id, k)| (*id, k.clone()))
        .collect();
    Some(State { storage, locals })
}

fn truth(value: bool) -> Known {
    Known::Number(U256::from(u8::from(value)))
}

fn binary(op: BinaryOp, left: Known, right: Known) -> Option<Known> {
    if let (Known::NonZero, Known::Number(zero)) | (Known::Number(zero), Known::NonZero) =
        (&left, &right)
    {
        return match op {
            BinaryOp::Eq if zero.is_zero() => Some(truth(false)),
            BinaryOp::Ne if zero.is_zero() => Some(truth(true)),
            _ => None,
        };
    }
    if left == right && left != Known::NonZero {
        match op {
            BinaryOp::Eq | BinaryOp::Le | BinaryOp::Ge => return Some(truth(true)),
            BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Gt => return Some(truth(false)),
            _ => {}
        }
    }
    let (Known::Number(left), Known::Number(right)) = (left, right) else { return None };
    Some(match op {
        BinaryOp::Eq => truth(left == right),
        BinaryOp::Ne => truth(left != right),
        BinaryOp::Lt => truth(left < right),
        BinaryOp::Le => truth(left <= right),
        BinaryOp::Gt => truth(left > right),
        BinaryOp::Ge => truth(left >= right),
        BinaryOp::Add => Known::Number(left.checked_add(right)?),
        BinaryOp::Sub => Known::Number(left.checked_sub(right)?),
        BinaryOp::Mul => Known::Number(left.checked_mul(right)?),
        BinaryOp::Div => Known::Number(left.checked_div(right)?),
        BinaryOp::Mod => Known::Number(left.checked_rem(right)?),
        BinaryOp::BitAnd => Known::Number(left & right),
        BinaryOp::BitOr => Known::Number(left | right),
        BinaryOp::BitXor => Known::Number(left ^ right),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Pow | BinaryOp::Shl | BinaryOp::Shr => {
            return None;
        }
    })
}

pub(crate) fn constant_value(program: &Program, constant: &Constant) -> Option<Known> {
    match constant {
        Constant::Bool(value) => Some(truth(*value)),
        Constant::Number(text) => number(text).map(Known::Number),
        Constant::Default => Some(Known::Number(U256::ZERO)),
        Constant::Variable(id) => {
            let variable = program.variable(*id);
            let value =
                if variable.is_constant { variable.init.as_ref().and_then(literal) } else { None };
            Some(value.map_or(Known::Symbol(*id), Known::Number))
        }
        Constant::Text(_) | Constant::Function(_) | Constant::Unknown => None,
    }
}

fn literal(expr: &Expr) -> Option<U256> {
    match &expr.kind {
        ExprKind::Number(text, None) => number(text),
        ExprKind::Bool(value) => Some(U256::from(u8::from(*value))),
        // `uint8(1)`, `bytes32(0)`.
        ExprKind::Call(callee, args) if matches!(callee.kind, ExprKind::Elementary(_)) => {
            literal(args.first()?)
        }
        _ => None,
    }
}

fn number(text: &str) -> Option<U256> {
    match text.strip_prefix("0x") {
        Some(hex) => U256::from_str_radix(hex, 16).ok(),
        None => U256::from_str_radix(text, 10).ok(),
    }
}
