use super::{Detector, Findings};
use crate::facts::{Facts, HazardKind};

detector! {
    /// Anyone can choose the code that the contract runs.
    ///
    /// ## Why it matters
    ///
    /// A proxy runs, with `delegatecall`, the code that its storage names. Whoever can overwrite that name owns the
    /// proxy, its storage and its ether. The same holds where an implementation can be initialised by the first who
    /// comes and its owner can then replace or destroy it.
    ///
    /// ## How to fix
    /// Let only a trusted account write it; disable the initialiser of an implementation in its constructor.
    ///
    /// ## Bad
    /// ```solidity bad
    /// contract Proxy {
    ///     address code;
    ///
    ///     function upgrade(address to) external { code = to; } //~ unprotected-upgrade
    ///
    ///     fallback() external payable {
    ///         (bool ok, ) = code.delegatecall(msg.data);
    ///         require(ok);
    ///     }
    /// }
    /// ```
    ///
    /// ## Good
    /// ```solidity good
    /// contract Proxy {
    ///     address code;
    ///     address immutable owner = msg.sender;
    ///
    ///     function upgrade(address to) external { require(msg.sender == owner); code = to; }
    ///
    ///     fallback() external payable {
    ///         (bool ok, ) = code.delegatecall(msg.data);
    ///         require(ok);
    ///     }
    /// }
    /// ```
    ///
    /// ## Silent on purpose
    /// Writes that only a chosen account can make, or that each caller makes for themselves; initialisers that a
    /// constructor has used up, that the maker of the contract calls in the same transaction, or that belong to a proxy
    /// which gets its code and its owner together.
    UnprotectedUpgrade {
        id: "unprotected-upgrade",
        severity: Critical,
        confidence: Medium,
        since: "0.1.0",
        slither: ["unprotected-upgrade"],
        swc: ["SWC-112"],
    }
}

impl Detector for UnprotectedUpgrade {
    fn check(&self, facts: &Facts<'_>, out: &mut Findings) {
        let program = facts.program();
        for hazard in facts.hazards(HazardKind::OpenUpgrade) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("anyone can choose the code that the contract runs through `{entry}`"),
                "and writes the address whose code is run, without a check of who calls",
                "let only a trusted account do this, or use the initialiser up in the constructor",
            );
        }
        for hazard in facts.hazards(HazardKind::OpenCode) {
            let (state, entry) = (&hazard.detail, program.function_name(hazard.entry));
            out.report_hazard(
                program,
                hazard,
                format!("whoever calls `{entry}` first chooses, by `{state}`, the code that the contract runs"),
                "and writes the address whose code is run, without a check of who calls",
                "set it in the constructor, or let only a trusted account do this",
            );
        }
        for hazard in facts.hazards(HazardKind::OpenInitialiser) {
            let entry = program.function_name(hazard.entry);
            out.report_hazard(
                program,
                hazard,
                format!("whoever calls `{entry}` first controls an implementation that can be replaced or destroyed"),
                "and makes the caller's choice the authority",
                "let only a trusted account do this, or use the initialiser up in the constructor",
            );
        }
    }
}
