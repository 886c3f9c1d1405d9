use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A few seconds of the block's time decide who is paid.
    ///
    /// ## Why it matters
    /// Whoever makes a block has some say in its time: seconds where blocks are mined or sequenced by one party, and
    /// everywhere the choice of which block a transaction goes into. Where the last bid before a short period ends takes
    /// the pot, that is enough to be the last.
    ///
    /// ## How to fix
    /// Let periods that decide about money be long compared with the time of a block, or make them longer with each late
    /// bid.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract LastOneWins {
    ///     address payable last;
    ///     uint256 since;
    ///     uint256 pot;
    ///     function play() external payable { require(msg.value >= 1 ether); last = payable(msg.sender); since = block.timestamp; pot += msg.value; }
    ///     function end() external {
    ///         require(block.timestamp >= since + 1 minutes); //~ timestamp
    ///         uint256 amount = pot;
    ///         pot = 0;
    ///         if (!last.send(amount)) pot = amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract LastOneWins {
    ///     address payable last;
    ///     uint256 since;
    ///     uint256 pot;
    ///     function play() external payable { require(msg.value >= 1 ether); last = payable(msg.sender); since = block.timestamp; pot += msg.value; }
    ///     function end() external {
    ///         require(block.timestamp >= since + 1 days);
    ///         uint256 amount = pot;
    ///         pot = 0;
    ///         if (!last.send(amount)) pot = amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Periods of more than fifteen minutes, and moments that are written out; how long callers wait for what is their
    /// own. Time that is used as chance is `weak-prng`.
    Timestamp {
        id: "timestamp",
        severity: Low,
        confidence: Medium,
        since: "0.1.0",
        slither: ["timestamp"],
        swc: ["SWC-116"],
    }
}

impl Detector for Timestamp {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::ClockDecides) {
            out.report_hazard(
                program,
                hazard,
                format!("{} of the block's time decide about a payment", hazard.detail),
                "and compares the block's time, which its producer can move a little",
                "let the period be long compared with the time of a block",
            );
        }
    }
}
