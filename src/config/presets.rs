//! What is known of the chains that most people guard.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Flow;

/// A known chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Preset {
    /// Ethereum mainnet.
    Mainnet,
    /// Base (OP Stack, Flashblocks).
    Base,
    /// Arbitrum One (private sequencer, first come first served).
    Arbitrum,
    /// BNB Smart Chain.
    Bsc,
}

/// The values of a preset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PresetValues {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Usual time between blocks, milliseconds.
    pub block_time_ms: u64,
    /// Where transactions come from.
    pub flow: Flow,
}

impl Preset {
    /// What the preset fills in.
    pub(crate) fn values(self) -> PresetValues {
        match self {
            Self::Mainnet => {
                PresetValues { chain_id: 1, block_time_ms: 12_000, flow: Flow::Mempool }
            }
            Self::Base => {
                PresetValues { chain_id: 8453, block_time_ms: 2_000, flow: Flow::Flashblocks }
            }
            Self::Arbitrum => {
                PresetValues { chain_id: 42_161, block_time_ms: 250, flow: Flow::Blocks }
            }
            Self::Bsc => PresetValues { chain_id: 56, block_time_ms: 750, flow: Flow::Mempool },
        }
    }
}
