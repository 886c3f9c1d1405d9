use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The caller sets the length of a list in storage.
    ///
    /// ## Why it matters
    ///
    /// Before Solidity 0.6 the length of a list could be written. A list that is as long as the storage has an element
    /// in every slot: whoever may set an element writes any variable of the contract, its owner among them. Taking one
    /// from a length that is zero makes the longest list of all.
    ///
    /// ## How to fix
    /// Use `push` and `pop`, and ask for the length before taking one away.
    ///
    /// ## Bad
    /// ```solidity bad
    /// pragma solidity ^0.5.0;
    /// contract Codes {
    ///     uint256[] codes;
    ///     function resize(uint256 n) external {
    ///         codes.length = n; //~ controlled-array-length
    ///     }
    ///     function set(uint256 at, uint256 code) external { codes[at] = code; }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// pragma solidity ^0.5.0;
    /// contract Codes {
    ///     uint256[] codes;
    ///     function drop() external {
    ///         require(codes.length > 0);
    ///         codes.length--;
    ///     }
    ///     function add(uint256 code) external { codes.push(code); }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Lengths that only a chosen account sets; lengths that are set to a constant or raised by one.
    ControlledArrayLength {
        id: "controlled-array-length",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["controlled-array-length"],
        swc: ["SWC-124"],
    }
}

impl Detector for ControlledArrayLength {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::ChosenLength) {
            let what = &hazard.detail;
            out.report_hazard(
                program,
                hazard,
                format!("`{what}` can be made so large that its elements are any slot"),
                "the length of the list is set here",
                "use `push` and `pop`, and ask for the length first",
            );
        }
    }
}
