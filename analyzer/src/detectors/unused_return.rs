use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The answer of another contract is thrown away.
    ///
    /// ## Why it matters
    ///
    /// What a call answers is most often why it is made: an amount, a success, an identity. Code that goes on without
    /// it assumes the answer that it hoped for.
    ///
    /// ## How to fix
    /// Use the answer, or check it.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IVault { function withdraw(uint256 shares) external returns (uint256 assets); }
    /// contract Strategy {
    ///     IVault immutable vault;
    ///     uint256 cash;
    ///     constructor(IVault vault_) { vault = vault_; }
    ///     function unwind(uint256 shares) external {
    ///         cash += shares;
    ///         vault.withdraw(shares); //~ unused-return
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IVault { function withdraw(uint256 shares) external returns (uint256 assets); }
    /// contract Strategy {
    ///     IVault immutable vault;
    ///     uint256 cash;
    ///     constructor(IVault vault_) { vault = vault_; }
    ///     function unwind(uint256 shares) external {
    ///         cash += vault.withdraw(shares);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Transfers and approvals of tokens, which `unchecked-transfer` is for; calls in `try`, which ask whether they
    /// succeeded.
    UnusedReturn {
        id: "unused-return",
        severity: Low,
        confidence: Medium,
        since: "0.1.0",
        slither: ["unused-return"],
        swc: ["SWC-104"],
    }
}

impl Detector for UnusedReturn {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::UnusedAnswer) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("what `{what}` answers is thrown away"), "use the answer, or check it");
        }
    }
}
