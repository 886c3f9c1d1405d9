use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// An account is read from storage but never written.
    ///
    /// ## Why it matters
    ///
    /// It is the zero account forever: ether that is sent there is gone, a check of who calls lets nobody in, a call
    /// does nothing.
    ///
    /// ## How to fix
    /// Write it where it was meant to be written, or remove it.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Fees {
    ///     address payable treasury; //~ uninitialized-state
    ///     function pay() external payable { treasury.transfer(msg.value); }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Fees {
    ///     address payable treasury;
    ///     constructor(address payable to) { treasury = to; }
    ///     function pay() external payable { treasury.transfer(msg.value); }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Variables of other types, for which zero may be meant; those of abstract contracts, libraries and bases, which
    /// others may write; variables that assembly names, or whose reference is handed on.
    UninitializedState {
        id: "uninitialized-state",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["uninitialized-state"],
        swc: ["SWC-109"],
    }
}

impl Detector for UninitializedState {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::NeverWritten) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` is read, but nobody ever writes it"), "write it where it was meant to be written");
        }
    }
}
