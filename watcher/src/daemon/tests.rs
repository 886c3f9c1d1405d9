//! A vault, its attacker and an honest user on a chain in memory, recorded and replayed through the whole guard.

mod past;

use std::{io::Cursor, path::Path, sync::Arc};

use std::sync::atomic::AtomicBool;

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    primitives::{Address, B256, Bytes, TxKind, U256, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall as _, SolValue as _},
};
use portcullis_alerting::{
    guardian::{AttackFate, FeeBudget, Inclusion, deploy},
    journal::{Journal, VerdictFilter},
    notify::{Dispatcher, RetryPolicy},
    record::{Decision, Mode, Outcome},
};
use portcullis_rules::{Pack, RuleSet, packs};

use super::*;
use crate::{
    facts::dictionary,
    settings::{ChannelSettings, PolicySettings, ProtectedSettings},
    source::{
        BlockRecord, PendingTransaction, SourceEvent, decode_raw,
        recording::{
            FORMAT, Header, RecordedAccount, RecordedChain, RecordedState, RecordingWriter, VERSION,
        },
    },
    state::{AccountState, Hardfork, HardforkSchedule, Head},
};

sol! {
    function deposit() external payable;
    function withdraw(uint256 amount) external;
    function attack(address vault, uint256 loops) external payable;
    function grantRole(bytes32 role, address account) external;
    function pause() external;
}

const ETHER: u128 = 1_000_000_000_000_000_000;
const RULES: ChainRules = ChainRules {
    chain_id: 31337,
    hardforks: HardforkSchedule::always(Hardfork::Prague),
    block_time_s: 12,
};
const FEES: FeeBudget = FeeBudget {
    max_fee_per_gas_wei: 1_000_000_000_000,
    max_tip_wei: 1_000_000_000_000,
    max_cost_wei: ETHER,
};

/// Someone with a key, who counts nonces.
struct Person {
    signer: PrivateKeySigner,
    nonce: u64,
}

impl Person {
    fn new(seed: &str) -> Self {
        Self { signer: PrivateKeySigner::from_bytes(&keccak256(seed)).unwrap(), nonce: 0 }
    }

    fn address(&self) -> Address {
        self.signer.address()
    }

    fn send(&mut self, to: TxKind, ether: u64, input: Bytes) -> Arc<PendingTransaction> {
        let tx = TxEip1559 {
            chain_id: RULES.chain_id,
            nonce: self.nonce,
            gas_limit: 4_000_000,
            max_fee_per_gas: 60_000_000_000,
            max_priority_fee_per_gas: 5_000_000_000,
            to,
            value: U256::from(u128::from(ether) * ETHER),
            access_list: Default::default(),
            input,
        };
        self.nonce += 1;
        let signature = self.signer.sign_hash_sync(&tx.signature_hash()).unwrap();
        let raw = TxEnvelope::from(tx.into_signed(signature));
        let mut raw = PendingTransaction::from_envelope(raw, 0, "test".into()).unwrap();
        raw.seen_at_ms = 1_700_000_001_000 + self.nonce;
        assert_eq!(decode_raw(&raw.raw()).unwrap().hash, raw.hash);
        Arc::new(raw)
    }

    fn create(&mut self, code: Bytes) -> (Address, Arc<PendingTransaction>) {
        let address = self.address().create(self.nonce);
        (address, self.send(TxKind::Create, 0, code))
    }

    fn call(&mut self, to: Address, ether: u64, input: Vec<u8>) -> Arc<PendingTransaction> {
        self.send(TxKind::Call(to), ether, input.into())
    }
}

fn artifact(name: &str, arguments: &[u8]) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../fixtures/contracts/artifacts/{name}.json"));
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let code: Bytes = serde_json::from_value(json["bytecode"].clone()).unwrap();
    [code.as_ref(), arguments].concat().into()
}

/// What stands on the chain before anything is recorded.
struct World {
    state: Arc<ForkedState>,
    genesis: Vec<(Address, AccountState)>,
    first: Head,
    blocks: Vec<Arc<BlockRecord>>,
    admin: Person,
    user: Person,
    attacker: Person,
    vault: Address,
    guardian: Address,
    attack_contract: Address,
}

