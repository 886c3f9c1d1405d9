use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// What is kept for the caller is paid out, and stays as it is.
    ///
    /// ## Why it matters
    ///
    /// Nothing that is kept for the caller changes, so they call again, and are paid again, until the contract is
    /// empty.
    ///
    /// ## How to fix
    /// Set what is kept for the caller to zero before paying.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Refunds {
    ///     mapping(address => uint256) paid;
    ///     function buy() external payable { paid[msg.sender] += msg.value; }
    ///     function refund() external {
    ///         payable(msg.sender).transfer(paid[msg.sender]); //~ repeated-withdrawal
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Refunds {
    ///     mapping(address => uint256) paid;
    ///     function buy() external payable { paid[msg.sender] += msg.value; }
    ///     function refund() external {
    ///         uint256 amount = paid[msg.sender];
    ///         paid[msg.sender] = 0;
    ///         payable(msg.sender).transfer(amount);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Functions that write anything under a key that is made of the caller, such as the time of the last payment;
    /// functions that call other contracts, which may keep the books.
    RepeatedWithdrawal {
        id: "repeated-withdrawal",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-105"],
    }
}

impl Detector for RepeatedWithdrawal {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::RepeatedClaim) {
            let what = &hazard.detail;
            out.report_hazard(
                program,
                hazard,
                format!("`{what}` is paid to the caller and stays as it is"),
                "the caller is paid, and can call again",
                "set what is kept for the caller to zero before paying",
            );
        }
    }
}
