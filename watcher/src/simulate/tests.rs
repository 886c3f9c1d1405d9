//! Real contracts on a chain in memory.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall as _, SolValue as _},
};

use super::{
    CallOnly, Limits, SimError, Simulator,
    execution::{Execution, FrameKind, Status},
};
use crate::{
    source::{PendingTransaction, decode_raw},
    state::{AccountState, ChainRules, ForkedState, Hardfork, HardforkSchedule},
};

sol! {
    function deposit() external payable;
    function withdrawAll() external;
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

fn ether(n: u128) -> U256 {
    U256::from(n * ETHER)
}

fn artifact(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../fixtures/contracts/artifacts/{name}.json"));
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(json["bytecode"].clone()).unwrap()
}

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

    fn sign(&mut self, to: TxKind, value: U256, input: Bytes) -> Arc<PendingTransaction> {
        let tx = TxEip1559 {
            chain_id: RULES.chain_id,
            nonce: self.nonce,
            gas_limit: 5_000_000,
            max_fee_per_gas: 5_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to,
            value,
            access_list: Default::default(),
            input,
        };
        self.nonce += 1;
        let signature = self.signer.sign_hash_sync(&tx.signature_hash()).unwrap();
        let envelope = TxEnvelope::from(tx.into_signed(signature));
        Arc::new(PendingTransaction::from_envelope(envelope, 0, "test".into()).unwrap())
    }

    fn call(
        &mut self,
        to: Address,
        value: U256,
        call: impl Into<Bytes>,
    ) -> Arc<PendingTransaction> {
        self.sign(TxKind::Call(to), value, call.into())
    }

    fn create(&mut self, name: &str, arguments: Vec<u8>) -> Arc<PendingTransaction> {
        self.sign(TxKind::Create, U256::ZERO, [artifact(name).to_vec(), arguments].concat().into())
    }
}

struct Town {
    state: Arc<ForkedState>,
    vault: Address,
    attacker_contract: Address,
    admin: Person,
    victim: Person,
    thief: Person,
}

/// A vault with ten ether of a victim in it, and an attacker's contract.
fn town(vault: &str) -> Town {
    let (mut admin, mut victim, mut thief) =
        (Person::new("admin"), Person::new("victim"), Person::new("thief"));
    let accounts = [&admin, &victim, &thief].map(|person| {
        (person.address(), AccountState { balance: ether(100), ..AccountState::default() })
    });
    let state = ForkedState::in_memory(RULES, accounts).unwrap();
    let deploy = admin.create(vault, admin.address().abi_encode());
    let vault = state.apply(&deploy).unwrap().created.unwrap();
    let attacker_contract =
        state.apply(&thief.create("Attacker", vec![])).unwrap().created.unwrap();
    let paid_in = victim.call(vault, ether(10), depositCall {}.abi_encode());
    assert!(state.apply(&paid_in).unwrap().is_success());
    Town { state, vault, attacker_contract, admin, victim, thief }
}

fn attack(town: &mut Town) -> Arc<PendingTransaction> {
    let call = attackCall { vault: town.vault, loops: U256::from(10) };
    town.thief.call(town.attacker_contract, ether(1), call.abi_encode())
}

fn change(execution: &Execution, address: Address) -> (U256, U256) {
    let at = |list: &[(Address, U256)]| {
        list.iter().find(|(who, _)| *who == address).map(|(_, wei)| *wei).unwrap()
    };
    (at(&execution.balances_before), at(&execution.balances_after))
}

