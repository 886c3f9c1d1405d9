//! Who gets control by a call, and who chooses them.

use super::entry::{AbsoluteKey, At, Entry, StateKey};
use super::makers::Constructors;
use super::origin::Origin;
use super::work::Work;
use crate::cfg::*;
use crate::hir::Type;

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

/// Who gets control by a call that can call back and change something; `None` where nobody does.
pub(super) fn who_runs(
    entry: &Entry<'_>,
    call: &Call,
    constructors: &Constructors,
) -> Option<Callee> {
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

/// The call that the standards of tokens fix for taking tokens of somebody who allowed it.
pub(super) fn is_transfer_from(call: &Call) -> bool {
    matches!(&call.kind, CallKind::External { name, .. } if name == "transferFrom" || name == "safeTransferFrom")
        && call.args.len() >= 3
}

impl Work<'_, '_> {
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
}