impl World {
    /// A vault with 60 ether of a user, a guardian that may pause it, and the attacker's contract.
    fn new(pauser_has_role: bool) -> Self {
        let (mut admin, mut user, mut attacker) =
            (Person::new("admin"), Person::new("user"), Person::new("attacker"));
        let rich = AccountState { balance: U256::from(100 * ETHER), ..Default::default() };
        let genesis: Vec<_> = [&admin, &user, &attacker]
            .map(|person| (person.address(), rich.clone()))
            .into_iter()
            .collect();
        let state = ForkedState::in_memory(RULES, genesis.clone()).unwrap();
        let first = state.head().unwrap();

        let (vault, tx_vault) = admin.create(artifact("Vault", &admin.address().abi_encode()));
        let (guardian, tx_guardian) = admin.create(deploy::deployment_data(admin.address()));
        let role = grantRoleCall { role: keccak256("PAUSER_ROLE"), account: guardian }.abi_encode();
        let pause = deploy::RegisteredCall { to: vault, data: pauseCall {}.abi_encode().into() };
        let mut setup = vec![
            tx_vault,
            tx_guardian,
            admin.call(vault, 0, role),
            admin.call(guardian, 0, deploy::register_call(vault, &[pause]).to_vec()),
        ];
        if pauser_has_role {
            setup.push(admin.call(
                guardian,
                0,
                deploy::add_pauser_call(pauser(), u64::MAX).to_vec(),
            ));
        }
        setup.push(user.call(vault, 60, depositCall {}.abi_encode()));
        let (attack_contract, tx_attack_contract) = attacker.create(artifact("Attacker", &[]));
        setup.push(tx_attack_contract);
        let mut world = Self {
            state,
            genesis,
            first,
            blocks: Vec::new(),
            admin,
            user,
            attacker,
            vault,
            guardian,
            attack_contract,
        };
        world.mine(&setup);
        world
    }

    fn mine(&mut self, transactions: &[Arc<PendingTransaction>]) {
        let (mut block, outcomes) = self.state.mine(transactions).unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.is_success()), "{outcomes:#?}");
        block.seen_at_ms = 1_700_000_000_500;
        self.blocks.push(Arc::new(block));
    }

    fn attack(&mut self) -> Arc<PendingTransaction> {
        let data = attackCall { vault: self.vault, loops: U256::from(3) }.abi_encode();
        self.attacker.call(self.attack_contract, 10, data)
    }

    fn withdrawal(&mut self, ether: u64) -> Arc<PendingTransaction> {
        let amount = U256::from(u128::from(ether) * ETHER);
        self.user.call(self.vault, 0, withdrawCall { amount }.abi_encode())
    }

    /// The blocks so far, then what waits.
    fn record(&self, pending: &[Arc<PendingTransaction>]) -> Arc<Recording> {
        let recorded = |account: &AccountState| RecordedAccount {
            balance: account.balance,
            ..Default::default()
        };
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            chain: RecordedChain {
                name: "test".into(),
                id: RULES.chain_id,
                hardfork: RULES.hardforks.first(),
                later_hardforks: Default::default(),
                block_time_s: 12,
            },
            contracts: Default::default(),
            complete: true,
            head: self.first.clone(),
            state: RecordedState {
                accounts: self
                    .genesis
                    .iter()
                    .map(|(address, account)| (*address, recorded(account)))
                    .collect(),
            },
        };
        let mut writer = RecordingWriter::new(Path::new("test"), Vec::new(), header).unwrap();
        for block in &self.blocks {
            writer.head(block).unwrap();
        }
        for tx in pending {
            writer.pending(tx).unwrap();
        }
        let bytes = writer.finish().unwrap();
        Arc::new(Recording::read(Path::new("test"), Cursor::new(bytes)).unwrap())
    }

    fn settings(&self, mode: Mode) -> GuardSettings {
        let protected = ProtectedSettings {
            name: "vault".into(),
            chain: "test".into(),
            addresses: vec![self.vault],
            listed: Default::default(),
            pause: Vec::new(),
            mode: Some(mode),
        };
        GuardSettings {
            chains: vec![ChainSettings {
                name: "test".into(),
                chain_id: RULES.chain_id,
                nodes: Vec::new(),
                block_time_ms: 12_000,
                hardforks: RULES.hardforks,
                flow: Flow::Mempool,
                fees: FEES,
            }],
            protected: vec![protected],
            mode: Mode::Observe,
            policy: PolicySettings::default(),
            guardian: Some(self.guardian),
            journal: None,
            clickhouse: None,
            evidence_floor: 0.5,
            channels: ChannelSettings::default(),
            workers: 1,
            http: None,
        }
    }

    fn hand(&self) -> Option<DryHand> {
        Some(DryHand {
            guardian: self.guardian,
            pauser: pauser(),
            budget: FEES,
            gas_limit: 300_000,
        })
    }

    async fn replay(
        &self,
        settings: &GuardSettings,
        rules: RuleSet,
        pending: &[Arc<PendingTransaction>],
    ) -> Vec<GuardEvent> {
        let replay =
            Replay { recording: self.record(pending), pace: Pace::Unpaced, hand: self.hand() };
        super::replay(settings, parts(rules), replay, |_| {}).await.unwrap()
    }
}

