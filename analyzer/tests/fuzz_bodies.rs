//! What a fuzzer would drive, run over the committed corpora in `fixtures/fuzz`, whole and cut short.
//!
//! A body takes any bytes and panics when a promise is broken. An input that once broke one is added to its
//! corpus and stays there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portcullis_analyzer::facts::{Facts, dictionary};
use portcullis_analyzer::hir::{Program, Source};
use portcullis_analyzer::inspect::reprint_ir;
use portcullis_analyzer::syntax::FileId;

/// Any bytes are a program, perhaps an empty one: it is read, lowered, asked and printed, and what is said of it
/// points into its text.
fn front_end(bytes: &[u8]) {
    let program = program(&String::from_utf8_lossy(bytes));
    let facts = Facts::new(&program);
    for function in program.function_ids() {
        let text = facts.ir_text(function);
        assert!(text.is_none_or(|text| text.starts_with("bb0:") || text.starts_with("modifier ")));
    }
    for entry in facts.entry_points() {
        assert!(facts.view_text(*entry).is_some(), "an entry point has a body");
    }
    assert_eq!(facts.function_tables(&dictionary()).len(), facts.entry_points().len());
}

fn program(text: &str) -> Program {
    let source = Source {
        id: FileId(0),
        path: PathBuf::from("input.sol"),
        text: text.into(),
        imports: BTreeMap::new(),
    };
    let (program, diagnostics) = Program::build(vec![source]);
    for diagnostic in diagnostics {
        let range = diagnostic.span.range();
        assert!(text.get(range.clone()).is_some(), "{diagnostic:?} points out of the text");
    }
    program
}

/// Any bytes are refused or read as a body; what was read prints as a text that reads back to the same text.
fn intermediate_representation(program: &Program, bytes: &[u8]) {
    if let Ok(printed) = reprint_ir(program, &String::from_utf8_lossy(bytes)) {
        assert_eq!(reprint_ir(program, &printed).as_ref(), Ok(&printed));
    }
}

/// Runs `body` over every input of a corpus, and over its beginnings.
fn over_corpus(corpus: &str, body: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fuzz").join(corpus);
    let mut inputs: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 4, "the corpus {corpus} has inputs");
    for input in inputs {
        let bytes = std::fs::read(input).unwrap();
        for part in 1..=12 {
            body(&bytes[..bytes.len() * part / 12]);
        }
    }
}

#[test]
fn the_front_end_survives_its_corpus() {
    over_corpus("front-end", front_end);
}

#[test]
fn the_text_of_the_intermediate_representation_survives_its_corpus() {
    let program = program(
        "contract C { mapping(address => uint[]) m; uint length; function f(uint a) public {} }",
    );
    over_corpus("ir", |bytes| intermediate_representation(&program, bytes));
    let valid = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fuzz/ir/all.in"),
    );
    assert!(reprint_ir(&program, &valid.unwrap()).is_ok(), "the corpus holds a valid body");
}
