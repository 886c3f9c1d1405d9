use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The price of a feed is used whatever its age.
    ///
    /// ## Why it matters
    ///
    /// A feed that has stopped goes on answering with its last price. Whoever sees that the market has moved borrows
    /// or buys at the old one.
    ///
    /// ## How to fix
    /// Compare `updatedAt` with the time and refuse what is older than the feed's heartbeat; `latestAnswer` does not
    /// tell it.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IFeed { function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80); }
    /// contract Lender {
    ///     IFeed immutable feed;
    ///     constructor(IFeed feed_) { feed = feed_; }
    ///     function price() public view returns (uint256) {
    ///         (, int256 answer, , , ) = feed.latestRoundData(); //~ stale-price
    ///         return uint256(answer);
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IFeed { function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80); }
    /// contract Lender {
    ///     IFeed immutable feed;
    ///     constructor(IFeed feed_) { feed = feed_; }
    ///     function price() public view returns (uint256) {
    ///         (, int256 answer, , uint256 updatedAt, ) = feed.latestRoundData();
    ///         require(answer > 0 && block.timestamp - updatedAt < 1 hours);
    ///         return uint256(answer);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Calls whose price is not used; calls whose time is used, however.
    StalePrice {
        id: "stale-price",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: ["pyth-unchecked-publishtime"],
        swc: [],
    }
}

impl Detector for StalePrice {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::StalePrice) {
            out.report_flaw(program, hazard, "this price is used whatever its age", "compare when it was updated with the time");
        }
    }
}
