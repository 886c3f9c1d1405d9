//! What one entry point does, as far as questions about the whole program need it.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use petgraph::algo::dominators::{Dominators, simple_fast};
use petgraph::graph::NodeIndex;
use ruint::aliases::U256;

use super::bits::{Bits, Lists};
use super::constants::{Constants, Known, Storage, constant_value};
use super::elsewhere::Elsewhere;
use super::entry::{
    AbsoluteKey, AbsolutePlace, AbsoluteRoot, At, Entry, StateKey, covers, overlap, source,
};
use super::guards::Guards;
use super::hazards::{Candidate, Ether};
use super::locks::is_the_same_everywhere;
use super::loops::LoopHere;
use super::makers::Constructors;
use super::origin::Origin;
use super::reentrancy::Around;
use super::resting::given_back;
use crate::cfg::*;
use crate::hir::{ContractId, FunctionId, Program, Type, VariableId};
use crate::syntax::Span;
use crate::syntax::ast::{BinaryOp, ContractKind, FunctionKind, Mutability, UnaryOp};

/// Who chooses the account that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Callee {
    /// The caller, by argument or by being it; or it cannot be told.
    Stranger,
    /// Whoever can write this state.
    Stored(Vec<StateKey>),
    /// The caller, among those for whom this state says so.
    Listed(Vec<StateKey>),
    /// Nobody after construction, or this contract itself.
    Fixed,
}

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
    /// A list gets longer.
    pub(crate) is_growth: bool,
    /// It is the caller, as they are.
    pub(crate) is_sender: bool,
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
        takes_tokens: false,
        given_back: given_back(&entry),
        is_partial: view.is_truncated || view.body.is_partial,
        statements: 0,
    };
    let mut work = Work::new(&entry);
    for (at, statement) in entry.statements() {
        if !work.constants.reaches(at.block) {
            continue;
        }
        summary.statements += 1;
        match &statement.kind {
            StatementKind::Load { .. } => summary.reads.extend(roots(&entry, at)),
            StatementKind::Store { place, value } => {
                let variables = roots(&entry, at);
                if variables.is_empty() {
                    continue;
                }
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
                let is_step = is_callers && work.is_step(at);
                let is_growth =
                    places.iter().any(|place| place.path.last() == Some(&AbsoluteKey::Length))
                        && entry.program.text(statement.span).contains("push");
                let is_sender = entry.canonical(value) == Operand::Environment(Environment::Sender);
                let is_keyed = places
                    .iter()
                    .any(|place| place.path.iter().any(|key| matches!(key, AbsoluteKey::Index(_))));
                let keys = entry.place_dependencies(place);
                let is_named = keys.contains(source::CALLER)
                    && !keys.contains(source::SENDER)
                    && keys.iter().all(|bit| bit < source::FIRST_LOAD);
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
                        is_sender,
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
            StatementKind::Assign { .. }
            | StatementKind::Emit { .. }
            | StatementKind::Placeholder => {}
        }
    }
    if !work.stops() {
        summary.passes = work.passed_before(At { block: view.exit, index: 0 });
    }
    summary.loops = work.loops();
    summary.members = work.guards.iter().flat_map(|guards| guards.members.clone()).collect();
    (summary.hazards, summary.ether) = work.hazards(&summary);
    summary
}

