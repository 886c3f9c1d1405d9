use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A function of an ERC-721 token answers otherwise than the standard fixes.
    ///
    /// ## Why it matters
    ///
    /// Contracts that are compiled against the standard decode the answer that it fixes, and revert where there is
    /// another or none.
    ///
    /// ## How to fix
    /// Answer as the standard says.
    ///
    /// ## Bad
    /// ```solidity bad
    /// abstract contract Nft {
    ///     function balanceOf(address who) external view virtual returns (uint256);
    ///     function ownerOf(uint256 id) external view virtual; //~ erc721-interface
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// abstract contract Nft {
    ///     function balanceOf(address who) external view virtual returns (uint256);
    ///     function ownerOf(uint256 id) external view virtual returns (address);
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Contracts without `ownerOf`.
    Erc721Interface {
        id: "erc721-interface",
        severity: Medium,
        confidence: High,
        since: "0.1.0",
        slither: ["erc721-interface"],
        swc: [],
    }
}

impl Detector for Erc721Interface {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::WrongInterface).filter(|hazard| hazard.detail == "ERC-721") {
            let name = program.function_name(hazard.function);
            out.report_flaw(program, hazard, format!("`{name}` answers otherwise than ERC-721 fixes"), "answer as the standard says");
        }
    }
}
