//! How the state moves from head to head, and when it says that it cannot.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    primitives::{Address, B256, Bytes, TxKind, U256, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
};

use super::{
    AccountState, AdvanceReport, Backend, ChainRules, EmptiedBecause, ForkedState, Hardfork,
    HardforkSchedule, Head, Item, StateError, evm,
};
use crate::source::{BlockRecord, PendingTransaction, Withdrawal};

const RULES: ChainRules = ChainRules {
    chain_id: 31337,
    hardforks: HardforkSchedule::always(Hardfork::Prague),
    block_time_s: 12,
};
const RECEIVER: Address = Address::repeat_byte(0x42);

fn signer() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256("signer")).unwrap()
}

fn rich() -> AccountState {
    AccountState { balance: U256::from(10_u64.pow(18)), ..AccountState::default() }
}

fn transfer(nonce: u64) -> Arc<PendingTransaction> {
    let tx = TxEip1559 {
        chain_id: 31337,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 5_000_000_000,
        to: TxKind::Call(RECEIVER),
        value: U256::from(5),
        ..TxEip1559::default()
    };
    let signature = signer().sign_hash_sync(&tx.signature_hash()).unwrap();
    let envelope = TxEnvelope::from(tx.into_signed(signature));
    Arc::new(PendingTransaction::from_envelope(envelope, 0, "test".into()).unwrap())
}

/// A chain, and the block that comes next on it, mined on a twin.
fn chain_and_next_block() -> (Arc<ForkedState>, BlockRecord) {
    let accounts = [(signer().address(), rich())];
    let twin = ForkedState::in_memory(RULES, accounts.clone()).unwrap();
    let (block, _) = twin.mine(&[transfer(0)]).unwrap();
    (ForkedState::in_memory(RULES, accounts).unwrap(), block)
}

#[test]
fn a_block_that_runs_as_its_header_says_keeps_the_cache() {
    let (state, mut block) = chain_and_next_block();
    block.withdrawals = vec![Withdrawal { address: Address::repeat_byte(7), amount_gwei: 3 }];
    assert_eq!(state.advance(&block).unwrap(), AdvanceReport::Exact { transactions: 1 });
    assert_eq!(state.advance(&block).unwrap(), AdvanceReport::Known);
    let view = state.view().unwrap();
    assert_eq!(view.head(), &Head::from(&block));
    assert_eq!(view.balance_wei(RECEIVER).unwrap(), U256::from(5));
    assert_eq!(view.nonce(signer().address()).unwrap(), 1);
    assert_eq!(view.balance_wei(Address::repeat_byte(7)).unwrap(), U256::from(3_000_000_000_u64));
}

#[test]
fn whatever_is_not_exact_empties_the_cache_and_is_counted() {
    type Spoil = fn(&mut BlockRecord);
    let cases: [(Spoil, EmptiedBecause); 5] = [
        (
            |block| block.receipts_root = Some(B256::repeat_byte(1)),
            EmptiedBecause::ReceiptsMismatch,
        ),
        (
            |block| block.gas_used = 20_999,
            EmptiedBecause::GasMismatch { computed: 21_000, header: 20_999 },
        ),
        (|block| block.parent_hash = B256::repeat_byte(1), EmptiedBecause::Reorg),
        (|block| block.undecoded = 1, EmptiedBecause::NotRunnable),
        (|block| block.transactions = vec![transfer(9)], EmptiedBecause::NotRunnable),
    ];
    for (spoil, because) in cases {
        let (state, mut block) = chain_and_next_block();
        spoil(&mut block);
        assert_eq!(state.advance(&block).unwrap(), AdvanceReport::Emptied(because));
        assert_eq!(state.head().unwrap().hash, block.hash);
        let counts = state.counts();
        assert_eq!((counts.accounts, counts.slots), (0, 0));
        assert_eq!(counts.emptied_mismatch + counts.emptied_reorg + counts.emptied_not_runnable, 1);
        // What is in memory alone cannot be had again, and is not made up.
        let missing = state.view().unwrap().balance_wei(RECEIVER).unwrap_err();
        assert!(matches!(
            missing,
            StateError::NotRecorded { what: Item::Account(RECEIVER), block: 1 }
        ));
    }
}

/// One contract with slots; counts how often it is asked.
#[derive(Debug, Default)]
struct Node {
    asked: AtomicUsize,
}

