//! What the last blocks did to protected protocols: the past that windows look at.
//!
//! Only what was mined counts, and of what is pending only what must be mined first. A block that was not seen, or
//! that could not be run, leaves a gap: windows that reach over it are floors, not sums.

use std::collections::{BTreeMap, VecDeque};

use alloy::primitives::{Address, B256, U256};
use portcullis_rules::{
    Value,
    question::{Fold, Per, Window},
};
use serde::{Deserialize, Serialize};

use super::Judged;
use crate::{
    facts::{Observation, Protected, shared},
    source::BlockRecord,
};

/// Contributions kept, of all blocks together.
const MAX_CONTRIBUTIONS: usize = 100_000;
/// Pending transactions whose contribution is remembered.
const MAX_PENDING: usize = 20_000;
/// First payers remembered.
const MAX_FUNDED: usize = 100_000;
/// Blocks kept where no rule asks for more, so that a rule that is loaded later finds a past.
const MIN_BLOCKS: u64 = 300;

/// What one transaction adds to windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// Hash.
    pub tx_hash: B256,
    /// Sender.
    pub sender: Address,
    /// Sender, contracts created here, and the contract called first unless it is protected; sorted.
    pub actor: Vec<Address>,
    /// Names of the protocols that are touched.
    pub protocols: Vec<String>,
    /// Facts that are amounts and not zero, or true (as 1), by name. A fact that is unknown stands here as none.
    pub facts: BTreeMap<String, Option<U256>>,
}

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Hash of the block below.
    pub parent_hash: B256,
}

impl Mark {
    /// The mark of a block.
    pub fn of(block: &BlockRecord) -> Self {
        Self { number: block.number, hash: block.hash, parent_hash: block.parent_hash }
    }
}

/// One block as it is remembered, in memory and in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) mark: Mark,
    /// All its transactions could be run.
    pub(super) is_whole: bool,
    pub(super) done: Vec<Contribution>,
}

/// The last blocks, as far as they concern protected protocols.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    reach_blocks: u64,
    /// In order of height; each is the parent of the next, or there is a gap in height between them.
    blocks: VecDeque<Remembered>,
    n_contributions: usize,
    pending: BTreeMap<B256, Contribution>,
    pending_order: VecDeque<B256>,
    funded: BTreeMap<Address, (Address, u64)>,
    funded_order: VecDeque<Address>,
}

impl Contribution {
    /// What `observation` adds; none where nothing protected is touched.
    pub fn of(
        tx_hash: B256,
        sender: Address,
        observation: &Observation,
        protected: &Protected,
    ) -> Option<Self> {
        if observation.touched.is_empty() {
            return None;
        }
        let mut facts = BTreeMap::new();
        for (spec, value) in shared().specs().iter().zip(observation.facts.values()) {
            let amount = match value {
                Value::Bool(false) => continue,
                Value::Bool(true) => Some(U256::ONE),
                Value::Uint(amount) if amount.is_zero() => continue,
                Value::Uint(amount) => Some(*amount),
                Value::Unknown | Value::AtLeast(_) => None,
                Value::Text(_) | Value::Address(_) => continue,
            };
            facts.insert(spec.name.to_owned(), amount);
        }
        let name = |group: &usize| protected.name(*group).to_owned();
        Some(Self {
            tx_hash,
            sender,
            actor: observation.cluster.clone(),
            protocols: observation.touched_groups.iter().map(name).collect(),
            facts,
        })
    }

    fn counts_for(&self, per: Per, protocol: &str, sender: Address, actor: &[Address]) -> bool {
        self.protocols.iter().any(|name| name == protocol)
            && match per {
                Per::Protocol => true,
                Per::Sender => self.sender == sender,
                Per::Actor => self.actor.iter().any(|one| actor.binary_search(one).is_ok()),
            }
    }
}

impl Memory {
    /// An empty memory for windows of up to `reach_blocks`.
    pub fn new(reach_blocks: u64) -> Self {
        Self { reach_blocks: reach_blocks.max(MIN_BLOCKS), ..Self::default() }
    }

    /// Reaches at least so far from now on; what was forgotten does not come back.
    pub fn reach(&mut self, blocks: u64) {
        self.reach_blocks = self.reach_blocks.max(blocks);
    }

    /// Takes a mined block in. `done` is what its transactions did to protected protocols, or none where they could
    /// not be run. Blocks that it replaces are forgotten; a block that is known already changes nothing, and false
    /// comes back.
    pub fn take(&mut self, mark: Mark, done: Option<Vec<Contribution>>) -> bool {
        self.push(Remembered { mark, is_whole: done.is_some(), done: done.unwrap_or_default() })
    }