/// The call that the standards of tokens fix for taking tokens of somebody who allowed it.
pub(super) fn is_transfer_from(call: &Call) -> bool {
    matches!(&call.kind, CallKind::External { name, .. } if name == "transferFrom" || name == "safeTransferFrom")
        && call.args.len() >= 3
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

fn roots(entry: &Entry<'_>, at: At) -> Vec<StateKey> {
    let places = entry.accessed(at).iter();
    let mut out: Vec<_> = places.flat_map(|place| StateKey::of(entry.program, place)).collect();
    out.sort();
    out.dedup();
    out
}

/// Who gets control by a call that can call back and change something; `None` where nobody does.
fn who_runs(entry: &Entry<'_>, call: &Call, constructors: &Constructors) -> Option<Callee> {
    let CallKind::New(Some(made)) = call.kind else {
        return hands_over_control(call).then(|| callee(entry, call));
    };
    let mut named = constructors.get(&made)?.iter().filter_map(|at| call.args.get(*at));
    let first = account(entry, named.next()?);
    Some(named.map(|arg| account(entry, arg)).fold(first, |known, next| match known {
        Callee::Fixed => next,
        known => known,
    }))
}

/// Whether the callee runs with enough gas, and with the right, to call back and change something.
pub(super) fn hands_over_control(call: &Call) -> bool {
    if call.gas == Gas::Stipend {
        return false;
    }
    match &call.kind {
        CallKind::LowLevel | CallKind::DelegateCall => true,
        CallKind::External { is_view, .. } => !is_view,
        CallKind::Internal(..)
        | CallKind::Pointer(_)
        | CallKind::StaticCall
        | CallKind::Transfer
        | CallKind::Send
        | CallKind::New(Some(_))
        | CallKind::SelfDestruct
        | CallKind::Unresolved(_) => false,
        // A constructor runs, and it is not known whose. Those of the program are asked one by one.
        CallKind::New(None) => true,
    }
}

/// Whether the code that a contract is made of was given by the caller.
fn is_made_of_foreign_code(entry: &Entry<'_>, call: &Call) -> bool {
    // In assembly the code stands in memory, and only where it begins is told.
    call.args.get(1).is_none_or(|code| {
        let origin = Origin::of(entry, code, true);
        !origin.creation_code
            && (origin.data
                || origin.sender
                || origin.external
                || origin.unknown
                || !origin.loads.is_empty())
    })
}

/// Whether a local holds nothing but contracts that the view made of code of the program.
fn is_made_here(entry: &Entry<'_>, id: LocalId, budget: usize) -> bool {
    let mut is_made = false;
    let only_made =
        entry.definitions[id.index()].iter().all(|at| match &entry.statement(*at).kind {
            StatementKind::Call(call) => {
                is_made |= matches!(call.kind, CallKind::New(_));
                match call.kind {
                    CallKind::New(Some(_)) => true,
                    CallKind::New(None) => !is_made_of_foreign_code(entry, call),
                    _ => false,
                }
            }
            StatementKind::Assign { value: Rvalue::Use(from) | Rvalue::Cast(from), .. } => {
                match from {
                    Operand::Local(from)
                        if budget > 0 && is_made_here(entry, *from, budget - 1) =>
                    {
                        is_made = true;
                        true
                    }
                    Operand::Constant(constant) => *constant == Constant::Default,
                    _ => false,
                }
            }
            _ => false,
        });
    is_made && only_made
}

/// Who gets control by a call: the callee, or whom the callee tells of it by a standard.
pub(super) fn callee(entry: &Entry<'_>, call: &Call) -> Callee {
    match callee_itself(entry, call) {
        Callee::Stranger => Callee::Stranger,
        other => match told(entry, call) {
            Some(operand) if account(entry, operand) == Callee::Stranger => Callee::Stranger,
            _ => other,
        },
    }
}

/// The account that a standard obliges the callee to call: the receiver of an ERC-721 or ERC-1155 token, of an
/// ERC-777 transfer, of an ERC-3156 loan. Told by the signatures that the standards fix.
fn told<'c>(entry: &Entry<'_>, call: &'c Call) -> Option<&'c Operand> {
    let CallKind::External { target: Some(target), .. } = &call.kind else { return None };
    let function = entry.program.function(*target);
    let types: Vec<String> =
        function.params.iter().map(|param| abi_type(&param.ty).to_owned()).collect();
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let receiver = match (function.name.as_str(), types.as_slice()) {
        (
            "safeTransferFrom",
            ["account", "account", "uint"]
            | ["account", "account", "uint", "bytes"]
            | ["account", "account", "uint", "uint", "bytes"],
        )
        | ("safeBatchTransferFrom", ["account", "account", "array", "array", "bytes"])
        | ("operatorSend", ["account", "account", "uint", "bytes", "bytes"]) => 1,
        ("send", ["account", "uint", "bytes"])
        | ("flashLoan", ["account", "account", "uint", "bytes"]) => 0,
        _ => return None,
    };
    call.args.get(receiver)
}

fn abi_type(ty: &Type) -> &'static str {
    match ty {
        Type::Address | Type::Contract(_) => "account",
        Type::Uint(256) => "uint",
        Type::Bytes => "bytes",
        Type::Array(..) => "array",
        _ => "other",
    }
}

