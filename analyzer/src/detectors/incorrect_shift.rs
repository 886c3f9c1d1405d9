use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The operands of a shift in assembly are swapped.
    ///
    /// ## Why it matters
    ///
    /// `shr(a, b)` shifts `b` by `a` bits. With the two exchanged a small number is shifted by whatever the value
    /// was, which gives zero for nearly all values.
    ///
    /// ## How to fix
    /// Write the number of bits first: `shr(8, x)`.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract C {
    ///     function high(uint256 x) external pure returns (uint256 y) {
    ///         assembly { y := shr(x, 8) } //~ incorrect-shift
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract C {
    ///     function high(uint256 x) external pure returns (uint256 y) {
    ///         assembly { y := shr(8, x) }
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// `shl(n, 1)`, which is a power of two; masks that are shifted.
    IncorrectShift {
        id: "incorrect-shift",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["incorrect-shift"],
        swc: [],
    }
}

impl Detector for IncorrectShift {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::SwappedShift) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` shifts the number by the variable"), "write the number of bits first");
        }
    }
}
