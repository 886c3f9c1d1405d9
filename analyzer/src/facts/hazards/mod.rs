//! Single statements that do harm on their own, where the way to them holds nobody back.
//!
//! Each file beside this one finds the hazards of one subject in one view; here they are held against the other
//! entry points of the contract.

mod allowances;
mod arithmetic;
mod authority;
mod bodies;
mod casts;
mod chance;
mod claims;
mod clock;
mod comparisons;
mod declared;
mod initialisers;
mod loops;
mod markets;
mod money;
mod overflow;
mod prices;
mod reach;
mod sets;
mod shares;
mod signatures;
mod signed;
mod suspects;
mod terms;

pub(in crate::facts) use authority::Authority;

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use ruint::aliases::U256;

use super::callee::Callee;
use super::constants::{Known, constant_value};
use super::entry::{At, Entry, StateKey};
use super::summary::{Guard, Summary, site};
use super::work::Work;
use super::{EntryPoint, Facts};
use crate::cfg::*;
use crate::hir::{ContractId, FunctionId};
use crate::syntax::Span;
use crate::syntax::ast::{ContractKind, FunctionKind, Visibility};

/// What is wrong at a [`Hazard`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HazardKind {
    /// `delegatecall` to code that the caller chooses.
    DelegateToChosen,
    /// A write, by anyone, of the address that `delegatecall` runs.
    OpenUpgrade,
    /// Whoever comes first becomes the authority over an implementation that can destroy or replace itself.
    OpenInitialiser,
    /// Whoever comes first chooses the code that the contract runs.
    OpenCode,
    /// Whoever comes first becomes the authority over a contract.
    FirstComer,
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
    /// A quotient is multiplied.
    DivisionFirst,
    /// `^` between two numbers.
    CaretForPower,
    /// The operands of a shift in assembly are swapped.
    SwappedShift,
    /// Packed bytes of several texts are hashed.
    PackedTexts,
    /// A comparison that always gives the same.
    Tautology,
    /// A value compared with itself.
    SelfComparison,
    /// A decision by a constant.
    ConstantDecision,
    /// A balance must be exactly something.
    ExactBalance,
    /// Chance made of what the block's producer knows.
    WeakChance,
    /// A loop over a list that anyone can make longer.
    UnboundedLoop,
    /// A list that anyone can make longer is emptied as a whole.
    ClearedList,
    /// A call in a loop whose failure undoes all rounds.
    CallInLoop,
    /// The same storage is written in every round of a loop.
    WriteInLoop,
    /// The length of a list in storage is read in every round of a loop.
    LengthInLoop,
    /// All that a stranger's contract answers is copied, although its gas was limited.
    ReturnBomb,
    /// A privileged write without a check of who calls.
    OpenAuthority,
    /// A signature that can be used again.
    SignatureReplay,
    /// The account recovered from a signature may be the zero account.
    ZeroSigner,
    /// A call whose target and data the caller chooses.
    ArbitraryCall,
    /// Tokens taken from an account that the caller chooses, after a permit that a token may ignore.
    PermitFromChosen,
    /// What a pool or a lender calls back can be called by anyone.
    OpenCallback,
    /// Arithmetic on the caller's numbers that wraps around without a word.
    Overflow,
    /// The answer of a price feed is used whatever its age.
    StalePrice,
    /// A swap takes whatever it gets.
    NoLeastAmount,
    /// A trade may be made at any later time.
    NoDeadline,
    /// What a pool holds at this moment is used as a price.
    SpotPrice,
    /// The first shares can be made worth more than what later depositors bring.
    ShareInflation,
    /// A deposit is credited by what was asked for, whatever arrived.
    CreditedByArgument,
    /// Votes are counted by what the voter holds at this moment.
    BorrowedVotes,
    /// What is kept for the caller is paid out and stays.
    RepeatedClaim,
    /// A payment that the payee can refuse, and with it everything else.
    GriefablePayment,
    /// A reward for an answer that can be copied on its way.
    CopiedAnswer,
    /// The caller sets the length of a list in storage.
    ChosenLength,
    /// A local that is read but never set.
    NeverSet,
    /// A reference that points nowhere in particular is written through.
    NowhereReference,
    /// A call that ends everything where its caller goes on.
    NoReturn,
    /// A copy of storage is changed and dropped.
    LostCopy,
    /// State is overwritten before anything can have read it.
    Overwritten,
    /// Two messages to another chain that may arrive in any order.
    UnorderedTickets,
    /// Elements are passed over while others are taken out of the list.
    SkippedElement,
    /// How sure a price is was not looked at.
    UnsurePrice,
    /// A question about a price that its feed no longer supports.
    OldPriceQuestion,
    /// Whether there was a price at all was not looked at.
    MissingPrice,
    /// The upper part of an amount is cut off.
    CutNumber,
    /// A signature that counts on other chains or for other contracts, too.
    ForeignSignature,
    /// A signature that counts for ever.
    LastingSignature,
    /// A signature that is told from others by its bytes, of which there are two for each.
    MalleableSignature,
    /// The answer of a call is thrown away.
    UnusedAnswer,
    /// A struct with a mapping is deleted, which stays.
    MappingStays,
    /// A variable that is read but never written.
    NeverWritten,
    /// A token function with another answer than its standard has.
    WrongInterface,
    /// An allowance is replaced by another, of which both can be spent.
    AllowanceRace,
    /// A few seconds of the block's time decide who is paid.
    ClockDecides,
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
    /// What it is about, in the words of the source.
    pub detail: String,
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
    detail: String,
    /// What else the contract must do for harm to come of it.
    needs: Need,
}

