use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A deposit is credited by the amount that was asked for, whatever arrived.
    ///
    /// ## Why it matters
    ///
    /// Some tokens keep a fee of each transfer, and the caller chooses the token. More is credited than has come in;
    /// the last to withdraw find nothing, and whoever deposits and withdraws again and again takes what others brought.
    ///
    /// ## How to fix
    /// Measure the balance before and after the transfer and credit the difference, or admit only listed tokens.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IToken { function transferFrom(address, address, uint256) external returns (bool); }
    /// contract Bank {
    ///     mapping(address => mapping(address => uint256)) public credit;
    ///     function put(IToken token, uint256 amount) external {
    ///         require(token.transferFrom(msg.sender, address(this), amount)); //~ fee-on-transfer
    ///         credit[address(token)][msg.sender] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IToken { function transferFrom(address, address, uint256) external returns (bool); function balanceOf(address) external view returns (uint256); }
    /// contract Bank {
    ///     mapping(address => mapping(address => uint256)) public credit;
    ///     bool busy;
    ///     function put(IToken token, uint256 amount) external {
    ///         require(!busy);
    ///         busy = true;
    ///         uint256 before = token.balanceOf(address(this));
    ///         require(token.transferFrom(msg.sender, address(this), amount));
    ///         credit[address(token)][msg.sender] += token.balanceOf(address(this)) - before;
    ///         busy = false;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Tokens that are fixed when the contract is made, or that must stand on a list of the contract; balances that are
    /// asked.
    FeeOnTransfer {
        id: "fee-on-transfer",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: [],
    }
}

impl Detector for FeeOnTransfer {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::CreditedByArgument) {

            out.report_hazard(
                program,
                hazard,
                "less than this amount may arrive, and all of it is credited",
                "a token that keeps a fee delivers less",
                "credit the difference of the balance before and after",
            );
        }
    }
}
