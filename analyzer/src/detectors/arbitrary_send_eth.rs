use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Anyone can send the contract's ether to an account of their choice.
    ///
    /// ## Why it matters
    ///
    /// The ether of a contract belongs to those it made promises to. An entry point that anyone can call, that
    /// keeps no record of who is owed what, and that pays whom the caller names, pays the first who calls.
    ///
    /// ## How to fix
    /// Let only a trusted account call it, or pay each caller what a record of their own says.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Bank {
    ///     receive() external payable {}
    ///
    ///     function withdraw(address payable to, uint256 amount) external {
    ///         to.transfer(amount); //~ arbitrary-send-eth
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Bank {
    ///     mapping(address => uint256) credit;
    ///
    ///     function deposit() external payable { credit[msg.sender] += msg.value; }
    ///
    ///     function withdraw(address payable to, uint256 amount) external {
    ///         credit[msg.sender] -= amount;
    ///         to.transfer(amount);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Payments where the code keeps any record by caller or by argument, needs a hash or a signature, follows a
    /// call that changes another contract (the ether may have come from there), or was paid for with the same call;
    /// accounts that became the payee by bringing ether, as the highest bidder does;
    /// fixed rewards to the caller; what is left in a router; contracts that no other entry point brings ether into.
    ArbitrarySendEth {
        id: "arbitrary-send-eth",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["arbitrary-send-eth"],
        swc: ["SWC-105"],
    }
}

impl Detector for ArbitrarySendEth {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::EtherToChosen) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("anyone can send ether of the contract to an account of their choice through `{entry}`"),
                "and sends ether without a check of who calls or what they are owed",
                "let only a trusted account call it, or pay what a record of the caller's says",
            );
        }
    }
}
