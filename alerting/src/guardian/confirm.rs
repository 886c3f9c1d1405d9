//! Whether the nodes agree on what a pause is decided on: no pause on one node's word where more are configured.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, U256, keccak256};
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use super::rpc::{Rpc, ask};
use super::{GuardianError, PauseEngine};

/// How long a node that has not heard of the block yet is left alone.
const LAG_WAIT: Duration = Duration::from_millis(25);

/// What a verdict rests on: the head and, on it, the code that ran, the storage that was read and the balances that
/// counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Premises {
    /// Height of the head.
    pub block: u64,
    /// Hash of the head.
    pub block_hash: B256,
    /// Contracts with the Keccak-256 of their code; that of nothing where there is no code.
    pub codes: Vec<(Address, B256)>,
    /// Contracts with a slot and its value.
    pub slots: Vec<(Address, U256, U256)>,
    /// Accounts with their balance, wei.
    pub balances: Vec<(Address, U256)>,
}

/// That enough nodes agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The nodes that agree, in the order of their answers; no more are waited for than are needed.
    pub by: Vec<String>,
    /// Nodes configured.
    pub configured: usize,
}

#[derive(Deserialize)]
struct Block {
    hash: B256,
}

impl PauseEngine {
    /// Asks every node at once whether the premises hold there, and waits until a majority of those configured says
    /// so: one of one, both of two, two of three.
    ///
    /// A node that does not know the block yet is asked again until the time is over.
    ///
    /// # Errors
    /// [`GuardianError::NotConfirmed`] as soon as no majority can come about any more, or when `within` is over.
    pub async fn confirm(
        &self,
        premises: &Premises,
        within: Duration,
    ) -> Result<Confirmation, GuardianError> {
        let deadline = Instant::now().checked_add(within).unwrap_or_else(Instant::now);
        let configured = self.rpcs().len();
        let needed = (configured / 2).saturating_add(1);
        let mut asked: FuturesUnordered<_> = self
            .rpcs()
            .iter()
            .map(|rpc| async move {
                let rpc = rpc.as_ref();
                let told = timeout_at(deadline, self.holds_at(rpc, premises)).await;
                let late = || Err(format!("no answer within {} ms", within.as_millis()));
                (rpc.label().to_owned(), told.unwrap_or_else(|_| late()))
            })
            .collect();
        let mut by = Vec::with_capacity(needed);
        let mut reasons = Vec::new();
        while let Some((node, told)) = asked.next().await {
            match told {
                Ok(()) => by.push(node),
                Err(reason) => reasons.push(format!("{node}: {reason}")),
            }
            if by.len() >= needed {
                return Ok(Confirmation { by, configured });
            }
            if reasons.len() > configured.saturating_sub(needed) {
                break;
            }
        }
        Err(GuardianError::NotConfirmed {
            chain: self.settings().chain.clone(),
            agreed: by.len(),
            needed,
            configured,
            reasons: reasons.join("; "),
        })
    }

    /// Ends well where everything is as `premises` say; otherwise with the first difference, for people.
    async fn holds_at(&self, rpc: &dyn Rpc, premises: &Premises) -> Result<(), String> {
        let words = |error: GuardianError| error.to_string();
        let at = U64::from(premises.block);
        let expected = U64::from(self.settings().chain_id);
        let chain_id: U64 =
            ask(rpc, "eth_chainId", json!([]), "a quantity").await.map_err(words)?;
        if chain_id != expected {
            return Err(format!("chain id {chain_id}, expected {expected}"));
        }
        let head = loop {
            let block: Option<Block> =
                ask(rpc, "eth_getBlockByNumber", json!([at, false]), "a block or null")
                    .await
                    .map_err(words)?;
            match block {
                Some(block) => break block.hash,
                None => sleep(LAG_WAIT).await,
            }
        };
        if head != premises.block_hash {
            return Err(format!(
                "block {} is {head}, expected {}",
                premises.block, premises.block_hash
            ));
        }
        let codes = premises.codes.iter().map(|(address, expected)| async move {
            let code: Bytes =
                ask(rpc, "eth_getCode", json!([address, at]), "bytes").await.map_err(words)?;
            same(format_args!("code of {address}"), &keccak256(&code), expected)
        });
        let slots = premises.slots.iter().map(|(address, slot, expected)| async move {
            let params = json!([address, slot, at]);
            let value: U256 =
                ask(rpc, "eth_getStorageAt", params, "a word").await.map_err(words)?;
            same(format_args!("slot {slot:#x} of {address}"), &value, expected)
        });
        let balances = premises.balances.iter().map(|(address, expected)| async move {
            let balance: U256 = ask(rpc, "eth_getBalance", json!([address, at]), "a quantity")
                .await
                .map_err(words)?;
            same(format_args!("balance of {address}"), &balance, expected)
        });
        tokio::try_join!(try_join_all(codes), try_join_all(slots), try_join_all(balances))?;
        Ok(())
    }
}

fn same<T: PartialEq + std::fmt::Display>(
    what: std::fmt::Arguments<'_>,
    found: &T,
    expected: &T,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} is {found}, and it was judged on {expected}"))
}
