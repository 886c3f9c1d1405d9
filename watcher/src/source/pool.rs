//! Which pending transactions wait for which: by sender, in nonce order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy::primitives::{Address, B256};

use super::{BlockRecord, PendingTransaction, recent::Recent};

/// Transactions of one sender that are kept.
const PER_SENDER: usize = 64;
/// Transactions of others with a contract still to be created that are run before one that calls it.
const OTHERS: usize = 16;

/// Hashes of mined transactions that are remembered.
const MINED_LIMIT: usize = 65_536;

/// The pending transactions that were seen and are not mined yet; bounded.
#[derive(Debug)]
pub struct Pool {
    senders: HashMap<Address, BTreeMap<u64, Arc<PendingTransaction>>>,
    /// Hashes in order of arrival, with a running number, for eviction of the oldest.
    arrivals: BTreeMap<u64, (Address, u64)>,
    numbers: HashMap<B256, u64>,
    /// Contracts that waiting transactions will create, with creator and nonce.
    creations: HashMap<Address, (Address, u64)>,
    next: u64,
    limit: usize,
    evicted: u64,
    /// Of the newest block, wei.
    base_fee_wei: u128,
    /// What was mined lately: a node may announce it late, and a block that replaces another may hold it again.
    mined: Recent<B256>,
}

/// What became of a transaction offered to a [`Pool`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offered {
    /// It waits now.
    New,
    /// It was there, or was mined lately.
    Known,
    /// It waits now instead of one with the same sender and nonce.
    Replaced(Arc<PendingTransaction>),
    /// One with the same sender and nonce that offers at least as much stays.
    Underpriced,
    /// Its sender has too many waiting.
    SenderFull,
}

impl Pool {
    /// A pool of at most `limit` transactions; the oldest leaves first.
    pub fn new(limit: usize) -> Self {
        Self {
            senders: HashMap::new(),
            arrivals: BTreeMap::new(),
            numbers: HashMap::new(),
            creations: HashMap::new(),
            next: 0,
            limit: limit.max(1),
            evicted: 0,
            base_fee_wei: 0,
            mined: Recent::default(),
        }
    }

    /// Takes a pending transaction in.
    pub fn insert(&mut self, tx: Arc<PendingTransaction>) -> Offered {
        if self.numbers.contains_key(&tx.hash) || self.mined.contains(&tx.hash) {
            return Offered::Known;
        }
        let waiting = self.senders.entry(tx.sender).or_default();
        let replaced = match waiting.get(&tx.nonce()) {
            Some(before) if fees(before) >= fees(&tx) => return Offered::Underpriced,
            Some(before) => Some(Arc::clone(before)),
            None if waiting.len() >= PER_SENDER => return Offered::SenderFull,
            None => None,
        };
        waiting.insert(tx.nonce(), Arc::clone(&tx));
        let creation = tx.sender.create(tx.nonce());
        if tx.to().is_none() {
            self.creations.insert(creation, (tx.sender, tx.nonce()));
        } else if replaced.is_some() {
            self.creations.remove(&creation);
        }
        if let Some(number) = replaced.as_ref().and_then(|before| self.numbers.remove(&before.hash))
        {
            self.arrivals.remove(&number);
        }
        self.arrivals.insert(self.next, (tx.sender, tx.nonce()));
        self.numbers.insert(tx.hash, self.next);
        self.next += 1;
        while self.numbers.len() > self.limit
            && let Some((_, (sender, nonce))) = self.arrivals.pop_first()
        {
            self.evicted += 1;
            self.forget(sender, nonce);
        }
        replaced.map_or(Offered::New, Offered::Replaced)
    }

    /// What `tx` may depend on, in the order in which it must run.
    ///
    /// That is the same sender's transactions with smaller nonces; and where `tx` calls a contract that is itself
    /// still to be created, by whomever, its creation and what others do with it, in the order in which a builder would
    /// take them: by what is left for it above the base fee. `next_nonce` is
    /// the sender's nonce at the head; what stands below it is mined.
    pub fn predecessors(
        &self,
        tx: &PendingTransaction,
        next_nonce: u64,
    ) -> Vec<Arc<PendingTransaction>> {
        let mut before = Vec::new();
        if let Some(contract) = tx.to()
            && let Some((creator, nonce)) = self.creations.get(&contract)
            && *creator != tx.sender
        {
            before.extend(self.range(*creator, 0, nonce.saturating_add(1)));
            let mut others: Vec<_> = self
                .arrivals
                .values()
                .filter(|(sender, _)| *sender != tx.sender)
                .filter_map(|(sender, nonce)| self.senders.get(sender)?.get(nonce))
                .filter(|other| other.to() == Some(contract))
                .filter(|other| !before.iter().any(|there| there.hash == other.hash))
                .cloned()
                .collect();
            others.sort_by_key(|other| std::cmp::Reverse(self.effective_tip_wei(other)));
            others.truncate(OTHERS);
            before.extend(others);
        }
        before.extend(self.range(tx.sender, next_nonce, tx.nonce()));
        before
    }

