//! The address of a node, which often holds a key: it prints as `****` beyond scheme, host and port.

use std::{fmt, str::FromStr};

use tokio_tungstenite::tungstenite::http::Uri;

/// Address of a node's WebSocket, `ws://` or `wss://`. User, path and query never show.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeUrl(Uri);

/// Why an address is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeUrlError {
    /// Not an address at all.
    #[error("node address is not a URL; expected `ws://host:port` or `wss://host/path`")]
    Malformed,
    /// Another scheme.
    #[error("node address must begin with `ws://` or `wss://`")]
    Scheme,
    /// No host.
    #[error("node address names no host")]
    Host,
}

impl NodeUrl {
    /// The address itself, for the socket alone.
    pub(crate) fn expose(&self) -> &Uri {
        &self.0
    }
}

impl FromStr for NodeUrl {
    type Err = NodeUrlError;

    fn from_str(text: &str) -> Result<Self, NodeUrlError> {
        let uri: Uri = text.trim().parse().map_err(|_| NodeUrlError::Malformed)?;
        match uri.scheme_str() {
            Some("ws" | "wss") => {}
            Some(_) => return Err(NodeUrlError::Scheme),
            None => return Err(NodeUrlError::Malformed),
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(NodeUrlError::Host);
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let host = self.0.host().unwrap_or_default();
        write!(f, "{scheme}://")?;
        if self.0.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            write!(f, "****@")?;
        }
        write!(f, "{host}")?;
        if let Some(port) = self.0.port_u16() {
            write!(f, ":{port}")?;
        }
        if self
            .0
            .path_and_query()
            .is_some_and(|rest| rest.as_str() != "/" && !rest.as_str().is_empty())
        {
            write!(f, "/****")?;
        }
        Ok(())
    }
}

impl fmt::Debug for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_neither_user_nor_path_nor_query() {
        let url: NodeUrl = "wss://me:word@node.example:8443/v2/KEY?token=KEY".parse().unwrap();
        assert_eq!(url.to_string(), "wss://****@node.example:8443/****");
        assert_eq!(format!("{url:?}"), "NodeUrl(wss://****@node.example:8443/****)");
        assert_eq!(
            "ws://127.0.0.1:8545".parse::<NodeUrl>().unwrap().to_string(),
            "ws://127.0.0.1:8545"
        );
    }

    #[test]
    fn refuses_what_is_no_websocket_address() {
        assert_eq!("http://node.example".parse::<NodeUrl>(), Err(NodeUrlError::Scheme));
        assert_eq!("node.example:8545".parse::<NodeUrl>(), Err(NodeUrlError::Malformed));
        assert_eq!("ws:// node".parse::<NodeUrl>(), Err(NodeUrlError::Malformed));
    }
}
