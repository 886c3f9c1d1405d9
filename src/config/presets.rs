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
    /// What the chain does otherwise than Ethereum and the simulation does not know.
    pub not_modelled: &'static [&'static str],
}

/// OP Stack: <https://specs.optimism.io/protocol/exec-engine.html>.
const OP_STACK: &[&str] = &[
    "the fee for data on Ethereum (and the operator's fee) is not taken from the sender's balance",
    "deposit transactions (type 0x7e) cannot be run, and each block begins with one: the state is fetched anew at each \
     head",
];
/// Nitro: <https://docs.arbitrum.io/build-decentralized-apps/arbitrum-vs-ethereum/solidity-support>.
const NITRO: &[&str] = &[
    "the fee for data on Ethereum, which is part of the gas used, is not counted",
    "`block.number` is the height of this chain, not Ethereum's, and `block.coinbase` and `block.prevrandao` are not \
     the chain's constants",
    "the precompiled contracts of ArbOS (0x64 and up) do not answer",
    "retryable tickets and the chain's own transactions (types 0x64 to 0x6a) cannot be run: the state is fetched anew at \
     each head that holds one",
];
/// BNB Smart Chain: <https://github.com/bnb-chain/bsc>, `consensus/parlia`.
const PARLIA: &[&str] = &[
    "the transactions by which a validator ends its block are run as everybody's: where that is not exact, the state \
     is fetched anew",
    "the precompiled contracts of the chain (0x64 to 0x69) do not answer",
];

impl Preset {
    /// What the preset fills in.
    pub(crate) fn values(self) -> PresetValues {
        match self {
            Self::Mainnet => PresetValues {
                chain_id: 1,
                block_time_ms: 12_000,
                flow: Flow::Mempool,
                not_modelled: &[],
            },
            Self::Base => PresetValues {
                chain_id: 8453,
                block_time_ms: 2_000,
                flow: Flow::Flashblocks,
                not_modelled: OP_STACK,
            },
            Self::Arbitrum => PresetValues {
                chain_id: 42_161,
                block_time_ms: 250,
                flow: Flow::Blocks,
                not_modelled: NITRO,
            },
            Self::Bsc => PresetValues {
                chain_id: 56,
                block_time_ms: 750,
                flow: Flow::Mempool,
                not_modelled: PARLIA,
            },
        }
    }
}
