//! A chain's parts put together from the settings.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy::primitives::Address;
use portcullis_alerting::{
    guardian::{EngineSettings, Key, PauseEngine, Relay, Rpc, Waiting},
    journal::{Journal, JournalError, JournalWriter, WriterLimits, clickhouse::Shipper},
    record::Mode,
};
use tokio::net::TcpListener;

use super::{
    GuardError, Parts, Started,
    chain::{Chain, Orders, Shared},
    paper::Scribe,
    past::Past,
    priority::Acquaintances,
    reload::Office,
    resume::Resume,
};
use crate::{
    act::{Consent, EngineHand, PauseHand},
    facts::Protected,
    policy::Limits,
    settings::{ChainSettings, GuardSettings, ProtectedSettings},
    simulate::Simulator,
    source::{
        Pool,
        recording::{RecordedChain, RecordedContract, RecordingError, Tape},
    },
    state::{ChainRules, ForkedState},
    verdict::Judge,
};

/// Pending transactions remembered for each chain.
const POOL_LIMIT: usize = 20_000;
/// Gas limit of a pause.
const PAUSE_GAS: u64 = 300_000;

impl Chain {
    pub(super) fn new(
        chain: &ChainSettings,
        settings: &GuardSettings,
        state: Arc<ForkedState>,
        hand: Option<Arc<dyn PauseHand>>,
        shared: Shared,
    ) -> Self {
        let Shared { judge, ledger, desk, metrics, consent } = shared;
        let protocols: Vec<_> =
            settings.protected.iter().filter(|protected| protected.chain == chain.name).collect();
        let orders: Vec<Orders> = protocols
            .iter()
            .map(|protected| Orders {
                mode: protected.mode.unwrap_or(settings.mode),
                pause: protected.pause.clone(),
                addresses: protected.addresses.clone(),
            })
            .collect();
        let reach_blocks = judge.rules().reach_blocks();
        let protected = Protected::new(
            protocols.iter().map(|protected| (protected.name.clone(), protected.addresses.clone())),
        )
        .listing(protocols.iter().map(|protected| &protected.listed));
        let protected = Arc::new(protected);
        Self {
            name: chain.name.to_string(),
            chain_id: chain.chain_id,
            simulator: Simulator::new(state),
            pool: Mutex::new(Pool::new(POOL_LIMIT)),
            scribe: Scribe {
                protected: Arc::clone(&protected),
                desk: Arc::clone(&desk),
                evidence_floor: settings.evidence_floor,
            },
            clerk: None,
            protected,
            mode: orders.iter().map(|orders| orders.mode).max().unwrap_or(settings.mode),
            orders,
            office: Office::new(judge),
            ledger,
            guardian: hand.as_ref().map(|hand| hand.guardian()).or(settings.guardian),
            hand,
            desk,
            consent,
            past: Past::new(reach_blocks),
            policy: settings.policy.clone(),
            acquaintances: Acquaintances::default(),
            metrics,
        }
    }

    /// Contracts of the protocols that may really be paused.
    pub(super) fn armed_targets(&self) -> Vec<Address> {
        let armed = self.orders.iter().filter(|orders| orders.mode == Mode::Armed);
        armed.flat_map(|orders| orders.addresses.iter().copied()).collect()
    }
}

pub(super) fn check(settings: &GuardSettings, has_key: bool) -> Result<(), GuardError> {
    let mut owners: BTreeMap<(&str, Address), &str> = BTreeMap::new();
    for protected in &settings.protected {
        for address in &protected.addresses {
            let first = owners.insert((&protected.chain, *address), &protected.name);
            if let Some(first) = first.filter(|first| *first != protected.name) {
                return Err(GuardError::ProtectedTwice {
                    address: *address,
                    chain: protected.chain.to_string(),
                    first: first.to_owned(),
                    second: protected.name.clone(),
                });
            }
        }
        if settings.chains.iter().all(|chain| chain.name != protected.chain) {
            return Err(GuardError::UnknownChain {
                protocol: protected.name.clone(),
                chain: protected.chain.to_string(),
            });
        }
        let missing = match (settings.guardian, has_key) {
            (None, _) => "a guardian contract",
            (_, false) => "a pauser's key",
            _ => continue,
        };
        if protected.mode.unwrap_or(settings.mode) == Mode::Armed {
            return Err(GuardError::NoHand { protocol: protected.name.clone(), missing });
        }
    }
    Ok(())
}

pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, GuardError> {
    TcpListener::bind(address).await.map_err(|source| GuardError::Listen { address, source })
}

/// Protocol, chain and mode in force.
pub(super) fn modes(settings: &GuardSettings) -> Vec<(String, String, Mode)> {
    let of = |entry: &ProtectedSettings| {
        let mode = entry.mode.unwrap_or(settings.mode);
        (entry.name.clone(), entry.chain.to_string(), mode)
    };
    settings.protected.iter().map(of).collect()
}

pub(super) type Resumes = BTreeMap<Arc<str>, Resume>;

/// The journal, and where the guard before this one was, by chain.
pub(super) fn open_journal(
    settings: &GuardSettings,
) -> Result<(Option<JournalWriter>, Resumes), JournalError> {
    let Some(path) = &settings.journal else { return Ok((None, Resumes::new())) };
    let journal = Journal::open(path)?;
    let mut resumes = Resumes::new();
    for chain in &settings.chains {
        if let Some(resume) = Resume::read(&journal, chain)? {
            resumes.insert(Arc::clone(&chain.name), resume);
        }
    }
    Ok((Some(JournalWriter::start(journal, WriterLimits::default())?), resumes))
}

