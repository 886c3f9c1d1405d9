//! What the first who comes decides for good, where neither a constructor nor the maker of the contract came before.

use std::collections::{BTreeMap, BTreeSet};

use super::HazardKind;
use crate::facts::Facts;
use crate::facts::callee::Callee;
use crate::facts::calls::{CallForm, Caller};
use crate::facts::entry::StateKey;
use crate::facts::summary::{Summary, Write};
use crate::hir::{ContractId, FunctionId};
use crate::syntax::Span;
use crate::syntax::ast::ContractKind;

impl Facts<'_> {
    /// One-time writes, by anyone, of the code that a contract runs, and of the account that it obeys.
    pub(super) fn find_first_comers(
        &self,
        add: &mut impl FnMut(&Summary, HazardKind, FunctionId, Span, &[Span], &str),
    ) {
        let mut contracts: BTreeMap<ContractId, Vec<&Summary>> = BTreeMap::new();
        for summary in self.summaries() {
            contracts.entry(summary.contract).or_default().push(summary);
        }
        for (&contract, summaries) in &contracts {
            if self.program.contract(contract).kind != ContractKind::Contract {
                continue;
            }
            let (mut code, mut power, mut authority) =
                (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for summary in summaries {
                for call in &summary.calls {
                    if let (true, Callee::Stored(keys)) = (call.is_delegate, &call.callee) {
                        code.extend(keys);
                    }
                    let rests_on = &call.guard.rests_on;
                    authority.extend(rests_on);
                    if call.is_delegate && call.callee != Callee::Fixed {
                        power.extend(rests_on);
                    }
                }
                let destructs = summary.destructs.iter().map(|site| &site.guard);
                power.extend(destructs.flat_map(|guard| &guard.rests_on));
                let guards = summary.writes.iter().map(|write| &write.guard);
                let guards = guards.chain(&summary.payouts);
                authority.extend(guards.flat_map(|guard| &guard.rests_on));
            }
            // Whoever can have the code destroyed or replaced is a matter of its own.
            authority.extend(&power);
            for summary in summaries {
                let first = |write: &&Write| {
                    write.is_one_shot
                        && !write.is_keyed
                        && write.is_account
                        && (write.is_chosen || write.is_sender)
                        && !self.holds(contract, &write.guard)
                };
                // What runs the code that it sets brings its own authority with it, as old proxies do.
                let of_code = summary
                    .writes
                    .iter()
                    .filter(first)
                    .find(|write| code.contains(&write.variable))
                    .filter(|_| !summary.calls.iter().any(|call| call.is_delegate));
                let of_authority = || {
                    let mut writes = summary.writes.iter().filter(first);
                    writes.find(|write| {
                        authority.contains(&write.variable) && !power.contains(&write.variable)
                    })
                };
                let (kind, write) = match (of_code, of_authority()) {
                    (Some(write), _) => (HazardKind::OpenCode, write),
                    (None, Some(write)) => (HazardKind::FirstComer, write),
                    (None, None) => continue,
                };
                if self.is_begun(summary) {
                    continue;
                }
                let detail = self.state_text(&write.variable);
                add(summary, kind, write.function, write.span, &write.path, &detail);
            }
        }
    }

    /// Whether nobody can come first: a constructor has used the function up, it is a proxy that gets its code in
    /// the same step, or what makes the contract calls it at once.
    fn is_begun(&self, summary: &Summary) -> bool {
        let is_used_up = || {
            let constructed = self.constructed(summary.contract);
            summary.reads.iter().any(|key: &StateKey| constructed.contains(key))
        };
        summary.is_partial
            || summary.writes.iter().any(|write| self.is_proxy_slot(&write.variable))
            || is_used_up()
            || self.is_called_by_maker(summary.function)
    }

    /// Whether some function that makes contracts calls this one from outside.
    fn is_called_by_maker(&self, function: FunctionId) -> bool {
        let graph = self.call_graph();
        graph.to(function).filter(|site| site.form == CallForm::External).any(|site| {
            let Caller::Function(caller) = site.caller else { return false };
            graph.reached_within(caller).into_iter().any(|inner| {
                graph.from(Caller::Function(inner)).any(|site| site.form == CallForm::Create)
            })
        })
    }
}
