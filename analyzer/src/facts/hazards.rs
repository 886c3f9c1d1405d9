//! Single statements that do harm on their own, where the way to them holds nobody back.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::NodeIndex;
use ruint::aliases::U256;

use super::constants::{Known, constant_value};
use super::entry::{At, Entry, StateKey};
use super::origin::Origin;
use super::summary::{Callee, Guard, Summary, Work, callee, site};
use super::{EntryPoint, Facts, is_guarded};
use crate::cfg::*;
use crate::hir::{ContractId, FunctionId, Type};
use crate::syntax::Span;
use crate::syntax::ast::{BinaryOp, ContractKind, FunctionKind};

/// What is wrong at a [`Hazard`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HazardKind {
    /// `delegatecall` to code that the caller chooses.
    DelegateToChosen,
    /// A write, by anyone, of the address that `delegatecall` runs.
    OpenUpgrade,
    /// Whoever comes first becomes the authority over an implementation that can destroy or replace itself.
    OpenInitialiser,
    /// Ether of the contract sent to an account that the caller chooses.
    EtherToChosen,
    /// The signer of the transaction decides who may act.
    OriginCheck,
    /// The success of a low-level call is not looked at.
    UncheckedCall,
    /// The success of `send` is not looked at.
    UncheckedSend,
    /// The answer of a token's `transfer` or `transferFrom` is not looked at.
    UncheckedTransfer,
    /// Tokens taken from an account that the caller chooses.
    TokensFromChosen,
    /// The ether of one call counted once in each round of a loop.
    ValueInLoop,
    /// Code that counts the ether of the call, run again and again by `delegatecall`.
    DelegateInLoop,
    /// Ether comes in and has no way out.
    LockedEther,
}

/// A statement that does harm, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hazard {
    /// What is wrong.
    pub kind: HazardKind,
    /// The contract whose entry point it is.
    pub contract: ContractId,
    /// The entry point: a public or external function.
    pub entry: FunctionId,
    /// The function that holds the statement.
    pub function: FunctionId,
    /// The statement.
    pub span: Span,
    /// The calls from the entry point to `function`, outermost first.
    pub path: Vec<Span>,
    /// Some of what runs could not be read or resolved.
    pub partial: bool,
}

/// A hazard of one entry point, before anything is known of the others.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    kind: HazardKind,
    function: FunctionId,
    span: Span,
    path: Vec<Span>,
    /// `None` where it does not matter who gets there.
    guard: Option<Guard>,
    /// The harm needs a stranger who can write this state; empty where the caller chooses directly.
    needs_open: Vec<StateKey>,
}

/// How ether moves in one entry point.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ether {
    /// Anyone can send ether here.
    pub(crate) comes_in: bool,
    /// Some statement can send ether on, or runs foreign code that can.
    pub(crate) goes_out: bool,
    /// State is written by how much ether came.
    pub(crate) is_counted: bool,
}

impl Work<'_, '_> {
    /// The hazards of the view, and how ether moves in it.
    pub(crate) fn hazards(&mut self, summary: &Summary) -> (Vec<Candidate>, Ether) {
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
        (out, ether)
    }

