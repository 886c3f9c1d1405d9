use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A price is used whether or not there was one.
    ///
    /// ## Why it matters
    ///
    /// `tryRead` of Chronicle's feeds does not revert: where there is no price it answers `false` and zero, and zero is
    /// what the contract goes on with.
    ///
    /// ## How to fix
    /// Ask for the first answer, or use `read`, which reverts.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IChronicle { function tryRead() external view returns (bool, uint256); }
    /// contract Lender {
    ///     IChronicle immutable feed;
    ///     constructor(IChronicle feed_) { feed = feed_; }
    ///     function price() external view returns (uint256) {
    ///         (, uint256 value) = feed.tryRead(); //~ chronicle-unchecked-price
    ///         return value;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IChronicle { function tryRead() external view returns (bool, uint256); }
    /// contract Lender {
    ///     IChronicle immutable feed;
    ///     constructor(IChronicle feed_) { feed = feed_; }
    ///     function price() external view returns (uint256) {
    ///         (bool ok, uint256 value) = feed.tryRead();
    ///         require(ok);
    ///         return value;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Calls whose price is not used.
    ChronicleUncheckedPrice {
        id: "chronicle-unchecked-price",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: ["chronicle-unchecked-price"],
        swc: [],
    }
}

impl Detector for ChronicleUncheckedPrice {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::MissingPrice) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("the price of `{what}` is used whether or not there was one"), "ask for the first answer");
        }
    }
}
