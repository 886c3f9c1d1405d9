use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A trade may be made at any later time.
    ///
    /// ## Why it matters
    ///
    /// The deadline is the time of the very block that includes the transaction, or later than any. A transaction that
    /// has been waiting for hours still goes through, when the price has moved and only for as long as that suits
    /// whoever includes it.
    ///
    /// ## How to fix
    /// Let the caller say until when.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IRouter { function swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] calldata path, address to, uint256 deadline) external returns (uint256[] memory); }
    /// contract Harvest {
    ///     IRouter immutable router;
    ///     constructor(IRouter router_) { router = router_; }
    ///     function sell(uint256 amount, uint256 least, address[] calldata path) external returns (uint256) {
    ///         return router.swapExactTokensForTokens(amount, least, path, msg.sender, block.timestamp)[1]; //~ block-timestamp-deadline
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IRouter { function swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] calldata path, address to, uint256 deadline) external returns (uint256[] memory); }
    /// contract Harvest {
    ///     IRouter immutable router;
    ///     constructor(IRouter router_) { router = router_; }
    ///     function sell(uint256 amount, uint256 least, uint256 until, address[] calldata path) external returns (uint256) {
    ///         return router.swapExactTokensForTokens(amount, least, path, msg.sender, until)[1];
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Routers with other signatures than those of Uniswap v2 and v3; deadlines that the caller gives or that are kept.
    BlockTimestampDeadline {
        id: "block-timestamp-deadline",
        severity: Low,
        confidence: High,
        since: "0.1.0",
        slither: [],
        swc: [],
    }
}

impl Detector for BlockTimestampDeadline {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::NoDeadline) {

            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` with this deadline may be made at any later time"), "let the caller say until when");
        }
    }
}
