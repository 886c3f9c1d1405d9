//! One chain in memory with one protected protocol, its users, and strangers; every transaction goes through here.

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy::consensus::{Signed, TxEip1559, TxEnvelope};
use alloy::primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use portcullis_models::data::Row;
use portcullis_models::random::Random;
use portcullis_watcher::facts::{Observation, Protected, observe};
use portcullis_watcher::simulate::Simulator;
use portcullis_watcher::simulate::execution::Execution;
use portcullis_watcher::source::PendingTransaction;
use portcullis_watcher::state::{
    AccountState, ChainRules, ForkedState, Hardfork, HardforkSchedule, StateError,
};

use super::RangeError;
use super::first_key::FirstKey;
use super::fresh::{Fresh, Use};
use super::protocols::{Kind, Protocol, Worth};
use super::show::{Look, Shown, Witness, listed};
use crate::artifacts::{self, Artifact};
use crate::story::Vault;

const CHAIN_ID: u64 = 31_337;
const GWEI: f64 = 1e9;
const ETHER: f64 = 1e18;
/// Ether that every account holds beside what it plays with: gas of many transactions.
const SPARE_ETHER: f64 = 20.0;
/// Place of `balances` in the storage layout of both vaults.
const BALANCES_SLOT: U256 = U256::from_limbs([2, 0, 0, 0]);

/// A played episode.
pub(super) struct World {
    /// What the guard would have asked its model, so far.
    pub(super) rows: Vec<Row>,
    pub(super) random: Random,
    /// The protected vault.
    pub(super) vault: Address,
    /// Whoever deployed it.
    pub(super) admin: Address,
    /// Accounts with a deposit.
    pub(super) users: Vec<Address>,
    /// All that the users deposited, ether.
    pub(super) tvl_ether: f64,
    strangers: Vec<Address>,
    episode: u64,
    state: Arc<ForkedState>,
    simulator: Simulator,
    protected: Protected,
    /// Everyone who ever had an entry in the vault's books.
    claimants: BTreeSet<Address>,
    n_sent: u64,
    /// What is protected; none is the ether vault.
    protocol: Option<Arc<dyn Protocol>>,
    /// Accounts beside users and strangers that may stand in the protocol's books.
    parties: BTreeSet<Address>,
    /// Its name, one per implementation.
    protocol_name: &'static str,
    rules: &'static FirstKey,
    /// By how much the next transaction may lower the protocol's worth: what was decided to be paid.
    permitted_fall: f64,
    /// Looks at every transaction for rules; none where rows alone are wanted.
    witness: Option<Witness>,
    /// How many times as many harmless calls stand around what is padded as usual.
    pub(super) padding: f64,
    /// Collects fresh contracts; none where transactions alone are wanted.
    fresh: Option<Fresh>,
}

/// A transaction before it has nonce and fees.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) from: Address,
    /// None creates a contract.
    pub(super) to: Option<Address>,
    pub(super) value: U256,
    pub(super) input: Vec<u8>,
}

/// What the vault has and what it owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Books {
    pub(super) held_wei: U256,
    pub(super) owed_wei: U256,
}

impl World {
    /// A chain with accounts that hold ether, and nothing on it.
    pub(super) fn empty(episode: u64, mut random: Random) -> Result<Self, RangeError> {
        let mut account = || Address::from_slice(&keccak256(random.bits().to_be_bytes())[12..]);
        let admin = account();
        let (users, strangers): (Vec<_>, Vec<_>) =
            ((0..4).map(|_| account()).collect(), (0..6).map(|_| account()).collect());
        let mut genesis = Vec::new();
        for &holder in users.iter().chain(&strangers).chain([&admin]) {
            let balance = wei(SPARE_ETHER + random.log_uniform(0.01, 500.0));
            let nonce = if holder == admin { 0 } else { nonce(&mut random) };
            genesis.push((holder, AccountState { balance, nonce, ..AccountState::default() }));
        }
        Self::on(episode, random, genesis, admin, users, strangers)
    }

