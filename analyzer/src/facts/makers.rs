//! Contracts that a contract makes: whom their constructors call, which runs in the middle of the maker.

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use super::callee::hands_over_control;
use super::entry::Entry;
use super::origin::Origin;
use crate::cfg::*;
use crate::hir::ContractId;

/// The arguments, by position, that say whom the constructor of a contract calls; contracts whose constructor calls
/// nobody that its maker names are missing.
pub(crate) type Constructors = BTreeMap<ContractId, Vec<usize>>;

impl Facts<'_> {
    /// Whom the constructors of the contracts call that some body makes.
    pub(super) fn calling_constructors(&self) -> Constructors {
        let made: BTreeSet<ContractId> = self
            .bodies
            .iter()
            .flatten()
            .flat_map(|body| body.graph.node_weights())
            .flat_map(|block| &block.statements)
            .filter_map(|statement| match &statement.kind {
                StatementKind::Call(call) => match call.kind {
                    CallKind::New(made) => made,
                    _ => None,
                },
                _ => None,
            })
            .collect();
        made.into_iter()
            .filter_map(|contract| {
                let positions = self.called_arguments(contract)?;
                (!positions.is_empty()).then_some((contract, positions))
            })
            .collect()
    }

    fn called_arguments(&self, contract: ContractId) -> Option<Vec<usize>> {
        let view = self.deployment(contract)?;
        let entry = Entry::new(self.program, &view);
        let mut called = BTreeSet::new();
        for (_, statement) in entry.statements() {
            if let StatementKind::Call(call) = &statement.kind
                && hands_over_control(call)
                && let Some(callee) = &call.callee
            {
                called.extend(Origin::of(&entry, callee, false).params);
            }
        }
        let params = view.body.params.iter().enumerate();
        Some(params.filter(|(_, id)| called.contains(*id)).map(|(at, _)| at).collect())
    }
}
