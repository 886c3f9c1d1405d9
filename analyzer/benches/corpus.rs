//! How much of published code is read and resolved, as one row of a Markdown table for each folder.
//!
//! ```sh
//! cargo bench -p portcullis-analyzer --bench corpus -- [--names] LABEL=FOLDER...
//! ```
//!
//! Every Solidity file below the folder is read, tests and scripts too, but for what lies in `node_modules`, which is
//! only imported. `--names` lists what was not resolved. `cargo xtask coverage` fetches the packages and writes the
//! table down.

#![expect(clippy::print_stdout, reason = "the table is the result")]
#![expect(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use portcullis_analyzer::facts::{Facts, HazardKind, dictionary};
use portcullis_analyzer::hir::{Program, Source};
use portcullis_analyzer::project::{Project, ProjectOptions};
use portcullis_analyzer::syntax::FileId;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let lists_names = arguments.iter().any(|argument| argument == "--names");
    for argument in arguments.iter().filter(|argument| !argument.starts_with("--")) {
        let (label, folder) = argument.split_once('=').unwrap_or((argument, argument));
        let folder = std::fs::canonicalize(folder).unwrap();
        match catch_unwind(AssertUnwindSafe(|| measure(&folder, lists_names))) {
            Ok(Some(row)) => println!("| {label} | {row} | 0 |"),
            Ok(None) => println!("| {label} | no Solidity |"),
            Err(_) => println!("| {label} | | | | | | | 1 |"),
        }
    }
}

/// Files, those read without a syntax error, functions graphed, names, resolved where imports are present, resolved in
/// all.
fn measure(folder: &Path, lists_names: bool) -> Option<String> {
    let mut paths = Vec::new();
    solidity(folder, &mut paths);
    if paths.is_empty() {
        return None;
    }
    let options = ProjectOptions { base: folder.to_owned(), paths, ..ProjectOptions::default() };
    let project = Project::read(&options).unwrap();
    let own: BTreeSet<FileId> = (0..)
        .map(FileId)
        .zip(&project.files)
        .filter(|(_, file)| file.is_reported)
        .map(|(id, _)| id)
        .collect();
    let sources = Source::of_project(&project);
    let whole = without_gaps(&sources);
    let (program, diagnostics) = Program::build(sources);
    let broken: BTreeSet<FileId> =
        diagnostics.iter().map(|diagnostic| diagnostic.span.file).collect();
    let facts = Facts::new(&program);
    std::hint::black_box(facts.function_tables(&dictionary()).len());
    std::hint::black_box(facts.late_effects().len() + facts.self_destructs().len());
    std::hint::black_box(facts.hazards(HazardKind::LockedEther).count());
    std::hint::black_box(facts.loops().len() + facts.locks().len());
    std::hint::black_box(facts.call_graph().sites().len());

    let functions: u64 = own.iter().map(|file| facts.coverage_of(*file).functions).sum();
    let mut names = [(0_u64, 0_u64); 2];
    for file in &own {
        let coverage = facts.coverage_of(*file);
        for (at, count) in names.iter_mut().enumerate() {
            if at == 1 || whole.contains(file) {
                count.0 += coverage.resolved_names;
                count.1 += coverage.names;
            }
        }
    }
    if lists_names {
        for span in facts.unresolved_names().iter().filter(|span| own.contains(&span.file)) {
            let source = program.source(span.file).unwrap();
            let line = source.text[..span.start as usize].matches('\n').count() + 1;
            let gap = if whole.contains(&span.file) { "" } else { " (an import is missing)" };
            println!("{}:{line}: {}{gap}", source.path.display(), program.text(*span));
        }
    }
    let percent = |(resolved, total): (u64, u64)| {
        if total == 0 {
            return "-".to_owned();
        }
        // Rounded down: 100 % is said where nothing is missing.
        let hundredths = resolved * 10_000 / total;
        format!("{}.{:02} %", hundredths / 100, hundredths % 100)
    };
    let n_broken = own.intersection(&broken).count();
    Some(format!(
        "{} | {} | {functions} | {} | {} | {}",
        own.len(),
        own.len() - n_broken,
        names[1].1,
        percent(names[0]),
        percent(names[1]),
    ))
}

/// Files that import, themselves or through others, nothing that is missing.
fn without_gaps(sources: &[Source]) -> BTreeSet<FileId> {
    let mut gaps: BTreeSet<FileId> = BTreeSet::new();
    loop {
        let before = gaps.len();
        for source in sources {
            let mut imports = source.imports.values();
            if imports.any(|import| import.is_none_or(|target| gaps.contains(&target))) {
                gaps.insert(source.id);
            }
        }
        if gaps.len() == before {
            return sources
                .iter()
                .map(|source| source.id)
                .filter(|id| !gaps.contains(id))
                .collect();
        }
    }
}

fn solidity(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "node_modules") {
                solidity(&path, out);
            }
        } else if path.extension().is_some_and(|extension| extension == "sol") {
            out.push(path);
        }
    }
}
