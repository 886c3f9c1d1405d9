//! Where state stands, against what the real compiler says.

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_analyzer::hir::{Program, Source};
use portcullis_analyzer::project::{Project, ProjectOptions};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/storage_layout")
}

#[test]
fn layouts_are_those_of_the_compiler() {
    let output = Command::new("node").arg(folder().join("compile.mjs")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut expected: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();

    let options = ProjectOptions {
        base: folder(),
        paths: vec![folder().join("layouts.sol")],
        ..ProjectOptions::default()
    };
    let project = Project::read(&options).unwrap();
    assert_eq!(project.problems, []);
    let (program, diagnostics) = Program::build(Source::of_project(&project));
    assert_eq!(diagnostics, []);
    let mut ours = Vec::new();
    for id in program.contract_ids() {
        let file = program.contract_span(id).file;
        if !program.source(file).unwrap().path.ends_with("layouts.sol") {
            continue;
        }
        let name = program.contract_name(id);
        let layout = program.storage_layout(id).unwrap_or_else(|| panic!("{name}: no layout"));
        for entry in layout {
            let mark = if entry.is_transient { "t" } else { "" };
            let variable = program.variable_name(entry.variable);
            ours.push(format!(
                "{name} {variable} {mark}{} {} {}",
                entry.slot, entry.offset_bytes, entry.size_bytes
            ));
        }
    }
    ours.sort();
    expected.sort();
    assert!(expected.len() > 100, "the compiler lists every variable");
    assert_eq!(ours, expected);
}
