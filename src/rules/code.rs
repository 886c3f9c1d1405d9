//! Functions of Solidity code that stands in packs, as facts of the auditor.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_analyzer::facts::{self, Facts};
use portcullis_analyzer::hir::{Program, Source};
use portcullis_analyzer::syntax::FileId;
use portcullis_rules::testing::Recorded;
use portcullis_rules::{CodeRef, FactTable, Value};

/// What a function shows to a rule: the same that an audit shows.
///
/// # Errors
/// The code cannot be read, or has no such function, or more than one.
pub(super) fn read(reference: &CodeRef) -> Result<Recorded, String> {
    let path = "code".into();
    let text = Arc::from(reference.code.as_str());
    let source = Source { id: FileId(0), path, text, imports: BTreeMap::new() };
    let (program, diagnostics) = Program::build(vec![source]);
    if let Some(wrong) = diagnostics.first() {
        return Err(format!("the code cannot be read: {}", wrong.message));
    }
    let dictionary = facts::dictionary();
    let facts = Facts::new(&program);
    let text = |table: &FactTable, name: &str| match dictionary
        .position(name)
        .map(|position| table.value(position))
    {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let mut tables: Vec<(String, FactTable)> = facts
        .function_tables(&dictionary)
        .into_iter()
        .map(|(_, table)| {
            (format!("{}.{}", text(&table, "contract"), text(&table, "function")), table)
        })
        .collect();
    let known: Vec<String> = tables.iter().map(|(name, _)| name.clone()).collect();
    let wanted = &reference.function;
    tables.retain(|(name, _)| name == wanted || name.split('.').nth(1) == Some(wanted));
    match (tables.pop(), tables.is_empty()) {
        (Some((_, table)), true) => Ok(Recorded { subjects: vec![table], ..Recorded::default() }),
        (Some(_), false) => Err(format!("there is more than one; {}", known.join(", "))),
        (None, _) => Err(format!("there is none; there are: {}", known.join(", "))),
    }
}