fn pauser() -> Address {
    Person::new("pauser").address()
}

fn shipped() -> RuleSet {
    let mut general = packs::shipped(&[dictionary()]).unwrap().packs;
    general.retain(|pack| packs::kit(pack.name()).is_none());
    RuleSet::new(general).unwrap()
}

fn parts(rules: RuleSet) -> Parts {
    Parts {
        rules: Arc::new(rules),
        model: None,
        key: None,
        dispatcher: Dispatcher::new(Vec::new(), RetryPolicy::default()),
        clock: Arc::new(|| 0),
    }
}

fn judged(events: &[GuardEvent], hash: B256) -> &Judged {
    let mut rows = events.iter().filter_map(|event| match event {
        GuardEvent::Verdict(judged) if judged.row.tx_hash == hash => Some(&**judged),
        _ => None,
    });
    let first = rows.next().unwrap_or_else(|| panic!("no verdict on {hash}: {events:#?}"));
    assert!(rows.next().is_none(), "{hash} was judged twice");
    first
}

fn pauses(events: &[GuardEvent]) -> Vec<&PauseShown> {
    events
        .iter()
        .filter_map(|event| if let GuardEvent::Pause(pause) = event { Some(pause) } else { None })
        .collect()
}

#[tokio::test]
async fn the_attack_is_paused_and_nothing_else_is() {
    let mut world = World::new(true);
    let pending = [world.withdrawal(30), world.attack(), world.withdrawal(5)];
    let events = world.replay(&world.settings(Mode::Armed), shipped(), &pending).await;

    for benign in [&pending[0], &pending[2]] {
        let judged = judged(&events, benign.hash);
        assert_eq!((judged.row.outcome, judged.row.decision), (Outcome::Clear, Decision::None));
        assert_eq!(judged.touched, ["vault"]);
    }
    assert_eq!(judged(&events, pending[0].hash).outflow_wei, U256::from(30 * ETHER));
    let attack = judged(&events, pending[1].hash);
    assert_eq!((attack.row.outcome, attack.row.decision), (Outcome::Attack, Decision::Pause));
    assert_eq!(attack.outflow_wei, U256::from(30 * ETHER));
    assert!(
        attack.reasons.contains(&"model: none is configured".to_owned()),
        "{:?}",
        attack.reasons
    );
    let counterfactual = attack.evidence.as_ref().unwrap().counterfactual.as_ref().unwrap();
    assert!(counterfactual.pause_succeeds && counterfactual.attack_stopped);
    assert!(
        counterfactual.detail.ends_with("(revert: EnforcedPause())"),
        "{}",
        counterfactual.detail
    );

    let [pause] = pauses(&events).try_into().unwrap();
    assert_eq!(
        (pause.target, pause.tx_hash, pause.pause_hash),
        (world.vault, pending[1].hash, None)
    );
    assert!(pause.max_fee_per_gas_wei > 60_000_000_000 && pause.max_tip_wei > 5_000_000_000);
    let Some(GuardEvent::Stopped { totals }) = events.last() else { panic!("{events:#?}") };
    // Nobody announced the seven transactions of the second block.
    assert_eq!((totals.judged, totals.touching, totals.pauses), (3 + 7, 3 + 3, 1));
}

const SOFT_PACK: &str = r#"
pack: soft
version: 1.0.0
engine: 1
author: tests
rules:
  - id: reentered
    subject: transaction
    severity: high
    maturity: stable
    class: reentrancy
    evidence: soft
    why: A test.
    references: []
    when: touches_protected && reentry_depth > 1 && outflow_wei > 0
    message: "re-entered {reentry_depth} deep"
    false_positives: [none, this is a test]
    tests:
      - { name: fires, facts: { touches_protected: true, reentry_depth: 2, outflow_wei: 1 }, expect: fires }
      - { name: silent, facts: { touches_protected: true, reentry_depth: 1, outflow_wei: 1 }, expect: silent }
"#;

