use super::{Detector, Findings};
use crate::facts::{Facts, ReentrancyFace};

detector! {
    /// A balance is measured before and after a call during which somebody else can be credited for the same.
    ///
    /// ## Why it matters
    /// What came in is told by the difference of two readings. If the call between them hands over control, the
    /// function can be entered again, and what the inner run takes in is counted by both: one deposit is
    /// credited twice.
    ///
    /// ## How to fix
    /// Hold a lock over every function that credits by such a difference, or credit what was asked for and check
    /// that it came.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IToken {
    ///     function balanceOf(address who) external view returns (uint256);
    ///     function transferFrom(address from, address to, uint256 amount) external returns (bool);
    /// }
    ///
    /// contract Vault {
    ///     mapping(IToken => mapping(address => uint256)) public credit;
    ///
    ///     function deposit(IToken token, uint256 amount) external {
    ///         uint256 before = token.balanceOf(address(this));
    ///         require(token.transferFrom(msg.sender, address(this), amount)); //~ reentrancy-balance
    ///         credit[token][msg.sender] += token.balanceOf(address(this)) - before;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IToken {
    ///     function balanceOf(address who) external view returns (uint256);
    ///     function transferFrom(address from, address to, uint256 amount) external returns (bool);
    /// }
    ///
    /// contract Vault {
    ///     bool private entered;
    ///     mapping(IToken => mapping(address => uint256)) public credit;
    ///
    ///     function deposit(IToken token, uint256 amount) external {
    ///         require(!entered);
    ///         entered = true;
    ///         uint256 before = token.balanceOf(address(this));
    ///         require(token.transferFrom(msg.sender, address(this), amount));
    ///         credit[token][msg.sender] += token.balanceOf(address(this)) - before;
    ///         entered = false;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Functions that hold a lock for the whole call; calls of contracts that a trusted account chose.
    ReentrancyBalance {
        id: "reentrancy-balance",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: ["reentrancy-balance"],
        swc: ["SWC-107"],
    }
}

impl Detector for ReentrancyBalance {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for found in facts.late_effects().iter().filter(|found| found.face == ReentrancyFace::Balance) {
            let draft = out.report(
                found.call_span,
                "what comes in during this call is counted by everyone who measures around it",
            );
            draft.inside(program, found.function);
            draft.step(found.read_span, "the balance is measured");
            draft.step(found.call_span, "the callee gets control and can call back");
            draft.step(found.write_span, "the difference holds what inner calls brought, too");
            draft.help("hold one lock over every function that credits by a difference of balances");
        }
    }
}
