use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Whoever comes first becomes the account that the contract obeys.
    ///
    /// ## Why it matters
    /// A function that anyone can call once, and that says who the owner is, stands open from the moment the contract is
    /// deployed until somebody calls it. Whoever watches for new contracts can be faster than the deployer. At best the
    /// contract must be deployed again; at worst nobody looks who the owner is, and fills it.
    ///
    /// ## How to fix
    /// Say who the owner is in the constructor; behind a proxy hand the call of the initialiser to the proxy's
    /// constructor, so that both are one transaction, and use the initialiser of the implementation up in its own.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Vault {
    ///     address owner;
    ///     receive() external payable {}
    ///     function init(address first) external { require(owner == address(0)); owner = first; } //~ unprotected-initializer
    ///     function close(address payable to) external { require(msg.sender == owner); to.transfer(address(this).balance); }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Vault {
    ///     address owner;
    ///     receive() external payable {}
    ///     constructor(address first) { owner = first; }
    ///     function close(address payable to) external { require(msg.sender == owner); to.transfer(address(this).balance); }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Initialisers that only a chosen account can call; that a constructor has used up, as implementations behind proxies
    /// do; that a factory of the same project calls when it makes the contract. What can be called more than once is
    /// `missing-authorization`; an owner who can have the code replaced or destroyed is `unprotected-upgrade`.
    UnprotectedInitializer {
        id: "unprotected-initializer",
        severity: Low,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-105"],
    }
}

impl Detector for UnprotectedInitializer {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::FirstComer) {
            let (state, entry) = (&hazard.detail, program.function_name(hazard.entry));
            out.report_hazard(
                program,
                hazard,
                format!("whoever calls `{entry}` first sets `{state}`, which the contract obeys"),
                "and makes the caller's choice the authority, for good",
                "say who it is in the constructor, or deploy and initialise in one transaction",
            );
        }
    }
}
