use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// One account of many can make all rounds of a loop fail.
    ///
    /// ## Why it matters
    ///
    /// If a call fails, and the loop does not go on without it, everything is undone: one receiver that refuses
    /// ether, or one token that is paused, keeps everybody else from what is theirs.
    ///
    /// ## How to fix
    /// Let each account draw what is theirs; or note the failure and go on.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Payroll {
    ///     function pay(address payable[] calldata to, uint256 each) external payable {
    ///         for (uint256 i = 0; i < to.length; i++) {
    ///             to[i].transfer(each); //~ calls-loop
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Payroll {
    ///     mapping(address => uint256) owed;
    ///     function pay(address[] calldata to, uint256 each) external payable {
    ///         require(msg.value == each * to.length);
    ///         for (uint256 i = 0; i < to.length; i++) {
    ///             owed[to[i]] += each;
    ///         }
    ///     }
    ///     function draw() external {
    ///         uint256 amount = owed[msg.sender];
    ///         owed[msg.sender] = 0;
    ///         payable(msg.sender).transfer(amount);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Calls of the same account in every round; calls whose failure is noted; views.
    CallsLoop {
        id: "calls-loop",
        severity: Low,
        confidence: Medium,
        since: "0.1.0",
        slither: ["calls-loop"],
        swc: ["SWC-113"],
    }
}

impl Detector for CallsLoop {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::CallInLoop) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(program, hazard, format!("one account can make all rounds of `{entry}` fail"), "and everything is undone if this fails", "let each account draw what is theirs, or note the failure and go on");
        }
    }
}
