//! The receipts of a block as they were run here, for comparison with its header.

use alloy::{
    consensus::{Receipt, ReceiptEnvelope, proofs::calculate_receipt_root},
    primitives::B256,
};
use revm::context::result::ExecutionResult;

use crate::source::PendingTransaction;

/// Receipts in the block's order.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    gas_used: u64,
    list: Vec<ReceiptEnvelope>,
}

impl Receipts {
    pub(super) fn push(&mut self, tx: &PendingTransaction, result: &ExecutionResult) {
        self.gas_used = self.gas_used.saturating_add(result.tx_gas_used());
        let logs = if result.is_success() { result.logs().to_vec() } else { Vec::new() };
        let receipt = Receipt {
            status: result.is_success().into(),
            cumulative_gas_used: self.gas_used,
            logs,
        };
        self.list.push(ReceiptEnvelope::from_typed(tx.envelope.tx_type(), receipt));
    }

    /// Gas used by all of them.
    pub(super) fn gas_used(&self) -> u64 {
        self.gas_used
    }

    /// Root of their trie: status, gas and logs of every one.
    pub(super) fn root(&self) -> B256 {
        calculate_receipt_root(&self.list)
    }
}