/// The same recording, the same soft rule: with the model that ships the attack is paused, without it people are
/// told.
#[tokio::test]
async fn the_model_is_asked_and_turns_the_decision() {
    let mut world = World::new(true);
    let pending = [world.withdrawal(30), world.attack()];
    let mut settings = world.settings(Mode::Armed);
    settings.policy.pause_score = Some(0.5);
    let soft =
        || RuleSet::new(vec![Pack::parse(SOFT_PACK, "soft", &[dictionary()]).unwrap()]).unwrap();
    let model = Model::from_bytes(
        portcullis_models::shipped::TRANSACTION,
        &portcullis_models::schema::TRANSACTION,
        portcullis_models::Engine::Native,
    );
    let with_model = Parts { model: Some(Arc::new(model.unwrap())), ..parts(soft()) };
    let replay =
        Replay { recording: world.record(&pending), pace: Pace::Unpaced, hand: world.hand() };
    let asked = super::replay(&settings, with_model, replay, |_| {}).await.unwrap();
    let unasked = world.replay(&settings, soft(), &pending).await;

    let (benign, attack) = (judged(&asked, pending[0].hash), judged(&asked, pending[1].hash));
    assert!(
        benign.row.score.unwrap() < 0.5 && benign.row.decision == Decision::None,
        "{:?}",
        benign.row
    );
    assert_eq!(attack.row.decision, Decision::Pause, "{}", attack.row.reason);
    assert!(attack.row.reason.contains("with a second key: the model's"), "{}", attack.row.reason);
    let evidence = attack.evidence.as_ref().unwrap().model.as_ref().unwrap();
    assert_eq!((evidence.engine.as_str(), evidence.probability), ("native", attack.row.score));
    assert!(!evidence.contributions.is_empty());

    let attack = judged(&unasked, pending[1].hash);
    assert_eq!((attack.row.decision, attack.row.score), (Decision::Alert, None));
    assert!(attack.row.reason.contains("no model is configured"), "{}", attack.row.reason);
    assert_eq!((pauses(&asked).len(), pauses(&unasked).len()), (1, 0));
}

#[tokio::test]
async fn every_event_is_one_json_object_that_names_itself() {
    let mut world = World::new(true);
    let pending = [world.attack()];
    let events = world.replay(&world.settings(Mode::Armed), shipped(), &pending).await;
    let names = events
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned());
    let names: Vec<String> = names.collect();
    let unannounced = ["verdict"; 7];
    let expected = [
        &["started", "node_up", "head"][..],
        &unannounced,
        &["head", "verdict", "pause", "action", "chain_ended", "stopped"],
    ];
    assert_eq!(names, expected.concat());
}

#[tokio::test]
async fn a_recording_gives_the_same_events_each_time() {
    let mut world = World::new(true);
    let pending = [world.withdrawal(30), world.attack(), world.attack()];
    let settings = world.settings(Mode::Armed);
    let first = world.replay(&settings, shipped(), &pending).await;
    assert_eq!(first, world.replay(&settings, shipped(), &pending).await);
}

#[tokio::test]
async fn the_cool_down_keeps_a_second_pause_back() {
    let mut world = World::new(true);
    let pending = [world.attack(), world.attack()];
    let events = world.replay(&world.settings(Mode::Armed), shipped(), &pending).await;
    let second = judged(&events, pending[1].hash);
    assert_eq!((second.row.outcome, second.row.decision), (Outcome::Attack, Decision::Alert));
    assert!(
        second.row.reason.contains("cooling down after a pause until block 51"),
        "{}",
        second.row.reason
    );
    assert_eq!(pauses(&events).len(), 1);
}

#[tokio::test]
async fn observing_decides_nothing_and_says_what_arming_would() {
    let mut world = World::new(true);
    let pending = [world.attack()];
    let events = world.replay(&world.settings(Mode::Observe), shipped(), &pending).await;
    let row = &judged(&events, pending[0].hash).row;
    assert_eq!(
        (row.decision, row.would_decide, row.mode),
        (Decision::None, Decision::Pause, Mode::Observe)
    );
    assert!(pauses(&events).is_empty());
}

#[tokio::test]
async fn without_the_rules_the_attack_passes() {
    let mut world = World::new(true);
    let pending = [world.attack()];
    let events = world.replay(&world.settings(Mode::Armed), RuleSet::default(), &pending).await;
    let attack = judged(&events, pending[0].hash);
    assert_eq!(attack.row.would_decide, Decision::None);
    assert!(attack.reasons.contains(&"rules: none are loaded".to_owned()), "{:?}", attack.reasons);
}

