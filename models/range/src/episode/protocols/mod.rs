//! The protocols of the range. Each can be used, attacked, and asked what it is worth.

mod bridge;
mod delivery;
mod lending;
mod market;
mod pair;
mod router;
mod shares;
mod staking;
mod treasury;

use std::fmt::Debug;
use std::sync::Arc;

use alloy::primitives::Address;

use super::RangeError;
use super::world::World;
use market::Market;

/// What an episode protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    EtherVault,
    Lending,
    Pair,
    BridgeSigner,
    BridgeOwner,
    Treasury,
    Staking,
    Router,
    ShareVault,
}

impl Kind {
    pub(super) const ALL: [Self; 9] = [
        Self::EtherVault,
        Self::Lending,
        Self::Pair,
        Self::BridgeSigner,
        Self::BridgeOwner,
        Self::Treasury,
        Self::Staking,
        Self::Router,
        Self::ShareVault,
    ];

    /// Its name in data sets, and the one by which tests of rules ask for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::EtherVault => "ether-vault",
            Self::Lending => "lending",
            Self::Pair => "pair",
            Self::BridgeSigner => "bridge-signer",
            Self::BridgeOwner => "bridge-owner",
            Self::Treasury => "treasury",
            Self::Staking => "staking",
            Self::Router => "router",
            Self::ShareVault => "share-vault",
        }
    }

    /// The kit of rules that its team would ask for, where one is for its kind.
    pub(super) fn kit(self) -> Option<&'static str> {
        match self {
            Self::Lending => Some("lending"),
            Self::Pair => Some("amm"),
            Self::BridgeSigner | Self::BridgeOwner => Some("bridge-escrow"),
            Self::Treasury => Some("governor"),
            Self::Staking => Some("staking"),
            Self::ShareVault => Some("erc4626"),
            Self::EtherVault | Self::Router => None,
        }
    }
}

/// A protocol with its ways of use and the attack that its flaw allows.
pub(super) trait Protocol: Debug {
    /// The protected contract.
    fn protected(&self) -> Address;
    /// One act of ordinary use, or one that only looks like an attack.
    fn use_it(&self, world: &mut World) -> Result<(), RangeError>;
    /// One attack; without the flaw it fails.
    fn attack(&self, world: &mut World) -> Result<(), RangeError>;
    /// Where it looks prices up, as the configuration of a guard would list it.
    fn price_sources(&self) -> Vec<Address> {
        Vec::new()
    }
    /// What no transaction of `sender` may lower.
    fn worth(&self, world: &World, sender: Address) -> Result<Vec<Worth>, RangeError>;
}

/// A number that must not fall.
#[derive(Debug, Clone, Copy)]
pub(super) struct Worth {
    pub(super) value: f64,
    /// What it is measured against: a fall by less than a millionth of this is rounding.
    pub(super) scale: f64,
}

impl Worth {
    /// Fell by more than was permitted.
    pub(super) fn is_harmed_from(self, before: &Self, permitted: f64) -> bool {
        self.value < before.value - permitted - before.scale.max(self.scale) * 1e-6
    }

    /// The part of its worth that it fell by, beyond what was permitted, in ten-thousandths.
    pub(super) fn loss_bps(self, before: &Self, permitted: f64) -> u64 {
        let scale = before.scale.max(self.scale);
        if scale > 0.0 { ((before.value - permitted - self.value) / scale * 1e4) as u64 } else { 0 }
    }
}

/// Deploys what an episode protects; the ether vault stands already.
pub(super) fn set_up(kind: Kind, is_flawed: bool, world: &mut World) -> Result<(), RangeError> {
    if kind == Kind::EtherVault {
        return Ok(());
    }
    let tvl = match kind {
        Kind::ShareVault => world.random.log_uniform(1e5, 1e8) * 1e-18,
        _ => world.random.log_uniform(1e4, 1e8),
    };
    let market = Market::open(world, tvl)?;
    let protocol: Arc<dyn Protocol> = match kind {
        Kind::EtherVault => return Ok(()),
        Kind::Lending => Arc::new(lending::Loans::open(world, market, is_flawed)?),
        Kind::Pair => Arc::new(pair::Exchange::open(world, market, is_flawed)?),
        Kind::BridgeSigner => Arc::new(bridge::Escrow::open(world, market, is_flawed, true)?),
        Kind::BridgeOwner => Arc::new(bridge::Escrow::open(world, market, is_flawed, false)?),
        Kind::Treasury => Arc::new(treasury::Funds::open(world, market, is_flawed)?),
        Kind::Staking => Arc::new(staking::Rewards::open(world, market, is_flawed)?),
        Kind::Router => Arc::new(router::Trades::open(world, market, is_flawed)?),
        Kind::ShareVault => Arc::new(shares::Shares::open(world, market, is_flawed)?),
    };
    world.protect(kind, protocol);
    Ok(())
}
