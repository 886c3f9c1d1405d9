use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Anyone can run code of their choice as the contract.
    ///
    /// ## Why it matters
    ///
    /// `delegatecall` runs foreign code with the storage and the ether of the contract that calls. Where the caller
    /// names that code, the contract is theirs: every variable can be overwritten and all ether sent away.
    ///
    /// ## How to fix
    /// Call only code that is fixed or that a trusted account chose, or use a plain call.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Wallet {
    ///     function run(address code, bytes calldata data) external {
    ///         (bool ok, ) = code.delegatecall(data); //~ controlled-delegatecall
    ///         require(ok);
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Wallet {
    ///     address immutable code = msg.sender;
    ///
    ///     function run(bytes calldata data) external {
    ///         (bool ok, ) = code.delegatecall(data);
    ///         require(ok);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// A target that a trusted account chose, that the code compares with what it knows, or that is the contract
    /// itself; calls that are always undone; code that refuses to run outside of another contract's storage. A target
    /// in storage that strangers can overwrite is reported where it is written, as `unprotected-upgrade`.
    ControlledDelegatecall {
        id: "controlled-delegatecall",
        severity: Critical,
        confidence: High,
        since: "0.1.0",
        slither: ["controlled-delegatecall"],
        swc: ["SWC-112"],
    }
}

impl Detector for ControlledDelegatecall {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::DelegateToChosen) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("anyone can run code of their choice as this contract through `{entry}`"),
                "and runs the code that the caller names, with this contract's storage and ether",
                "delegate only to code that is fixed or that a trusted account chose",
            );
        }
    }
}
