//! What became of a pause, and of the attack that it answered.

use alloy::primitives::{B256, U64, U256};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::rpc::ask;
use super::transact::receipt;
use super::{GuardianError, PauseEngine, Receipt};

/// A pause in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The pause.
    pub tx_hash: B256,
    /// Number of its block.
    pub block: u64,
    /// Hash of its block, which a reorg replaces.
    pub block_hash: B256,
    /// Position in its block.
    pub index: u64,
    /// Whether it succeeded; one that reverted has paused nothing.
    pub has_succeeded: bool,
    /// Gas that it used.
    pub gas_used: u64,
    /// What it paid per gas, in wei.
    pub effective_gas_price_wei: u128,
    /// What it cost, in wei.
    pub cost_wei: U256,
}

/// What became of the attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttackFate {
    /// Not in a block so far.
    NotMined,
    /// In a block.
    Mined {
        /// Number of its block.
        block: u64,
        /// Position in its block.
        index: u64,
        /// Whether it succeeded.
        has_succeeded: bool,
        /// Whether the pause stands before it, in the same block or an earlier one.
        is_after_pause: bool,
    },
}

impl PauseEngine {
    /// Waits until the pause is mined, or one that replaced it or that it replaced: the answer says which. Each block
    /// that leaves it out makes this engine offer more for it.
    ///
    /// # Errors
    /// [`GuardianError::NotMined`] when the chain has passed `until_block` or the time allowed is over;
    /// [`GuardianError::Rpc`] when no node answers then.
    pub async fn follow(
        &self,
        tx_hash: B256,
        until_block: u64,
    ) -> Result<Inclusion, GuardianError> {
        let started = Instant::now();
        let mut last_height = None;
        loop {
            // The height is read before the receipt: otherwise a block that arrives between the two would end the
            // waiting without having been looked into.
            let height = self.height().await;
            let found = self.receipt_from_any(&self.versions_of(tx_hash)).await;
            if let Ok(Some(receipt)) = &found {
                self.note_mined(receipt.transaction_hash);
                return Ok(receipt.into());
            }
            if let Ok(height) = height {
                let is_new = last_height.is_some_and(|last| height > last);
                last_height = Some(height);
                // What cannot be raised still waits; whoever fires again learns why.
                if is_new
                    && height < until_block
                    && let Err(error) = self.raise(tx_hash, height).await
                {
                    tracing::debug!(%error, %tx_hash, "no higher offer for the pause");
                }
            }
            let reason = match height {
                Ok(height) if height >= until_block => format!("not in any block up to {height}"),
                _ if started.elapsed() >= self.settings().follow_timeout => {
                    "the time allowed is over".to_owned()
                }
                _ => {
                    sleep(self.settings().poll_every).await;
                    continue;
                }
            };
            found?;
            return Err(GuardianError::NotMined { tx_hash, reason });
        }
    }

    /// Says whether the attack is mined, and whether the pause stands before it.
    ///
    /// # Errors
    /// [`GuardianError::Rpc`], [`GuardianError::BadAnswer`] when no node answers.
    pub async fn attack_fate(
        &self,
        pause: &Inclusion,
        attack: B256,
    ) -> Result<AttackFate, GuardianError> {
        Ok(self.receipt_from_any(&[attack]).await?.map_or(AttackFate::NotMined, |receipt| {
            let (block, index) =
                (receipt.block_number.saturating_to(), receipt.transaction_index.saturating_to());
            AttackFate::Mined {
                block,
                index,
                has_succeeded: receipt.has_succeeded(),
                is_after_pause: (block, index) > (pause.block, pause.index),
            }
        }))
    }

    /// The first receipt that a node hands over for any of the transactions; none where every node that answers has none.
    async fn receipt_from_any(&self, tx_hashes: &[B256]) -> Result<Option<Receipt>, GuardianError> {
        let mut asked: FuturesUnordered<_> = self
            .rpcs()
            .iter()
            .flat_map(|rpc| tx_hashes.iter().map(|&tx_hash| receipt(rpc.as_ref(), tx_hash)))
            .collect();
        let mut answer = Err(GuardianError::NoNode { chain: self.settings().chain.clone() });
        while let Some(found) = asked.next().await {
            match found {
                Ok(Some(receipt)) => return Ok(Some(receipt)),
                Ok(None) => answer = Ok(None),
                Err(error) if answer.is_err() => answer = Err(error),
                Err(_) => {}
            }
        }
        answer
    }

    /// The highest block that any node knows.
    async fn height(&self) -> Result<u64, GuardianError> {
        let asked = self
            .rpcs()
            .iter()
            .map(|rpc| ask::<U64>(rpc.as_ref(), "eth_blockNumber", json!([]), "a quantity"));
        let mut highest = Err(GuardianError::NoNode { chain: self.settings().chain.clone() });
        for height in join_all(asked).await {
            highest = match (highest, height) {
                (Ok(known), Ok(height)) => Ok(height.saturating_to::<u64>().max(known)),
                (Err(_), height) => height.map(|height| height.saturating_to()),
                (known, Err(_)) => known,
            };
        }
        highest
    }
}

impl From<&Receipt> for Inclusion {
    fn from(receipt: &Receipt) -> Self {
        Self {
            tx_hash: receipt.transaction_hash,
            block: receipt.block_number.saturating_to(),
            block_hash: receipt.block_hash,
            index: receipt.transaction_index.saturating_to(),
            has_succeeded: receipt.has_succeeded(),
            gas_used: receipt.gas_used.saturating_to(),
            effective_gas_price_wei: receipt.effective_gas_price.saturating_to(),
            cost_wei: U256::from(receipt.gas_used)
                .saturating_mul(U256::from(receipt.effective_gas_price)),
        }
    }
}
