use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A struct is deleted, but the mapping in it stays.
    ///
    /// ## Why it matters
    ///
    /// `delete` cannot know the keys of a mapping and leaves it as it is. Whoever makes an entry in the same place
    /// again finds the old members, votes or balances in it.
    ///
    /// ## How to fix
    /// Count versions and make the version part of the key, or clear the mapping key by key.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Clubs {
    ///     struct Club { uint256 fee; mapping(address => bool) isMember; }
    ///     mapping(uint256 => Club) clubs;
    ///     function join(uint256 id) external { clubs[id].isMember[msg.sender] = true; }
    ///     function close(uint256 id) external { delete clubs[id]; } //~ mapping-deletion
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Clubs {
    ///     struct Club { uint256 fee; uint256 version; }
    ///     mapping(uint256 => Club) clubs;
    ///     mapping(uint256 => mapping(uint256 => mapping(address => bool))) isMember;
    ///     function join(uint256 id) external { isMember[id][clubs[id].version][msg.sender] = true; }
    ///     function close(uint256 id) external { clubs[id].fee = 0; clubs[id].version++; }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Structs without mappings.
    MappingDeletion {
        id: "mapping-deletion",
        severity: Medium,
        confidence: High,
        since: "0.1.0",
        slither: ["mapping-deletion"],
        swc: [],
    }
}

impl Detector for MappingDeletion {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::MappingStays) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` is deleted, but the mapping in it stays"), "count versions and make the version part of the key");
        }
    }
}
