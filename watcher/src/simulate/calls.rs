//! What would happen if calls that nobody signed came first: the counterfactual of a pause.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};

use super::{
    Bench, SimError, Simulator, evm,
    execution::{Envelope, Execution},
};
use crate::source::PendingTransaction;

/// A call without a signature: neither nonce nor fee is checked, and ether that the caller lacks fails the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOnly {
    /// `msg.sender`.
    pub from: Address,
    /// Receiver.
    pub to: Address,
    /// Calldata.
    pub data: Bytes,
    /// Ether sent, wei.
    pub value: U256,
    /// Gas limit.
    pub gas: u64,
}

impl Simulator {
    /// Runs `predecessors`, then `calls`, then `then`, each on what the one before left, in one block; returns the
    /// executions of the calls and of `then`.
    ///
    /// The hash in a call's [`Envelope`] is made from its fields.
    ///
    /// # Errors
    /// See [`SimError`]; an execution that reverts or halts is none.
    pub fn simulate_calls(
        &self,
        predecessors: &[Arc<PendingTransaction>],
        calls: &[CallOnly],
        then: &PendingTransaction,
    ) -> Result<(Vec<Execution>, Execution), SimError> {
        let view = self.view(then.hash)?;
        let mut bench = Bench::new(&view, &self.state, self.limits, then, predecessors);
        bench.prepare(then, predecessors)?;
        let cfg = evm::unsigned_cfg(self.state.rules(), view.head().number.saturating_add(1));
        let mut executions = Vec::with_capacity(calls.len());
        for call in calls {
            let tx_hash = call.pseudo_hash();
            bench.check_gas(tx_hash, call.gas)?;
            let envelope = Envelope {
                tx_hash,
                sender: call.from,
                to: Some(call.to),
                nonce: 0,
                value: call.value,
                input: call.data.clone(),
                gas_limit: call.gas,
                max_fee_per_gas: 0,
                max_priority_fee_per_gas: 0,
            };
            let tx = evm::call_env(
                self.state.rules(),
                call.from,
                call.to,
                call.data.clone(),
                call.value,
                call.gas,
            );
            executions.push(bench.run(&cfg, envelope, tx)?);
        }
        let last = bench.run_signed(then)?;
        Ok((executions, last))
    }
}

impl CallOnly {
    fn pseudo_hash(&self) -> B256 {
        let mut bytes = Vec::with_capacity(88 + self.data.len());
        bytes.extend_from_slice(self.from.as_slice());
        bytes.extend_from_slice(self.to.as_slice());
        bytes.extend_from_slice(&self.value.to_be_bytes::<32>());
        bytes.extend_from_slice(&self.gas.to_be_bytes());
        bytes.extend_from_slice(&self.data);
        keccak256(bytes)
    }
}
