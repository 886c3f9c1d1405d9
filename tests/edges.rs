//! Who may know whom: the crate edges, read from `cargo metadata`, and the room edges, read from the sources.
//!
//! The picture these tests hold is drawn in `ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each crate and the crates of this workspace that it may depend on, development dependencies included.
const CRATES: &[(&str, &[&str])] = &[
    (
        "portcullis",
        &[
            "portcullis-alerting",
            "portcullis-analyzer",
            "portcullis-models",
            "portcullis-range",
            "portcullis-rules",
            "portcullis-watcher",
        ],
    ),
    ("portcullis-alerting", &[]),
    ("portcullis-analyzer", &["portcullis-rules"]),
    ("portcullis-models", &[]),
    (
        "portcullis-range",
        &["portcullis-alerting", "portcullis-models", "portcullis-rules", "portcullis-watcher"],
    ),
    ("portcullis-rules", &[]),
    ("portcullis-watcher", &["portcullis-alerting", "portcullis-models", "portcullis-rules"]),
    ("xtask", &[]),
];

/// A name in the sources, and the only rooms that may use it.
const NAMES: &[(&str, &[&str])] = &[
    ("solang_parser", &["analyzer/src/syntax"]),
    ("revm", &["watcher/src/state", "watcher/src/simulate"]),
    ("tokio_tungstenite", &["watcher/src/source", "models/range/src"]),
    ("linfa", &["models/src/train"]),
    ("ort", &["models/src/serve"]),
    ("prost", &["models/src/onnx"]),
    ("cel", &["rules/src"]),
    ("rusqlite", &["alerting/src/journal"]),
    ("PrivateKeySigner", &["alerting/src/guardian", "models/range/src"]),
    ("ureq", &["alerting/src/notify", "alerting/src/guardian"]),
];

/// The rooms of a crate in the order of the data; a room uses only rooms before it.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "analyzer/src",
        &["project", "syntax", "hir", "cfg", "facts", "detectors", "report", "inspect"],
    ),
    (
        "watcher/src",
        &["source", "state", "simulate", "settings", "facts", "verdict", "policy", "act", "daemon"],
    ),
    ("alerting/src", &["record", "journal", "notify", "guardian"]),
];

/// What a room must not name at all: it would make it impure.
const PURE: &[(&str, &[&str])] = &[
    ("watcher/src/policy", &["std::time", "Instant", "tokio", "std::net", "Signer", "std::fs"]),
    ("watcher/src/state", &["portcullis_rules", "portcullis_models", "tokio::spawn"]),
    ("watcher/src/simulate", &["portcullis_rules", "portcullis_models", "tokio::spawn"]),
    ("watcher/src/verdict", &["guardian", "Signer", "tokio"]),
    ("rules/src", &["alloy", "revm", "solang_parser"]),
    ("models/src", &["alloy", "revm", "solang_parser"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn crates_depend_only_on_those_they_may_know() {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo metadata answers");
    let ours: BTreeSet<&str> =
        metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let allowed: BTreeMap<&str, &[&str]> = CRATES.iter().copied().collect();
    assert_eq!(
        ours,
        allowed.keys().copied().collect(),
        "the list of crates above is not the workspace's"
    );

    let mut wrong = Vec::new();
    for package in &metadata.packages {
        for dependency in &package.dependencies {
            let (from, to) = (package.name.as_str(), dependency.name.as_str());
            if ours.contains(to) && !allowed[from].contains(&to) {
                wrong.push(format!("{from} -> {to}"));
            }
        }
        assert_eq!(
            package.publish.as_deref(),
            Some(&[][..]),
            "{} must not be published",
            package.name
        );
    }
    assert!(wrong.is_empty(), "edges that the design does not draw: {wrong:?}");
}

#[test]
fn foreign_names_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for (name, rooms) in NAMES {
        for (path, text) in sources() {
            if rooms.iter().any(|room| is_in(&path, room)) {
                continue;
            }
            for (number, line) in code_lines(&text) {
                if names(line, name) {
                    wrong.push(format!(
                        "{}:{number}: names {name}, which only {rooms:?} may",
                        path.display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_use_only_rooms_before_them() {
    let mut wrong = Vec::new();
    for (base, rooms) in ROOMS {
        for (path, text) in sources() {
            let Some(here) = rooms.iter().position(|room| is_in(&path, &format!("{base}/{room}")))
            else {
                continue;
            };
            for (number, line) in code_lines(&text) {
                for later in &rooms[here + 1..] {
                    if line.contains(&format!("crate::{later}::"))
                        || line.contains(&format!("crate::{later};"))
                    {
                        wrong.push(format!(
                            "{}:{number}: {} uses {later}",
                            path.display(),
                            rooms[here]
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_stay_pure() {
    let mut wrong = Vec::new();
    for (room, forbidden) in PURE {
        for (path, text) in sources().into_iter().filter(|(path, _)| is_in(path, room)) {
            for (number, line) in code_lines(&text) {
                for name in forbidden.iter().filter(|name| names(line, name)) {
                    wrong.push(format!("{}:{number}: {room} must not know {name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_daemon_spawns() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !path.starts_with("watcher/src") || is_in(&path, "watcher/src/daemon") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if line.contains("::spawn(")
                || line.contains(".spawn(")
                || line.contains("spawn_blocking(")
            {
                wrong.push(format!("{}:{number}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "tasks are spawned outside of the daemon: {wrong:?}");
}

#[test]
fn every_room_exists() {
    for (base, rooms) in ROOMS {
        for room in *rooms {
            let folder = root().join(base).join(room);
            let file = folder.with_extension("rs");
            assert!(
                folder.is_dir() || file.is_file(),
                "{base}/{room} is in the picture but not in the tree"
            );
        }
    }
}

/// Whether a path from the root lies in `room`.
fn is_in(path: &Path, room: &str) -> bool {
    path.starts_with(room) || path == Path::new(&format!("{room}.rs"))
}

/// Whether `line` uses `name` as a whole path segment or identifier.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_word(before)
            && !is_word(after)
            && (name.contains("::")
                || after == Some(':')
                || before == Some(':')
                || name.chars().next().is_some_and(char::is_uppercase))
    })
}

/// Lines outside of comments and before the file's own test module, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(i, line)| (i + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Every source file of the crates that ship, tests aside.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for base in [
        "src",
        "alerting/src",
        "analyzer/src",
        "models/src",
        "models/range/src",
        "rules/src",
        "watcher/src",
    ] {
        collect(&root().join(base), &mut files);
    }
    assert!(files.len() > 30, "the sources were not found");
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("a source folder can be read") {
        let path = entry.expect("a folder entry can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_stem().is_none_or(|stem| stem != "tests")
            && !path.components().any(|part| part.as_os_str() == "tests")
        {
            let text = std::fs::read_to_string(&path).expect("a source file can be read");
            let relative =
                path.strip_prefix(root()).expect("sources lie below the root").to_owned();
            files.push((relative, text));
        }
    }
}
