//! A head: one block with everything that is needed to run it again.

use std::sync::Arc;

use alloy::primitives::{Address, B256};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PendingTransaction;

/// One mined block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRecord {
    /// Height.
    pub number: u64,
    /// Hash, as the node says.
    pub hash: B256,
    /// Hash of the block below.
    pub parent_hash: B256,
    /// Seconds since the epoch.
    pub timestamp_s: u64,
    /// Base fee, wei; zero before London.
    pub base_fee_wei: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Gas that its transactions used.
    pub gas_used: u64,
    /// Who takes the fees.
    pub coinbase: Address,
    /// `PREVRANDAO` (`mixHash`).
    pub prev_randao: B256,
    /// Root of its receipts: status, gas used and logs of every transaction.
    pub receipts_root: Option<B256>,
    /// Excess blob gas, since Cancun.
    pub excess_blob_gas: Option<u64>,
    /// Blob gas that its transactions used, since Cancun.
    pub blob_gas_used: Option<u64>,
    /// Root of the parent beacon block, since Cancun (EIP-4788).
    pub parent_beacon_block_root: Option<B256>,
    /// Ether credited without a transaction, since Shanghai.
    pub withdrawals: Vec<Withdrawal>,
    /// Its transactions, in order.
    pub transactions: Vec<Arc<PendingTransaction>>,
    /// Transactions in it that could not be decoded: the block cannot be run again exactly.
    pub undecoded: usize,
    /// When it was seen, milliseconds since the epoch, by the source's clock.
    pub seen_at_ms: u64,
}

/// Ether that the consensus layer pays out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// Receiver.
    #[schemars(with = "String")]
    pub address: Address,
    /// Amount, gwei.
    pub amount_gwei: u64,
}

/// The header of a block, as far as it is needed to stand on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Height.
    pub number: u64,
    /// Hash.
    #[schemars(with = "String")]
    pub hash: B256,
    /// Seconds since the epoch.
    pub timestamp_s: u64,
    /// Base fee, wei.
    pub base_fee_wei: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Gas used.
    pub gas_used: u64,
    /// `PREVRANDAO`.
    #[schemars(with = "String")]
    pub prev_randao: B256,
    /// Who took the fees.
    #[schemars(with = "String")]
    pub coinbase: Address,
    /// Excess blob gas.
    pub excess_blob_gas: u64,
    /// Blob gas used.
    pub blob_gas_used: u64,
}

impl From<&BlockRecord> for Head {
    fn from(block: &BlockRecord) -> Self {
        Self {
            number: block.number,
            hash: block.hash,
            timestamp_s: block.timestamp_s,
            base_fee_wei: block.base_fee_wei,
            gas_limit: block.gas_limit,
            gas_used: block.gas_used,
            prev_randao: block.prev_randao,
            coinbase: block.coinbase,
            excess_blob_gas: block.excess_blob_gas.unwrap_or_default(),
            blob_gas_used: block.blob_gas_used.unwrap_or_default(),
        }
    }
}
