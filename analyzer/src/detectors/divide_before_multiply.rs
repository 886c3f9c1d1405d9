use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A quotient is multiplied: what the division cut off is multiplied with it.
    ///
    /// ## Why it matters
    ///
    /// Division of integers rounds down. What is cut off by dividing first is lost before the product is made, and a
    /// small share can become nothing at all. Whoever chooses the amounts can choose those that round best for them.
    ///
    /// ## How to fix
    /// Multiply first, then divide; where the product may be too large, use a `mulDiv`.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Fee {
    ///     function fee(uint256 amount, uint256 rate) external pure returns (uint256) {
    ///         return amount / 10000 * rate; //~ divide-before-multiply
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Fee {
    ///     function fee(uint256 amount, uint256 rate) external pure returns (uint256) {
    ///         return amount * rate / 10000;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Rounding down to a multiple (`x / d * d`); assembly, where the rest is often put back; a quotient and a
    /// product that stand in different functions, as they do in fixed-point libraries.
    DivideBeforeMultiply {
        id: "divide-before-multiply",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: ["divide-before-multiply"],
        swc: [],
    }
}

impl Detector for DivideBeforeMultiply {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::DivisionFirst) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("the product takes what `{what}` has cut off"), "multiply first, then divide");
        }
    }
}
