//! A node, as far as this room needs one.

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;

use super::{ASK_TIMEOUT, GuardianError};

/// One node that answers JSON-RPC. Whoever holds the connection implements it.
pub trait Rpc: Send + Sync {
    /// A name for messages, without secrets.
    fn label(&self) -> &str {
        "node"
    }

    /// Asks the node; `params` is the JSON array of parameters, the answer is the `result` member.
    fn request<'a>(
        &'a self,
        method: &'a str,
        params: Value,
    ) -> BoxFuture<'a, Result<Value, RpcError>>;
}

/// Why a node gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The node answered with a JSON-RPC error.
    #[error("{message} (code {code})")]
    Refused {
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
        /// The error's `data` member, such as the revert data of a call; null where there is none.
        data: Value,
    },
    /// The connection failed.
    #[error("connection: {0}")]
    Connection(String),
    /// No answer in time.
    #[error("no answer within {timeout_ms} ms")]
    Timeout {
        /// How long was waited.
        timeout_ms: u64,
    },
}

/// Asks one node and reads the answer as `T`; `expected` says in words what that is.
pub(super) async fn ask<T: DeserializeOwned>(
    rpc: &dyn Rpc,
    method: &str,
    params: Value,
    expected: &'static str,
) -> Result<T, GuardianError> {
    let failed =
        |source| GuardianError::Rpc { node: rpc.label().into(), method: method.into(), source };
    let timeout_ms = u64::try_from(ASK_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
    let answer = tokio::time::timeout(ASK_TIMEOUT, rpc.request(method, params))
        .await
        .map_err(|_| failed(RpcError::Timeout { timeout_ms }))?
        .map_err(failed)?;
    T::deserialize(&answer).map_err(|_| bad_answer(rpc, method, expected, &answer))
}

/// Reads from a contract at the newest head.
pub(super) async fn view<C: SolCall>(
    rpc: &dyn Rpc,
    to: Address,
    call: &C,
) -> Result<C::Return, GuardianError> {
    let params = json!([{ "to": to, "input": Bytes::from(call.abi_encode()) }, "latest"]);
    let answer: Bytes = ask(rpc, "eth_call", params, "bytes").await?;
    C::abi_decode_returns(&answer)
        .map_err(|_| bad_answer(rpc, "eth_call", C::SIGNATURE, &json!(answer)))
}

pub(super) fn bad_answer(
    rpc: &dyn Rpc,
    method: &str,
    expected: &'static str,
    found: &Value,
) -> GuardianError {
    let mut found = found.to_string();
    if let Some((end, _)) = found.char_indices().nth(200) {
        found.truncate(end);
        found.push('…');
    }
    GuardianError::BadAnswer { node: rpc.label().into(), method: method.into(), expected, found }
}
