//! Fires a pause: once per target, at the right price, to every node at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::consensus::TxEip1559;
use alloy::eips::Encodable2718;
use alloy::primitives::{Address, B256, Bytes, TxKind, U64, U256};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::price::tip_to_beat_wei;
use super::rpc::{Rpc, RpcError, ask};
use super::{FeeBudget, FeeOffer, GuardianError, Key, deploy, price};

/// Where and how a chain's pauses are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// Name of the chain in the configuration.
    pub chain: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The guardian contract.
    pub guardian: Address,
    /// What one pause may cost.
    pub budget: FeeBudget,
    /// Gas limit of a pause where the request names none.
    pub gas_limit: u64,
    /// How long a node may take to accept a pause.
    pub send_timeout: Duration,
    /// For how long a target that was paused from here is not paused again.
    pub refire_after: Duration,
    /// How often the chain is asked whether the pause is mined.
    pub poll_every: Duration,
    /// How long the chain is asked at most.
    pub follow_timeout: Duration,
}

/// A pause to send, and the attack that it must outbid. Fees in wei per gas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRequest {
    /// EIP-155 chain id; must be the engine's.
    pub chain_id: u64,
    /// The guardian contract; must be the engine's.
    pub guardian: Address,
    /// The protected contract.
    pub target: Address,
    /// Reference to the journalled evidence; ends up in the guardian's event.
    pub evidence: B256,
    /// The attack's fee cap, or its gas price; zero where nothing is to be outbid.
    pub attack_max_fee_per_gas: u128,
    /// The attack's tip cap, or its gas price; zero where nothing is to be outbid.
    pub attack_max_priority_fee_per_gas: u128,
    /// Base fee of the block that the pause is meant for.
    pub base_fee_wei: u128,
    /// Gas limit; none takes the engine's.
    pub gas_limit: Option<u64>,
    /// Nonce; none takes the one that the engine keeps.
    pub nonce: Option<u64>,
}

/// A pause that at least one node accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseSent {
    /// Hash of the pause.
    pub tx_hash: B256,
    /// Fee cap offered, in wei per gas.
    pub max_fee_per_gas_wei: u128,
    /// Tip offered, in wei per gas.
    pub max_tip_wei: u128,
    /// Nonce used.
    pub nonce: u64,
    /// The signed transaction.
    pub raw: Bytes,
    /// The node that accepted first.
    pub accepted_by: String,
    /// The earlier pause of the same target and nonce that this one replaces with a higher offer.
    pub replaces: Option<B256>,
}

/// A call, for simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Caller.
    pub from: Address,
    /// Contract called.
    pub to: Address,
    /// Call data.
    pub data: Bytes,
}

/// One chain's key, nodes and memory of what was sent.
pub struct PauseEngine {
    key: Key,
    settings: EngineSettings,
    rpcs: Vec<Arc<dyn Rpc>>,
    targets: Mutex<BTreeMap<Address, TargetState>>,
    /// An async lock, because it is held while the chain is asked, so that two pauses never share a nonce.
    nonces: tokio::sync::Mutex<Nonces>,
}

#[derive(Debug, Default)]
struct Nonces {
    /// The next one; none where it must be read from the chain.
    next: Option<u64>,
    /// The last one used, and when.
    used: Option<(u64, Instant)>,
}

#[derive(Debug, Clone)]
enum TargetState {
    Sending,
    Sent(Sent),
}

/// A pause that was accepted.
#[derive(Debug, Clone)]
struct Sent {
    at: Instant,
    tx_hash: B256,
    /// The pauses that it replaced, any of which may still be the one that is mined.
    replaced: Vec<B256>,
    nonce: u64,
    offer: FeeOffer,
    is_mined: bool,
}

impl PauseEngine {
    /// Puts an engine together; asks nothing. See [`PauseEngine::preflight`].
    ///
    /// # Errors
    /// [`GuardianError::NoNode`] without a node.
    pub fn new(
        key: Key,
        settings: EngineSettings,
        rpcs: Vec<Arc<dyn Rpc>>,
    ) -> Result<Self, GuardianError> {
        if rpcs.is_empty() {
            return Err(GuardianError::NoNode { chain: settings.chain });
        }
        Ok(Self {
            key,
            settings,
            rpcs,
            targets: Mutex::default(),
            nonces: tokio::sync::Mutex::default(),
        })
    }

