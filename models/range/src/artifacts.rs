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
