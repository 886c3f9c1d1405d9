//! Whether the pause would work, asked before it is needed.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::sol_types::SolInterface;
use serde::Deserialize;
use serde_json::{Value, json};

use super::contract::IGuardian::{self, IGuardianErrors, RegisteredCall};
use super::contract::IPausable::IPausableErrors;
use super::rpc::{Rpc, RpcError, ask, view};
use super::{GuardianError, PauseEngine, deploy};

/// What was found when everything is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// Account of the key.
    pub pauser: Address,
    /// When its right to pause ends, Unix seconds.
    pub expires_at: u64,
    /// What it holds, in wei.
    pub balance_wei: U256,
    /// The nonce of its next transaction.
    pub nonce: u64,
}

/// Whose pauses are asked about, and what they must be able to cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseTerms {
    /// Name of the chain in the configuration.
    pub chain: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The guardian contract.
    pub guardian: Address,
    /// The account that would pause.
    pub pauser: Address,
    /// What the account must hold to pay for one pause, in wei.
    pub max_cost_wei: u128,
    /// Gas limit of a pause.
    pub gas_limit: u64,
}

#[derive(Deserialize)]
struct Head {
    timestamp: U64,
}

/// Time of the newest block, Unix seconds: the clock that a contract reads.
///
/// # Errors
/// [`GuardianError::Rpc`], [`GuardianError::BadAnswer`].
pub async fn head_time_s(rpc: &dyn Rpc) -> Result<u64, GuardianError> {
    let head: Head = ask(rpc, "eth_getBlockByNumber", json!(["latest", false]), "a block").await?;
    Ok(head.timestamp.saturating_to())
}

impl PauseEngine {
    /// Asks [`preflight`] for this engine's key and settings.
    ///
    /// # Errors
    /// As [`preflight`].
    pub async fn preflight(&self, targets: &[Address]) -> Result<Preflight, GuardianError> {
        let settings = self.settings();
        let terms = PauseTerms {
            chain: settings.chain.clone(),
            chain_id: settings.chain_id,
            guardian: settings.guardian,
            pauser: self.address(),
            max_cost_wei: settings.budget.max_cost_wei,
            gas_limit: settings.gas_limit,
        };
        preflight(self.rpcs(), &terms, targets).await
    }
}

/// Reads from the chain whether a pause of each target would work now: every node serves the right chain, the
/// guardian is there, the account is a pauser whose right has not ended, it can pay, every target is registered,
/// and the pause of each succeeds when simulated by the first node. Needs no key.
///
/// # Errors
/// What is missing first, in that order. A target that is paused already is [`GuardianError::AlreadyPaused`], one
/// that may not be paused again yet [`GuardianError::CoolingDown`]: after a pause and a restart both are as
/// expected.
pub async fn preflight(
    rpcs: &[Arc<dyn Rpc>],
    terms: &PauseTerms,
    targets: &[Address],
) -> Result<Preflight, GuardianError> {
    for rpc in rpcs {
        let found: U64 = ask(rpc.as_ref(), "eth_chainId", json!([]), "a quantity").await?;
        if found != U64::from(terms.chain_id) {
            return Err(GuardianError::WrongChain {
                node: rpc.label().into(),
                expected: terms.chain_id,
                found: found.saturating_to(),
            });
        }
    }
    let Some(rpc) = rpcs.first() else {
        return Err(GuardianError::NoNode { chain: terms.chain.clone() });
    };
    let rpc = rpc.as_ref();
    let (guardian, pauser) = (terms.guardian, terms.pauser);
    let code: Bytes = ask(rpc, "eth_getCode", json!([guardian, "latest"]), "bytes").await?;
    if code.is_empty() {
        return Err(GuardianError::NoGuardian { chain: terms.chain.clone(), guardian });
    }
    let expires_at = terms.pauser_right(rpc).await?;
    let balance_wei: U256 =
        ask(rpc, "eth_getBalance", json!([pauser, "latest"]), "a quantity").await?;
    if balance_wei < U256::from(terms.max_cost_wei) {
        return Err(GuardianError::Unfunded {
            chain: terms.chain.clone(),
            address: pauser,
            balance_wei: balance_wei.to_string(),
            needed_wei: terms.max_cost_wei,
        });
    }
    for &target in targets {
        let calls = view(rpc, guardian, &IGuardian::callsOfCall { target }).await?;
        if calls.is_empty() {
            return Err(GuardianError::NotRegistered { guardian, target });
        }
        terms.rehearse(rpc, target, &calls).await?;
    }
    let nonce: U64 =
        ask(rpc, "eth_getTransactionCount", json!([pauser, "pending"]), "a quantity").await?;
    Ok(Preflight { pauser, expires_at, balance_wei, nonce: nonce.saturating_to() })
}