    fn push(
        &mut self,
        kind: HazardKind,
        at: At,
        statement: &Statement,
        needs_open: Option<Vec<StateKey>>,
        out: &mut Vec<Candidate>,
    ) {
        let guard = needs_open.is_some().then(|| self.guard(at));
        let site = site(self.entry.program, self.entry.view, statement);
        out.push(Candidate {
            kind,
            function: site.function,
            span: site.span,
            path: site.path,
            guard,
            needs_open: needs_open.unwrap_or_default(),
        });
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
                && !self.has_permit(at, from)
            {
                self.push(HazardKind::TokensFromChosen, at, statement, Some(Vec::new()), out);
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

    /// The way to the statement depends on ether that came with the call.
    fn is_paid_for(&self, at: At) -> bool {
        self.conditions(at.block).iter().any(|origin| origin.value)
    }

    fn conditions(&self, block: NodeIndex) -> Vec<Origin> {
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
    fn is_held_back(&mut self, at: At, what: &Operand) -> bool {
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

    fn is_zero(&self, operand: &Operand) -> bool {
        matches!(self.entry.canonical(operand), Operand::Constant(constant)
            if constant_value(self.entry.program, &constant) == Some(Known::Number(U256::ZERO)))
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
    fn is_used(&self, local: LocalId) -> bool {
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

impl Facts<'_> {
    /// Statements that do harm on their own, one entry per kind and statement, in order of kind and place.
    pub fn hazards(&self, kind: HazardKind) -> impl Iterator<Item = &Hazard> {
        self.hazards
            .get_or_init(|| self.find_hazards())
            .iter()
            .filter(move |hazard| hazard.kind == kind)
    }

    fn find_hazards(&self) -> Vec<Hazard> {
        let open = self.open_variables();
        let mut found: BTreeMap<(HazardKind, Span), Hazard> = BTreeMap::new();
        let mut ether: BTreeMap<ContractId, Vec<&Summary>> = BTreeMap::new();
        for summary in self.summaries() {
            ether.entry(summary.contract).or_default().push(summary);
        }
        let mut add = |summary: &Summary, kind, function, span, path: &[Span]| {
            found.entry((kind, span)).or_insert_with(|| Hazard {
                kind,
                contract: summary.contract,
                entry: summary.function,
                function,
                span,
                path: path.to_vec(),
                partial: summary.is_partial,
            });
        };
        for summary in self.summaries() {
            let siblings = &ether[&summary.contract];
            for one in &summary.hazards {
                let is_guarded = one.guard.as_ref().is_some_and(|guard| is_guarded(guard, open));
                let is_open = one.needs_open.is_empty()
                    || one.needs_open.iter().any(|key| self.open_accounts().contains(key));
                let has_company = match one.kind {
                    // Ether that only passes through is nobody's.
                    HazardKind::EtherToChosen => siblings
                        .iter()
                        .any(|other| other.is_payable && other.function != summary.function),
                    HazardKind::DelegateInLoop => {
                        siblings.iter().any(|other| other.ether.is_counted)
                    }
                    _ => true,
                };
                if !is_guarded && is_open && has_company {
                    add(summary, one.kind, one.function, one.span, &one.path);
                }
            }
        }
        self.find_upgrades(&mut add);
        self.find_initialisers(&mut add);
        for (contract, summaries) in &ether {
            let is_whole = summaries.iter().all(|summary| !summary.is_partial)
                && !self.program.contract(*contract).has_unknown_base
                && self.program.contract(*contract).kind == ContractKind::Contract
                && !self.is_base(*contract);
            if is_whole
                && summaries.iter().all(|summary| !summary.ether.goes_out)
                && let Some(summary) = summaries.iter().find(|summary| summary.ether.comes_in)
            {
                let span = self.program.function_name_span(summary.function);
                add(summary, HazardKind::LockedEther, summary.function, span, &[]);
            }
        }
        found.into_values().collect()
    }

    fn is_base(&self, contract: ContractId) -> bool {
        self.program.contract_ids().any(|other| {
            other != contract && self.program.contract(other).linearisation.contains(&contract)
        })
    }

    /// Writes, by anyone, of what `delegatecall` runs.
    fn find_upgrades(&self, add: &mut impl FnMut(&Summary, HazardKind, FunctionId, Span, &[Span])) {
        let mut run: BTreeSet<&StateKey> = BTreeSet::new();
        for call in self.summaries().iter().flat_map(|summary| &summary.calls) {
            if let (true, Callee::Stored(keys)) = (call.is_delegate, &call.callee) {
                run.extend(keys);
            }
        }
        for summary in self.summaries() {
            for write in &summary.writes {
                let is_run = write.is_account
                    && (run.contains(&write.variable) || self.is_proxy_slot(&write.variable));
                if is_run
                    && write.is_chosen
                    && !write.is_one_shot
                    && !is_guarded(&write.guard, self.open_variables())
                {
                    add(summary, HazardKind::OpenUpgrade, write.function, write.span, &write.path);
                }
            }
        }
    }

    /// The slots of ERC-1967 that say which code a proxy runs: of the implementation and of the beacon.
    fn is_proxy_slot(&self, key: &StateKey) -> bool {
        let StateKey::Slot(constant, _) = key else { return false };
        let Some(Known::Number(slot)) = constant_value(self.program, constant) else {
            return false;
        };
        [
            "360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc",
            "a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50",
        ]
        .iter()
        .any(|hex| U256::from_str_radix(hex, 16) == Ok(slot))
    }

    /// One-time writes, by anyone, of the authority over a `delegatecall` or `selfdestruct`, that no
    /// constructor has used up.
    fn find_initialisers(
        &self,
        add: &mut impl FnMut(&Summary, HazardKind, FunctionId, Span, &[Span]),
    ) {
        let mut power: BTreeMap<ContractId, BTreeSet<&StateKey>> = BTreeMap::new();
        for summary in self.summaries() {
            let guards = summary
                .calls
                .iter()
                .filter(|call| call.is_delegate && call.callee != Callee::Fixed)
                .map(|call| &call.guard)
                .chain(summary.destructs.iter().map(|site| &site.guard));
            power
                .entry(summary.contract)
                .or_default()
                .extend(guards.flat_map(|guard| &guard.rests_on));
        }
        for summary in self.summaries() {
            let Some(power) = power.get(&summary.contract).filter(|power| !power.is_empty()) else {
                continue;
            };
            // A proxy that gets its code together with its owner holds nothing before.
            if summary.writes.iter().any(|write| self.is_proxy_slot(&write.variable)) {
                continue;
            }
            for write in &summary.writes {
                if write.is_one_shot
                    && write.is_callers
                    && power.contains(&write.variable)
                    && self.constructed(summary.contract).is_disjoint(&summary.reads)
                {
                    add(
                        summary,
                        HazardKind::OpenInitialiser,
                        write.function,
                        write.span,
                        &write.path,
                    );
                }
            }
        }
    }

    /// State that is written when the contract is made.
    fn constructed(&self, contract: ContractId) -> BTreeSet<StateKey> {
        let mut out = BTreeSet::new();
        for &base in &self.program.contract(contract).linearisation {
            for &variable in &self.program.contract(base).variables {
                if self.program.variable(variable).init.is_some() {
                    out.extend(StateKey::of_variable(self.program, variable));
                }
            }
            for &function in &self.program.contract(base).functions {
                if self.program.function(function).kind != FunctionKind::Constructor {
                    continue;
                }
                let Some(view) = self.view(EntryPoint { contract, function }) else { continue };
                let entry = Entry::new(self.program, &view);
                for (at, statement) in entry.statements() {
                    if matches!(statement.kind, StatementKind::Store { .. }) {
                        let places = entry.accessed(at).iter();
                        out.extend(places.flat_map(|place| StateKey::of(self.program, place)));
                    }
                }
            }
        }
        out
    }
}