impl Backend for Node {
    fn account(&self, _at: &Head, address: Address) -> Result<Option<AccountState>, StateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok((address == signer().address()).then(rich))
    }

    fn storage(&self, at: &Head, address: Address, slot: U256) -> Result<U256, StateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if slot == U256::from(13) {
            let what = Item::Slot(address, slot);
            return Err(StateError::Fetch {
                what,
                block: at.number,
                reason: "the node is down".into(),
            });
        }
        Ok(slot + U256::from(1))
    }

    fn block_hash(&self, _at: &Head, _number: u64) -> Result<B256, StateError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(B256::repeat_byte(3))
    }
}

#[test]
fn what_was_fetched_is_not_fetched_again_and_follows_the_blocks() {
    let node = Arc::new(Node::default());
    let state = ForkedState::new(RULES, node.clone());
    assert!(matches!(state.view(), Err(StateError::NoHead)));

    let (_, block) = chain_and_next_block();
    let genesis =
        BlockRecord { hash: block.parent_hash, number: 0, transactions: vec![], ..block.clone() };
    assert_eq!(state.advance(&genesis).unwrap(), AdvanceReport::Emptied(EmptiedBecause::First));
    let who = signer().address();
    for _ in 0..3 {
        let view = state.view().unwrap();
        assert_eq!(view.balance_wei(who).unwrap(), rich().balance);
        assert_eq!(view.storage(who, U256::from(4)).unwrap(), U256::from(5));
        assert_eq!(view.balance_wei(RECEIVER).unwrap(), U256::ZERO);
        assert_eq!(view.storage(RECEIVER, U256::from(4)).unwrap(), U256::ZERO);
    }
    assert_eq!(node.asked.load(Ordering::Relaxed), 3);
    let down = state.view().unwrap().storage(who, U256::from(13)).unwrap_err();
    assert_eq!(
        down.to_string(),
        format!("cannot fetch slot 0xd of {who} at block 0: the node is down")
    );

    assert_eq!(state.advance(&block).unwrap(), AdvanceReport::Exact { transactions: 1 });
    let asked = node.asked.load(Ordering::Relaxed);
    let view = state.view().unwrap();
    assert_eq!(view.balance_wei(RECEIVER).unwrap(), U256::from(5));
    assert_eq!(view.nonce(who).unwrap(), 1);
    assert_eq!(view.storage(who, U256::from(4)).unwrap(), U256::from(5));
    assert_eq!(node.asked.load(Ordering::Relaxed), asked);
}

/// Counts in slot 0, and writes the count into the slot of that number.
const COUNTER: &[u8] = &[0x5f, 0x54, 0x60, 0x01, 0x01, 0x80, 0x80, 0x5f, 0x55, 0x55];

#[test]
fn a_reorg_is_taken_back_to_the_block_that_both_chains_stand_on() {
    let code = Bytes::from_static(COUNTER);
    let accounts = [
        (signer().address(), rich()),
        (RECEIVER, AccountState { code, ..AccountState::default() }),
    ];
    let chain = || ForkedState::in_memory(RULES, accounts.clone()).unwrap();
    let (state, orphaned, standing) = (chain(), chain(), chain());
    let (common, _) = orphaned.mine(&[transfer(0)]).unwrap();
    let (left, _) = orphaned.mine(&[transfer(1), transfer(2)]).unwrap();
    let (leaf, _) = orphaned.mine(&[transfer(3)]).unwrap();
    standing.advance(&common).unwrap();
    let (taken, _) = standing.mine(&[transfer(1)]).unwrap();
    let (newest, _) = standing.mine(&[transfer(2)]).unwrap();

    let exact = |transactions| AdvanceReport::Exact { transactions };
    let reports = [&common, &left, &leaf].map(|block| state.advance(block).unwrap());
    assert_eq!(reports, [exact(1), exact(2), exact(1)]);
    let slot = |state: &ForkedState, slot: u64| {
        state.view().unwrap().storage(RECEIVER, U256::from(slot)).unwrap()
    };
    assert_eq!([0, 4].map(|number| slot(&state, number)), [U256::from(4); 2]);

    let back = AdvanceReport::RolledBack { blocks: 2, transactions: 1 };
    assert_eq!(state.advance(&taken).unwrap(), back);
    assert_eq!(state.advance(&newest).unwrap(), exact(1));
    for number in 0..6 {
        assert_eq!(slot(&state, number), slot(&standing, number), "slot {number}");
    }
    let holdings = |state: &ForkedState| {
        let view = state.view().unwrap();
        [RECEIVER, signer().address()].map(|who| view.balance_wei(who).unwrap())
    };
    assert_eq!(holdings(&state), holdings(&standing));
    assert_eq!((state.counts().rolled_back, state.counts().emptied_reorg), (1, 0));
    assert_eq!(state.counts().slots, standing.counts().slots);

    // And once more: the first chain wins after all.
    let back = AdvanceReport::RolledBack { blocks: 2, transactions: 2 };
    assert_eq!(state.advance(&left).unwrap(), back);
    assert_eq!(state.advance(&leaf).unwrap(), exact(1));
    assert_eq!(holdings(&state), holdings(&orphaned));
}

