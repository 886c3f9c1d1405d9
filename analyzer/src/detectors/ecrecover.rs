use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The account recovered from a signature may be the zero account.
    ///
    /// ## Why it matters
    ///
    /// `ecrecover` does not fail: for a signature that is none it gives zero. Where that is compared with an account
    /// that was never set, anybody signs for it.
    ///
    /// ## How to fix
    /// Refuse zero, or use a library that does.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Gate {
    ///     mapping(uint256 => address) signer;
    ///     function open(uint256 id, bytes32 hash, uint8 v, bytes32 r, bytes32 s) external view returns (bool) {
    ///         return ecrecover(hash, v, r, s) == signer[id]; //~ ecrecover
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Gate {
    ///     mapping(uint256 => address) signer;
    ///     function open(uint256 id, bytes32 hash, uint8 v, bytes32 r, bytes32 s) external view returns (bool) {
    ///         address who = ecrecover(hash, v, r, s);
    ///         return who != address(0) && who == signer[id];
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Comparison with an account that the constructor set; functions that give the account back unchecked, whose
    /// callers decide.
    Ecrecover {
        id: "ecrecover",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-117"],
    }
}

impl Detector for Ecrecover {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::ZeroSigner) {
            out.report_flaw(program, hazard, "a signature that is none gives the zero account, which nobody refuses here", "refuse the zero account");
        }
    }
}