    /// Sends a pause to every node at once and returns when the first accepts it; the others go on.
    ///
    /// Idempotent: while a pause of the target is being sent, and for `refire_after` after one was accepted, no
    /// second one is sent. The exception is an attack that offers more than the pause that waits, such as the same
    /// attack with its fees raised: then that pause is replaced, with the same nonce, by one that offers more
    /// again. A pause that was accepted by nobody leaves the target as it was.
    ///
    /// # Errors
    /// [`GuardianError::InFlight`], [`GuardianError::AlreadySent`], [`GuardianError::WrongRequest`],
    /// [`GuardianError::Price`], [`GuardianError::NotAccepted`]; [`GuardianError::Rpc`] where the nonce had to be
    /// read and could not be.
    pub async fn fire(&self, request: &PauseRequest) -> Result<PauseSent, GuardianError> {
        self.check(request)?;
        let attack = FeeOffer {
            max_fee_per_gas_wei: request.attack_max_fee_per_gas,
            max_tip_wei: request.attack_max_priority_fee_per_gas,
        };
        let claim = self.claim(request.target, &attack, request.base_fee_wei)?;
        let sent = match &claim.previous {
            Some(previous) => self.replace(request, &attack, previous).await?,
            None => self.send_first(request, &attack).await?,
        };
        claim.keep(&sent);
        Ok(sent)
    }

    async fn send_first(
        &self,
        request: &PauseRequest,
        attack: &FeeOffer,
    ) -> Result<PauseSent, GuardianError> {
        let gas_limit = self.gas_limit(request);
        let offer = price(attack, request.base_fee_wei, gas_limit, &self.settings.budget)?;
        let mut nonces = self.nonces.lock().await;
        let mut nonce = match (request.nonce, nonces.next) {
            (Some(nonce), _) | (None, Some(nonce)) => nonce,
            (None, None) => self.pending_nonce().await?,
        };
        let mut sent = self.sign_and_send(request, nonce, gas_limit, &offer).await;
        // The nonce that was kept is behind the chain's: somebody else used this key, or an earlier pause was
        // mined that was not counted here. Once, with the chain's own.
        if is_nonce_used(&sent) {
            nonce = self.pending_nonce().await?;
            sent = self.sign_and_send(request, nonce, gas_limit, &offer).await;
        }
        nonces.next = sent.is_ok().then_some(nonce.saturating_add(1));
        if sent.is_ok() {
            nonces.used = Some((nonce, Instant::now()));
        }
        sent
    }

    /// Outbids the attack and the earlier pause, the latter by what nodes ask of a replacement.
    async fn replace(
        &self,
        request: &PauseRequest,
        attack: &FeeOffer,
        previous: &Sent,
    ) -> Result<PauseSent, GuardianError> {
        let gas_limit = self.gas_limit(request);
        let floor = FeeOffer {
            max_fee_per_gas_wei: raised(previous.offer.max_fee_per_gas_wei),
            max_tip_wei: raised(previous.offer.max_tip_wei),
        };
        let to_beat = FeeOffer {
            max_fee_per_gas_wei: attack.max_fee_per_gas_wei.max(floor.max_fee_per_gas_wei),
            max_tip_wei: attack.max_tip_wei.max(floor.max_tip_wei),
        };
        let mut offer = price(&to_beat, request.base_fee_wei, gas_limit, &self.settings.budget)?;
        offer.max_tip_wei =
            offer.max_tip_wei.max(floor.max_tip_wei).min(self.settings.budget.max_tip_wei);
        let sent = self.sign_and_send(request, previous.nonce, gas_limit, &offer).await;
        if is_nonce_used(&sent) {
            // It was mined in the meantime.
            return Err(GuardianError::AlreadySent {
                target: request.target,
                tx_hash: previous.tx_hash,
            });
        }
        sent.map(|sent| PauseSent { replaces: Some(previous.tx_hash), ..sent })
    }

    fn gas_limit(&self, request: &PauseRequest) -> u64 {
        request.gas_limit.unwrap_or(self.settings.gas_limit)
    }

    /// Reads the nonce ahead, so that firing need not. For every new head.
    ///
    /// A nonce used less than `refire_after` ago is not used again for a node that has not heard of it: that would
    /// replace one target's pause by another's. After that time it is taken for lost.
    ///
    /// # Errors
    /// [`GuardianError::Rpc`], [`GuardianError::BadAnswer`].
    pub async fn refresh_nonce(&self) -> Result<u64, GuardianError> {
        let mut nonces = self.nonces.lock().await;
        let pending = self.pending_nonce().await?;
        let floor = nonces.used.filter(|(_, at)| at.elapsed() < self.settings.refire_after);
        let next = floor.map_or(pending, |(used, _)| pending.max(used.saturating_add(1)));
        nonces.next = Some(next);
        Ok(next)
    }

