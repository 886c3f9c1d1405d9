use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A call that does not come back, where its caller goes on.
    ///
    /// ## Why it matters
    ///
    /// `return` in assembly ends the whole call, not the function that it stands in. What the caller does afterwards never
    /// happens: a lock stays taken, a check is not made, a value is not written.
    ///
    /// ## How to fix
    /// Use `leave` in assembly, or assign to the return values.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Math {
    ///     uint256 result;
    ///     function half(uint256 x) internal pure returns (uint256) {
    ///         assembly { mstore(0, shr(1, x)) return(0, 32) }
    ///     }
    ///     function run(uint256 x) external {
    ///         result = half(x); //~ incorrect-return
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Math {
    ///     uint256 result;
    ///     function half(uint256 x) internal pure returns (uint256 y) {
    ///         assembly { y := shr(1, x) }
    ///     }
    ///     function run(uint256 x) external {
    ///         result = half(x);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Calls that are the last thing that is done, as in proxies that hand on to their implementation.
    IncorrectReturn {
        id: "incorrect-return",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["incorrect-return", "return-leave"],
        swc: [],
    }
}

impl Detector for IncorrectReturn {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::NoReturn) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` can end everything in assembly: what comes after it does not happen"), "use `leave`, or assign to the return values");
        }
    }
}
