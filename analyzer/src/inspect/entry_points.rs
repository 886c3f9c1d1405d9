//! Functions that anyone can call and that can change something.

use schemars::JsonSchema;
use serde::Serialize;

use super::Inspected;
use super::name;
use super::source::Place;
use super::table::table;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EntryPoints {
    entry_points: Vec<Entry>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Entry {
    contract: String,
    /// Name and types of parameters.
    function: String,
    #[serde(flatten)]
    place: Place,
    /// The contract that declares it; another one than `contract` where it is inherited.
    declared_in: String,
    is_payable: bool,
    modifiers: Vec<String>,
    /// Every write and every call needs an account that the contract chose.
    is_guarded: bool,
    /// External calls that hand over control.
    external_calls: usize,
    /// State variables that are written.
    writes: Vec<String>,
}

pub(super) fn gather(asked: &Inspected<'_>) -> EntryPoints {
    let program = asked.program;
    let entry_points = asked
        .summaries()
        .into_iter()
        .map(|summary| {
            let label = name::label(program, Some(summary.contract), summary.function);
            let contract = program.contract_name(summary.contract).to_owned();
            let declared = program.function(summary.function);
            let mut writes: Vec<String> = summary
                .writes
                .iter()
                .map(|write| asked.facts.state_text(&write.variable))
                .collect();
            writes.sort();
            writes.dedup();
            Entry {
                function: label[contract.len() + 1..].to_owned(),
                place: Place::of(program, program.function_name_span(summary.function)),
                declared_in: declared
                    .contract
                    .map(|contract| program.contract_name(contract).to_owned())
                    .unwrap_or_default(),
                is_payable: summary.is_payable,
                modifiers: declared
                    .invocations
                    .iter()
                    .map(|used| super::source::one_line(program.text(used.span), 40))
                    .collect(),
                is_guarded: asked.facts.needs_authority(summary),
                external_calls: summary.calls.len(),
                writes,
                contract,
            }
        })
        .collect();
    EntryPoints { entry_points }
}

impl EntryPoints {
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        let mut contract = None;
        let mut rows: Vec<[String; 5]> = Vec::new();
        let head = ["function", "who", "calls", "writes", "modifiers"];
        for entry in &self.entry_points {
            if contract != Some(&entry.contract) {
                flush(&mut out, head, &mut rows);
                contract = Some(&entry.contract);
                if !out.is_empty() {
                    out.push('\n');
                }
                out.push_str(&format!("{}\n", entry.contract));
            }
            let payable = if entry.is_payable { " payable" } else { "" };
            let calls = match entry.external_calls {
                0 => "-".to_owned(),
                calls => calls.to_string(),
            };
            let dash = |list: &[String]| {
                if list.is_empty() { "-".to_owned() } else { list.join(", ") }
            };
            rows.push([
                format!("{}{payable}", entry.function),
                if entry.is_guarded { "chosen" } else { "anyone" }.to_owned(),
                calls,
                dash(&entry.writes),
                dash(&entry.modifiers),
            ]);
        }
        flush(&mut out, head, &mut rows);
        if out.is_empty() {
            out.push_str("no entry points\n");
        }
        out
    }
}

fn flush(out: &mut String, head: [&str; 5], rows: &mut Vec<[String; 5]>) {
    if !rows.is_empty() {
        out.push_str(&table(head, rows));
        rows.clear();
    }
}
