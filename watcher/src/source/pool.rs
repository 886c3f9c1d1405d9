//! Which pending transactions wait for which: by sender, in nonce order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy::primitives::{Address, B256};

use super::{BlockRecord, PendingTransaction};

/// Transactions of one sender that are kept.
const PER_SENDER: usize = 64;

/// The pending transactions that were seen and are not mined yet; bounded.
#[derive(Debug)]
pub struct Pool {
    senders: HashMap<Address, BTreeMap<u64, Arc<PendingTransaction>>>,
    /// Hashes in order of arrival, with a running number, for eviction of the oldest.
    arrivals: BTreeMap<u64, (Address, u64)>,
    numbers: HashMap<B256, u64>,
    next: u64,
    limit: usize,
    evicted: u64,
}

/// What became of a transaction offered to a [`Pool`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offered {
    /// It waits now.
    New,
    /// It was there.
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
            next: 0,
            limit: limit.max(1),
            evicted: 0,
        }
    }

    /// Takes a pending transaction in.
    pub fn insert(&mut self, tx: Arc<PendingTransaction>) -> Offered {
        if self.numbers.contains_key(&tx.hash) {
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

    /// The same sender's transactions with smaller nonces, in nonce order: what must run before `tx`.
    ///
    /// `next_nonce` is the sender's nonce at the head; what stands below it is mined.
    pub fn predecessors(
        &self,
        tx: &PendingTransaction,
        next_nonce: u64,
    ) -> Vec<Arc<PendingTransaction>> {
        let Some(waiting) = self.senders.get(&tx.sender) else { return Vec::new() };
        if next_nonce >= tx.nonce() {
            return Vec::new();
        }
        waiting.range(next_nonce..tx.nonce()).map(|(_, before)| Arc::clone(before)).collect()
    }

    /// A transaction that waits.
    pub fn get(&self, hash: &B256) -> Option<&Arc<PendingTransaction>> {
        let (sender, nonce) = self.arrivals.get(self.numbers.get(hash)?)?;
        self.senders.get(sender)?.get(nonce)
    }

    /// Lets go of what a block mined, and of what can no longer be mined because its nonce is used.
    pub fn mined(&mut self, block: &BlockRecord) {
        for tx in &block.transactions {
            let Some(waiting) = self.senders.get(&tx.sender) else { continue };
            let used: Vec<u64> = waiting.range(..=tx.nonce()).map(|(nonce, _)| *nonce).collect();
            for nonce in used {
                self.forget(tx.sender, nonce);
            }
        }
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
        primitives::keccak256,
        signers::{SignerSync as _, local::PrivateKeySigner},
    };

    use super::*;

    fn tx(sender: u8, nonce: u64, max_fee_per_gas: u128) -> Arc<PendingTransaction> {
        let signer = PrivateKeySigner::from_bytes(&keccak256([sender])).unwrap();
        let tx = TxEip1559 {
            chain_id: 1,
            nonce,
            max_fee_per_gas,
            gas_limit: 21_000,
            ..TxEip1559::default()
        };
        let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
        let envelope = TxEnvelope::from(tx.into_signed(signature));
        Arc::new(PendingTransaction::from_envelope(envelope, 0, "test".into()).unwrap())
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
        let block = BlockRecord {
            number: 1,
            hash: B256::ZERO,
            parent_hash: B256::ZERO,
            timestamp_s: 0,
            base_fee_wei: 0,
            gas_limit: 1,
            gas_used: 0,
            coinbase: Address::ZERO,
            prev_randao: B256::ZERO,
            excess_blob_gas: None,
            blob_gas_used: None,
            parent_beacon_block_root: None,
            withdrawals: vec![],
            transactions: vec![tx(1, 1, 9)],
            undecoded: 0,
            seen_at_ms: 0,
        };
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
