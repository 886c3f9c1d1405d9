use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A value is compared with itself.
    ///
    /// ## Why it matters
    ///
    /// Such a comparison is true, or false, for every value. Most often one of the sides should have been another
    /// variable, and the check that was meant is missing.
    ///
    /// ## How to fix
    /// Compare with the variable that was meant.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract C {
    ///     mapping(address => uint256) balance;
    ///     function pay(address to, uint256 amount) external {
    ///         require(balance[msg.sender] >= balance[msg.sender]); //~ tautological-compare
    ///         balance[msg.sender] -= amount;
    ///         balance[to] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract C {
    ///     mapping(address => uint256) balance;
    ///     function pay(address to, uint256 amount) external {
    ///         require(balance[msg.sender] >= amount);
    ///         balance[msg.sender] -= amount;
    ///         balance[to] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Two readings with a call or a write between them.
    TautologicalCompare {
        id: "tautological-compare",
        severity: Medium,
        confidence: High,
        since: "0.1.0",
        slither: ["tautological-compare"],
        swc: [],
    }
}

impl Detector for TautologicalCompare {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::SelfComparison) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` compares a value with itself"), "compare with the variable that was meant");
        }
    }
}
