use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Chance is made of what the block's producer knows.
    ///
    /// ## Why it matters
    ///
    /// The hash, time and number of a block are known to whoever makes it, who can also leave out a block that does
    /// not suit. For a contract that calls they are known, too: it computes the draw first and takes part only where
    /// it wins.
    ///
    /// ## How to fix
    /// Draw from a verifiable source (a VRF), or let the players commit to secrets first and reveal them later.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Lottery {
    ///     address[] players;
    ///     function draw() external view returns (address) {
    ///         uint256 winner = uint256(keccak256(abi.encode(block.timestamp, block.prevrandao))) % players.length; //~ weak-prng
    ///         return players[winner];
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Lottery {
    ///     address[] players;
    ///     uint256 seed;
    ///     address immutable source = msg.sender;
    ///     function fulfil(uint256 random) external { require(msg.sender == source); seed = random; }
    ///     function draw() external view returns (address) { return players[seed % players.length]; }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// A time that is rounded to a period; a deadline.
    WeakPrng {
        id: "weak-prng",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["weak-prng"],
        swc: ["SWC-120"],
    }
}

impl Detector for WeakPrng {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::WeakChance) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` draws from what is known before"), "draw from a verifiable source, or let the players commit first");
        }
    }
}
