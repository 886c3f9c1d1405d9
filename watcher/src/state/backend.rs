//! State fetched from nodes, at the very block that the cache stands on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{AccountState, Backend, Head, Item, StateError};
use crate::source::{NodeLink, rpc::RpcError};

/// How long one of several nodes may take before another one is asked: a node that froze must hold nobody up until it
/// is noticed.
const PATIENCE: Duration = Duration::from_millis(500);

/// Fetches from the first of its nodes that answers; the one that answered last is asked first. Blocks the calling thread, which must not be one of those
/// that drive the nodes' connections.
#[derive(Debug, Clone)]
pub struct RpcBackend {
    links: Arc<[NodeLink]>,
    /// Place of the node that answered last.
    last: Arc<AtomicUsize>,
}

impl RpcBackend {
    /// A backend over `links`, asked in that order.
    pub fn new(links: impl Into<Arc<[NodeLink]>>) -> Self {
        Self { links: links.into(), last: Arc::default() }
    }

    /// The answers of the first node that gives them all. Where none does in a short time, those that were slow get
    /// all the time that there is.
    fn fetch(
        &self,
        what: Item,
        at: &Head,
        calls: &[(&str, Value)],
    ) -> Result<Vec<Value>, StateError> {
        let first = self.last.load(Ordering::Relaxed);
        let places = (0..self.links.len()).map(|place| (first + place) % self.links.len());
        let (mut reasons, mut slow) = (Vec::new(), Vec::new());
        for place in places {
            let within = if self.links.len() > 1 { PATIENCE } else { Duration::MAX };
            match self.ask(place, calls, within) {
                Ok(answers) => return Ok(answers),
                Err(RpcError::Timeout { .. }) if self.links.len() > 1 => slow.push(place),
                Err(error) => reasons.push(format!("node `{}`: {error}", self.links[place].node())),
            }
        }
        for place in slow {
            match self.ask(place, calls, Duration::MAX) {
                Ok(answers) => return Ok(answers),
                Err(error) => reasons.push(format!("node `{}`: {error}", self.links[place].node())),
            }
        }
        let reason =
            if reasons.is_empty() { "no node is configured".into() } else { reasons.join("; ") };
        Err(StateError::Fetch { what, block: at.number, reason })
    }
}

impl RpcBackend {
    fn ask(
        &self,
        place: usize,
        calls: &[(&str, Value)],
        within: Duration,
    ) -> Result<Vec<Value>, RpcError> {
        let Some(client) = self.links[place].client() else {
            return Err(RpcError::Closed { reason: "down".into() });
        };
        let answers = client.batch_blocking_within(calls.to_vec(), within)?;
        let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.last.store(place, Ordering::Relaxed);
        Ok(answers)
    }
}

impl Backend for RpcBackend {
    fn account(&self, at: &Head, address: Address) -> Result<Option<AccountState>, StateError> {
        let what = Item::Account(address);
        let block = json!({ "blockHash": at.hash });
        let mut answers = self
            .fetch(
                what,
                at,
                &[
                    ("eth_getBalance", json!([address, block])),
                    ("eth_getTransactionCount", json!([address, block])),
                    ("eth_getCode", json!([address, block])),
                ],
            )?
            .into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let balance = read::<U256>(next(), what, at, "a balance")?;
        let nonce = read::<U64>(next(), what, at, "a nonce")?.to();
        let code = read::<Bytes>(next(), what, at, "code")?;
        // Nodes do not tell an empty account from none, and since EIP-161 there is no difference.
        let is_empty = balance.is_zero() && nonce == 0 && code.is_empty();
        Ok((!is_empty).then(|| AccountState { balance, nonce, code, storage: Default::default() }))
    }

    fn storage(&self, at: &Head, address: Address, slot: U256) -> Result<U256, StateError> {
        let what = Item::Slot(address, slot);
        let params = json!([address, slot, { "blockHash": at.hash }]);
        let answers = self.fetch(what, at, &[("eth_getStorageAt", params)])?;
        let word = read::<B256>(
            answers.into_iter().next().unwrap_or_default(),
            what,
            at,
            "a 32-byte word",
        )?;
        Ok(word.into())
    }

    fn block_hash(&self, at: &Head, number: u64) -> Result<B256, StateError> {
        let what = Item::BlockHash(number);
        let params = json!([format!("{number:#x}"), false]);
        let answers = self.fetch(what, at, &[("eth_getBlockByNumber", params)])?;
        let hash =
            answers.into_iter().next().and_then(|mut block| block.get_mut("hash").map(Value::take));
        read::<B256>(hash.unwrap_or_default(), what, at, "a block with its hash")
    }
}

fn read<T: DeserializeOwned>(
    answer: Value,
    what: Item,
    at: &Head,
    expected: &str,
) -> Result<T, StateError> {
    serde_json::from_value(answer).map_err(|_| StateError::Fetch {
        what,
        block: at.number,
        reason: format!("the node's answer is malformed: expected {expected}"),
    })
}
