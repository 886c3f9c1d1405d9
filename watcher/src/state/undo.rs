//! What the last blocks changed, kept so that a reorg can take it back.
//!
//! What was fetched after a block and not changed by it was the same before it, so only what the block itself wrote
//! has to be put back.

use std::collections::{HashMap, VecDeque};

use alloy::primitives::{Address, B256, U256};
use dashmap::DashMap;
use revm::state::AccountInfo;

use super::{Head, cache::CachedAccount};

/// Blocks that can be taken back.
const BLOCKS: usize = 64;
/// Slots that are kept for that, of all blocks together.
const SLOTS: usize = 1_000_000;

/// The last blocks' changes, newest last.
#[derive(Debug, Default)]
pub(super) struct History {
    blocks: VecDeque<Undo>,
    slots: usize,
}

/// What one block changed.
#[derive(Debug)]
pub(super) struct Undo {
    /// The head before it.
    below: Head,
    accounts: Vec<(Address, Before)>,
    slots: usize,
}

/// An account as it was before a block.
#[derive(Debug)]
enum Before {
    /// Not in the cache.
    Absent,
    /// Its storage was cleared, so all of it is kept.
    Whole(CachedAccount),
    /// These slots of it were written; none was not in the cache.
    Slots { info: Option<AccountInfo>, is_whole: bool, slots: Vec<(U256, Option<U256>)> },
}

impl Undo {
    /// Of the block that comes on this head.
    pub(super) fn new(below: Head) -> Self {
        Self { below, accounts: Vec::new(), slots: 0 }
    }

    /// Keeps an account that the block is about to change: all of it where its storage is cleared, else these slots.
    pub(super) fn keep<'a>(
        &mut self,
        address: Address,
        account: Option<&CachedAccount>,
        is_cleared: bool,
        written: impl Iterator<Item = &'a U256>,
    ) {
        let before = match account {
            None => Before::Absent,
            Some(account) if is_cleared => {
                self.slots += account.storage.len();
                Before::Whole(account.clone())
            }
            Some(account) => {
                let slots: Vec<_> =
                    written.map(|slot| (*slot, account.storage.get(slot).copied())).collect();
                self.slots += slots.len();
                Before::Slots { info: account.info.clone(), is_whole: account.is_whole, slots }
            }
        };
        self.accounts.push((address, before));
    }

    fn put_back(self, accounts: &DashMap<Address, CachedAccount>) {
        for (address, before) in self.accounts {
            match before {
                Before::Absent => {
                    accounts.remove(&address);
                }
                Before::Whole(account) => {
                    accounts.insert(address, account);
                }
                Before::Slots { info, is_whole, slots } => {
                    let Some(mut account) = accounts.get_mut(&address) else { continue };
                    account.info = info;
                    account.is_whole = is_whole;
                    for (slot, value) in slots {
                        restore(&mut account.storage, slot, value);
                    }
                }
            }
        }
    }
}

fn restore(storage: &mut HashMap<U256, U256>, slot: U256, value: Option<U256>) {
    match value {
        Some(value) => storage.insert(slot, value),
        None => storage.remove(&slot),
    };
}

impl History {
    /// A block was taken over.
    pub(super) fn push(&mut self, undo: Undo) {
        self.slots += undo.slots;
        self.blocks.push_back(undo);
        while self.blocks.len() > BLOCKS || (self.slots > SLOTS && !self.blocks.is_empty()) {
            if let Some(oldest) = self.blocks.pop_front() {
                self.slots -= oldest.slots;
            }
        }
    }

    /// Nothing can be taken back any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes back every block above the head of this hash; none, and nothing is taken back, where it is not known.
    pub(super) fn back_to(
        &mut self,
        hash: B256,
        accounts: &DashMap<Address, CachedAccount>,
    ) -> Option<(Head, usize)> {
        let place = self.blocks.iter().position(|undo| undo.below.hash == hash)?;
        let undone = self.blocks.len() - place;
        let mut head = None;
        for _ in 0..undone {
            let undo = self.blocks.pop_back()?;
            self.slots -= undo.slots;
            head = Some(undo.below.clone());
            undo.put_back(accounts);
        }
        head.map(|head| (head, undone))
    }
}