    fn range(
        &self,
        sender: Address,
        from: u64,
        to: u64,
    ) -> impl Iterator<Item = Arc<PendingTransaction>> + '_ {
        let waiting = self.senders.get(&sender).filter(|_| from < to);
        waiting
            .into_iter()
            .flat_map(move |waiting| waiting.range(from..to))
            .map(|(_, tx)| Arc::clone(tx))
    }

    /// A transaction that waits.
    pub fn get(&self, hash: &B256) -> Option<&Arc<PendingTransaction>> {
        let (sender, nonce) = self.arrivals.get(self.numbers.get(hash)?)?;
        self.senders.get(sender)?.get(nonce)
    }

    /// Lets go of what a block mined, and of what can no longer be mined because its nonce is used.
    pub fn mined(&mut self, block: &BlockRecord) {
        self.base_fee_wei = block.base_fee_wei.into();
        for tx in &block.transactions {
            self.mined.insert(tx.hash, MINED_LIMIT);
            let Some(waiting) = self.senders.get(&tx.sender) else { continue };
            let used: Vec<u64> = waiting.range(..=tx.nonce()).map(|(nonce, _)| *nonce).collect();
            for nonce in used {
                self.forget(tx.sender, nonce);
            }
        }
    }

    /// What a transaction leaves for the builder, wei per gas, on top of the newest block.
    fn effective_tip_wei(&self, tx: &PendingTransaction) -> u128 {
        let spare = tx.max_fee_per_gas_wei().saturating_sub(self.base_fee_wei);
        tx.max_priority_fee_per_gas_wei().min(spare)
    }

    /// Transactions that wait.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// None wait.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Transactions that left because there was no room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn forget(&mut self, sender: Address, nonce: u64) {
        let Some(waiting) = self.senders.get_mut(&sender) else { return };
        if let Some(tx) = waiting.remove(&nonce)
            && let Some(number) = self.numbers.remove(&tx.hash)
        {
            self.arrivals.remove(&number);
            self.creations.remove(&sender.create(nonce));
        }
        if waiting.is_empty() {
            self.senders.remove(&sender);
        }
    }
}

fn fees(tx: &PendingTransaction) -> (u128, u128) {
    (tx.max_fee_per_gas_wei(), tx.max_priority_fee_per_gas_wei())
}

#[cfg(test)]
mod tests {
    use alloy::{
        consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
        primitives::{TxKind, keccak256},
        signers::{SignerSync as _, local::PrivateKeySigner},
    };

    use super::*;

    fn tx(sender: u8, nonce: u64, max_fee_per_gas: u128) -> Arc<PendingTransaction> {
        to(TxKind::Call(Address::ZERO), sender, nonce, max_fee_per_gas)
    }

    fn to(to: TxKind, sender: u8, nonce: u64, max_fee_per_gas: u128) -> Arc<PendingTransaction> {
        with_tip(to, sender, nonce, (max_fee_per_gas, max_fee_per_gas))
    }

    fn with_tip(
        to: TxKind,
        sender: u8,
        nonce: u64,
        (max_fee_per_gas, max_priority_fee_per_gas): (u128, u128),
    ) -> Arc<PendingTransaction> {
        let signer = PrivateKeySigner::from_bytes(&keccak256([sender])).unwrap();
        let tx = TxEip1559 {
            chain_id: 1,
            nonce,
            to,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            gas_limit: 21_000,
            ..TxEip1559::default()
        };
        let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
        let envelope = TxEnvelope::from(tx.into_signed(signature));
        Arc::new(PendingTransaction::from_envelope(envelope, 0, "test".into()).unwrap())
    }

    fn block(transactions: Vec<Arc<PendingTransaction>>) -> BlockRecord {
        BlockRecord {
            number: 1,
            hash: B256::ZERO,
            parent_hash: B256::ZERO,
            timestamp_s: 0,
            base_fee_wei: 0,
            gas_limit: 1,
            gas_used: 0,
            coinbase: Address::ZERO,
            prev_randao: B256::ZERO,
            receipts_root: None,
            excess_blob_gas: None,
            blob_gas_used: None,
            parent_beacon_block_root: None,
            withdrawals: vec![],
            transactions,
            undecoded: 0,
            seen_at_ms: 0,
        }
    }