    fn on(
        episode: u64,
        random: Random,
        genesis: Vec<(Address, AccountState)>,
        admin: Address,
        users: Vec<Address>,
        strangers: Vec<Address>,
    ) -> Result<Self, RangeError> {
        let failed = |source| RangeError::State { episode, source: Box::new(source) };
        let rules = ChainRules {
            chain_id: CHAIN_ID,
            hardforks: HardforkSchedule::always(Hardfork::Prague),
            block_time_s: 12,
        };
        let state = ForkedState::in_memory(rules, genesis).map_err(failed)?;
        let vault = admin.create(0);
        Ok(Self {
            rows: Vec::new(),
            random,
            vault,
            admin,
            tvl_ether: 0.0,
            strangers,
            episode,
            simulator: Simulator::new(Arc::clone(&state)),
            state,
            protected: Protected::new([("vault".to_owned(), vec![vault])]),
            claimants: users.iter().copied().collect(),
            users,
            n_sent: 0,
            protocol: None,
            parties: BTreeSet::new(),
            protocol_name: "ether-vault",
            rules: FirstKey::shipped(None),
            permitted_fall: 0.0,
            witness: None,
            padding: 1.0,
            fresh: None,
        })
    }

    /// Protects a protocol from now on.
    pub(super) fn protect(&mut self, kind: Kind, protocol: Arc<dyn Protocol>) {
        self.protocol_name = kind.name();
        self.rules = FirstKey::shipped(kind.kit());
        self.vault = protocol.protected();
        self.protected = Protected::new([("protocol".to_owned(), vec![self.vault])]);
        self.protocol = Some(protocol);
        if let Some(fresh) = &mut self.fresh {
            fresh.forget_targets();
        }
    }

    /// Collects fresh contracts from now on.
    pub(super) fn collect_contracts(&mut self) {
        self.fresh = Some(Fresh::default());
    }

    /// Rows of the contracts that were collected.
    pub(super) fn into_contracts(self) -> Vec<Row> {
        self.fresh.map(|fresh| fresh.rows).unwrap_or_default()
    }

    /// Shows every transaction from now on to rules.
    pub(super) fn show_to(&mut self, witness: Witness) {
        if let Some(protocol) = &self.protocol {
            let listed = listed(protocol.price_sources());
            self.protected = std::mem::take(&mut self.protected).listing([&listed]);
        }
        self.witness = Some(witness);
    }

    /// What was shown.
    pub(super) fn shown(self) -> Vec<Shown> {
        self.witness.map(Witness::into_shown).unwrap_or_default()
    }

    /// What is protected; none is the ether vault.
    pub(super) fn protocol(&self) -> Option<Arc<dyn Protocol>> {
        self.protocol.clone()
    }

    /// Everyone who may stand in the protocol's books, sorted.
    pub(super) fn parties(&self) -> BTreeSet<Address> {
        self.users.iter().chain(&self.strangers).chain(&self.parties).copied().collect()
    }

    /// Adds an account that may stand in the protocol's books.
    pub(super) fn join(&mut self, account: Address) {
        self.parties.insert(account);
    }

    /// Accounts without a deposit, apart from attackers.
    pub(super) fn strangers(&self) -> &[Address] {
        &self.strangers
    }

    /// Lets the next transaction lower the protocol's worth by so much, for it was decided in good order.
    pub(super) fn permit(&mut self, fall: f64) {
        self.permitted_fall = fall;
    }

    /// Creates a contract unseen.
    pub(super) fn deploy(
        &mut self,
        artifact: Artifact,
        arguments: &[u8],
    ) -> Result<Address, RangeError> {
        let address = self.next_contract(self.admin)?;
        let input = artifact.creation(arguments);
        self.set_up(Draft { from: self.admin, to: None, value: U256::ZERO, input })?;
        Ok(address)
    }

    /// Calls a contract unseen.
    pub(super) fn call(
        &mut self,
        from: Address,
        to: Address,
        input: Vec<u8>,
    ) -> Result<(), RangeError> {
        self.set_up(Draft { from, to: Some(to), value: U256::ZERO, input })
    }