pub(super) fn callee_itself(entry: &Entry<'_>, call: &Call) -> Callee {
    if call.kind == CallKind::New(None) {
        return if is_made_of_foreign_code(entry, call) { Callee::Stranger } else { Callee::Fixed };
    }
    call.callee.as_ref().map_or(Callee::Stranger, |callee| account(entry, callee))
}

/// Who chooses an account.
fn account(entry: &Entry<'_>, callee: &Operand) -> Callee {
    match entry.canonical(callee) {
        Operand::Constant(Constant::Unknown) => return Callee::Stranger,
        Operand::Constant(_) | Operand::Environment(Environment::This) => return Callee::Fixed,
        // A contract that this very call created runs code that is known.
        Operand::Local(id) if is_made_here(entry, id, 8) => return Callee::Fixed,
        _ => {}
    }
    let origin = Origin::of(entry, callee, false);
    if origin.sender
        || origin.signer
        || origin.data
        || origin.external
        || origin.recovered
        || origin.unknown
    {
        return Callee::Stranger;
    }
    if origin.loads.is_empty() {
        return Callee::Fixed;
    }
    let mut keys: Vec<_> = origin
        .loads
        .iter()
        .flat_map(|load| entry.accessed(*load))
        .flat_map(|place| StateKey::of(entry.program, place))
        .collect();
    keys.sort();
    keys.dedup();
    if keys.is_empty() { Callee::Stranger } else { Callee::Stored(keys) }
}

/// Answers about one view, each computed when first asked.
pub(super) struct Work<'e, 'a> {
    pub(super) entry: &'e Entry<'a>,
    /// The run that knows nothing of storage; ways that it does not take are not there.
    pub(super) constants: Constants<'e, 'a>,
    guards: Option<Guards>,
    /// Where each block leads, and where it is come to from, over edges that can be taken.
    ways: Lists<NodeIndex>,
    pub(super) origins: Lists<NodeIndex>,
    /// Blocks from which some way ends without undoing everything.
    ends_well: Bits,
    /// The runs that start with what storage holds at a call, by that content.
    locked_runs: BTreeMap<Storage, Constants<'e, 'a>>,
    /// The branches that decide about each block.
    controllers: RefCell<BTreeMap<NodeIndex, Rc<[NodeIndex]>>>,
    /// The run that follows a completed one.
    one_shot: Option<Constants<'e, 'a>>,
    /// State that the view writes.
    changed: OnceCell<BTreeSet<StateKey>>,
    dominators: OnceCell<Dominators<NodeIndex>>,
    /// Edges that close a loop.
    pub(super) back_edges: BTreeSet<(NodeIndex, NodeIndex)>,
    /// Where the loop of each head goes on when it ends.
    loop_exits: BTreeMap<NodeIndex, Vec<NodeIndex>>,
    pub(super) in_loop: Bits,
}

impl<'e, 'a> Work<'e, 'a> {
    pub(super) fn new(entry: &'e Entry<'a>) -> Self {
        let body = &entry.view.body;
        let mut work = Work {
            entry,
            constants: Constants::run(entry, Storage::new()),
            guards: None,
            ways: Lists::default(),
            origins: Lists::default(),
            ends_well: Bits::default(),
            locked_runs: BTreeMap::new(),
            controllers: RefCell::default(),
            one_shot: None,
            changed: OnceCell::new(),
            dominators: OnceCell::new(),
            back_edges: BTreeSet::new(),
            loop_exits: BTreeMap::new(),
            in_loop: Bits::default(),
        };
        let mut origins = Vec::new();
        for block in body.graph.node_indices() {
            work.ways.begin();
            for &(_, next) in entry.successors(block) {
                if work.constants.takes(block, next) {
                    work.ways.push(next);
                    origins.push((next.index(), block));
                }
            }
        }
        work.origins = Lists::of(body.graph.node_count(), &origins);
        let ends = |block: &NodeIndex| {
            *block == entry.view.exit || matches!(body.graph[*block].end, End::Stop)
        };
        let mut open: Vec<NodeIndex> = body.graph.node_indices().filter(ends).collect();
        while let Some(block) = open.pop() {
            if !work.ends_well.contains(block.index()) {
                work.ends_well.insert(block.index());
                open.extend(&work.origins[block.index()]);
            }
        }
        if entry.has_loops() {
            work.find_loops();
        }
        work
    }

