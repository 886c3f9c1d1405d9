//! Who may reach a statement: edges that only a chosen account can take.
//!
//! A guard is told by what it does: the sender (or the signer of a message) is compared with an account
//! that the contract holds, or is the key of a membership that the contract keeps. A comparison of an
//! amount that the sender owns is none.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::NodeIndex;

use super::bits::Bits;
use super::entry::{At, Entry, StateKey, source};
use crate::cfg::*;
use crate::hir::Type;
use crate::syntax::ast::{self, BinaryOp, Mutability, UnaryOp};

/// The guards of one view.
pub(crate) struct Guards {
    /// Blocks that run without any guard having been passed.
    open: Bits,
    /// What the guards rest on, in all.
    pub(crate) rests_on: BTreeSet<StateKey>,
    /// The part of it that has the sender, or a signer, as a key.
    pub(crate) members: BTreeSet<StateKey>,
    /// Where each block first calls a function that answers nothing and that only a derived contract has: it
    /// stands there to refuse, and whom it refuses cannot be seen.
    hooks: BTreeMap<NodeIndex, usize>,
}

/// An edge that needs authority: the branching block, and which way.
type AuthorityEdges = BTreeSet<(NodeIndex, Edge)>;

impl Guards {
    pub(crate) fn of(entry: &Entry<'_>) -> Self {
        let graph = &entry.view.body.graph;
        let mut edges = AuthorityEdges::new();
        let mut rests_on = BTreeSet::new();
        let mut members = BTreeSet::new();
        let hooks = hooks(entry);
        let mut open;
        // Truth values that are set under a guard become guards themselves: a few rounds find them all.
        loop {
            open = entry.reachable(&[entry.view.body.entry], |from, edge, _| {
                !edges.contains(&(from, edge)) && !hooks.contains_key(&from)
            });
            let before = edges.len();
            for block in graph.node_indices() {
                let End::Branch { condition, .. } = &graph[block].end else { continue };
                for (edge, polarity) in [(Edge::True, true), (Edge::False, false)] {
                    if edges.contains(&(block, edge)) {
                        continue;
                    }
                    let question = Question {
                        entry,
                        open: &open,
                        visiting: RefCell::default(),
                        keyed: RefCell::default(),
                    };
                    let mut found = BTreeSet::new();
                    if question.needs_authority(condition, polarity, 0, &mut found) {
                        edges.insert((block, edge));
                        members.extend(
                            question.keyed.take().into_iter().filter(|key| found.contains(key)),
                        );
                        rests_on.extend(found);
                    }
                }
            }
            if edges.len() == before {
                break;
            }
        }
        Self { open, rests_on, members, hooks }
    }

    /// Whether only a chosen account gets here.
    pub(crate) fn guards(&self, at: At) -> bool {
        !self.open.contains(at.block.index())
            || self.hooks.get(&at.block).is_some_and(|hook| *hook < at.index)
    }
}

fn hooks(entry: &Entry<'_>) -> BTreeMap<NodeIndex, usize> {
    let mut hooks = BTreeMap::new();
    for (at, statement) in entry.statements() {
        if let StatementKind::Call(call) = &statement.kind
            && let CallKind::Internal(id, _) = call.kind
            && call.results.is_empty()
            && matches!(entry.program.function(id).body, ast::Body::None)
        {
            hooks.entry(at.block).or_insert(at.index);
        }
    }
    hooks
}

struct Question<'e, 'a> {
    entry: &'e Entry<'a>,
    open: &'e Bits,
    /// Variables with several assignments that are being looked at.
    visiting: RefCell<BTreeSet<(LocalId, bool)>>,
    /// State that was found to be keyed by the sender.
    keyed: RefCell<BTreeSet<StateKey>>,
}

/// Conditions are followed through no more definitions than this.
const MAX_STEPS: usize = 48;