    /// A word of a contract's storage.
    pub(super) fn slot(&self, at: Address, slot: u64) -> Result<U256, RangeError> {
        self.view(|view| view.storage(at, U256::from(slot)))
    }

    /// An account's entry of the mapping at `base` of a contract's storage.
    pub(super) fn entry(
        &self,
        at: Address,
        base: u64,
        account: Address,
    ) -> Result<U256, RangeError> {
        let slot = keccak256((account, U256::from(base)).abi_encode()).into();
        self.view(|view| view.storage(at, slot))
    }

    /// Deploys the vault and lets its users deposit.
    pub(super) fn new(
        episode: u64,
        is_flawed: bool,
        mut random: Random,
    ) -> Result<Self, RangeError> {
        let mut account = || Address::from_slice(&keccak256(random.bits().to_be_bytes())[12..]);
        let admin = account();
        let (users, strangers): (Vec<_>, Vec<_>) =
            ((0..8).map(|_| account()).collect(), (0..8).map(|_| account()).collect());
        let users: Vec<Address> = users[..3 + random.below(6)].to_vec();
        let tvl_ether = random.log_uniform(20.0, 50_000.0);
        let weights: Vec<f64> = users.iter().map(|_| random.log_uniform(0.02, 1.0)).collect();
        let total: f64 = weights.iter().sum();
        let deposits: Vec<f64> = weights.iter().map(|weight| tvl_ether * weight / total).collect();

        let mut genesis =
            vec![(admin, AccountState { balance: wei(100.0), ..AccountState::default() })];
        for (&user, deposit) in users.iter().zip(&deposits) {
            let balance = wei(SPARE_ETHER + deposit * random.log_uniform(1.01, 5.0));
            genesis.push((
                user,
                AccountState { balance, nonce: nonce(&mut random), ..AccountState::default() },
            ));
        }
        for &stranger in &strangers {
            let balance = wei(SPARE_ETHER + tvl_ether * random.log_uniform(0.02, 3.0));
            genesis.push((
                stranger,
                AccountState { balance, nonce: nonce(&mut random), ..AccountState::default() },
            ));
        }
        let mut world = Self::on(episode, random, genesis, admin, users, strangers)?;
        world.tvl_ether = tvl_ether;
        let vault = world.vault;
        let artifact = if is_flawed { artifacts::VAULT } else { artifacts::VAULT_FIXED };
        let code = artifact.creation(&admin.abi_encode());
        world.set_up(Draft { from: admin, to: None, value: U256::ZERO, input: code })?;
        for (index, deposit) in deposits.into_iter().enumerate() {
            let input = Vault::depositCall {}.abi_encode();
            world.set_up(Draft {
                from: world.users[index],
                to: Some(vault),
                value: wei(deposit),
                input,
            })?;
        }
        Ok(world)
    }

    /// An account with a deposit.
    pub(super) fn user(&mut self) -> Address {
        self.users[self.random.below(self.users.len())]
    }

    /// An account that may never have been seen before.
    pub(super) fn stranger(&mut self) -> Address {
        self.strangers[self.random.below(self.strangers.len())]
    }

    /// A stranger who does nothing else from now on, so that what it plans to spend stays its own.
    pub(super) fn attacker(&mut self) -> Address {
        let index = self.random.below(self.strangers.len());
        self.strangers.swap_remove(index)
    }

    /// What an account may spend, ether, its gas apart.
    pub(super) fn purse_ether(&self, account: Address) -> Result<f64, RangeError> {
        let balance = self.view(|view| view.balance_wei(account))?;
        Ok((ether(balance) - SPARE_ETHER / 2.0).max(0.0))
    }

    /// What the vault's books say is an account's, wei.
    pub(super) fn claim_wei(&self, account: Address) -> Result<U256, RangeError> {
        self.view(|view| view.storage(self.vault, balance_slot(account)))
    }

