use super::{Detector, Findings, detector};
use crate::facts::Facts;

detector! {
    /// State that decides an external call is written only after the call.
    ///
    /// ## Why it matters
    /// An external call that forwards gas hands control to the callee. The callee can call back before
    /// the function goes on, and then meets the state as it was: a balance that was paid out but not yet
    /// cleared is paid out again, until nothing is left. This emptied The DAO in 2016 and dozens of
    /// contracts since.
    ///
    /// ## How to fix
    /// Check, then write, then call: bring the state into its final form before the external call. Where
    /// the order cannot be changed, put a lock (`nonReentrant`) on this function and on every other one
    /// that touches the same state.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Bank {
    ///     mapping(address => uint256) balances;
    ///
    ///     function deposit() external payable { balances[msg.sender] += msg.value; }
    ///
    ///     function withdraw() external {
    ///         uint256 amount = balances[msg.sender];
    ///         (bool ok, ) = msg.sender.call{value: amount}(""); //~ reentrancy-eth
    ///         require(ok);
    ///         balances[msg.sender] = 0;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Bank {
    ///     mapping(address => uint256) balances;
    ///
    ///     function deposit() external payable { balances[msg.sender] += msg.value; }
    ///
    ///     function withdraw() external {
    ///         uint256 amount = balances[msg.sender];
    ///         balances[msg.sender] = 0;
    ///         (bool ok, ) = msg.sender.call{value: amount}("");
    ///         require(ok);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// `send` and `transfer`, whose 2300 gas do not suffice to call back; functions that hold a lock for
    /// the whole call; state that the way to the call did not depend on.
    ReentrancyEth {
        id: "reentrancy-eth",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["reentrancy-eth"],
        swc: ["SWC-107"],
    }
}

impl Detector for ReentrancyEth {
    fn check(&self, _facts: &Facts<'_>, _out: &mut Findings) {}
}