/// What other entry points of the contract must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// Let anyone make a list longer.
    GrowingList,
    /// Take tokens from their callers, who must have allowed that.
    Allowances,
    /// Never write the state.
    Unwritten,
    /// Write the state, too.
    ChangedElsewhere,
    /// Not trade with a pool.
    NoTrade,
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
    /// A hazard at a statement; `needs_open` is `None` where it does not matter who gets there.
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
            detail: String::new(),
            needs: Need::Nothing,
        });
    }

    /// A hazard in what is computed, whoever comes there; `detail` is what it is about.
    fn flaw(
        &self,
        kind: HazardKind,
        statement: &Statement,
        detail: String,
        out: &mut Vec<Candidate>,
    ) {
        let view = self.entry.view;
        let frame = statement.frame;
        out.push(Candidate {
            kind,
            function: view.frames[frame.0 as usize].function,
            span: statement.span,
            path: view.path(frame),
            guard: None,
            needs_open: Vec::new(),
            detail,
            needs: Need::Nothing,
        });
    }

    /// What is wrong with what the view computes, whether or not it changes anything.
    fn flaws(&mut self) -> Vec<Candidate> {
        let mut out = Vec::new();
        self.arithmetic(&mut out);
        self.comparisons(&mut out);
        self.chance(&mut out);
        self.zero_signers(&mut out);
        self.overflows(&mut out);
        self.markets(&mut out);
        out
    }

    /// The source text of a statement.
    fn text(&self, statement: &Statement) -> &str {
        self.entry.program.text(statement.span)
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
        let mut found: BTreeMap<(HazardKind, Span), Hazard> = BTreeMap::new();
        let mut ether: BTreeMap<ContractId, Vec<&Summary>> = BTreeMap::new();
        for summary in self.summaries() {
            ether.entry(summary.contract).or_default().push(summary);
        }
        for (point, is_partial, one) in self.flaws_aside(&self.suspects(self.asides())) {
            found.entry((one.kind, one.span)).or_insert_with(|| Hazard {
                kind: one.kind,
                contract: point.contract,
                entry: point.function,
                function: one.function,
                span: one.span,
                path: one.path,
                partial: is_partial,
                detail: one.detail,
            });
        }
        let mut found_declared = Vec::new();
        let mut add = |summary: &Summary, kind, function, span, path: &[Span], detail: &str| {
            found.entry((kind, span)).or_insert_with(|| Hazard {
                kind,
                contract: summary.contract,
                entry: summary.function,
                function,
                span,
                path: path.to_vec(),
                partial: summary.is_partial,
                detail: detail.to_owned(),
            });
        };
        for summary in self.summaries() {
            let siblings = &ether[&summary.contract];
            let open = self.open(summary.contract);
            for one in &summary.hazards {
                let is_guarded =
                    one.guard.as_ref().is_some_and(|guard| self.holds(summary.contract, guard));
                let is_open = match one.needs {
                    Need::GrowingList => {
                        one.needs_open.iter().any(|key| open.growing.contains(key))
                    }
                    Need::Allowances => siblings.iter().any(|other| other.takes_tokens),
                    Need::Unwritten => !siblings.iter().any(|other| {
                        other.writes.iter().any(|write| one.needs_open.contains(&write.variable))
                    }),
                    Need::ChangedElsewhere => siblings.iter().any(|other| {
                        other.function != summary.function
                            && other
                                .writes
                                .iter()
                                .any(|write| one.needs_open.contains(&write.variable))
                    }),
                    Need::NoTrade => !self.trades(summary.contract),
                    Need::Nothing => {
                        // Who pays to be the one that is paid takes part in what the contract is for.
                        let accounts = match one.kind {
                            HazardKind::EtherToChosen => &open.free_accounts,
                            _ => &open.accounts,
                        };
                        one.needs_open.is_empty()
                            || one.needs_open.iter().any(|key| accounts.contains(key))
                    }
                };
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
                    add(summary, one.kind, one.function, one.span, &one.path, &one.detail);
                }
            }
        }
        for (kind, contract, function, span, detail) in self.declared_flaws() {
            found_declared.push((
                kind,
                span,
                Hazard {
                    kind,
                    contract,
                    entry: function,
                    function,
                    span,
                    path: Vec::new(),
                    partial: false,
                    detail,
                },
            ));
        }
        self.find_upgrades(&mut add);
        self.find_open_authority(&mut add);
        self.find_initialisers(&mut add);
        self.find_first_comers(&mut add);
        self.find_allowance_races(&mut add);
        let bases = self.bases();
        for (contract, summaries) in &ether {
            let is_whole = summaries.iter().all(|summary| !summary.is_partial)
                && !self.program.contract(*contract).has_unknown_base
                && self.program.contract(*contract).kind == ContractKind::Contract
                && !bases.contains(contract);
            if is_whole
                && summaries.iter().all(|summary| !summary.ether.goes_out)
                && let Some(summary) = summaries.iter().find(|summary| summary.ether.comes_in)
            {
                let span = self.program.function_name_span(summary.function);
                add(summary, HazardKind::LockedEther, summary.function, span, &[], "");
            }
        }
        for (kind, span, hazard) in found_declared {
            found.entry((kind, span)).or_insert(hazard);
        }
        found.into_values().collect()
    }

    /// Functions that no entry point runs as they stand: views, constructors, and what nobody calls.
    pub(super) fn asides(&self) -> Vec<EntryPoint> {
        let entered: BTreeSet<FunctionId> =
            self.entries.iter().map(|point| point.function).collect();
        self.program
            .function_ids()
            .filter(|id| !entered.contains(id))
            .filter_map(|function| {
                let declared = self.program.function(function);
                let is_function =
                    matches!(declared.kind, FunctionKind::Function | FunctionKind::Constructor);
                let contract = declared.contract.or_else(|| self.program.contract_ids().next())?;
                let is_alone =
                    matches!(declared.visibility, Visibility::Public | Visibility::External)
                        || !self.called().contains(&function);
                (is_function && is_alone).then_some(EntryPoint { contract, function })
            })
            .collect()
    }

    /// The points that run some body that looks as if something could be wrong with it.
    pub(super) fn suspects(&self, points: Vec<EntryPoint>) -> Vec<EntryPoint> {
        let is_suspect: Vec<bool> = self
            .bodies
            .par_iter()
            .map(|body| body.as_ref().is_some_and(|body| suspects::is_suspect(self.program, body)))
            .collect();
        let shapes = self.shapes();
        let may_be_flawed = |point: &EntryPoint| {
            let shape = shapes.shape(point.contract, point.function);
            shape.iter().any(|id| is_suspect[id.index()])
        };
        points.into_par_iter().filter(may_be_flawed).collect()
    }

    /// What is wrong in views of `points`, whoever runs them.
    pub(super) fn flaws_aside(&self, points: &[EntryPoint]) -> Vec<(EntryPoint, bool, Candidate)> {
        points
            .par_iter()
            .flat_map_iter(|&point| {
                let Some(view) = self.view(point) else { return Vec::new() };
                let entry = Entry::new(self.program, &view);
                let is_partial = view.is_truncated || view.body.is_partial;
                let mut work = Work::new(&entry);
                let mut flaws = work.flaws();
                work.spot_answers(&mut flaws);
                flaws.retain(|one| one.needs != Need::NoTrade || !self.trades(point.contract));
                flaws.into_iter().map(|one| (point, is_partial, one)).collect()
            })
            .collect()
    }

    /// Functions that some body names.
    fn called(&self) -> &BTreeSet<FunctionId> {
        self.called.get_or_init(|| {
            let mut called = BTreeSet::new();
            let bodies = self.bodies.iter().flatten();
            for statement in bodies
                .flat_map(|body| body.graph.node_weights())
                .flat_map(|block| &block.statements)
            {
                if let StatementKind::Call(call) = &statement.kind
                    && let CallKind::Internal(id, _) = call.kind
                {
                    called.insert(id);
                }
            }
            called
        })
    }

    /// The contracts that others derive from.
    fn bases(&self) -> BTreeSet<ContractId> {
        let contracts = self.program.contract_ids();
        contracts
            .flat_map(|id| {
                let order = self.program.contract(id).linearisation.iter().copied();
                order.filter(move |base| *base != id)
            })
            .collect()
    }

    /// Writes, by anyone, of what `delegatecall` runs.
    fn find_upgrades(
        &self,
        add: &mut impl FnMut(&Summary, HazardKind, FunctionId, Span, &[Span], &str),
    ) {
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
                    && !self.holds(summary.contract, &write.guard)
                {
                    add(
                        summary,
                        HazardKind::OpenUpgrade,
                        write.function,
                        write.span,
                        &write.path,
                        "",
                    );
                }
            }
        }
    }

    /// The slots of ERC-1967 that say which code a proxy runs: of the implementation and of the beacon.
    pub(super) fn is_proxy_slot(&self, key: &StateKey) -> bool {
        let StateKey::Slot(constant, _, false) = key else { return false };
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
        add: &mut impl FnMut(&Summary, HazardKind, FunctionId, Span, &[Span], &str),
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
            let mut writes = summary.writes.iter();
            let first = writes.find(|write| {
                write.is_one_shot && write.is_callers && power.contains(&write.variable)
            });
            if let Some(write) = first
                && self.constructed(summary.contract).is_disjoint(&summary.reads)
            {
                add(
                    summary,
                    HazardKind::OpenInitialiser,
                    write.function,
                    write.span,
                    &write.path,
                    "",
                );
            }
        }
    }

    /// State that is written when the contract is made.
    pub(super) fn constructed(&self, contract: ContractId) -> BTreeSet<StateKey> {
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
