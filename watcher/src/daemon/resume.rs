//! Where a guard goes on that was ended, in order or not: after the last head that its journal knows.

use std::{collections::HashSet, sync::Arc};

use alloy::primitives::B256;
use portcullis_alerting::journal::{Journal, JournalError, VerdictFilter, WriterLimits};

use super::run::WAITING_LIMIT;
use crate::{
    settings::{ChainSettings, ChannelSettings},
    source::{Gap, rpc::RpcLimits},
};

/// Verdicts that are looked back at: those of a few hundred full blocks.
const LOOK_BACK: u32 = 20_000;

/// What the journal knows of a chain, from before this start.
#[derive(Debug, Clone, Default)]
pub(super) struct Resume {
    /// Head that the last verdict was given on; everything up to it was judged.
    pub(super) head: u64,
    /// When the last transaction was seen, milliseconds since the epoch.
    seen_at_ms: u64,
    /// Transactions judged lately, so that none is judged twice.
    known: Arc<HashSet<B256>>,
}

/// What was made up for after a restart.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MadeUp {
    pub(super) judged: u64,
    pub(super) known: u64,
}

impl Resume {
    /// From the journal; none where it has no verdict on any head of the chain.
    pub(super) fn read(
        journal: &Journal,
        chain: &ChainSettings,
    ) -> Result<Option<Self>, JournalError> {
        let filter = VerdictFilter {
            chain: Some(chain.name.to_string()),
            limit: Some(LOOK_BACK),
            live_only: true,
            ..VerdictFilter::default()
        };
        let rows = journal.verdicts(&filter)?;
        let Some(last) = rows.iter().find(|row| row.block > 0 && row.chain_id == chain.chain_id)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            head: last.block,
            seen_at_ms: last.seen_at_ms,
            known: Arc::new(rows.iter().map(|row| row.tx_hash).collect()),
        }))
    }

    /// Whether a verdict on this transaction is in the journal.
    pub(super) fn knows(&self, tx_hash: &B256) -> bool {
        self.known.contains(tx_hash)
    }

    /// For how long nothing was seen, milliseconds.
    pub(super) fn away_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.seen_at_ms)
    }
}

/// A gap in words, as its journal row has it.
pub(super) fn words(gap: &Gap, away_ms: Option<u64>, made_up: MadeUp, most_lost: u64) -> String {
    let mut words = match away_ms {
        Some(ms) => format!(
            "started anew, {}.{} s after the last transaction before",
            ms / 1_000,
            ms % 1_000 / 100
        ),
        None => "heads were missed".to_owned(),
    };
    words.push_str(&if gap.last > gap.after {
        format!(
            "; after block {} those from {} to {} were fetched and judged late: {} transactions judged, {} had been",
            gap.after,
            gap.first.max(gap.after + 1).min(gap.last),
            gap.last,
            made_up.judged,
            made_up.known
        )
    } else {
        format!("; no block was mined after block {}", gap.after)
    });
    if gap.untold_blocks() > 0 {
        words.push_str(&format!(
            "; {} blocks before them are too far back and were not judged",
            gap.untold_blocks()
        ));
    }
    if away_ms.is_some() {
        words.push_str(&format!(
            "; at most {most_lost} pending transactions that waited when it ended are lost, and what was announced \
             and never mined while it was away"
        ));
    }
    words
}

/// A time without any node in words, as its journal row has it.
pub(super) fn outage_words(dark_ms: u64, head: u64, most_lost: u64) -> String {
    format!(
        "nothing was heard of any node for {}.{} s, after block {head}; blocks mined meanwhile are fetched and judged late; at most \
         {most_lost} pending transactions that a lost node had told are lost, and what was announced and never mined \
         meanwhile",
        dark_ms / 1_000,
        dark_ms % 1_000 / 100
    )
}

/// Pending transactions that nodes may have told and that nobody has taken in yet.
pub(super) fn most_told(nodes: usize) -> u64 {
    let told = nodes.saturating_mul(RpcLimits::default().notifications);
    u64::try_from(told).unwrap_or(u64::MAX)
}

/// Pending transactions that may wait, in all channels between a chain's nodes and the journal's file.
pub(super) fn most_waiting(nodes: usize, channels: ChannelSettings) -> u64 {
    let sizes = [
        nodes.saturating_mul(RpcLimits::default().notifications),
        channels.source,
        channels.work,
        WAITING_LIMIT,
        WriterLimits::default().verdicts,
    ];
    u64::try_from(sizes.into_iter().fold(0, usize::saturating_add)).unwrap_or(u64::MAX)
}