    fn find_loops(&mut self) {
        let entry = self.entry;
        for component in petgraph::algo::tarjan_scc(&entry.view.body.graph) {
            if component.len() < 2 {
                continue;
            }
            for &from in &component {
                self.in_loop.insert(from.index());
                for &(_, to) in entry.successors(from) {
                    if self.is_before(to, from) {
                        self.back_edges.insert((from, to));
                    }
                }
            }
        }
        let heads: BTreeSet<NodeIndex> = self.back_edges.iter().map(|(_, to)| *to).collect();
        self.loop_exits = heads.into_iter().map(|head| (head, self.exits_of(head))).collect();
    }

    /// Narrows a callee that the caller chooses to those on the contract's own list: the way to the call asks,
    /// and undoes everything otherwise, for what the contract keeps under the very account.
    pub(super) fn listed(&self, at: At, call: &Call, callee: Callee) -> Callee {
        let (Callee::Stranger, Some(account)) = (&callee, &call.callee) else { return callee };
        let entry = self.entry;
        let chosen = Origin::of(entry, account, false);
        if chosen.params.is_empty() || chosen.sender || chosen.external || chosen.unknown {
            return callee;
        }
        let mut keys = Vec::new();
        for &block in self.controllers(at.block).iter() {
            let End::Branch { condition, .. } = &entry.view.body.graph[block].end else { continue };
            if self.successors(block).iter().all(|next| self.ends_well(*next)) {
                continue;
            }
            for load in &Origin::of(entry, condition, false).loads {
                for place in entry.accessed(*load) {
                    let is_under_it = place.path.iter().any(|key| {
                        let AbsoluteKey::Index(key) = key else { return false };
                        let key = Origin::of(entry, key, false);
                        key.params == chosen.params && !key.sender && key.loads.is_empty()
                    });
                    if is_under_it {
                        keys.extend(StateKey::of(entry.program, place));
                    }
                }
            }
        }
        if keys.is_empty() { callee } else { Callee::Listed(keys) }
    }

    /// Whether the way to the statement depends on state that the view changes.
    fn is_step(&self, at: At) -> bool {
        let entry = self.entry;
        let asked: BTreeSet<StateKey> = self
            .controllers(at.block)
            .iter()
            .flat_map(|block| entry.loaded_state(&self.condition_bits(*block)))
            .collect();
        let changed = self.changed.get_or_init(|| {
            entry
                .statements()
                .filter(|(_, statement)| matches!(statement.kind, StatementKind::Store { .. }))
                .flat_map(|(store, _)| roots(entry, store))
                .collect()
        });
        !asked.is_disjoint(changed)
    }

    pub(super) fn guard(&mut self, at: At) -> Guard {
        let guards = self.guards.get_or_insert_with(|| Guards::of(self.entry));
        let is_guarded = guards.guards(at);
        let rests_on = if is_guarded { guards.rests_on.clone() } else { BTreeSet::new() };
        Guard { is_guarded, rests_on }
    }

    /// What keeps the call from being reached again while it runs: what storage holds at the call makes a
    /// second run end before it, or a counter tells that there was one.
    fn lock(&mut self, at: At) -> Option<Lock> {
        let storage = self.constants.storage_before(at.block, at.index);
        if !storage.is_empty() {
            let entry = self.entry;
            let run = self
                .locked_runs
                .entry(storage.clone())
                .or_insert_with_key(|storage| Constants::run(entry, storage.clone()));
            if !run.reaches_statement(at) {
                let shared = storage.into_iter().filter(|(place, _)| is_the_same_everywhere(place));
                return Some(Lock::State(shared.collect()));
            }
        }
        self.counter(at).map(|kept| Lock::Counter(roots(self.entry, kept)))
    }

    /// Whether some run ends in the middle, with everything done so far.
    fn stops(&self) -> bool {
        let graph = &self.entry.view.body.graph;
        graph
            .node_indices()
            .any(|block| matches!(graph[block].end, End::Stop) && self.constants.reaches(block))
    }

    /// The calls of functions of other contracts that every run must have made, with success, before it comes here.
    fn passed_before(&self, at: At) -> Vec<(FunctionId, Callee)> {
        let entry = self.entry;
        let mut found = Vec::new();
        for (other, statement) in entry.statements() {
            let StatementKind::Call(call) = &statement.kind else { continue };
            let CallKind::External { target: Some(target), is_view: false, .. } = call.kind else {
                continue;
            };
            if !call.may_fail && self.stands_before(other, at) {
                found.push((target, callee(entry, call)));
            }
        }
        found
    }

