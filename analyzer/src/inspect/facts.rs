//! The function facts that rules read, for each entry point.

use portcullis_rules::Value;
use schemars::JsonSchema;
use serde::Serialize;

use super::Inspected;
use super::name;
use super::source::Place;
use crate::facts::dictionary;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Tables {
    entry_points: Vec<Table>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Table {
    /// `Contract.function(types)`.
    function: String,
    #[serde(flatten)]
    place: Place,
    /// In the order of the dictionary.
    facts: Vec<Fact>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Fact {
    name: &'static str,
    /// As a rule would write it; numbers in decimal, missing where it is not known.
    value: Option<String>,
}

pub(super) fn gather(asked: &Inspected<'_>) -> Tables {
    let program = asked.program;
    let dictionary = dictionary();
    let entry_points = asked
        .facts
        .function_tables(&dictionary)
        .into_iter()
        .filter(|(entry, _)| asked.is_asked(*entry))
        .map(|(entry, table)| Table {
            function: name::label(program, Some(entry.contract), entry.function),
            place: Place::of(program, program.function_name_span(entry.function)),
            facts: dictionary
                .specs()
                .iter()
                .enumerate()
                .map(|(position, spec)| Fact {
                    name: spec.name,
                    value: shown(table.value(position)),
                })
                .collect(),
        })
        .collect();
    Tables { entry_points }
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Unknown => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Uint(number) | Value::AtLeast(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Address(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("0x{digits}"))
        }
    }
}

impl Tables {
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        for table in &self.entry_points {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&format!("{}  {}\n", table.function, table.place));
            let width = table.facts.iter().map(|fact| fact.name.len()).max().unwrap_or(0);
            for fact in &table.facts {
                let value = fact.value.as_deref().unwrap_or("unknown");
                out.push_str(&format!("  {:width$}  {value}\n", fact.name));
            }
        }
        if out.is_empty() {
            out.push_str("no entry points\n");
        }
        out
    }
}
