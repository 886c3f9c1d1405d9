use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Two messages to another chain that may arrive in any order.
    ///
    /// ## Why it matters
    ///
    /// A retryable ticket that fails on Arbitrum can be redeemed later, by anyone. The second of two tickets may run before
    /// the first; where it relies on the first, what follows is up to whoever redeems them.
    ///
    /// ## How to fix
    /// Send one ticket that does both, or let each be right by itself.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IInbox { function createRetryableTicket(address to, uint256 value, uint256 cost, address refund, address owner, uint256 gas, uint256 fee, bytes calldata data) external payable returns (uint256); }
    /// contract Bridge {
    ///     IInbox immutable inbox;
    ///     uint256 last;
    ///     constructor(IInbox inbox_) { inbox = inbox_; }
    ///     function claimAndStake(address to, bytes calldata claim, bytes calldata stake) external {
    ///         last = inbox.createRetryableTicket(to, 0, 0, to, to, 0, 0, claim);
    ///         last = inbox.createRetryableTicket(to, 0, 0, to, to, 0, 0, stake); //~ out-of-order-retryable
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IInbox { function createRetryableTicket(address to, uint256 value, uint256 cost, address refund, address owner, uint256 gas, uint256 fee, bytes calldata data) external payable returns (uint256); }
    /// contract Bridge {
    ///     IInbox immutable inbox;
    ///     uint256 last;
    ///     constructor(IInbox inbox_) { inbox = inbox_; }
    ///     function claimAndStake(address to, bytes calldata both) external {
    ///         last = inbox.createRetryableTicket(to, 0, 0, to, to, 0, 0, both);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Tickets on different ways through the function.
    OutOfOrderRetryable {
        id: "out-of-order-retryable",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: ["out-of-order-retryable"],
        swc: [],
    }
}

impl Detector for OutOfOrderRetryable {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::UnorderedTickets) {
            out.report_flaw(program, hazard, "this ticket may be redeemed before the one that was sent first", "send one ticket that does both");
        }
    }
}
