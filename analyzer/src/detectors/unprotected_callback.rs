use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// What a pool or a lender is to call back can be called by anyone.
    ///
    /// ## Why it matters
    ///
    /// A swap or a loan calls back in the middle and expects to be paid. If the function does not ask who calls,
    /// anyone calls it with data of their own, and it pays them.
    ///
    /// ## How to fix
    /// Compute the address of the pool, or keep it, and compare it with the caller.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IToken { function transfer(address to, uint256 amount) external returns (bool); }
    /// contract Bot {
    ///     IToken immutable token;
    ///     constructor(IToken token_) { token = token_; }
    ///     function uniswapV3SwapCallback(int256 owed, int256, bytes calldata) external {
    ///         require(token.transfer(msg.sender, uint256(owed))); //~ unprotected-callback
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IToken { function transfer(address to, uint256 amount) external returns (bool); }
    /// contract Bot {
    ///     IToken immutable token;
    ///     address immutable pool;
    ///     constructor(IToken token_, address pool_) { token = token_; pool = pool_; }
    ///     function uniswapV3SwapCallback(int256 owed, int256, bytes calldata) external {
    ///         require(msg.sender == pool);
    ///         require(token.transfer(msg.sender, uint256(owed)));
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Functions that ask who calls before they give anything.
    UnprotectedCallback {
        id: "unprotected-callback",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: [],
    }
}

impl Detector for UnprotectedCallback {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::OpenCallback) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(program, hazard, format!("`{entry}` pays whoever calls it, not only the pool or lender"), "and this is given without a check of who calls", "compare the caller with the pool or lender that is expected");
        }
    }
}
