use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The length of a list in storage is read in every round of a loop.
    ///
    /// ## Why it matters
    ///
    /// The length does not change, and each reading costs 100 gas (EIP-2929).
    ///
    /// ## How to fix
    /// Read it once before the loop.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Sum {
    ///     uint256[] values;
    ///     function sum() external returns (uint256 total) {
    ///         for (uint256 i = 0; i < values.length; i++) { //~ cache-array-length
    ///             total += values[i];
    ///         }
    ///         values[0] = total;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Sum {
    ///     uint256[] values;
    ///     function sum() external returns (uint256 total) {
    ///         uint256 length = values.length;
    ///         for (uint256 i = 0; i < length; i++) {
    ///             total += values[i];
    ///         }
    ///         values[0] = total;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Lists in memory or calldata.
    CacheArrayLength {
        id: "cache-array-length",
        severity: Gas,
        confidence: High,
        since: "0.1.0",
        slither: ["cache-array-length"],
        swc: [],
    }
}

impl Detector for CacheArrayLength {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::LengthInLoop) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("the length of `{what}` is read in every round: 100 gas each"), "read it once before the loop");
        }
    }
}
