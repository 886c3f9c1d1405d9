//! Fires a pause: once per target, at the right price, on every path at once.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::consensus::TxEip1559;
use alloy::eips::Encodable2718;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};

use super::ladder::{self, Ladder, Rung};
use super::nonce::Nonces;
use super::price::tip_to_beat_wei;
use super::rpc::{Rpc, RpcError};
use super::{FeeBudget, FeeOffer, GuardianError, Key, Relay, deploy, price};

/// Transactions that an engine remembers having sent: far more than a day's budget and its raises.
const HANDED_LIMIT: usize = 1_024;

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
    /// Head on which the attack was judged; relays are asked for the block after it.
    pub head: u64,
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
    /// The evidence that the guardian's event will name: the request's, or [`super::reference`] where the pause was
    /// signed ahead.
    pub evidence: B256,
    /// The node that accepted first, or the relay where no node did.
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

/// One chain's key, paths and memory of what was sent.
pub struct PauseEngine {
    key: Key,
    settings: EngineSettings,
    rpcs: Vec<Arc<dyn Rpc>>,
    relays: Vec<Arc<Relay>>,
    /// Whom relays know this engine as.
    identity: Key,
    targets: Mutex<BTreeMap<Address, TargetState>>,
    /// What was handed to any path, the newest last.
    handed: Mutex<VecDeque<B256>>,
    /// Tells those who wait that a target is being sent for no longer.
    freed: Notify,
    /// An async lock, because it is held while the chain is asked, so that two pauses never share a nonce.
    pub(super) nonces: tokio::sync::Mutex<Nonces>,
    pub(super) ladder: Mutex<Ladder>,
    /// Targets that pauses are signed ahead for.
    pub(super) ahead: Mutex<Vec<Address>>,
}

#[derive(Debug, Clone)]
enum TargetState {
    /// Being sent, in the place of the pause before it where there is one.
    Sending(Option<Sent>),
    Sent(Sent),
}

impl TargetState {
    fn sent(&self) -> Option<&Sent> {
        match self {
            Self::Sending(sent) => sent.as_ref(),
            Self::Sent(sent) => Some(sent),
        }
    }
}

/// A pause that was accepted.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) tx_hash: B256,
    /// The pauses that it replaced, any of which may still be the one that is mined.
    pub(super) replaced: Vec<B256>,
    pub(super) nonce: u64,
    pub(super) offer: FeeOffer,
    pub(super) raw: Bytes,
    pub(super) request: PauseRequest,
    /// The head after which it was offered.
    pub(super) head: u64,
    pub(super) is_mined: bool,
}

impl Sent {
    fn is(&self, pause: B256) -> bool {
        self.tx_hash == pause || self.replaced.contains(&pause)
    }
}

