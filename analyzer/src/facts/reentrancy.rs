//! One theory, many faces: what a contract that is called in the middle of a function can see or do out of order.
//!
//! What the calls of one entry point leave half done is told by its summary; here the entry points of a contract
//! are held against one another.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::bits::Bits;
use super::calls::Heirs;
use super::constants::{Constants, Storage};
use super::entry::{At, Entry, StateKey, source};
use super::summary::{Late, Lock, OutCall, Stale, Summary};
use super::work::Work;
use super::{EntryPoint, Facts};
use crate::cfg::*;
use crate::hir::{ContractId, FunctionId};
use crate::syntax::Span;
use crate::syntax::ast::BinaryOp;

/// How state is seen or changed out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReentrancyFace {
    /// The entry point itself can be entered again: what decided about the call is written after it.
    Same,
    /// A lock holds the entry point, but not another one that uses the same state.
    Sibling,
    /// A balance is measured before and after a call during which others can be paid.
    Balance,
    /// A view mixes what is already written with what is not.
    View,
    /// State that decided nothing is written after the call, or only a chosen account makes the call.
    Late,
    /// An event is emitted after the call.
    Event,
}

/// A call that lets another contract run, and what is written after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reentrancy {
    /// What can happen.
    pub face: ReentrancyFace,
    /// The function that is entered during the call, where it is another one.
    pub other: Option<FunctionId>,
    /// The contract whose entry point it is; the first of `contracts`.
    pub contract: ContractId,
    /// The entry point: a public or external function.
    pub entry: FunctionId,
    /// The function that makes the call.
    pub function: FunctionId,
    /// The external call.
    pub call_span: Span,
    /// Its source text.
    pub call_text: String,
    /// The read, before the call, of the state that is stale after it.
    pub read_span: Span,
    /// The write after the call.
    pub write_span: Span,
    /// The state that is read and written: `balances[]`, `users[].amount`.
    pub variable: String,
    /// A lock keeps the entry point from being entered again before the write.
    pub locked: bool,
    /// Only a chosen account can make the call.
    pub guarded: bool,
    /// The call sends ether.
    pub sends_value: bool,
    /// The calls from the entry point to the function that makes the external call, outermost first.
    pub path: Vec<Span>,
    /// All contracts in whose code this happens, in order of declaration.
    pub contracts: Vec<ContractId>,
    /// Some of what runs could not be read or resolved.
    pub partial: bool,
}

