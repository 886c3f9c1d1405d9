//! One transaction run on the forked state, with one inspector that writes down what later stages may know.
//!
//! A [`Simulator`] runs a transaction with its real envelope in a header that the next block could have, on the
//! head plus the pending transactions that it depends on. The state below is never written.

mod around;
mod bare;
mod calls;
pub mod execution;
mod inspect;
mod walk;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use alloy::primitives::{Address, B256, Bytes, U256};
use revm::{
    context::{
        BlockEnv, CfgEnv, TxEnv,
        result::{ExecutionResult, InvalidTransaction},
    },
    database::CacheDB,
    database_interface::{Database as _, DatabaseCommit as _},
    inspector::NoOpInspector,
};

use self::{
    execution::{Envelope, Execution, Status},
    inspect::Recorder,
};
use crate::{
    source::PendingTransaction,
    state::{ForkedState, StateError, StateView, evm},
};

pub use around::{Around, Plan};
pub use bare::Bare;
pub use calls::CallOnly;

/// Runs transactions on a chain's state. Cheap to clone; runs on the caller's thread, and blocks on state that
/// must be fetched.
#[derive(Debug, Clone)]
pub struct Simulator {
    state: Arc<ForkedState>,
    limits: Limits,
}

/// How much of one execution is run and written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Transactions that may use more gas than this are not run.
    pub gas: u64,
    /// Call frames.
    pub frames: usize,
    /// Storage accesses.
    pub accesses: usize,
    /// Logs, ether moves, mapping slots: each.
    pub events: usize,
    /// Bytes of call inputs and outputs, together.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            gas: 60_000_000,
            frames: 20_000,
            accesses: 100_000,
            events: 20_000,
            bytes: 16 * 1024 * 1024,
        }
    }
}

/// Why a transaction could not be simulated.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// State that it needs could not be had.
    #[error("transaction {tx_hash}: {source}")]
    State {
        /// Hash.
        tx_hash: B256,
        /// Why not.
        source: StateError,
    },
    /// Its nonce is not the sender's next, even after its predecessors.
    #[error("transaction {tx_hash}: nonce {found} where the sender's next is {expected}")]
    Nonce {
        /// Hash.
        tx_hash: B256,
        /// The sender's next nonce.
        expected: u64,
        /// The transaction's.
        found: u64,
    },
    /// It may not be mined as it stands.
    #[error("transaction {tx_hash} is invalid: {reason}")]
    Invalid {
        /// Hash.
        tx_hash: B256,
        /// What the machine says.
        reason: String,
    },
    /// It may use more gas than is simulated.
    #[error("transaction {tx_hash}: gas limit {gas_limit} is over the {allowed} that is simulated")]
    Limit {
        /// Hash.
        tx_hash: B256,
        /// The transaction's.
        gas_limit: u64,
        /// [`Limits::gas`].
        allowed: u64,
    },
}

impl Simulator {
    /// A simulator over `state`, with the default [`Limits`].
    pub fn new(state: Arc<ForkedState>) -> Self {
        Self { state, limits: Limits::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The state below.
    pub fn state(&self) -> &Arc<ForkedState> {
        &self.state
    }

    /// As [`Simulator::simulate`], on a head that the caller holds still, and keeps the state that `tx` leaves.
    ///
    /// # Errors
    /// As [`Simulator::simulate`].
    pub fn run_on<'v>(
        &self,
        view: &'v StateView<'v>,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
    ) -> Result<Ran<'v>, SimError> {
        let mut bench = Bench::new(view, &self.state, self.limits, tx, predecessors);
        bench.prepare(tx, predecessors)?;
        let execution = bench.run_signed(tx)?;
        Ok(Ran { execution, left: LeftBehind { view, bench } })
    }

    /// Runs `predecessors` in order, then `tx`, and says what `tx` did.
    ///
    /// A predecessor that may not run (mined meanwhile, replaced) is passed over. Where the sender offers less
    /// than the next base fee, the block's base fee is lowered to that: it is the first block that could mine it.
    ///
    /// # Errors
    /// See [`SimError`]; an execution that reverts or halts is none.
    pub fn simulate(
        &self,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
    ) -> Result<Execution, SimError> {
        let view = self.view(tx.hash)?;
        self.run_on(&view, tx, predecessors).map(|ran| ran.execution)
    }

    fn view(&self, tx_hash: B256) -> Result<StateView<'_>, SimError> {
        self.state.view().map_err(|source| SimError::State { tx_hash, source })
    }
}

/// A transaction that was run, and the state that it left.
#[derive(Debug)]
pub struct Ran<'v> {
    /// What it did.
    pub execution: Execution,
    /// On what, and what it left.
    pub left: LeftBehind<'v>,
}

/// The state below a transaction, held still, and what is written over it by the transaction and those before it.
pub struct LeftBehind<'v> {
    view: &'v StateView<'v>,
    bench: Bench<'v>,
}

impl fmt::Debug for LeftBehind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeftBehind").field("head", &self.bench.head).finish_non_exhaustive()
    }
}

/// One simulation's private layer over the state, and the header that it runs in.
struct Bench<'a> {
    layer: evm::Layer<'a>,
    head: u64,
    cfg: CfgEnv,
    block: BlockEnv,
    limits: Limits,
}

