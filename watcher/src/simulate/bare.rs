//! The machine alone, as the measure that simulations are held against.

use std::{fmt, sync::Arc};

use revm::{
    Context, ExecuteEvm as _, Journal, MainBuilder as _,
    context::{BlockEnv, CfgEnv, TxEnv},
    database::{CacheDB, EmptyDB},
    inspector::NoOpInspector,
};

use super::{Bench, SimError, Simulator};
use crate::{source::PendingTransaction, state::evm};

/// One transaction with all state that it needs in a plain map: what no simulation can be faster than.
pub struct Bare {
    db: CacheDB<EmptyDB>,
    cfg: CfgEnv,
    block: BlockEnv,
    tx: TxEnv,
}

impl fmt::Debug for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bare").field("tx", &self.tx).finish_non_exhaustive()
    }
}

impl Simulator {
    /// What the machine alone needs to run `tx` on the state that `predecessors` leave.
    ///
    /// # Errors
    /// As [`Simulator::simulate`].
    pub fn bare(
        &self,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
    ) -> Result<Bare, SimError> {
        let view = self.view(tx.hash)?;
        let mut bench = Bench::new(&view, self.state(), self.limits, tx, predecessors);
        bench.prepare(tx, predecessors)?;
        let env = evm::tx_env(tx);
        // One run brings everything that it reads into the layer, which is then cut off from the state below.
        evm::run(&bench.cfg, &bench.block, &mut bench.layer, env.clone(), NoOpInspector).map_err(
            |error| match error {
                evm::RunError::Database(source) => SimError::State { tx_hash: tx.hash, source },
                other => SimError::Invalid { tx_hash: tx.hash, reason: other.to_string() },
            },
        )?;
        let db = CacheDB { cache: bench.layer.cache, db: EmptyDB::default() };
        Ok(Bare { db, cfg: bench.cfg, block: bench.block, tx: env })
    }
}

impl Bare {
    /// Runs it once more, and keeps nothing of what it wrote; returns the gas used, zero where it may not run.
    pub fn run(&mut self) -> u64 {
        let (cfg, block) = (self.cfg.clone(), self.block.clone());
        Context::<BlockEnv, TxEnv, CfgEnv, _, Journal<_>, ()>::new(&mut self.db, cfg.spec)
            .with_cfg(cfg)
            .with_block(block)
            .build_mainnet()
            .transact(self.tx.clone())
            .map_or(0, |done| done.result.tx_gas_used())
    }
}
