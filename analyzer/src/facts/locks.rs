//! Which entry points each lock really keeps out: in the contract that holds it and, where another contract keeps
//! the lock for several, in all that ask it.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::Heirs;
use super::constants::{Constants, Storage};
use super::entry::{AbsoluteKey, AbsoluteRoot, Entry, StateKey};
use super::summary::{Lock, OutCall};
use super::work::Work;
use super::{EntryPoint, Facts};
use crate::cfg::*;
use crate::hir::{ContractId, FunctionId};
use crate::syntax::Span;

/// Where a lock is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockKind {
    /// In storage, by hand or by a library.
    Storage,
    /// In transient storage (EIP-1153).
    Transient,
    /// By a counter that is compared after the call.
    Counter,
    /// By another contract, which refuses to be asked again before it is told that the call is over.
    Elsewhere,
}

/// A call that is made under a lock, and whom the lock keeps out while the call runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockCover {
    /// The contract whose entry point it is.
    pub contract: ContractId,
    /// The entry point.
    pub entry: FunctionId,
    /// The call.
    pub call_span: Span,
    /// Where the lock is kept.
    pub kind: LockKind,
    /// The state that tells, or the function of the other contract that does, as a reader would name them.
    pub kept_in: Vec<String>,
    /// Entry points that end in failure while the call runs, of all contracts that share the lock.
    pub shut: Vec<EntryPoint>,
    /// Entry points of the contract, views included, that can be entered nevertheless.
    pub open: Vec<EntryPoint>,
}

/// A function that fails when it is called a second time, until another one has been called that no stranger can.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    /// It counts for all callers together, rather than for each of its own.
    is_shared: bool,
}

/// The gates that were looked for, by the function that is named in a call.
pub(super) type Gates = BTreeMap<FunctionId, Gate>;

