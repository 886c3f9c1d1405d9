//! What one entry point does, as far as questions about the whole program need it.

use std::collections::BTreeSet;

use ruint::aliases::U256;

use super::callee::{Callee, is_transfer_from, who_runs};
use super::constants::{Known, Storage, constant_value};
use super::elsewhere::Elsewhere;
use super::entry::{AbsoluteKey, At, Entry, StateKey, source};
use super::hazards::{Candidate, Ether};
use super::loops::LoopHere;
use super::makers::Constructors;
use super::order::{OrderCounts, Sequence};
use super::origin::Origin;
use super::reentrancy::Around;
use super::resting::given_back;
use super::work::Work;
use crate::cfg::*;
use crate::hir::{ContractId, FunctionId, Program, Type, VariableId};
use crate::syntax::Span;
use crate::syntax::ast::{ContractKind, FunctionKind, Mutability};

/// An authority that was passed, and the variables that say who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) is_guarded: bool,
    pub(crate) rests_on: BTreeSet<StateKey>,
}

#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) variable: StateKey,
    pub(crate) guard: Guard,
    /// Can happen only once in the life of the contract.
    pub(crate) is_one_shot: bool,
    /// The caller has a say in what is written, or where.
    pub(crate) is_callers: bool,
    /// The caller alone decides what is written, and not in a place that is their own.
    pub(crate) is_chosen: bool,
    /// What is written can be an account.
    pub(crate) is_account: bool,
    /// The way to it asks for state that the same run changes: an initialiser, a step of a procedure.
    pub(crate) is_step: bool,
    /// It can be made once under each key, which the caller names, and nothing else that changes is asked for.
    pub(crate) is_once_a_key: bool,
    /// A list gets longer.
    pub(crate) is_growth: bool,
    /// It is the caller, as they are.
    pub(crate) is_sender: bool,
    /// The way to it asks how much ether came, or that is written down.
    pub(crate) is_paid_for: bool,
    /// It stands under a key: what can happen once can happen once for each key.
    pub(crate) is_keyed: bool,
    /// The caller names the key, which is not themselves.
    pub(crate) is_named: bool,
    pub(crate) span: Span,
    pub(crate) function: FunctionId,
    pub(crate) path: Vec<Span>,
}

#[derive(Debug, Clone)]
pub(crate) struct OutCall {
    pub(crate) span: Span,
    pub(crate) function: FunctionId,
    pub(crate) path: Vec<Span>,
    pub(crate) callee: Callee,
    pub(crate) guard: Guard,
    /// What keeps the call from being reached again while it runs.
    pub(crate) lock: Option<Lock>,
    /// Calls that must have succeeded before it, of functions of other contracts, and who chooses those contracts.
    pub(crate) passed: Vec<(FunctionId, Callee)>,
    pub(crate) is_delegate: bool,
    pub(crate) sends_value: bool,
    /// The declaration of what is called is missing.
    pub(crate) is_undeclared: bool,
    /// State that the way to the call read, and that is written after it.
    pub(crate) stale: Vec<Stale>,
    /// State that is written after it, whether or not anything was decided by it.
    pub(crate) late: Vec<Late>,
    /// State that may have been written before it.
    pub(crate) early: BTreeSet<StateKey>,
    /// The first event that is emitted after it.
    pub(crate) event: Option<Span>,
    /// Other contracts that are asked before it and told after it.
    pub(crate) elsewhere: Vec<Elsewhere>,
    /// A balance that is read before it and compared with one that is read after it.
    pub(crate) balance: Option<(Span, Span)>,
}

/// What keeps an entry point from being entered during a call.
#[derive(Debug, Clone)]
pub(crate) enum Lock {
    /// What storage holds at the call, as far as it means the same in other entry points.
    State(Storage),
    /// A counter that every protected entry point raises.
    Counter(Vec<StateKey>),
    /// Another contract, whose function refuses to be called again.
    Elsewhere(FunctionId),
}

