use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Anyone can spend the tokens that others have approved.
    ///
    /// ## Why it matters
    ///
    /// Whoever approves a contract trusts it to take their tokens only when they ask for it. Where the caller of
    /// the contract says whose tokens are taken, one stranger spends the allowances of all users.
    ///
    /// ## How to fix
    /// Take from `msg.sender`, or check an allowance or signature that the owner of the tokens gave to the caller.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface Token { function transferFrom(address, address, uint256) external returns (bool); }
    /// contract Shop {
    ///     Token immutable token = Token(msg.sender);
    ///
    ///     function pay(address from, address to, uint256 amount) external {
    ///         require(token.transferFrom(from, to, amount)); //~ arbitrary-send-erc20
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface Token { function transferFrom(address, address, uint256) external returns (bool); }
    /// contract Shop {
    ///     Token immutable token = Token(msg.sender);
    ///
    ///     function pay(address to, uint256 amount) external {
    ///         require(token.transferFrom(msg.sender, to, amount));
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// An owner that comes out of storage, a call that only a chosen account can make, an owner that is compared
    /// with what the contract knows of the caller, and one about whom another contract was asked before (a permit).
    /// Calls that a library makes in assembly are not seen.
    ArbitrarySendErc20 {
        id: "arbitrary-send-erc20",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["arbitrary-send-erc20"],
        swc: [],
    }
}

impl Detector for ArbitrarySendErc20 {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::TokensFromChosen) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("`{entry}` takes tokens from whatever account its caller names"),
                "and spends the allowance of the account in the first argument",
                "take from `msg.sender`, or check what the owner of the tokens allowed the caller",
            );
        }
    }
}
