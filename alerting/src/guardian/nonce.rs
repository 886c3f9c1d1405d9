//! Which nonce a pause takes, also after a restart and beside other processes that hold the same key.
//!
//! The pauser's key pauses and does nothing else. A transaction of it that waits in the pool and is not this engine's
//! is therefore a pause that was sent before a restart, or by another process: it is taken over, so that the same
//! target is not paused twice, and an attack that offers more makes this engine replace it.

use std::sync::{Arc, PoisonError};

use alloy::primitives::{Address, B256, Bytes, U64, U128};
use alloy::sol_types::SolCall;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::contract::IGuardian;
use super::engine::Sent;
use super::rpc::ask;
use super::{FeeOffer, GuardianError, PauseEngine, PauseRequest};

/// The nonces of one account.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    /// The next one; none where it must be read from the chain.
    pub(super) next: Option<u64>,
    /// The last one used, and when.
    pub(super) used: Option<(u64, Instant)>,
    /// A transaction of this key that waits, pauses nothing, and stands where the next pause goes; with what it offers.
    pub(super) in_the_way: Option<(u64, FeeOffer)>,
}

/// What waits in the pool under this engine's key and is not its own.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Target and hash of each pause.
    pub(super) pauses: Vec<(Address, B256)>,
    /// The first transaction that pauses nothing: its nonce and what it offers.
    pub(super) in_the_way: Option<(u64, FeeOffer)>,
}

/// A block, as far as a pause needs one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    base_fee_per_gas: Option<U128>,
}

/// The block that a node would build now.
#[derive(Deserialize)]
struct PendingBlock {
    transactions: Vec<Waiting>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    hash: B256,
    from: Address,
    to: Option<Address>,
    nonce: U64,
    input: Bytes,
    max_fee_per_gas: Option<U128>,
    max_priority_fee_per_gas: Option<U128>,
}

impl PauseEngine {
    /// Reads ahead what firing needs: the nonce, pauses of the same key that others sent, and pauses signed for each
    /// of the targets that [`PauseEngine::sign_ahead_for`] named. For every new head.
    ///
    /// A nonce used less than `refire_after` ago is not used again for a node that has not heard of it: that would
    /// replace one target's pause by another's. After that time it is taken for lost.
    ///
    /// # Errors
    /// [`GuardianError::Rpc`], [`GuardianError::BadAnswer`].
    pub async fn refresh(self: &Arc<Self>) -> Result<u64, GuardianError> {
        let next = self.refresh_nonce().await?;
        let targets = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let missing =
            self.ladder.lock().unwrap_or_else(PoisonError::into_inner).missing(&targets, next);
        if !missing.is_empty() {
            let engine = Arc::clone(self);
            // Some hundred signatures: not on a thread that serves connections.
            let signing = tokio::task::spawn_blocking(move || {
                for (target, nonce) in missing {
                    let rungs = engine.sign_steps(target, nonce)?;
                    let mut ladder = engine.ladder.lock().unwrap_or_else(PoisonError::into_inner);
                    ladder.put(target, nonce, rungs);
                }
                Ok(())
            });
            let crashed = |error: tokio::task::JoinError| {
                Err(GuardianError::Sign { reason: error.to_string() })
            };
            signing.await.unwrap_or_else(crashed)?;
        }
        Ok(next)
    }