    pub(super) fn push(&mut self, block: Remembered) -> bool {
        if self.blocks.iter().rev().take(256).any(|known| known.mark.hash == block.mark.hash) {
            return false;
        }
        while self.blocks.back().is_some_and(|last| last.mark.number >= block.mark.number) {
            self.forget_newest();
        }
        let is_orphaned = self.blocks.back().is_some_and(|last| {
            last.mark.number.checked_add(1) == Some(block.mark.number)
                && last.mark.hash != block.mark.parent_hash
        });
        if is_orphaned {
            // The block below was replaced as well, and nobody said how deep: nothing kept is sure to be mined.
            self.blocks.clear();
            self.n_contributions = 0;
        }
        for done in &block.done {
            self.pending.remove(&done.tx_hash);
        }
        self.n_contributions = self.n_contributions.saturating_add(block.done.len());
        let oldest = block.mark.number.saturating_sub(self.reach_blocks);
        self.blocks.push_back(block);
        while self.blocks.front().is_some_and(|first| first.mark.number < oldest)
            || self.n_contributions > MAX_CONTRIBUTIONS && self.blocks.len() > 1
        {
            if let Some(first) = self.blocks.pop_front() {
                self.n_contributions = self.n_contributions.saturating_sub(first.done.len());
            }
        }
        true
    }

    fn forget_newest(&mut self) {
        if let Some(last) = self.blocks.pop_back() {
            self.n_contributions = self.n_contributions.saturating_sub(last.done.len());
        }
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = &Remembered> {
        self.blocks.iter()
    }

    /// Height of the newest block; none before the first.
    pub fn newest(&self) -> Option<u64> {
        self.blocks.back().map(|block| block.mark.number)
    }

    /// Remembers what a pending transaction would add, for those that can only be mined after it.
    pub fn expect(&mut self, contribution: Contribution) {
        let hash = contribution.tx_hash;
        if self.pending.insert(hash, contribution).is_none() {
            self.pending_order.push_back(hash);
        }
        while self.pending_order.len() > MAX_PENDING {
            if let Some(oldest) = self.pending_order.pop_front() {
                self.pending.remove(&oldest);
            }
        }
    }

    /// Remembers who paid an account first.
    pub fn fund(&mut self, account: Address, payer: Address, block: u64) {
        if self.funded.contains_key(&account) {
            return;
        }
        self.funded.insert(account, (payer, block));
        self.funded_order.push_back(account);
        if self.funded_order.len() > MAX_FUNDED
            && let Some(oldest) = self.funded_order.pop_front()
        {
            self.funded.remove(&oldest);
        }
    }

    /// Who paid an account first, and in which block, where that was seen.
    pub fn funder(&self, account: &Address) -> Option<(Address, u64)> {
        self.funded.get(account).copied()
    }

    /// What a window comes to for the protocol of `contract`, the judged transaction included.
    pub(super) fn answer(
        &self,
        window: &Window,
        contract: Address,
        protected: &Protected,
        judged: Judged<'_>,
    ) -> Value {
        let Some(group) = protected.group(&contract) else { return Value::Unknown };
        let envelope = &judged.execution.envelope;
        let own =
            Contribution::of(envelope.tx_hash, envelope.sender, judged.observation, protected);
        let Some(own) = own else { return Value::Unknown };
        let next = judged.execution.head.saturating_add(1);
        let from = next.saturating_add(1).saturating_sub(window.blocks);
        let mut total =
            Total { how: window.how, fact: window.fact, is_floor: false, amount: U256::ZERO };
        total.is_floor = !self.is_whole(from, next);
        let (protocol, actor) = (protected.name(group), own.actor.as_slice());
        for block in self.blocks.iter().rev() {
            if block.mark.number < from {
                break;
            }
            for done in &block.done {
                // A transaction that was mined meanwhile is not counted twice.
                if done.tx_hash != own.tx_hash
                    && done.counts_for(window.per, protocol, own.sender, actor)
                {
                    total.add(done);
                }
            }
        }
        for before in judged.predecessors {
            match self.pending.get(&before.hash) {
                Some(done) if done.counts_for(window.per, protocol, own.sender, actor) => {
                    total.add(done)
                }
                Some(_) => {}
                // It touches nothing protected, or was not judged: it may add something.
                None => total.is_floor = true,
            }
        }
        total.add(&own);
        total.value()
    }

    /// Whether every block from `from` up to `next`, which is not mined yet, was seen and run.
    pub(super) fn is_whole(&self, from: u64, next: u64) -> bool {
        let mut wanted = next;
        for block in self.blocks.iter().rev() {
            if wanted <= from.max(1) {
                return true;
            }
            if block.mark.number.checked_add(1) != Some(wanted) || !block.is_whole {
                return false;
            }
            wanted = block.mark.number;
        }
        wanted <= from.max(1)
    }
}

/// What a window comes to.
struct Total<'w> {
    how: Fold,
    fact: &'w str,
    is_floor: bool,
    amount: U256,
}

impl Total<'_> {
    fn add(&mut self, done: &Contribution) {
        let amount = match done.facts.get(self.fact) {
            None => return,
            Some(None) => {
                self.is_floor = true;
                return;
            }
            Some(Some(amount)) => *amount,
        };
        self.amount = match self.how {
            Fold::Sum => self.amount.saturating_add(amount),
            Fold::Count => self.amount.saturating_add(U256::ONE),
            Fold::Max => self.amount.max(amount),
        };
    }

    fn value(self) -> Value {
        if self.is_floor { Value::AtLeast(self.amount) } else { Value::Uint(self.amount) }
    }
}
