use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A swap takes whatever it gets.
    ///
    /// ## Why it matters
    ///
    /// With zero as the least amount a swap succeeds at any price. Whoever sees it coming moves the price first, lets
    /// the swap pass at the worse one, and moves it back; the difference is theirs. A least amount that is asked of
    /// the market in the same transaction is no better: the market has been moved by then.
    ///
    /// ## How to fix
    /// Let the caller say the least amount, computed outside of the transaction or from an oracle.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IRouter { function swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] calldata path, address to, uint256 deadline) external returns (uint256[] memory); }
    /// contract Harvest {
    ///     IRouter immutable router;
    ///     constructor(IRouter router_) { router = router_; }
    ///     function sell(uint256 amount, address[] calldata path) external returns (uint256) {
    ///         return router.swapExactTokensForTokens(amount, 0, path, msg.sender, block.timestamp)[1]; //~ missing-slippage
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
    ///     function sell(uint256 amount, uint256 least, address[] calldata path) external returns (uint256) {
    ///         return router.swapExactTokensForTokens(amount, least, path, msg.sender, block.timestamp)[1];
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Any amount but zero, and but what the market itself answers in the same transaction; swaps with a limit of the
    /// price; routers with other signatures than those of Uniswap v2 and v3 and of Curve.
    MissingSlippage {
        id: "missing-slippage",
        severity: Medium,
        confidence: High,
        since: "0.1.0",
        slither: [],
        swc: [],
    }
}

impl Detector for MissingSlippage {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::NoLeastAmount) {
            out.report_flaw(program, hazard, hazard.detail.clone(), "let the caller say the least amount");
        }
    }
}
