//! Which rules a chain runs under.

use revm::primitives::hardfork::SpecId;

use super::Hardfork;

/// What the machine must know of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainRules {
    /// Chain id.
    pub chain_id: u64,
    /// Rules in force.
    pub hardfork: Hardfork,
    /// Seconds between blocks, for the header of the next one.
    pub block_time_s: u64,
}

impl ChainRules {
    pub(crate) fn spec(&self) -> SpecId {
        match self.hardfork {
            Hardfork::London => SpecId::LONDON,
            Hardfork::Paris => SpecId::MERGE,
            Hardfork::Shanghai => SpecId::SHANGHAI,
            Hardfork::Cancun => SpecId::CANCUN,
            Hardfork::Prague => SpecId::PRAGUE,
            Hardfork::Osaka => SpecId::OSAKA,
        }
    }
}