#[test]
fn a_reentrancy_attack_is_written_down_as_it_happened() {
    let mut town = town("Vault");
    let tx = attack(&mut town);
    let execution = Simulator::new(town.state.clone()).simulate(&tx, &[]).unwrap();

    assert_eq!(execution.status, Status::Success);
    assert_eq!(change(&execution, town.vault), (ether(10), U256::ZERO));
    let (before, after) = change(&execution, town.thief.address());
    assert!(
        after > before + ether(9) && after < before + ether(10),
        "ten ether less the gas: {before} {after}"
    );

    let withdrawals: Vec<_> = execution
        .frames
        .iter()
        .filter(|frame| frame.selector() == Some(withdrawAllCall::SELECTOR))
        .collect();
    assert_eq!(withdrawals.len(), 11);
    assert!(
        withdrawals.windows(2).all(|pair| pair[1].depth == pair[0].depth + 2),
        "each inside the one before"
    );
    assert!(
        withdrawals
            .windows(2)
            .all(|pair| pair[0].entered < pair[1].entered && pair[0].left > pair[1].left)
    );
    assert!(execution.frames.iter().all(|frame| frame.kept));
    assert_eq!(execution.frames[0].parent, None);
    assert_eq!(execution.frames[0].kind, FrameKind::Call);

    let paid_out: U256 = execution
        .ether
        .iter()
        .filter(|step| step.from == town.vault && step.kept)
        .map(|step| step.value)
        .fold(U256::ZERO, |sum, value| sum + value);
    assert_eq!(paid_out, ether(11));

    // The balance slot of the attacker's contract in the vault, derived from its mapping, written after the payments.
    let entry = execution
        .mapping_slots
        .iter()
        .find(|entry| {
            entry.address == town.vault && entry.key == town.attacker_contract.into_word()
        })
        .expect("the mapping slot was seen");
    let writes: Vec<_> = execution
        .accesses
        .iter()
        .filter(|access| {
            access.address == town.vault && access.slot == entry.slot && access.after.is_some()
        })
        .collect();
    assert_eq!((writes[0].before, writes[0].after), (U256::ZERO, Some(ether(1))));
    assert_eq!((writes[1].before, writes[1].after), (ether(1), Some(U256::ZERO)));
    let last_payment =
        execution.ether.iter().filter(|step| step.from == town.vault).map(|step| step.order).max();
    assert!(Some(writes[1].order) > last_payment);
    assert!(execution.logs.iter().any(|log| log.address == town.vault && log.kept));
    assert!(!execution.truncated);
}

#[test]
fn a_simulation_leaves_the_state_alone_and_equals_what_is_mined() {
    let mut town = town("Vault");
    let tx = attack(&mut town);
    let simulator = Simulator::new(town.state.clone());
    let first = simulator.simulate(&tx, &[]).unwrap();
    assert_eq!(simulator.simulate(&tx, &[]).unwrap(), first);
    assert_eq!(town.state.view().unwrap().balance_wei(town.vault).unwrap(), ether(10));

    let mined = town.state.apply(&tx).unwrap();
    assert!(mined.is_success());
    assert_eq!(mined.gas_used, first.gas_used);
    let logs: Vec<_> = first
        .logs
        .iter()
        .filter(|log| log.kept)
        .map(|log| (log.address, log.topics.clone(), log.data.clone()))
        .collect();
    let mined_logs: Vec<_> = mined
        .logs
        .iter()
        .map(|log| (log.address, log.topics().to_vec(), log.data.data.clone()))
        .collect();
    assert_eq!(logs, mined_logs);
    assert_eq!(town.state.view().unwrap().balance_wei(town.vault).unwrap(), U256::ZERO);
}

#[test]
fn the_repaired_vault_makes_the_attack_revert_and_nothing_is_kept() {
    let mut town = town("VaultFixed");
    let tx = attack(&mut town);
    let execution = Simulator::new(town.state.clone()).simulate(&tx, &[]).unwrap();
    assert!(
        matches!(&execution.status, Status::Revert { reason } if reason.starts_with("0x")),
        "{:?}",
        execution.status
    );
    assert!(execution.frames.iter().all(|frame| !frame.kept));
    assert!(execution.ether.iter().all(|step| !step.kept));
    assert!(execution.accesses.iter().all(|access| access.kept == access.after.is_none()));
    let (before, after) = change(&execution, town.thief.address());
    assert!(after < before, "the gas is paid all the same");
}