impl<'a> Bench<'a> {
    fn new(
        view: &'a StateView<'a>,
        state: &ForkedState,
        limits: Limits,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
    ) -> Self {
        let mut block = evm::next_block(state.rules(), view.head());
        let offered = predecessors
            .iter()
            .filter(|before| before.sender == tx.sender)
            .map(|before| before.max_fee_per_gas_wei())
            .fold(tx.max_fee_per_gas_wei(), u128::min);
        block.basefee = block.basefee.min(u64::try_from(offered).unwrap_or(u64::MAX));
        Self {
            layer: CacheDB::new(view),
            head: view.head().number,
            cfg: evm::cfg(state.rules(), view.head().number.saturating_add(1)),
            block,
            limits,
        }
    }

    fn prepare(
        &mut self,
        tx: &PendingTransaction,
        predecessors: &[Arc<PendingTransaction>],
    ) -> Result<(), SimError> {
        self.check_gas(tx.hash, tx.gas_limit())?;
        for before in predecessors {
            if before.gas_limit() > self.limits.gas {
                continue;
            }
            match evm::run(
                &self.cfg,
                &self.block,
                &mut self.layer,
                evm::tx_env(before),
                NoOpInspector,
            ) {
                Ok(done) => self.layer.commit(done.state),
                Err(evm::RunError::Database(source)) => {
                    return Err(SimError::State { tx_hash: before.hash, source });
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn check_gas(&self, tx_hash: B256, gas_limit: u64) -> Result<(), SimError> {
        if gas_limit > self.limits.gas {
            return Err(SimError::Limit { tx_hash, gas_limit, allowed: self.limits.gas });
        }
        Ok(())
    }

    fn run_signed(&mut self, tx: &PendingTransaction) -> Result<Execution, SimError> {
        let cfg = self.cfg.clone();
        self.run(&cfg, Envelope::of(tx), evm::tx_env(tx))
    }

    fn run(&mut self, cfg: &CfgEnv, envelope: Envelope, tx: TxEnv) -> Result<Execution, SimError> {
        record(&mut self.layer, (cfg, &self.block), self.head, self.limits, envelope, tx)
    }
}

/// Runs one transaction on a layer, in a block on the head of this height, and writes down what it does.
fn record(
    layer: &mut evm::Layer<'_>,
    (cfg, block): (&CfgEnv, &BlockEnv),
    head: u64,
    limits: Limits,
    envelope: Envelope,
    tx: TxEnv,
) -> Result<Execution, SimError> {
    let tx_hash = envelope.tx_hash;
    let mut recorder = Recorder::new(limits);
    let done =
        evm::run(cfg, block, &mut *layer, tx, &mut recorder).map_err(|error| match error {
            evm::RunError::Database(source) => SimError::State { tx_hash, source },
            evm::RunError::Transaction(
                InvalidTransaction::NonceTooHigh { tx, state }
                | InvalidTransaction::NonceTooLow { tx, state },
            ) => SimError::Nonce { tx_hash, expected: state, found: tx },
            other => SimError::Invalid { tx_hash, reason: other.to_string() },
        })?;

    let mut touched: Vec<(Address, U256)> = done
        .state
        .iter()
        .filter(|(_, account)| account.is_touched())
        .map(|(address, account)| (*address, account.info.balance))
        .collect();
    touched.sort_unstable_by_key(|(address, _)| *address);
    let mut balances_before = Vec::with_capacity(touched.len());
    for (address, _) in &touched {
        let info = layer.basic(*address).map_err(|source| SimError::State { tx_hash, source })?;
        balances_before.push((*address, info.map(|info| info.balance).unwrap_or_default()));
    }
    let gas_used = done.result.tx_gas_used();
    let status = status(&done.result);
    layer.commit(done.state);

    let recorded = recorder.finish();
    Ok(Execution {
        envelope,
        head,
        base_fee_wei: u128::from(block.basefee),
        status,
        gas_used,
        frames: recorded.frames,
        logs: recorded.logs,
        ether: recorded.ether,
        accesses: recorded.accesses,
        mapping_slots: recorded.mapping_slots,
        created: recorded.created,
        destroyed: recorded.destroyed,
        balances_before,
        balances_after: touched,
        truncated: recorded.truncated,
    })
}

impl Envelope {
    fn of(tx: &PendingTransaction) -> Self {
        Self {
            tx_hash: tx.hash,
            sender: tx.sender,
            to: tx.to(),
            nonce: tx.nonce(),
            value: tx.value_wei(),
            input: tx.input().clone(),
            gas_limit: tx.gas_limit(),
            max_fee_per_gas: tx.max_fee_per_gas_wei(),
            max_priority_fee_per_gas: tx.max_priority_fee_per_gas_wei(),
        }
    }
}

fn status(result: &ExecutionResult) -> Status {
    match result {
        ExecutionResult::Success { .. } => Status::Success,
        ExecutionResult::Revert { output, .. } => Status::Revert { reason: revert_reason(output) },
        ExecutionResult::Halt { reason, .. } => Status::Halt { reason: format!("{reason:?}") },
    }
}

/// `Error(string)` and `Panic(uint256)` in words, anything else as hex, cut at 256 bytes.
pub fn revert_reason(data: &Bytes) -> String {
    use alloy::sol_types::{Panic, Revert, SolError as _};
    if let Ok(revert) = Revert::abi_decode(data) {
        return revert.reason.chars().take(1024).collect();
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return panic.to_string();
    }
    Bytes::copy_from_slice(data.get(..256).unwrap_or(data)).to_string()
}
