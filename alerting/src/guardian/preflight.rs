//! Whether the pause would work, asked before it is needed.

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::sol_types::SolInterface;
use serde::Deserialize;
use serde_json::{Value, json};

use super::contract::IGuardian::{self, IGuardianErrors, RegisteredCall};
use super::contract::IPausable::IPausableErrors;
use super::rpc::{Rpc, RpcError, ask, view};
use super::{GuardianError, PauseEngine};

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

#[derive(Deserialize)]
struct Head {
    timestamp: U64,
}

impl PauseEngine {
    /// Reads from the chain whether a pause of each target would work now: every node serves the right chain, the
    /// guardian is there, the key is a pauser whose right has not ended, it can pay, every target is registered,
    /// and the pause of each succeeds when simulated by the node.
    ///
    /// # Errors
    /// What is missing first, in that order. A target that is paused already is [`GuardianError::AlreadyPaused`],
    /// one that may not be paused again yet [`GuardianError::CoolingDown`]: after a pause and a restart both are as
    /// expected.
    pub async fn preflight(&self, targets: &[Address]) -> Result<Preflight, GuardianError> {
        let settings = self.settings();
        for rpc in self.rpcs() {
            let found: U64 = ask(rpc.as_ref(), "eth_chainId", json!([]), "a quantity").await?;
            if found != U64::from(settings.chain_id) {
                return Err(GuardianError::WrongChain {
                    node: rpc.label().into(),
                    expected: settings.chain_id,
                    found: found.saturating_to(),
                });
            }
        }
        let rpc = self.first_rpc()?;
        let guardian = settings.guardian;
        let code: Bytes = ask(rpc, "eth_getCode", json!([guardian, "latest"]), "bytes").await?;
        if code.is_empty() {
            return Err(GuardianError::NoGuardian { chain: settings.chain.clone(), guardian });
        }
        let pauser = self.address();
        let expires_at = self.pauser_right(rpc).await?;
        let balance_wei: U256 =
            ask(rpc, "eth_getBalance", json!([pauser, "latest"]), "a quantity").await?;
        if balance_wei < U256::from(settings.budget.max_cost_wei) {
            return Err(GuardianError::Unfunded {
                chain: settings.chain.clone(),
                address: pauser,
                balance_wei: balance_wei.to_string(),
                needed_wei: settings.budget.max_cost_wei,
            });
        }
        for &target in targets {
            let calls = view(rpc, guardian, &IGuardian::callsOfCall { target }).await?;
            if calls.is_empty() {
                return Err(GuardianError::NotRegistered { guardian, target });
            }
            self.rehearse(rpc, target, &calls).await?;
        }
        let nonce: U64 =
            ask(rpc, "eth_getTransactionCount", json!([pauser, "pending"]), "a quantity").await?;
        Ok(Preflight { pauser, expires_at, balance_wei, nonce: nonce.saturating_to() })
    }

    async fn pauser_right(&self, rpc: &dyn Rpc) -> Result<u64, GuardianError> {
        let (pauser, guardian) = (self.address(), self.settings().guardian);
        let expires_at = view(rpc, guardian, &IGuardian::pauserExpiresAtCall { pauser }).await?;
        let head: Head =
            ask(rpc, "eth_getBlockByNumber", json!(["latest", false]), "a block").await?;
        let reason = match head.timestamp.saturating_to::<u64>() {
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
        let guardian = self.settings().guardian;
        let pause = self.pause_call(target, B256::ZERO);
        let call = json!({
            "from": pause.from,
            "to": pause.to,
            "input": pause.data,
            "gas": U64::from(self.settings().gas_limit),
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