#[tokio::test]
async fn a_pause_that_does_not_help_is_not_fired() {
    let mut world = World::new(false);
    let pending = [world.attack(), world.attack()];
    let events = world.replay(&world.settings(Mode::Armed), shipped(), &pending).await;
    for attack in &pending {
        // The second is not held back by a cool-down: the pause that was not fired does not count.
        let row = &judged(&events, attack.hash).row;
        assert_eq!(
            (row.outcome, row.decision, row.would_decide),
            (Outcome::Attack, Decision::Alert, Decision::Alert)
        );
        assert!(row.reason.contains("the pause does not help: the pause of"), "{}", row.reason);
    }
    assert!(pauses(&events).is_empty());
}

#[tokio::test]
async fn a_nonce_gap_waits_for_its_predecessor_and_is_judged_once() {
    let mut world = World::new(true);
    let (first, second) = (world.withdrawal(1), world.withdrawal(2));
    // The first is mined without ever having been pending; the second was announced before that.
    let recording = |world: &World| world.record(std::slice::from_ref(&second));
    let early = recording(&world);
    world.mine(&[first]);
    let late = world.blocks.last().unwrap();
    let mut writer =
        RecordingWriter::new(Path::new("test"), Vec::new(), early.header().clone()).unwrap();
    for step in early.steps() {
        match step {
            SourceEvent::Head(block) => writer.head(block).unwrap(),
            SourceEvent::Pending(tx) => writer.pending(tx).unwrap(),
            _ => {}
        }
    }
    writer.head(late).unwrap();
    let recording =
        Recording::read(Path::new("test"), Cursor::new(writer.finish().unwrap())).unwrap();
    let replay = Replay { recording: Arc::new(recording), pace: Pace::Unpaced, hand: world.hand() };
    let events = super::replay(&world.settings(Mode::Armed), parts(shipped()), replay, |_| {})
        .await
        .unwrap();
    let row = &judged(&events, second.hash).row;
    assert_eq!((row.outcome, row.block), (Outcome::Clear, 2), "{}", row.reason);
}

#[tokio::test]
async fn what_never_becomes_minable_is_journalled_as_unknown() {
    let mut world = World::new(true);
    world.user.nonce += 1;
    let stranded = world.withdrawal(1);
    world.user.nonce = 0;
    let stale = world.withdrawal(1);
    let pending = [stranded, stale];
    let events = world.replay(&world.settings(Mode::Armed), shipped(), &pending).await;
    for (tx, reason) in [
        (&pending[0], "never became minable"),
        (&pending[1], "nonce 0 where the sender's next is 1"),
    ] {
        let row = &judged(&events, tx.hash).row;
        assert_eq!((row.outcome, row.would_decide), (Outcome::Unknown, Decision::None));
        assert!(row.reason.contains(reason), "{}", row.reason);
    }
}

#[tokio::test]
async fn the_journal_holds_one_row_for_each_transaction_and_evidence_where_the_vault_is_touched() {
    let mut world = World::new(true);
    let elsewhere = world.admin.call(Address::repeat_byte(0x77), 1, Vec::new());
    let pending = [world.withdrawal(3), world.attack(), elsewhere];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let settings = GuardSettings { journal: Some(path.clone()), ..world.settings(Mode::Armed) };
    let events = world.replay(&settings, shipped(), &pending).await;

    let journal = Journal::open_read_only(&path).unwrap();
    let rows = journal.verdicts(&VerdictFilter::default()).unwrap();
    let announced = rows.iter().filter(|row| !row.is_mined).count();
    assert_eq!((announced, rows.len() - announced), (pending.len(), 7));
    for row in &rows {
        assert_eq!(*row, judged(&events, row.tx_hash).row);
    }
    let n_evidence = |tx: &PendingTransaction| journal.evidence(tx.hash).unwrap().len();
    assert_eq!(pending.each_ref().map(|tx| n_evidence(tx)), [1, 1, 0]);
    let [evidence] = journal.evidence(pending[1].hash).unwrap().try_into().unwrap();
    assert_eq!(evidence.facts["outflow_wei"], (30 * ETHER).to_string());
    assert!(evidence.call_tree.as_array().unwrap().len() > 8);
    let kinds: Vec<_> =
        journal.actions(pending[1].hash).unwrap().into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["pause_shown"]);
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused_at_start() {
    let world = World::new(true);
    let armed = world.settings(Mode::Armed);
    let no_key = Guard::start(armed.clone(), parts(shipped())).await.unwrap_err();
    assert_eq!(no_key.to_string(), "protected `vault` is armed, which needs a pauser's key");
    let mut elsewhere = armed.clone();
    elsewhere.protected[0].chain = "moon".into();
    let unknown = Guard::start(elsewhere, parts(shipped())).await.unwrap_err();
    assert_eq!(unknown.to_string(), "protected `vault`: chain `moon` is not configured");
    let mut twice = world.settings(Mode::Alert);
    twice.protected.push(ProtectedSettings { name: "other".into(), ..twice.protected[0].clone() });
    let twice = Guard::start(twice, parts(shipped())).await.unwrap_err();
    assert!(
        twice.to_string().ends_with("is protected twice: by `vault` and by `other`"),
        "{twice}"
    );
    let mut other = armed;
    other.chains[0].chain_id = 1;
    let replay = Replay { recording: world.record(&[]), pace: Pace::Unpaced, hand: None };
    let foreign = super::replay(&other, parts(shipped()), replay, |_| {}).await.unwrap_err();
    assert_eq!(
        foreign.to_string(),
        "the recording is of chain `test` (id 31337), which is not configured"
    );
}

