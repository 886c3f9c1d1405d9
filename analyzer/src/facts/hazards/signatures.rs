//! Signatures: whose they are, and how often they count.

use std::collections::BTreeSet;

use super::{Candidate, HazardKind, Need};
use crate::cfg::*;
use crate::facts::bits::Bits;
use crate::facts::entry::{At, StateKey, source};
use crate::facts::origin::{Depth, Origin};
use crate::facts::work::Work;
use crate::syntax::ast::BinaryOp;

impl Work<'_, '_> {
    /// Recoveries whose result is compared with an account but never with zero, which is what a signature that is
    /// none gives.
    pub(super) fn zero_signers(&self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let StatementKind::Assign { target, value: Rvalue::Pure("ecrecover", _) } =
                &statement.kind
            else {
                continue;
            };
            if !self.constants.reaches(at.block) {
                continue;
            }
            let (mut is_compared, mut is_checked, mut is_returned) = (false, false, false);
            let is_recovered = |operand: &Operand| self.is_copy_of(operand, *target);
            for (_, other) in entry.statements() {
                if let StatementKind::Assign {
                    value: Rvalue::Binary(BinaryOp::Eq | BinaryOp::Ne, left, right),
                    ..
                } = &other.kind
                {
                    for (side, against) in [(left, right), (right, left)] {
                        if is_recovered(side) {
                            let is_zero = self.is_zero(against);
                            is_checked |= is_zero
                                || self.is_never_zero(against)
                                || self.is_asked_for_zero(against);
                            is_compared |= !is_zero;
                        }
                    }
                }
            }
            is_returned |= entry
                .view
                .body
                .returns
                .iter()
                .any(|id| self.is_copy_of(&Operand::Local(*id), *target));
            if is_compared && !is_checked && !is_returned {
                self.flaw(HazardKind::ZeroSigner, statement, String::new(), out);
            }
        }
    }

    /// Whether `operand` can hold what `target` holds, through copies.
    fn is_copy_of(&self, operand: &Operand, target: LocalId) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![operand.clone()];
        while let Some(operand) = open.pop() {
            let Operand::Local(id) = operand else { continue };
            if id == target {
                return true;
            }
            if !seen.insert(id) {
                continue;
            }
            for at in &self.entry.definitions[id.index()] {
                if let StatementKind::Assign {
                    value: Rvalue::Use(from) | Rvalue::Cast(from), ..
                } = &self.entry.statement(*at).kind
                {
                    open.push(from.clone());
                }
            }
        }
        false
    }

    /// Whether the view compares the very value with zero somewhere.
    fn is_asked_for_zero(&self, operand: &Operand) -> bool {
        let value = self.entry.canonical(operand);
        self.entry.statements().any(|(_, statement)| match &statement.kind {
            StatementKind::Assign {
                value: Rvalue::Binary(BinaryOp::Eq | BinaryOp::Ne, left, right),
                ..
            } => [(left, right), (right, left)]
                .into_iter()
                .any(|(side, zero)| self.is_zero(zero) && self.entry.canonical(side) == value),
            _ => false,
        })
    }

    /// An account that is set when the contract is made, or the caller.
    fn is_never_zero(&self, operand: &Operand) -> bool {
        matches!(
            self.entry.canonical(operand),
            Operand::Constant(Constant::Variable(_))
                | Operand::Environment(Environment::Sender | Environment::This)
        )
    }

    /// Signatures that let somebody do something, while nothing is kept that would make them count only once.
    pub(super) fn replays(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        let recovered: Vec<(At, &Statement, &[Operand])> = entry
            .statements()
            .filter_map(|(at, statement)| match &statement.kind {
                StatementKind::Assign { value: Rvalue::Pure("ecrecover", operands), .. } => {
                    Some((at, statement, operands.as_slice()))
                }
                _ => None,
            })
            .filter(|(at, ..)| self.constants.reaches(at.block))
            .collect();
        let [(at, statement, operands)] = recovered.as_slice() else { return };
        let Some(digest) = operands.first() else { return };
        let signed = Origin::through(entry, digest, Depth::Everything);
        if signed.external || signed.unknown || signed.recovered {
            return;
        }
        // Foreign code or code that was not understood may keep the books.
        let is_opaque = entry.statements().any(|(_, other)| match &other.kind {
            StatementKind::Call(call) => {
                matches!(
                    call.kind,
                    CallKind::Internal(..)
                        | CallKind::Pointer(_)
                        | CallKind::Unresolved(_)
                        | CallKind::DelegateCall
                ) || call.callee.as_ref().is_some_and(|callee| {
                    entry.canonical(callee) == Operand::Environment(Environment::This)
                })
            }
            StatementKind::Unknown => true,
            _ => false,
        });
        let asked = self.state_asked();
        let (mut is_used, mut is_consumed) = (false, false);
        let mut set = Vec::new();
        for (other, effect) in entry.statements() {
            let is_told = |block| self.control_bits(block).contains(source::SIGNATURE);
            match &effect.kind {
                StatementKind::Store { place, value } if self.constants.reaches(other.block) => {
                    let written = self.state_at(other);
                    // A nonce that was signed is raised, or what is written was asked for on the way.
                    is_consumed |=
                        signed.loads.iter().any(|load| !self.state_at(*load).is_disjoint(&written))
                            || !asked.is_disjoint(&written);
                    // What was signed, or the signature, is written down.
                    place.each_operand(&mut |key| {
                        is_consumed |= Origin::through(entry, key, Depth::Hashes).hashed;
                    });
                    // It sets the state to what was signed: doing it again changes nothing.
                    let adds = matches!(entry.canonical(value), Operand::Local(id) if entry.only_definition(id).is_some_and(|statement| {
                        matches!(&statement.kind, StatementKind::Assign { value: Rvalue::Binary(BinaryOp::Add | BinaryOp::Sub, ..) | Rvalue::Wrapping(BinaryOp::Add | BinaryOp::Sub, ..), .. })
                    }));
                    is_used |= adds && is_told(other.block);
                    if is_told(other.block) {
                        set.extend(written);
                    }
                }
                StatementKind::Call(call) if self.constants.reaches(other.block) => {
                    let acts = call.value.as_ref().is_some_and(|value| !self.is_zero(value))
                        || matches!(call.kind, CallKind::External { is_view: false, .. });
                    is_used |= acts && is_told(other.block);
                }
                _ => {}
            }
        }
        // What is only set to what was signed is as it was, unless somebody has changed it meanwhile.
        let needs_change = !is_used;
        if (is_used || !set.is_empty()) && !is_consumed && !is_opaque {
            self.push(HazardKind::SignatureReplay, *at, statement, Some(Vec::new()), out);
            if let Some(one) = out.last_mut() {
                one.guard = None;
                if needs_change {
                    one.needs = Need::ChangedElsewhere;
                    one.needs_open = set;
                }
            }
        }
    }

    fn state_at(&self, at: At) -> BTreeSet<StateKey> {
        let places = self.entry.accessed(at).iter();
        places.flat_map(|place| StateKey::of(self.entry.program, place)).collect()
    }

    /// State that decides anything.
    fn state_asked(&self) -> BTreeSet<StateKey> {
        let mut bits = Bits::default();
        for block in self.entry.view.body.graph.node_weights() {
            if let End::Branch { condition, .. } = &block.end {
                self.entry.add_dependencies(condition, &mut bits);
            }
        }
        self.entry.loaded_state(&bits).into_iter().collect()
    }
}
