use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// What a pool holds at this moment is used as a price.
    ///
    /// ## Why it matters
    ///
    /// Whoever trades with the pool first sets the price, and a flash loan pays for it: one transaction moves the pool,
    /// borrows or mints at the false price, and moves the pool back.
    ///
    /// ## How to fix
    /// Ask a feed, or an average over time that the pool keeps; or compare the price of the moment with one of them and
    /// refuse where they differ.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IPair { function getReserves() external view returns (uint112, uint112, uint32); }
    /// contract Lender {
    ///     IPair immutable pair;
    ///     mapping(address => uint256) collateral;
    ///     mapping(address => uint256) debt;
    ///     constructor(IPair pair_) { pair = pair_; }
    ///     function pledge() external payable { collateral[msg.sender] += msg.value; }
    ///     function borrow(uint256 amount) external {
    ///         (uint112 ether_, uint112 tokens, ) = pair.getReserves(); //~ spot-price
    ///         require((debt[msg.sender] + amount) * ether_ / tokens <= collateral[msg.sender]);
    ///         debt[msg.sender] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IFeed { function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80); }
    /// contract Lender {
    ///     IFeed immutable feed;
    ///     mapping(address => uint256) collateral;
    ///     mapping(address => uint256) debt;
    ///     constructor(IFeed feed_) { feed = feed_; }
    ///     function pledge() external payable { collateral[msg.sender] += msg.value; }
    ///     function borrow(uint256 amount) external {
    ///         (, int256 price, , uint256 updatedAt, ) = feed.latestRoundData();
    ///         require(price > 0 && block.timestamp - updatedAt < 1 hours);
    ///         require((debt[msg.sender] + amount) * uint256(price) / 1e18 <= collateral[msg.sender]);
    ///         debt[msg.sender] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Contracts that trade with the pool themselves, whose price is their own; prices that are multiplied with a span
    /// of time, as averages are; prices beside which a feed is asked; libraries and functions that answer with more
    /// than one number.
    SpotPrice {
        id: "spot-price",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: [],
    }
}

impl Detector for SpotPrice {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::SpotPrice) {

            let draft = out.report(hazard.span, "what a pool holds at this moment is used as a price");
            draft.inside(program, hazard.function).help("ask a feed or an average over time");
            draft.step(program.function_name_span(hazard.entry), "this asks for the price");
            for call in &hazard.path {
                draft.step(*call, "which calls on");
            }
            draft.step(hazard.span, "whoever has traded just before says what the answer is");
        }
    }
}