impl PauseTerms {
    async fn pauser_right(&self, rpc: &dyn Rpc) -> Result<u64, GuardianError> {
        let (pauser, guardian) = (self.pauser, self.guardian);
        let expires_at = view(rpc, guardian, &IGuardian::pauserExpiresAtCall { pauser }).await?;
        let reason = match head_time_s(rpc).await? {
            _ if expires_at == 0 => "the right was never granted or was revoked".to_owned(),
            now if now >= expires_at => {
                format!("the right ended {} s ago", now.saturating_sub(expires_at))
            }
            _ => return Ok(expires_at),
        };
        Err(GuardianError::NotAPauser { address: pauser, guardian, reason })
    }

    async fn rehearse(
        &self,
        rpc: &dyn Rpc,
        target: Address,
        calls: &[RegisteredCall],
    ) -> Result<(), GuardianError> {
        let guardian = self.guardian;
        let call = json!({
            "from": self.pauser,
            "to": guardian,
            "input": deploy::pause_call(target, B256::ZERO),
            "gas": U64::from(self.gas_limit),
        });
        let Some((message, data)) = refusal(rpc, &call).await? else { return Ok(()) };
        let cooling = |until: U256, reason| {
            Err(GuardianError::CoolingDown {
                guardian,
                target,
                until: until.saturating_to(),
                reason,
            })
        };
        let mut reasons = vec![];
        match IGuardianErrors::abi_decode(&data) {
            Ok(IGuardianErrors::CoolingDown(error)) => {
                return cooling(error.until, "cool-down after the last pause");
            }
            Ok(IGuardianErrors::TooManyPauses(error)) => {
                return cooling(error.until, "pauses in this period used up");
            }
            Ok(IGuardianErrors::NothingPaused(_)) => {
                // The guardian does not hand on why; each call says it when the guardian alone makes it.
                for RegisteredCall { to, data } in calls {
                    let call = json!({ "from": guardian, "to": to, "input": data });
                    let Some((message, data)) = refusal(rpc, &call).await? else { continue };
                    match IPausableErrors::abi_decode(&data) {
                        Ok(IPausableErrors::EnforcedPause(_)) => {
                            return Err(GuardianError::AlreadyPaused { target });
                        }
                        Ok(IPausableErrors::AccessControlUnauthorizedAccount(error)) => {
                            reasons.push(format!(
                                "{to} has not granted {} role {}",
                                error.account, error.neededRole
                            ));
                        }
                        Ok(IPausableErrors::OwnableUnauthorizedAccount(error)) => {
                            reasons.push(format!("{to} is not owned by {}", error.account));
                        }
                        Ok(IPausableErrors::Error(error)) => {
                            reasons.push(format!("{to}: {}", error.reason))
                        }
                        Err(_) => reasons.push(format!("{to}: {message}")),
                    }
                }
            }
            _ => reasons.push(message),
        }
        Err(GuardianError::WouldFail { guardian, target, reason: reasons.join("; ") })
    }
}

/// Makes a call without a transaction; the node's words and the revert data where it fails.
async fn refusal(rpc: &dyn Rpc, call: &Value) -> Result<Option<(String, Bytes)>, GuardianError> {
    match ask::<Bytes>(rpc, "eth_call", json!([call, "latest"]), "bytes").await {
        Ok(_) => Ok(None),
        Err(GuardianError::Rpc { source: RpcError::Refused { message, data, .. }, .. }) => {
            Ok(Some((message, serde_json::from_value(data).unwrap_or_default())))
        }
        Err(error) => Err(error),
    }
}