    /// Names the targets that pauses are signed ahead for.
    pub fn sign_ahead_for(&self, targets: &[Address]) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = targets.to_vec();
    }

    /// Pauses that are signed ahead at the moment.
    pub fn signed_ahead_count(&self) -> usize {
        self.ladder.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The nonce alone; see [`PauseEngine::refresh`].
    ///
    /// # Errors
    /// [`GuardianError::Rpc`], [`GuardianError::BadAnswer`].
    pub async fn refresh_nonce(&self) -> Result<u64, GuardianError> {
        let mut nonces = self.nonces.lock().await;
        let pending = self.pending_nonce().await?;
        let mined = self.nonce_at("latest").await?;
        if (mined..pending).any(|nonce| !self.knows_nonce(nonce)) {
            // What waits stays unknown where the node shows no pending block; then the next nonce is still right.
            match self.adopt(mined).await {
                Ok(others) => nonces.in_the_way = others.in_the_way,
                Err(error) => {
                    tracing::debug!(%error, "waiting pauses of the same key could not be read");
                }
            }
        } else {
            nonces.in_the_way = None;
        }
        let floor = nonces.used.filter(|(_, at)| at.elapsed() < self.settings().refire_after);
        let next = floor.map_or(pending, |(used, _)| pending.max(used.saturating_add(1)));
        // Behind a transaction that offers little and pauses nothing, a pause would wait as long as that one: it takes
        // its place instead.
        let next = nonces.in_the_way.map_or(next, |(nonce, _)| nonce.min(next));
        nonces.next = Some(next);
        Ok(next)
    }

    /// Takes over the pauses of this key that wait in the pool, from a nonce on; says what else waits there.
    pub(super) async fn adopt(&self, from_nonce: u64) -> Result<Others, GuardianError> {
        let mut answer = Err(GuardianError::NoNode { chain: self.settings().chain.clone() });
        for rpc in self.rpcs() {
            let params = json!(["pending", true]);
            answer =
                ask::<PendingBlock>(rpc.as_ref(), "eth_getBlockByNumber", params, "a block").await;
            if answer.is_ok() {
                break;
            }
        }
        let settings = self.settings();
        let mut found = Others::default();
        for waiting in answer?.transactions {
            let nonce = waiting.nonce.saturating_to::<u64>();
            if waiting.from != self.address() || nonce < from_nonce || self.knows_nonce(nonce) {
                continue;
            }
            let wei = |fee: Option<U128>| fee.unwrap_or_default().saturating_to::<u128>();
            let offer = FeeOffer {
                max_fee_per_gas_wei: wei(waiting.max_fee_per_gas),
                max_tip_wei: wei(waiting.max_priority_fee_per_gas),
            };
            let call = IGuardian::pauseCall::abi_decode(&waiting.input);
            let (true, Ok(call)) = (waiting.to == Some(settings.guardian), call) else {
                if found.in_the_way.is_none_or(|(first, _)| nonce < first) {
                    found.in_the_way = Some((nonce, offer));
                }
                continue;
            };
            let request = PauseRequest {
                chain_id: settings.chain_id,
                guardian: settings.guardian,
                target: call.target,
                evidence: call.evidence,
                attack_max_fee_per_gas: 0,
                attack_max_priority_fee_per_gas: 0,
                base_fee_wei: 0,
                head: 0,
                gas_limit: None,
                nonce: Some(nonce),
            };
            let sent = Sent {
                at: Instant::now(),
                tx_hash: waiting.hash,
                replaced: Vec::new(),
                nonce,
                offer,
                raw: Bytes::new(),
                request,
                head: 0,
                is_mined: false,
            };
            self.take_over(call.target, sent);
            found.pauses.push((call.target, waiting.hash));
        }
        Ok(found)
    }

    /// The nonce after everything that waits.
    pub(super) async fn pending_nonce(&self) -> Result<u64, GuardianError> {
        self.nonce_at("pending").await
    }

    async fn nonce_at(&self, tag: &str) -> Result<u64, GuardianError> {
        let params = json!([self.address(), tag]);
        let nonce: U64 = self.most_say("eth_getTransactionCount", params, "a quantity").await?;
        Ok(nonce.saturating_to())
    }

    /// The highest base fee that the next block may have, wei; zero on a chain without one.
    pub(super) async fn next_base_fee_wei(&self) -> Result<u128, GuardianError> {
        let answers: Vec<Head> =
            self.all_say("eth_getBlockByNumber", json!(["latest", false]), "a block").await?;
        let mut fees: Vec<u128> = answers
            .iter()
            .map(|head| head.base_fee_per_gas.unwrap_or_default().saturating_to())
            .collect();
        fees.sort_unstable();
        let fee = fees.get(fees.len() / 2).copied().unwrap_or_default();
        Ok(fee.saturating_add(fee / 8))
    }

    /// Asks every node at once. Two that agree settle it; otherwise the middle of the answers does, so that
    /// neither a node that lags nor one that lies puts the pause where it cannot be mined.
    async fn most_say<T: DeserializeOwned + Ord + Copy>(
        &self,
        method: &str,
        params: Value,
        expected: &'static str,
    ) -> Result<T, GuardianError> {
        let mut asked: FuturesUnordered<_> = self
            .rpcs()
            .iter()
            .map(|rpc| ask::<T>(rpc.as_ref(), method, params.clone(), expected))
            .collect();
        let mut answers = Vec::with_capacity(self.rpcs().len());
        let mut failure = GuardianError::NoNode { chain: self.settings().chain.clone() };
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(value) if answers.contains(&value) => return Ok(value),
                Ok(value) => answers.push(value),
                Err(error) => failure = error,
            }
        }
        answers.sort_unstable();
        answers.get(answers.len() / 2).copied().ok_or(failure)
    }

    /// Every answer; an error only where there is none.
    async fn all_say<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
        expected: &'static str,
    ) -> Result<Vec<T>, GuardianError> {
        let asked =
            self.rpcs().iter().map(|rpc| ask::<T>(rpc.as_ref(), method, params.clone(), expected));
        let mut answers = Vec::new();
        let mut failure = GuardianError::NoNode { chain: self.settings().chain.clone() };
        for answer in futures_util::future::join_all(asked).await {
            match answer {
                Ok(value) => answers.push(value),
                Err(error) => failure = error,
            }
        }
        if answers.is_empty() { Err(failure) } else { Ok(answers) }
    }
}
