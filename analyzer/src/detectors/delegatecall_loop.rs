use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// One payment is counted by each call of a batch.
    ///
    /// ## Why it matters
    ///
    /// `delegatecall` passes `msg.value` on unchanged. A payable batch of calls that delegates to the contract itself
    /// in a loop lets each of them see, and credit, the same ether: one ether paid becomes ten on the books.
    ///
    /// ## How to fix
    /// Make the batch not payable, or credit what the balance grew by instead of `msg.value`.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Vault {
    ///     mapping(address => uint256) credit;
    ///     function deposit() external payable { credit[msg.sender] += msg.value; }
    ///     function batch(bytes[] calldata calls) external payable {
    ///         for (uint256 i; i < calls.length; i++) {
    ///             (bool ok, ) = address(this).delegatecall(calls[i]); //~ delegatecall-loop
    ///             require(ok);
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Vault {
    ///     mapping(address => uint256) credit;
    ///     function deposit() external payable { credit[msg.sender] += msg.value; }
    ///     function batch(bytes[] calldata calls) external {
    ///         for (uint256 i; i < calls.length; i++) {
    ///             (bool ok, ) = address(this).delegatecall(calls[i]);
    ///             require(ok);
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// A batch in a contract none of whose entry points writes down what `msg.value` says.
    DelegatecallLoop {
        id: "delegatecall-loop",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["delegatecall-loop"],
        swc: [],
    }
}

impl Detector for DelegatecallLoop {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::DelegateInLoop) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("each call of the batch in `{entry}` can credit the same ether"),
                "and runs entry points of this contract again and again with one `msg.value`",
                "make it not payable, or credit what the balance grew by",
            );
        }
    }
}