    /// The lock that counts entries: a counter is raised and kept before the call, and after it
    /// everything is undone unless the counter still is what was kept.
    fn counter(&self, at: At) -> Option<At> {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        let after = self.forward(at.block);
        let is_earlier = |load: &At| {
            if load.block == at.block {
                load.index < at.index
            } else {
                self.is_before(load.block, at.block)
            }
        };
        let load_of = |operand: &Operand| match entry.canonical(operand) {
            Operand::Local(id) => match &entry.definitions[id.index()] {
                [only] if matches!(entry.statement(*only).kind, StatementKind::Load { .. }) => {
                    Some(*only)
                }
                _ => None,
            },
            _ => None,
        };
        graph.node_indices().filter(|block| after.contains(block.index())).find_map(|block| {
            let End::Branch { condition: Operand::Local(condition), .. } = &graph[block].end else {
                return None;
            };
            let Some(StatementKind::Assign {
                value: Rvalue::Binary(BinaryOp::Eq | BinaryOp::Ne, left, right),
                ..
            }) = entry.only_definition(*condition).map(|statement| &statement.kind)
            else {
                return None;
            };
            let (Some(left), Some(right)) = (load_of(left), load_of(right)) else { return None };
            let (kept, fresh) = if is_earlier(&left) { (left, right) } else { (right, left) };
            let is_same =
                entry.accessed(kept).len() == 1 && entry.accessed(kept) == entry.accessed(fresh);
            let is_fresh = if fresh.block == at.block {
                fresh.index > at.index
            } else {
                after.contains(fresh.block.index())
            };
            if !is_earlier(&kept) || !is_same || !is_fresh {
                return None;
            }
            let is_raised = entry.statements().any(|(store, statement)| {
                let is_ahead = if store.block == kept.block {
                    store.index < kept.index
                } else {
                    self.is_before(store.block, kept.block)
                };
                matches!(statement.kind, StatementKind::Store { .. })
                    && is_ahead
                    && entry.accessed(store) == entry.accessed(kept)
            });
            let undoes = self.successors(block).iter().any(|next| !self.ends_well(*next));
            let is_counted = is_raised
                && undoes
                && (block == at.block
                    || !self
                        .reachable(&[at.block], |from, _| from != block)
                        .contains(entry.view.exit.index()));
            is_counted.then_some(kept)
        })
    }

    /// Whether some way from `block` ends without undoing everything.
    pub(super) fn ends_well(&self, block: NodeIndex) -> bool {
        self.ends_well.contains(block.index())
    }

    /// Whether the statement cannot be reached again once a run has ended.
    pub(super) fn is_one_shot(&mut self, at: At) -> bool {
        if self.one_shot.is_none() {
            let mut first = Constants::run_assuming(self.entry, Storage::new(), true);
            let storage = first.storage_before(self.entry.view.exit, usize::MAX);
            // A run that leaves nothing known behind is followed by one like itself.
            self.one_shot = Some(if storage.is_empty() {
                first
            } else {
                Constants::run_assuming(self.entry, storage, true)
            });
        }
        self.one_shot.as_ref().is_some_and(|run| !run.reaches(at.block))
    }

    /// Whether the way to the statement asks that some state be still zero, and the same run sets it to a
    /// value of the caller's: the first who comes takes it, even where foreign code runs in between.
    pub(super) fn is_claimed(&self, at: At) -> bool {
        let entry = self.entry;
        let graph = &entry.view.body.graph;
        self.controllers(at.block).iter().any(|&block| {
            let End::Branch { condition, .. } = &graph[block].end else { return false };
            let Some((asked, taken)) = self.asks_for_zero(condition) else { return false };
            let undoes = entry
                .successors(block)
                .iter()
                .any(|&(edge, next)| edge == taken && !self.ends_well(next));
            undoes
                && Origin::of(entry, &Operand::Local(asked), false).loads.iter().any(|load| {
                    let read = entry.accessed(*load);
                    !read.is_empty() && self.is_set_by_caller(read)
                })
        })
    }

