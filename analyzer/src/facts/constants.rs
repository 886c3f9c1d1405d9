//! Conditional constants: which blocks run, and what locals and storage hold there, given what storage
//! holds at the start.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::NodeIndex;
use ruint::aliases::U256;

use super::bits::Bits;
use super::entry::{AbsolutePlace, At, Entry, overlap};
pub(crate) use super::known::Known;
use super::known::{binary, unary};
use crate::cfg::*;
use crate::hir::{Program, Type};
use crate::syntax::ast::{BinaryOp, Expr, ExprKind};

/// What storage holds, where it is known.
pub(crate) type Storage = BTreeMap<AbsolutePlace, Known>;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct State {
    pub(super) storage: Storage,
    /// Locals with several definitions; others stand in the table of the run.
    locals: BTreeMap<LocalId, Known>,
    /// Checked arithmetic has failed.
    is_undone: bool,
}

/// One run over a view.
pub(crate) struct Constants<'e, 'a> {
    pub(super) entry: &'e Entry<'a>,
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
        run.states[start.index()] = Some(State { storage, ..State::default() });
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
            let mut state = run.through(block, usize::MAX, &mut changed);
            // Uses of a local may stand in blocks that were run before.
            for reader in changed.iter().flat_map(|id| &entry.readers[id.index()]) {
                if *reader != block && run.reached.contains(reader.index()) {
                    open.insert(*reader);
                }
            }
            if state.is_undone {
                continue;
            }
            let wanted = run.wanted(block, &state);
            let ways = entry.successors(block).iter();
            let mut ways = ways.filter(|(edge, _)| wanted.is_none_or(|wanted| wanted == *edge));
            let mut way = ways.next();
            while let Some(&(edge, next)) = way {
                way = ways.next();
                if !run.takes(block, next) {
                    run.taken[block.index()].push(next);
                }
                let refined = run.refined(block, edge, &state);
                let joined = match (&run.states[next.index()], refined) {
                    (None, Some(refined)) => Some(refined),
                    // Nothing asks for it after the last way.
                    (None, None) if way.is_none() => Some(std::mem::take(&mut state)),
                    (None, None) => Some(state.clone()),
                    (Some(old), refined) => join(old, refined.as_ref().unwrap_or(&state)),
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

    /// Whether some run comes to the statement without checked arithmetic having failed in its block.
    pub(crate) fn reaches_statement(&mut self, at: At) -> bool {
        self.reaches(at.block)
            && (self.states[at.block.index()].is_none()
                || !self.through(at.block, at.index, &mut Vec::new()).is_undone)
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
                    state.is_undone |= self.fails(value, &state);
                    let value = self.rvalue(*target, value, &state);
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
            End::Branch { condition, .. } => {
                let is_true = self.operand(condition, state)?.is_true()?;
                Some(if is_true { Edge::True } else { Edge::False })
            }
            _ => None,
        }
    }

    pub(super) fn operand(&self, operand: &Operand, state: &State) -> Option<Known> {
        match operand {
            Operand::Local(id) => {
                if self.entry.is_single(*id) {
                    self.single[id.index()].clone().flatten()
                } else {
                    state.locals.get(id).cloned()
                }
            }
            Operand::Constant(Constant::Number(text)) if text.starts_with('-') => {
                number(&text[1..]).map(|number| Known::Number(number.wrapping_neg()))
            }
            Operand::Constant(constant) => constant_value(self.entry.program, constant),
            Operand::Environment(_) | Operand::Storage(_) => None,
        }
    }

    fn rvalue(&self, target: LocalId, value: &Rvalue, state: &State) -> Option<Known> {
        let ty = &self.entry.view.body.locals[target.index()].ty;
        match value {
            Rvalue::Use(operand) | Rvalue::Cast(operand) => self.operand(operand, state),
            Rvalue::Unary(op, operand) => unary(*op, &self.operand(operand, state)?, ty),
            Rvalue::Binary(op, left, right) | Rvalue::Wrapping(op, left, right) => {
                let (known_left, known_right) =
                    (self.operand(left, state), self.operand(right, state));
                let is_signed = self.is_signed(left) || self.is_signed(right);
                binary(*op, known_left.as_ref(), known_right.as_ref(), is_signed, ty)
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

    fn is_signed(&self, operand: &Operand) -> bool {
        matches!(operand, Operand::Local(id) if matches!(self.entry.view.body.locals[id.index()].ty, Type::Int(_)))
    }

    /// Whether checked arithmetic certainly undoes the run: more is taken from a number without a sign than it is.
    fn fails(&self, value: &Rvalue, state: &State) -> bool {
        let Rvalue::Binary(BinaryOp::Sub, left, right) = value else { return false };
        let is_unsigned = |operand: &Operand| matches!(operand, Operand::Local(id) if matches!(self.entry.view.body.locals[id.index()].ty, Type::Uint(_)));
        if !is_unsigned(left) {
            return false;
        }
        match (self.operand(left, state), self.operand(right, state)) {
            (Some(Known::Number(left)), Some(Known::Number(right))) => left < right,
            (Some(Known::Number(left)), Some(Known::NonZero)) => left.is_zero(),
            _ => false,
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
    Some(State { storage, locals, is_undone: false })
}

pub(crate) fn constant_value(program: &Program, constant: &Constant) -> Option<Known> {
    match constant {
        Constant::Bool(value) => Some(Known::truth(*value)),
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

pub(super) fn literal(expr: &Expr) -> Option<U256> {
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
    // Most numbers are short, and long ones cost a multiplication of 256 bits for each digit.
    if text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<u64>().ok().map(U256::from);
    }
    match text.strip_prefix("0x") {
        Some(hex) => U256::from_str_radix(hex, 16).ok(),
        None => U256::from_str_radix(text, 10).ok(),
    }
}