/// Where people are asked before some pauses; none where the settings name nobody.
pub(super) fn consent(
    settings: &GuardSettings,
    now_ms: u64,
) -> Result<Option<Arc<Consent>>, GuardError> {
    let Some(approval) = &settings.policy.approval else { return Ok(None) };
    let path = settings.journal.as_ref().ok_or(GuardError::ApprovalWithoutJournal)?;
    let is_current = |waiting: &Waiting| {
        let is_meant = |entry: &&ProtectedSettings| {
            *entry.chain == *waiting.chain && entry.name == waiting.protocol
        };
        let entry = settings.protected.iter().find(is_meant);
        let is_armed = entry.is_some_and(|entry| {
            entry.mode.unwrap_or(settings.mode) == Mode::Armed
                && entry.addresses.contains(&waiting.target)
        });
        let is_served = settings
            .chains
            .iter()
            .any(|chain| *chain.name == *waiting.chain && chain.chain_id == waiting.chain_id);
        is_armed && is_served && settings.guardian == Some(waiting.guardian)
    };
    let journal = Journal::open(path)?;
    Ok(Some(Arc::new(Consent::restored(approval.clone(), journal, now_ms, is_current)?)))
}

#[cfg(unix)]
pub(super) fn control(path: &Path) -> Result<super::control::Control, GuardError> {
    super::control::Control::listen(path)
        .map_err(|source| GuardError::Control { path: path.to_owned(), source })
}

pub(super) fn start_shipper(settings: &GuardSettings) -> Result<Option<Shipper>, JournalError> {
    let (Some(path), Some(server)) = (&settings.journal, &settings.clickhouse) else {
        return Ok(None);
    };
    Shipper::start(path, server.clone()).map(Some)
}

pub(super) fn limits(settings: &GuardSettings, judge: &Judge) -> Limits {
    let policy = &settings.policy;
    Limits {
        alert_score: policy.alert_score,
        // Without a model there is no score to compare with, so any number does.
        pause_score: policy.pause_score.or(judge.model_threshold()).unwrap_or(1.0),
        max_pauses_per_day: policy.max_pauses_per_day,
        cooldown_blocks: policy.cooldown_blocks,
    }
}

pub(super) fn started(settings: &GuardSettings, parts: &Parts, is_replay: bool) -> Started {
    let mode = |mode: Option<Mode>| mode.unwrap_or(settings.mode);
    Started {
        chains: settings.chains.iter().map(|chain| chain.name.to_string()).collect(),
        protected: settings
            .protected
            .iter()
            .map(|entry| (entry.name.clone(), mode(entry.mode)))
            .collect(),
        rules: parts.rules.len(),
        model: parts.model.as_ref().map(|model| model.hash_hex()),
        is_replay,
    }
}

/// A recording to come, with the protected contracts under their protocols' names.
pub(super) fn tape(
    chain: &ChainSettings,
    settings: &GuardSettings,
    path: &Path,
) -> Result<Tape, RecordingError> {
    let rules = rules_of(chain);
    let recorded = RecordedChain {
        name: chain.name.to_string(),
        id: rules.chain_id,
        hardfork: rules.hardforks.first(),
        later_hardforks: rules.hardforks.later().collect(),
        block_time_s: rules.block_time_s,
    };
    let protocols = settings.protected.iter().filter(|protected| protected.chain == chain.name);
    let named = |protected: &ProtectedSettings| {
        let contract = RecordedContract { name: protected.name.clone(), protected: true };
        protected.addresses.iter().map(|address| (*address, contract.clone())).collect::<Vec<_>>()
    };
    let mut contracts: BTreeMap<_, _> = protocols.flat_map(named).collect();
    if let Some(guardian) = settings.guardian {
        let name = "guardian".to_owned();
        contracts.entry(guardian).or_insert(RecordedContract { name, protected: false });
    }
    Tape::create(path, recorded, contracts)
}

pub(super) fn rules_of(chain: &ChainSettings) -> ChainRules {
    ChainRules {
        chain_id: chain.chain_id,
        hardforks: chain.hardforks,
        block_time_s: chain.block_time_ms.div_ceil(1_000).max(1),
    }
}

pub(super) fn engine_hand(
    chain: &ChainSettings,
    settings: &GuardSettings,
    key: Option<&Key>,
    rpcs: Vec<Arc<dyn Rpc>>,
) -> Result<Option<Arc<dyn PauseHand>>, GuardError> {
    let (Some(guardian), Some(key)) = (settings.guardian, key) else { return Ok(None) };
    let engine = EngineSettings {
        chain: chain.name.to_string(),
        chain_id: chain.chain_id,
        guardian,
        budget: chain.fees,
        gas_limit: PAUSE_GAS,
        send_timeout: Duration::from_secs(3),
        refire_after: Duration::from_secs(60),
        poll_every: Duration::from_millis((chain.block_time_ms / 8).clamp(50, 1_000)),
        follow_timeout: Duration::from_millis(chain.block_time_ms.saturating_mul(10).max(30_000)),
    };
    let engine = PauseEngine::new(key.clone(), engine, rpcs).map_err(|source| {
        GuardError::Pause { chain: chain.name.to_string(), source: Box::new(source) }
    })?;
    let relays = chain
        .relays
        .iter()
        .cloned()
        .map(Relay::new)
        .collect::<Result<_, _>>()
        .map_err(|source| GuardError::Relay { chain: chain.name.to_string(), source })?;
    Ok(Some(Arc::new(EngineHand::new(Arc::new(engine.with_relays(relays))))))
}
