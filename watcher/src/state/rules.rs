//! Which rules a chain runs under.

use revm::primitives::hardfork::SpecId;

use super::{Hardfork, HardforkSchedule};

/// What the machine must know of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainRules {
    /// Chain id.
    pub chain_id: u64,
    /// Rules in force, by block.
    pub hardforks: HardforkSchedule,
    /// Seconds between blocks, for the header of the next one.
    pub block_time_s: u64,
}

impl ChainRules {
    /// The machine's name for the rules of the block of this number.
    pub(crate) fn spec(&self, block: u64) -> SpecId {
        match self.hardforks.at(block) {
            Hardfork::London => SpecId::LONDON,
            Hardfork::Paris => SpecId::MERGE,
            Hardfork::Shanghai => SpecId::SHANGHAI,
            Hardfork::Cancun => SpecId::CANCUN,
            Hardfork::Prague => SpecId::PRAGUE,
            Hardfork::Osaka => SpecId::OSAKA,
        }
    }
}
