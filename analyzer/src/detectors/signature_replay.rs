use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A signature can be used again.
    ///
    /// ## Why it matters
    ///
    /// A signed message proves that somebody agreed, not that they agreed to this once more. Unless the contract
    /// writes down that it was used, whoever has seen it can repeat what it allows.
    ///
    /// ## How to fix
    /// Sign a nonce and raise it, or write down the hash of what was used; sign the chain and the contract with it
    /// (EIP-712).
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Faucet {
    ///     address immutable signer = msg.sender;
    ///     mapping(address => uint256) credit;
    ///     function claim(uint256 amount, uint8 v, bytes32 r, bytes32 s) external {
    ///         bytes32 hash = keccak256(abi.encode(address(this), msg.sender, amount));
    ///         require(ecrecover(hash, v, r, s) == signer); //~ signature-replay
    ///         credit[msg.sender] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Faucet {
    ///     address immutable signer = msg.sender;
    ///     mapping(address => uint256) credit;
    ///     mapping(address => uint256) nonce;
    ///     function claim(uint256 amount, uint8 v, bytes32 r, bytes32 s) external {
    ///         bytes32 hash = keccak256(abi.encode(address(this), block.chainid, msg.sender, amount, nonce[msg.sender]++));
    ///         require(ecrecover(hash, v, r, s) == signer);
    ///         credit[msg.sender] += amount;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Nonces that are raised; hashes that are written down; state that is set to what was signed, where doing it
    /// again changes nothing.
    SignatureReplay {
        id: "signature-replay",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-121"],
    }
}

impl Detector for SignatureReplay {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::SignatureReplay) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(program, hazard, format!("the signature that `{entry}` asks for can be used again"), "and asks for a signature that nothing uses up", "sign a nonce and raise it, or write down what was used");
        }
    }
}
