//! Connections lent to whoever sends the pause.

use futures_util::future::BoxFuture;
use portcullis_alerting::guardian;
use serde_json::Value;

use super::{
    NodeLink,
    rpc::{Client, RpcError},
};

impl guardian::Rpc for Client {
    fn label(&self) -> &str {
        self.node()
    }

    fn request<'a>(
        &'a self,
        method: &'a str,
        params: Value,
    ) -> BoxFuture<'a, Result<Value, guardian::RpcError>> {
        Box::pin(async move { Client::request(self, method, params).await.map_err(translate) })
    }
}

impl guardian::Rpc for NodeLink {
    fn label(&self) -> &str {
        self.node()
    }

    fn request<'a>(
        &'a self,
        method: &'a str,
        params: Value,
    ) -> BoxFuture<'a, Result<Value, guardian::RpcError>> {
        Box::pin(async move { NodeLink::request(self, method, params).await.map_err(translate) })
    }
}

fn translate(error: RpcError) -> guardian::RpcError {
    match error {
        RpcError::Refused { code, message, data, .. } => {
            guardian::RpcError::Refused { code, message, data: data.unwrap_or_default() }
        }
        RpcError::Timeout { after_ms, .. } => guardian::RpcError::Timeout { timeout_ms: after_ms },
        other => guardian::RpcError::Connection(other.to_string()),
    }
}
