//! Setting a guardian up: its creation code, its owner's calls as data, and what it says of itself.
//!
//! The owner is usually a multisig, so each call is available as data to propose there; [`super::transact`] sends
//! one from a key.

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::{SolCall, SolValue};

use super::contract::{CREATION_CODE, IGuardian};
use super::rpc::{Rpc, view};
use super::{GuardianError, Transaction};

/// One call that helps to pause a protected contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredCall {
    /// Contract called, usually the protected one.
    pub to: Address,
    /// Call data.
    pub data: Bytes,
}

/// What a guardian says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// May change everything.
    pub owner: Address,
    /// Offered the ownership; zero for none.
    pub pending_owner: Address,
    /// Seconds between two pauses of one contract.
    pub cooldown_s: u32,
    /// Seconds over which pauses are counted.
    pub period_s: u32,
    /// Pauses of one contract that a period allows.
    pub max_pauses_per_period: u32,
    /// For each pauser asked about: when its right ends, Unix seconds; zero for no right.
    pub pausers: Vec<(Address, u64)>,
    /// For each target asked about: its registered calls and from when it may be paused again, Unix seconds.
    pub targets: Vec<(Address, Vec<RegisteredCall>, u64)>,
}

/// Creation code of a guardian that `owner` controls.
pub fn deployment_data(owner: Address) -> Bytes {
    [CREATION_CODE.as_ref(), &owner.abi_encode()].concat().into()
}

/// Creation code as a transaction.
pub fn deployment(owner: Address) -> Transaction {
    Transaction { to: None, data: deployment_data(owner), value_wei: Default::default() }
}

/// Owner's call: replaces the calls that pause `target`; none takes it out.
pub fn register_call(target: Address, calls: &[RegisteredCall]) -> Bytes {
    let calls = calls
        .iter()
        .map(|call| IGuardian::RegisteredCall { to: call.to, data: call.data.clone() })
        .collect();
    IGuardian::registerCall { target, calls }.abi_encode().into()
}

/// Owner's call: lets `pauser` pause until `expires_at`, Unix seconds; zero revokes.
pub fn add_pauser_call(pauser: Address, expires_at: u64) -> Bytes {
    IGuardian::setPauserCall { pauser, expiresAt: expires_at }.abi_encode().into()
}

/// Owner's call: changes how often one contract may be paused.
pub fn set_limits_call(cooldown_s: u32, period_s: u32, max_pauses_per_period: u32) -> Bytes {
    let call = IGuardian::setLimitsCall {
        cooldown: cooldown_s,
        period: period_s,
        maxPausesPerPeriod: max_pauses_per_period,
    };
    call.abi_encode().into()
}

/// Owner's call: offers the ownership.
pub fn transfer_ownership_call(new_owner: Address) -> Bytes {
    IGuardian::transferOwnershipCall { newOwner: new_owner }.abi_encode().into()
}

/// New owner's call: takes the ownership.
pub fn accept_ownership_call() -> Bytes {
    IGuardian::acceptOwnershipCall {}.abi_encode().into()
}

/// Pauser's call: pauses `target`; `evidence` ends up in the guardian's event.
pub fn pause_call(target: Address, evidence: B256) -> Bytes {
    IGuardian::pauseCall { target, evidence }.abi_encode().into()
}

/// Pauser's call: gives up its right.
pub fn renounce_call() -> Bytes {
    IGuardian::renounceCall {}.abi_encode().into()
}

/// Reads a guardian's settings, and what it knows of the given pausers and targets.
///
/// # Errors
/// [`GuardianError::Rpc`]; [`GuardianError::BadAnswer`] where something else lives at that address.
pub async fn status(
    rpc: &dyn Rpc,
    guardian: Address,
    pausers: &[Address],
    targets: &[Address],
) -> Result<Status, GuardianError> {
    let mut status = Status {
        owner: view(rpc, guardian, &IGuardian::ownerCall {}).await?,
        pending_owner: view(rpc, guardian, &IGuardian::pendingOwnerCall {}).await?,
        cooldown_s: view(rpc, guardian, &IGuardian::cooldownCall {}).await?,
        period_s: view(rpc, guardian, &IGuardian::periodCall {}).await?,
        max_pauses_per_period: view(rpc, guardian, &IGuardian::maxPausesPerPeriodCall {}).await?,
        pausers: Vec::with_capacity(pausers.len()),
        targets: Vec::with_capacity(targets.len()),
    };
    for &pauser in pausers {
        status
            .pausers
            .push((pauser, view(rpc, guardian, &IGuardian::pauserExpiresAtCall { pauser }).await?));
    }
    for &target in targets {
        let calls = view(rpc, guardian, &IGuardian::callsOfCall { target }).await?;
        let calls =
            calls.into_iter().map(|call| RegisteredCall { to: call.to, data: call.data }).collect();
        let next = view(rpc, guardian, &IGuardian::nextPauseAtCall { target }).await?;
        status.targets.push((target, calls, next.saturating_to()));
    }
    Ok(status)
}
