use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A balance must be exactly something.
    ///
    /// ## Why it matters
    ///
    /// Anyone can send ether to a contract, by a `selfdestruct` or as the receiver of a block, and tokens to any
    /// account. A condition that asks for exactly one balance can be made false forever with the smallest gift, and
    /// what it guards is stuck.
    ///
    /// ## How to fix
    /// Ask for at least so much, or count in a variable of your own what came in.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Game {
    ///     function finish() external view returns (bool) {
    ///         require(address(this).balance == 10 ether); //~ incorrect-equality
    ///         return true;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Game {
    ///     function finish() external view returns (bool) {
    ///         require(address(this).balance >= 10 ether);
    ///         return true;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// A comparison with nothing; of two readings of the balance; with what another contract says.
    IncorrectEquality {
        id: "incorrect-equality",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: ["incorrect-equality"],
        swc: ["SWC-132"],
    }
}

impl Detector for IncorrectEquality {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::ExactBalance) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` can be made false by anyone who sends a little"), "ask for at least so much, or count what came in");
        }
    }
}
