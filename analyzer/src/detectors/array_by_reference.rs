use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A copy of storage is changed and dropped.
    ///
    /// ## Why it matters
    ///
    /// The function takes its list in memory: it is given a copy of what is in storage. What it writes is lost when it
    /// ends, and storage stays as it was.
    ///
    /// ## How to fix
    /// Take the list as `storage`, or return it and store what is returned.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Scores {
    ///     uint256[3] scores;
    ///     function reset(uint256[3] memory list) internal pure { list[0] = 0; }
    ///     function restart() external {
    ///         reset(scores); //~ array-by-reference
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Scores {
    ///     uint256[3] scores;
    ///     function reset(uint256[3] storage list) internal { list[0] = 0; }
    ///     function restart() external {
    ///         reset(scores);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Functions that read or return what they changed.
    ArrayByReference {
        id: "array-by-reference",
        severity: High,
        confidence: High,
        since: "0.1.0",
        slither: ["array-by-reference"],
        swc: [],
    }
}

impl Detector for ArrayByReference {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::LostCopy) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` changes a copy, which is then dropped"), "take it as `storage`");
        }
    }
}
