use super::{Confidence, Detector, Findings};
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
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for site in facts.self_destructs().iter().filter(|site| !site.guarded) {
            let entry = program.function_name(site.entry);
            let taker =
                if site.beneficiary_tainted { " and choose who gets its ether" } else { "" };
            let draft = out.report(
                site.span,
                format!("anyone can destroy the contract through `{entry}`{taker}"),
            );
            draft.inside(program, site.function);
            draft.step(program.function_name_span(site.entry), "anyone can call this");
            for call in &site.path {
                draft.step(*call, "which calls on");
            }
            draft.step(site.span, "and reaches this without a check of who calls");
            draft.help("remove it, or let only a trusted account reach it and send the ether to a fixed address");
            if site.partial {
                // What could not be read may hold the check.
                draft.confidence(Confidence::Low);
            }
        }
    }
}