/// A node that tells what it was given, and then nothing, or why it fails.
#[derive(Debug)]
struct Script {
    events: Vec<SourceEvent>,
    failure: Option<SourceError>,
}

impl Source for Script {
    fn chain(&self) -> Arc<str> {
        "test".into()
    }

    fn chain_id(&self) -> u64 {
        RULES.chain_id
    }

    fn start(
        self: Box<Self>,
        capacity: usize,
    ) -> (mpsc::Receiver<SourceEvent>, crate::source::SourceTask) {
        let (sender, receiver) = mpsc::channel(capacity);
        let task = async move {
            for event in self.events {
                sender.send(event).await.unwrap();
            }
            match self.failure {
                Some(failure) => Err(failure),
                None => std::future::pending().await,
            }
        };
        (receiver, Box::pin(task))
    }
}

/// A hand whose pauses are always mined at once, in front of the attack.
#[derive(Debug)]
struct WillingHand {
    dry: DryHand,
    has_right: bool,
    fired: Mutex<Vec<Address>>,
    is_refreshed: AtomicBool,
}

type Later<'a, T> = futures_util::future::BoxFuture<'a, Result<T, GuardianError>>;

impl PauseHand for WillingHand {
    fn guardian(&self) -> Address {
        self.dry.guardian
    }

    fn rehearsal(&self, target: Address, evidence: B256) -> crate::simulate::CallOnly {
        self.dry.rehearsal(target, evidence)
    }

    fn fire<'a>(&'a self, order: &'a crate::act::PauseOrder) -> Later<'a, crate::act::PauseFired> {
        self.fired.lock().unwrap().push(order.target);
        Box::pin(async {
            let priced = self.dry.fire(order).await?;
            Ok(crate::act::PauseFired { tx_hash: Some(B256::repeat_byte(1)), ..priced })
        })
    }

    fn follow(&self, tx_hash: B256, _until_block: u64) -> Later<'_, Inclusion> {
        Box::pin(async move {
            Ok(Inclusion {
                tx_hash,
                block: 2,
                block_hash: B256::ZERO,
                index: 0,
                has_succeeded: true,
                gas_used: 60_000,
                effective_gas_price_wei: 1,
                cost_wei: U256::from(60_000),
            })
        })
    }

    fn attack_fate<'a>(&'a self, _pause: &'a Inclusion, _attack: B256) -> Later<'a, AttackFate> {
        Box::pin(async {
            Ok(AttackFate::Mined { block: 2, index: 1, has_succeeded: false, is_after_pause: true })
        })
    }

    fn refresh(&self) -> Later<'_, ()> {
        self.is_refreshed.store(true, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }

    fn preflight<'a>(&'a self, _targets: &'a [Address]) -> Later<'a, Address> {
        let (address, guardian) = (self.dry.pauser, self.dry.guardian);
        let missing =
            GuardianError::NotAPauser { address, guardian, reason: "never granted".into() };
        Box::pin(async move { if self.has_right { Ok(address) } else { Err(missing) } })
    }
}

/// A running chain over a script.
struct Live {
    hand: Arc<WillingHand>,
    events: mpsc::UnboundedReceiver<GuardEvent>,
    alerts: Arc<Mutex<Vec<String>>>,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<Result<(), GuardError>>,
}

/// How a chain is run.
#[derive(Debug, Clone, Copy)]
struct Plan {
    has_right: bool,
    work: usize,
}

const PLAN: Plan = Plan { has_right: true, work: 16 };

