use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A price is used however unsure its feed is of it.
    ///
    /// ## Why it matters
    ///
    /// Pyth says with each price how far off it may be. In a crash the interval is wide, and the price in its middle is
    /// nobody's.
    ///
    /// ## How to fix
    /// Refuse prices whose confidence interval is too wide for their use.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IPyth { struct Price { int64 price; uint64 conf; int32 expo; uint256 publishTime; } function getPriceNoOlderThan(bytes32 id, uint256 age) external view returns (Price memory); }
    /// contract Lender {
    ///     IPyth immutable pyth;
    ///     bytes32 immutable id;
    ///     uint256 worth;
    ///     constructor(IPyth pyth_, bytes32 id_) { pyth = pyth_; id = id_; }
    ///     function update() external {
    ///         IPyth.Price memory answer = pyth.getPriceNoOlderThan(id, 60); //~ pyth-unchecked-confidence
    ///         worth = uint256(uint64(answer.price));
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IPyth { struct Price { int64 price; uint64 conf; int32 expo; uint256 publishTime; } function getPriceNoOlderThan(bytes32 id, uint256 age) external view returns (Price memory); }
    /// contract Lender {
    ///     IPyth immutable pyth;
    ///     bytes32 immutable id;
    ///     uint256 worth;
    ///     constructor(IPyth pyth_, bytes32 id_) { pyth = pyth_; id = id_; }
    ///     function update() external {
    ///         IPyth.Price memory answer = pyth.getPriceNoOlderThan(id, 60);
    ///         require(answer.price > 0 && uint64(answer.price) / 100 > answer.conf);
    ///         worth = uint256(uint64(answer.price));
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Answers that are handed on as a whole.
    PythUncheckedConfidence {
        id: "pyth-unchecked-confidence",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: ["pyth-unchecked-confidence"],
        swc: [],
    }
}

impl Detector for PythUncheckedConfidence {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::UnsurePrice) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("the price of `{what}` is used however unsure it is"), "refuse prices whose confidence interval is too wide");
        }
    }
}
