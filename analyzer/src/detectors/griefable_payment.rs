use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// One account can refuse a payment, and with it everything else.
    ///
    /// ## Why it matters
    ///
    /// Ether is pushed to an account that came there by itself, and where that fails everything is undone. A contract
    /// that takes no ether, put there on purpose, blocks the function for everybody: an auction that nobody can outbid,
    /// a throne that nobody can take.
    ///
    /// ## How to fix
    /// Note what the account is owed, and let it fetch that with a call of its own.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Auction {
    ///     address leader;
    ///     uint256 bid;
    ///     function raise() external payable {
    ///         require(msg.value > bid);
    ///         payable(leader).transfer(bid); //~ griefable-payment
    ///         leader = msg.sender;
    ///         bid = msg.value;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Auction {
    ///     address leader;
    ///     uint256 bid;
    ///     mapping(address => uint256) owed;
    ///     function raise() external payable {
    ///         require(msg.value > bid);
    ///         owed[leader] += bid;
    ///         leader = msg.sender;
    ///         bid = msg.value;
    ///     }
    ///     function fetch() external {
    ///         uint256 amount = owed[msg.sender];
    ///         owed[msg.sender] = 0;
    ///         payable(msg.sender).transfer(amount);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Payments to whoever calls, or to an account that the caller names; payees that only a chosen account sets;
    /// payments whose failure is passed over; payments in loops, which `calls-loop` reports.
    GriefablePayment {
        id: "griefable-payment",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-113"],
    }
}

impl Detector for GriefablePayment {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::GriefablePayment) {
            out.report_hazard(
                program,
                hazard,
                "the payee can refuse this, and with it everything else",
                "where this fails everything is undone",
                "note what is owed, and let the payee fetch it",
            );
        }
    }
}