    #[test]
    fn predecessors_are_the_senders_earlier_nonces_that_are_not_mined() {
        let mut pool = Pool::new(10);
        for nonce in [3, 1, 2, 0] {
            assert_eq!(pool.insert(tx(1, nonce, 5)), Offered::New);
        }
        pool.insert(tx(2, 0, 5));
        let strike = tx(1, 3, 5);
        let nonces = |next| -> Vec<u64> {
            pool.predecessors(&strike, next).iter().map(|tx| tx.nonce()).collect()
        };
        assert_eq!(nonces(0), [0, 1, 2]);
        assert_eq!(nonces(2), [2]);
        assert_eq!(nonces(3), [0_u64; 0]);
        assert_eq!(nonces(9), [0_u64; 0]);
    }

    #[test]
    fn a_contract_still_to_be_created_brings_its_creation_and_what_others_do_with_it() {
        let mut pool = Pool::new(10);
        let fund = tx(1, 0, 5);
        let deploy = to(TxKind::Create, 1, 1, 5);
        let weapon = deploy.sender.create(1);
        let arm = |sender, fee| to(TxKind::Call(weapon), sender, 0, fee);
        let strike = to(TxKind::Call(weapon), 4, 1, 5);
        let prepare = tx(4, 0, 5);
        for tx in [&strike, &prepare, &arm(2, 6), &tx(5, 0, 9), &arm(3, 7), &deploy, &fund] {
            assert_eq!(pool.insert(Arc::clone(tx)), Offered::New);
        }
        let hashes = |before: Vec<Arc<PendingTransaction>>| {
            before.iter().map(|tx| tx.hash).collect::<Vec<_>>()
        };
        let expected = [&fund, &deploy, &arm(3, 7), &arm(2, 6), &prepare].map(|tx| tx.hash);
        assert_eq!(hashes(pool.predecessors(&strike, 0)), expected);

        // The creation was replaced by something else: there is no such contract any more.
        pool.insert(tx(1, 1, 9));
        assert_eq!(hashes(pool.predecessors(&strike, 0)), [prepare.hash]);
    }

    #[test]
    fn others_come_in_the_order_of_what_is_left_above_the_base_fee() {
        let mut pool = Pool::new(10);
        let deploy = to(TxKind::Create, 1, 0, 5);
        let weapon = deploy.sender.create(0);
        let strike = to(TxKind::Call(weapon), 4, 0, 5);
        // The one that offers most per gas tips least; of the other two, the base fee takes most of one's tip.
        let proud = with_tip(TxKind::Call(weapon), 2, 0, (100, 1));
        let capped = with_tip(TxKind::Call(weapon), 3, 0, (12, 9));
        let generous = with_tip(TxKind::Call(weapon), 5, 0, (50, 8));
        for tx in [&deploy, &strike, &proud, &capped, &generous] {
            assert_eq!(pool.insert(Arc::clone(tx)), Offered::New);
        }
        pool.mined(&BlockRecord { base_fee_wei: 10, ..block(Vec::new()) });
        let order: Vec<_> = pool.predecessors(&strike, 0).iter().map(|tx| tx.hash).collect();
        assert_eq!(order, [&deploy, &generous, &capped, &proud].map(|tx| tx.hash));
    }

    #[test]
    fn a_better_offer_replaces_and_a_worse_one_does_not() {
        let mut pool = Pool::new(10);
        let (first, better, worse) = (tx(1, 0, 5), tx(1, 0, 6), tx(1, 0, 4));
        pool.insert(Arc::clone(&first));
        assert_eq!(pool.insert(Arc::clone(&first)), Offered::Known);
        assert_eq!(pool.insert(worse), Offered::Underpriced);
        assert_eq!(pool.insert(Arc::clone(&better)), Offered::Replaced(Arc::clone(&first)));
        assert_eq!(pool.len(), 1);
        assert_eq!(pool.get(&first.hash), None);
        assert_eq!(pool.get(&better.hash), Some(&better));
    }

    #[test]
    fn a_block_takes_its_transactions_and_those_it_made_impossible() {
        let mut pool = Pool::new(10);
        for nonce in 0..3 {
            pool.insert(tx(1, nonce, 5));
        }
        // Another transaction with nonce 1 was mined than the one that was seen.
        let block = block(vec![tx(1, 1, 9)]);
        pool.mined(&block);
        assert_eq!(pool.len(), 1);
        assert!(pool.get(&tx(1, 2, 5).hash).is_some());
    }

    #[test]
    fn the_oldest_leaves_a_full_pool_and_no_sender_fills_it_alone() {
        let mut pool = Pool::new(2);
        for sender in 1..=3 {
            pool.insert(tx(sender, 0, 5));
        }
        assert_eq!((pool.len(), pool.evicted()), (2, 1));
        assert!(pool.get(&tx(1, 0, 5).hash).is_none());

        let mut pool = Pool::new(1000);
        for nonce in 0..PER_SENDER as u64 {
            pool.insert(tx(1, nonce, 5));
        }
        assert_eq!(pool.insert(tx(1, 999, 5)), Offered::SenderFull);
    }
}
