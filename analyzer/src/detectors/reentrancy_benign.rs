use super::{Detector, Findings};
use crate::facts::{Facts, ReentrancyFace};

detector! {
    /// State is written after an external call that it did not decide.
    ///
    /// ## Why it matters
    /// Whoever is called can come back before the write. Nothing that the function itself did was decided by the
    /// state, so entering it again gains nothing by itself; other functions, or later changes, may still rely on
    /// the order. Where the state did decide, but only a trusted account can make the call, it is that account
    /// which has to be trusted not to call a contract that calls back.
    ///
    /// ## How to fix
    /// Write before the call, or hold a lock.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IListener { function onPing() external; }
    ///
    /// contract Pinger {
    ///     uint256 public lastPing;
    ///
    ///     function ping(IListener to) external {
    ///         to.onPing(); //~ reentrancy-benign
    ///         lastPing = block.timestamp;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IListener { function onPing() external; }
    ///
    /// contract Pinger {
    ///     uint256 public lastPing;
    ///
    ///     function ping(IListener to) external {
    ///         lastPing = block.timestamp;
    ///         to.onPing();
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Functions that hold a lock; callees that a trusted account chose. State that decided the call is
    /// `reentrancy-eth` or `reentrancy-no-eth`.
    ReentrancyBenign {
        id: "reentrancy-benign",
        severity: Low,
        confidence: Medium,
        since: "0.1.0",
        slither: ["reentrancy-benign"],
        swc: ["SWC-107"],
    }
}

impl Detector for ReentrancyBenign {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for found in facts.late_effects().iter().filter(|found| found.face == ReentrancyFace::Late) {
            let state = &found.variable;
            let message = if found.guarded {
                format!("`{state}` decides this external call of a trusted account but is written only after it")
            } else {
                format!("`{state}` is written only after this external call")
            };
            let draft = out.report(found.call_span, message);
            draft.inside(program, found.function);
            draft.step(found.call_span, "the callee gets control and can call back");
            draft.step(found.write_span, format!("`{state}` is written"));
            draft.help(format!("write `{state}` before the call"));
        }
    }
}
