//! What nodes put into JSON, read into our own records and never believed further than it can be checked.

use std::sync::Arc;

use alloy::{
    primitives::{Address, B256, U64},
    rpc::types::Transaction,
};
use serde::Deserialize;
use serde_json::Value;

use super::{BlockRecord, PendingTransaction, Refusal, Withdrawal};

/// One ether per gas.
const BASE_FEE_LIMIT_WEI: u64 = 1_000_000_000_000_000_000;
/// The least that the protocol allows.
const GAS_LIMIT_LEAST: u64 = 5_000;

/// A transaction from a node's JSON; sender and hash are computed and must be what the node says.
pub(super) fn transaction(
    value: Value,
    seen_at_ms: u64,
    node: &Arc<str>,
) -> Result<PendingTransaction, Refusal> {
    let said_sender = value.get("from").and_then(Value::as_str).map(str::to_lowercase);
    let said_hash = value.get("hash").and_then(Value::as_str).map(str::to_lowercase);
    let transaction: Transaction = serde_json::from_value(value)
        .map_err(|error| Refusal::Undecodable { detail: error.to_string() })?;
    let tx = PendingTransaction::from_envelope(
        transaction.inner.into_inner(),
        seen_at_ms,
        Arc::clone(node),
    )?;
    agree("hash", said_hash, format!("{:#x}", tx.hash))?;
    agree("from", said_sender, format!("{:#x}", tx.sender))?;
    Ok(tx)
}

fn agree(field: &'static str, said: Option<String>, computed: String) -> Result<(), Refusal> {
    match said {
        Some(said) if said != computed => Err(Refusal::Contradiction { field, said, computed }),
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    #[serde(default)]
    base_fee_per_gas: U64,
    gas_limit: U64,
    gas_used: U64,
    miner: Address,
    #[serde(default)]
    mix_hash: B256,
    receipts_root: Option<B256>,
    excess_blob_gas: Option<U64>,
    blob_gas_used: Option<U64>,
    parent_beacon_block_root: Option<B256>,
    #[serde(default)]
    withdrawals: Option<Vec<WireWithdrawal>>,
    transactions: Vec<Value>,
}

#[derive(Deserialize)]
struct WireWithdrawal {
    address: Address,
    amount: U64,
}

/// A block with whole transactions from a node's JSON, and why some of them were not taken.
pub(super) fn block(
    value: Value,
    seen_at_ms: u64,
    node: &Arc<str>,
) -> Result<(BlockRecord, Vec<Refusal>), String> {
    let block: Block = serde_json::from_value(value)
        .map_err(|error| format!("a block with transactions: {error}"))?;
    let mut refusals = Vec::new();
    let mut transactions = Vec::with_capacity(block.transactions.len());
    for tx in block.transactions {
        match transaction(tx, seen_at_ms, node) {
            Ok(tx) => transactions.push(Arc::new(tx)),
            Err(refusal) => refusals.push(refusal),
        }
    }
    let record = BlockRecord {
        number: block.number.to(),
        hash: block.hash,
        parent_hash: block.parent_hash,
        timestamp_s: block.timestamp.to(),
        base_fee_wei: block.base_fee_per_gas.to(),
        gas_limit: block.gas_limit.to(),
        gas_used: block.gas_used.to(),
        coinbase: block.miner,
        prev_randao: block.mix_hash,
        receipts_root: block.receipts_root,
        excess_blob_gas: block.excess_blob_gas.map(|gas| gas.to()),
        blob_gas_used: block.blob_gas_used.map(|gas| gas.to()),
        parent_beacon_block_root: block.parent_beacon_block_root,
        withdrawals: block
            .withdrawals
            .unwrap_or_default()
            .into_iter()
            .map(|one| Withdrawal { address: one.address, amount_gwei: one.amount.to() })
            .collect(),
        transactions,
        undecoded: refusals.len(),
        seen_at_ms,
    };
    plausible(&record)?;
    Ok((record, refusals))
}

/// Refuses headers that no chain has and that arithmetic on headers would stumble over.
pub(super) fn plausible(block: &BlockRecord) -> Result<(), String> {
    if block.gas_limit < GAS_LIMIT_LEAST || block.gas_used > block.gas_limit {
        return Err(format!(
            "a gas limit of at least {GAS_LIMIT_LEAST} and gas used within it, not {} and {}",
            block.gas_limit, block.gas_used
        ));
    }
    if block.base_fee_wei > BASE_FEE_LIMIT_WEI {
        return Err(format!(
            "a base fee of at most {BASE_FEE_LIMIT_WEI} wei, not {}",
            block.base_fee_wei
        ));
    }
    if block.number == u64::MAX || block.timestamp_s > u64::from(u32::MAX) * 1000 {
        return Err(format!("a height and a time, not {} and {}", block.number, block.timestamp_s));
    }
    Ok(())
}
