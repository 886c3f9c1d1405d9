use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The signer of the transaction, not the caller, decides who may act.
    ///
    /// ## Why it matters
    ///
    /// `tx.origin` is whoever signed the transaction, however many contracts stand between. Any contract that the
    /// owner happens to call, a token or an airdrop, can then call on and act as the owner.
    ///
    /// ## How to fix
    /// Compare `msg.sender` instead.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Wallet {
    ///     address owner = msg.sender;
    ///     uint256 limit;
    ///
    ///     function set(uint256 to) external {
    ///         require(tx.origin == owner); //~ tx-origin
    ///         limit = to;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Wallet {
    ///     address owner = msg.sender;
    ///     uint256 limit;
    ///
    ///     function set(uint256 to) external {
    ///         require(msg.sender == owner);
    ///         limit = to;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// `tx.origin == msg.sender`, which asks whether a plain account calls, and comparisons with the zero address,
    /// which tell simulations apart.
    TxOrigin {
        id: "tx-origin",
        severity: Medium,
        confidence: High,
        since: "0.1.0",
        slither: ["tx-origin"],
        swc: ["SWC-115"],
    }
}

impl Detector for TxOrigin {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::OriginCheck) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("`tx.origin` decides who may use `{entry}`"),
                "and lets the signer's authority work for every contract they call",
                "compare `msg.sender` instead",
            );
        }
    }
}
