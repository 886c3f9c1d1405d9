//! Thousands of mixed transactions in full blocks on a real node: every status, every gas figure, every log and a
//! sample of the slots that were written must be what the node says.
//!
//! The everyday run takes a few hundred. All of them: `cargo test -p portcullis-watcher --test exactness -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "this test needs a part of it")]
mod node;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    consensus::{
        SignableTransaction as _, Signed, TxEip2930, TxEip4844, TxEip4844Variant,
        TxEip4844WithSidecar, TxEip7702, TxEnvelope, TxLegacy,
    },
    eips::{
        eip2718::Encodable2718 as _,
        eip2930::{AccessList, AccessListItem},
        eip4844::{Blob, BlobTransactionSidecar, Bytes48},
        eip7594::BlobTransactionSidecarVariant,
        eip7702::Authorization,
    },
    primitives::{Address, B256, Bytes, TxKind, U256, b256, hex, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall as _, SolValue as _},
};
use futures_util::future::join_all;
use portcullis_watcher::{
    simulate::{
        Simulator,
        execution::{Execution, Status},
    },
    source::PendingTransaction,
    state::{AdvanceReport, ChainRules, ForkedState, Hardfork, HardforkSchedule, RpcBackend},
};
use serde_json::{Value, json};

use node::{Anvil, CHAIN_ID, ETHER, Person, Stream, artifact};

sol! {
    function deposit() external payable;
    function withdraw(uint256 amount) external;
    function withdrawAll() external;
    function roundTrip(address vault, uint256 amount) external payable;
    function transfer(address to, uint256 amount) external returns (bool);
    function approve(address spender, uint256 amount) external returns (bool);
}

const RULES: ChainRules = ChainRules {
    chain_id: CHAIN_ID,
    hardforks: HardforkSchedule::always(Hardfork::Prague),
    block_time_s: 1,
};
/// Transactions of one block.
const IN_BLOCK: usize = 20;
/// Slots of each block that are compared with the node's.
const SLOTS: usize = 4;
/// Longer than this no run may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Writes `calldata[2]` into `calldata[1]` slots from slot `calldata[0]` on, and logs it.
const FILLER: [u8; 36] = hex!(
    "5f35 602035 5b 8015 6019 57 60019003 604035 81 83 01 55 600556 5b 6040355f52 60205fa0 00"
);
/// Gives what it holds to whoever calls it, and ends.
const ENDS: [u8; 2] = hex!("33ff");
/// Creates what the calldata says, at an address that depends on the block, and returns that.
const MAKER: [u8; 15] = hex!("36 5f 5f 37 43 36 5f 5f f5 5f 52 6020 5f f3");
/// Of a blob that is all zero: its commitment and its proof are the point at infinity.
const ZERO_BLOB: B256 = b256!("0x010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014");

/// Init code that returns `runtime`.
fn init(runtime: &[u8]) -> Vec<u8> {
    let length = u8::try_from(runtime.len()).unwrap();
    [&[0x60, length, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3], runtime].concat()
}

/// A small generator with a fixed seed: the same transactions each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A transaction, how it is sent, and what it is.
struct Step {
    tx: Arc<PendingTransaction>,
    raw: Bytes,
    kind: &'static str,
}

/// Contracts that stand, and accounts that send.
struct World {
    people: Vec<Person>,
    vault: Address,
    token: Address,
    reenterer: Address,
    filler: Address,
    ends: Address,
    maker: Address,
    /// Sign authorisations and never send anything.
    delegates: Vec<(PrivateKeySigner, u64)>,
}

fn signer(name: &str, number: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(format!("exactness {name} {number}"))).unwrap()
}

impl World {
    /// Transactions that set everything up, for one block.
    fn set_up() -> (Self, Vec<Step>) {
        let mut admin = Person::number(0);
        let people: Vec<Person> =
            (0..8).map(|number| Person { signer: signer("sender", number), nonce: 0 }).collect();
        let at = |nonce| Person::number(0).address().create(nonce);
        let codes = [
            [artifact("Vault"), admin.address().abi_encode()].concat(),
            [artifact("Token"), U256::from(1_000_000).abi_encode()].concat(),
            artifact("HarmlessReenter"),
            init(&FILLER),
            init(&ENDS),
            init(&MAKER),
        ];
        let mut steps: Vec<Step> = codes
            .into_iter()
            .map(|code| Step::of("set up", admin.sign(TxKind::Create, 0, code.into())))
            .collect();
        for person in &people {
            let to = TxKind::Call(person.address());
            steps.push(Step::of("set up", admin.sign(to, 1_000 * ETHER, Bytes::new())));
        }
        let delegates: Vec<_> = (0..4).map(|number| (signer("delegate", number), 0)).collect();
        // They exist from the start: of an account that was touched and stayed empty, anvil thinks that it exists, and
        // gives back gas that the protocol does not (EIP-161, EIP-7702).
        for (delegate, _) in &delegates {
            let to = TxKind::Call(delegate.address());
            steps.push(Step::of("set up", admin.sign(to, ETHER, Bytes::new())));
        }
        let [vault, token, reenterer, filler, ends, maker] = [0, 1, 2, 3, 4, 5].map(at);
        let world = Self { people, vault, token, reenterer, filler, ends, maker, delegates };
        (world, steps)
    }

