use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A loop goes over a list that anyone can make longer.
    ///
    /// ## Why it matters
    ///
    /// Each round costs gas, and a block holds only so much of it. Whoever adds enough entries makes the function
    /// fail for everybody, forever, and what it pays or releases is stuck. The lower bound grows by one cold storage
    /// read (2,100 gas, EIP-2929) for each entry.
    ///
    /// ## How to fix
    /// Let each account draw what is theirs, work through the list in parts, or bound its length.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Payroll {
    ///     address[] staff;
    ///     mapping(address => uint256) due;
    ///     function join() external { staff.push(msg.sender); }
    ///     function close() external {
    ///         for (uint256 i = 0; i < staff.length; i++) { //~ unbounded-loop
    ///             due[staff[i]] = 0;
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Payroll {
    ///     address[] staff;
    ///     mapping(address => uint256) due;
    ///     function join() external { require(staff.length < 50); staff.push(msg.sender); }
    ///     function close(uint256 from, uint256 to) external {
    ///         for (uint256 i = from; i < to; i++) {
    ///             due[staff[i]] = 0;
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Lists that only a trusted account can make longer; lists that are not made longer than a thousand entries; lists of the caller's own; views, which cost nobody else
    /// anything.
    UnboundedLoop {
        id: "unbounded-loop",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-128"],
    }
}

impl Detector for UnboundedLoop {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::UnboundedLoop) {
            let (list, entry) = (&hazard.detail, program.function_name(hazard.entry));
            out.report_hazard(program, hazard, format!("anyone can add to `{list}` until `{entry}` runs out of gas"), "and has one round for each entry, at 2,100 gas or more", "let each account draw what is theirs, or go through the list in parts");
        }
        for hazard in facts.hazards(HazardKind::ClearedList) {
            let (list, entry) = (&hazard.detail, program.function_name(hazard.entry));
            out.report_hazard(
                program,
                hazard,
                format!("anyone can add to `{list}` until `{entry}` runs out of gas"),
                "and empties it, at 5,000 gas for each entry",
                "begin a new list under another key, or empty it in parts",
            );
        }
    }
}