impl Question<'_, '_> {
    /// Whether `condition` being `polarity` proves that a chosen account acts.
    fn needs_authority(
        &self,
        condition: &Operand,
        polarity: bool,
        steps: usize,
        rests_on: &mut BTreeSet<StateKey>,
    ) -> bool {
        if steps > MAX_STEPS {
            return false;
        }
        let Operand::Local(id) = condition else { return false };
        let definitions = &self.entry.definitions[id.index()];
        if !self.entry.is_single(*id) {
            // A variable that is computed from itself is what it was before; the other assignments decide.
            if !self.visiting.borrow_mut().insert((*id, polarity)) {
                return true;
            }
            let needs = !definitions.is_empty()
                && definitions.iter().all(|at| self.one_of_many(*at, polarity, steps, rests_on));
            self.visiting.borrow_mut().remove(&(*id, polarity));
            return needs;
        }
        let statement = self.entry.statement(definitions[0]);
        // A truth value that nothing else sets is false where the one place that sets it was not come by.
        if polarity
            && self.entry.view.body.locals[id.index()].ty == Type::Bool
            && matches!(statement.kind, StatementKind::Assign { .. })
            && !self.open.contains(definitions[0].block.index())
        {
            return true;
        }
        match &statement.kind {
            StatementKind::Assign { value, .. } => {
                self.value(condition, value, polarity, steps, rests_on)
                    || (polarity && self.is_answer(condition, value, rests_on))
            }
            StatementKind::Load { place, .. } => {
                polarity && self.is_membership(*id, place, rests_on)
            }
            StatementKind::Call(call) => polarity && self.is_asked_elsewhere(call, rests_on),
            _ => false,
        }
    }

    /// One of several assignments: it cannot give `polarity`, or gives it only with authority.
    fn one_of_many(
        &self,
        at: At,
        polarity: bool,
        steps: usize,
        rests_on: &mut BTreeSet<StateKey>,
    ) -> bool {
        if !self.open.contains(at.block.index()) {
            return true;
        }
        match &self.entry.statement(at).kind {
            StatementKind::Assign { value: Rvalue::Use(Operand::Constant(constant)), .. } => {
                match constant {
                    Constant::Bool(value) => *value != polarity,
                    Constant::Default => polarity,
                    Constant::Number(number) => (number == "0") == polarity,
                    _ => false,
                }
            }
            StatementKind::Assign { target, value } => {
                let whole = Operand::Local(*target);
                self.value(&whole, value, polarity, steps + 1, rests_on)
                    || (polarity && self.is_answer(&whole, value, rests_on))
            }
            _ => false,
        }
    }

    /// What a trusted contract answered about the sender, read from memory: a truth value, or a number too
    /// small to be an amount (a delay, a level).
    fn is_answer(
        &self,
        whole: &Operand,
        value: &Rvalue,
        rests_on: &mut BTreeSet<StateKey>,
    ) -> bool {
        let is_read = match value {
            Rvalue::Pure(name, _) => is_memory(name),
            Rvalue::Use(operand) | Rvalue::Cast(operand) => match self.entry.canonical(operand) {
                Operand::Local(id) => self.entry.only_definition(id).is_some_and(|statement| {
                    matches!(&statement.kind, StatementKind::Assign { value: Rvalue::Pure(name, _), .. } if is_memory(name))
                }),
                _ => false,
            },
            _ => false,
        };
        if !is_read {
            return false;
        }
        let Operand::Local(id) = whole else { return false };
        let is_small = match &self.entry.view.body.locals[id.index()].ty {
            Type::Bool => true,
            Type::Uint(bits) => *bits <= 64,
            _ => false,
        };
        let bits = self.entry.operand_dependencies(whole);
        let is_told = bits.contains(source::EXTERNAL) && bits.contains(source::SENDER);
        let variables = self.entry.loaded_state(&bits);
        if is_small && is_told && !variables.is_empty() {
            rests_on.extend(variables);
            return true;
        }
        false
    }

