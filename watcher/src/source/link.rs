//! A handle to a node that outlives its connections.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::rpc::{Client, RpcError};

/// Asks a node over whichever connection stands at the time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NodeLink {
    node: Arc<str>,
    current: watch::Receiver<Option<Client>>,
}

impl NodeLink {
    /// A link and the end through which its connection is set.
    pub(crate) fn new(node: Arc<str>) -> (watch::Sender<Option<Client>>, Self) {
        let (set, current) = watch::channel(None);
        (set, Self { node, current })
    }

    /// Configured name of the node.
    pub fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// The connection that stands, if one does.
    pub fn client(&self) -> Option<Client> {
        self.current.borrow().clone()
    }

    /// As [`Client::request`].
    ///
    /// # Errors
    /// [`RpcError::Closed`] at once while the node is down.
    pub async fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.client().ok_or_else(|| self.down())?.request(method, params).await
    }

    fn down(&self) -> RpcError {
        RpcError::Closed { reason: format!("node `{}` is down", self.node) }
    }
}
