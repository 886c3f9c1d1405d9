//! Questions about one execution that name functions or slots of a contract.

use std::collections::BTreeSet;

use alloy::primitives::{Address, U256};
use portcullis_rules::{
    Value,
    question::{Holder, Place, Question},
};

use crate::{
    facts::{
        Protected,
        view::{View, transfer},
    },
    simulate::execution::Execution,
};

/// An execution with its protected entries, looked at only where a question needs it.
#[derive(Debug)]
pub(super) struct Probes<'a> {
    view: View<'a>,
}

/// Outer entries looked at for each inner one; see the same bound among the facts of re-entry.
const OUTERS_LIMIT: usize = 64;

impl<'a> Probes<'a> {
    pub(super) fn new(execution: &'a Execution, protected: &'a Protected) -> Self {
        Self { view: View::new(execution, protected) }
    }

    /// How often what is asked for happened on `contract`.
    pub(super) fn answer(&self, question: &Question, contract: Address) -> Value {
        let count = match question {
            Question::Entered { functions, inside } => self.entered(contract, functions, inside),
            Question::Stale(views) => self.stale(contract, views),
            Question::Changed { place, holders } => self.changed(contract, *place, holders),
            Question::PaidOutside(functions) => self.paid_outside(contract, functions),
            _ => return Value::Unknown,
        };
        Value::Uint(U256::from(count))
    }

    /// Selector of the entry at `index`.
    fn selector(&self, index: usize) -> Option<[u8; 4]> {
        self.view.execution.frames.get(index)?.selector()
    }

