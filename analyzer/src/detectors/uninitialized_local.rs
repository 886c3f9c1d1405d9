use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A local is read, but nothing ever sets it.
    ///
    /// ## Why it matters
    ///
    /// It is zero whatever happens. Either the line that sets it is missing, or zero is meant and the reader has to
    /// guess.
    ///
    /// ## How to fix
    /// Set it, or write zero where zero is meant.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Fees {
    ///     mapping(address => uint256) owed;
    ///     function charge(address who, uint256 amount) external {
    ///         uint256 fee; //~ uninitialized-local
    ///         owed[who] += amount - fee;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Fees {
    ///     mapping(address => uint256) owed;
    ///     function charge(address who, uint256 amount) external {
    ///         uint256 fee = amount / 100;
    ///         owed[who] += amount - fee;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Locals that are set anywhere, in a loop or in assembly, too; bytes, accounts and references, whose empty value
    /// is often what is wanted; return values.
    UninitializedLocal {
        id: "uninitialized-local",
        severity: Low,
        confidence: High,
        since: "0.1.0",
        slither: ["uninitialized-local"],
        swc: [],
    }
}

impl Detector for UninitializedLocal {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::NeverSet) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` is read, but nothing ever sets it"), "set it, or write zero where zero is meant");
        }
    }
}
