//! Allowances that are replaced: whoever may spend the old one can do so before the new one counts, and then spend that.

use std::collections::BTreeMap;

use super::HazardKind;
use crate::cfg::*;
use crate::facts::entry::{AbsoluteKey, At, Entry, StateKey};
use crate::facts::origin::Origin;
use crate::facts::summary::Summary;
use crate::facts::work::Work;
use crate::facts::{EntryPoint, Facts};
use crate::hir::{ContractId, FunctionId};
use crate::syntax::Span;

/// The functions that ERC-20 and ERC-2612 fix for setting and for spending an allowance.
const SETS: &str = "approve(address,uint256)";
const SPENDS: &str = "transferFrom(address,address,uint256)";
const PERMITS: &str = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)";

impl Facts<'_> {
    pub(super) fn find_allowance_races(
        &self,
        add: &mut impl FnMut(&Summary, HazardKind, FunctionId, Span, &[Span], &str),
    ) {
        let mut contracts: BTreeMap<ContractId, Vec<&Summary>> = BTreeMap::new();
        for summary in self.summaries() {
            contracts.entry(summary.contract).or_default().push(summary);
        }
        let signature = |summary: &Summary| &self.program.function(summary.function).signature;
        for (&contract, summaries) in &contracts {
            let with = |wanted| summaries.iter().find(|summary| signature(summary) == wanted);
            let (Some(sets), Some(spends)) = (with(SETS), with(SPENDS)) else { continue };
            let Some((key, span, function)) = self.replaced(contract, sets.function) else {
                continue;
            };
            let is_spent = spends.writes.iter().any(|write| write.variable == key);
            let is_moved = summaries.iter().any(|summary| {
                ![SETS, SPENDS, PERMITS].contains(&signature(summary).as_str())
                    && summary.writes.iter().any(|write| write.variable == key)
                    && self.is_moved_by(EntryPoint { contract, function: summary.function }, &key)
            });
            if is_spent && !is_moved {
                add(sets, HazardKind::AllowanceRace, function, span, &[], &self.state_text(&key));
            }
        }
    }

    /// The state that a function of the caller sets to what they say, under their key and another, whatever it was.
    fn replaced(
        &self,
        contract: ContractId,
        function: FunctionId,
    ) -> Option<(StateKey, Span, FunctionId)> {
        let view = self.view(EntryPoint { contract, function })?;
        let entry = Entry::new(self.program, &view);
        let work = Work::new(&entry);
        entry.statements().find_map(|(at, statement)| {
            let StatementKind::Store { value, .. } = &statement.kind else { return None };
            let [place] = entry.accessed(at) else { return None };
            let n_keys =
                place.path.iter().filter(|key| matches!(key, AbsoluteKey::Index(_))).count();
            let is_theirs =
                place.path.contains(&AbsoluteKey::Index(Operand::Environment(Environment::Sender)));
            let is_asked = work.controllers(at.block).iter().any(|block| {
                let End::Branch { condition, .. } = &view.body.graph[*block].end else {
                    return false;
                };
                let loads = Origin::of(&entry, condition, false).loads;
                loads.iter().any(|load: &At| entry.accessed(*load) == entry.accessed(at))
            });
            let is_said = !Origin::of(&entry, value, false).params.is_empty()
                && Origin::of(&entry, value, false).loads.is_empty();
            let key = StateKey::of(self.program, place).into_iter().next()?;
            let function = view.frames[statement.frame.0 as usize].function;
            (n_keys >= 2 && is_theirs && is_said && !is_asked).then_some((
                key,
                statement.span,
                function,
            ))
        })
    }

    /// Whether a function makes the state of what it was before.
    fn is_moved_by(&self, point: EntryPoint, key: &StateKey) -> bool {
        let Some(view) = self.view(point) else { return true };
        let entry = Entry::new(self.program, &view);
        entry.statements().any(|(at, statement)| {
            let StatementKind::Store { value, .. } = &statement.kind else { return false };
            let is_it = entry
                .accessed(at)
                .iter()
                .any(|place| StateKey::of(self.program, place).contains(key));
            let made_of = Origin::of(&entry, value, false).loads;
            is_it
                && made_of.iter().any(|load| {
                    let places = entry.accessed(*load).iter();
                    places
                        .flat_map(|place| StateKey::of(self.program, place))
                        .any(|read| read == *key)
                })
        })
    }
}
