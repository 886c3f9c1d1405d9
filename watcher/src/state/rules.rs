//! Which rules a chain runs under.

use revm::primitives::hardfork::SpecId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// A hard fork of the execution layer.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the forks' own names")]
pub enum Hardfork {
    London,
    Paris,
    Shanghai,
    Cancun,
    #[default]
    Prague,
    Osaka,
}

impl Hardfork {
    pub(crate) fn spec(self) -> SpecId {
        match self {
            Self::London => SpecId::LONDON,
            Self::Paris => SpecId::MERGE,
            Self::Shanghai => SpecId::SHANGHAI,
            Self::Cancun => SpecId::CANCUN,
            Self::Prague => SpecId::PRAGUE,
            Self::Osaka => SpecId::OSAKA,
        }
    }
}
