//! The state taken to a mined block, with an eye on what its transactions did to some accounts.

use alloy::primitives::Address;

use super::{Envelope, SimError, Simulator, evm, execution::Execution, record};
use crate::{
    source::{BlockRecord, PendingTransaction},
    state::{AdvanceReport, StateError},
};

impl Simulator {
    /// Moves the state to `block`, as [`crate::state::ForkedState::advance`] does, and hands over the executions of those
    /// of its transactions that touch an account that `concerns` names, or create one. Unless the state moved exactly,
    /// what was handed over is not all, and may not be right.
    ///
    /// Every transaction is run once, and those that are handed over once more.
    ///
    /// # Errors
    /// State that the block needs could not be had.
    pub fn advance(
        &self,
        block: &BlockRecord,
        concerns: impl Fn(&Address) -> bool,
        mut each: impl FnMut(&PendingTransaction, Execution),
    ) -> Result<AdvanceReport, StateError> {
        self.state().advance_by(block, |run, tx| {
            let done = run.peek(tx)?;
            let is_concerned = done
                .state
                .iter()
                .any(|(address, account)| concerns(address) || account.is_created())
                // A token's log may name an account that the transaction itself never loads.
                || done.result.logs().iter().flat_map(|log| log.topics()).any(|topic| {
                    topic.starts_with(&[0; 12]) && concerns(&Address::from_word(*topic))
                });
            if is_concerned {
                // What it writes is what is settled below.
                let recorded = record(
                    &mut run.layer,
                    (&run.cfg, &run.env),
                    run.head,
                    self.limits,
                    Envelope::of(tx),
                    evm::tx_env(tx),
                );
                match recorded {
                    Ok(execution) => each(tx, execution),
                    Err(SimError::State { source, .. }) => {
                        return Err(evm::RunError::Database(source));
                    }
                    Err(error) => return Err(evm::RunError::Custom(error.to_string())),
                }
            }
            run.settle(tx, done);
            Ok(())
        })
    }
}
