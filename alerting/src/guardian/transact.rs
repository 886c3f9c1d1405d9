//! An ordinary transaction, for setting a guardian up: signed, sent, and waited for.

use std::time::Duration;

use alloy::consensus::TxEip1559;
use alloy::eips::Encodable2718;
use alloy::primitives::{Address, B256, Bytes, TxKind, U64, U128, U256};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::rpc::{ask, bad_answer};
use super::{GuardianError, Key, Rpc};

/// How often a receipt is asked for.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Receiver; none creates a contract.
    pub to: Option<Address>,
    /// Call data, or creation code.
    pub data: Bytes,
    /// Ether to send along, in wei.
    pub value_wei: U256,
}

/// What became of a mined transaction.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The transaction.
    pub transaction_hash: B256,
    /// Hash of its block.
    pub block_hash: B256,
    /// Number of its block.
    pub block_number: U64,
    /// Position in its block.
    pub transaction_index: U64,
    /// One where it succeeded, zero where it reverted.
    pub status: U64,
    /// Gas that it used.
    pub gas_used: U64,
    /// What it paid per gas, in wei.
    pub effective_gas_price: U128,
    /// The contract that it created.
    pub contract_address: Option<Address>,
}

impl Receipt {
    /// Whether it succeeded.
    pub fn has_succeeded(&self) -> bool {
        self.status == U64::from(1)
    }
}

/// Signs a transaction with the next nonce and the node's own estimates, sends it, and waits until it is mined.
///
/// # Errors
/// [`GuardianError::Rpc`] where the node refuses it (a revert shows in its estimate), [`GuardianError::NotMined`]
/// where it is not mined within `within`.
pub async fn transact(
    key: &Key,
    rpc: &dyn Rpc,
    transaction: &Transaction,
    within: Duration,
) -> Result<Receipt, GuardianError> {
    let from = key.address();
    let mut call =
        json!({ "from": from, "input": transaction.data, "value": transaction.value_wei });
    if let Some(to) = transaction.to {
        call["to"] = json!(to);
    }
    let chain_id: U64 = ask(rpc, "eth_chainId", json!([]), "a quantity").await?;
    let nonce: U64 =
        ask(rpc, "eth_getTransactionCount", json!([from, "pending"]), "a quantity").await?;
    let gas: U64 = ask(rpc, "eth_estimateGas", json!([call]), "a quantity").await?;
    let gas_price: U128 = ask(rpc, "eth_gasPrice", json!([]), "a quantity").await?;
    let gas_price = gas_price.saturating_to::<u128>();
    let unsigned = TxEip1559 {
        chain_id: chain_id.saturating_to(),
        nonce: nonce.saturating_to(),
        // An estimate is exact for the state it was made on; the state moves.
        gas_limit: gas.saturating_to::<u64>().saturating_mul(5) / 4,
        max_fee_per_gas: gas_price.saturating_mul(2),
        max_priority_fee_per_gas: gas_price.min(1_000_000_000),
        to: transaction.to.map_or(TxKind::Create, TxKind::Call),
        value: transaction.value_wei,
        access_list: Default::default(),
        input: transaction.data.clone(),
    };
    let signed = key.sign(unsigned).map_err(|reason| GuardianError::Sign { reason })?;
    let raw = Bytes::from(signed.encoded_2718());
    let tx_hash: B256 =
        ask(rpc, "eth_sendRawTransaction", json!([raw]), "a transaction hash").await?;
    if tx_hash != *signed.tx_hash() {
        return Err(bad_answer(
            rpc,
            "eth_sendRawTransaction",
            "the hash of what was sent",
            &json!(tx_hash),
        ));
    }
    let started = Instant::now();
    loop {
        if let Some(receipt) = receipt(rpc, tx_hash).await? {
            return Ok(receipt);
        }
        if started.elapsed() >= within {
            return Err(GuardianError::NotMined {
                tx_hash,
                reason: format!("waited {} ms", within.as_millis()),
            });
        }
        sleep(POLL_EVERY).await;
    }
}

/// The receipt of a transaction; none while it is not mined.
///
/// # Errors
/// [`GuardianError::Rpc`], [`GuardianError::BadAnswer`].
pub async fn receipt(rpc: &dyn Rpc, tx_hash: B256) -> Result<Option<Receipt>, GuardianError> {
    let receipt: Option<Receipt> =
        ask(rpc, "eth_getTransactionReceipt", json!([tx_hash]), "a receipt or null").await?;
    match receipt {
        Some(other) if other.transaction_hash != tx_hash => Err(bad_answer(
            rpc,
            "eth_getTransactionReceipt",
            "the receipt asked for",
            &json!(other.transaction_hash),
        )),
        receipt => Ok(receipt),
    }
}