/// A transaction that pauses, signed.
struct Signed {
    raw: Bytes,
    tx_hash: B256,
    evidence: B256,
    offer: FeeOffer,
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
            identity: key.relay_identity(),
            key,
            settings,
            rpcs,
            relays: Vec::new(),
            targets: Mutex::default(),
            handed: Mutex::default(),
            freed: Notify::new(),
            nonces: tokio::sync::Mutex::default(),
            ladder: Mutex::default(),
            ahead: Mutex::default(),
        })
    }

    /// The same, sending to relays, builders and sequencers as well.
    #[must_use]
    pub fn with_relays(mut self, relays: Vec<Relay>) -> Self {
        self.relays = relays.into_iter().map(Arc::new).collect();
        self
    }

    /// Sends a pause on every path at once and returns when the first node accepts it; the others go on.
    ///
    /// Idempotent: for `refire_after` after a pause of the target was accepted, no second one is sent; while one is
    /// being sent, its outcome is waited for. The exception is an attack that offers more than the pause that waits, such as the same
    /// attack with its fees raised: then that pause is replaced, with the same nonce, by one that offers more
    /// again. A pause that was accepted by nobody leaves the target as it was. A pause that another process sent with
    /// the same key counts as this one's.
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
        let claim = self.claim_in_turn(request.target, &attack, request.base_fee_wei).await?;
        let sent = match &claim.previous {
            Some(previous) => self.replace(request, &attack, previous).await?,
            None => self.send_first(request, &attack).await?,
        };
        claim.keep(&sent, request);
        Ok(sent)
    }

    /// Offers more for a pause that the block at `head` left out, in the same place, and asks relays for the block
    /// after it. Where the budget ends, or the pause is not this engine's, nothing more is offered; relays are asked
    /// all the same. Once for each head, whoever asks.
    ///
    /// # Errors
    /// As [`PauseEngine::fire`].
    pub async fn raise(&self, pause: B256, head: u64) -> Result<Option<PauseSent>, GuardianError> {
        let (target, previous) = {
            let mut targets = self.lock();
            let found = targets.iter_mut().find_map(|(target, state)| match state {
                TargetState::Sent(sent) if sent.is(pause) && !sent.is_mined && sent.head < head => {
                    sent.head = head;
                    Some((*target, sent.clone()))
                }
                _ => None,
            });
            let Some((target, sent)) = found else { return Ok(None) };
            targets.insert(target, TargetState::Sending(Some(sent.clone())));
            (target, sent)
        };
        let claim = Claim { engine: self, target, previous: Some(previous.clone()) };
        let mut request = previous.request.clone();
        request.head = head;
        request.base_fee_wei = self.next_base_fee_wei().await?;
        let attack = FeeOffer {
            max_fee_per_gas_wei: request.attack_max_fee_per_gas,
            max_tip_wei: request.attack_max_priority_fee_per_gas,
        };
        match self.replace(&request, &attack, &previous).await {
            Ok(sent) => {
                claim.keep(&sent, &request);
                Ok(Some(sent))
            }
            Err(GuardianError::Price(_)) => {
                self.send_to_relays(&previous.raw, head.saturating_add(1), None);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn send_first(
        &self,
        request: &PauseRequest,
        attack: &FeeOffer,
    ) -> Result<PauseSent, GuardianError> {
        let gas_limit = self.gas_limit(request);
        let priced = |to_beat: &FeeOffer| {
            price(to_beat, request.base_fee_wei, gas_limit, &self.settings.budget)
        };
        let mut nonces = self.nonces.lock().await;
        let mut nonce = match (request.nonce, nonces.next) {
            (Some(nonce), _) | (None, Some(nonce)) => nonce,
            (None, None) => self.pending_nonce().await?,
        };
        // What stands in the way there is replaced, which takes more than it offers.
        let standing = nonces.in_the_way.filter(|(at, _)| *at == nonce);
        let mut offer = priced(&standing.map_or(*attack, |(_, other)| above_both(attack, &other)))?;
        let mut sent = self.sign_and_send(request, nonce, gas_limit, &offer).await;
        if is_place_taken(&sent) {
            // Another process has this key and was first. It may have paused this very target.
            let others = self.adopt(nonce).await?;
            let same = others.pauses.iter().find(|(target, _)| *target == request.target);
            if let Some((_, other)) = same {
                let (target, tx_hash) = (request.target, *other);
                return Err(GuardianError::AlreadySent { target, tx_hash });
            }
            match others.in_the_way.filter(|(at, _)| *at == nonce) {
                Some((_, other)) => offer = priced(&above_both(attack, &other))?,
                None => nonce = self.pending_nonce().await?,
            }
            sent = self.sign_and_send(request, nonce, gas_limit, &offer).await;
        }
        // The nonce that was kept is behind the chain's: somebody else used this key, or an earlier pause was
        // mined that was not counted here. Once, with the chain's own.
        if is_nonce_used(&sent) {
            nonce = self.pending_nonce().await?;
            sent = self.sign_and_send(request, nonce, gas_limit, &offer).await;
        }
        nonces.next = sent.is_ok().then_some(nonce.saturating_add(1));
        nonces.in_the_way = None;
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
            if let TargetState::Sent(sent) | TargetState::Sending(Some(sent)) = state
                && sent.is(pause)
            {
                sent.is_mined = true;
            }
        }
    }

    /// The pause and all that share its target and nonce: exactly one of them can be mined.
    pub(super) fn versions_of(&self, pause: B256) -> Vec<B256> {
        let targets = self.lock();
        let sent = targets.values().filter_map(TargetState::sent).find(|sent| sent.is(pause));
        sent.map_or_else(
            || vec![pause],
            |sent| [&[sent.tx_hash], sent.replaced.as_slice()].concat(),
        )
    }

    /// Takes a pause that another process sent for this engine's own; a target that is known already stays as it is.
    pub(super) fn take_over(&self, target: Address, sent: Sent) {
        self.lock().entry(target).or_insert(TargetState::Sent(sent));
    }

    /// Whether a pause with this nonce is this engine's.
    pub(super) fn knows_nonce(&self, nonce: u64) -> bool {
        self.lock().values().filter_map(TargetState::sent).any(|sent| sent.nonce == nonce)
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

    /// Claims a target once nobody else is sending for it: an attack that raises its fees while its first version is
    /// being answered must be outbid too.
    async fn claim_in_turn(
        &self,
        target: Address,
        attack: &FeeOffer,
        base_fee_wei: u128,
    ) -> Result<Claim<'_>, GuardianError> {
        let wait = async {
            loop {
                // Made before the look, so that what is freed in between is not missed.
                let freed = self.freed.notified();
                match self.claim(target, attack, base_fee_wei) {
                    Err(GuardianError::InFlight { .. }) => freed.await,
                    claimed => return claimed,
                }
            }
        };
        let turn = timeout(self.settings.send_timeout, wait).await;
        turn.unwrap_or(Err(GuardianError::InFlight { target }))
    }

    fn claim(
        &self,
        target: Address,
        attack: &FeeOffer,
        base_fee_wei: u128,
    ) -> Result<Claim<'_>, GuardianError> {
        let mut targets = self.lock();
        let previous = match targets.get(&target) {
            Some(TargetState::Sending(_)) => return Err(GuardianError::InFlight { target }),
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
        targets.insert(target, TargetState::Sending(previous.clone()));
        Ok(Claim { engine: self, target, previous })
    }

    async fn sign_and_send(
        &self,
        request: &PauseRequest,
        nonce: u64,
        gas_limit: u64,
        offer: &FeeOffer,
    ) -> Result<PauseSent, GuardianError> {
        let signed = match self.signed_ahead(request, nonce, offer) {
            Some(signed) => signed,
            None => self.sign(request.target, request.evidence, nonce, gas_limit, offer)?,
        };
        let accepted_by =
            self.send(&signed.raw, signed.tx_hash, request.target, request.head).await?;
        Ok(PauseSent {
            tx_hash: signed.tx_hash,
            max_fee_per_gas_wei: signed.offer.max_fee_per_gas_wei,
            max_tip_wei: signed.offer.max_tip_wei,
            nonce,
            raw: signed.raw,
            evidence: signed.evidence,
            accepted_by,
            replaces: None,
        })
    }

    /// What was signed ahead and offers enough; none where the request asks for its own gas limit.
    fn signed_ahead(&self, request: &PauseRequest, nonce: u64, offer: &FeeOffer) -> Option<Signed> {
        if request.gas_limit.is_some_and(|gas| gas != self.settings.gas_limit) {
            return None;
        }
        let ladder = self.ladder.lock().unwrap_or_else(PoisonError::into_inner);
        let rung = ladder.pick(request.target, nonce, offer)?;
        Some(Signed {
            raw: rung.raw.clone(),
            tx_hash: rung.tx_hash,
            evidence: super::reference(
                self.settings.chain_id,
                self.settings.guardian,
                request.target,
                nonce,
            ),
            offer: rung.offer,
        })
    }

    fn sign(
        &self,
        target: Address,
        evidence: B256,
        nonce: u64,
        gas_limit: u64,
        offer: &FeeOffer,
    ) -> Result<Signed, GuardianError> {
        let call = self.pause_call(target, evidence);
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
        Ok(Signed {
            raw: Bytes::from(signed.encoded_2718()),
            tx_hash: *signed.tx_hash(),
            evidence,
            offer: *offer,
        })
    }

    /// Signs every step of the ladder for a target and nonce. Takes a while; for a thread that may.
    pub(super) fn sign_steps(
        &self,
        target: Address,
        nonce: u64,
    ) -> Result<Vec<Rung>, GuardianError> {
        let settings = &self.settings;
        let evidence = super::reference(settings.chain_id, settings.guardian, target, nonce);
        ladder::steps(&settings.budget, settings.gas_limit)
            .iter()
            .map(|offer| {
                let signed = self.sign(target, evidence, nonce, settings.gas_limit, offer)?;
                Ok(Rung { offer: signed.offer, tx_hash: signed.tx_hash, raw: signed.raw })
            })
            .collect()
    }

    /// Hands the bytes to every path in a task of its own: the first node that accepts ends the waiting, not the
    /// sending. A relay takes what it does not check, so its word counts only where no node gives one.
    async fn send(
        &self,
        raw: &Bytes,
        tx_hash: B256,
        target: Address,
        head: u64,
    ) -> Result<String, GuardianError> {
        self.note_handed(tx_hash);
        let (answers, mut answered) =
            mpsc::channel(self.rpcs.len().saturating_add(self.relays.len()).max(1));
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
                drop(answers.try_send(Answer {
                    path: rpc.label().to_owned(),
                    is_node: true,
                    answer,
                }));
            });
        }
        self.send_to_relays(raw, head.saturating_add(1), Some(&answers));
        drop(answers);
        let mut reasons = Vec::new();
        let mut relayed = None;
        while let Some(Answer { path, is_node, answer }) = answered.recv().await {
            match answer {
                Ok(()) if is_node => return Ok(path),
                Ok(()) => relayed = relayed.or(Some(path)),
                Err(reason) => reasons.push(format!("{path}: {reason}")),
            }
        }
        let refused = GuardianError::NotAccepted { target, reasons: reasons.join("; ") };
        match relayed {
            Some(relay) if !says_nonce_is_used(&reasons.join("; ")) => Ok(relay),
            _ => Err(refused),
        }
    }

    /// Whether this engine handed a transaction to any node or relay, whatever became of it.
    pub fn has_sent(&self, tx_hash: B256) -> bool {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner).contains(&tx_hash)
    }

    /// Before it is sent: it may be mined before a node has said that it took it.
    fn note_handed(&self, tx_hash: B256) {
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        if handed.len() >= HANDED_LIMIT {
            handed.pop_front();
        }
        handed.push_back(tx_hash);
    }

    fn send_to_relays(&self, raw: &Bytes, block: u64, answers: Option<&mpsc::Sender<Answer>>) {
        for relay in &self.relays {
            let (relay, raw, identity) = (Arc::clone(relay), raw.clone(), self.identity.clone());
            let (answers, within) = (answers.cloned(), self.settings.send_timeout);
            tokio::spawn(async move {
                let answer = relay.send(&raw, block, &identity, within).await;
                if let Some(answers) = answers {
                    let path = relay.name().to_owned();
                    drop(answers.try_send(Answer { path, is_node: false, answer }));
                }
            });
        }
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

/// What one path said.
struct Answer {
    path: String,
    is_node: bool,
    answer: Result<(), String>,
}

impl Claim<'_> {
    fn keep(mut self, sent: &PauseSent, request: &PauseRequest) {
        let mut replaced = Vec::new();
        if let Some(previous) = self.previous.take() {
            replaced = previous.replaced;
            replaced.push(previous.tx_hash);
        }
        let offer = FeeOffer {
            max_fee_per_gas_wei: sent.max_fee_per_gas_wei,
            max_tip_wei: sent.max_tip_wei,
        };
        self.previous = Some(Sent {
            at: Instant::now(),
            tx_hash: sent.tx_hash,
            replaced,
            nonce: sent.nonce,
            offer,
            raw: sent.raw.clone(),
            request: request.clone(),
            head: request.head,
            is_mined: false,
        });
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut targets = self.engine.lock();
        match self.previous.take() {
            Some(sent) => targets.insert(self.target, TargetState::Sent(sent)),
            None => targets.remove(&self.target),
        };
        drop(targets);
        self.engine.freed.notify_waiters();
    }
}