#[test]
fn code_that_is_malformed_is_an_error() {
    // The prefix of a delegation without its address.
    let account =
        AccountState { code: Bytes::from_static(&[0xef, 0x01, 0x00]), ..AccountState::default() };
    let refused = ForkedState::in_memory(RULES, BTreeMap::from([(RECEIVER, account)])).unwrap_err();
    assert!(refused.to_string().contains("code is malformed"), "{refused}");
}

#[test]
fn each_block_runs_under_the_rules_of_its_height() {
    // PUSH0 PUSH0 SSTORE: an invalid opcode before Shanghai, EIP-3855.
    let code = Bytes::from_static(&[0x5f, 0x5f, 0x55]);
    let accounts = [
        (signer().address(), rich()),
        (RECEIVER, AccountState { code, ..AccountState::default() }),
    ];
    let hardforks = HardforkSchedule::new([(0, Hardfork::Paris), (2, Hardfork::Shanghai)]).unwrap();
    let rules = ChainRules { hardforks, ..RULES };
    let twin = ForkedState::in_memory(rules, accounts.clone()).unwrap();
    let (first, before) = twin.mine(&[transfer(0)]).unwrap();
    let (second, after) = twin.mine(&[transfer(1)]).unwrap();
    assert_eq!((before[0].is_success(), after[0].is_success()), (false, true));

    // Its blocks are exact under the same rules, and are not under those of one fork for all.
    let exact = AdvanceReport::Exact { transactions: 1 };
    let state = ForkedState::in_memory(rules, accounts.clone()).unwrap();
    assert_eq!([&first, &second].map(|block| state.advance(block).unwrap()), [exact, exact]);
    let rules = ChainRules { hardforks: HardforkSchedule::always(Hardfork::Shanghai), ..RULES };
    let newest_only = ForkedState::in_memory(rules, accounts).unwrap();
    assert!(matches!(newest_only.advance(&first).unwrap(), AdvanceReport::Emptied(_)));
}

#[test]
fn the_next_header_is_one_that_a_chain_could_have() {
    let (state, _) = chain_and_next_block();
    let head = Head { gas_used: 30_000_000, excess_blob_gas: 1_000_000, ..state.head().unwrap() };
    let next = evm::next_block(&RULES, &head);
    assert_eq!(next.number, U256::from(head.number + 1));
    assert_eq!(next.timestamp, U256::from(head.timestamp_s + 12));
    assert_eq!(next.basefee, head.base_fee_wei + head.base_fee_wei / 8);
    assert!(!next.beneficiary.is_zero());
    assert_ne!(next.prevrandao, Some(head.prev_randao));
    // The largest figures that a source lets through do not overflow.
    for (gas_limit, gas_used) in [(5_000, 5_000), (5_000, 0), (u64::MAX, u64::MAX), (u64::MAX, 0)] {
        let extreme = Head {
            excess_blob_gas: u64::MAX,
            blob_gas_used: u64::MAX,
            base_fee_wei: 1_000_000_000_000_000_000,
            gas_limit,
            gas_used,
            ..head.clone()
        };
        for hardfork in [Hardfork::Cancun, Hardfork::Prague, Hardfork::Osaka] {
            evm::next_block(
                &ChainRules { hardforks: HardforkSchedule::always(hardfork), ..RULES },
                &extreme,
            );
        }
    }
}
