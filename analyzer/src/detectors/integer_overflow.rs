use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A sum of the caller's numbers wraps around without a word.
    ///
    /// ## Why it matters
    ///
    /// Before Solidity 0.8 nothing is said when a result does not fit: the sum of two large numbers is a small one,
    /// and what is taken from too little becomes the largest number there is. Tokens were made out of nothing this
    /// way.
    ///
    /// ## How to fix
    /// Compile with 0.8 or later, or compare the operands before, or the result afterwards.
    ///
    /// ## Bad
    /// ```solidity bad
    /// pragma solidity ^0.7.0;
    /// contract Token {
    ///     mapping(address => uint256) balance;
    ///     function give(address to, uint256 amount) external {
    ///         balance[msg.sender] -= amount; //~ integer-overflow
    ///         balance[to] += amount; //~ integer-overflow
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// pragma solidity ^0.7.0;
    /// contract Token {
    ///     mapping(address => uint256) balance;
    ///     function give(address to, uint256 amount) external {
    ///         require(balance[msg.sender] >= amount);
    ///         balance[msg.sender] -= amount;
    ///         balance[to] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Checked arithmetic (0.8 and later), `unchecked` blocks and assembly, where it is said that nobody checks;
    /// operands that are compared with something; results that are compared with what they were made of, as SafeMath
    /// does.
    IntegerOverflow {
        id: "integer-overflow",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-101"],
    }
}

impl Detector for IntegerOverflow {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::Overflow) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` wraps around without a word"), "compare before, or compile with 0.8 or later");
        }
    }
}
