use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A comparison gives the same whatever the value.
    ///
    /// ## Why it matters
    ///
    /// An unsigned number is never below zero and never above its largest value. A check that rests on this checks
    /// nothing, and a loop that waits for it does not end.
    ///
    /// ## How to fix
    /// Compare with what was meant, or use a signed type.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract C {
    ///     uint256 limit;
    ///     function set(uint256 value) external {
    ///         require(value >= 0); //~ tautology
    ///         limit = value;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract C {
    ///     uint256 limit;
    ///     function set(uint256 value) external {
    ///         require(value > 0);
    ///         limit = value;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Signed values; assembly.
    Tautology {
        id: "tautology",
        severity: Medium,
        confidence: High,
        since: "0.1.0",
        slither: ["tautology"],
        swc: [],
    }
}

impl Detector for Tautology {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::Tautology) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` is the same whatever the value"), "compare with what was meant");
        }
    }
}
