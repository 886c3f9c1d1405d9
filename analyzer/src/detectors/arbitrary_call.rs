use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The caller chooses whom the contract calls, and with what.
    ///
    /// ## Why it matters
    ///
    /// Users have allowed this contract to take their tokens. Whoever can make it call any contract with any data
    /// makes it call `transferFrom` of those tokens, and takes them all. Several routers and bridges were emptied
    /// this way.
    ///
    /// ## How to fix
    /// Call only contracts on a list, or keep the allowances in a contract that calls nobody else.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IToken { function transferFrom(address from, address to, uint256 amount) external returns (bool); }
    /// contract Router {
    ///     function swap(IToken token, uint256 amount, address venue, bytes calldata data) external {
    ///         require(token.transferFrom(msg.sender, address(this), amount));
    ///         (bool ok, ) = venue.call(data); //~ arbitrary-call
    ///         require(ok);
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IToken { function transferFrom(address from, address to, uint256 amount) external returns (bool); }
    /// contract Router {
    ///     address immutable owner = msg.sender;
    ///     mapping(address => bool) isVenue;
    ///     function admit(address venue) external { require(msg.sender == owner); isVenue[venue] = true; }
    ///     function swap(IToken token, uint256 amount, address venue, bytes calldata data) external {
    ///         require(isVenue[venue]);
    ///         require(token.transferFrom(msg.sender, address(this), amount));
    ///         (bool ok, ) = venue.call(data);
    ///         require(ok);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Contracts that take no tokens of their callers; targets on a list that a trusted account keeps; calls that
    /// only a trusted account can make.
    ArbitraryCall {
        id: "arbitrary-call",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-123"],
    }
}

impl Detector for ArbitraryCall {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::ArbitraryCall) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(program, hazard, format!("anyone can make the contract call anything through `{entry}`, token allowances included"), "and calls what the caller chose, with the caller's data", "call only contracts on a list");
        }
    }
}