#[test]
fn a_pause_that_comes_first_stops_the_attack() {
    let mut town = town("Vault");
    let guardian = address!("0x00000000000000000000000000000000000a11ce");
    let grant = grantRoleCall { role: keccak256("PAUSER_ROLE"), account: guardian };
    let granted = town.admin.call(town.vault, U256::ZERO, grant.abi_encode());
    assert!(town.state.apply(&granted).unwrap().is_success());

    let tx = attack(&mut town);
    let pause = CallOnly {
        from: guardian,
        to: town.vault,
        data: pauseCall {}.abi_encode().into(),
        value: U256::ZERO,
        gas: 200_000,
    };
    let simulator = Simulator::new(town.state.clone());
    let (pauses, attacked) =
        simulator.simulate_calls(&[], std::slice::from_ref(&pause), &tx).unwrap();
    assert_eq!(pauses[0].status, Status::Success);
    assert!(matches!(attacked.status, Status::Revert { .. }));

    // A stranger cannot pause, so the attack goes through.
    let stranger = CallOnly { from: town.victim.address(), ..pause };
    let (pauses, attacked) = simulator.simulate_calls(&[], &[stranger], &tx).unwrap();
    assert!(matches!(pauses[0].status, Status::Revert { .. }));
    assert_eq!(attacked.status, Status::Success);
}

#[test]
fn a_nonce_that_is_not_next_needs_its_predecessors() {
    let mut town = town("Vault");
    let contract_to_be = town.thief.address().create(town.thief.nonce);
    let deploy = town.thief.create("Attacker", vec![]);
    let call = attackCall { vault: town.vault, loops: U256::from(10) };
    let strike = town.thief.call(contract_to_be, ether(1), call.abi_encode());

    let simulator = Simulator::new(town.state.clone());
    match simulator.simulate(&strike, &[]) {
        Err(SimError::Nonce { expected, found, .. }) => assert_eq!((expected, found), (1, 2)),
        other => panic!("{other:?}"),
    }
    let execution = simulator.simulate(&strike, std::slice::from_ref(&deploy)).unwrap();
    assert_eq!(change(&execution, town.vault), (ether(10), U256::ZERO));

    let created = simulator.simulate(&deploy, &[]).unwrap();
    assert_eq!(created.created, [contract_to_be]);
    assert_eq!(created.frames[0].kind, FrameKind::Create);
    assert_eq!(created.frames[0].acts_on, contract_to_be);
}

#[test]
fn an_offer_below_the_base_fee_runs_in_the_first_block_that_could_mine_it() {
    let town = town("Vault");
    let base_fee_wei = town.state.head().unwrap().base_fee_wei;
    let tx = TxEip1559 {
        chain_id: RULES.chain_id,
        nonce: town.thief.nonce,
        gas_limit: 30_000,
        max_fee_per_gas: 9_000,
        to: TxKind::Call(Address::ZERO),
        ..TxEip1559::default()
    };
    assert!(base_fee_wei > 9_000);
    let signature = town.thief.signer.sign_hash_sync(&tx.signature_hash()).unwrap();
    let envelope = TxEnvelope::from(tx.into_signed(signature));
    let tx = PendingTransaction::from_envelope(envelope, 0, "test".into()).unwrap();
    let execution = Simulator::new(town.state.clone()).simulate(&tx, &[]).unwrap();
    assert_eq!((execution.base_fee_wei, execution.status), (9_000, Status::Success));
}

#[test]
fn limits_cut_the_record_and_say_so() {
    let mut town = town("Vault");
    let tx = attack(&mut town);
    let tight = Limits { frames: 5, accesses: 7, ..Limits::default() };
    let execution =
        Simulator::new(town.state.clone()).with_limits(tight).simulate(&tx, &[]).unwrap();
    assert!(execution.truncated);
    assert_eq!((execution.frames.len(), execution.accesses.len()), (5, 7));
    assert_eq!(execution.status, Status::Success);

    let no_gas = Limits { gas: 100_000, ..Limits::default() };
    let refused = Simulator::new(town.state.clone()).with_limits(no_gas).simulate(&tx, &[]);
    assert!(
        matches!(refused, Err(SimError::Limit { gas_limit: 5_000_000, allowed: 100_000, .. })),
        "{refused:?}"
    );
}