/// What beats the attack and replaces another transaction of this key.
fn above_both(attack: &FeeOffer, other: &FeeOffer) -> FeeOffer {
    FeeOffer {
        max_fee_per_gas_wei: attack.max_fee_per_gas_wei.max(raised(other.max_fee_per_gas_wei)),
        max_tip_wei: attack.max_tip_wei.max(raised(other.max_tip_wei)),
    }
}

/// Nodes take a replacement only where both fees rise by a tenth; an eighth leaves room for their rounding.
fn raised(fee_wei: u128) -> u128 {
    fee_wei.saturating_add(fee_wei / 8).saturating_add(1)
}

/// Whether a node says that the chain is past the nonce.
fn is_nonce_used(sent: &Result<PauseSent, GuardianError>) -> bool {
    matches!(sent, Err(GuardianError::NotAccepted { reasons, .. }) if says_nonce_is_used(reasons))
}

/// Clients differ in case and spacing.
fn says_nonce_is_used(reasons: &str) -> bool {
    let reasons = reasons.to_ascii_lowercase();
    ["nonce too low", "oldnonce"].iter().any(|words| reasons.contains(words))
}

/// Whether a node has another transaction of this account and nonce, which this one does not outbid.
fn is_place_taken(sent: &Result<PauseSent, GuardianError>) -> bool {
    let Err(GuardianError::NotAccepted { reasons, .. }) = sent else { return false };
    let reasons = reasons.to_ascii_lowercase();
    ["underpriced", "fee too low", "feetoolow"].iter().any(|words| reasons.contains(words))
}

/// A node that has the very same transaction already, from another node or an earlier attempt, has accepted it.
fn is_known_already(error: &RpcError) -> bool {
    let RpcError::Refused { message, .. } = error else { return false };
    let message = message.to_ascii_lowercase();
    ["already known", "already imported", "known transaction"]
        .iter()
        .any(|words| message.contains(words))
}