impl Facts<'_> {
    /// Every call of an entry point that is made under a lock, in order of the entry points.
    pub fn locks(&self) -> &[LockCover] {
        self.locks.get_or_init(|| {
            // Many calls of a contract are made under the same lock.
            let mut known: BTreeMap<(ContractId, Storage), (Vec<EntryPoint>, Vec<EntryPoint>)> =
                BTreeMap::new();
            let mut covers = Vec::new();
            for summary in self.summaries() {
                let own = EntryPoint { contract: summary.contract, function: summary.function };
                for call in &summary.calls {
                    let Some(lock) = self.lock_of(summary, call) else { continue };
                    let (kind, kept_in, (shut, open)) = match &lock {
                        Lock::State(storage) => {
                            let cover = known
                                .entry((summary.contract, storage.clone()))
                                .or_insert_with(|| self.kept_out_by(summary.contract, storage));
                            (kind_of(self, storage), self.names_of(storage), cover.clone())
                        }
                        Lock::Counter(keys) => {
                            let names = keys.iter().map(|key| self.state_text(key)).collect();
                            let counts = |other: &super::Summary| {
                                other.writes.iter().any(|write| keys.contains(&write.variable))
                            };
                            (LockKind::Counter, names, self.parted(summary.contract, false, counts))
                        }
                        Lock::Elsewhere(gate) => {
                            let names = vec![self.program.function_name(*gate)];
                            let asks = |other: &super::Summary| self.asks_gate(other, *gate);
                            let is_shared = self.gates()[gate].is_shared;
                            let parted = self.parted(summary.contract, is_shared, asks);
                            (LockKind::Elsewhere, names, parted)
                        }
                    };
                    let (mut shut, mut open) = (shut, open);
                    // The lock was found by what it does to this one.
                    open.retain(|point| *point != own);
                    if !shut.contains(&own) {
                        shut.push(own);
                        shut.sort();
                    }
                    covers.push(LockCover {
                        contract: summary.contract,
                        entry: summary.function,
                        call_span: call.span,
                        kind,
                        kept_in,
                        shut,
                        open,
                    });
                }
            }
            covers
        })
    }

    /// What keeps a call from being reached again while it runs.
    pub(crate) fn lock_of(&self, summary: &super::Summary, call: &OutCall) -> Option<Lock> {
        let contract = summary.contract;
        let resting = || {
            let key = (contract, summary.function, call.span);
            self.resting_locks().get(&key).cloned().map(Lock::State)
        };
        let elsewhere = || {
            let passed = call.passed.iter().find(|(gate, callee)| {
                self.gates().contains_key(gate) && !self.is_strangers(contract, callee)
            });
            passed.map(|(gate, _)| Lock::Elsewhere(*gate))
        };
        call.lock.clone().or_else(resting).or_else(elsewhere)
    }

    /// Whether an entry point always asks the gate before it ends.
    pub(super) fn asks_gate(&self, summary: &super::Summary, gate: FunctionId) -> bool {
        summary
            .passes
            .iter()
            .any(|(asked, callee)| *asked == gate && !self.is_strangers(summary.contract, callee))
    }

    /// The entry points that a lock shuts, of other contracts, too, where they can share it, and the entry points
    /// and views of the contract that it does not.
    fn parted(
        &self,
        contract: ContractId,
        is_shared: bool,
        is_shut: impl Fn(&super::Summary) -> bool,
    ) -> (Vec<EntryPoint>, Vec<EntryPoint>) {
        let (mut shut, mut open) = (Vec::new(), Vec::new());
        for other in self.summaries() {
            let point = EntryPoint { contract: other.contract, function: other.function };
            if (is_shared || other.contract == contract) && is_shut(other) {
                shut.push(point);
            } else if other.contract == contract {
                open.push(point);
            }
        }
        open.extend(self.views.iter().filter(|view| view.contract == contract));
        open.sort();
        (shut, open)
    }

    /// The entry points and views of a contract that end in failure with this in storage, and the others.
    fn kept_out_by(
        &self,
        contract: ContractId,
        storage: &Storage,
    ) -> (Vec<EntryPoint>, Vec<EntryPoint>) {
        let points = self.entries.iter().chain(&self.views);
        let mut points: Vec<_> = points.filter(|point| point.contract == contract).collect();
        points.sort();
        points.into_iter().partition(|point| {
            self.view(**point).is_some_and(|view| {
                let entry = Entry::new(self.program, &view);
                !ends(&view, &Constants::run(&entry, storage.clone()))
            })
        })
    }

    fn names_of(&self, storage: &Storage) -> Vec<String> {
        let keys: BTreeSet<StateKey> =
            storage.keys().flat_map(|place| StateKey::of(self.program, place)).collect();
        keys.iter().map(|key| self.state_text(key)).collect()
    }

    /// The functions that calls name and that are gates whoever implements them.
    pub(super) fn gates(&self) -> &Gates {
        self.gates.get_or_init(|| {
            let named: BTreeSet<FunctionId> = self
                .summaries()
                .iter()
                .flat_map(|summary| summary.calls.iter().flat_map(|call| &call.passed))
                .map(|(gate, _)| *gate)
                .collect();
            let heirs = Heirs::of(self.program);
            let mut looked_at: BTreeMap<Vec<FunctionId>, bool> = BTreeMap::new();
            named
                .into_iter()
                .filter_map(|function| {
                    let contract = self.program.function(function).contract?;
                    let mut is_shared = true;
                    let mut points = Vec::new();
                    for &heir in heirs.of_contract(contract) {
                        let runs = dispatch(self.program, heir, function, Dispatch::Virtual);
                        if self.bodies[runs.index()].is_some() {
                            points.push(EntryPoint { contract: heir, function: runs });
                        }
                    }
                    // Most functions are no gates, and most contracts run them alike.
                    let is_gate = !points.is_empty()
                        && points.iter().all(|point| {
                            let shape = self.shapes().shape(point.contract, point.function);
                            *looked_at
                                .entry(shape)
                                .or_insert_with(|| self.shuts_itself(*point).is_some())
                        })
                        && points.iter().all(|point| {
                            self.shuts_itself(*point).is_some_and(|storage| {
                                is_shared &= storage.keys().all(is_the_same_everywhere);
                                !self.is_opened_by_strangers(*point, &storage)
                            })
                        });
                    is_gate.then_some((function, Gate { is_shared }))
                })
                .collect()
        })
    }

    /// What storage holds once the function has run, where that keeps it from running again.
    fn shuts_itself(&self, point: EntryPoint) -> Option<Storage> {
        let view = self.view(point)?;
        let entry = Entry::new(self.program, &view);
        let storage = Constants::run(&entry, Storage::new()).storage_before(view.exit, usize::MAX);
        let again = (!storage.is_empty()).then(|| Constants::run(&entry, storage.clone()))?;
        (!ends(&view, &again)).then_some(storage)
    }

    /// Whether anyone can change what keeps the gate shut: by a way that asks for no account, or for one that anyone
    /// can become while it is shut.
    fn is_opened_by_strangers(&self, gate: EntryPoint, storage: &Storage) -> bool {
        let shut: BTreeSet<StateKey> =
            storage.keys().flat_map(|place| StateKey::of(self.program, place)).collect();
        let mut writes = Vec::new();
        for point in self.entries.iter().filter(|point| point.contract == gate.contract) {
            let Some(view) = self.view(*point) else { continue };
            let entry = Entry::new(self.program, &view);
            let run = Constants::run(&entry, storage.clone());
            let mut work = Work::new(&entry);
            for (at, statement) in entry.statements() {
                if matches!(statement.kind, StatementKind::Store { .. }) && run.reaches(at.block) {
                    let places = entry.accessed(at).iter();
                    let keys = places.flat_map(|place| StateKey::of(self.program, place));
                    let guard = work.guard(at);
                    // A way on which everything is undone afterwards changes nothing.
                    if ends(&view, &run) {
                        writes.extend(keys.map(|key| (key, guard.clone())));
                    }
                }
            }
        }
        let mut open: BTreeSet<StateKey> = BTreeSet::new();
        loop {
            let before = open.len();
            for (key, guard) in &writes {
                if !super::is_guarded(guard, &open) {
                    open.insert(key.clone());
                }
            }
            if open.len() == before {
                return !open.is_disjoint(&shut);
            }
        }
    }
}

/// Whether some run ends without undoing everything.
fn ends(view: &View, run: &Constants<'_, '_>) -> bool {
    let graph = &view.body.graph;
    let stops = graph.node_indices().filter(|block| matches!(graph[*block].end, End::Stop));
    stops.chain([view.exit]).any(|block| run.reaches(block))
}

fn kind_of(facts: &Facts<'_>, storage: &Storage) -> LockKind {
    let is_transient = storage.keys().any(|place| match place.root {
        AbsoluteRoot::Variable(id) => facts.program.variable(id).is_transient,
        AbsoluteRoot::Slot(_, is_transient) => is_transient,
    });
    if is_transient { LockKind::Transient } else { LockKind::Storage }
}

/// Whether a place means the same in every entry point, whoever calls it.
pub(super) fn is_the_same_everywhere(place: &super::entry::AbsolutePlace) -> bool {
    let is_constant = |operand: &Operand| matches!(operand, Operand::Constant(_));
    let has_fixed_root = match &place.root {
        AbsoluteRoot::Variable(_) => true,
        AbsoluteRoot::Slot(operand, _) => is_constant(operand),
    };
    has_fixed_root
        && place.path.iter().all(|key| match key {
            AbsoluteKey::Index(operand) => is_constant(operand),
            _ => true,
        })
}
