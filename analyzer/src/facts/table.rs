//! The `function` facts of the dictionary.

use std::collections::BTreeSet;

use portcullis_rules::{Dictionary, FactSpec, FactTable, FactType, Subject, Value};
use ruint::aliases::U256;

use super::entry::StateKey;
use super::hazards::Authority;
use super::loops::{LoopBound, LoopHere};
use super::order::ORDER_FACTS;
use super::summary::Summary;
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
    spec(
        "authority_writes",
        FactType::Uint,
        "count",
        "State variables that are written and that some function of the contract compares with the caller, or looks the \
         caller up in, to decide who may go on.",
    ),
    spec(
        "open_authority_writes",
        FactType::Uint,
        "count",
        "Writes, by anyone and more than once, of who may go on in other functions of the contract, or of what those let \
         only a chosen account write.",
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
    Dictionary::new(Subject::Function, [FUNCTION_FACTS, ORDER_FACTS])
}

impl Facts<'_> {
    /// Fills one table of `dictionary` for each entry point; facts that other passes register stay unknown.
    pub fn function_tables(&self, dictionary: &Dictionary) -> Vec<(EntryPoint, FactTable)> {
        let mut positions: Vec<Option<usize>> = Vec::new();
        let authority = self.authority();
        self.summaries()
            .iter()
            .map(|summary| {
                let values = self.function_values(summary, &authority);
                if positions.is_empty() {
                    positions = values.iter().map(|(name, _)| dictionary.position(name)).collect();
                }
                let mut table = dictionary.empty_table();
                for ((_, value), position) in values.into_iter().zip(&positions) {
                    if let Some(position) = position {
                        table.set(*position, value);
                    }
                }
                (EntryPoint { contract: summary.contract, function: summary.function }, table)
            })
            .collect()
    }

    /// The facts of one entry point, always in the same order.
    fn function_values(
        &self,
        summary: &Summary,
        authority: &Authority<'_>,
    ) -> Vec<(&'static str, Value)> {
        let count = |count: usize| Value::Uint(U256::from(count));
        let open = &self.open(summary.contract).variables;
        let name = self.program.function_name(summary.function);
        let name = name.rsplit('.').next().unwrap_or(&name).to_owned();
        let has_effects = !summary.writes.is_empty()
            || !summary.calls.is_empty()
            || !summary.destructs.is_empty();
        let guarded = summary.writes.iter().all(|write| is_guarded(&write.guard, open))
            && summary.calls.iter().all(|call| is_guarded(&call.guard, open))
            && summary.destructs.iter().all(|site| is_guarded(&site.guard, open));
        let locked = !summary.calls.is_empty()
            && summary.calls.iter().all(|call| self.lock_of(summary, call).is_some());
        let to_strangers = || {
            summary.calls.iter().filter(|call| self.is_strangers(summary.contract, &call.callee))
        };
        let read: BTreeSet<_> = summary.reads.iter().map(StateKey::whole).collect();
        let written: BTreeSet<_> =
            summary.writes.iter().map(|write| write.variable.whole()).collect();
        let loops = |wanted: &dyn Fn(&LoopHere) -> bool| {
            count(summary.loops.iter().filter(|found| wanted(found)).count())
        };
        let grows = [LoopBound::Stored, LoopBound::StorageLength];
        let mut values = vec![
            ("contract", Value::Text(self.program.contract_name(summary.contract).to_owned())),
            ("function", Value::Text(name)),
            ("payable", Value::Bool(summary.is_payable)),
            ("guarded", Value::Bool(has_effects && guarded)),
            ("locked", Value::Bool(locked)),
            ("external_calls", count(summary.calls.len())),
            ("stranger_calls", count(to_strangers().count())),
            ("delegate_calls", count(summary.calls.iter().filter(|call| call.is_delegate).count())),
            ("storage_reads", count(read.len())),
            ("storage_writes", count(written.len())),
            ("writes_after_call", count(to_strangers().map(|call| call.stale.len()).sum())),
            ("can_self_destruct", Value::Bool(!summary.destructs.is_empty())),
            ("loops", loops(&|_| true)),
            ("unbounded_loops", loops(&|found| found.bound != LoopBound::Constant)),
            ("storage_loops", loops(&|found| grows.contains(&found.bound))),
            ("caller_loops", loops(&|found| found.bound == LoopBound::Caller)),
            ("calls_in_loops", loops(&|found| found.calls_out)),
            ("authority_writes", count(authority.written_by(summary))),
            ("open_authority_writes", count(authority.open_writes_of(summary))),
            ("fully_read", Value::Bool(!summary.is_partial)),
        ];
        let order = ORDER_FACTS.iter().zip(summary.order);
        values.extend(order.map(|(spec, number)| (spec.name, count(number))));
        values
    }
}