impl Live {
    fn start(
        world: &World,
        plan: Plan,
        events: Vec<SourceEvent>,
        failure: Option<SourceError>,
    ) -> Self {
        let settings = GuardSettings {
            channels: ChannelSettings { work: plan.work, ..ChannelSettings::default() },
            ..world.settings(Mode::Armed)
        };
        #[expect(clippy::disallowed_methods, reason = "the test reads everything at its end")]
        let (sender, receiver) = mpsc::unbounded_channel();
        let alerts = Arc::new(Mutex::new(Vec::new()));
        let raised = Arc::clone(&alerts);
        let queue = Box::new(move |alert: portcullis_alerting::notify::Alert| {
            raised.lock().unwrap().push(alert.title);
            Ok(())
        });
        let desk = Desk::new(
            None,
            Box::new(move |event| drop(sender.send(event))),
            Some(queue),
            Arc::new(|| 0),
        );
        let hand = Arc::new(WillingHand {
            dry: world.hand().unwrap(),
            has_right: plan.has_right,
            fired: Mutex::default(),
            is_refreshed: AtomicBool::new(false),
        });
        let judge = Judge::new(Arc::new(shipped()), None);
        let ledger = Arc::new(Mutex::new(Ledger::new(limits(&settings, &judge))));
        let state = ForkedState::from_recording(&world.record(&[])).unwrap();
        let kept: Arc<dyn PauseHand> = hand.clone();
        let chain = Chain::new(
            &settings.chains[0],
            &settings,
            state,
            Some(kept),
            Shared { judge, ledger, desk: Arc::new(desk), metrics: Arc::default() },
        );
        let stop = watch::Sender::new(false);
        let runner = run::Runner {
            chain: Arc::new(chain),
            channels: settings.channels,
            workers: 1,
            ask_every: Duration::ZERO,
            stop: stop.subscribe(),
            tape: None,
            coverage: None,
            resume: None,
            most_waiting: 0,
            mined_within: Duration::from_secs(60),
        };
        let ended = tokio::spawn(runner.run(Box::new(Script { events, failure })));
        Self { hand, events: receiver, alerts, stop, ended }
    }

    /// Events up to and with the first that is wanted.
    async fn until(&mut self, wanted: impl Fn(&GuardEvent) -> bool) -> Vec<GuardEvent> {
        let mut seen = Vec::new();
        while let Some(event) = self.events.recv().await {
            let is_wanted = wanted(&event);
            seen.push(event);
            if is_wanted {
                return seen;
            }
        }
        panic!("the stream ended before what was wanted: {seen:#?}");
    }

    async fn stop(mut self) -> (Vec<GuardEvent>, Result<(), GuardError>) {
        self.stop.send_replace(true);
        let ended = self.ended.await.unwrap();
        let mut rest = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            rest.push(event);
        }
        (rest, ended)
    }
}

fn up() -> SourceEvent {
    SourceEvent::Up { node: "node".into(), chain: "test".into() }
}

fn actions(events: &[GuardEvent]) -> Vec<(&str, &str)> {
    let rows = events
        .iter()
        .filter_map(|event| if let GuardEvent::Action(row) = event { Some(row) } else { None });
    rows.map(|row| (row.kind.as_str(), row.detail.as_str())).collect()
}

#[tokio::test]
async fn a_pause_is_sent_followed_and_told() {
    let mut world = World::new(true);
    let attack = world.attack();
    let mut script = vec![up()];
    script.extend(world.blocks.iter().cloned().map(SourceEvent::Head));
    script.push(SourceEvent::Pending(Arc::clone(&attack)));
    let mut live = Live::start(&world, PLAN, script, None);
    let events = live
        .until(|event| matches!(event, GuardEvent::Action(row) if row.kind == "attack_reverted"))
        .await;

    assert!(events.iter().any(|event| matches!(event, GuardEvent::PauseReady { .. })));
    assert!(events.iter().any(|event| matches!(event, GuardEvent::Ready { .. })));
    assert_eq!(judged(&events, attack.hash).row.decision, Decision::Pause);
    assert_eq!(*live.hand.fired.lock().unwrap(), [world.vault]);
    assert!(live.hand.is_refreshed.load(Ordering::SeqCst), "the nonce is read ahead at each head");
    let kinds: Vec<_> = actions(&events).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["pause_sent", "pause_mined", "attack_reverted"]);
    assert!(
        actions(&events)[2].1.contains("after the pause; 30000000000000000000 wei saved"),
        "{events:#?}"
    );
    assert_eq!(
        *live.alerts.lock().unwrap(),
        ["vault: hard invariant broken: reentrancy/lost-update-drain"]
    );
    let (rest, ended) = live.stop().await;
    ended.unwrap();
    assert!(matches!(rest.last(), Some(GuardEvent::ChainEnded { failure: None, .. })), "{rest:#?}");
}

