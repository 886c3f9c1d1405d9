use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The ether of one call is counted once for each round of a loop.
    ///
    /// ## Why it matters
    ///
    /// `msg.value` stays the same while a loop runs. Code that credits or sends it in each round gives away as many
    /// times the ether as there are rounds, and the difference comes from everybody else.
    ///
    /// ## How to fix
    /// Add up what the rounds need and compare it once with `msg.value`, or divide before the loop.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Sale {
    ///     mapping(address => uint256) credit;
    ///
    ///     function buyFor(address[] calldata users) external payable {
    ///         for (uint256 i; i < users.length; i++) {
    ///             credit[users[i]] += msg.value; //~ msg-value-loop
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Sale {
    ///     mapping(address => uint256) credit;
    ///
    ///     function buyFor(address[] calldata users) external payable {
    ///         uint256 each = msg.value / users.length;
    ///         for (uint256 i; i < users.length; i++) {
    ///             credit[users[i]] += each;
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// A part of `msg.value`, a rest that gets smaller in each round, and a comparison: only what is credited or sent
    /// counts.
    MsgValueLoop {
        id: "msg-value-loop",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["msg-value-loop"],
        swc: [],
    }
}

impl Detector for MsgValueLoop {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::ValueInLoop) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("each round of the loop in `{entry}` uses the whole `msg.value` again"),
                "and gives the same ether in every round",
                "add up what the rounds need and compare it once with `msg.value`",
            );
        }
    }
}
