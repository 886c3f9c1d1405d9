//! One small source for each kind of answer that the facts give, and what a user is shown of it: who calls whom, what
//! is read, written and called, who may do it and under which lock, and what rules can ask.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use portcullis_analyzer::inspect::{Form, InspectOptions, Printer, inspect};

fn shown(path: &Path, printer: Printer) -> String {
    let options = InspectOptions {
        base: path.parent().unwrap().to_owned(),
        paths: vec![path.to_owned()],
        name: None,
        printer,
        form: Form::Text,
        is_whole: false,
    };
    let inspection = inspect(&options).unwrap();
    assert_eq!(inspection.diagnostics, [], "{}", path.display());
    inspection.text
}

/// The counts that are not zero and the questions that are answered by yes; all others would be noise.
fn telling(facts: &str) -> String {
    let is_telling = |line: &&str| !line.ends_with(" 0") && !line.ends_with(" false");
    facts.lines().filter(is_telling).map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_kind_of_answer_is_what_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers");
    let mut sources: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sol"))
        .collect();
    sources.sort();
    assert!(sources.len() > 8);
    for path in sources {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let picture = format!(
            "CALLS\n{}\nENTRY POINTS\n{}\nGUARDS AND LOCKS\n{}\nFACTS\n{}",
            shown(&path, Printer::Callgraph),
            shown(&path, Printer::EntryPoints),
            shown(&path, Printer::Guards),
            telling(&shown(&path, Printer::Facts)),
        );
        insta::with_settings!({ snapshot_path => "answers", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, picture);
        });
    }
}
