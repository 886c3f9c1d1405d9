use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A reward for an answer that can be copied on its way.
    ///
    /// ## Why it matters
    ///
    /// Whoever sends the answer shows it to everybody before the transaction is included. Anyone can send the same
    /// answer with a higher fee, and is paid in their place.
    ///
    /// ## How to fix
    /// Let the finder first commit to the hash of the answer together with their account, and ask for the answer later;
    /// or hash `msg.sender` with the answer.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Riddle {
    ///     bytes32 immutable wanted;
    ///     constructor(bytes32 wanted_) payable { wanted = wanted_; }
    ///     function solve(bytes calldata answer) external {
    ///         require(keccak256(answer) == wanted); //~ copied-answer
    ///         payable(msg.sender).transfer(1 ether);
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Riddle {
    ///     bytes32 immutable wanted;
    ///     mapping(bytes32 => uint256) committed;
    ///     constructor(bytes32 wanted_) payable { wanted = wanted_; }
    ///     function commit(bytes32 hash) external { committed[hash] = block.number; }
    ///     function solve(bytes calldata answer) external {
    ///         uint256 since = committed[keccak256(abi.encode(msg.sender, answer))];
    ///         require(since != 0 && since < block.number && keccak256(answer) == wanted);
    ///         payable(msg.sender).transfer(1 ether);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Functions that ask who calls in any way; rewards to an account that was fixed before.
    CopiedAnswer {
        id: "copied-answer",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-114"],
    }
}

impl Detector for CopiedAnswer {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::CopiedAnswer) {
            out.report_hazard(
                program,
                hazard,
                "whoever sees this answer on its way can send it first",
                "only the answer counts, not who found it",
                "let the finder commit to the answer before showing it",
            );
        }
    }
}
