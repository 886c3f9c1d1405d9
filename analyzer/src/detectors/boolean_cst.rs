use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A constant decides.
    ///
    /// ## Why it matters
    ///
    /// `if (false)` and `x || true` switch code off, or checks. What is left from a trial run lets everybody pass, or
    /// nobody.
    ///
    /// ## How to fix
    /// Remove the constant, and the code that it switches off.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract C {
    ///     address owner = msg.sender;
    ///     uint256 limit;
    ///     function set(uint256 value) external {
    ///         require(msg.sender == owner || true); //~ boolean-cst
    ///         limit = value;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract C {
    ///     address owner = msg.sender;
    ///     uint256 limit;
    ///     function set(uint256 value) external {
    ///         require(msg.sender == owner);
    ///         limit = value;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// `while (true)`; constants with a name, which are a setting.
    BooleanCst {
        id: "boolean-cst",
        severity: Medium,
        confidence: High,
        since: "0.1.0",
        slither: ["boolean-cst"],
        swc: [],
    }
}

impl Detector for BooleanCst {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::ConstantDecision) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` decides here, whatever happens"), "remove the constant and what it switches off");
        }
    }
}
