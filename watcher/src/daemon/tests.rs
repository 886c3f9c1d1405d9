//! A vault, its attacker and an honest user on a chain in memory, recorded and replayed through the whole guard.

use std::{io::Cursor, path::Path, sync::Arc};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    primitives::{Address, B256, Bytes, TxKind, U256, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall as _, SolValue as _},
};
use portcullis_alerting::{
    guardian::{FeeBudget, deploy},
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
    state::{AccountState, Hardfork, Head},
};

sol! {
    function deposit() external payable;
    function withdraw(uint256 amount) external;
    function attack(address vault, uint256 loops) external payable;
    function grantRole(bytes32 role, address account) external;
    function pause() external;
}

const ETHER: u128 = 1_000_000_000_000_000_000;
const RULES: ChainRules =
    ChainRules { chain_id: 31337, hardfork: Hardfork::Prague, block_time_s: 12 };
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
                hardfork: RULES.hardfork,
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
            pause: Vec::new(),
            mode: Some(mode),
        };
        GuardSettings {
            chains: vec![ChainSettings {
                name: "test".into(),
                chain_id: RULES.chain_id,
                nodes: Vec::new(),
                block_time_ms: 12_000,
                hardfork: RULES.hardfork,
                flow: Flow::Mempool,
                fees: FEES,
            }],
            protected: vec![protected],
            mode: Mode::Observe,
            policy: PolicySettings::default(),
            guardian: Some(self.guardian),
            journal: None,
            evidence_floor: 0.5,
            channels: ChannelSettings::default(),
            workers: 1,
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
    let parse = |(name, text): &(&str, &str)| Pack::parse(text, name, &[dictionary()]).unwrap();
    RuleSet::new(packs::embedded().iter().map(parse).collect()).unwrap()
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
    assert_eq!((totals.judged, totals.touching, totals.pauses), (3, 3, 1));
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
    assert_eq!(rows.len(), pending.len());
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
    let mut other = armed;
    other.chains[0].chain_id = 1;
    let replay = Replay { recording: world.record(&[]), pace: Pace::Unpaced, hand: None };
    let foreign = super::replay(&other, parts(shipped()), replay, |_| {}).await.unwrap_err();
    assert_eq!(
        foreign.to_string(),
        "the recording is of chain `test` (id 31337), which is not configured"
    );
}
