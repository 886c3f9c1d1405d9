use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// All that a stranger's contract answers is copied, although its gas was limited.
    ///
    /// ## Why it matters
    ///
    /// The limit holds for the callee; the copy of its answer is paid by the caller, who may run out of gas over an
    /// answer of a few hundred kilobytes. What was to survive a failing callee fails with it.
    ///
    /// ## How to fix
    /// Copy no more than is needed, in assembly.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Relay {
    ///     function poke(address to) external {
    ///         (bool ok, ) = to.call{gas: 50000}(""); //~ return-bomb
    ///         if (!ok) return;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Relay {
    ///     function poke(address to) external {
    ///         bool ok;
    ///         assembly { ok := call(50000, to, 0, 0, 0, 0, 0) }
    ///         if (!ok) return;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Calls without a limit, whose failure is the caller's anyway; callees that a trusted account chose.
    ReturnBomb {
        id: "return-bomb",
        severity: Low,
        confidence: Medium,
        since: "0.1.0",
        slither: ["return-bomb"],
        swc: [],
    }
}

impl Detector for ReturnBomb {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::ReturnBomb) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(program, hazard, format!("what is called by `{entry}` can answer with more than the gas that is left can copy"), "whose whole answer is copied", "copy no more of the answer than is needed");
        }
    }
}
