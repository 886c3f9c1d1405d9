//! The `function` facts of the dictionary.

use std::collections::BTreeSet;

use portcullis_rules::{Dictionary, FactSpec, FactTable, FactType, Subject, Value};
use ruint::aliases::U256;

use super::entry::StateKey;
use super::loops::{LoopBound, LoopHere};
use super::{EntryPoint, Facts, is_guarded};

const fn spec(name: &'static str, ty: FactType, unit: &'static str, doc: &'static str) -> FactSpec {
    FactSpec { name, subject: Subject::Function, ty, unit, may_be_unknown: false, doc }
}

/// What rules can ask about one entry point of one contract.
pub const FUNCTION_FACTS: &[FactSpec] = &[
    spec("contract", FactType::Text, "", "Name of the contract that is called."),
    spec(
        "function",
        FactType::Text,
        "",
        "Name of the function; `fallback` or `receive` where it has none.",
    ),
    spec("payable", FactType::Bool, "", "Ether can be sent along."),
    spec(
        "guarded",
        FactType::Bool,
        "",
        "Every write and every external call needs an account that the contract chose.",
    ),
    spec(
        "locked",
        FactType::Bool,
        "",
        "Every external call is made under a lock that keeps the function from being entered again.",
    ),
    spec(
        "external_calls",
        FactType::Uint,
        "count",
        "External calls that hand over control with enough gas to call back.",
    ),
    spec(
        "stranger_calls",
        FactType::Uint,
        "count",
        "External calls whose callee a stranger chooses.",
    ),
    spec(
        "delegate_calls",
        FactType::Uint,
        "count",
        "Calls that run foreign code on this contract's storage.",
    ),
    spec("storage_reads", FactType::Uint, "count", "State variables that are read."),
    spec("storage_writes", FactType::Uint, "count", "State variables that are written."),
    spec(
        "writes_after_call",
        FactType::Uint,
        "count",
        "State that is written after an external call that depended on it.",
    ),
    spec(
        "can_self_destruct",
        FactType::Bool,
        "",
        "The contract can be destroyed through this function.",
    ),
    spec("loops", FactType::Uint, "count", "Loops that the function runs."),
    spec(
        "unbounded_loops",
        FactType::Uint,
        "count",
        "Loops whose number of rounds nothing in the code limits: it depends on state, on the caller or on others.",
    ),
    spec(
        "storage_loops",
        FactType::Uint,
        "count",
        "Loops that grow with state: over an array that the contract keeps, or up to a number that it keeps.",
    ),
    spec(
        "caller_loops",
        FactType::Uint,
        "count",
        "Loops whose number of rounds the caller chooses.",
    ),
    spec(
        "calls_in_loops",
        FactType::Uint,
        "count",
        "Loops each of whose rounds may call another contract.",
    ),
    FactSpec {
        name: "fully_read",
        subject: Subject::Function,
        ty: FactType::Bool,
        unit: "",
        may_be_unknown: false,
        doc: "Everything that the function runs was read and resolved.",
    },
];

/// The `function` facts as rules are checked against them.
pub fn dictionary() -> Dictionary {
    Dictionary::new(Subject::Function, [FUNCTION_FACTS])
}

impl Facts<'_> {
    /// Fills one table of `dictionary` for each entry point; facts that other passes register stay unknown.
    pub fn function_tables(&self, dictionary: &Dictionary) -> Vec<(EntryPoint, FactTable)> {
        self.summaries()
            .iter()
            .map(|summary| {
                let mut table = dictionary.empty_table();
                let mut set = |name: &str, value: Value| {
                    if let Some(position) = dictionary.position(name) {
                        table.set(position, value);
                    }
                };
                let count = |count: usize| Value::Uint(U256::from(count));
                let open = &self.open(summary.contract).variables;
                let name = self.program.function_name(summary.function);
                let name = name.rsplit('.').next().unwrap_or(&name).to_owned();
                set(
                    "contract",
                    Value::Text(self.program.contract_name(summary.contract).to_owned()),
                );
                set("function", Value::Text(name));
                set("payable", Value::Bool(summary.is_payable));
                let has_effects = !summary.writes.is_empty()
                    || !summary.calls.is_empty()
                    || !summary.destructs.is_empty();
                let guarded = summary.writes.iter().all(|write| is_guarded(&write.guard, open))
                    && summary.calls.iter().all(|call| is_guarded(&call.guard, open))
                    && summary.destructs.iter().all(|site| is_guarded(&site.guard, open));
                set("guarded", Value::Bool(has_effects && guarded));
                let locked = !summary.calls.is_empty()
                    && summary.calls.iter().all(|call| self.lock_of(summary, call).is_some());
                set("locked", Value::Bool(locked));
                set("external_calls", count(summary.calls.len()));
                set(
                    "stranger_calls",
                    count(
                        summary
                            .calls
                            .iter()
                            .filter(|call| self.is_strangers(summary.contract, &call.callee))
                            .count(),
                    ),
                );
                set(
                    "delegate_calls",
                    count(summary.calls.iter().filter(|call| call.is_delegate).count()),
                );
                let read: BTreeSet<_> = summary.reads.iter().map(StateKey::whole).collect();
                set("storage_reads", count(read.len()));
                let written: BTreeSet<_> =
                    summary.writes.iter().map(|write| write.variable.whole()).collect();
                set("storage_writes", count(written.len()));
                let stale: usize = summary
                    .calls
                    .iter()
                    .filter(|call| self.is_strangers(summary.contract, &call.callee))
                    .map(|call| call.stale.len())
                    .sum();
                set("writes_after_call", count(stale));
                set("can_self_destruct", Value::Bool(!summary.destructs.is_empty()));
                let loops = |wanted: &dyn Fn(&LoopHere) -> bool| {
                    count(summary.loops.iter().filter(|found| wanted(found)).count())
                };
                set("loops", loops(&|_| true));
                set("unbounded_loops", loops(&|found| found.bound != LoopBound::Constant));
                let grows = [LoopBound::Stored, LoopBound::StorageLength];
                set("storage_loops", loops(&|found| grows.contains(&found.bound)));
                set("caller_loops", loops(&|found| found.bound == LoopBound::Caller));
                set("calls_in_loops", loops(&|found| found.calls_out));
                set("fully_read", Value::Bool(!summary.is_partial));
                (EntryPoint { contract: summary.contract, function: summary.function }, table)
            })
            .collect()
    }
}
