use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A signature is told from others by its bytes, of which there are two for each.
    ///
    /// ## Why it matters
    ///
    /// For every signature there is a second one with other bytes and the same signer, which anyone can compute. Where
    /// the bytes are written down so that a signature counts only once, the second one counts again.
    ///
    /// ## How to fix
    /// Write down what was signed, with a nonce, rather than the signature; or refuse `s` in the upper half of the
    /// curve's order.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Cheques {
    ///     address immutable bank = msg.sender;
    ///     mapping(bytes32 => bool) cashed;
    ///     mapping(address => uint256) credit;
    ///     function cash(uint256 amount, uint256 until, uint8 v, bytes32 r, bytes32 s) external {
    ///         require(block.timestamp <= until && !cashed[keccak256(abi.encode(v, r, s))]);
    ///         cashed[keccak256(abi.encode(v, r, s))] = true;
    ///         bytes32 digest = keccak256(abi.encode(msg.sender, amount, until, block.chainid, address(this)));
    ///         require(ecrecover(digest, v, r, s) == bank); //~ signature-malleability
    ///         credit[msg.sender] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Cheques {
    ///     address immutable bank = msg.sender;
    ///     mapping(bytes32 => bool) cashed;
    ///     mapping(address => uint256) credit;
    ///     function cash(uint256 amount, uint256 until, uint8 v, bytes32 r, bytes32 s) external {
    ///         bytes32 digest = keccak256(abi.encode(msg.sender, amount, until, block.chainid, address(this)));
    ///         require(block.timestamp <= until && !cashed[digest]);
    ///         cashed[digest] = true;
    ///         require(ecrecover(digest, v, r, s) == bank);
    ///         credit[msg.sender] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Signatures whose upper half is refused; messages with a nonce that is raised.
    SignatureMalleability {
        id: "signature-malleability",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-117"],
    }
}

impl Detector for SignatureMalleability {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::MalleableSignature) {

            out.report_flaw(program, hazard, "a second signature with other bytes counts again", "write down what was signed rather than the signature");
        }
    }
}
