use super::{Confidence, Detector, Findings};
use crate::facts::{Facts, Reentrancy};
use crate::hir::Program;

detector! {
    /// State that decides an external call that sends ether is written only after the call.
    ///
    /// ## Why it matters
    /// An external call that forwards gas hands control to the callee. The callee can call back before
    /// the function goes on, and then meets the state as it was: a balance that was paid out but not yet
    /// cleared is paid out again, until nothing is left. This emptied The DAO in 2016 and dozens of
    /// contracts since. It makes no difference where the state is kept: a ledger or a token of the same
    /// project that is asked before the call and told of it afterwards is just as stale meanwhile.
    ///
    /// ## How to fix
    /// Check, then write, then call: bring the state into its final form before the external call. Where
    /// the order cannot be changed, put a lock (`nonReentrant`) on this function and on every other one
    /// that touches the same state.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Bank {
    ///     mapping(address => uint256) balances;
    ///
    ///     function deposit() external payable { balances[msg.sender] += msg.value; }
    ///
    ///     function withdraw() external {
    ///         uint256 amount = balances[msg.sender];
    ///         (bool ok, ) = msg.sender.call{value: amount}(""); //~ reentrancy-eth
    ///         require(ok);
    ///         balances[msg.sender] = 0;
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Bank {
    ///     mapping(address => uint256) balances;
    ///
    ///     function deposit() external payable { balances[msg.sender] += msg.value; }
    ///
    ///     function withdraw() external {
    ///         uint256 amount = balances[msg.sender];
    ///         balances[msg.sender] = 0;
    ///         (bool ok, ) = msg.sender.call{value: amount}("");
    ///         require(ok);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// `send` and `transfer`, whose 2300 gas do not suffice to call back; functions that hold a lock for
    /// the whole call, where no function outside of the lock uses the state; callees on a list that only a
    /// trusted account keeps; contracts made by the function itself. Calls that only a trusted account can
    /// make, and state that the way to the call did not depend on, are `reentrancy-benign`; calls without
    /// ether are `reentrancy-no-eth`.
    ReentrancyEth {
        id: "reentrancy-eth",
        severity: High,
        confidence: Medium,
        since: "0.1.0",
        slither: ["reentrancy-eth"],
        swc: ["SWC-107"],
    }
}

impl Detector for ReentrancyEth {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        for found in facts.reentrancies().iter().filter(|found| found.sends_value) {
            report(found, facts.program(), out);
        }
    }
}

/// Reports one open reentrancy with the way to it; what is locked or left to trusted accounts is none.
pub(super) fn report(found: &Reentrancy, program: &Program, out: &mut Findings) {
    if found.locked || found.guarded {
        return;
    }
    let state = &found.variable;
    let mut message = format!("`{state}` decides this external call but is written only after it");
    if let Some(other) = found.other {
        let other = program.function_name(other);
        message.push_str(&format!(", and the lock does not keep `{other}` out"));
    }
    let draft = out.report(found.call_span, message);
    draft.inside(program, found.function);
    // The read stands before the inner calls unless it belongs to the innermost function.
    let is_inner_read = program.function_span(found.function).contains(&found.read_span);
    let mut way: Vec<_> = found
        .path
        .iter()
        .map(|call| (*call, "on the way to the external call".to_owned()))
        .collect();
    let read = (found.read_span, format!("`{state}` is read"));
    way.insert(if is_inner_read { way.len() } else { 0 }, read);
    for (span, what) in way {
        draft.step(span, what);
    }
    draft.step(found.call_span, "the callee gets control and can call back");
    if let Some(other) = found.other {
        draft.step(program.function_name_span(other), "this can be entered meanwhile, and uses it");
    }
    draft.step(
        found.write_span,
        format!("`{state}` is written: until here a call back finds it unchanged"),
    );
    draft.help(format!(
        "write `{state}` before the call, or hold one lock over every function that touches it"
    ));
    if found.partial {
        // What could not be read may hold the lock.
        draft.confidence(Confidence::Low);
    }
}
