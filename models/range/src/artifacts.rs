//! Compiled contracts that ship: creation code by name.

use alloy::primitives::Bytes;
use serde::Deserialize;

/// A compiled contract, as the build command wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Artifact {
    json: &'static str,
}

/// The fields that are read of an artifact.
#[derive(Deserialize)]
struct Parts {
    bytecode: Bytes,
    #[serde(rename = "deployedBytecode")]
    deployed: Bytes,
}

impl Artifact {
    /// Creation code followed by ABI-encoded constructor arguments.
    pub fn creation(self, arguments: &[u8]) -> Vec<u8> {
        let mut code = self.parts().bytecode.to_vec();
        code.extend_from_slice(arguments);
        code
    }

    /// Runtime code; immutables are zero in it.
    pub fn runtime(self) -> Bytes {
        self.parts().deployed
    }

    fn parts(self) -> Parts {
        serde_json::from_str(self.json).expect("the artifacts are checked by a test")
    }
}

macro_rules! artifacts {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)*) => {
        $($(#[$doc])* pub const $name: Artifact = Artifact { json: include_str!($path) };)*

        #[cfg(test)]
        const ALL: &[(&str, Artifact)] = &[$((stringify!($name), $name)),*];
    };
}

artifacts! {
    /// The guardian.
    GUARDIAN = "../../../alerting/contracts/Guardian.json";
    /// The vulnerable vault.
    VAULT = "../../../fixtures/contracts/artifacts/Vault.json";
    /// The repaired vault.
    VAULT_FIXED = "../../../fixtures/contracts/artifacts/VaultFixed.json";
    /// Empties a vulnerable vault.
    ATTACKER = "../../../fixtures/contracts/artifacts/Attacker.json";
    /// Re-enters a vault and takes nothing.
    HARMLESS_REENTER = "../../../fixtures/contracts/artifacts/HarmlessReenter.json";
    /// Withdraws its own deposit in parts, each from inside of the one before.
    SPLITTER = "../../../fixtures/contracts/artifacts/Splitter.json";
    /// Deposits at birth, withdraws and shares out.
    PAYOUT = "../../../fixtures/contracts/artifacts/Payout.json";
    /// A plain ERC-20.
    TOKEN = "../../../fixtures/contracts/artifacts/Token.json";
    /// A token, given out at birth.
    COIN = "../contracts/artifacts/Coin.json";
    /// Lends tokens for one call.
    FLASH_LENDER = "../contracts/artifacts/FlashLender.json";
    /// A constant-product pool.
    PAIR = "../contracts/artifacts/Pair.json";
    /// The pool with a check of the wrong scale.
    PAIR_FLAWED = "../contracts/artifacts/PairFlawed.json";
    /// A lending market with a posted price.
    LENDING = "../contracts/artifacts/Lending.json";
    /// The market with a pool's price of the moment.
    LENDING_FLAWED = "../contracts/artifacts/LendingFlawed.json";
    /// A bridge's escrow.
    BRIDGE = "../contracts/artifacts/Bridge.json";
    /// The escrow that takes nobody's signature.
    BRIDGE_ZERO_SIGNER = "../contracts/artifacts/BridgeZeroSigner.json";
    /// The escrow that anyone may own.
    BRIDGE_OPEN_OWNER = "../contracts/artifacts/BridgeOpenOwner.json";
    /// A treasury with votes.
    TREASURY = "../contracts/artifacts/Treasury.json";
    /// The treasury in which borrowed votes count.
    TREASURY_FLAWED = "../contracts/artifacts/TreasuryFlawed.json";
    /// Rewards for stakes.
    STAKING = "../contracts/artifacts/Staking.json";
    /// Rewards that a moved stake earns again.
    STAKING_FLAWED = "../contracts/artifacts/StakingFlawed.json";
    /// A router to one pool.
    ROUTER = "../contracts/artifacts/Router.json";
    /// The router that calls anything.
    ROUTER_FLAWED = "../contracts/artifacts/RouterFlawed.json";
    /// The published ERC-4626 vault.
    SHARE_VAULT = "../contracts/artifacts/ShareVault.json";
    /// The vault that rounds for whoever withdraws.
    SHARE_VAULT_FLAWED = "../contracts/artifacts/ShareVaultFlawed.json";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn every_artifact_has_code() {
        for (name, artifact) in ALL {
            assert!(artifact.creation(&[]).len() > artifact.runtime().len(), "{name}");
            assert!(artifact.runtime().len() > 50, "{name}");
        }
    }
}
