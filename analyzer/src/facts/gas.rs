//! What a call costs at the least, by the schedule of the Cancun fork (EIP-2929, EIP-2200, EIP-1153).
//!
//! The figure is a bound from below for a call that succeeds: the cheapest way through the function, where loops run
//! no round, with only what no compiler can leave out: logs, calls, recovered signers, and the first access of each
//! slot that every way touches.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::graph::NodeIndex;
use ruint::aliases::U256;

use super::entry::{AbsoluteKey, AbsoluteRoot, At, Entry};
use super::loops::LoopBound;
use super::work::Work;
use super::{EntryPoint, Facts};
use crate::cfg::*;
use crate::hir::VariableId;

/// The transaction itself.
const TRANSACTION_GAS: u64 = 21_000;
/// Each byte of calldata, were all of them zero.
const ZERO_BYTE_GAS: u64 = 4;
/// The first access of a slot. Later ones may be left out: the optimiser joins reads, and writes to one slot.
const COLD_SLOT_GAS: u64 = 2_100;
/// A call of an account that was touched before.
const CALL_GAS: u64 = 100;
/// A log without topics but its signature.
const LOG_GAS: u64 = 375;
/// Making a contract.
const CREATE_GAS: u64 = 32_000;
/// The precompiled contract that recovers signers.
const RECOVER_GAS: u64 = 3_000;
const SELF_DESTRUCT_GAS: u64 = 5_000;

/// What one entry point costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GasBound {
    /// No successful transaction that calls it costs less; `None` where no way through it succeeds.
    pub at_least_gas: Option<u64>,
    /// What the number of rounds of its loops grows with, the worst first: state, arguments or answers. Empty where
    /// every loop is bounded by the code.
    pub grows_with: Vec<(LoopBound, String)>,
    /// Calls that can spend any amount of what is left.
    pub n_open_calls: usize,
    /// Some of what runs could not be read or resolved; it may cost more, and never less.
    pub is_partial: bool,
}

/// A slot, as far as two accesses are sure to mean different ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Number(U256),
    /// Some slot of a mapping or list.
    Of(VariableId),
}

impl Facts<'_> {
    /// What each entry point costs, in their order.
    pub(crate) fn gas_bounds(&self) -> Vec<(EntryPoint, GasBound)> {
        self.summaries()
            .iter()
            .filter_map(|summary| {
                let point = EntryPoint { contract: summary.contract, function: summary.function };
                let view = self.view(point)?;
                let entry = Entry::new(self.program, &view);
                let mut grows_with: Vec<(LoopBound, String)> = summary
                    .loops
                    .iter()
                    .filter(|here| here.bound != LoopBound::Constant)
                    .map(|here| {
                        let what = here.variable.clone().unwrap_or_else(|| {
                            match here.bound {
                                LoopBound::Caller => "an argument",
                                LoopBound::External => "an answer of another contract",
                                _ => "something that could not be told",
                            }
                            .to_owned()
                        });
                        (here.bound, what)
                    })
                    .collect();
                grows_with.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(&right.1)));
                grows_with.dedup();
                let n_params = self.program.function(summary.function).params.len() as u64;
                let calldata = (4 + 32 * n_params) * ZERO_BYTE_GAS;
                Some((
                    point,
                    GasBound {
                        at_least_gas: self
                            .cheapest(&entry)
                            .map(|gas| TRANSACTION_GAS + calldata + gas),
                        grows_with,
                        n_open_calls: summary.calls.len(),
                        is_partial: summary.is_partial,
                    },
                ))
            })
            .collect()
    }

    /// The least that a successful run of the view costs, beside the transaction itself.
    fn cheapest(&self, entry: &Entry<'_>) -> Option<u64> {
        let view = entry.view;
        let graph = &view.body.graph;
        let work = Work::new(entry);
        let slots = self.slots(entry);
        // Costs are never negative, so taking the cheapest open block first settles each block once.
        let mut costs: BTreeMap<NodeIndex, u64> = BTreeMap::new();
        let mut open: BTreeSet<(u64, NodeIndex)> = BTreeSet::from([(0, view.body.entry)]);
        while let Some((before, block)) = open.pop_first() {
            if costs.contains_key(&block) || !work.ends_well(block) {
                continue;
            }
            let statements = &graph[block].statements;
            let after = before + statements.iter().map(least_gas).sum::<u64>();
            costs.insert(block, after);
            let next = entry.successors(block).iter().map(|(_, next)| *next);
            open.extend(
                next.filter(|next| work.constants.takes(block, *next)).map(|next| (after, next)),
            );
        }
        let ends =
            |block: &NodeIndex| *block == view.exit || matches!(graph[*block].end, End::Stop);
        let least = costs.iter().filter(|(block, _)| ends(block)).map(|(_, gas)| *gas).min()?;
        let certain = touched_on_every_way(entry, &work, &slots, ends);
        Some(least + certain.len() as u64 * COLD_SLOT_GAS)
    }

    /// The slot of each access that can be told.
    fn slots(&self, entry: &Entry<'_>) -> BTreeMap<At, Slot> {
        let layout = self.program.storage_layout(entry.view.contract);
        let numbers: BTreeMap<VariableId, U256> = layout
            .iter()
            .flatten()
            .filter(|slot| !slot.is_transient)
            .map(|slot| (slot.variable, slot.slot))
            .collect();
        let mut slots = BTreeMap::new();
        for (at, statement) in entry.statements() {
            if !matches!(statement.kind, StatementKind::Load { .. } | StatementKind::Store { .. }) {
                continue;
            }
            let [place] = entry.accessed(at) else { continue };
            let AbsoluteRoot::Variable(id) = place.root else { continue };
            if self.program.variable(id).is_transient {
                continue;
            }
            let is_elsewhere = place.path.iter().any(|key| matches!(key, AbsoluteKey::Index(_)));
            // Where the layout is not known, two variables may share a slot.
            let slot = if is_elsewhere {
                Some(Slot::Of(id))
            } else {
                numbers.get(&id).map(|number| Slot::Number(*number))
            };
            slots.extend(slot.map(|slot| (at, slot)));
        }
        slots
    }
}

