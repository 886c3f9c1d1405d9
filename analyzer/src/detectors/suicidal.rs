use super::{Detector, Findings, detector};
use crate::facts::Facts;

detector! {
    /// Anyone can destroy the contract and take its ether.
    ///
    /// ## Why it matters
    /// `selfdestruct` sends the whole balance of the contract to an address, whatever the contract has
    /// promised to whom. Where a stranger can reach it, one call empties the contract. Before the
    /// Cancun upgrade (EIP-6780) it also deleted the code and the storage for good, and it still does on
    /// chains without that upgrade, and in the transaction that created the contract; every other
    /// contract that calls into a deleted library or proxy implementation stops working with it.
    ///
    /// ## How to fix
    /// Remove the `selfdestruct`, or let only a trusted account reach it and send the ether to an address
    /// that is fixed.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Wallet {
    ///     receive() external payable {}
    ///
    ///     function close(address payable to) external {
    ///         selfdestruct(to); //~ suicidal
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Wallet {
    ///     address payable immutable owner = payable(msg.sender);
    ///
    ///     function close() external {
    ///         require(msg.sender == owner, "not the owner");
    ///         selfdestruct(owner);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// A `selfdestruct` behind a check of `msg.sender` against state that strangers cannot set, however
    /// the check is written: that the owner can close the contract is a matter of trust, not a hole.
    Suicidal {
        id: "suicidal",
        severity: Critical,
        confidence: High,
        since: "0.1.0",
        slither: ["suicidal"],
        swc: ["SWC-106"],
    }
}

impl Detector for Suicidal {
    fn check(&self, _facts: &Facts<'_>, _out: &mut Findings) {}
}