#[derive(Debug, Clone)]
pub(crate) struct Late {
    pub(crate) variable: String,
    pub(crate) keys: Vec<StateKey>,
    pub(crate) write: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Stale {
    pub(crate) keys: Vec<StateKey>,
    pub(crate) variable: String,
    pub(crate) read: Span,
    pub(crate) write: Span,
    /// The very element that was read is written, and its key is the caller: who is a member is one no longer.
    pub(crate) is_callers_own: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Destruct {
    pub(crate) span: Span,
    pub(crate) function: FunctionId,
    pub(crate) path: Vec<Span>,
    pub(crate) guard: Guard,
    pub(crate) is_one_shot: bool,
    pub(crate) is_beneficiary_callers: bool,
}

/// One entry point of one contract.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) contract: ContractId,
    pub(crate) function: FunctionId,
    pub(crate) is_payable: bool,
    pub(crate) reads: BTreeSet<StateKey>,
    pub(crate) writes: Vec<Write>,
    pub(crate) calls: Vec<OutCall>,
    pub(crate) destructs: Vec<Destruct>,
    /// Who may send ether with too little gas to call back.
    pub(crate) payouts: Vec<Guard>,
    /// State that the sender is a key of where it says who may go on.
    pub(crate) members: BTreeSet<StateKey>,
    /// Calls of functions of other contracts without whose success the entry point fails, and who chooses those
    /// contracts.
    pub(crate) passes: Vec<(FunctionId, Callee)>,
    pub(crate) hazards: Vec<Candidate>,
    pub(crate) ether: Ether,
    pub(crate) loops: Vec<LoopHere>,
    pub(crate) order: OrderCounts,
    /// Tokens are taken from whoever calls.
    pub(crate) takes_tokens: bool,
    /// Variables that are taken from and given back to around a call.
    pub(crate) given_back: Vec<VariableId>,
    /// Some of what runs could not be read, resolved or put in place.
    pub(crate) is_partial: bool,
    pub(crate) statements: usize,
}

pub(crate) fn summarise(program: &Program, view: &View, constructors: &Constructors) -> Summary {
    let entry = Entry::new(program, view);
    let function = program.function(view.function);
    let mut summary = Summary {
        contract: view.contract,
        function: view.function,
        is_payable: function.mutability == Mutability::Payable
            || function.kind == FunctionKind::Receive,
        reads: BTreeSet::new(),
        writes: Vec::new(),
        calls: Vec::new(),
        destructs: Vec::new(),
        payouts: Vec::new(),
        members: BTreeSet::new(),
        passes: Vec::new(),
        hazards: Vec::new(),
        ether: Ether::default(),
        loops: Vec::new(),
        order: OrderCounts::default(),
        takes_tokens: false,
        given_back: given_back(&entry),
        is_partial: view.is_truncated || view.body.is_partial,
        statements: 0,
    };
    let mut work = Work::new(&entry);
    let mut sequence = Sequence::of(&work);
    for (at, statement) in entry.statements() {
        if !work.constants.reaches(at.block) {
            continue;
        }
        summary.statements += 1;
        match &statement.kind {
            StatementKind::Load { .. } => {
                let variables = roots(&entry, at);
                sequence.read(at, &variables);
                summary.reads.extend(variables);
            }
            StatementKind::Store { place, value } => {
                let variables = roots(&entry, at);
                if variables.is_empty() {
                    continue;
                }
                sequence.write(at, &variables);
                let mut bits = entry.place_dependencies(place);
                bits.union(&entry.operand_dependencies(value));
                // Taking something away from an account makes nobody its owner.
                let is_zero = match entry.canonical(value) {
                    Operand::Constant(constant) => {
                        constant_value(program, &constant) == Some(Known::Number(U256::ZERO))
                    }
                    _ => false,
                };
                let is_callers = !is_zero
                    && [
                        source::SENDER,
                        source::ORIGIN,
                        source::CALLER,
                        source::EXTERNAL,
                        source::UNKNOWN,
                    ]
                    .into_iter()
                    .any(|bit| bits.contains(bit));
                let guard = work.guard(at);
                let is_one_shot = !guard.is_guarded
                    && is_callers
                    && (work.is_one_shot(at) || work.is_claimed(at));
                let is_chosen = is_callers
                    && Origin::of(&entry, value, false).is_callers_choice()
                    && !entry.place_dependencies(place).contains(source::SENDER);
                let site = site(program, view, statement);
                let places = entry.accessed(at);
                let is_account = places.iter().any(|place| holds_account(&entry.type_at(place)));
                let is_paid_for = is_account
                    && is_callers
                    && summary.is_payable
                    && (work.counts_ether()
                        || work.conditions(at.block).iter().any(|origin| origin.value));
                let steps = if is_callers { work.steps(at) } else { BTreeSet::new() };
                let is_step = !steps.is_empty();
                let is_growth =
                    places.iter().any(|place| place.path.last() == Some(&AbsoluteKey::Length))
                        && entry.program.text(statement.span).contains("push")
                        && !work.is_capped(at);
                let is_sender = entry.canonical(value) == Operand::Environment(Environment::Sender);
                let is_keyed = places
                    .iter()
                    .any(|place| place.path.iter().any(|key| matches!(key, AbsoluteKey::Index(_))));
                let keys = entry.place_dependencies(place);
                let is_named = keys.contains(source::CALLER)
                    && !keys.contains(source::SENDER)
                    && keys.iter().all(|bit| bit < source::FIRST_LOAD);
                // Under two keys there is more than a list of members, and which part was asked for is not told.
                let n_keys = places
                    .iter()
                    .flat_map(|place| &place.path)
                    .filter(|key| matches!(key, AbsoluteKey::Index(_)))
                    .count();
                let is_once_a_key = is_one_shot
                    && n_keys == 1
                    && is_named
                    && is_step
                    && steps.iter().all(|key| variables.contains(key));
                for variable in variables {
                    summary.writes.push(Write {
                        variable,
                        guard: guard.clone(),
                        is_one_shot,
                        is_callers,
                        is_chosen,
                        is_account,
                        is_keyed,
                        is_named,
                        is_growth,
                        is_step,
                        is_once_a_key,
                        is_sender,
                        is_paid_for,
                        span: site.span,
                        function: site.function,
                        path: site.path.clone(),
                    });
                }
            }
            StatementKind::Call(call) => {
                if matches!(call.kind, CallKind::Unresolved(_)) {
                    summary.is_partial = true;
                }
                summary.takes_tokens |= is_transfer_from(call)
                    && call.args.first().is_some_and(|from| {
                        entry.canonical(from) == Operand::Environment(Environment::Sender)
                    });
                if matches!(call.kind, CallKind::Transfer | CallKind::Send) {
                    summary.payouts.push(work.guard(at));
                }
                if call.kind == CallKind::SelfDestruct {
                    let beneficiary = call
                        .args
                        .first()
                        .map(|arg| entry.operand_dependencies(arg))
                        .unwrap_or_default();
                    let site = site(program, view, statement);
                    summary.destructs.push(Destruct {
                        span: site.span,
                        function: site.function,
                        path: site.path,
                        guard: work.guard(at),
                        is_one_shot: work.is_one_shot(at),
                        is_beneficiary_callers: beneficiary.contains(source::SENDER)
                            || beneficiary.contains(source::CALLER),
                    });
                } else if let Some(callee) = who_runs(&entry, call, constructors) {
                    let callee = work.listed(at, call, callee);
                    let is_fixed = callee == Callee::Fixed;
                    let stale = if is_fixed { Vec::new() } else { work.stale(at, call) };
                    let around = if is_fixed { Around::default() } else { work.around(at) };
                    let elsewhere = if is_fixed { Vec::new() } else { work.elsewhere(at, call) };
                    let lock = work.lock(at);
                    let passed = if is_fixed { Vec::new() } else { work.passed_before(at) };
                    let site = site(program, view, statement);
                    summary.calls.push(OutCall {
                        span: site.span,
                        function: site.function,
                        path: site.path,
                        callee,
                        guard: work.guard(at),
                        lock,
                        passed,
                        is_delegate: call.kind == CallKind::DelegateCall,
                        sends_value: call.value.is_some(),
                        is_undeclared: matches!(call.kind, CallKind::External { target: None, .. }),
                        stale,
                        late: around.late,
                        early: around.early,
                        event: around.event,
                        elsewhere,
                        balance: around.balance,
                    });
                }
            }
            StatementKind::Unknown => summary.is_partial = true,
            StatementKind::Emit { .. } => sequence.emit(at),
            StatementKind::Assign { .. } | StatementKind::Placeholder => {}
        }
    }
    summary.order = sequence.counts();
    if !work.stops() {
        summary.passes = work.passed_before(At { block: view.exit, index: 0 });
    }
    summary.loops = work.loops();
    summary.members = work.guards.iter().flat_map(|guards| guards.members.clone()).collect();
    (summary.hazards, summary.ether) = work.hazards(&summary);
    summary
}

/// The place in a contract that is to blame.
pub(super) struct Site {
    pub(super) span: Span,
    pub(super) function: FunctionId,
    pub(super) path: Vec<Span>,
}

/// Where a statement of a library or a free function was called from a contract, else its own place.
/// One helper serves many contracts, and each of them is to blame for its own use.
pub(super) fn site(program: &Program, view: &View, statement: &Statement) -> Site {
    let mut frame = statement.frame;
    let mut span = statement.span;
    loop {
        let function = view.frames[frame.0 as usize].function;
        let is_helper = program.function(function).contract.is_none_or(|contract| {
            contract != view.contract && program.contract(contract).kind == ContractKind::Library
        });
        match view.frames[frame.0 as usize].caller {
            Some((caller, call)) if is_helper => {
                frame = caller;
                span = call;
            }
            _ => return Site { span, function, path: view.path(frame) },
        }
    }
}

pub(super) fn roots(entry: &Entry<'_>, at: At) -> Vec<StateKey> {
    let places = entry.accessed(at).iter();
    let mut out: Vec<_> = places.flat_map(|place| StateKey::of(entry.program, place)).collect();
    out.sort();
    out.dedup();
    out
}

/// Whether a variable can hold an account.
pub(crate) fn holds_account(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Address
            | Type::Contract(_)
            | Type::Unknown
            | Type::Mapping(..)
            | Type::Struct(_)
            | Type::Array(..)
    )
}
