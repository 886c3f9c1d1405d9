//! Shares, credits and votes that are counted by what an account or the contract happens to hold.

use std::collections::BTreeSet;

use super::{Candidate, HazardKind};
use crate::cfg::*;
use crate::facts::callee::Callee;
use crate::facts::entry::{AbsoluteKey, At};
use crate::facts::origin::Origin;
use crate::facts::work::Work;
use crate::syntax::ast::BinaryOp;

impl Work<'_, '_> {
    /// What is wrong with how a deposit or a vote is counted.
    pub(super) fn counted(&mut self, out: &mut Vec<Candidate>) {
        self.inflated_shares(out);
        self.credits_by_argument(out);
        self.borrowed_votes(out);
    }

    /// Shares that are given for a deposit as `amount * supply / balance`, where anyone can raise the balance by
    /// sending to the contract, and nothing keeps the first shares from being few.
    fn inflated_shares(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let Some((BinaryOp::Div, above, below, quotient)) = operation(statement) else {
                continue;
            };
            if !self.constants.reaches(at.block) || !self.is_held(below) {
                continue;
            }
            let Some((BinaryOp::Mul, first, second)) = self.made_as(above) else { continue };
            let is_deposit =
                [(first, second), (second, first)].into_iter().any(|(amount, supply)| {
                    let amount = Origin::of(entry, amount, false);
                    let supply = Origin::of(entry, supply, false);
                    (!amount.params.is_empty() || amount.value)
                        && amount.loads.is_empty()
                        && (!supply.loads.is_empty() || supply.external)
                        && supply.params.is_empty()
                });
            let shares = entry.flow([quotient], |_| true);
            if is_deposit && self.is_issued(&shares) && !self.is_guarded_issue(&shares) {
                self.push(HazardKind::ShareInflation, at, statement, Some(Vec::new()), out);
            }
        }
    }

    /// What the contract holds, or that less something.
    fn is_held(&self, operand: &Operand) -> bool {
        self.measured(operand).is_some()
            || matches!(self.made_as(operand), Some((BinaryOp::Sub, whole, _)) if self.measured(whole).is_some())
    }

    /// The operation that `operand` is the result of.
    fn made_as(&self, operand: &Operand) -> Option<(BinaryOp, &Operand, &Operand)> {
        let Operand::Local(id) = self.entry.canonical(operand) else { return None };
        let (op, left, right, _) = operation(self.entry.only_definition(id)?)?;
        Some((op, left, right))
    }

    /// Whether shares are added to what is kept, or minted by another contract.
    fn is_issued(&self, shares: &BTreeSet<LocalId>) -> bool {
        let is_one =
            |operand: &Operand| matches!(operand, Operand::Local(id) if shares.contains(id));
        self.entry.statements().any(|(_, statement)| match &statement.kind {
            StatementKind::Store { value, .. } => {
                is_one(value) && matches!(self.made_as(value), Some((BinaryOp::Add, ..)))
            }
            StatementKind::Call(call) => {
                matches!(&call.kind, CallKind::External { name, is_view: false, .. } if name == "mint")
                    && call.args.iter().any(is_one)
            }
            _ => false,
        })
    }

    /// The depositor says how many shares they want at least, or the first shares are given to nobody.
    fn is_guarded_issue(&self, shares: &BTreeSet<LocalId>) -> bool {
        let entry = self.entry;
        entry.statements().any(|(at, statement)| match &statement.kind {
            StatementKind::Assign { value: Rvalue::Binary(op, left, right), .. } => {
                op.is_comparison()
                    && [(left, right), (right, left)].into_iter().any(|(side, least)| {
                        matches!(side, Operand::Local(id) if shares.contains(id)) && {
                            let least = Origin::of(entry, least, false);
                            !least.params.is_empty() && least.loads.is_empty()
                        }
                    })
            }
            StatementKind::Store { .. } => entry.accessed(at).iter().any(|place| {
                place.path.iter().any(|key| {
                    matches!(key, AbsoluteKey::Index(Operand::Constant(constant)) if *constant != Constant::Unknown)
                })
            }),
            // Another contract keeps the shares, and nobody gets the first.
            StatementKind::Call(call) => {
                matches!(&call.kind, CallKind::External { name, .. } if name == "mint")
                    && matches!(call.args.first().map(|to| entry.canonical(to)), Some(Operand::Constant(_)))
            }
            _ => false,
        })
    }

    /// Tokens that anyone chooses are credited by the amount that was asked for, whatever arrived.
    fn credits_by_argument(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        let measures = entry.statements().any(|(_, statement)| match &statement.kind {
            StatementKind::Call(call) => {
                matches!(&call.kind, CallKind::External { name, .. } if name == "balanceOf")
            }
            _ => false,
        });
        if measures {
            return;
        }
        for (at, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            let [from, to, amount] = call.args.as_slice() else { continue };
            let takes = matches!(&call.kind, CallKind::External { name, .. } if name == "transferFrom")
                && entry.canonical(from) == Operand::Environment(Environment::Sender)
                && entry.canonical(to) == Operand::Environment(Environment::This);
            if !takes || !self.constants.reaches(at.block) {
                continue;
            }
            let Some(token) = &call.callee else { continue };
            let chosen = Origin::of(entry, token, true);
            let is_any_token = !chosen.params.is_empty()
                && !chosen.hashed
                && self.listed(at, call, Callee::Stranger) == Callee::Stranger
                && !self.is_asked_about(at, &chosen);
            let amount = entry.canonical(amount);
            if is_any_token
                && !Origin::of(entry, &amount, false).params.is_empty()
                && self.is_credited(&amount)
            {
                self.push(HazardKind::CreditedByArgument, at, statement, Some(Vec::new()), out);
            }
        }
    }

    /// Whether the way to the statement asks what the contract or another one knows of the token.
    fn is_asked_about(&self, at: At, chosen: &Origin) -> bool {
        self.conditions(at.block).iter().any(|origin| {
            !origin.params.is_disjoint(&chosen.params)
                && (!origin.loads.is_empty() || origin.external)
        })
    }

    /// Whether the very amount is added to what is kept under some key.
    fn is_credited(&self, amount: &Operand) -> bool {
        let entry = self.entry;
        entry.statements().any(|(at, statement)| {
            let StatementKind::Store { value, .. } = &statement.kind else { return false };
            let is_keyed = entry
                .accessed(at)
                .iter()
                .any(|place| place.path.iter().any(|key| matches!(key, AbsoluteKey::Index(_))));
            let is_sum = matches!(self.made_as(value), Some((BinaryOp::Add, left, right))
                if entry.canonical(left) == *amount || entry.canonical(right) == *amount);
            is_keyed && (is_sum || entry.canonical(value) == *amount)
        })
    }

    /// Votes that are counted by what the voter holds at this moment, and that stay counted when it is gone.
    fn borrowed_votes(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        for (at, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            let CallKind::External { target: Some(target), .. } = &call.kind else { continue };
            let is_balance = matches!(
                entry.program.function(*target).signature.as_str(),
                "balanceOf(address)" | "getVotes(address)" | "getCurrentVotes(address)"
            );
            let is_voters = call
                .args
                .first()
                .is_some_and(|of| entry.canonical(of) == Operand::Environment(Environment::Sender));
            if !is_balance || !is_voters || !self.constants.reaches(at.block) {
                continue;
            }
            // What is taken from the voter, or burnt, cannot be borrowed.
            let is_taken = entry.statements().any(|(_, other)| match &other.kind {
                StatementKind::Call(other) => {
                    matches!(
                        other.kind,
                        CallKind::External { is_view: false, .. } | CallKind::LowLevel
                    ) && other.callee.as_ref().map(|token| self.same_account(token))
                        == call.callee.as_ref().map(|token| self.same_account(token))
                }
                _ => false,
            });
            let weight = entry.flow(call.results.iter().copied(), |_| true);
            let is_tallied = entry.statements().any(|(store, statement)| {
                let StatementKind::Store { place, value } = &statement.kind else { return false };
                let is_callers_own = {
                    let mut is_theirs = false;
                    place.each_operand(&mut |key| {
                        is_theirs |= Origin::of(entry, key, true).sender;
                    });
                    is_theirs
                };
                let is_weight = |operand: &Operand| matches!(operand, Operand::Local(id) if weight.contains(id));
                let adds = match self.made_as(value) {
                    Some((BinaryOp::Add, left, right)) => {
                        let adds_to_itself = |kept: &Operand| {
                            let Operand::Local(id) = entry.canonical(kept) else { return false };
                            entry.definitions[id.index()].iter().any(|load| {
                                matches!(entry.statement(*load).kind, StatementKind::Load { .. })
                                    && entry.accessed(*load) == entry.accessed(store)
                            })
                        };
                        (is_weight(left) && adds_to_itself(right))
                            || (is_weight(right) && adds_to_itself(left))
                    }
                    _ => false,
                };
                adds && !is_callers_own
            });
            if is_tallied && !is_taken {
                self.push(HazardKind::BorrowedVotes, at, statement, Some(Vec::new()), out);
            }
        }
    }

    /// What tells an account from others: the place that it is kept at, else its value.
    fn same_account(&self, account: &Operand) -> Operand {
        let account = self.entry.canonical(account);
        let Operand::Local(id) = account else { return account };
        match self.entry.only_definition(id).map(|statement| &statement.kind) {
            Some(StatementKind::Load { place, .. }) => Operand::Storage(Box::new(place.clone())),
            _ => account,
        }
    }
}

/// The operation that a statement does, its operands and its result.
fn operation(statement: &Statement) -> Option<(BinaryOp, &Operand, &Operand, LocalId)> {
    match &statement.kind {
        StatementKind::Assign {
            target,
            value: Rvalue::Binary(op, left, right) | Rvalue::Wrapping(op, left, right),
        } => Some((*op, left, right, *target)),
        _ => None,
    }
}
