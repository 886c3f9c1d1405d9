//! Answers about a program, computed once and on demand. Start at [`Facts`].

mod bits;
mod callee;
mod calls;
mod constants;
mod elsewhere;
mod entry;
mod flow;
mod gas;
mod guards;
mod hazards;
mod known;
mod locks;
mod look;
mod loops;
mod makers;
mod open;
mod order;
mod origin;
mod reentrancy;
mod refine;
mod resting;
mod summary;
mod table;
mod work;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::cfg::{
    Body, Parts, Shapes, View, deployment, lower_base_arguments, lower_function, lower_initialiser,
    view,
};
use crate::hir::{ContractId, FunctionId, Names, Program, VariableId};
use crate::syntax::ast::{self, ContractKind, FunctionKind, Mutability, Visibility};
use crate::syntax::{FileId, Span, deep_map};

pub use calls::{CallForm, CallGraph, CallSite, Caller};
use entry::StateKey;
pub use gas::GasBound;
pub use hazards::{Hazard, HazardKind};
pub use locks::{LockCover, LockKind};
pub use loops::{Loop, LoopBound};
use open::Open;
pub use order::{ORDER_FACTS, Order};
pub use reentrancy::{Reentrancy, ReentrancyFace};
use summary::summarise;
pub(crate) use summary::{Guard, Summary};
pub use table::{FUNCTION_FACTS, dictionary};

/// A `selfdestruct` that an entry point can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfDestructSite {
    /// The contract whose entry point it is; the first of `contracts`.
    pub contract: ContractId,
    /// The entry point: a public or external function.
    pub entry: FunctionId,
    /// The function that destroys.
    pub function: FunctionId,
    /// The statement.
    pub span: Span,
    /// Only a chosen account gets there, and strangers cannot choose themselves.
    pub guarded: bool,
    /// The caller decides who receives the contract's ether.
    pub beneficiary_tainted: bool,
    /// The calls from the entry point to the function that destroys, outermost first.
    pub path: Vec<Span>,
    /// All contracts in whose code this happens, in order of declaration.
    pub contracts: Vec<ContractId>,
    /// Some of what runs could not be read or resolved.
    pub partial: bool,
}

/// A function that anyone can call on a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryPoint {
    /// The contract that is called.
    pub contract: ContractId,
    /// The function, which a base may have declared.
    pub function: FunctionId,
}

/// How much of a program was understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Functions and modifiers with a body.
    pub functions: u64,
    /// Uses of identifiers and members, in declarations, bodies and assembly.
    pub names: u64,
    /// Uses that were resolved, to something whose type is known.
    pub resolved_names: u64,
}

/// Answers about one program.
pub struct Facts<'p> {
    program: &'p Program,
    bodies: Vec<Option<Body>>,
    /// What variables are set to where they are declared, by variable.
    initialisers: Vec<Option<Body>>,
    /// The arguments that contracts give their bases in their heads, by contract.
    base_arguments: Vec<Option<Body>>,
    /// Functions and modifiers with a body.
    n_functions: u64,
    names: Names,
    entries: Vec<EntryPoint>,
    shapes: OnceLock<Shapes<'p>>,
    summaries: OnceLock<Vec<Summary>>,
    call_graph: OnceLock<CallGraph>,
    loops: OnceLock<Vec<Loop>>,
    open: OnceLock<BTreeMap<ContractId, Open>>,
    /// For contracts without entry points.
    nothing_open: Open,
    locks: OnceLock<Vec<LockCover>>,
    gates: OnceLock<locks::Gates>,
    resting_locks: OnceLock<resting::RestingLocks>,
    views: Vec<EntryPoint>,
    reentrancies: OnceLock<Vec<Reentrancy>>,
    late_effects: OnceLock<Vec<Reentrancy>>,
    self_destructs: OnceLock<Vec<SelfDestructSite>>,
    hazards: OnceLock<Vec<Hazard>>,
    called: OnceLock<BTreeSet<FunctionId>>,
}

