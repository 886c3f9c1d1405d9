//! One small source for each feature of the language, and everything that becomes of it: the order of bases, the
//! storage layout, the statements of each function and of each entry point.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::path::Path;

use portcullis_analyzer::facts::Facts;
use portcullis_analyzer::hir::{Program, Source};
use portcullis_analyzer::project::{Project, ProjectOptions};

/// What is known of a source, as text.
fn picture(path: &Path) -> String {
    let options = ProjectOptions {
        base: path.parent().unwrap().to_owned(),
        paths: vec![path.to_owned()],
        ..ProjectOptions::default()
    };
    let (program, diagnostics) =
        Program::build(Source::of_project(&Project::read(&options).unwrap()));
    assert_eq!(diagnostics, [], "{}", path.display());
    let facts = Facts::new(&program);
    let unresolved: Vec<_> =
        facts.unresolved_names().iter().map(|span| program.text(*span)).collect();
    assert!(unresolved.is_empty(), "{}: {unresolved:?}", path.display());

    let mut out = String::new();
    for id in program.contract_ids() {
        let order: Vec<_> =
            program.linearisation(id).iter().map(|base| program.contract_name(*base)).collect();
        writeln!(out, "contract {}", order.join(" < ")).unwrap();
        for slot in program.storage_layout(id).unwrap() {
            let kind = if slot.is_transient { "transient " } else { "" };
            let name = program.variable_name(slot.variable);
            writeln!(out, "  {kind}{name} @ {}.{}", slot.slot, slot.offset_bytes).unwrap();
        }
    }
    for id in program.function_ids() {
        if let Some(text) = facts.ir_text(id) {
            writeln!(out, "\nfunction {}\n{}", program.function_name(id), text.trim_end()).unwrap();
        }
    }
    for id in program.contract_ids() {
        if let Some(text) = facts.deployment_text(id) {
            writeln!(out, "\nmaking {}\n{}", program.contract_name(id), text.trim_end()).unwrap();
        }
    }
    for entry in facts.entry_points() {
        let alone = facts.ir_text(entry.function);
        let composed = facts.view_text(*entry);
        if composed != alone {
            let contract = program.contract_name(entry.contract);
            let name = program.function_name(entry.function);
            writeln!(out, "\n{contract} runs {name}\n{}", composed.unwrap().trim_end()).unwrap();
        }
    }
    out
}

#[test]
fn every_feature_becomes_what_it_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language");
    let mut features: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sol"))
        .collect();
    features.sort();
    assert!(features.len() > 25);
    for path in features {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        insta::with_settings!({ snapshot_path => "language", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, picture(&path));
        });
    }
}