    /// One transaction of any kind.
    fn step(&mut self, dice: &mut Dice) -> Step {
        let Self { vault, token, reenterer, filler, ends, maker, .. } = *self;
        let who = dice.roll(self.people.len() as u64) as usize;
        let other = self.people[(who + 1) % self.people.len()].address();
        let person = &mut self.people[who];
        let some = u128::from(dice.roll(40)) * ETHER / 100;
        let word = |value: u64| U256::from(value).to_be_bytes_vec();
        let fill = |start: u64, n: u64, value: u64| [word(start), word(n), word(value)].concat();
        let call = TxKind::Call;
        let list = |key: u64| {
            AccessList(vec![AccessListItem {
                address: filler,
                storage_keys: (key..key + 3).map(|key| U256::from(key).into()).collect(),
            }])
        };
        let (gas_limit, gas_price) = (400_000, 5_000_000_000_u128);
        let (kind, tx) = match dice.roll(18) {
            0 => ("ether", person.sign(call(other), some, Bytes::new())),
            1 => {
                let fresh = Address::from_word(U256::from(dice.roll(1 << 40)).into());
                ("ether to nobody yet", person.sign(call(fresh), some, Bytes::new()))
            }
            2 => ("deposit", person.sign(call(vault), some, depositCall {}.abi_encode().into())),
            3 => {
                let data = withdrawCall { amount: U256::from(some) }.abi_encode();
                ("withdrawal that may revert", person.sign(call(vault), 0, data.into()))
            }
            4 => {
                let data = withdrawAllCall {}.abi_encode();
                ("withdrawal of all", person.sign(call(vault), 0, data.into()))
            }
            5 => {
                let data =
                    transferCall { to: other, amount: U256::from(dice.roll(3)) }.abi_encode();
                ("token transfer", person.sign(call(token), 0, data.into()))
            }
            6 => {
                let data = approveCall { spender: vault, amount: U256::from(some) }.abi_encode();
                ("approval", person.sign(call(token), 0, data.into()))
            }
            7 => {
                let data = roundTripCall { vault, amount: U256::from(some) }.abi_encode();
                ("re-entrance", person.sign(call(reenterer), some, data.into()))
            }
            8 => ("unknown function", person.sign(call(vault), some, vec![1, 2, 3].into())),
            9 => {
                let (start, n) = (dice.roll(500), 1 + dice.roll(60));
                let data = fill(start, n, dice.roll(3));
                ("many slots", person.sign(call(filler), 0, data.into()))
            }
            10 => ("creation", person.sign(TxKind::Create, some, init(&FILLER).into())),
            11 => ("creation that ends", person.sign(TxKind::Create, some, ENDS.to_vec().into())),
            12 => {
                // PUSH0 PUSH0 REVERT.
                let code = hex!("5f5ffd").to_vec();
                ("creation that reverts", person.sign(TxKind::Create, 0, code.into()))
            }
            13 => ("end of a contract", person.sign(call(ends), some, Bytes::new())),
            14 => {
                let code = init(if dice.roll(2) == 0 { &FILLER } else { &ENDS });
                ("creation by a contract", person.sign(call(maker), 0, code.into()))
            }
            15 => {
                let (start, n) = (dice.roll(500), 1 + dice.roll(8));
                let tx = TxEip2930 {
                    chain_id: CHAIN_ID,
                    nonce: person.nonce,
                    gas_price,
                    gas_limit,
                    to: call(filler),
                    value: U256::ZERO,
                    access_list: list(start),
                    input: fill(start, n, dice.roll(3)).into(),
                };
                person.nonce += 1;
                ("access list", person.seal(tx))
            }
            16 => {
                // Gas that does not reach far.
                let tx = TxLegacy {
                    chain_id: Some(CHAIN_ID),
                    nonce: person.nonce,
                    gas_price,
                    gas_limit: 45_000 + dice.roll(30_000),
                    to: call(filler),
                    value: U256::ZERO,
                    input: fill(dice.roll(500), 20, 1 + dice.roll(3)).into(),
                };
                person.nonce += 1;
                ("out of gas", person.seal(tx))
            }
            _ if dice.roll(2) == 0 => {
                let place = dice.roll(self.delegates.len() as u64) as usize;
                let (delegate, nonce) = &mut self.delegates[place];
                let to = delegate.address();
                // Now and then one that does not count, because its nonce is wrong.
                let is_sound = dice.roll(4) > 0;
                let authorization = Authorization {
                    chain_id: U256::from(CHAIN_ID),
                    address: if dice.roll(5) == 0 { Address::ZERO } else { filler },
                    nonce: if is_sound { *nonce } else { *nonce + 7 },
                };
                *nonce += u64::from(is_sound);
                let signature = delegate.sign_hash_sync(&authorization.signature_hash()).unwrap();
                let tx = TxEip7702 {
                    chain_id: CHAIN_ID,
                    nonce: person.nonce,
                    gas_limit,
                    max_fee_per_gas: gas_price,
                    max_priority_fee_per_gas: 1_000_000_000,
                    to,
                    value: U256::from(some / 1_000),
                    access_list: list(0),
                    authorization_list: vec![authorization.into_signed(signature)],
                    input: fill(dice.roll(20), 1 + dice.roll(4), dice.roll(3)).into(),
                };
                person.nonce += 1;
                ("delegated code", person.seal(tx))
            }
            _ => return blob(person, other, some),
        };
        Step::of(kind, tx)
    }
}

