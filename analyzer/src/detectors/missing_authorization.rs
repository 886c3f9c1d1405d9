use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Anyone can write what is privileged elsewhere.
    ///
    /// ## Why it matters
    ///
    /// Other functions of the contract write this state only for a chosen account, or ask it who that account is. A
    /// function that forgets the check is a second door: whoever finds it has the power that the others protect.
    ///
    /// ## How to fix
    /// Make the same check here, or let the function be called from inside only.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Vault {
    ///     address owner = msg.sender;
    ///     address keeper;
    ///     function setKeeper(address to) external { require(msg.sender == owner); keeper = to; }
    ///     function replaceKeeper(address to) external { keeper = to; } //~ missing-authorization
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Vault {
    ///     address owner = msg.sender;
    ///     address keeper;
    ///     function setKeeper(address to) external { require(msg.sender == owner); keeper = to; }
    ///     function replaceKeeper(address to) external { require(msg.sender == owner); keeper = to; }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Values that the function computes; entries under keys, which may be the caller's own; what can be written only
    /// once; state that no other function protects.
    MissingAuthorization {
        id: "missing-authorization",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["protected-vars"],
        swc: ["SWC-105", "SWC-118"],
    }
}

impl Detector for MissingAuthorization {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::OpenAuthority) {
            let (state, entry) = (&hazard.detail, program.function_name(hazard.entry));
            out.report_hazard(program, hazard, format!("anyone can write `{state}` through `{entry}`, which others protect or rely on"), "and writes it, without a check of who calls", "make the check here that the other functions make");
        }
    }
}
