use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A signature counts on other chains, or for other contracts, too.
    ///
    /// ## Why it matters
    ///
    /// What was signed does not say on which chain or for which contract. The same bytes do the same on every chain
    /// that the contract is deployed to, or in each contract that reads such messages.
    ///
    /// ## How to fix
    /// Sign what EIP-712 prescribes, with a separator made of the chain's id and the contract's address.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Tickets {
    ///     address immutable seller = msg.sender;
    ///     mapping(address => uint256) nonces;
    ///     mapping(address => bool) admitted;
    ///     function admit(address who, uint8 v, bytes32 r, bytes32 s) external {
    ///         bytes32 digest = keccak256(abi.encode(who, nonces[who]++));
    ///         require(ecrecover(digest, v, r, s) == seller); //~ missing-signature-domain
    ///         admitted[who] = true;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Tickets {
    ///     address immutable seller = msg.sender;
    ///     mapping(address => uint256) nonces;
    ///     mapping(address => bool) admitted;
    ///     function admit(address who, uint8 v, bytes32 r, bytes32 s) external {
    ///         bytes32 digest = keccak256(abi.encode(who, nonces[who]++, block.chainid, address(this)));
    ///         require(ecrecover(digest, v, r, s) == seller);
    ///         admitted[who] = true;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Digests with a word that is kept or was fixed when the contract was made, which the separator of EIP-712 is;
    /// digests that are not made in view of the check; signatures that decide nothing.
    MissingSignatureDomain {
        id: "missing-signature-domain",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-121"],
    }
}

impl Detector for MissingSignatureDomain {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::ForeignSignature) {

            let message = match hazard.detail.as_str() {
                "the chain" => "what was signed does not say on which chain it counts".to_owned(),
                "the contract" => "what was signed does not say for which contract it counts".to_owned(),
                both => format!("{both} is in what was signed"),
            };
            out.report_flaw(program, hazard, message, "sign a domain as in EIP-712");
        }
    }
}
