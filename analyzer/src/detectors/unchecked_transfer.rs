use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A token transfer may fail without a word.
    ///
    /// ## Why it matters
    ///
    /// Some tokens answer `false` instead of reverting. Whoever does not look books a payment that never came.
    ///
    /// ## How to fix
    /// Require the answer; for tokens that answer nothing, use a library that accepts both.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface Token { function transferFrom(address, address, uint256) external returns (bool); }
    /// contract Pool {
    ///     Token immutable token = Token(msg.sender);
    ///     mapping(address => uint256) credit;
    ///     function deposit(uint256 amount) external {
    ///         token.transferFrom(msg.sender, address(this), amount); //~ unchecked-transfer
    ///         credit[msg.sender] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface Token { function transferFrom(address, address, uint256) external returns (bool); }
    /// contract Pool {
    ///     Token immutable token = Token(msg.sender);
    ///     mapping(address => uint256) credit;
    ///     function deposit(uint256 amount) external {
    ///         require(token.transferFrom(msg.sender, address(this), amount));
    ///         credit[msg.sender] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// An answer that reaches a condition, storage, an event, a call or a return value; tokens whose code is at hand.
    UncheckedTransfer {
        id: "unchecked-transfer",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: ["unchecked-transfer"],
        swc: ["SWC-104"],
    }
}

impl Detector for UncheckedTransfer {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::UncheckedTransfer) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("nobody looks at whether this token transfer in `{entry}` succeeded"),
                "may answer `false`, and the code goes on",
                "require the answer, or use a library that does",
            );
        }
    }
}
