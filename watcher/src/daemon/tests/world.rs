//! A vault, its attacker and an honest user on a chain in memory.

use std::{io::Cursor, path::Path};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    primitives::{Bytes, TxKind, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall as _, SolValue as _},
};
use portcullis_alerting::{
    guardian::{FeeBudget, deploy},
    notify::RetryPolicy,
};
use portcullis_rules::packs;

use super::*;
use crate::verdict::Beside;
use crate::{
    settings::{ChannelSettings, PolicySettings},
    source::{
        BlockRecord, decode_raw,
        recording::{FORMAT, Header, RecordedAccount, RecordedState, RecordingWriter, VERSION},
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

pub(super) const ETHER: u128 = 1_000_000_000_000_000_000;
pub(super) const RULES: ChainRules = ChainRules {
    chain_id: 31337,
    hardforks: HardforkSchedule::always(Hardfork::Prague),
    block_time_s: 12,
};
pub(super) const FEES: FeeBudget = FeeBudget {
    max_fee_per_gas_wei: 1_000_000_000_000,
    max_tip_wei: 1_000_000_000_000,
    max_cost_wei: ETHER,
};

/// Someone with a key, who counts nonces.
pub(super) struct Person {
    pub(super) signer: PrivateKeySigner,
    pub(super) nonce: u64,
    pub(super) fee_gwei: u128,
}

impl Person {
    pub(super) fn new(seed: &str) -> Self {
        Self {
            signer: PrivateKeySigner::from_bytes(&keccak256(seed)).unwrap(),
            nonce: 0,
            fee_gwei: 60,
        }
    }

    pub(super) fn address(&self) -> Address {
        self.signer.address()
    }

    pub(super) fn send(&mut self, to: TxKind, ether: u64, input: Bytes) -> Arc<PendingTransaction> {
        let tx = TxEip1559 {
            chain_id: RULES.chain_id,
            nonce: self.nonce,
            gas_limit: 4_000_000,
            max_fee_per_gas: self.fee_gwei * 1_000_000_000,
            max_priority_fee_per_gas: self.fee_gwei * 1_000_000_000 / 12,
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

    pub(super) fn create(&mut self, code: Bytes) -> (Address, Arc<PendingTransaction>) {
        let address = self.address().create(self.nonce);
        (address, self.send(TxKind::Create, 0, code))
    }

    pub(super) fn call(
        &mut self,
        to: Address,
        ether: u64,
        input: Vec<u8>,
    ) -> Arc<PendingTransaction> {
        self.send(TxKind::Call(to), ether, input.into())
    }
}

pub(super) fn artifact(name: &str, arguments: &[u8]) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../fixtures/contracts/artifacts/{name}.json"));
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let code: Bytes = serde_json::from_value(json["bytecode"].clone()).unwrap();
    [code.as_ref(), arguments].concat().into()
}

/// What stands on the chain before anything is recorded.
pub(super) struct World {
    pub(super) state: Arc<ForkedState>,
    pub(super) genesis: Vec<(Address, AccountState)>,
    pub(super) first: Head,
    pub(super) blocks: Vec<Arc<BlockRecord>>,
    pub(super) admin: Person,
    pub(super) user: Person,
    pub(super) attacker: Person,
    pub(super) vault: Address,
    pub(super) guardian: Address,
    pub(super) attack_contract: Address,
}

impl World {
    /// A vault with 60 ether of a user, a guardian that may pause it, and the attacker's contract.
    pub(super) fn new(pauser_has_role: bool) -> Self {
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

    pub(super) fn mine(&mut self, transactions: &[Arc<PendingTransaction>]) {
        let (mut block, outcomes) = self.state.mine(transactions).unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.is_success()), "{outcomes:#?}");
        block.seen_at_ms = 1_700_000_000_500;
        self.blocks.push(Arc::new(block));
    }

    pub(super) fn attack(&mut self) -> Arc<PendingTransaction> {
        let data = attackCall { vault: self.vault, loops: U256::from(3) }.abi_encode();
        self.attacker.call(self.attack_contract, 10, data)
    }

    /// The same attack, so many times in one place, each with more offered than the one before.
    pub(super) fn raised_attacks(&mut self, times: u128) -> Vec<Arc<PendingTransaction>> {
        let nonce = self.attacker.nonce;
        let raised = |step| {
            self.attacker.nonce = nonce;
            self.attacker.fee_gwei = 60 + 10 * step;
            self.attack()
        };
        (0..times).map(raised).collect()
    }

    pub(super) fn withdrawal(&mut self, ether: u64) -> Arc<PendingTransaction> {
        let amount = U256::from(u128::from(ether) * ETHER);
        self.user.call(self.vault, 0, withdrawCall { amount }.abi_encode())
    }

    /// The blocks so far, then what waits.
    pub(super) fn record(&self, pending: &[Arc<PendingTransaction>]) -> Arc<Recording> {
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

    pub(super) fn settings(&self, mode: Mode) -> GuardSettings {
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
                relays: Vec::new(),
                not_modelled: Vec::new(),
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
            control: None,
        }
    }

    pub(super) fn hand(&self) -> Option<DryHand> {
        Some(DryHand {
            guardian: self.guardian,
            pauser: pauser(),
            budget: FEES,
            gas_limit: 300_000,
        })
    }

    pub(super) async fn replay(
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

pub(super) fn pauser() -> Address {
    Person::new("pauser").address()
}

pub(super) fn shipped() -> RuleSet {
    let mut general = packs::shipped(&[dictionary()]).unwrap().packs;
    general.retain(|pack| packs::kit(pack.name()).is_none());
    RuleSet::new(general).unwrap()
}

pub(super) fn parts(rules: RuleSet) -> Parts {
    Parts {
        rules: Arc::new(rules),
        model: None,
        beside: Beside::default(),
        key: None,
        dispatcher: Dispatcher::new(Vec::new(), RetryPolicy::default()),
        clock: Arc::new(|| 0),
    }
}

pub(super) fn judged(events: &[GuardEvent], hash: B256) -> &Judged {
    let mut rows = events.iter().filter_map(|event| match event {
        GuardEvent::Verdict(judged) if judged.row.tx_hash == hash => Some(&**judged),
        _ => None,
    });
    let first = rows.next().unwrap_or_else(|| panic!("no verdict on {hash}: {events:#?}"));
    assert!(rows.next().is_none(), "{hash} was judged twice");
    first
}

pub(super) fn pauses(events: &[GuardEvent]) -> Vec<&PauseShown> {
    events
        .iter()
        .filter_map(|event| if let GuardEvent::Pause(pause) = event { Some(pause) } else { None })
        .collect()
}