    /// The pause as a call, for simulating [pause, attack].
    pub fn pause_call(&self, target: Address, evidence: B256) -> Call {
        Call {
            from: self.address(),
            to: self.settings.guardian,
            data: deploy::pause_call(target, evidence),
        }
    }

    /// Account of the key.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// The settings in force.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Forgets that the target was paused from here, after it was unpaused by its owner.
    pub fn release(&self, target: Address) {
        let mut targets = self.lock();
        if matches!(targets.get(&target), Some(TargetState::Sent(_))) {
            targets.remove(&target);
        }
    }

    /// Remembers that a pause is mined: nothing replaces it any more.
    pub(super) fn note_mined(&self, pause: B256) {
        for state in self.lock().values_mut() {
            if let TargetState::Sent(sent) = state
                && (sent.tx_hash == pause || sent.replaced.contains(&pause))
            {
                sent.is_mined = true;
            }
        }
    }

    /// The pause and all that share its target and nonce: exactly one of them can be mined.
    pub(super) fn versions_of(&self, pause: B256) -> Vec<B256> {
        let targets = self.lock();
        let sent = targets.values().find_map(|state| match state {
            TargetState::Sent(sent) if sent.tx_hash == pause || sent.replaced.contains(&pause) => {
                Some(sent)
            }
            _ => None,
        });
        sent.map_or_else(
            || vec![pause],
            |sent| [&[sent.tx_hash], sent.replaced.as_slice()].concat(),
        )
    }

    pub(super) fn rpcs(&self) -> &[Arc<dyn Rpc>] {
        &self.rpcs
    }

    fn check(&self, request: &PauseRequest) -> Result<(), GuardianError> {
        let wrong = |field, expected: &dyn fmt::Display, found: &dyn fmt::Display| {
            Err(GuardianError::WrongRequest {
                field,
                expected: expected.to_string(),
                found: found.to_string(),
            })
        };
        if request.chain_id != self.settings.chain_id {
            return wrong("chain_id", &self.settings.chain_id, &request.chain_id);
        }
        if request.guardian != self.settings.guardian {
            return wrong("guardian", &self.settings.guardian, &request.guardian);
        }
        Ok(())
    }

