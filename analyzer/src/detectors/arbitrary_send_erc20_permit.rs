use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Tokens are taken from an account that the caller names, on the strength of a permit that the token may ignore.
    ///
    /// ## Why it matters
    ///
    /// Some tokens (wrapped ether is one) have no `permit` but answer every call. The permit then passes whatever the
    /// signature, and whoever once allowed the contract to take their tokens loses them to the caller.
    ///
    /// ## How to fix
    /// Take tokens from the caller only, or check the signature yourself.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IToken {
    ///     function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
    ///     function transferFrom(address from, address to, uint256 amount) external returns (bool);
    /// }
    /// contract Bridge {
    ///     function send(IToken token, address from, uint256 amount, uint256 until, uint8 v, bytes32 r, bytes32 s) external {
    ///         token.permit(from, address(this), amount, until, v, r, s);
    ///         require(token.transferFrom(from, address(this), amount)); //~ arbitrary-send-erc20-permit
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IToken {
    ///     function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
    ///     function transferFrom(address from, address to, uint256 amount) external returns (bool);
    /// }
    /// contract Bridge {
    ///     function send(IToken token, uint256 amount, uint256 until, uint8 v, bytes32 r, bytes32 s) external {
    ///         token.permit(msg.sender, address(this), amount, until, v, r, s);
    ///         require(token.transferFrom(msg.sender, address(this), amount));
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Tokens taken from the caller; calls that only a trusted account can make. Without any permit it is `arbitrary-
    /// send-erc20`.
    ArbitrarySendErc20Permit {
        id: "arbitrary-send-erc20-permit",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["arbitrary-send-erc20-permit"],
        swc: [],
    }
}

impl Detector for ArbitrarySendErc20Permit {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::PermitFromChosen) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(program, hazard, format!("tokens of whoever allowed it are taken through `{entry}`, if the token ignores `permit`"), "and takes tokens from the account that the caller named", "take tokens from the caller only");
        }
    }
}