    fn value(
        &self,
        whole: &Operand,
        value: &Rvalue,
        polarity: bool,
        steps: usize,
        rests_on: &mut BTreeSet<StateKey>,
    ) -> bool {
        match value {
            Rvalue::Use(operand) | Rvalue::Cast(operand) => {
                self.needs_authority(operand, polarity, steps + 1, rests_on)
            }
            Rvalue::Unary(UnaryOp::Not, operand) => {
                // In assembly `iszero` is also how numbers are compared.
                self.needs_authority(operand, !polarity, steps + 1, rests_on)
            }
            Rvalue::Binary(op, left, right) | Rvalue::Wrapping(op, left, right) => match op {
                BinaryOp::Eq => self.equality(left, right, polarity, steps, rests_on),
                BinaryOp::Ne => self.equality(left, right, !polarity, steps, rests_on),
                BinaryOp::BitXor | BinaryOp::Sub => {
                    !polarity && self.is_identity(left, right, rests_on)
                }
                BinaryOp::BitAnd => polarity && self.is_bit_of_membership(whole, rests_on),
                // A product is something only where both factors are.
                BinaryOp::Mul => {
                    polarity
                        && (self.needs_authority(left, true, steps + 1, rests_on)
                            || self.needs_authority(right, true, steps + 1, rests_on))
                }
                BinaryOp::Gt if self.constant(right).is_some_and(|constant| is_zero(&constant)) => {
                    polarity && self.needs_authority(left, true, steps + 1, rests_on)
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn equality(
        &self,
        left: &Operand,
        right: &Operand,
        polarity: bool,
        steps: usize,
        rests_on: &mut BTreeSet<StateKey>,
    ) -> bool {
        if polarity && self.is_identity(left, right, rests_on) {
            return true;
        }
        for (side, other) in [(left, right), (right, left)] {
            let Some(constant) = self.constant(other) else { continue };
            let is_false = is_zero(&constant);
            // `x == false`, `x == true`.
            let holds = if is_false { !polarity } else { polarity };
            if self.is_truth(side) && self.needs_authority(side, holds, steps + 1, rests_on) {
                return true;
            }
            // `wards[sender] == 1`, `roles[sender] & MASK != 0`.
            if holds
                && (self.is_member_value(side, rests_on)
                    || self.is_bit_of_membership(side, rests_on))
            {
                return true;
            }
        }
        false
    }

    fn constant(&self, operand: &Operand) -> Option<Constant> {
        match self.entry.canonical(operand) {
            Operand::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    fn is_truth(&self, operand: &Operand) -> bool {
        matches!(operand, Operand::Local(id) if self.entry.view.body.locals[id.index()].ty == Type::Bool)
    }

    /// The sender, or a signer, compared with an account that the contract holds.
    fn is_identity(
        &self,
        left: &Operand,
        right: &Operand,
        rests_on: &mut BTreeSet<StateKey>,
    ) -> bool {
        for (who, against) in [(left, right), (right, left)] {
            let who_bits = self.entry.operand_dependencies(who);
            let is_someone = who_bits.contains(source::SENDER)
                || who_bits.contains(source::ORIGIN)
                || who_bits.contains(source::SIGNATURE);
            if !is_someone {
                continue;
            }
            let against_bits = self.entry.operand_dependencies(against);
            let is_same =
                against_bits.contains(source::SENDER) || against_bits.contains(source::ORIGIN);
            if is_same && !against_bits.contains(source::EXTERNAL) {
                continue;
            }
            match self.entry.canonical(against) {
                Operand::Constant(constant) => {
                    if is_zero(&constant) || constant == Constant::Unknown {
                        continue;
                    }
                    return true;
                }
                Operand::Environment(Environment::This) => return true,
                _ => {}
            }
            let variables = self.entry.loaded_state(&against_bits);
            let has_load = against_bits.iter().any(|bit| bit >= source::FIRST_LOAD);
            let is_callers = against_bits.contains(source::CALLER);
            if (has_load || against_bits.contains(source::EXTERNAL) || self.is_immutable(against))
                && !is_callers
            {
                rests_on.extend(variables);
                return true;
            }
        }
        false
    }

    /// Every definition, followed through copies, is a constant, an immutable or this contract.
    fn is_immutable(&self, operand: &Operand) -> bool {
        let Operand::Local(id) = self.entry.canonical(operand) else { return false };
        let definitions = &self.entry.definitions[id.index()];
        !definitions.is_empty()
            && definitions.iter().all(|at| match &self.entry.statement(*at).kind {
                StatementKind::Assign {
                    value: Rvalue::Use(operand) | Rvalue::Cast(operand),
                    ..
                } => {
                    matches!(
                        self.entry.canonical(operand),
                        Operand::Constant(Constant::Variable(_) | Constant::Default)
                            | Operand::Environment(Environment::This)
                    )
                }
                _ => false,
            })
    }

    /// A truth value that the contract keeps for the sender.
    fn is_membership(&self, id: LocalId, place: &Place, rests_on: &mut BTreeSet<StateKey>) -> bool {
        self.entry.view.body.locals[id.index()].ty == Type::Bool
            && self.is_keyed_by_sender(place, rests_on)
    }

    /// A value that the contract keeps for the sender, compared for equality.
    fn is_member_value(&self, operand: &Operand, rests_on: &mut BTreeSet<StateKey>) -> bool {
        let Operand::Local(id) = self.entry.canonical(operand) else { return false };
        match self.entry.only_definition(id).map(|statement| &statement.kind) {
            Some(StatementKind::Load { place, .. }) => self.is_keyed_by_sender(place, rests_on),
            _ => false,
        }
    }

    /// Bits of a value that the contract keeps for the sender.
    fn is_bit_of_membership(&self, operand: &Operand, rests_on: &mut BTreeSet<StateKey>) -> bool {
        // Each local is looked at once: what is shifted in a loop is made of itself.
        let mut seen = BTreeSet::new();
        let mut open = vec![operand];
        while let Some(operand) = open.pop() {
            let Operand::Local(id) = self.entry.canonical(operand) else { continue };
            let definition = self.entry.only_definition(id).map(|statement| &statement.kind);
            let Some(StatementKind::Assign {
                value: Rvalue::Binary(BinaryOp::BitAnd | BinaryOp::Shr, left, right),
                ..
            }) = definition
            else {
                continue;
            };
            if !seen.insert(id) {
                continue;
            }
            if self.is_member_value(left, rests_on) || self.is_member_value(right, rests_on) {
                return true;
            }
            open.extend([left, right]);
        }
        false
    }

    fn is_keyed_by_sender(&self, place: &Place, rests_on: &mut BTreeSet<StateKey>) -> bool {
        let bits = self.entry.place_dependencies(place);
        let is_keyed = bits.contains(source::SENDER)
            || bits.contains(source::SIGNATURE)
            || bits.contains(source::ORIGIN);
        if is_keyed {
            for found in self.entry.places(place) {
                let keys = StateKey::of(self.entry.program, &found);
                self.keyed.borrow_mut().extend(keys.iter().cloned());
                rests_on.extend(keys);
            }
        }
        is_keyed
    }

    /// Another contract that this one trusts was asked about the sender.
    fn is_asked_elsewhere(&self, call: &Call, rests_on: &mut BTreeSet<StateKey>) -> bool {
        // Who answers a question changes nothing: a token that moves and says that it went well lets nobody in.
        let is_question = match &call.kind {
            CallKind::External { target: Some(target), is_view, .. } => {
                let mutability = self.entry.program.function(*target).mutability;
                *is_view || matches!(mutability, Mutability::View | Mutability::Pure)
            }
            CallKind::External { target: None, .. } | CallKind::StaticCall => true,
            _ => false,
        };
        if !is_question {
            return false;
        }
        let mut args = Bits::default();
        for arg in &call.args {
            args.union(&self.entry.operand_dependencies(arg));
        }
        let Some(callee) = &call.callee else { return false };
        let callee_bits = self.entry.operand_dependencies(callee);
        let is_own = !callee_bits.contains(source::CALLER)
            && !callee_bits.contains(source::SENDER)
            && !callee_bits.contains(source::UNKNOWN);
        if args.contains(source::SENDER) && is_own {
            rests_on.extend(self.entry.loaded_state(&callee_bits));
            return true;
        }
        false
    }
}

fn is_memory(pure: &str) -> bool {
    matches!(pure, "mload" | "abi.decode" | "element")
}

fn is_zero(constant: &Constant) -> bool {
    match constant {
        Constant::Default | Constant::Bool(false) => true,
        Constant::Number(number) => {
            number.trim_start_matches("0x").chars().all(|digit| digit == '0')
        }
        _ => false,
    }
}
