use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Votes are counted by what the voter holds at this moment.
    ///
    /// ## Why it matters
    ///
    /// The tokens can be borrowed for one transaction: borrow, vote, give back. Or they are sent on to the next
    /// account, which votes with them again.
    ///
    /// ## How to fix
    /// Ask how many votes the account had at an earlier block (`getPastVotes`), or take the tokens in until the vote is
    /// over.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IToken { function balanceOf(address) external view returns (uint256); }
    /// contract Ballot {
    ///     IToken immutable token;
    ///     uint256 yes;
    ///     mapping(address => bool) voted;
    ///     constructor(IToken token_) { token = token_; }
    ///     function vote() external {
    ///         require(!voted[msg.sender]);
    ///         voted[msg.sender] = true;
    ///         yes += token.balanceOf(msg.sender); //~ flash-loan-votes
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IVotes { function getPastVotes(address, uint256) external view returns (uint256); }
    /// contract Ballot {
    ///     IVotes immutable token;
    ///     uint256 immutable start;
    ///     uint256 yes;
    ///     mapping(address => bool) voted;
    ///     constructor(IVotes token_) { token = token_; start = block.number - 1; }
    ///     function vote() external {
    ///         require(!voted[msg.sender]);
    ///         voted[msg.sender] = true;
    ///         yes += token.getPastVotes(msg.sender, start);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Balances that are added to what the voter alone has; tokens that are taken or burnt in the same call.
    FlashLoanVotes {
        id: "flash-loan-votes",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: [],
    }
}

impl Detector for FlashLoanVotes {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::BorrowedVotes) {

            out.report_hazard(
                program,
                hazard,
                "these votes can be borrowed for one transaction",
                "the voter needs to hold them only now",
                "ask how many votes there were at an earlier block",
            );
        }
    }
}