impl std::fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts")
            .field("program", self.program)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl<'p> Facts<'p> {
    /// Lowers all bodies of `program`; everything else waits until it is asked.
    ///
    /// # Panics
    /// When the system cannot start a thread.
    pub fn new(program: &'p Program) -> Self {
        let threads = rayon::current_num_threads();
        let functions = deep_map(program.functions.len(), threads, |index| {
            lower_function(program, FunctionId::next(index))
        });
        let initialisers = deep_map(program.variables.len(), threads, |index| {
            lower_initialiser(program, VariableId::next(index))
        });
        let base_arguments = deep_map(program.contracts.len(), threads, |index| {
            lower_base_arguments(program, ContractId::next(index))
        });
        let mut names = program.names.clone();
        let lowered = functions.iter().chain(&initialisers).chain(&base_arguments).flatten();
        lowered.for_each(|(_, used)| names.add(used));
        names.unresolved.sort_unstable();
        let n_functions = functions.iter().flatten().count() as u64;
        let bodies = functions.into_iter().map(|body| body.map(|(body, _)| body)).collect();
        let initialisers =
            initialisers.into_iter().map(|body| body.map(|(body, _)| body)).collect();
        Self {
            program,
            bodies,
            initialisers,
            base_arguments: base_arguments
                .into_iter()
                .map(|body| body.map(|(body, _)| body))
                .collect(),
            n_functions,
            names,
            entries: entry_points(program),
            shapes: OnceLock::new(),
            summaries: OnceLock::new(),
            call_graph: OnceLock::new(),
            loops: OnceLock::new(),
            open: OnceLock::new(),
            nothing_open: Open::default(),
            locks: OnceLock::new(),
            gates: OnceLock::new(),
            resting_locks: OnceLock::new(),
            views: view_points(program),
            reentrancies: OnceLock::new(),
            late_effects: OnceLock::new(),
            self_destructs: OnceLock::new(),
            hazards: OnceLock::new(),
            called: OnceLock::new(),
        }
    }

    /// The program that is asked about.
    pub fn program(&self) -> &'p Program {
        self.program
    }

    /// How much of the program was understood.
    pub fn coverage(&self) -> Coverage {
        let names = self.names.total.values().sum::<u64>();
        let resolved_names = names - self.names.unresolved.len() as u64;
        Coverage { functions: self.n_functions, names, resolved_names }
    }

    /// How much of one file was understood.
    pub fn coverage_of(&self, file: FileId) -> Coverage {
        let functions = self.bodies.iter().zip(self.program.function_ids());
        let is_here = |id: FunctionId| self.program.function_span(id).file == file;
        let names = self.names.total.get(&file).copied().unwrap_or_default();
        let unresolved = self.names.unresolved.iter().filter(|span| span.file == file).count();
        Coverage {
            functions: functions.filter(|(body, id)| body.is_some() && is_here(*id)).count() as u64,
            names,
            resolved_names: names - unresolved as u64,
        }
    }

    /// The uses of names that stand for nothing known, or for something of unknown type, in order of place.
    pub fn unresolved_names(&self) -> &[Span] {
        &self.names.unresolved
    }

    /// Functions that anyone can call and that can change something, of every contract that can be
    /// deployed or is not yet derived from.
    pub fn entry_points(&self) -> &[EntryPoint] {
        &self.entries
    }

    /// The lowered body of a function as text; `None` where it is only declared.
    pub fn ir_text(&self, function: FunctionId) -> Option<String> {
        let body = self.bodies.get(function.index())?.as_ref()?;
        let contract = self.program.function(function).contract;
        Some(crate::cfg::print_body(self.program, contract, body))
    }

    /// What runs when `entry` is called, with modifiers and internal calls in place, as text.
    pub fn view_text(&self, entry: EntryPoint) -> Option<String> {
        let view = self.view(entry)?;
        Some(crate::cfg::print_body(self.program, Some(entry.contract), &view.body))
    }

    /// What runs when `contract` is made, with everything in place, as text: arguments of base constructors, what
    /// variables are declared with, constructors. `None` where neither the contract nor a base has a constructor.
    pub fn deployment_text(&self, contract: ContractId) -> Option<String> {
        let view = self.deployment(contract)?;
        Some(crate::cfg::print_body(self.program, Some(contract), &view.body))
    }

    /// What runs when `contract` is made, as one view.
    pub(crate) fn deployment(&self, contract: ContractId) -> Option<View> {
        let parts = Parts {
            bodies: &self.bodies,
            initialisers: &self.initialisers,
            base_arguments: &self.base_arguments,
        };
        deployment(self.program, parts, contract)
    }

    /// Calls that hand over control before state they depended on is written, one per call statement,
    /// in order of their place in the sources. Locked ones are in the list and say so.
    pub fn reentrancies(&self) -> &[Reentrancy] {
        self.reentrancies.get_or_init(|| self.find_reentrancies())
    }

    /// What can be seen or done out of order during a call although the call itself was decided by nothing that
    /// changes after it: one entry per face and call statement.
    pub fn late_effects(&self) -> &[Reentrancy] {
        self.late_effects.get_or_init(|| self.find_late_effects())
    }

    /// All `selfdestruct` statements that entry points reach, one entry per statement, in order of their
    /// place in the sources. Guarded ones are in the list and say so.
    pub fn self_destructs(&self) -> &[SelfDestructSite] {
        self.self_destructs.get_or_init(|| self.find_self_destructs())
    }

    fn view(&self, entry: EntryPoint) -> Option<View> {
        view(self.program, &self.bodies, entry.contract, entry.function)
    }

    pub(crate) fn summaries(&self) -> &[Summary] {
        self.summaries.get_or_init(|| self.summarise_entries())
    }

    fn shapes(&self) -> &Shapes<'p> {
        self.shapes.get_or_init(|| Shapes::new(self.program, &self.bodies))
    }

    /// Most entry points of derived contracts run just what they run on a base: those are composed and
    /// looked at once.
    fn summarise_entries(&self) -> Vec<Summary> {
        let shapes = self.shapes();
        let mut positions = BTreeMap::new();
        let mut first = Vec::new();
        let mut same_as = Vec::with_capacity(self.entries.len());
        let runs: Vec<_> = self
            .entries
            .par_iter()
            .map(|entry| shapes.shape(entry.contract, entry.function))
            .collect();
        for (entry, run) in self.entries.iter().zip(runs) {
            // A library is to blame for what it does itself, others for what they do through it.
            let is_library = self.program.contract(entry.contract).kind == ContractKind::Library;
            let key = (run, is_library.then_some(entry.contract));
            let position = *positions.entry(key).or_insert_with(|| {
                first.push(*entry);
                first.len() - 1
            });
            same_as.push(position);
        }
        let constructors = self.calling_constructors();
        let summaries: Vec<Option<Summary>> = first
            .par_iter()
            .map(|entry| Some(summarise(self.program, &self.view(*entry)?, &constructors)))
            .collect();
        self.entries
            .iter()
            .zip(same_as)
            .filter_map(|(entry, position)| {
                let summary = summaries[position].as_ref()?;
                Some(Summary { contract: entry.contract, ..summary.clone() })
            })
            .collect()
    }

    fn find_self_destructs(&self) -> Vec<SelfDestructSite> {
        let mut found: BTreeMap<Span, SelfDestructSite> = BTreeMap::new();
        for summary in self.summaries() {
            for site in &summary.destructs {
                let new = SelfDestructSite {
                    contract: summary.contract,
                    entry: summary.function,
                    function: site.function,
                    span: site.span,
                    guarded: self.holds(summary.contract, &site.guard) || site.is_one_shot,
                    beneficiary_tainted: site.is_beneficiary_callers,
                    path: site.path.clone(),
                    contracts: vec![summary.contract],
                    partial: summary.is_partial,
                };
                match found.get_mut(&site.span) {
                    None => {
                        found.insert(site.span, new);
                    }
                    Some(known) if known.guarded && !new.guarded => *known = new,
                    Some(known) if known.guarded == new.guarded => {
                        known.contracts.push(summary.contract)
                    }
                    Some(_) => {}
                }
            }
        }
        let mut out: Vec<_> = found.into_values().collect();
        for finding in &mut out {
            finding.contracts.sort();
            finding.contracts.dedup();
        }
        out
    }
}

