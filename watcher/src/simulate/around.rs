//! Views and slots, read on the state that a transaction finds and on the one that it leaves.

use std::{collections::HashSet, sync::Arc};

use alloy::primitives::{Address, B256, Bytes, U256};
use revm::{
    context::result::ExecutionResult,
    database_interface::{Database as _, DatabaseCommit as _},
    inspector::NoOpInspector,
};

use super::{Bench, LeftBehind, SimError, Simulator, evm, execution::Execution};
use crate::{source::PendingTransaction, state::StateView};

/// Gas of one view; what needs more says nothing.
const VIEW_GAS: u64 = 5_000_000;

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// One slot.
    Slot {
        /// Account whose storage it is.
        of: Address,
        /// The slot.
        slot: U256,
    },
    /// Calls in a row, the first on `of`, each other on the address that the one before it returned.
    Views {
        /// Account called first.
        of: Address,
        /// Calldata of each.
        calls: Vec<Bytes>,
    },
}

/// One word before and after; none where the view reverts, returns less than a word, or there is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    /// On the state that the transaction finds.
    pub before: Option<B256>,
    /// On the state that it leaves.
    pub after: Option<B256>,
}

/// What a reading depends on.
#[derive(Debug, Default)]
struct Inputs {
    accounts: HashSet<Address>,
    slots: HashSet<(Address, U256)>,
}

impl Simulator {
    /// Reads `plans` before and after `tx`, whose `execution` on the same state is known, and `left` what it left where
    /// that was kept. Otherwise the transaction is run again, where it changed something that a plan reads.
    ///
    /// # Errors
    /// See [`SimError`].
    pub fn read_around(
        &self,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
        execution: &Execution,
        left: Option<&mut LeftBehind<'_>>,
        plans: &[Plan],
    ) -> Result<Vec<Around>, SimError> {
        match left {
            Some(LeftBehind { view, bench }) => {
                let after = Some(bench);
                self.read_on(view, (tx, predecessors), execution, after, plans)
            }
            None => {
                let view = self.view(tx.hash)?;
                self.read_on(&view, (tx, predecessors), execution, None, plans)
            }
        }
    }

    fn read_on<'v>(
        &self,
        view: &'v StateView<'v>,
        (tx, predecessors): (&PendingTransaction, &[Arc<PendingTransaction>]),
        execution: &Execution,
        left: Option<&mut Bench<'v>>,
        plans: &[Plan],
    ) -> Result<Vec<Around>, SimError> {
        let mut bench = Bench::new(view, self.state(), self.limits, tx, predecessors);
        bench.prepare(tx, predecessors)?;
        let mut answers = Vec::with_capacity(plans.len());
        let mut stale = Vec::new();
        for (place, plan) in plans.iter().enumerate() {
            let mut inputs = Inputs::default();
            let before = bench.read(self, tx.hash, plan, &mut inputs)?;
            answers.push(Around { before, after: before });
            if inputs.are_changed_by(execution) {
                stale.push(place);
            }
        }
        if stale.is_empty() {
            return Ok(answers);
        }
        let after = match left {
            Some(left) => left,
            None => {
                let env = evm::tx_env(tx);
                let done = evm::run(&bench.cfg, &bench.block, &mut bench.layer, env, NoOpInspector)
                    .map_err(|error| match error {
                        evm::RunError::Database(source) => {
                            SimError::State { tx_hash: tx.hash, source }
                        }
                        other => SimError::Invalid { tx_hash: tx.hash, reason: other.to_string() },
                    })?;
                bench.layer.commit(done.state);
                &mut bench
            }
        };
        for place in stale {
            answers[place].after =
                after.read(self, tx.hash, &plans[place], &mut Inputs::default())?;
        }
        Ok(answers)
    }
}

impl Bench<'_> {
    fn read(
        &mut self,
        simulator: &Simulator,
        tx_hash: B256,
        plan: &Plan,
        inputs: &mut Inputs,
    ) -> Result<Option<B256>, SimError> {
        let failed = |source| SimError::State { tx_hash, source };
        match plan {
            Plan::Slot { of, slot } => {
                inputs.slots.insert((*of, *slot));
                // The layer answers for slots of accounts that it has loaded.
                self.layer.basic(*of).map_err(failed)?;
                let value = self.layer.storage(*of, *slot).map_err(failed)?;
                Ok(Some(value.into()))
            }
            Plan::Views { of, calls } => {
                let cfg = evm::unsigned_cfg(simulator.state().rules(), self.head.saturating_add(1));
                let (mut to, mut word) = (*of, None);
                for data in calls {
                    let env = evm::call_env(
                        simulator.state().rules(),
                        Address::ZERO,
                        to,
                        data.clone(),
                        U256::ZERO,
                        VIEW_GAS,
                    );
                    let done =
                        match evm::run(&cfg, &self.block, &mut self.layer, env, NoOpInspector) {
                            Ok(done) => done,
                            Err(evm::RunError::Database(source)) => return Err(failed(source)),
                            Err(_) => return Ok(None),
                        };
                    inputs.accounts.extend(done.state.keys());
                    inputs.slots.extend(done.state.iter().flat_map(|(address, account)| {
                        account.storage.keys().map(|slot| (*address, *slot))
                    }));
                    let ExecutionResult::Success { output, .. } = done.result else {
                        return Ok(None);
                    };
                    let Some(first) = output.data().get(..32) else { return Ok(None) };
                    let found = B256::from_slice(first);
                    to = Address::from_word(found);
                    word = Some(found);
                }
                Ok(word)
            }
        }
    }
}

impl Inputs {
    fn are_changed_by(&self, execution: &Execution) -> bool {
        let writes = || {
            execution.accesses.iter().filter(|access| {
                access.kept
                    && !access.transient
                    && access.after.is_some_and(|after| after != access.before)
            })
        };
        let has_other_balance = || {
            let balances = execution.balances_before.iter().zip(&execution.balances_after);
            let mut changed = balances.filter(|(before, after)| before.1 != after.1);
            changed.any(|(before, _)| self.accounts.contains(&before.0))
        };
        // What was cut off may have changed anything.
        execution.truncated
            || writes().any(|access| self.slots.contains(&(access.address, access.slot)))
            || has_other_balance()
            || execution
                .created
                .iter()
                .chain(&execution.destroyed)
                .any(|address| self.accounts.contains(address))
    }
}