impl Step {
    fn of(kind: &'static str, tx: Arc<PendingTransaction>) -> Self {
        Self { raw: tx.raw(), tx, kind }
    }
}

/// A transaction with a blob, which is sent with it and is no part of it.
fn blob(person: &mut Person, to: Address, value: u128) -> Step {
    let infinity = {
        let mut point = [0; 48];
        point[0] = 0xc0;
        Bytes48::from(point)
    };
    let tx = TxEip4844 {
        chain_id: CHAIN_ID,
        nonce: person.nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 5_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to,
        value: U256::from(value),
        access_list: Default::default(),
        blob_versioned_hashes: vec![ZERO_BLOB],
        max_fee_per_blob_gas: 10_000_000_000,
        input: Bytes::new(),
    };
    person.nonce += 1;
    let signature = person.signer.sign_hash_sync(&tx.signature_hash()).unwrap();
    let sidecar = BlobTransactionSidecar {
        blobs: vec![Blob::default()],
        commitments: vec![infinity],
        proofs: vec![infinity],
    };
    let sidecar = BlobTransactionSidecarVariant::Eip4844(sidecar);
    let whole = TxEip4844Variant::TxEip4844WithSidecar(TxEip4844WithSidecar::from_tx_and_sidecar(
        tx, sidecar,
    ));
    let envelope = TxEnvelope::Eip4844(Signed::new_unhashed(whole, signature));
    let raw = envelope.encoded_2718().into();
    let tx = PendingTransaction::from_envelope(envelope, 0, "test".into()).unwrap();
    Step { tx: Arc::new(tx), raw, kind: "blob" }
}

/// Status, gas used and logs.
type Ending = (bool, u64, Vec<(Address, Vec<B256>, Bytes)>);

fn of_receipt(receipt: &Value) -> Ending {
    let logs = receipt["logs"].as_array().unwrap().iter().map(|log| {
        let part = |name: &str| log[name].clone();
        (
            serde_json::from_value(part("address")).unwrap(),
            serde_json::from_value(part("topics")).unwrap(),
            serde_json::from_value(part("data")).unwrap(),
        )
    });
    let gas = receipt["gasUsed"].as_str().unwrap();
    (receipt["status"] == "0x1", u64::from_str_radix(&gas[2..], 16).unwrap(), logs.collect())
}

fn of_execution(execution: &Execution) -> Ending {
    let logs = execution.logs.iter().filter(|log| log.kept);
    (
        execution.status == Status::Success,
        execution.gas_used,
        logs.map(|log| (log.address, log.topics.clone(), log.data.clone())).collect(),
    )
}

