//! A mined block, run again on the state below it, for what it did to some accounts.

use alloy::primitives::Address;
use revm::{database::CacheDB, database_interface::DatabaseCommit as _, inspector::NoOpInspector};

use super::{Bench, SimError, Simulator, evm, execution::Execution};
use crate::{
    source::{BlockRecord, PendingTransaction},
    state::StateError,
};

impl Simulator {
    /// Runs the transactions of `block` in order on the head, which must be the block below, and hands over the
    /// executions of those that touch an account that `concerns` names, or create one. False where the head is another
    /// or a transaction may not run: what was handed over until then is right, and not all.
    ///
    /// # Errors
    /// State that the block needs could not be had.
    pub fn walk(
        &self,
        block: &BlockRecord,
        concerns: impl Fn(&Address) -> bool,
        mut each: impl FnMut(&PendingTransaction, Execution),
    ) -> Result<bool, StateError> {
        let view = match self.state().view() {
            Ok(view) => view,
            Err(StateError::NoHead) => return Ok(false),
            Err(error) => return Err(error),
        };
        if view.head().hash != block.parent_hash || block.undecoded > 0 {
            return Ok(false);
        }
        let mut bench = Bench {
            layer: CacheDB::new(&view),
            head: view.head().number,
            cfg: evm::cfg(self.state().rules(), block.number),
            block: evm::mined_block(self.state().rules(), block),
            limits: self.limits,
        };
        for tx in &block.transactions {
            let done = evm::run(
                &bench.cfg,
                &bench.block,
                &mut bench.layer,
                evm::tx_env(tx),
                NoOpInspector,
            );
            let done = match done {
                Ok(done) => done,
                Err(evm::RunError::Database(error)) => return Err(error),
                Err(_) => return Ok(false),
            };
            let is_concerned = done
                .state
                .iter()
                .any(|(address, account)| concerns(address) || account.is_created())
                // A token's log may name an account that the transaction itself never loads.
                || done.result.logs().iter().flat_map(|log| log.topics()).any(|topic| {
                    topic.starts_with(&[0; 12]) && concerns(&Address::from_word(*topic))
                });
            if !is_concerned {
                bench.layer.commit(done.state);
                continue;
            }
            match bench.run_signed(tx) {
                Ok(execution) => each(tx, execution),
                Err(SimError::State { source, .. }) => return Err(source),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}