    /// Transactions that an account has sent.
    pub(super) fn nonce(&self, account: Address) -> Result<u64, RangeError> {
        self.view(|view| view.nonce(account))
    }

    /// The address of the contract that an account's next transaction creates.
    pub(super) fn next_contract(&self, account: Address) -> Result<Address, RangeError> {
        Ok(account.create(self.view(|view| view.nonce(account))?))
    }

    /// Mines a transaction without having looked at it.
    pub(super) fn set_up(&mut self, draft: Draft) -> Result<(), RangeError> {
        let tx = self.sign(draft)?;
        let is_watched = self.witness.is_some() || self.fresh.is_some();
        if is_watched && tx.to().is_none() {
            let execution = self.simulate(&tx)?;
            let observation = observe(&execution, &self.protected);
            self.prepare(&tx, &execution, &observation)?;
            if tx.sender == self.admin {
                self.label("deployment", tx.sender, false);
            }
        }
        self.state.apply(&tx).map_err(|source| RangeError::State {
            episode: self.episode,
            source: Box::new(source),
        })?;
        Ok(())
    }

    fn simulate(&self, tx: &PendingTransaction) -> Result<Execution, RangeError> {
        self.simulator.simulate(tx, &[]).map_err(|source| RangeError::Simulation {
            episode: self.episode,
            source: Box::new(source),
        })
    }

    /// Keeps what rules about fresh contracts are asked.
    fn prepare(
        &mut self,
        tx: &PendingTransaction,
        execution: &Execution,
        observation: &Observation,
    ) -> Result<(), RangeError> {
        if let Some(fresh) = &mut self.fresh {
            let episode = self.episode;
            let failed = |source| RangeError::State { episode, source: Box::new(source) };
            let view = self.state.view().map_err(failed)?;
            fresh.see(execution, observation, &self.protected, &view).map_err(failed)?;
        }
        let Some(witness) = &mut self.witness else { return Ok(()) };
        let (simulator, protected) = (&self.simulator, &self.protected);
        let look = Look { simulator, protected, tx, execution, observation };
        let episode = self.episode;
        witness
            .prepare(look)
            .map_err(|source| RangeError::State { episode, source: Box::new(source) })
    }

    /// What a sender made so far was made for this.
    fn label(&mut self, family: &str, sender: Address, is_attack: bool) {
        if let Some(fresh) = &mut self.fresh {
            let (episode, protocol) = (self.episode, self.protocol_name);
            fresh.label(Use { sender, family, is_attack, episode, protocol });
        }
    }

    /// Looks at a transaction as the guard does, then mines it; keeps a row if it touches the vault.
    pub(super) fn play(
        &mut self,
        family: &str,
        intent: bool,
        draft: Draft,
    ) -> Result<(), RangeError> {
        let draft_sender = draft.from;
        let tx = self.sign(draft)?;
        let execution = self.simulate(&tx)?;
        let observation = observe(&execution, &self.protected);
        self.prepare(&tx, &execution, &observation)?;
        self.label(family, draft_sender, intent);
        let instances = self.witness.as_mut().map(|witness| {
            let (simulator, protected) = (&self.simulator, &self.protected);
            let (execution, observation) = (&execution, &observation);
            witness.ask(Look { simulator, protected, tx: &tx, execution, observation })
        });
        let written = execution
            .mapping_slots
            .iter()
            .filter(|slot| slot.address == self.vault && slot.base == BALANCES_SLOT);
        self.claimants.extend(written.map(|slot| Address::from_word(slot.key)));
        let before = self.worth(draft_sender)?;
        self.state.apply(&tx).map_err(|source| RangeError::State {
            episode: self.episode,
            source: Box::new(source),
        })?;
        let after = self.worth(draft_sender)?;
        let permitted = std::mem::take(&mut self.permitted_fall);
        let both = || before.iter().zip(&after);
        let harm = both().any(|(before, after)| after.is_harmed_from(before, permitted));
        if let (Some(witness), Some(instances)) = (&mut self.witness, instances) {
            let (simulator, protected) = (&self.simulator, &self.protected);
            let (execution, observation) = (&execution, &observation);
            let shown = Shown {
                family: family.to_owned(),
                is_attack: intent,
                did_harm: harm,
                loss_bps: both()
                    .map(|(before, after)| after.loss_bps(before, permitted))
                    .max()
                    .unwrap_or_default(),
                observation: observation.clone(),
                instances,
                contracts: Vec::new(),
            };
            witness.take(Look { simulator, protected, tx: &tx, execution, observation }, shown);
        }
        if !observation.touched.is_empty() && !observation.truncated {
            self.rows.push(Row {
                harm,
                intent,
                family: family.to_owned(),
                episode: self.episode,
                protocol: self.protocol_name.to_owned(),
                rules: self.rules.ask(&observation),
                values: observation.vector.values().to_vec(),
            });
        }
        Ok(())
    }

