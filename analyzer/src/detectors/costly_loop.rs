use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The same storage is written in every round of a loop.
    ///
    /// ## Why it matters
    ///
    /// Only the last value stays, but each write costs at least 100 gas, and 2,900 or more where the value goes back
    /// and forth (EIP-2200, EIP-2929).
    ///
    /// ## How to fix
    /// Add up in a local variable and write once after the loop.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Sum {
    ///     uint256 total;
    ///     function add(uint256[] calldata values) external {
    ///         for (uint256 i = 0; i < values.length; i++) {
    ///             total += values[i]; //~ costly-loop
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Sum {
    ///     uint256 total;
    ///     function add(uint256[] calldata values) external {
    ///         uint256 sum = total;
    ///         for (uint256 i = 0; i < values.length; i++) {
    ///             sum += values[i];
    ///         }
    ///         total = sum;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Places that differ from round to round.
    CostlyLoop {
        id: "costly-loop",
        severity: Gas,
        confidence: Medium,
        since: "0.1.0",
        slither: ["costly-loop"],
        swc: [],
    }
}

impl Detector for CostlyLoop {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::WriteInLoop) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("every round writes `{what}`: about 200 gas each that one write after the loop saves"), "add up in a local variable and write once after the loop");
        }
    }
}