/// Runs `wanted` transactions in blocks, compares all of them, and says what they were.
async fn run(wanted: usize) -> String {
    let began = Instant::now();
    let anvil = Anvil::start(0);
    let mut stream = Stream::open(anvil.port, CHAIN_ID);
    let state = ForkedState::new(RULES, Arc::new(RpcBackend::new([stream.link.clone()])));
    let first = stream.head().await;
    state.advance(&first).unwrap();
    let simulator = Simulator::new(Arc::clone(&state));

    let (mut world, mut block) = World::set_up();
    let mut dice = Dice(11);
    let mut counted: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let (mut compared, mut slots_compared, mut blocks) = (0, 0, 0);
    while compared < wanted {
        // All at once: one after the other would wait for the node's acknowledgements most of the time.
        let sent = block.iter().map(|step| stream.ask("eth_sendRawTransaction", json!([step.raw])));
        join_all(sent).await;
        stream.mine().await;
        let told = stream.head().await;
        assert_eq!(
            told.transactions.len(),
            block.len(),
            "all of them are in block {}",
            told.number
        );
        let (moving, simulator) = (Arc::clone(&told), simulator.clone());
        let (report, executions) = tokio::task::spawn_blocking(move || {
            let mut executions = BTreeMap::new();
            let report = simulator.advance(
                &moving,
                |_| true,
                |tx, execution| {
                    executions.insert(tx.hash, execution);
                },
            );
            (report.unwrap(), executions)
        })
        .await
        .unwrap();
        assert_eq!(report, AdvanceReport::Exact { transactions: block.len() });

        let number = format!("{:#x}", told.number);
        let receipts = stream.ask("eth_getBlockReceipts", json!([number])).await;
        let receipts: BTreeMap<B256, &Value> = receipts
            .as_array()
            .unwrap()
            .iter()
            .map(|receipt| {
                (serde_json::from_value(receipt["transactionHash"].clone()).unwrap(), receipt)
            })
            .collect();
        let mut written = BTreeSet::new();
        for step in &block {
            let (ours, theirs) =
                (of_execution(&executions[&step.tx.hash]), of_receipt(receipts[&step.tx.hash]));
            assert_eq!(ours, theirs, "{} {}", step.kind, step.tx.hash);
            let (n, failed) = counted.entry(step.kind).or_default();
            *n += 1;
            *failed += usize::from(!ours.0);
            written.extend(
                executions[&step.tx.hash]
                    .accesses
                    .iter()
                    .filter(|access| access.after.is_some() && !access.transient)
                    .map(|access| (access.address, access.slot)),
            );
        }
        let every = written.len().div_ceil(SLOTS).max(1);
        let sample: Vec<_> = written.into_iter().step_by(every).collect();
        let asked = sample
            .iter()
            .map(|(address, slot)| stream.ask("eth_getStorageAt", json!([address, slot, number])));
        for ((address, slot), word) in sample.iter().copied().zip(join_all(asked).await) {
            let theirs = U256::from_be_bytes(serde_json::from_value::<B256>(word).unwrap().0);
            let state = Arc::clone(&state);
            let ours = tokio::task::spawn_blocking(move || {
                state.view().unwrap().storage(address, slot).unwrap()
            });
            assert_eq!(ours.await.unwrap(), theirs, "slot {slot:#x} of {address}");
            slots_compared += 1;
        }
        compared += block.len();
        blocks += 1;
        assert!(began.elapsed() < PATIENCE, "{compared} of {wanted} after {:?}", began.elapsed());
        block = (0..IN_BLOCK).map(|_| world.step(&mut dice)).collect();
    }
    let counts = state.counts();
    assert_eq!(
        (counts.emptied_mismatch, counts.emptied_not_runnable, counts.emptied_reorg),
        (0, 0, 0),
        "{counts:?}"
    );
    for kind in ["blob", "delegated code", "access list", "many slots", "creation by a contract"] {
        assert!(counted[kind].0 > 0, "no {kind}: {counted:?}");
    }
    for kind in ["withdrawal that may revert", "creation that reverts", "out of gas"] {
        assert!(counted[kind].1 > 0, "no {kind} failed: {counted:?}");
    }
    format!(
        "{compared} transactions in {blocks} blocks and {slots_compared} slots within {:?}; kind, how many, failed: \
         {counted:?}",
        began.elapsed()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_hundred_transactions_of_every_kind_run_exactly() {
    println!("{}", run(400).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes about a minute; see the head of this file"]
async fn two_thousand_transactions_of_every_kind_run_exactly() {
    println!("{}", run(2_000).await);
}
