use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// `^` stands where a power is meant.
    ///
    /// ## Why it matters
    ///
    /// In Solidity `^` is the exclusive or of bits: `10^18` is 24. Sums, limits and prices made of it are off by
    /// orders of magnitude.
    ///
    /// ## How to fix
    /// Write `**`.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Supply {
    ///     uint256 public total;
    ///     function set() external { total = 1000 * 10^18; total = 10^18; } //~ incorrect-exp
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Supply {
    ///     uint256 public total;
    ///     function set() external { total = 1000 * 10**18; }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Hexadecimal numbers and variables, which are masks of bits.
    IncorrectExp {
        id: "incorrect-exp",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["incorrect-exp"],
        swc: [],
    }
}

impl Detector for IncorrectExp {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::CaretForPower) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` is an exclusive or, not a power"), "write `**`");
        }
    }
}