    /// What must not fall.
    fn worth(&self, sender: Address) -> Result<Vec<Worth>, RangeError> {
        if let Some(protocol) = &self.protocol {
            return protocol.worth(self, sender);
        }
        let Books { held_wei, owed_wei } = self.books()?;
        // The difference is exact; only its size is a float.
        let value = if held_wei >= owed_wei {
            ether(held_wei - owed_wei)
        } else {
            -ether(owed_wei - held_wei)
        };
        Ok(vec![Worth { value, scale: ether(held_wei) }])
    }

    /// What the vault has and owes now.
    pub(super) fn books(&self) -> Result<Books, RangeError> {
        self.view(|view| {
            let mut owed_wei = U256::ZERO;
            for &claimant in &self.claimants {
                owed_wei += view.storage(self.vault, balance_slot(claimant))?;
            }
            Ok(Books { held_wei: view.balance_wei(self.vault)?, owed_wei })
        })
    }

    fn view<T>(
        &self,
        look: impl FnOnce(&portcullis_watcher::state::StateView<'_>) -> Result<T, StateError>,
    ) -> Result<T, RangeError> {
        let failed = |source| RangeError::State { episode: self.episode, source: Box::new(source) };
        look(&self.state.view().map_err(failed)?).map_err(failed)
    }

    /// Gives a draft its nonce, fees and gas limit. Senders are known here, so the signature is a dummy that
    /// nobody reads; making real ones would take most of the time of an episode.
    fn sign(&mut self, draft: Draft) -> Result<PendingTransaction, RangeError> {
        let nonce = self.view(|view| view.nonce(draft.from))?;
        let tip = (self.random.log_uniform(0.01, 20.0) * GWEI) as u128;
        let tx = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 8_000_000,
            max_fee_per_gas: tip + (self.random.log_uniform(5.0, 60.0) * GWEI) as u128,
            max_priority_fee_per_gas: tip,
            to: draft.to.map_or(TxKind::Create, TxKind::Call),
            value: draft.value,
            access_list: Default::default(),
            input: draft.input.into(),
        };
        self.n_sent += 1;
        let hash: B256 =
            keccak256([self.episode.to_be_bytes(), self.n_sent.to_be_bytes()].concat());
        let envelope =
            TxEnvelope::from(Signed::new_unchecked(tx, Signature::test_signature(), hash));
        Ok(PendingTransaction {
            envelope,
            sender: draft.from,
            hash,
            seen_at_ms: 0,
            node: "range".into(),
        })
    }
}

/// Ether in wei; exact to the fifteen digits that a draw has.
pub(super) fn wei(ether: f64) -> U256 {
    U256::from((ether.max(0.0) * ETHER) as u128)
}

pub(super) fn ether(wei: U256) -> f64 {
    f64::from(wei) / ETHER
}

fn balance_slot(account: Address) -> U256 {
    keccak256((account, BALANCES_SLOT).abi_encode()).into()
}

/// One account in four is new; a patient attacker's is not.
fn nonce(random: &mut Random) -> u64 {
    if random.chance(0.25) {
        random.below(3) as u64
    } else {
        random.log_uniform(3.0, 20_000.0) as u64
    }
}
