//! Who can move ether, tokens and control, and whether anyone looks at how it went.

use std::collections::BTreeSet;

use petgraph::graph::NodeIndex;
use ruint::aliases::U256;

use super::{Candidate, Ether, HazardKind};
use crate::cfg::*;
use crate::facts::callee::{Callee, callee};
use crate::facts::constants::{Known, constant_value};
use crate::facts::entry::At;
use crate::facts::origin::Origin;
use crate::facts::summary::Summary;
use crate::facts::work::Work;
use crate::hir::{FunctionId, Type};
use crate::syntax::ast::{BinaryOp, ContractKind};

impl Work<'_, '_> {
    /// The hazards of the view, and how ether moves in it.
    pub(in crate::facts) fn hazards(&mut self, summary: &Summary) -> (Vec<Candidate>, Ether) {
        let entry = self.entry;
        let mut out = Vec::new();
        let mut ether = Ether::default();
        for (at, statement) in entry.statements() {
            if !self.constants.reaches(at.block) {
                continue;
            }
            match &statement.kind {
                StatementKind::Call(call) => {
                    self.call(at, statement, call, summary, &mut ether, &mut out)
                }
                StatementKind::Store { value, .. } => {
                    ether.is_counted |= Origin::of(entry, value, false).value;
                    if self.in_loop.contains(at.block.index()) && self.is_sum_with_value(value) {
                        self.push(HazardKind::ValueInLoop, at, statement, None, &mut out);
                    }
                }
                StatementKind::Unknown => ether.goes_out = true,
                _ => {}
            }
        }
        let exit = At { block: entry.view.exit, index: 0 };
        if summary.is_payable && self.ends_well(entry.view.body.entry) {
            ether.comes_in = !self.guard(exit).is_guarded;
        }
        self.origin_checks(&mut out);
        self.loop_costs(&mut out);
        self.replays(&mut out);
        self.loose_signatures(&mut out);
        self.spot_prices(&mut out);
        self.counted(&mut out);
        self.narrowings(&mut out);
        self.repeated_claims(&mut out);
        self.chosen_lengths(&mut out);
        self.skipped_elements(&mut out);
        self.griefable_payments(&mut out);
        self.copied_answers(&mut out);
        self.clock(&mut out);
        self.reach(summary, &mut out);
        out.extend(self.flaws());
        (out, ether)
    }

