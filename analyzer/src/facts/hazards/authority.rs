//! Writes of what is privileged elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::HazardKind;
use crate::facts::entry::StateKey;
use crate::facts::summary::{Guard, Summary};
use crate::facts::{Facts, is_guarded};
use crate::hir::{ContractId, FunctionId};
use crate::syntax::Span;

/// Who may go on in the functions of each contract, and who writes that.
pub(in crate::facts) struct Authority<'f> {
    /// State that the caller is compared with or looked up in, by contract.
    state: BTreeMap<ContractId, BTreeSet<&'f StateKey>>,
    /// How many writes by anyone each entry point makes of it.
    open: BTreeMap<(ContractId, FunctionId), usize>,
}

impl Authority<'_> {
    /// How many state variables of this kind an entry point writes.
    pub(in crate::facts) fn written_by(&self, summary: &Summary) -> usize {
        let Some(state) = self.state.get(&summary.contract) else { return 0 };
        let written = summary.writes.iter().map(|write| &write.variable);
        let written: BTreeSet<_> = written.filter(|variable| state.contains(variable)).collect();
        written.len()
    }

    /// How many of its writes, that anyone can make, are of this kind.
    pub(in crate::facts) fn open_writes_of(&self, summary: &Summary) -> usize {
        self.open.get(&(summary.contract, summary.function)).copied().unwrap_or(0)
    }
}

/// The guards of everything that an entry point does.
fn guards(summary: &Summary) -> impl Iterator<Item = &Guard> {
    let writes = summary.writes.iter().map(|write| &write.guard);
    let calls = summary.calls.iter().map(|call| &call.guard);
    let destructs = summary.destructs.iter().map(|site| &site.guard);
    writes.chain(calls).chain(destructs).chain(&summary.payouts)
}

impl Facts<'_> {
    /// Who may go on in the functions of each contract, and who writes that.
    pub(in crate::facts) fn authority(&self) -> Authority<'_> {
        let mut state: BTreeMap<ContractId, BTreeSet<&StateKey>> = BTreeMap::new();
        for summary in self.summaries() {
            let known = state.entry(summary.contract).or_default();
            let passed = guards(summary).filter(|guard| guard.is_guarded);
            known.extend(passed.flat_map(|guard| &guard.rests_on));
        }
        let mut open = BTreeMap::new();
        self.find_open_authority(&mut |summary, _, _, _, _, _| {
            *open.entry((summary.contract, summary.function)).or_default() += 1;
        });
        Authority { state, open }
    }

    /// Writes by anyone of what other functions of the contract let only a chosen account write, or of who that
    /// account is.
    pub(super) fn find_open_authority(
        &self,
        add: &mut impl FnMut(&Summary, HazardKind, FunctionId, Span, &[Span], &str),
    ) {
        let mut contracts: BTreeMap<ContractId, Vec<&Summary>> = BTreeMap::new();
        for summary in self.summaries() {
            contracts.entry(summary.contract).or_default().push(summary);
        }
        for (contract, summaries) in &contracts {
            let open = &self.open(*contract).variables;
            let (mut privileged, mut authority) = (BTreeSet::new(), BTreeSet::new());
            let members: BTreeSet<&StateKey> =
                summaries.iter().flat_map(|summary| &summary.members).collect();
            for summary in summaries {
                for write in &summary.writes {
                    // Who is let in by state that anyone can write is let in by nothing; the state is the flaw.
                    if write.guard.is_guarded {
                        authority.extend(&write.guard.rests_on);
                        if is_guarded(&write.guard, open) {
                            privileged.insert((&write.variable, summary.function));
                        }
                    }
                }
                let guards = summary
                    .calls
                    .iter()
                    .map(|call| &call.guard)
                    .chain(summary.destructs.iter().map(|site| &site.guard))
                    .chain(&summary.payouts);
                authority.extend(guards.flat_map(|guard| &guard.rests_on));
            }
            for summary in summaries.iter().filter(|summary| !summary.is_partial) {
                for write in &summary.writes {
                    // What can be written once under each key can be written by anyone under a new one.
                    let is_once = (write.is_one_shot || write.is_step) && !write.is_once_a_key;
                    if is_once || is_guarded(&write.guard, open) {
                        continue;
                    }
                    // Whoever comes makes somebody a member, which members else decide about.
                    let is_admission = write.is_named
                        && write.is_callers
                        && !write.guard.is_guarded
                        && members.contains(&write.variable)
                        && (summaries.iter().any(|other| {
                            other.function != summary.function
                                && other.writes.iter().any(|known| {
                                    known.variable == write.variable && known.guard.is_guarded
                                })
                        }) || self.constructed(*contract).contains(&write.variable));
                    if write.is_keyed && !is_admission {
                        continue;
                    }
                    let is_authority = authority.contains(&write.variable)
                        && write.is_account
                        && (write.is_chosen || write.is_sender);
                    let is_privileged = write.is_chosen
                        && privileged.iter().any(|(variable, function)| {
                            **variable == write.variable && *function != summary.function
                        });
                    if is_authority || is_privileged || is_admission {
                        let detail = self.name_of(&write.variable);
                        add(
                            summary,
                            HazardKind::OpenAuthority,
                            write.function,
                            write.span,
                            &write.path,
                            &detail,
                        );
                    }
                }
            }
        }
    }

    fn name_of(&self, key: &StateKey) -> String {
        match key {
            StateKey::Variable(id, field) => {
                let name = &self.program.variable(*id).name;
                field.as_ref().map_or_else(|| name.clone(), |field| format!("{name}.{field}"))
            }
            StateKey::Slot(..) => "a storage slot".to_owned(),
        }
    }
}