    /// Entries of `contract` from other accounts.
    fn entries(&self, contract: Address) -> impl Iterator<Item = usize> + '_ {
        self.view
            .frames()
            .filter(move |(index, frame, place)| {
                frame.acts_on == contract && place.entry == *index && place.group.is_some()
            })
            .map(|(index, ..)| index)
    }

    /// Entries of the same contract that are still open around one, innermost first.
    fn outers(&self, entry: usize) -> impl Iterator<Item = usize> + '_ {
        let outer_of = |entry: usize| self.view.places.get(entry).and_then(|place| place.outer);
        std::iter::successors(outer_of(entry), move |outer| outer_of(*outer)).take(OUTERS_LIMIT)
    }

    fn is_one_of(&self, entry: usize, functions: &[[u8; 4]]) -> bool {
        functions.is_empty()
            || self
                .selector(entry)
                .is_some_and(|selector| functions.binary_search(&selector).is_ok())
    }

    fn entered(&self, contract: Address, functions: &[[u8; 4]], inside: &[[u8; 4]]) -> usize {
        let is_kept =
            |entry: &usize| self.view.execution.frames.get(*entry).is_some_and(|frame| frame.kept);
        self.entries(contract)
            // An entry that a lock throws out has entered nothing.
            .filter(is_kept)
            .filter(|entry| self.is_one_of(*entry, functions))
            .filter(|entry| self.outers(*entry).any(|outer| self.is_one_of(outer, inside)))
            .count()
    }

    fn stale(&self, contract: Address, views: &[[u8; 4]]) -> usize {
        let execution = self.view.execution;
        let asked: Vec<usize> = self
            .entries(contract)
            .filter(|entry| self.view.places.get(*entry).is_some_and(|place| place.is_static))
            .filter(|entry| self.is_one_of(*entry, views))
            .filter(|entry| self.outers(*entry).next().is_some())
            .collect();
        let is_stale = |entry: &&usize| {
            let Some(left) = execution.frames.get(**entry).map(|frame| frame.left) else {
                return false;
            };
            let read: BTreeSet<U256> = execution
                .accesses
                .iter()
                .filter(|access| access.address == contract && !access.transient)
                .filter(|access| self.view.entry(access.frame) == Some(**entry))
                .map(|access| access.slot)
                .collect();
            execution.accesses.iter().any(|access| {
                access.address == contract
                    && !access.transient
                    && access.kept
                    && access.order > left
                    && access.after.is_some_and(|after| after != access.before)
                    && read.contains(&access.slot)
                    && self
                        .view
                        .entry(access.frame)
                        .is_some_and(|writer| self.outers(**entry).any(|outer| outer == writer))
            })
        };
        asked.iter().filter(is_stale).count()
    }

    fn changed(&self, contract: Address, place: Place, holders: &[Holder]) -> usize {
        let execution = self.view.execution;
        let slots: Option<BTreeSet<U256>> = match place {
            Place::Slot(_) => None,
            Place::Mapping(base) => Some(self.entries_of(contract, base)),
        };
        let allowed: Vec<Address> =
            holders.iter().filter_map(|holder| self.holder(contract, holder)).collect();
        let written: BTreeSet<U256> = execution
            .accesses
            .iter()
            .filter(|access| access.address == contract && access.kept && !access.transient)
            .filter(|access| access.after.is_some_and(|after| after != access.before))
            .filter(|access| match (&slots, place) {
                (Some(slots), _) => slots.contains(&access.slot),
                (None, Place::Slot(slot)) => access.slot == slot,
                (None, Place::Mapping(_)) => false,
            })
            .filter(|access| {
                let entry = self.view.entry(access.frame);
                let entry = entry.and_then(|entry| execution.frames.get(entry));
                entry.is_some_and(|entry| !allowed.contains(&entry.caller))
            })
            .map(|access| access.slot)
            .collect();
        written.len()
    }

    /// The slots of a mapping's entries that this execution derived, mappings inside of it included.
    fn entries_of(&self, contract: Address, base: U256) -> BTreeSet<U256> {
        let mut slots = BTreeSet::from([base]);
        loop {
            let before = slots.len();
            let inner = self.view.execution.mapping_slots.iter();
            let inner = inner.filter(|mapped| mapped.address == contract);
            let found: Vec<U256> = inner
                .filter(|mapped| slots.contains(&mapped.base))
                .map(|mapped| mapped.slot)
                .collect();
            slots.extend(found);
            if slots.len() == before {
                break;
            }
        }
        slots.remove(&base);
        slots
    }

    /// Whoever holds the right before the transaction. A slot that is neither read nor written here was not asked for
    /// a permission either, so it names nobody.
    fn holder(&self, contract: Address, holder: &Holder) -> Option<Address> {
        match holder {
            Holder::Account(account) => Some(Address::from(*account)),
            Holder::InSlot { slot, offset_bytes } => {
                let accesses = &self.view.execution.accesses;
                let first = accesses.iter().find(|access| {
                    access.address == contract && access.slot == *slot && !access.transient
                })?;
                let word = first.before.wrapping_shr(usize::from(*offset_bytes).saturating_mul(8));
                Some(Address::from_word(word.into()))
            }
        }
    }

    fn paid_outside(&self, contract: Address, functions: &[[u8; 4]]) -> usize {
        let execution = self.view.execution;
        let is_inside = |frame: usize| {
            let mut around = self.view.execution.frames.get(frame).and_then(|frame| frame.parent);
            let own = std::iter::once(frame);
            let outer = std::iter::from_fn(|| {
                let this = around?;
                around = execution.frames.get(this).and_then(|frame| frame.parent);
                Some(this)
            });
            own.chain(outer).any(|frame| {
                let is_contract =
                    execution.frames.get(frame).is_some_and(|frame| frame.acts_on == contract);
                is_contract
                    && self
                        .selector(frame)
                        .is_some_and(|selector| functions.binary_search(&selector).is_ok())
            })
        };
        let ether = execution
            .ether
            .iter()
            .filter(|moved| moved.kept && moved.from == contract && moved.to != contract)
            .filter(|moved| !is_inside(moved.frame))
            .count();
        let tokens = execution
            .logs
            .iter()
            .filter(|log| log.kept)
            .filter(|log| {
                transfer(log).is_some_and(|(from, to, _)| from == contract && to != contract)
            })
            .filter(|log| !is_inside(log.frame))
            .count();
        ether.saturating_add(tokens)
    }
}