    fn call(
        &mut self,
        at: At,
        statement: &Statement,
        call: &Call,
        summary: &Summary,
        ether: &mut Ether,
        out: &mut Vec<Candidate>,
    ) {
        let is_in_loop = self.in_loop.contains(at.block.index());
        let sends = call.value.as_ref().is_some_and(|value| !self.is_zero(value));
        ether.goes_out |= sends
            || matches!(
                call.kind,
                CallKind::DelegateCall
                    | CallKind::SelfDestruct
                    | CallKind::Unresolved(_)
                    | CallKind::Pointer(_)
                    | CallKind::New(None)
            );
        if sends
            && is_in_loop
            && let Some(value) = &call.value
            && self.entry.canonical(value) == Operand::Environment(Environment::Value)
        {
            self.push(HazardKind::ValueInLoop, at, statement, None, out);
        }
        let is_assembly = {
            let text = self.entry.program.text(statement.span);
            ["call", "staticcall", "delegatecall", "callcode"].iter().any(|name| {
                text.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('('))
            })
        };
        let is_unchecked =
            !is_assembly && call.results.first().is_some_and(|result| !self.is_used(*result));
        match &call.kind {
            CallKind::LowLevel | CallKind::DelegateCall if is_unchecked => {
                self.push(HazardKind::UncheckedCall, at, statement, None, out);
            }
            CallKind::Send if is_unchecked => {
                self.push(HazardKind::UncheckedSend, at, statement, None, out);
            }
            CallKind::External { target: Some(target), .. } => {
                self.token(at, statement, call, *target, is_unchecked, out);
            }
            _ => {}
        }
        if call.kind == CallKind::DelegateCall {
            let is_own = call.callee.as_ref().is_some_and(|callee| {
                self.entry.canonical(callee) == Operand::Environment(Environment::This)
            });
            if summary.is_payable && is_in_loop && is_own {
                self.push(HazardKind::DelegateInLoop, at, statement, Some(Vec::new()), out);
            }
            if let Some(callee) = &call.callee
                && Origin::of(self.entry, callee, false).is_callers_choice()
                && !self.is_held_back(at, callee)
            {
                self.push(HazardKind::DelegateToChosen, at, statement, Some(Vec::new()), out);
            }
        }
        if sends && call.kind != CallKind::SelfDestruct {
            self.payout(at, statement, call, summary, out);
        }
    }

    /// Calls of the standard token interface, told by the signature that the ABI fixes.
    fn token(
        &mut self,
        at: At,
        statement: &Statement,
        call: &Call,
        target: FunctionId,
        is_unchecked: bool,
        out: &mut Vec<Candidate>,
    ) {
        let program = self.entry.program;
        let function = program.function(target);
        let is_account = |ty: &Type| matches!(ty, Type::Address | Type::Contract(_));
        let types: Vec<_> = function.params.iter().map(|param| &param.ty).collect();
        let is_transfer = function.name == "transfer"
            && matches!(types.as_slice(), [to, Type::Uint(256)] if is_account(to));
        let is_transfer_from = function.name == "transferFrom"
            && matches!(types.as_slice(), [from, to, Type::Uint(256)] if is_account(from) && is_account(to));
        let answers = matches!(function.returns.as_slice(), [only] if only.ty == Type::Bool);
        let is_declared_only = function
            .contract
            .is_some_and(|contract| program.contract(contract).kind == ContractKind::Interface);
        if (is_transfer || is_transfer_from) && answers && is_declared_only && is_unchecked {
            self.push(HazardKind::UncheckedTransfer, at, statement, None, out);
        }
        if is_transfer_from
            && answers
            && let Some(from) = call.args.first()
        {
            let origin = Origin::of(self.entry, from, false);
            if origin.is_callers_choice()
                && !origin.sender
                && !origin.params.is_empty()
                && !self.is_held_back(at, from)
            {
                if !self.has_permit(at, from) {
                    self.push(HazardKind::TokensFromChosen, at, statement, Some(Vec::new()), out);
                } else if self.has_standard_permit(at, call, from) {
                    self.push(HazardKind::PermitFromChosen, at, statement, Some(Vec::new()), out);
                }
            }
        }
    }

    /// Ether that leaves to an account that the caller, or whoever writes some state, chooses.
    fn payout(
        &mut self,
        at: At,
        statement: &Statement,
        call: &Call,
        summary: &Summary,
        out: &mut Vec<Candidate>,
    ) {
        let entry = self.entry;
        let (Some(to), Some(value)) = (&call.callee, &call.value) else { return };
        let recipient = Origin::of(entry, to, false);
        let needs_open = if recipient.is_callers_choice() {
            Vec::new()
        } else if let Callee::Stored(keys) = callee(entry, call) {
            keys
        } else {
            return;
        };
        let amount = Origin::of(entry, value, true);
        // A fixed or stored amount to whoever calls is a reward for the call.
        let is_reward = recipient.sender && !recipient.data && !amount.data && !amount.balance;
        // Whoever paid in with this very call is owed something; routers give back what is left.
        let is_refund = amount.value || (summary.is_payable && amount.balance);
        if is_reward || is_refund || amount.external || amount.unknown || self.keeps_records() {
            return;
        }
        if self.comes_after_foreign_effects(at) || self.is_held_back(at, to) || self.is_paid_for(at)
        {
            return;
        }
        self.push(HazardKind::EtherToChosen, at, statement, Some(needs_open), out);
    }

    /// State of the caller's own, or that the caller picks, is read or written: a claim that may be theirs.
    fn keeps_records(&self) -> bool {
        let entry = self.entry;
        entry.statements().any(|(_, statement)| {
            let (StatementKind::Load { place, .. } | StatementKind::Store { place, .. }) =
                &statement.kind
            else {
                return false;
            };
            let mut is_theirs = false;
            place.each_operand(&mut |key| {
                let origin = Origin::of(entry, key, true);
                is_theirs |= origin.sender || origin.data || origin.signer || origin.unknown;
            });
            is_theirs || matches!(place.root, Root::Reference(_))
        })
    }

    fn comes_after_foreign_effects(&self, at: At) -> bool {
        self.entry.statements().any(|(other, statement)| {
            let StatementKind::Call(call) = &statement.kind else { return false };
            let changes = matches!(
                call.kind,
                CallKind::External { is_view: false, .. }
                    | CallKind::DelegateCall
                    | CallKind::Internal(..)
                    | CallKind::Pointer(_)
                    | CallKind::Unresolved(_)
                    | CallKind::New(_)
            ) || (call.kind == CallKind::LowLevel && call.value.is_none());
            changes && other != at && self.forward(other.block).contains(at.block.index())
        })
    }

    /// The way to the statement depends on ether that came with the call, or everything is undone by it afterwards.
    fn is_paid_for(&self, at: At) -> bool {
        let graph = &self.entry.view.body.graph;
        self.conditions(at.block).iter().any(|origin| origin.value)
            || self.forward(at.block).iter().map(NodeIndex::new).any(|block| {
                matches!(&graph[block].end, End::Branch { condition, .. }
                    if Origin::of(self.entry, condition, false).value)
                    && self.entry.successors(block).iter().any(|(_, next)| !self.ends_well(*next))
            })
    }

    pub(in crate::facts) fn conditions(&self, block: NodeIndex) -> Vec<Origin> {
        let graph = &self.entry.view.body.graph;
        // What is decided after the statement decides, in a loop, only about the next round.
        let after = self.forward(block);
        self.controllers(block)
            .iter()
            .filter(|block| !after.contains(block.index()))
            .filter_map(|block| match &graph[*block].end {
                End::Branch { condition, .. } => Some(Origin::of(self.entry, condition, true)),
                _ => None,
            })
            .collect()
    }

    /// Something other than authority keeps strangers from choosing `what` freely: everything is undone
    /// afterwards, it happens once, it runs only inside of another contract's storage, or what they chose is
    /// compared with what the contract or another one knows.
    pub(super) fn is_held_back(&mut self, at: At, what: &Operand) -> bool {
        if !self.ends_well(at.block) || self.is_one_shot(at) || self.is_claimed(at) {
            return true;
        }
        let chosen = Origin::of(self.entry, what, true);
        let calls_undeclared = self.entry.statements().any(|(_, statement)| {
            matches!(&statement.kind, StatementKind::Call(call) if matches!(call.kind, CallKind::Internal(..) | CallKind::Unresolved(_) | CallKind::Pointer(_)))
        });
        calls_undeclared
            || self.conditions(at.block).iter().any(|origin| {
                let is_about_it = !origin.params.is_disjoint(&chosen.params)
                    || chosen.params.is_empty() && origin.data;
                let knows = !origin.loads.is_empty() || origin.external || origin.fixed;
                let is_foreign_storage = origin.this && origin.fixed;
                let is_secret = origin.hashed;
                let is_unknown = origin.unknown;
                let is_callers_identity = origin.sender && (knows || origin.data);
                (is_about_it && knows)
                    || is_foreign_storage
                    || is_secret
                    || is_unknown
                    || is_callers_identity
            })
    }

    /// The account that is taken from was asked before: another contract was told of it.
    fn has_permit(&self, at: At, from: &Operand) -> bool {
        let chosen = Origin::of(self.entry, from, true);
        self.entry.statements().any(|(other, statement)| {
            let StatementKind::Call(call) = &statement.kind else { return false };
            other != at
                && matches!(
                    call.kind,
                    CallKind::External { .. } | CallKind::LowLevel | CallKind::StaticCall
                )
                && self.forward(other.block).contains(at.block.index())
                && call.args.iter().any(|arg| {
                    !Origin::of(self.entry, arg, true).params.is_disjoint(&chosen.params)
                })
        })
    }

    pub(super) fn is_zero(&self, operand: &Operand) -> bool {
        matches!(self.entry.canonical(operand), Operand::Constant(constant)
            if constant_value(self.entry.program, &constant) == Some(Known::Number(U256::ZERO)))
    }

    /// Whether it is written down how much ether came.
    pub(in crate::facts) fn counts_ether(&self) -> bool {
        self.entry.statements().any(|(at, statement)| match &statement.kind {
            StatementKind::Store { value, .. } => {
                self.constants.reaches(at.block) && Origin::of(self.entry, value, false).value
            }
            _ => false,
        })
    }

    fn is_sum_with_value(&self, operand: &Operand) -> bool {
        let Operand::Local(id) = self.entry.canonical(operand) else { return false };
        let sum = self.entry.only_definition(id).map(|statement| &statement.kind);
        let Some(StatementKind::Assign {
            value:
                Rvalue::Binary(BinaryOp::Add, left, right)
                | Rvalue::Wrapping(BinaryOp::Add, left, right),
            ..
        }) = sum
        else {
            return false;
        };
        [left, right]
            .into_iter()
            .any(|side| self.entry.canonical(side) == Operand::Environment(Environment::Value))
    }

    /// Whether anything but copying is done with a local.
    pub(super) fn is_used(&self, local: LocalId) -> bool {
        let entry = self.entry;
        let body = &entry.view.body;
        let mut seen = BTreeSet::new();
        let mut open = vec![local];
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            if body.returns.contains(&id) {
                return true;
            }
            let whole = Operand::Local(id);
            for &block in &entry.readers[id.index()] {
                if matches!(&body.graph[block].end, End::Branch { condition, .. } if *condition == whole)
                {
                    return true;
                }
                for statement in &body.graph[block].statements {
                    let mut reads = false;
                    statement.each_operand(&mut |operand| reads |= *operand == whole);
                    match &statement.kind {
                        _ if !reads => {}
                        StatementKind::Assign { target, .. } => open.push(*target),
                        _ => return true,
                    }
                }
            }
        }
        false
    }

    fn origin_checks(&mut self, out: &mut Vec<Candidate>) {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        // Nobody signs as the zero address: whoever asks for it tells simulations from transactions.
        let is_simulated = entry.statements().any(|(_, statement)| match &statement.kind {
            StatementKind::Assign {
                value: Rvalue::Binary(BinaryOp::Eq | BinaryOp::Ne, left, right),
                ..
            } => [(left, right), (right, left)].iter().any(|(who, zero)| {
                entry.canonical(who) == Operand::Environment(Environment::Origin)
                    && self.is_zero(zero)
            }),
            _ => false,
        });
        for block in graph.node_indices() {
            if !self.constants.reaches(block) {
                continue;
            }
            let End::Branch { condition, .. } = &graph[block].end else { continue };
            let Operand::Local(id) = condition else { continue };
            let origin = Origin::of(entry, condition, true);
            let is_authority = origin.signer
                && !origin.sender
                && (!origin.loads.is_empty() || origin.fixed)
                && !is_simulated;
            let Some(at) = entry.definitions[id.index()].first() else { continue };
            if is_authority {
                let statement = entry.statement(*at);
                self.push(HazardKind::OriginCheck, *at, statement, None, out);
            }
        }
    }
}
