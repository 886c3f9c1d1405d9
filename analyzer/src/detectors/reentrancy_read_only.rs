use super::{Confidence, Detector, Findings};
use crate::facts::{Facts, ReentrancyFace};

detector! {
    /// A view answers, during an external call, with a picture that was never true.
    ///
    /// ## Why it matters
    /// A lock keeps others from changing state, not from looking at it. If a view mixes what the function has
    /// already written, or ether that has already left, with what it writes only after the call, the callee can
    /// go to another protocol that prices something by this view, and trade there at the wrong price. Several
    /// pools of Curve were read this way in 2022 and 2023.
    ///
    /// ## How to fix
    /// Write everything before the call, or let the view ask the lock and refuse while it is held.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Pool {
    ///     uint256 private shares;
    ///     bool private entered;
    ///     mapping(address => uint256) private owned;
    ///
    ///     function join() external payable {
    ///         require(!entered);
    ///         shares += msg.value;
    ///         owned[msg.sender] += msg.value;
    ///     }
    ///
    ///     function leave(uint256 amount) external {
    ///         require(!entered);
    ///         entered = true;
    ///         owned[msg.sender] -= amount;
    ///         (bool ok, ) = msg.sender.call{value: amount}(""); //~ reentrancy-read-only
    ///         require(ok);
    ///         shares -= amount;
    ///         entered = false;
    ///     }
    ///
    ///     function price() external view returns (uint256) { return address(this).balance / shares; }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Pool {
    ///     uint256 private shares;
    ///     bool private entered;
    ///     mapping(address => uint256) private owned;
    ///
    ///     function join() external payable {
    ///         require(!entered);
    ///         shares += msg.value;
    ///         owned[msg.sender] += msg.value;
    ///     }
    ///
    ///     function leave(uint256 amount) external {
    ///         require(!entered);
    ///         entered = true;
    ///         owned[msg.sender] -= amount;
    ///         (bool ok, ) = msg.sender.call{value: amount}("");
    ///         require(ok);
    ///         shares -= amount;
    ///         entered = false;
    ///     }
    ///
    ///     function price() external view returns (uint256) {
    ///         require(!entered);
    ///         return address(this).balance / shares;
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Views that answer with one value as it is; views that refuse while the lock is held; calls of contracts
    /// that a trusted account chose, or that only a trusted account can make.
    ReentrancyReadOnly {
        id: "reentrancy-read-only",
        severity: Medium,
        confidence: Medium,
        since: "0.1.0",
        slither: [],
        swc: ["SWC-107"],
    }
}

impl Detector for ReentrancyReadOnly {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for found in facts.late_effects().iter().filter(|found| found.face == ReentrancyFace::View) {
            let Some(view) = found.other else { continue };
            let (name, state) = (program.function_name(view), &found.variable);
            let draft = out.report(
                found.call_span,
                format!("during this call `{name}` mixes what has changed with `{state}`, which has not"),
            );
            draft.inside(program, found.function);
            for call in &found.path {
                draft.step(*call, "on the way to the external call");
            }
            draft.step(found.call_span, "the callee gets control");
            draft.step(program.function_name_span(view), "and whoever asks this is told something that was never true");
            draft.step(found.write_span, format!("`{state}` is written only here"));
            draft.help(format!("write `{state}` before the call, or let `{name}` refuse while the lock is held"));
            if found.partial {
                draft.confidence(Confidence::Low);
            }
        }
    }
}
