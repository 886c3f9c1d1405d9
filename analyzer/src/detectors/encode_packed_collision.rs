use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Several texts are packed without their lengths and hashed: different inputs give the same hash.
    ///
    /// ## Why it matters
    ///
    /// `abi.encodePacked("a", "bc")` and `abi.encodePacked("ab", "c")` are the same bytes. Where the hash is what was
    /// signed, or the key under which something is kept, one input passes for the other.
    ///
    /// ## How to fix
    /// Use `abi.encode`, or hash each text before packing.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Names {
    ///     mapping(bytes32 => address) owner;
    ///     function claim(string calldata first, string calldata last) external {
    ///         bytes32 key = keccak256(abi.encodePacked(first, last)); //~ encode-packed-collision
    ///         require(owner[key] == address(0));
    ///         owner[key] = msg.sender;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Names {
    ///     mapping(bytes32 => address) owner;
    ///     function claim(string calldata first, string calldata last) external {
    ///         bytes32 key = keccak256(abi.encode(first, last));
    ///         require(owner[key] == address(0));
    ///         owner[key] = msg.sender;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// One text among values of fixed length; constants; bytes that are packed but not hashed.
    EncodePackedCollision {
        id: "encode-packed-collision",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["encode-packed-collision"],
        swc: ["SWC-133"],
    }
}

impl Detector for EncodePackedCollision {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::PackedTexts) {
            out.report_flaw(program, hazard, "texts of any length are packed and hashed: different ones give the same hash", "use `abi.encode`");
        }
    }
}