    fn claim(
        &self,
        target: Address,
        attack: &FeeOffer,
        base_fee_wei: u128,
    ) -> Result<Claim<'_>, GuardianError> {
        let mut targets = self.lock();
        let previous = match targets.get(&target) {
            Some(TargetState::Sending) => return Err(GuardianError::InFlight { target }),
            Some(TargetState::Sent(sent)) if sent.at.elapsed() < self.settings.refire_after => {
                let is_outbid = attack.max_fee_per_gas_wei >= sent.offer.max_fee_per_gas_wei
                    || tip_to_beat_wei(attack, base_fee_wei) >= sent.offer.max_tip_wei;
                if sent.is_mined || !is_outbid {
                    return Err(GuardianError::AlreadySent { target, tx_hash: sent.tx_hash });
                }
                Some(sent.clone())
            }
            _ => None,
        };
        targets.insert(target, TargetState::Sending);
        Ok(Claim { engine: self, target, previous })
    }

    async fn sign_and_send(
        &self,
        request: &PauseRequest,
        nonce: u64,
        gas_limit: u64,
        offer: &FeeOffer,
    ) -> Result<PauseSent, GuardianError> {
        let call = self.pause_call(request.target, request.evidence);
        let unsigned = TxEip1559 {
            chain_id: self.settings.chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: offer.max_fee_per_gas_wei,
            max_priority_fee_per_gas: offer.max_tip_wei,
            to: TxKind::Call(call.to),
            value: U256::ZERO,
            access_list: Default::default(),
            input: call.data,
        };
        let signed = self.key.sign(unsigned).map_err(|reason| GuardianError::Sign { reason })?;
        let tx_hash = *signed.tx_hash();
        let raw = Bytes::from(signed.encoded_2718());
        let accepted_by = self.send(&raw, tx_hash, request.target).await?;
        Ok(PauseSent {
            tx_hash,
            max_fee_per_gas_wei: offer.max_fee_per_gas_wei,
            max_tip_wei: offer.max_tip_wei,
            nonce,
            raw,
            accepted_by,
            replaces: None,
        })
    }

    /// Hands the bytes to every node in a task of its own: the first acceptance ends the waiting, not the sending.
    async fn send(
        &self,
        raw: &Bytes,
        tx_hash: B256,
        target: Address,
    ) -> Result<String, GuardianError> {
        let (answers, mut answered) = mpsc::channel(self.rpcs.len());
        for rpc in &self.rpcs {
            let (rpc, answers, params) = (Arc::clone(rpc), answers.clone(), json!([raw]));
            let within = self.settings.send_timeout;
            tokio::spawn(async move {
                let answer =
                    match timeout(within, rpc.request("eth_sendRawTransaction", params)).await {
                        Ok(Ok(answer)) if answer == json!(tx_hash) => Ok(()),
                        Ok(Ok(answer)) => {
                            Err(format!("expected the hash of the pause, found {answer}"))
                        }
                        Ok(Err(error)) if is_known_already(&error) => Ok(()),
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(_) => Err(format!("no answer within {} ms", within.as_millis())),
                    };
                // Nobody listens any more once another node has accepted.
                drop(answers.try_send((rpc.label().to_owned(), answer)));
            });
        }
        drop(answers);
        let mut reasons = Vec::new();
        while let Some((node, answer)) = answered.recv().await {
            match answer {
                Ok(()) => return Ok(node),
                Err(reason) => reasons.push(format!("{node}: {reason}")),
            }
        }
        Err(GuardianError::NotAccepted { target, reasons: reasons.join("; ") })
    }

    /// Asks every node at once. Two that agree settle it; otherwise the middle of the answers does, so that
    /// neither a node that lags nor one that lies puts the pause where it cannot be mined.
    async fn pending_nonce(&self) -> Result<u64, GuardianError> {
        let params = json!([self.address(), "pending"]);
        let mut asked: FuturesUnordered<_> = self
            .rpcs
            .iter()
            .map(|rpc| {
                ask::<U64>(rpc.as_ref(), "eth_getTransactionCount", params.clone(), "a quantity")
            })
            .collect();
        let mut answers = Vec::with_capacity(self.rpcs.len());
        let mut failure = GuardianError::NoNode { chain: self.settings.chain.clone() };
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(nonce) if answers.contains(&nonce) => return Ok(nonce.saturating_to()),
                Ok(nonce) => answers.push(nonce),
                Err(error) => failure = error,
            }
        }
        answers.sort_unstable();
        answers.get(answers.len() / 2).map(|nonce| nonce.saturating_to()).ok_or(failure)
    }

    /// A thread that panicked while it held the lock has left a plain map behind: still good.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, TargetState>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PauseEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PauseEngine")
            .field("key", &self.key)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A target for as long as its pause is being sent. Dropped without a pause, also where the task that fires is
/// aborted, it leaves the target as it was.
struct Claim<'a> {
    engine: &'a PauseEngine,
    target: Address,
    previous: Option<Sent>,
}

impl Claim<'_> {
    fn keep(mut self, sent: &PauseSent) {
        let mut replaced = Vec::new();
        if let Some(previous) = self.previous.take() {
            replaced = previous.replaced;
            replaced.push(previous.tx_hash);
        }
        let offer = FeeOffer {
            max_fee_per_gas_wei: sent.max_fee_per_gas_wei,
            max_tip_wei: sent.max_tip_wei,
        };
        let (tx_hash, nonce) = (sent.tx_hash, sent.nonce);
        self.previous =
            Some(Sent { at: Instant::now(), tx_hash, replaced, nonce, offer, is_mined: false });
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut targets = self.engine.lock();
        match self.previous.take() {
            Some(sent) => targets.insert(self.target, TargetState::Sent(sent)),
            None => targets.remove(&self.target),
        };
    }
}

/// Nodes take a replacement only where both fees rise by a tenth; an eighth leaves room for their rounding.
fn raised(fee_wei: u128) -> u128 {
    fee_wei.saturating_add(fee_wei / 8).saturating_add(1)
}

/// Whether a node says that the chain is past the nonce; clients differ in case and spacing.
fn is_nonce_used(sent: &Result<PauseSent, GuardianError>) -> bool {
    let Err(GuardianError::NotAccepted { reasons, .. }) = sent else { return false };
    let reasons = reasons.to_ascii_lowercase();
    ["nonce too low", "oldnonce"].iter().any(|words| reasons.contains(words))
}

/// A node that has the very same transaction already, from another node or an earlier attempt, has accepted it.
fn is_known_already(error: &RpcError) -> bool {
    let RpcError::Refused { message, .. } = error else { return false };
    let message = message.to_ascii_lowercase();
    ["already known", "already imported", "known transaction"]
        .iter()
        .any(|words| message.contains(words))
}
