use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// State is overwritten before anything can have read it.
    ///
    /// ## Why it matters
    ///
    /// The first write has no effect but its cost. Mostly one of the two was meant for another variable.
    ///
    /// ## How to fix
    /// Remove the first write, or write to what was meant.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Sale {
    ///     uint256 start;
    ///     uint256 end;
    ///     function open(uint256 from, uint256 to) external {
    ///         start = from; //~ write-after-write
    ///         start = to;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Sale {
    ///     uint256 start;
    ///     uint256 end;
    ///     function open(uint256 from, uint256 to) external {
    ///         start = from;
    ///         end = to;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Anything between the two that could read or leave: a read of the same variable, a call, a check, an event;
    /// modifiers.
    WriteAfterWrite {
        id: "write-after-write",
        severity: Low,
        confidence: High,
        since: "0.1.0",
        slither: ["write-after-write"],
        swc: [],
    }
}

impl Detector for WriteAfterWrite {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::Overwritten) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` is overwritten before anything can have read it"), "remove this write, or write to what was meant");
        }
    }
}
