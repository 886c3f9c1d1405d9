//! Questions about one execution that name functions or slots of a contract.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};
use portcullis_rules::{
    Value,
    question::{Holder, Place, Question, SignatureFault, Trace, Trail},
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

/// The precompiled contract that recovers a signer.
const ECRECOVER: Address = {
    let mut bytes = [0; 20];
    bytes[19] = 1;
    Address::new(bytes)
};

/// Who signed, as `ecrecover` answers: nothing at all where nobody did.
fn signer(output: &[u8]) -> Option<Address> {
    let signer = Address::from_slice(output.get(12..32)?);
    (!signer.is_zero()).then_some(signer)
}

/// Outer entries looked at for each inner one; see the same bound among the facts of re-entry.
const OUTERS_LIMIT: usize = 64;

impl<'a> Probes<'a> {
    pub(super) fn new(execution: &'a Execution, protected: &'a Protected) -> Self {
        Self { view: View::new(execution, protected) }
    }

    /// What happened on each of these contracts, which are sorted, in the words of questions. A trail may hold more than
    /// a question counts, and lacks nothing that one counts.
    pub(super) fn trails(&self, contracts: &[Address]) -> Vec<Trail> {
        let execution = self.view.execution;
        let mut traces: Vec<Vec<Trace>> = vec![Vec::new(); contracts.len()];
        let mut note = |contract: &Address, trace: Trace| {
            if let Ok(place) = contracts.binary_search(contract) {
                traces[place].push(trace);
            }
        };
        let mut changed: BTreeSet<(Address, U256)> = BTreeSet::new();
        for access in &execution.accesses {
            let is_change = access.kept
                && !access.transient
                && access.after.is_some_and(|after| after != access.before);
            if is_change
                && contracts.binary_search(&access.address).is_ok()
                && changed.insert((access.address, access.slot))
            {
                note(&access.address, Trace::Changed(Place::Slot(access.slot)));
            }
        }
        for (contract, base) in self.mappings_of(changed) {
            note(&contract, Trace::Changed(Place::Mapping(base)));
        }
        for (index, frame, place) in self.view.frames() {
            if place.entry == index && place.group.is_some() {
                if let Some(selector) = frame.selector() {
                    note(&frame.acts_on, Trace::Entered(selector));
                }
                if place.outer.is_some() {
                    note(&frame.acts_on, Trace::Nested);
                }
            }
            if frame.code_at == ECRECOVER && frame.kept {
                note(&frame.caller, Trace::Recovered);
            }
        }
        for moved in execution.ether.iter().filter(|moved| moved.kept && moved.from != moved.to) {
            note(&moved.from, Trace::Paid);
        }
        for (from, to, _) in execution.logs.iter().filter(|log| log.kept).filter_map(transfer) {
            if from != to {
                note(&from, Trace::Paid);
            }
        }
        traces.into_iter().map(Trail::new).collect()
    }

    /// The mappings that these slots are entries of, and those that hold these, by their own slots.
    fn mappings_of(&self, slots: BTreeSet<(Address, U256)>) -> BTreeSet<(Address, U256)> {
        let mut holds: BTreeMap<(Address, U256), Vec<U256>> = BTreeMap::new();
        if !slots.is_empty() {
            for mapped in &self.view.execution.mapping_slots {
                holds.entry((mapped.address, mapped.slot)).or_default().push(mapped.base);
            }
        }
        let mut found = BTreeSet::new();
        let mut open: Vec<(Address, U256)> = slots.into_iter().collect();
        while let Some((contract, slot)) = open.pop() {
            for base in holds.get(&(contract, slot)).into_iter().flatten() {
                if found.insert((contract, *base)) {
                    open.push((contract, *base));
                }
            }
        }
        found
    }

    /// How often what is asked for happened on `contract`.
    pub(super) fn answer(&self, question: &Question, contract: Address) -> Value {
        let count = match question {
            Question::Called(functions) => self.called(contract, functions),
            Question::Signatures(fault) => self.signatures(contract, *fault),
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

    fn called(&self, contract: Address, functions: &[[u8; 4]]) -> usize {
        self.entries(contract)
            .filter(|entry| self.view.execution.frames.get(*entry).is_some_and(|frame| frame.kept))
            .filter(|entry| self.is_one_of(*entry, functions))
            .count()
    }

    /// Asked of `ecrecover` by the contract, or by code that runs on its storage, in calls that stayed.
    fn signatures(&self, contract: Address, fault: SignatureFault) -> usize {
        let asked =
            self.view.execution.frames.iter().filter(|frame| {
                frame.code_at == ECRECOVER && frame.caller == contract && frame.kept
            });
        match fault {
            SignatureFault::Nobody => asked.filter(|frame| signer(&frame.output).is_none()).count(),
            SignatureFault::Repeated => {
                // The first call in which each was believed; once more in the same call is no second use.
                let mut first: BTreeMap<(&[u8], Address), Option<usize>> = BTreeMap::new();
                asked
                    .filter(|frame| {
                        let Some(signer) = signer(&frame.output) else { return false };
                        let digest = frame.input.get(..32).unwrap_or_default();
                        let entry = frame.parent.and_then(|parent| self.view.entry(parent));
                        *first.entry((digest, signer)).or_insert(entry) != entry
                    })
                    .count()
            }
        }
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

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, Bytes};
    use portcullis_rules::{
        Value,
        question::{Question, SignatureFault},
    };

    use super::{ECRECOVER, Probes};
    use crate::{
        facts::{
            Protected,
            staging::{Stage, account},
        },
        simulate::execution::Execution,
    };

    const VAULT: u8 = 3;

    /// Calls of the vault one after the other; each asks for the signer of each digest, which is zero for nobody.
    fn claims(calls: &[&[(u8, u8)]], is_kept: bool) -> Execution {
        let mut stage = Stage::new(account(1), account(2), 0);
        for call in calls {
            stage.call(account(VAULT), 0);
            for _ in *call {
                stage.call(ECRECOVER, 0).leave(true);
            }
            stage.leave(is_kept);
        }
        let mut execution = stage.finish(&[]);
        let told = calls.iter().flat_map(|call| call.iter());
        let asked = execution.frames.iter_mut().filter(|frame| frame.code_at == ECRECOVER);
        for (frame, (digest, signer)) in asked.zip(told) {
            frame.input = Bytes::from(vec![*digest; 128]);
            frame.output = match signer {
                0 => Bytes::new(),
                signer => account(*signer).into_word().to_vec().into(),
            };
        }
        execution
    }

    fn seen(execution: &Execution, fault: SignatureFault) -> u64 {
        let protected = Protected::new([("vault".to_owned(), vec![account(VAULT)])]);
        let probes = Probes::new(execution, &protected);
        match probes.answer(&Question::Signatures(fault), account(VAULT)) {
            Value::Uint(count) => count.to(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_signature_of_nobody_counts_where_the_contract_went_on() {
        let nobody =
            |calls: &[&[(u8, u8)]], is_kept| seen(&claims(calls, is_kept), SignatureFault::Nobody);
        assert_eq!(nobody(&[&[(1, 0)]], true), 1);
        assert_eq!(nobody(&[&[(1, 0)]], false), 0, "it was refused");
        assert_eq!(nobody(&[&[(1, 7)]], true), 0);
    }

    #[test]
    fn a_signature_is_repeated_in_another_call_and_not_in_the_same() {
        let repeated = |calls: &[&[(u8, u8)]]| seen(&claims(calls, true), SignatureFault::Repeated);
        assert_eq!(repeated(&[&[(1, 7)], &[(1, 7)], &[(1, 7)]]), 2);
        assert_eq!(repeated(&[&[(1, 7), (1, 7)]]), 0, "two looks at one signature");
        assert_eq!(repeated(&[&[(1, 7)], &[(2, 7)], &[(1, 8)]]), 0, "others");
        assert_eq!(repeated(&[&[(1, 0)], &[(1, 0)]]), 0, "nobody's is another question");
        let refused = seen(&claims(&[&[(1, 7)], &[(1, 7)]], false), SignatureFault::Repeated);
        assert_eq!(refused, 0);
    }

    #[test]
    fn a_call_of_a_function_counts_unless_it_was_taken_back() {
        let called = |is_kept| {
            let mut execution = claims(&[&[], &[]], is_kept);
            for frame in execution.frames.iter_mut().filter(|frame| frame.depth == 1) {
                frame.input = Bytes::from_static(&[1, 2, 3, 4, 5]);
            }
            let protected = Protected::new([("vault".to_owned(), vec![account(VAULT)])]);
            let question = |selector| Question::Called(vec![selector]);
            let probes = Probes::new(&execution, &protected);
            let of = |selector, address: Address| probes.answer(&question(selector), address);
            [of([1, 2, 3, 4], account(VAULT)), of([1, 2, 3, 9], account(VAULT))]
        };
        let count = |count: u8| Value::Uint(alloy::primitives::U256::from(count));
        assert_eq!(called(true), [count(2), count(0)]);
        assert_eq!(called(false), [count(0), count(0)]);
    }
}