impl Facts<'_> {
    pub(super) fn find_reentrancies(&self) -> Vec<Reentrancy> {
        let mut found: BTreeMap<Span, Reentrancy> = BTreeMap::new();
        for summary in self.summaries() {
            for call in &summary.calls {
                let Some(stale) = call.stale.first() else { continue };
                if !self.is_strangers(summary.contract, &call.callee) {
                    continue;
                }
                let mut new = self.describe(summary, call, ReentrancyFace::Same);
                // A right that is used up by the call, but only after it, holds nobody back during it.
                let is_used_up = |stale: &&Stale| {
                    stale.is_callers_own
                        && !call.guard.rests_on.is_empty()
                        && call.guard.rests_on.iter().all(|key| stale.keys.contains(key))
                };
                let used_up = call.stale.iter().find(is_used_up);
                let stale = used_up.unwrap_or(stale);
                new.guarded &= used_up.is_none();
                new.read_span = stale.read;
                new.write_span = stale.write;
                new.variable.clone_from(&stale.variable);
                if new.locked
                    && !new.guarded
                    && let Some((stale, other)) = call.stale.iter().find_map(|stale| {
                        Some((stale, self.open_sibling(summary, call, &stale.keys)?))
                    })
                {
                    new.face = ReentrancyFace::Sibling;
                    new.other = Some(other);
                    new.locked = false;
                    new.read_span = stale.read;
                    new.write_span = stale.write;
                    new.variable.clone_from(&stale.variable);
                }
                match found.get_mut(&call.span) {
                    None => {
                        found.insert(call.span, new);
                    }
                    // What is reachable without a lock or a guard is what counts.
                    Some(known) if (known.locked, known.guarded) > (new.locked, new.guarded) => {
                        *known = new
                    }
                    Some(known) if (known.locked, known.guarded) == (new.locked, new.guarded) => {
                        known.contracts.push(summary.contract);
                    }
                    Some(_) => {}
                }
            }
        }
        self.find_stale_elsewhere(&mut found);
        let mut out: Vec<_> = found.into_values().collect();
        for finding in &mut out {
            finding.contracts.sort();
            finding.contracts.dedup();
        }
        out
    }

    /// Calls that are decided by state which another contract of the program keeps.
    fn find_stale_elsewhere(&self, found: &mut BTreeMap<Span, Reentrancy>) {
        let mut calls = self.summaries().iter().flat_map(|summary| {
            let calls = summary.calls.iter().filter(|call| !call.elsewhere.is_empty());
            calls.map(move |call| (summary, call))
        });
        let Some(first) = calls.next() else { return };
        let heirs = Heirs::of(self.program);
        for (summary, call) in std::iter::once(first).chain(calls) {
            if found.get(&call.span).is_some_and(|known| !known.locked && !known.guarded)
                || !self.is_strangers(summary.contract, &call.callee)
            {
                continue;
            }
            let Some(stale) = self.stale_elsewhere(summary, call, &heirs) else { continue };
            let mut new = self.describe(summary, call, ReentrancyFace::Same);
            new.read_span = stale.read;
            new.write_span = stale.write;
            new.variable = stale.variable;
            new.guarded &= !stale.is_right_used_up;
            // A lock of this contract keeps nobody from going to the other one.
            if let (true, Some(door)) = (new.locked, stale.door) {
                new.face = ReentrancyFace::Sibling;
                new.other = Some(door);
                new.locked = false;
            }
            found.insert(call.span, new);
        }
    }

    fn describe(&self, summary: &Summary, call: &OutCall, face: ReentrancyFace) -> Reentrancy {
        Reentrancy {
            face,
            other: None,
            contract: summary.contract,
            entry: summary.function,
            function: call.function,
            call_span: call.span,
            call_text: self.program.text(call.span).to_owned(),
            read_span: call.span,
            write_span: call.span,
            variable: String::new(),
            locked: self.lock_of(summary, call).is_some(),
            guarded: self.holds(summary.contract, &call.guard),
            sends_value: call.sends_value,
            path: call.path.clone(),
            contracts: vec![summary.contract],
            partial: summary.is_partial || call.is_undeclared,
        }
    }

    /// Another entry point of the contract that the lock of `call` does not keep out, and that does something by
    /// what it reads of `keys`.
    fn open_sibling(
        &self,
        summary: &Summary,
        call: &OutCall,
        keys: &[StateKey],
    ) -> Option<FunctionId> {
        let lock = self.lock_of(summary, call)?;
        self.summaries()
            .iter()
            .filter(|other| {
                other.contract == summary.contract
                    && other.function != summary.function
                    && !other.is_partial
                    && keys.iter().any(|key| other.reads.contains(key))
                    && !self.is_counted_by(&lock, other)
            })
            .find(|other| {
                let point = EntryPoint { contract: other.contract, function: other.function };
                self.acts_on(point, &lock, keys)
            })
            .map(|other| other.function)
    }

    /// Whether an entry point raises the counter that the lock compares, or asks the contract that keeps the lock.
    fn is_counted_by(&self, lock: &Lock, other: &Summary) -> bool {
        match lock {
            Lock::Counter(keys) => other.writes.iter().any(|write| keys.contains(&write.variable)),
            Lock::Elsewhere(gate) => self.asks_gate(other, *gate),
            Lock::State(_) => false,
        }
    }

    /// Whether anyone can, while `lock` is held, make the entry point do something by what it reads of `keys`.
    fn acts_on(&self, point: EntryPoint, lock: &Lock, keys: &[StateKey]) -> bool {
        let Some(view) = self.view(point) else { return false };
        let entry = Entry::new(self.program, &view);
        let mut work = Work::new(&entry);
        let run = Constants::run(&entry, storage_of(lock));
        let mut loads = Bits::default();
        for (index, load) in entry.loads.iter().enumerate() {
            let places = entry.accessed(*load);
            let is_it = places.iter().any(|place| {
                StateKey::of(self.program, place).iter().any(|key| keys.contains(key))
            });
            if is_it {
                loads.insert(source::FIRST_LOAD + index);
            }
        }
        // What is taken from the state by checked arithmetic must be there: everything else rests on it.
        let spends: Vec<_> = entry
            .statements()
            .filter(|(at, statement)| {
                let StatementKind::Store { value: Operand::Local(id), .. } = &statement.kind else {
                    return false;
                };
                run.reaches(at.block)
                    && entry.only_definition(*id).is_some_and(|statement| {
                        matches!(&statement.kind, StatementKind::Assign { value: Rvalue::Binary(BinaryOp::Sub, kept, _), .. }
                            if entry.operand_dependencies(kept).iter().any(|bit| loads.contains(bit)))
                    })
            })
            .map(|(at, _)| entry.accessed(at))
            .collect();
        entry.statements().any(|(at, statement)| {
            let mut bits = Bits::default();
            match &statement.kind {
                StatementKind::Store { value, .. } => entry.add_dependencies(value, &mut bits),
                StatementKind::Call(call) if !matches!(call.kind, CallKind::StaticCall) => {
                    for operand in call.args.iter().chain(&call.value) {
                        entry.add_dependencies(operand, &mut bits);
                    }
                }
                _ => return false,
            }
            if !run.reaches(at.block) {
                return false;
            }
            bits.union(&work.control_bits(at.block));
            // What is added to the state itself is no use made of it.
            let is_used = bits.iter().filter(|bit| loads.contains(*bit)).any(|bit| {
                let load = entry.loads[bit - source::FIRST_LOAD];
                entry.accessed(load) != entry.accessed(at)
            }) || spends.iter().any(|place| *place != entry.accessed(at));
            is_used && !self.holds(point.contract, &work.guard(at))
        })
    }

    pub(super) fn find_late_effects(&self) -> Vec<Reentrancy> {
        let stale: BTreeSet<Span> = self
            .reentrancies()
            .iter()
            .filter(|found| !found.locked && !found.guarded)
            .map(|found| found.call_span)
            .collect();
        let mut found: BTreeMap<(ReentrancyFace, Span), Reentrancy> = BTreeMap::new();
        let mut views = ViewAnswers::default();
        for summary in self.summaries() {
            for call in summary
                .calls
                .iter()
                .filter(|call| self.is_strangers(summary.contract, &call.callee))
            {
                let mut add = |face, fill: &dyn Fn(&mut Reentrancy)| {
                    found.entry((face, call.span)).or_insert_with(|| {
                        let mut new = self.describe(summary, call, face);
                        fill(&mut new);
                        new
                    });
                };
                let is_guarded = self.holds(summary.contract, &call.guard);
                if !is_guarded
                    && let Some((view, late)) = self.mixed_view(summary, call, &mut views)
                {
                    add(ReentrancyFace::View, &|new| {
                        new.other = Some(view);
                        new.write_span = late.write;
                        new.variable.clone_from(&late.variable);
                    });
                }
                if self.lock_of(summary, call).is_some() || stale.contains(&call.span) {
                    continue;
                }
                if let (false, Some((before, after))) = (is_guarded, call.balance) {
                    add(ReentrancyFace::Balance, &|new| {
                        new.read_span = before;
                        new.write_span = after;
                    });
                } else if let Some(stale) = call.stale.first() {
                    add(ReentrancyFace::Late, &|new| {
                        new.read_span = stale.read;
                        new.write_span = stale.write;
                        new.variable.clone_from(&stale.variable);
                    });
                } else if let (false, Some(late)) = (is_guarded, call.late.first()) {
                    add(ReentrancyFace::Late, &|new| {
                        new.write_span = late.write;
                        new.variable.clone_from(&late.variable);
                    });
                } else if let (false, Some(event)) = (is_guarded, call.event) {
                    add(ReentrancyFace::Event, &|new| new.write_span = event);
                }
            }
        }
        // One event a function is enough to say that its order cannot be relied upon.
        let mut told: BTreeSet<FunctionId> = BTreeSet::new();
        found
            .into_values()
            .filter(|found| found.face != ReentrancyFace::Event || told.insert(found.entry))
            .collect()
    }

    /// A view whose answer mixes state that is written after the call with state, or ether, that has changed before:
    /// whoever asks during the call gets a picture that was never true.
    fn mixed_view<'s>(
        &self,
        summary: &Summary,
        call: &'s OutCall,
        answers: &mut ViewAnswers,
    ) -> Option<(FunctionId, &'s Late)> {
        if call.late.is_empty() {
            return None;
        }
        let ViewAnswers { of_contract, of_shape } = answers;
        let known = of_contract.entry(summary.contract).or_insert_with(|| {
            let views = self.views.iter().filter(|view| view.contract == summary.contract);
            let answers = views.map(|view| {
                let shape = self.shapes().shape(view.contract, view.function);
                let same = of_shape.entry(shape).or_insert_with(|| self.answers_of(*view).into());
                (*view, Rc::clone(same))
            });
            answers.collect()
        });
        let mut known =
            known.iter().flat_map(|(view, answers)| answers.iter().map(move |one| (*view, one)));
        known.find_map(|(view, answer)| {
            let late = call
                .late
                .iter()
                .find(|late| late.keys.iter().any(|key| answer.reads.contains(key)))?;
            let is_late = |key: &StateKey| call.late.iter().any(|late| late.keys.contains(key));
            let is_mixed = answer.reads.iter().any(|key| call.early.contains(key) && !is_late(key))
                || (answer.balance && call.sends_value);
            if !is_mixed || self.is_shut(view, call.lock.as_ref()) {
                return None;
            }
            Some((view.function, late))
        })
    }

    /// What each answer of a view is made of.
    pub(super) fn answers_of(&self, point: EntryPoint) -> Vec<ViewAnswer> {
        let Some(view) = self.view(point) else { return Vec::new() };
        let entry = Entry::new(self.program, &view);
        view.body
            .returns
            .iter()
            .map(|returned| {
                let bits = &entry.dependencies[returned.index()];
                ViewAnswer {
                    reads: entry.loaded_state(bits).into_iter().collect(),
                    balance: bits.contains(source::BALANCE),
                }
            })
            .collect()
    }

    /// Whether the view refuses to answer while the lock is held.
    fn is_shut(&self, point: EntryPoint, lock: Option<&Lock>) -> bool {
        let Some(Lock::State(storage)) = lock else { return false };
        let Some(view) = self.view(point) else { return true };
        let entry = Entry::new(self.program, &view);
        !Constants::run(&entry, storage.clone()).reaches(view.exit)
    }
}

