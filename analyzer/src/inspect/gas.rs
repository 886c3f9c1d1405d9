//! What entry points cost at the least, and what makes them dearer without end.

use schemars::JsonSchema;
use serde::Serialize;

use super::Inspected;
use super::name;
use super::source::Place;
use super::table::table;
use crate::facts::LoopBound;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Gas {
    entry_points: Vec<GasEntry>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct GasEntry {
    contract: String,
    /// Name and types of parameters.
    function: String,
    #[serde(flatten)]
    place: Place,
    /// No successful transaction that calls it costs less; missing where none succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_least_gas: Option<u64>,
    /// Nothing in the code limits how much it costs.
    is_unbounded: bool,
    /// What it grows with.
    grows_with: Vec<Growth>,
    /// Calls that can spend any amount of what is left.
    open_calls: usize,
    /// All of what runs could be read.
    is_whole: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Growth {
    /// `argument`, `state`, `list`, `answer` or `unknown`.
    kind: &'static str,
    what: String,
}

pub(super) fn gather(asked: &Inspected<'_>) -> Gas {
    let program = asked.program;
    let wanted: std::collections::BTreeSet<_> =
        asked.summaries().into_iter().map(|summary| (summary.contract, summary.function)).collect();
    let entry_points = asked
        .facts
        .gas_bounds()
        .into_iter()
        .filter(|(point, _)| wanted.contains(&(point.contract, point.function)))
        .map(|(point, bound)| {
            let label = name::label(program, Some(point.contract), point.function);
            let contract = program.contract_name(point.contract).to_owned();
            GasEntry {
                function: label[contract.len() + 1..].to_owned(),
                place: Place::of(program, program.function_name_span(point.function)),
                at_least_gas: bound.at_least_gas,
                is_unbounded: !bound.grows_with.is_empty(),
                grows_with: bound
                    .grows_with
                    .into_iter()
                    .map(|(kind, what)| Growth { kind: kind_name(kind), what })
                    .collect(),
                open_calls: bound.n_open_calls,
                is_whole: !bound.is_partial,
                contract,
            }
        })
        .collect();
    Gas { entry_points }
}

fn kind_name(bound: LoopBound) -> &'static str {
    match bound {
        LoopBound::Constant => "constant",
        LoopBound::Caller => "argument",
        LoopBound::Stored => "state",
        LoopBound::StorageLength => "list",
        LoopBound::External => "answer",
        LoopBound::Unknown => "unknown",
    }
}

impl Gas {
    pub(super) fn to_text(&self) -> String {
        let head = ["function", "at least", "calls", "grows with"];
        let mut out = String::new();
        let mut rows: Vec<[String; 4]> = Vec::new();
        let mut contract: Option<&str> = None;
        for entry in &self.entry_points {
            if contract != Some(entry.contract.as_str()) {
                if !rows.is_empty() {
                    out.push_str(&table(head, &rows));
                    out.push('\n');
                    rows.clear();
                }
                contract = Some(&entry.contract);
                out.push_str(&format!("{}\n", entry.contract));
            }
            let grows: Vec<String> = entry
                .grows_with
                .iter()
                .map(|growth| match growth.kind {
                    "list" | "state" => format!("`{}`", growth.what),
                    _ => growth.what.clone(),
                })
                .collect();
            rows.push([
                entry.function.clone(),
                entry
                    .at_least_gas
                    .map_or_else(|| "never succeeds".to_owned(), |gas| gas.to_string()),
                if entry.open_calls == 0 { "-".to_owned() } else { entry.open_calls.to_string() },
                if grows.is_empty() { "-".to_owned() } else { grows.join(", ") },
            ]);
        }
        if !rows.is_empty() {
            out.push_str(&table(head, &rows));
        }
        if out.is_empty() {
            out.push_str("no entry points\n");
        }
        out
    }
}