/// A guard holds as long as no stranger can write what it rests on.
fn is_guarded(guard: &Guard, open: &BTreeSet<StateKey>) -> bool {
    guard.is_guarded && guard.rests_on.is_disjoint(open)
}

fn entry_points(program: &Program) -> Vec<EntryPoint> {
    callable(program, |mutability| !matches!(mutability, Mutability::View | Mutability::Pure))
}

/// Functions that anyone can ask and that read state.
fn view_points(program: &Program) -> Vec<EntryPoint> {
    callable(program, |mutability| matches!(mutability, Mutability::View))
}

fn callable(program: &Program, wanted: impl Fn(Mutability) -> bool) -> Vec<EntryPoint> {
    let derived: BTreeSet<ContractId> = program
        .contract_ids()
        .flat_map(|id| program.contract(id).linearisation.iter().skip(1).copied())
        .collect();
    let mut out = Vec::new();
    for contract in program.contract_ids() {
        let declared = program.contract(contract);
        let is_seen_elsewhere =
            declared.kind == ContractKind::Abstract && derived.contains(&contract);
        if declared.kind == ContractKind::Interface || is_seen_elsewhere {
            continue;
        }
        let mut seen: BTreeSet<(FunctionKind, &str)> = BTreeSet::new();
        for base in &declared.linearisation {
            for &id in &program.contract(*base).functions {
                let function = program.function(id);
                let is_entry_kind = matches!(
                    function.kind,
                    FunctionKind::Function | FunctionKind::Fallback | FunctionKind::Receive
                );
                let signature = if function.kind == FunctionKind::Function {
                    function.signature.as_str()
                } else {
                    ""
                };
                let is_overridden = !seen.insert((function.kind, signature));
                let is_callable =
                    matches!(function.visibility, Visibility::Public | Visibility::External);
                let has_body = !matches!(function.body, ast::Body::None);
                let is_wanted = wanted(function.mutability);
                if is_entry_kind && !is_overridden && is_callable && is_wanted && has_body {
                    out.push(EntryPoint { contract, function: id });
                }
            }
        }
    }
    out
}
