use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A signature counts for ever.
    ///
    /// ## Why it matters
    ///
    /// Whoever was given it may use it when it suits them, long after the signer has changed their mind, and the signer
    /// has no way to take it back.
    ///
    /// ## How to fix
    /// Sign a time until which it counts, and compare it with the time of the block.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Tickets {
    ///     address immutable seller = msg.sender;
    ///     mapping(address => uint256) nonces;
    ///     mapping(address => bool) admitted;
    ///     function admit(address who, uint8 v, bytes32 r, bytes32 s) external {
    ///         bytes32 digest = keccak256(abi.encode(who, nonces[who]++, block.chainid, address(this)));
    ///         require(ecrecover(digest, v, r, s) == seller); //~ missing-signature-deadline
    ///         admitted[who] = true;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Tickets {
    ///     address immutable seller = msg.sender;
    ///     mapping(address => uint256) nonces;
    ///     mapping(address => bool) admitted;
    ///     function admit(address who, uint256 until, uint8 v, bytes32 r, bytes32 s) external {
    ///         require(block.timestamp <= until);
    ///         bytes32 digest = keccak256(abi.encode(who, until, nonces[who]++, block.chainid, address(this)));
    ///         require(ecrecover(digest, v, r, s) == seller);
    ///         admitted[who] = true;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Functions that decide anything by the time; digests that are not made in view of the check.
    MissingSignatureDeadline {
        id: "missing-signature-deadline",
        severity: Low,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: [],
    }
}

impl Detector for MissingSignatureDeadline {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::LastingSignature) {

            out.report_flaw(program, hazard, "this signature counts for ever", "sign a time until which it counts");
        }
    }
}