    fn is_set_by_caller(&self, places: &[AbsolutePlace]) -> bool {
        let entry = self.entry;
        entry.statements().any(|(store, statement)| match &statement.kind {
            StatementKind::Store { value, .. } => {
                entry.accessed(store) == places
                    && Origin::of(entry, value, false).is_callers_choice()
            }
            _ => false,
        })
    }

    /// The local that a condition compares with zero, and the way that is taken where it is something else.
    fn asks_for_zero(&self, condition: &Operand) -> Option<(LocalId, Edge)> {
        let entry = self.entry;
        let is_zero = |operand: &Operand| match entry.canonical(operand) {
            Operand::Constant(constant) => {
                constant_value(entry.program, &constant) == Some(Known::Number(U256::ZERO))
            }
            _ => false,
        };
        let local = |operand: &Operand| match entry.canonical(operand) {
            Operand::Local(id) => Some(id),
            _ => None,
        };
        let whole = local(condition)?;
        let Some(StatementKind::Assign { value, .. }) =
            entry.only_definition(whole).map(|statement| &statement.kind)
        else {
            return Some((whole, Edge::True));
        };
        match value {
            Rvalue::Unary(UnaryOp::Not, asked) => Some((local(asked)?, Edge::False)),
            Rvalue::Binary(op, asked, zero) if is_zero(zero) => match op {
                BinaryOp::Eq => Some((local(asked)?, Edge::False)),
                BinaryOp::Ne | BinaryOp::Gt => Some((local(asked)?, Edge::True)),
                _ => None,
            },
            Rvalue::Binary(op, zero, asked) if is_zero(zero) => match op {
                BinaryOp::Eq => Some((local(asked)?, Edge::False)),
                BinaryOp::Ne | BinaryOp::Lt => Some((local(asked)?, Edge::True)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Blocks reachable from `starts` (included) over edges that can be taken and that `passes` admits.
    fn reachable(
        &self,
        starts: &[NodeIndex],
        passes: impl Fn(NodeIndex, NodeIndex) -> bool,
    ) -> Bits {
        let mut seen = Bits::default();
        let mut open = starts.to_vec();
        while let Some(block) = open.pop() {
            if seen.contains(block.index()) {
                continue;
            }
            seen.insert(block.index());
            open.extend(self.successors(block).iter().filter(|next| passes(block, **next)));
        }
        seen
    }

    pub(super) fn successors(&self, block: NodeIndex) -> &[NodeIndex] {
        &self.ways[block.index()]
    }

    /// Whether every run that comes to `at` has come by `first`.
    pub(super) fn stands_before(&self, first: At, at: At) -> bool {
        if first.block == at.block {
            first.index < at.index
        } else {
            self.is_before(first.block, at.block)
        }
    }

    fn is_before(&self, first: NodeIndex, second: NodeIndex) -> bool {
        let body = &self.entry.view.body;
        self.dominators
            .get_or_init(|| simple_fast(&body.graph, body.entry))
            .dominators(second)
            .is_some_and(|mut above| above.any(|block| block == first))
    }

    /// Blocks that run after `block` without going round a loop; where a loop ends at its head, what follows it
    /// is among them.
    pub(super) fn forward(&self, block: NodeIndex) -> Bits {
        let mut seen = Bits::default();
        let mut open = vec![block];
        while let Some(block) = open.pop() {
            if seen.contains(block.index()) {
                continue;
            }
            seen.insert(block.index());
            for &next in self.successors(block) {
                if self.back_edges.contains(&(block, next)) {
                    open.extend(self.loop_exits.get(&next).into_iter().flatten());
                } else {
                    open.push(next);
                }
            }
        }
        seen
    }

    /// Where the loop that begins at `head` can be left to.
    fn exits_of(&self, head: NodeIndex) -> Vec<NodeIndex> {
        let inside = self.loop_body(head);
        inside
            .iter()
            .flat_map(|at| self.successors(NodeIndex::new(at)))
            .filter(|next| !inside.contains(next.index()))
            .copied()
            .collect()
    }

    /// Branches that decide whether `target` is reached.
    pub(super) fn controllers(&self, target: NodeIndex) -> Rc<[NodeIndex]> {
        if let Some(known) = self.controllers.borrow().get(&target) {
            return Rc::clone(known);
        }
        let found: Rc<[NodeIndex]> = self.find_controllers(target).into();
        self.controllers.borrow_mut().insert(target, Rc::clone(&found));
        found
    }

    fn find_controllers(&self, target: NodeIndex) -> Vec<NodeIndex> {
        let graph = &self.entry.view.body.graph;
        let mut leads = Bits::default();
        let mut open = vec![target];
        while let Some(block) = open.pop() {
            if !leads.contains(block.index()) {
                leads.insert(block.index());
                open.extend(&self.origins[block.index()]);
            }
        }
        let mut out = Vec::new();
        for at in leads.iter() {
            let block = NodeIndex::new(at);
            if block == target || !matches!(graph[block].end, End::Branch { .. }) {
                continue;
            }
            let next = self.successors(block);
            let decides = if self.in_loop.contains(at) {
                let ways: Vec<bool> = next
                    .iter()
                    .map(|next| {
                        *next != block
                            && self
                                .reachable(&[*next], |_, to| to != block)
                                .contains(target.index())
                    })
                    .collect();
                ways.contains(&true) && (ways.contains(&false) || next.len() < 2)
            } else {
                next.iter().any(|next| !leads.contains(next.index()))
            };
            if decides {
                out.push(block);
            }
        }
        out
    }

    fn condition_bits(&self, block: NodeIndex) -> Bits {
        match &self.entry.view.body.graph[block].end {
            End::Branch { condition, .. } => self.entry.operand_dependencies(condition),
            _ => Bits::default(),
        }
    }

    /// What decides whether `block` is reached depends on this.
    pub(super) fn control_bits(&self, block: NodeIndex) -> Bits {
        let mut bits = Bits::default();
        for &controller in self.controllers(block).iter() {
            bits.union(&self.condition_bits(controller));
        }
        bits
    }

    /// State that was read on the way to the call, on which the way depended, that still stands as read
    /// when the call is made, and that is written after it.
    fn stale(&mut self, at: At, call: &Call) -> Vec<Stale> {
        let mut found = self.stale_places(at, call);
        found.retain(|(place, _)| !self.is_as_before(at, place));
        found.into_iter().map(|(_, stale)| stale).collect()
    }

    /// Whether the place is changed after the call and, at the end of every run, holds again a constant with which
    /// the call is made: what was written to it serves the run itself.
    fn is_as_before(&mut self, at: At, place: &AbsolutePlace) -> bool {
        let entry = self.entry;
        let after = self.forward(at.block);
        let values: BTreeSet<Operand> = entry
            .statements()
            .filter(|(store, _)| {
                after.contains(store.block.index())
                    && (store.block != at.block || store.index > at.index)
                    && matches!(entry.accessed(*store), [only] if only == place)
            })
            .filter_map(|(_, statement)| match &statement.kind {
                StatementKind::Store { value, .. } => Some(entry.canonical(value)),
                _ => None,
            })
            .collect();
        let last = self.constants.storage_before(entry.view.exit, usize::MAX);
        let Some(known) = last.get(place).filter(|_| values.len() > 1) else { return false };
        let storage = Storage::from([(place.clone(), known.clone())]);
        self.locked_runs
            .entry(storage)
            .or_insert_with_key(|storage| Constants::run(entry, storage.clone()))
            .reaches(at.block)
    }

    /// The stores that run after the statement, in this round of a loop or the next.
    pub(super) fn stores_after(
        &self,
        at: At,
        after: &Bits,
    ) -> Vec<(At, &'e [AbsolutePlace], Span)> {
        let entry = self.entry;
        let everything = self.reachable(&[at.block], |_, _| true);
        let mut stores = Vec::new();
        for (store, statement) in entry.statements() {
            if !matches!(statement.kind, StatementKind::Store { .. }) {
                continue;
            }
            let is_in_block = store.block == at.block;
            let is_forward = if is_in_block {
                store.index > at.index
            } else {
                after.contains(store.block.index())
            };
            // A write that precedes the call in its round is an effect before the interaction.
            let is_round_a_loop = !is_forward
                && everything.contains(store.block.index())
                && !is_in_block
                && !self.forward(store.block).contains(at.block.index());
            if is_forward || is_round_a_loop {
                stores.push((store, entry.accessed(store), statement.span));
            }
        }
        stores
    }

    fn stale_places(&self, at: At, call: &Call) -> Vec<(AbsolutePlace, Stale)> {
        let entry = self.entry;
        let after = self.forward(at.block);
        let stores = self.stores_after(at, &after);
        if stores.is_empty() {
            return Vec::new();
        }
        let mut bits = Bits::default();
        for operand in call.callee.iter().chain(&call.value).chain(&call.args) {
            bits.union(&entry.operand_dependencies(operand));
        }
        bits.union(&self.control_bits(at.block));
        let mut out: Vec<(AbsolutePlace, Stale)> = Vec::new();
        for bit in bits.iter().filter(|bit| *bit >= source::FIRST_LOAD) {
            let load = entry.loads[bit - source::FIRST_LOAD];
            let statement = entry.statement(load);
            for read in entry.accessed(load) {
                let candidates: Vec<_> = stores
                    .iter()
                    .filter(|(_, places, _)| places.iter().any(|place| overlap(place, read)))
                    .collect();
                if candidates.is_empty() || !self.stands(load, at, read) {
                    continue;
                }
                let written = candidates
                    .into_iter()
                    .find(|(store, ..)| !self.is_checked_again(at, *store, read, &after));
                let Some((_, places, write)) = written else { continue };
                let is_callers_own = places.contains(read)
                    && read
                        .path
                        .contains(&AbsoluteKey::Index(Operand::Environment(Environment::Sender)));
                let stale = Stale {
                    keys: StateKey::of(entry.program, read),
                    variable: self.describe(read),
                    read: statement.span,
                    write: *write,
                    is_callers_own,
                };
                if !out.iter().any(|(_, known)| {
                    known.variable == stale.variable && known.write == stale.write
                }) {
                    out.push((read.clone(), stale));
                }
            }
        }
        out
    }

    /// Whether some way leads from the read to the call without the place being overwritten.
    fn stands(&self, load: At, at: At, read: &AbsolutePlace) -> bool {
        let entry = self.entry;
        let overwrites = |block: NodeIndex, from: usize, to: usize| {
            entry
                .stores_in(block)
                .iter()
                .filter(|index| (from..to).contains(*index))
                .any(|&index| {
                    matches!(entry.accessed(At { block, index }), [only] if covers(only, read))
                })
        };
        if load.block == at.block && load.index < at.index {
            return !overwrites(at.block, load.index, at.index);
        }
        if overwrites(load.block, load.index, usize::MAX) {
            return false;
        }
        let starts = self.successors(load.block);
        let ways =
            self.reachable(starts, |from, _| from != at.block && !overwrites(from, 0, usize::MAX));
        ways.contains(at.block.index()) && !overwrites(at.block, 0, at.index)
    }

    /// Whether the place is read afresh after the call and a check of it, which undoes everything where
    /// it fails, stands before the write.
    fn is_checked_again(&self, at: At, store: At, read: &AbsolutePlace, after: &Bits) -> bool {
        let entry = self.entry;
        let fresh: Vec<usize> = entry
            .loads
            .iter()
            .enumerate()
            .filter(|(_, load)| {
                if load.block == at.block {
                    load.index > at.index
                } else {
                    after.contains(load.block.index())
                }
            })
            .filter(|(_, load)| {
                let places = entry.accessed(**load);
                places.contains(read) || (!places.is_empty() && places == entry.accessed(store))
            })
            .map(|(index, _)| source::FIRST_LOAD + index)
            .collect();
        if fresh.is_empty() {
            return false;
        }
        self.controllers(store.block).iter().any(|&block| {
            let is_after = after.contains(block.index());
            let bits = self.condition_bits(block);
            is_after
                && fresh.iter().any(|bit| bits.contains(*bit))
                && self.successors(block).iter().any(|next| !self.ends_well(*next))
        })
    }

    /// The place as a reader of the source names it.
    pub(super) fn describe(&self, place: &AbsolutePlace) -> String {
        let mut out = match &place.root {
            AbsoluteRoot::Variable(id) => self.entry.program.variable(*id).name.clone(),
            AbsoluteRoot::Slot(..) => "a computed storage slot".to_owned(),
        };
        for key in &place.path {
            match key {
                AbsoluteKey::Index(_) => out.push_str("[]"),
                AbsoluteKey::Field(name) => {
                    out.push('.');
                    out.push_str(name);
                }
                AbsoluteKey::Length => out.push_str(".length"),
            }
        }
        out
    }
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
