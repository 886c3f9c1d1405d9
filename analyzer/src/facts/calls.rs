//! Who calls whom. What a call may reach is told over all contracts of the program; what could not be found is
//! kept and says so.

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use super::entry::At;
use crate::cfg::{Body, Call, CallKind, Dispatch, ModifierTarget, StatementKind, dispatch};
use crate::hir::{ContractId, FunctionId, Program, VariableId};
use crate::syntax::Span;
use crate::syntax::ast::{self, ContractKind};

/// What holds a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// A function or modifier.
    Function(FunctionId),
    /// The value that a variable is declared with.
    Variable(VariableId),
}

/// How a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallForm {
    /// Code of the same contract or of an internal library function.
    Internal,
    /// A modifier, where a function names it.
    Modifier,
    /// The constructor of a base, where a constructor names it.
    BaseConstructor,
    /// A function of another contract.
    External,
    /// `call`, `send` and `transfer` of an address, in assembly too.
    LowLevel,
    /// `staticcall`.
    Static,
    /// `delegatecall` and `callcode`.
    Delegate,
    /// `new`, `create` and `create2`.
    Create,
    /// A function pointer.
    Pointer,
    /// `selfdestruct`, which sends what is left.
    Destroy,
    /// The callee's name was not found.
    Unresolved,
}

/// One call in the text of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSite {
    /// What holds it.
    pub caller: Caller,
    /// The call.
    pub span: Span,
    /// How it is made.
    pub form: CallForm,
    /// The functions that may run, in order of declaration: for a virtual call those of all contracts that the
    /// caller's code runs on, for an external one the declared function and all that implement it.
    pub targets: Vec<FunctionId>,
    /// More may run than `targets` tells: a pointer, an address, a missing declaration or a body elsewhere.
    pub is_open: bool,
    /// Where it stands in the body of its caller.
    spot: Spot,
}

/// A place in a body that makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    Modifier(usize),
    Statement(At),
}

/// All calls of a program.
#[derive(Debug, Clone, Default)]
pub struct CallGraph {
    sites: Vec<CallSite>,
    from: BTreeMap<Caller, Vec<usize>>,
    to: BTreeMap<FunctionId, Vec<usize>>,
}

impl CallGraph {
    /// All calls, by caller and then in the order of their statements.
    pub fn sites(&self) -> &[CallSite] {
        &self.sites
    }

    /// The calls that `caller` holds.
    pub fn from(&self, caller: Caller) -> impl Iterator<Item = &CallSite> {
        self.from.get(&caller).into_iter().flatten().map(|&at| &self.sites[at])
    }

    /// The calls that may run `function`.
    pub fn to(&self, function: FunctionId) -> impl Iterator<Item = &CallSite> {
        self.to.get(&function).into_iter().flatten().map(|&at| &self.sites[at])
    }

    /// Everything that may run when `function` does, itself included, within the contract: calls of other
    /// contracts are not followed.
    pub fn reached_within(&self, function: FunctionId) -> BTreeSet<FunctionId> {
        let mut seen = BTreeSet::new();
        let mut open = vec![function];
        while let Some(function) = open.pop() {
            if seen.insert(function) {
                let inside = self.from(Caller::Function(function)).filter(|site| {
                    matches!(
                        site.form,
                        CallForm::Internal | CallForm::Modifier | CallForm::BaseConstructor
                    )
                });
                open.extend(inside.flat_map(|site| &site.targets));
            }
        }
        seen
    }
}

