use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Elements are passed over while others are taken out of the list.
    ///
    /// ## Why it matters
    ///
    /// Taking an element out moves the last one to its place. The loop goes on to the next position, and the one that was
    /// moved is never looked at; or the end is met too early and everything reverts.
    ///
    /// ## How to fix
    /// Walk from the end to the beginning, or raise the position only where nothing was taken out.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Queue {
    ///     uint256[] due;
    ///     function sweep(uint256 now_) external {
    ///         for (uint256 i = 0; i < due.length; i++) {
    ///             if (due[i] < now_) {
    ///                 due[i] = due[due.length - 1];
    ///                 due.pop(); //~ enumerable-loop-removal
    ///             }
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Queue {
    ///     uint256[] due;
    ///     function sweep(uint256 now_) external {
    ///         for (uint256 i = due.length; i > 0; i--) {
    ///             if (due[i - 1] < now_) {
    ///                 due[i - 1] = due[due.length - 1];
    ///                 due.pop();
    ///             }
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Loops that look at the same position again after an element was taken out of it, or that end there.
    EnumerableLoopRemoval {
        id: "enumerable-loop-removal",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: [],
    }
}

impl Detector for EnumerableLoopRemoval {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::SkippedElement) {
            let what = &hazard.detail;
            out.report_hazard(
                program,
                hazard,
                format!("what takes this place in `{what}` is passed over"),
                "an element is taken out, and the position goes on",
                "walk from the end, or stay where something was taken out",
            );
        }
    }
}
