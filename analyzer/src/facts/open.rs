//! What strangers can do to the state of one contract. What another contract of the same base leaves open is that
//! contract's.

use std::collections::{BTreeMap, BTreeSet};

use super::callee::Callee;
use super::entry::StateKey;
use super::summary::{Guard, Summary};
use super::{Facts, is_guarded};
use crate::hir::ContractId;

/// The state of a contract that its entry points leave open.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// Variables that a stranger can set to a value of their choice.
    pub(super) variables: BTreeSet<StateKey>,
    /// Variables that a stranger can change in any way.
    touched: BTreeSet<StateKey>,
    /// Lists that a stranger can make longer, again and again.
    pub(super) growing: BTreeSet<StateKey>,
    /// Variables in which a stranger can put an account of their choice.
    pub(super) accounts: BTreeSet<StateKey>,
    /// Those of them for which they need not bring any ether.
    pub(super) free_accounts: BTreeSet<StateKey>,
}

impl Open {
    fn of(summaries: &[&Summary]) -> Self {
        let variables = opened_by(summaries.iter().copied());
        let mut open = Self { variables, ..Self::default() };
        for write in summaries.iter().flat_map(|summary| &summary.writes) {
            if is_guarded(&write.guard, &open.variables) {
                continue;
            }
            if !open.touched.contains(&write.variable) {
                open.touched.insert(write.variable.clone());
            }
            if write.is_growth && !write.is_one_shot {
                open.growing.insert(write.variable.clone());
            }
            if write.is_account && write.is_callers && (!write.is_one_shot || write.is_keyed) {
                open.accounts.insert(write.variable.clone());
                if !write.is_paid_for {
                    open.free_accounts.insert(write.variable.clone());
                }
            }
        }
        open
    }
}

impl Facts<'_> {
    /// What strangers can do to the state of `contract`.
    pub(super) fn open(&self, contract: ContractId) -> &Open {
        let all = self.open.get_or_init(|| {
            let mut contracts: BTreeMap<ContractId, Vec<&Summary>> = BTreeMap::new();
            for summary in self.summaries() {
                contracts.entry(summary.contract).or_default().push(summary);
            }
            contracts.into_iter().map(|(id, summaries)| (id, Open::of(&summaries))).collect()
        });
        all.get(&contract).unwrap_or(&self.nothing_open)
    }

    /// Whether a guard of `contract` holds strangers back.
    pub(crate) fn holds(&self, contract: ContractId, guard: &Guard) -> bool {
        is_guarded(guard, &self.open(contract).variables)
    }

    /// Whether a stranger chooses whom `contract` calls.
    pub(super) fn is_strangers(&self, contract: ContractId, callee: &Callee) -> bool {
        match callee {
            Callee::Stranger => true,
            Callee::Stored(state) => {
                state.iter().any(|key| self.open(contract).accounts.contains(key))
            }
            // Whoever can write one list cannot write the other.
            Callee::Listed(state) => {
                state.iter().all(|key| self.open(contract).touched.contains(key))
            }
            Callee::Fixed => false,
        }
    }
}

/// Variables that a stranger can set to a value of their choice through the given entry points.
pub(super) fn opened_by<'s>(
    summaries: impl Iterator<Item = &'s Summary> + Clone,
) -> BTreeSet<StateKey> {
    let mut open = BTreeSet::new();
    loop {
        let before = open.len();
        for write in summaries.clone().flat_map(|summary| &summary.writes) {
            let is_free = write.is_callers && (!write.is_one_shot || write.is_keyed);
            if is_free && !is_guarded(&write.guard, &open) {
                open.insert(write.variable.clone());
            }
        }
        if open.len() == before {
            return open;
        }
    }
}
