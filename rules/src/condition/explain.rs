//! Why a condition held, or why it could not be told.

use super::tree::{Clause, Test, Truth};
use crate::facts::{Dictionary, Sight, Value};
use crate::message::show;

/// The innermost clauses that held, each with the values it read.
pub(super) fn because(clause: &Clause, facts: &Sight<'_>, dictionary: &Dictionary) -> Vec<String> {
    match &clause.test {
        Test::All(parts) | Test::Any(parts) => parts
            .iter()
            .filter(|part| part.test.evaluate(facts) == Truth::True)
            .flat_map(|part| because(part, facts, dictionary))
            .collect(),
        _ => {
            let values: Vec<String> = clause
                .said
                .reads
                .iter()
                .map(|position| {
                    let fact = dictionary.fact(*position);
                    format!("{} = {}", fact.name, show(facts.value(*position), fact.unit))
                })
                .collect();
            vec![format!("{} ({})", clause.said.text, values.join(", "))]
        }
    }
}

/// The facts without which the clause is neither true nor false; a clause whose arithmetic left the range of 256
/// bits stands for itself.
pub(super) fn unknown(clause: &Clause, facts: &Sight<'_>, dictionary: &Dictionary) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    match &clause.test {
        Test::All(parts) | Test::Any(parts) => {
            for part in parts.iter().filter(|part| part.test.evaluate(facts) == Truth::Unknown) {
                for name in unknown(part, facts, dictionary) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
        _ => {
            let unknown = clause.said.reads.iter().filter(|position| {
                matches!(facts.value(**position), Value::Unknown | Value::AtLeast(_))
            });
            names.extend(unknown.map(|position| dictionary.fact(*position).name.to_owned()));
            if names.is_empty() {
                names.push(format!("{} (out of range)", clause.said.text));
            }
        }
    }
    names
}
