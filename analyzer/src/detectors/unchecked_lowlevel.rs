use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A low-level call may fail without a word.
    ///
    /// ## Why it matters
    ///
    /// `call` and `delegatecall` answer `false` where the callee fails; the caller goes on. Books that are written as
    /// if the payment had arrived are then wrong.
    ///
    /// ## How to fix
    /// Require the success, or handle the failure.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Payer {
    ///     mapping(address => uint256) credit;
    ///
    ///     function withdraw() external {
    ///         uint256 amount = credit[msg.sender];
    ///         credit[msg.sender] = 0;
    ///         msg.sender.call{value: amount}(""); //~ unchecked-lowlevel
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Payer {
    ///     mapping(address => uint256) credit;
    ///
    ///     function withdraw() external {
    ///         uint256 amount = credit[msg.sender];
    ///         credit[msg.sender] = 0;
    ///         (bool ok, ) = msg.sender.call{value: amount}("");
    ///         require(ok);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// A success that reaches a condition, storage, an event, a call or a return value; calls in assembly, where `pop`
    /// says it is meant.
    UncheckedLowlevel {
        id: "unchecked-lowlevel",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: ["unchecked-lowlevel"],
        swc: ["SWC-104"],
    }
}

impl Detector for UncheckedLowlevel {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::UncheckedCall) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("nobody looks at whether this call in `{entry}` succeeded"),
                "may fail, and the code goes on",
                "require the success, or handle the failure",
            );
        }
    }
}
