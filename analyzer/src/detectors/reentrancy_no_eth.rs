use super::{Detector, Findings, reentrancy_eth};
use crate::facts::Facts;

detector! {
    /// State that decides an external call is written only after the call, which sends no ether.
    ///
    /// ## Why it matters
    /// Any call to a contract that a stranger chose hands over control, with or without ether: a token
    /// can call its receiver, and a token of the attacker's own can do anything. Whoever calls back
    /// before the function goes on meets the state as it was, and what was granted once is granted
    /// again: a claim, a vote, a mint, a withdrawal of tokens.
    ///
    /// ## How to fix
    /// Check, then write, then call: bring the state into its final form before the external call. Where
    /// the order cannot be changed, put a lock (`nonReentrant`) on this function and on every other one
    /// that touches the same state.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IReceiver { function onClaim() external; }
    ///
    /// contract Airdrop {
    ///     mapping(address => bool) claimed;
    ///     mapping(address => uint256) public points;
    ///
    ///     function claim() external {
    ///         require(!claimed[msg.sender]);
    ///         points[msg.sender] += 100;
    ///         IReceiver(msg.sender).onClaim(); //~ reentrancy-no-eth
    ///         claimed[msg.sender] = true;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IReceiver { function onClaim() external; }
    ///
    /// contract Airdrop {
    ///     mapping(address => bool) claimed;
    ///     mapping(address => uint256) public points;
    ///
    ///     function claim() external {
    ///         require(!claimed[msg.sender]);
    ///         claimed[msg.sender] = true;
    ///         points[msg.sender] += 100;
    ///         IReceiver(msg.sender).onClaim();
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Calls to contracts that the owner chose, unless a standard obliges them to call the receiver; calls
    /// that cannot write (`view`, `staticcall`); functions that hold a lock for the whole call, where no
    /// function outside of the lock uses the state. State that the way to the call did not depend on is
    /// `reentrancy-benign`; calls with ether are `reentrancy-eth`.
    ReentrancyNoEth {
        id: "reentrancy-no-eth",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: ["reentrancy-no-eth"],
        swc: ["SWC-107"],
    }
}

impl Detector for ReentrancyNoEth {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        for found in facts.reentrancies().iter().filter(|found| !found.sends_value) {
            reentrancy_eth::report(found, facts.program(), out);
        }
    }
}
