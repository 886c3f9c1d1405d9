use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// `send` may fail without a word.
    ///
    /// ## Why it matters
    ///
    /// `send` answers `false` where the receiver needs more than 2300 gas or refuses; the caller goes on as if it had
    /// paid.
    ///
    /// ## How to fix
    /// Require the success, or let receivers withdraw.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Payer {
    ///     mapping(address => uint256) credit;
    ///
    ///     function withdraw() external {
    ///         uint256 amount = credit[msg.sender];
    ///         credit[msg.sender] = 0;
    ///         payable(msg.sender).send(amount); //~ unchecked-send
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
    ///         require(payable(msg.sender).send(amount));
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// A success that reaches a condition, storage, an event, a call or a return value.
    UncheckedSend {
        id: "unchecked-send",
        severity: Medium,
        confidence: High,
        since: "0.1.0",
        slither: ["unchecked-send"],
        swc: ["SWC-104"],
    }
}

impl Detector for UncheckedSend {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::UncheckedSend) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("nobody looks at whether this `send` in `{entry}` succeeded"),
                "may fail, and the code goes on",
                "require the success, or let receivers withdraw",
            );
        }
    }
}
