use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// The upper part of an amount is cut off when it is made smaller.
    ///
    /// ## Why it matters
    ///
    /// A conversion to a smaller type does not revert: what does not fit is lost. Whoever can choose the amount, or
    /// wait until it has grown, is credited something else than what was moved.
    ///
    /// ## How to fix
    /// Refuse what does not fit before converting, or use a library that does, such as OpenZeppelin's `SafeCast`.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Stakes {
    ///     mapping(address => uint128) debt;
    ///     uint256 lent;
    ///     function borrow(uint256 amount) external {
    ///         lent += amount;
    ///         debt[msg.sender] += uint128(amount); //~ unsafe-cast
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Stakes {
    ///     mapping(address => uint128) debt;
    ///     uint256 lent;
    ///     function borrow(uint256 amount) external {
    ///         require(amount <= type(uint128).max);
    ///         lent += amount;
    ///         debt[msg.sender] += uint128(amount);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Times, hashes, lengths and accounts; numbers whose upper part is masked or shifted away; numbers that some
    /// decision compares with anything but zero, or that are taken from what is kept, which would fail for more.
    UnsafeCast {
        id: "unsafe-cast",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: [],
    }
}

impl Detector for UnsafeCast {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::CutNumber) {

            let what = &hazard.detail;
            out.report_hazard(
                program,
                hazard,
                format!("`{what}` cuts off what does not fit"),
                "what does not fit is lost here",
                "refuse what does not fit before converting",
            );
        }
    }
}
