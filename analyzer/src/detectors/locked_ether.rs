use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Ether can come in, and nothing can send it out.
    ///
    /// ## Why it matters
    ///
    /// Ether that is sent to a contract without any statement that sends ether on is lost for good, whoever sent it.
    ///
    /// ## How to fix
    /// Add a way to withdraw, or do not accept ether.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Box {
    ///     uint256 count;
    ///
    ///     function put() external payable { //~ locked-ether
    ///         count += 1;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Box {
    ///     uint256 count;
    ///
    ///     function put() external { count += 1; }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Contracts that others derive from (a derived one may pay out), entry points that only a chosen account can
    /// call or that always fail, and contracts that run foreign code, which may pay out.
    LockedEther {
        id: "locked-ether",
        severity: Medium,
        confidence: High,
        since: "0.1.0",
        slither: ["locked-ether"],
        swc: ["SWC-132"],
    }
}

impl Detector for LockedEther {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::LockedEther) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("ether sent to `{entry}` can never leave the contract"),
                "takes ether, and no statement of the contract sends any",
                "add a way to withdraw, or remove `payable`",
            );
        }
    }
}
