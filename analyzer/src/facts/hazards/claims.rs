//! What can be claimed again and again, and lists whose length is set at will.

use petgraph::graph::NodeIndex;

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::callee::{Callee, callee};
use crate::facts::constants::{Constants, Known, Storage, constant_value};
use crate::facts::entry::{AbsoluteKey, At, StateKey, overlap};
use crate::facts::locks::is_the_same_everywhere;
use crate::facts::origin::{Depth, Origin};
use crate::facts::work::Work;
use crate::syntax::ast::BinaryOp;

impl Work<'_, '_> {
    /// Payments of what is kept for the caller, while nothing that is kept for them changes.
    pub(super) fn repeated_claims(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            let is_payment =
                matches!(call.kind, CallKind::Transfer | CallKind::Send | CallKind::LowLevel);
            let (Some(to), Some(amount)) = (&call.callee, &call.value) else { continue };
            if !is_payment
                || !self.constants.reaches(at.block)
                || entry.canonical(to) != Operand::Environment(Environment::Sender)
            {
                continue;
            }
            let Operand::Local(id) = entry.canonical(amount) else { continue };
            let [load] = &entry.definitions[id.index()] else { continue };
            let is_theirs = match &entry.statement(*load).kind {
                StatementKind::Load { place, .. } => {
                    let mut is_theirs = false;
                    place.each_operand(&mut |key| {
                        is_theirs |=
                            entry.canonical(key) == Operand::Environment(Environment::Sender);
                    });
                    is_theirs
                }
                _ => false,
            };
            let changes = entry.statements().any(|(store, other)| match &other.kind {
                StatementKind::Store { place, .. } => {
                    let places = entry.accessed(store);
                    let is_it = places.is_empty()
                        || places.iter().any(|place| {
                            entry.accessed(*load).iter().any(|read| overlap(place, read))
                        });
                    let mut is_about_them = false;
                    place.each_operand(&mut |key| {
                        is_about_them |= Origin::of(entry, key, true).sender;
                    });
                    is_it || is_about_them
                }
                StatementKind::Call(call) => matches!(
                    call.kind,
                    CallKind::Internal(..)
                        | CallKind::Pointer(_)
                        | CallKind::DelegateCall
                        | CallKind::Unresolved(_)
                        | CallKind::External { is_view: false, .. }
                ),
                StatementKind::Unknown => true,
                _ => false,
            });
            if is_theirs && !changes {
                self.push(HazardKind::RepeatedClaim, at, statement, Some(Vec::new()), out);
                if let (Some(one), Some(place)) = (out.last_mut(), entry.accessed(*load).first()) {
                    one.detail = self.describe(place);
                }
            }
        }
    }

    /// Payments to an account that anyone can put there and that can refuse them: everything else is undone with them.
    pub(super) fn griefable_payments(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            let sends = call.value.as_ref().is_some_and(|value| !self.is_zero(value));
            let is_payment =
                matches!(call.kind, CallKind::Transfer | CallKind::Send | CallKind::LowLevel);
            if !sends || !is_payment || !self.constants.reaches(at.block) {
                continue;
            }
            let Some(to) = &call.callee else { continue };
            let to_origin = Origin::of(entry, to, true);
            // Whoever calls, or names an account, can leave it.
            if to_origin.sender || to_origin.data || !self.undoes(call) {
                continue;
            }
            let Callee::Stored(keys) = callee(entry, call) else { continue };
            // Whoever must be the payee to come here harms nobody else.
            let is_payee_asked = self.conditions(at.block).iter().any(|origin| {
                origin.sender
                    && origin.loads.iter().any(|load| {
                        entry.accessed(*load).iter().any(|place| {
                            StateKey::of(entry.program, place).iter().any(|key| keys.contains(key))
                        })
                    })
            });
            let is_in_loop = self.in_loop.contains(at.block.index());
            if !is_in_loop && !is_payee_asked {
                self.push(HazardKind::GriefablePayment, at, statement, Some(keys), out);
            }
        }
    }

    /// Whether the call failing undoes everything.
    fn undoes(&self, call: &Call) -> bool {
        if !call.may_fail {
            return true;
        }
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        let Some(&succeeded) = call.results.first() else { return false };
        let copies = entry.flow([succeeded], |value| {
            matches!(value, Rvalue::Use(_) | Rvalue::Unary(..) | Rvalue::Cast(_))
        });
        graph.node_indices().any(|block| {
            let End::Branch { condition: Operand::Local(condition), .. } = &graph[block].end else {
                return false;
            };
            copies.contains(condition)
                && entry.successors(block).iter().any(|(_, next)| !self.ends_well(*next))
        })
    }

    /// Rewards to whoever calls with something whose hash is known: whoever sees it on its way can send it first.
    pub(super) fn copied_answers(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        for (at, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            let is_to_sender = |operand: Option<&Operand>| {
                operand.is_some_and(|to| {
                    entry.canonical(to) == Operand::Environment(Environment::Sender)
                })
            };
            let rewards = match &call.kind {
                CallKind::Transfer | CallKind::Send | CallKind::LowLevel => {
                    call.value.is_some() && is_to_sender(call.callee.as_ref())
                }
                CallKind::External { name, is_view: false, .. } => {
                    matches!(name.as_str(), "transfer" | "mint") && is_to_sender(call.args.first())
                }
                _ => false,
            };
            if !rewards || !self.constants.reaches(at.block) {
                continue;
            }
            let controllers = self.controllers(at.block);
            let asks_for_sender = controllers.iter().any(|block| match &graph[*block].end {
                End::Branch { condition, .. } => Origin::of(entry, condition, true).sender,
                _ => false,
            });
            if asks_for_sender {
                continue;
            }
            let answer = controllers.iter().find_map(|block| {
                let End::Branch { condition, .. } = &graph[*block].end else { return None };
                let Operand::Local(id) = entry.canonical(condition) else { return None };
                let [asked] = &entry.definitions[id.index()] else { return None };
                let StatementKind::Assign {
                    value: Rvalue::Binary(BinaryOp::Eq | BinaryOp::Ne, left, right),
                    ..
                } = &entry.statement(*asked).kind
                else {
                    return None;
                };
                [(left, right), (right, left)]
                    .into_iter()
                    .any(|(answer, wanted)| self.is_answer_alone(answer) && self.is_known(wanted))
                    .then_some(*asked)
            });
            let answer = answer.or_else(|| self.prize(at, call, &controllers));
            if let Some(asked) = answer {
                let statement = entry.statement(asked);
                self.push(HazardKind::CopiedAnswer, asked, statement, Some(Vec::new()), out);
                return;
            }
        }
    }

    /// The check of an answer, against what is written in the code, that decides about the payment at `at`, where that
    /// is made only once: the first answer takes it.
    fn prize(&self, at: At, call: &Call, controllers: &[NodeIndex]) -> Option<At> {
        let entry = self.entry;
        let amount = Origin::of(entry, call.value.as_ref()?, false);
        if amount.value || amount.data || amount.loads.is_empty() {
            return None;
        }
        let asked = controllers.iter().find_map(|block| {
            let End::Branch { condition, .. } = &entry.view.body.graph[*block].end else {
                return None;
            };
            let Operand::Local(id) = entry.canonical(condition) else { return None };
            let [asked] = entry.definitions[id.index()] else { return None };
            let StatementKind::Assign { value: Rvalue::Binary(op, left, right), .. } =
                &entry.statement(asked).kind
            else {
                return None;
            };
            let is_answer = |operand: &Operand| {
                let origin = Origin::of(entry, operand, false);
                !origin.params.is_empty() && origin.is_callers_choice() && !origin.sender
            };
            let is_written_out = |operand: &Operand| {
                matches!(entry.canonical(operand), Operand::Constant(constant)
                    if matches!(constant_value(entry.program, &constant), Some(Known::Number(number)) if !number.is_zero()))
            };
            (op.is_comparison()
                && ((is_answer(left) && is_written_out(right))
                    || (is_answer(right) && is_written_out(left))))
            .then_some(asked)
        })?;
        let mut first = Constants::run(entry, Storage::new());
        let left = first.storage_before(entry.view.exit, usize::MAX);
        let shared: Storage =
            left.into_iter().filter(|(place, _)| is_the_same_everywhere(place)).collect();
        let is_once = !shared.is_empty() && !Constants::run(entry, shared).reaches(at.block);
        is_once.then_some(asked)
    }

    /// A hash of nothing but what the caller says.
    fn is_answer_alone(&self, operand: &Operand) -> bool {
        let origin = Origin::through(self.entry, operand, Depth::Hashes);
        origin.hashed
            && !origin.recovered
            && !origin.params.is_empty()
            && !origin.sender
            && !origin.this
            && !origin.external
            && !origin.unknown
            && origin.loads.is_empty()
    }

    /// What everybody can read: kept, or written out.
    fn is_known(&self, operand: &Operand) -> bool {
        let origin = Origin::of(self.entry, operand, false);
        origin.params.is_empty() && !origin.external && !origin.sender && !origin.hashed
    }

    /// Lengths of lists in storage that the caller sets, or that are lowered below zero: a list that is longer than
    /// the storage lets its elements be any slot.
    pub(super) fn chosen_lengths(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let StatementKind::Store { value, .. } = &statement.kind else { continue };
            let places = entry.accessed(at);
            let is_length =
                places.iter().any(|place| place.path.last() == Some(&AbsoluteKey::Length));
            let text = self.text(statement);
            let is_written =
                text.contains(".length") && !text.contains("push") && !text.contains("pop");
            if !is_length || !is_written || !self.constants.reaches(at.block) {
                continue;
            }
            let detail = places.first().map(|place| self.describe(place)).unwrap_or_default();
            let is_chosen = !Origin::of(entry, value, false).params.is_empty();
            if is_chosen || self.may_fall_below_zero(at, value) {
                self.push(HazardKind::ChosenLength, at, statement, Some(Vec::new()), out);
                if let Some(one) = out.last_mut() {
                    one.detail = detail;
                }
            }
        }
    }

    /// Whether something is taken from the length without overflow being checked, and no decision asks for the
    /// length before.
    fn may_fall_below_zero(&self, at: At, value: &Operand) -> bool {
        let entry = self.entry;
        let Operand::Local(id) = entry.canonical(value) else { return false };
        let falls = entry.only_definition(id).is_some_and(|statement| {
            matches!(
                &statement.kind,
                StatementKind::Assign { value: Rvalue::Wrapping(BinaryOp::Sub, ..), .. }
            )
        });
        let graph = &entry.view.body.graph;
        falls
            && !self.controllers(at.block).iter().any(|block| {
                let End::Branch { condition, .. } = &graph[*block].end else { return false };
                let asks = Origin::of(entry, condition, false)
                    .loads
                    .iter()
                    .any(|load| entry.accessed(*load) == entry.accessed(at));
                asks && !self.is_foregone_condition(condition)
            })
    }
}