/// The slots that every successful run touches.
fn touched_on_every_way(
    entry: &Entry<'_>,
    work: &Work<'_, '_>,
    slots: &BTreeMap<At, Slot>,
    ends: impl Fn(&NodeIndex) -> bool,
) -> BTreeSet<Slot> {
    let graph = &entry.view.body.graph;
    let mut own: BTreeMap<NodeIndex, BTreeSet<Slot>> = BTreeMap::new();
    for (at, slot) in slots {
        own.entry(at.block).or_default().insert(slot.clone());
    }
    // What was touched before each block, on every way to it: sets only shrink, so this ends.
    let mut before: BTreeMap<NodeIndex, BTreeSet<Slot>> =
        BTreeMap::from([(entry.view.body.entry, BTreeSet::new())]);
    let mut open = BTreeSet::from([entry.view.body.entry]);
    let mut certain: Option<BTreeSet<Slot>> = None;
    let after = |block: NodeIndex, before: &BTreeMap<NodeIndex, BTreeSet<Slot>>| {
        let mut touched = before.get(&block).cloned().unwrap_or_default();
        touched.extend(own.get(&block).into_iter().flatten().cloned());
        touched
    };
    while let Some(block) = open.pop_first() {
        let touched = after(block, &before);
        for &(_, next) in entry.successors(block) {
            if !work.constants.takes(block, next) || !work.ends_well(next) {
                continue;
            }
            let joined = match before.get(&next) {
                None => touched.clone(),
                Some(known) => known.intersection(&touched).cloned().collect(),
            };
            if before.get(&next) != Some(&joined) {
                before.insert(next, joined);
                open.insert(next);
            }
        }
    }
    for block in graph.node_indices().filter(|block| before.contains_key(block) && ends(block)) {
        let touched = after(block, &before);
        certain = Some(match certain {
            None => touched,
            Some(known) => known.intersection(&touched).cloned().collect(),
        });
    }
    certain.unwrap_or_default()
}

/// What no compiler can make of a statement for less; storage is counted by slots.
fn least_gas(statement: &Statement) -> u64 {
    match &statement.kind {
        StatementKind::Emit { .. } => LOG_GAS,
        StatementKind::Assign { value: Rvalue::Pure("ecrecover", _), .. } => RECOVER_GAS,
        StatementKind::Call(call) => match call.kind {
            CallKind::New(_) => CREATE_GAS,
            CallKind::SelfDestruct => SELF_DESTRUCT_GAS,
            CallKind::Internal(..) | CallKind::Pointer(_) | CallKind::Unresolved(_) => 0,
            _ => CALL_GAS,
        },
        _ => 0,
    }
}
