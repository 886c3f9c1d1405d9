use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// A question about a price that its feed no longer supports.
    ///
    /// ## Why it matters
    ///
    /// `getPrice` and `getEmaPrice` of Pyth are deprecated: they revert by a limit of age that the feed sets for all, and
    /// newer versions do not have them.
    ///
    /// ## How to fix
    /// Ask `getPriceNoOlderThan` or `getEmaPriceNoOlderThan`.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IPyth { struct Price { int64 price; uint64 conf; int32 expo; uint256 publishTime; } function getPrice(bytes32 id) external view returns (Price memory); }
    /// contract Reader {
    ///     IPyth immutable pyth;
    ///     constructor(IPyth pyth_) { pyth = pyth_; }
    ///     function read(bytes32 id) external view returns (IPyth.Price memory) {
    ///         return pyth.getPrice(id); //~ pyth-deprecated-functions
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IPyth { struct Price { int64 price; uint64 conf; int32 expo; uint256 publishTime; } function getPriceNoOlderThan(bytes32 id, uint256 age) external view returns (Price memory); }
    /// contract Reader {
    ///     IPyth immutable pyth;
    ///     constructor(IPyth pyth_) { pyth = pyth_; }
    ///     function read(bytes32 id) external view returns (IPyth.Price memory) {
    ///         return pyth.getPriceNoOlderThan(id, 60);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Functions of the same name that answer with something else than Pyth's price.
    PythDeprecatedFunctions {
        id: "pyth-deprecated-functions",
        severity: Low,
        confidence: High,
        since: "0.1.0",
        slither: ["pyth-deprecated-functions"],
        swc: [],
    }
}

impl Detector for PythDeprecatedFunctions {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::OldPriceQuestion) {
            let what = &hazard.detail;
            out.report_flaw(program, hazard, format!("`{what}` of Pyth is deprecated"), "ask `getPriceNoOlderThan`");
        }
    }
}