/// What the views of each contract answer; views that come down to the same code are looked at once.
#[derive(Default)]
struct ViewAnswers {
    of_contract: BTreeMap<ContractId, Vec<(EntryPoint, Answers)>>,
    of_shape: BTreeMap<Vec<FunctionId>, Answers>,
}

/// All that one view answers.
type Answers = Rc<[ViewAnswer]>;

pub(super) struct ViewAnswer {
    pub(super) reads: BTreeSet<StateKey>,
    /// The ether that the contract holds is part of it.
    balance: bool,
}

fn storage_of(lock: &Lock) -> Storage {
    match lock {
        Lock::State(storage) => storage.clone(),
        Lock::Counter(_) | Lock::Elsewhere(_) => Storage::new(),
    }
}

/// What stands around a call, besides what was decided by it.
#[derive(Default)]
pub(super) struct Around {
    pub(super) late: Vec<Late>,
    pub(super) early: BTreeSet<StateKey>,
    pub(super) event: Option<Span>,
    pub(super) balance: Option<(Span, Span)>,
}

impl Work<'_, '_> {
    /// What stands around the call at `at`.
    pub(super) fn around(&self, at: At) -> Around {
        let entry = self.entry;
        let after = self.forward(at.block);
        let is_later = |other: At| {
            if other.block == at.block {
                other.index > at.index
            } else {
                after.contains(other.block.index())
            }
        };
        let mut around = Around::default();
        for (store, places, write) in self.stores_after(at, &after) {
            if let Some(place) = places.first().filter(|_| self.is_alive(store)) {
                let keys = places.iter().flat_map(|place| StateKey::of(entry.program, place));
                let variable = self.describe(place);
                around.late.push(Late { variable, keys: keys.collect(), write });
            }
        }
        for (other, statement) in entry.statements() {
            match &statement.kind {
                StatementKind::Store { .. } if !is_later(other) => {
                    let places = entry.accessed(other).iter();
                    around
                        .early
                        .extend(places.flat_map(|place| StateKey::of(entry.program, place)));
                }
                StatementKind::Emit { .. }
                    if around.event.is_none() && is_later(other) && self.is_alive(other) =>
                {
                    around.event = Some(statement.span);
                }
                StatementKind::Assign {
                    value: Rvalue::Binary(_, left, right) | Rvalue::Wrapping(_, left, right),
                    ..
                } if around.balance.is_none() && is_later(other) && self.is_alive(other) => {
                    let (left, right) = (self.measured(left), self.measured(right));
                    let earlier = [&left, &right]
                        .into_iter()
                        .flatten()
                        .find(|read| !is_later(**read) && **read != at);
                    let later = [&left, &right].into_iter().flatten().find(|read| is_later(**read));
                    if let (Some(earlier), Some(_)) = (earlier, later) {
                        around.balance = Some((entry.statement(*earlier).span, statement.span));
                    }
                }
                _ => {}
            }
        }
        around
    }

    pub(super) fn is_alive(&self, at: At) -> bool {
        self.constants.reaches(at.block) && self.ends_well(at.block)
    }

    /// Where the contract's own balance, in ether or in a token, was read, where that is what the value is.
    pub(super) fn measured(&self, operand: &Operand) -> Option<At> {
        let entry = self.entry;
        let Operand::Local(id) = entry.canonical(operand) else { return None };
        let [at] = &entry.definitions[id.index()] else { return None };
        if !entry.is_single(id) {
            return None;
        }
        let is_this =
            |operand: &Operand| entry.canonical(operand) == Operand::Environment(Environment::This);
        let is_balance = match &entry.statement(*at).kind {
            StatementKind::Assign { value: Rvalue::Pure("balance", of), .. } => {
                of.first().is_some_and(is_this)
            }
            // The question that the standards of tokens fix.
            StatementKind::Call(call) => {
                matches!(&call.kind, CallKind::External { name, .. } if name == "balanceOf")
                    && call.args.len() == 1
                    && call.args.iter().all(is_this)
            }
            _ => false,
        };
        is_balance.then_some(*at)
    }
}
