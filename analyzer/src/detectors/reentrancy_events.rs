use super::{Detector, Findings};
use crate::facts::{Facts, ReentrancyFace};

detector! {
    /// An event is emitted after an external call that can call back.
    ///
    /// ## Why it matters
    /// Whoever is called can come back before the event. The inner run then reports first, and what watches the
    /// events (an index, a bridge, an accounting system) sees things in an order in which they did not happen.
    ///
    /// ## How to fix
    /// Emit before the call, or hold a lock.
    ///
    /// ## Bad
    /// ```solidity bad
    /// interface IListener { function onPing() external; }
    ///
    /// contract Pinger {
    ///     event Pinged(address who);
    ///
    ///     function ping(IListener to) external {
    ///         to.onPing(); //~ reentrancy-events
    ///         emit Pinged(address(to));
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// interface IListener { function onPing() external; }
    ///
    /// contract Pinger {
    ///     event Pinged(address who);
    ///
    ///     function ping(IListener to) external {
    ///         emit Pinged(address(to));
    ///         to.onPing();
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Functions that hold a lock, or that only a trusted account can call; calls after which state is written,
    /// too: the event is the least of it.
    ReentrancyEvents {
        id: "reentrancy-events",
        severity: Low,
        confidence: Medium,
        since: "0.1.0",
        slither: ["reentrancy-events"],
        swc: ["SWC-107"],
    }
}

impl Detector for ReentrancyEvents {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for found in facts.late_effects().iter().filter(|found| found.face == ReentrancyFace::Event) {
            let draft = out.report(found.call_span, "an event is emitted only after this external call");
            draft.inside(program, found.function);
            draft.step(found.call_span, "the callee gets control and can call back");
            draft.step(found.write_span, "the event is emitted: an inner run has reported first");
            draft.help("emit the event before the call");
        }
    }
}
