use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A new allowance replaces the old one, and both can be spent.
    ///
    /// ## Why it matters
    /// Who may spend 100 tokens and sees, before it is mined, that the owner lowers this to 50 spends the 100 first and
    /// the 50 afterwards. The standard (ERC-20) asks wallets to set an allowance to zero before another one; a token that
    /// can also raise and lower allowances spares its users the race.
    ///
    /// ## How to fix
    /// Offer functions that add to an allowance and take from it, or refuse to replace one that is not spent.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Token {
    ///     mapping(address => uint256) balances;
    ///     mapping(address => mapping(address => uint256)) allowed;
    ///     function approve(address spender, uint256 amount) external returns (bool) {
    ///         allowed[msg.sender][spender] = amount; //~ approve-race
    ///         return true;
    ///     }
    ///     function transferFrom(address from, address to, uint256 amount) external returns (bool) {
    ///         allowed[from][msg.sender] -= amount;
    ///         balances[from] -= amount;
    ///         balances[to] += amount;
    ///         return true;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Token {
    ///     mapping(address => uint256) balances;
    ///     mapping(address => mapping(address => uint256)) allowed;
    ///     function approve(address spender, uint256 amount) external returns (bool) {
    ///         require(amount == 0 || allowed[msg.sender][spender] == 0, "not spent");
    ///         allowed[msg.sender][spender] = amount;
    ///         return true;
    ///     }
    ///     function transferFrom(address from, address to, uint256 amount) external returns (bool) {
    ///         allowed[from][msg.sender] -= amount;
    ///         balances[from] -= amount;
    ///         balances[to] += amount;
    ///         return true;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Tokens that can raise or lower an allowance as well; `approve` that looks at the old allowance first.
    ApproveRace {
        id: "approve-race",
        severity: Info,
        confidence: High,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-114"],
    }
}

impl Detector for ApproveRace {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        for hazard in facts.hazards(HazardKind::AllowanceRace) {
            out.report_flaw(
                facts.program(),
                hazard,
                format!("who may spend `{}` can spend the old amount before this, and the new one after it", hazard.detail),
                "let allowances also be raised and lowered, or refuse to replace one that is not spent",
            );
        }
    }
}
