use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A function of an ERC-20 token answers otherwise than the standard fixes.
    ///
    /// ## Why it matters
    ///
    /// Contracts that are compiled against the standard decode the answer that it fixes. Without one they revert, and
    /// the token cannot be taken out again where it was put in.
    ///
    /// ## How to fix
    /// Answer as the standard says.
    ///
    /// ## Bad
    /// ```solidity bad
    /// abstract contract Token {
    ///     function totalSupply() external view virtual returns (uint256);
    ///     function balanceOf(address who) external view virtual returns (uint256);
    ///     function allowance(address owner, address who) external view virtual returns (uint256);
    ///     function transfer(address to, uint256 amount) external virtual; //~ erc20-interface
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// abstract contract Token {
    ///     function totalSupply() external view virtual returns (uint256);
    ///     function balanceOf(address who) external view virtual returns (uint256);
    ///     function allowance(address owner, address who) external view virtual returns (uint256);
    ///     function transfer(address to, uint256 amount) external virtual returns (bool);
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Contracts that have only one or two functions of the standard; ERC-721 tokens.
    Erc20Interface {
        id: "erc20-interface",
        severity: Medium,
        confidence: High,
        since: "0.1.0",
        slither: ["erc20-interface"],
        swc: [],
    }
}

impl Detector for Erc20Interface {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::WrongInterface).filter(|hazard| hazard.detail == "ERC-20") {
            let name = program.function_name(hazard.function);
            out.report_flaw(program, hazard, format!("`{name}` answers otherwise than ERC-20 fixes"), "answer as the standard says");
        }
    }
}