#[tokio::test]
async fn a_key_without_the_right_ends_the_guard_with_the_reason() {
    let world = World::new(false);
    let live = Live::start(&world, Plan { has_right: false, ..PLAN }, vec![up()], None);
    let error = live.ended.await.unwrap().unwrap_err();
    assert!(matches!(error, GuardError::Pause { .. }), "{error}");
    assert!(error.to_string().contains("is not a pauser of guardian"), "{error}");
}

#[tokio::test]
async fn a_source_that_fails_ends_its_chain_with_its_words() {
    let world = World::new(true);
    let failure = SourceError::WrongChain {
        node: "node".into(),
        chain: "test".into(),
        expected: 31_337,
        found: 1,
    };
    let live = Live::start(&world, PLAN, vec![up()], Some(failure));
    let error = live.ended.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "node `node` serves chain id 1, but chain `test` is configured with 31337"
    );
}

#[tokio::test]
async fn what_there_is_no_room_for_is_counted_and_journalled() {
    let mut world = World::new(true);
    let pending: Vec<_> = (0..200).map(|_| world.withdrawal(1)).collect();
    let mut script: Vec<_> = world.blocks.iter().cloned().map(SourceEvent::Head).collect();
    script.extend(pending.iter().cloned().map(SourceEvent::Pending));
    script.push(up());
    let mut live = Live::start(&world, Plan { work: 1, ..PLAN }, script, None);
    let mut events = live.until(|event| matches!(event, GuardEvent::NodeUp { .. })).await;
    let (rest, ended) = live.stop().await;
    ended.unwrap();
    events.extend(rest);
    let dropped = events
        .iter()
        .filter(|event| matches!(event, GuardEvent::Dropped { stage, .. } if stage == "work"));
    let refused = events.iter().filter(|event| {
        matches!(event, GuardEvent::Verdict(judged)
            if judged.row.outcome == Outcome::Unknown && judged.row.reason.contains("no room in the work queue"))
    });
    let (n_dropped, n_refused) = (dropped.count(), refused.count());
    assert!(n_dropped > 0, "two hundred at once do not fit in a queue of one");
    assert_eq!(n_dropped, n_refused, "each one dropped has its row");
}

#[tokio::test]
async fn a_guard_without_its_node_says_so_and_stops_in_order() {
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world = World::new(true);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut settings = GuardSettings { journal: Some(path.clone()), ..world.settings(Mode::Alert) };
    let url = format!("ws://127.0.0.1:{port}").parse().unwrap();
    settings.chains[0].nodes = vec![crate::source::NodeSettings { name: "gone".into(), url }];
    let (handle, mut events) = Guard::start(settings, parts(shipped())).await.unwrap();
    let down = loop {
        match events.next().await.unwrap().unwrap().as_ref() {
            GuardEvent::NodeDown { node, attempt, .. } => break (node.clone(), *attempt),
            GuardEvent::Started(started) => {
                assert_eq!(started.protected, [("vault".to_owned(), Mode::Alert)])
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(down, ("gone".to_owned(), 1));
    let stopped = handle.shutdown().await;
    assert_eq!(stopped.totals, Totals::default());
    assert!(stopped.journal.unwrap().is_sound());
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event.unwrap());
    }
    assert!(matches!(last.as_deref(), Some(GuardEvent::Stopped { .. })), "{last:?}");
    assert!(Journal::open_read_only(&path).is_ok());
}

#[tokio::test]
async fn what_was_mined_unannounced_is_judged_on_the_head_below() {
    let mut world = World::new(true);
    let attack = world.attack();
    let before = world.blocks.clone();
    world.mine(&[Arc::clone(&attack)]);
    let mut script = vec![up()];
    script.extend(world.blocks.iter().cloned().map(SourceEvent::Head));
    // The state begins before all blocks; those of the setup are judged too.
    let mut live = Live::start(&world, PLAN, script, None);
    let events = live.until(|event| matches!(event, GuardEvent::Head { number: 2, .. })).await;
    let row = &judged(&events, attack.hash).row;
    assert_eq!(
        (row.outcome, row.block, row.is_mined),
        (Outcome::Attack, before.last().unwrap().number, true),
        "{}",
        row.reason
    );
    let (_, ended) = live.stop().await;
    ended.unwrap();
}