#[test]
fn more_call_data_than_the_budget_is_cut() {
    // Calls itself with 64 KiB of memory as calldata as long as the gas lasts.
    let code: Bytes = "0x5f5f620100005f5f305af100".parse().unwrap();
    let contract = address!("0x00000000000000000000000000000000000c0de0");
    let mut caller = Person::new("caller");
    let accounts = BTreeMap::from([
        (contract, AccountState { code, ..AccountState::default() }),
        (caller.address(), AccountState { balance: ether(1), ..AccountState::default() }),
    ]);
    let state = ForkedState::in_memory(RULES, accounts).unwrap();
    let tx = caller.call(contract, U256::ZERO, Bytes::new());
    let limits = Limits { bytes: 200_000, ..Limits::default() };
    let execution = Simulator::new(state).with_limits(limits).simulate(&tx, &[]).unwrap();
    assert!(execution.frames.len() > 10, "{} frames", execution.frames.len());
    assert!(execution.truncated);
    let kept: usize = execution.frames.iter().map(|frame| frame.input.len()).sum();
    assert!(kept < 200_000 + 4096 * execution.frames.len(), "{kept} bytes");
}

#[test]
fn transient_storage_and_self_destruct_are_seen() {
    // TSTORE(1, 7), TLOAD(1), SSTORE(2, 9), then SELFDESTRUCT to 0xbeef.
    let code: Bytes =
        "0x600760015d60015c5060096002556100beefff".replace("6100beef", "61beef").parse().unwrap();
    let contract = address!("0x00000000000000000000000000000000000c0de1");
    let mut caller = Person::new("caller");
    let accounts = BTreeMap::from([
        (
            contract,
            AccountState {
                code,
                balance: ether(3),
                storage: BTreeMap::from([(U256::from(2), U256::from(5))]),
                ..AccountState::default()
            },
        ),
        (caller.address(), AccountState { balance: ether(1), ..AccountState::default() }),
    ]);
    let state = ForkedState::in_memory(RULES, accounts).unwrap();
    let tx = caller.call(contract, U256::ZERO, Bytes::new());
    let execution = Simulator::new(state).simulate(&tx, &[]).unwrap();
    assert_eq!(execution.status, Status::Success);
    let accesses: Vec<_> = execution
        .accesses
        .iter()
        .map(|access| {
            (
                access.slot.to::<u64>(),
                access.before.to::<u64>(),
                access.after.map(|after| after.to::<u64>()),
                access.transient,
            )
        })
        .collect();
    assert_eq!(accesses, [(1, 0, Some(7), true), (1, 7, None, true), (2, 5, Some(9), false)]);
    assert_eq!(execution.destroyed, [contract]);
    let heir = address!("0x000000000000000000000000000000000000beef");
    assert_eq!(change(&execution, heir), (U256::ZERO, ether(3)));
    assert!(
        execution.ether.iter().any(|step| step.from == contract && step.to == heir && step.kept)
    );
}

#[test]
fn raw_bytes_decode_to_the_same_transaction_or_say_why_not() {
    let mut someone = Person::new("someone");
    let tx = someone.call(Address::ZERO, U256::from(1), Bytes::new());
    let decoded = decode_raw(&tx.raw()).unwrap();
    assert_eq!((decoded.hash, decoded.sender), (tx.hash, someone.address()));
    assert_eq!(decoded.hash, keccak256(tx.raw()));

    let mut cut = tx.raw().to_vec();
    cut.truncate(40);
    assert_eq!(decode_raw(&cut).unwrap_err().kind(), "undecodable");
    assert_eq!(
        decode_raw(&[tx.raw().to_vec(), vec![0]].concat()).unwrap_err().kind(),
        "undecodable"
    );
    assert_eq!(decode_raw(&[0x7e, 1, 2]).unwrap_err().kind(), "undecodable");
    assert_eq!(decode_raw(&[]).unwrap_err().kind(), "undecodable");
    assert_eq!(decode_raw(&vec![0; 3 << 20]).unwrap_err().kind(), "too_long");
    assert_ne!(tx.hash, B256::ZERO);
}