impl Facts<'_> {
    /// Who calls whom.
    pub fn call_graph(&self) -> &CallGraph {
        self.call_graph.get_or_init(|| {
            let heirs = Heirs::of(self.program);
            let mut sites = Vec::new();
            let functions =
                self.program.function_ids().map(Caller::Function).zip(self.bodies.iter());
            let variables = (0..self.initialisers.len())
                .map(|index| Caller::Variable(VariableId::next(index)))
                .zip(self.initialisers.iter());
            for (caller, body) in functions.chain(variables) {
                if let Some(body) = body {
                    self.calls_in(caller, body, &heirs, &mut sites);
                }
            }
            let mut graph = CallGraph { sites, ..CallGraph::default() };
            for (at, site) in graph.sites.iter().enumerate() {
                graph.from.entry(site.caller).or_default().push(at);
                for target in &site.targets {
                    graph.to.entry(*target).or_default().push(at);
                }
            }
            graph
        })
    }

    fn calls_in(&self, caller: Caller, body: &Body, heirs: &Heirs, out: &mut Vec<CallSite>) {
        let contract = match caller {
            Caller::Function(id) => self.program.function(id).contract,
            Caller::Variable(id) => self.program.variable(id).contract,
        };
        for (index, modifier) in body.modifiers.iter().enumerate() {
            let (form, targets) = match modifier.target {
                ModifierTarget::Modifier(id) => (
                    CallForm::Modifier,
                    heirs.dispatched(self.program, contract, id, Dispatch::Virtual),
                ),
                ModifierTarget::BaseConstructor(base) => {
                    let constructors = self.program.contract(base).functions.iter().copied();
                    let is_constructor = |id: &FunctionId| {
                        self.program.function(*id).kind == ast::FunctionKind::Constructor
                    };
                    (CallForm::BaseConstructor, constructors.filter(is_constructor).collect())
                }
                ModifierTarget::Unknown => (CallForm::Unresolved, Vec::new()),
            };
            let is_open = form == CallForm::Unresolved;
            let spot = Spot::Modifier(index);
            out.push(CallSite { caller, span: modifier.span, form, targets, is_open, spot });
        }
        for block in body.graph.node_indices() {
            for (index, statement) in body.graph[block].statements.iter().enumerate() {
                if let StatementKind::Call(call) = &statement.kind {
                    let (form, targets, is_open) = self.reached_by(call, contract, heirs);
                    let (span, spot) = (statement.span, Spot::Statement(At { block, index }));
                    out.push(CallSite { caller, span, form, targets, is_open, spot });
                }
            }
        }
    }

    /// The call as its caller's body makes it; `None` for modifiers and constructors of bases.
    pub(crate) fn call_of(&self, site: &CallSite) -> Option<&Call> {
        let body = match site.caller {
            Caller::Function(id) => self.bodies.get(id.index())?.as_ref()?,
            Caller::Variable(id) => self.initialisers.get(id.index())?.as_ref()?,
        };
        let Spot::Statement(At { block, index }) = site.spot else { return None };
        match &body.graph[block].statements.get(index)?.kind {
            StatementKind::Call(call) => Some(call),
            _ => None,
        }
    }

    /// What the call runs within `contract`, of whose code its caller is a part: one of the targets where the
    /// contract decides, else all of them.
    pub(crate) fn targets_on(&self, site: &CallSite, contract: ContractId) -> Vec<FunctionId> {
        let named = match site.spot {
            Spot::Modifier(index) => match site.caller {
                Caller::Function(id) => self.bodies[id.index()]
                    .as_ref()
                    .and_then(|body| body.modifiers.get(index))
                    .and_then(|used| match used.target {
                        ModifierTarget::Modifier(id) => Some((id, Dispatch::Virtual)),
                        ModifierTarget::BaseConstructor(_) | ModifierTarget::Unknown => None,
                    }),
                Caller::Variable(_) => None,
            },
            Spot::Statement(_) => self.call_of(site).and_then(|call| match call.kind {
                CallKind::Internal(id, how) => Some((id, how)),
                _ => None,
            }),
        };
        match named {
            Some((id, how)) => vec![dispatch(self.program, contract, id, how)],
            None => site.targets.clone(),
        }
    }

    fn reached_by(
        &self,
        call: &Call,
        contract: Option<ContractId>,
        heirs: &Heirs,
    ) -> (CallForm, Vec<FunctionId>, bool) {
        let program = self.program;
        match &call.kind {
            CallKind::Internal(id, how) => {
                let targets = heirs.dispatched(program, contract, *id, *how);
                let is_open = targets.iter().any(|id| self.bodies[id.index()].is_none());
                (CallForm::Internal, targets, is_open)
            }
            CallKind::External { target: Some(id), .. } => {
                // Whoever implements the interface may stand at the address, and so may others.
                let declaring = program.function(*id).contract;
                let mut targets = heirs.dispatched(program, declaring, *id, Dispatch::Virtual);
                targets.push(*id);
                targets.sort();
                targets.dedup();
                (CallForm::External, targets, true)
            }
            CallKind::External { target: None, .. } => (CallForm::External, Vec::new(), true),
            CallKind::Pointer(_) => (CallForm::Pointer, Vec::new(), true),
            CallKind::LowLevel | CallKind::Transfer | CallKind::Send => {
                (CallForm::LowLevel, Vec::new(), true)
            }
            CallKind::StaticCall => (CallForm::Static, Vec::new(), true),
            CallKind::DelegateCall => (CallForm::Delegate, Vec::new(), true),
            CallKind::New(Some(id)) => {
                let order = program.contract(*id).linearisation.iter();
                let constructors = order
                    .flat_map(|base| &program.contract(*base).functions)
                    .copied()
                    .filter(|id| program.function(*id).kind == ast::FunctionKind::Constructor);
                let mut targets: Vec<_> = constructors.collect();
                targets.sort();
                (CallForm::Create, targets, program.contract(*id).has_unknown_base)
            }
            CallKind::New(None) => (CallForm::Create, Vec::new(), true),
            CallKind::SelfDestruct => (CallForm::Destroy, Vec::new(), false),
            CallKind::Unresolved(_) => (CallForm::Unresolved, Vec::new(), true),
        }
    }
}

/// The contracts that each contract's code can run on.
pub(super) struct Heirs(BTreeMap<ContractId, Vec<ContractId>>);

impl Heirs {
    pub(super) fn of(program: &Program) -> Self {
        let mut heirs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for id in program.contract_ids() {
            if program.contract(id).kind == ContractKind::Interface {
                continue;
            }
            for base in &program.contract(id).linearisation {
                heirs.entry(*base).or_default().push(id);
            }
        }
        // Nothing runs on an abstract contract, unless all that will be derived of it is still to be written.
        for heirs in heirs.values_mut() {
            let is_whole = |id: &ContractId| program.contract(*id).kind != ContractKind::Abstract;
            if heirs.iter().any(is_whole) {
                heirs.retain(is_whole);
            }
        }
        Self(heirs)
    }

    /// The contracts that code of `contract` can run on.
    pub(super) fn of_contract(&self, contract: ContractId) -> &[ContractId] {
        self.0.get(&contract).map(Vec::as_slice).unwrap_or_default()
    }

    /// The functions that run where code of `contract` names `id`, on any contract that has this code.
    fn dispatched(
        &self,
        program: &Program,
        contract: Option<ContractId>,
        id: FunctionId,
        how: Dispatch,
    ) -> Vec<FunctionId> {
        let heirs = contract.and_then(|contract| self.0.get(&contract));
        let (Some(heirs), true) = (heirs, how != Dispatch::Static) else { return vec![id] };
        let targets: BTreeSet<_> =
            heirs.iter().map(|heir| dispatch(program, *heir, id, how)).collect();
        targets.into_iter().collect()
    }
}
