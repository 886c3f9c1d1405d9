//! Single questions to a node, for whoever looks at one transaction and watches nothing.

use std::sync::Arc;

use alloy::primitives::{B256, U64};
use serde_json::{Value, json};

use super::{BlockRecord, NodeLink, PendingTransaction, Refusal, rpc::RpcError, wire};

/// Why a node could not tell.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The node failed, or its answer is no block.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The node knows no such transaction.
    #[error("node `{node}` knows no transaction {hash}")]
    NoTransaction {
        /// Node's configured name.
        node: Arc<str>,
        /// Hash asked for.
        hash: B256,
    },
    /// What the node told cannot be used.
    #[error("node `{node}`: {refusal}")]
    Refused {
        /// Node's configured name.
        node: Arc<str>,
        /// Why not.
        refusal: Refusal,
    },
}

/// A transaction by its hash, and the height of the block that holds it; none while it is pending.
///
/// # Errors
/// See [`LookupError`].
pub async fn transaction(
    link: &NodeLink,
    hash: B256,
    now_ms: u64,
) -> Result<(PendingTransaction, Option<u64>), LookupError> {
    let node = || Arc::clone(link.node());
    let answer = link.request("eth_getTransactionByHash", json!([hash])).await?;
    if answer.is_null() {
        return Err(LookupError::NoTransaction { node: node(), hash });
    }
    let refused = |refusal| LookupError::Refused { node: node(), refusal };
    let height = answer.get("blockNumber").filter(|height| !height.is_null()).cloned();
    let height: Option<U64> = height
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| refused(Refusal::Undecodable { detail: format!("block: {error}") }))?;
    let tx = wire::transaction(answer, now_ms, link.node()).map_err(refused)?;
    if tx.hash != hash {
        return Err(refused(Refusal::Contradiction {
            field: "hash",
            said: hash.to_string(),
            computed: tx.hash.to_string(),
        }));
    }
    Ok((tx, height.map(|height| height.to())))
}

/// A block by its height; the newest one without.
///
/// # Errors
/// [`LookupError::Rpc`], also where the node has no such block.
pub async fn block(
    link: &NodeLink,
    height: Option<u64>,
    now_ms: u64,
) -> Result<BlockRecord, LookupError> {
    const METHOD: &str = "eth_getBlockByNumber";
    let which = height.map_or_else(|| json!("latest"), |height| json!(U64::from(height)));
    let answer = link.request(METHOD, json!([which, true])).await?;
    let (block, _) = wire::block(answer, now_ms, link.node())
        .map_err(|expected| RpcError::Malformed { method: METHOD.into(), expected })?;
    Ok(block)
}

/// A transaction from the JSON in which nodes tell it; its hash and sender are computed and must be what it says.
///
/// # Errors
/// See [`Refusal`].
pub fn decode_json(value: Value) -> Result<PendingTransaction, Refusal> {
    wire::transaction(value, 0, &"json".into())
}
