use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A reference that points nowhere in particular is written through.
    ///
    /// ## Why it matters
    ///
    /// Before Solidity 0.5 a struct or list that was declared in a function and not set was a reference to the first slot
    /// of storage. What is written to its fields overwrites the first variables of the contract, its owner among them.
    ///
    /// ## How to fix
    /// Say `memory`, or set the reference to what it shall point to.
    ///
    /// ## Bad
    /// ```solidity bad
    /// pragma solidity ^0.4.24;
    /// contract Game {
    ///     address owner = msg.sender;
    ///     struct Bet { address who; uint256 number; }
    ///     Bet[] bets;
    ///     function play(uint256 number) public {
    ///         Bet bet;
    ///         bet.who = msg.sender; //~ uninitialized-storage
    ///         bet.number = number;
    ///         bets.push(bet);
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// pragma solidity ^0.4.24;
    /// contract Game {
    ///     address owner = msg.sender;
    ///     struct Bet { address who; uint256 number; }
    ///     Bet[] bets;
    ///     function play(uint256 number) public {
    ///         Bet memory bet;
    ///         bet.who = msg.sender;
    ///         bet.number = number;
    ///         bets.push(bet);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Code for Solidity 0.5 and later, whose compiler refuses it.
    UninitializedStorage {
        id: "uninitialized-storage",
        severity: High,
        confidence: High,
        since: "0.1.0",
        slither: ["uninitialized-storage"],
        swc: ["SWC-109"],
    }
}

impl Detector for UninitializedStorage {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::NowhereReference) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("what is written to `{what}` overwrites the first variables of the contract"), "say `memory`, or set what it points to");
        }
    }
}
