//! How a project lays out its files: Foundry, Hardhat, or a folder with remappings.

use std::path::{Component, Path, PathBuf};

use toml::Value;

/// One project root: where its dependencies and tests lie, and what its import prefixes mean.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Canonical path of the folder that holds the configuration.
    pub(crate) root: PathBuf,
    /// Folders with dependencies, below `root`.
    libs: Vec<PathBuf>,
    /// Folders with tests and scripts, below `root`.
    tests: Vec<PathBuf>,
    remappings: Vec<Remapping>,
    is_hardhat: bool,
}

/// `context:prefix=target`, the target made absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Remapping {
    context: String,
    prefix: String,
    target: PathBuf,
}

/// A configuration file that could not be used; the layout goes on with defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayoutProblem {
    /// The configuration file.
    pub(crate) path: PathBuf,
    /// What is wrong with it.
    pub(crate) reason: String,
}

const HARDHAT_CONFIGS: [&str; 5] = [
    "hardhat.config.js",
    "hardhat.config.ts",
    "hardhat.config.cjs",
    "hardhat.config.mjs",
    "hardhat.config.cts",
];

/// Folder names that hold tests or scripts in every kind of project.
const TEST_FOLDERS: [&str; 4] = ["test", "tests", "script", "scripts"];

impl Layout {
    /// Reads the layout of `root` if it is a project root.
    pub(crate) fn read(root: &Path, problems: &mut Vec<LayoutProblem>) -> Option<Self> {
        let foundry = root.join("foundry.toml");
        let remappings = root.join("remappings.txt");
        let is_foundry = foundry.is_file();
        let is_hardhat = HARDHAT_CONFIGS.iter().any(|name| root.join(name).is_file());
        if !is_foundry && !is_hardhat && !remappings.is_file() {
            return None;
        }
        let mut layout = Self {
            root: root.to_owned(),
            libs: Vec::new(),
            tests: Vec::new(),
            remappings: Vec::new(),
            is_hardhat,
        };
        if is_foundry {
            layout.read_foundry(&foundry, problems);
        } else if !is_hardhat {
            layout.libs.push(root.join("lib"));
        }
        if remappings.is_file() {
            match std::fs::read_to_string(&remappings) {
                Ok(text) => layout.remap(text.lines(), &remappings, problems),
                Err(error) => {
                    problems.push(LayoutProblem { path: remappings, reason: error.to_string() })
                }
            }
        }
        Some(layout)
    }

    /// Whether `path` (a folder or file below the root) is a folder of dependencies, or lies at its top.
    pub(crate) fn is_dependency(&self, path: &Path) -> bool {
        self.libs.iter().any(|lib| lib == path)
    }

    /// Whether `path` is a folder of tests or scripts that the project names itself.
    pub(crate) fn is_test(&self, path: &Path) -> bool {
        self.tests.iter().any(|tests| tests == path)
    }

    /// Where `import`, written in the file `from`, may lie; the first that exists is meant.
    pub(crate) fn candidates(&self, from: &Path, import: &str) -> Vec<PathBuf> {
        let mut candidates = Vec::new();
        // The compiler's own rule: the longest context wins, then the longest prefix.
        let from =
            from.strip_prefix(&self.root).unwrap_or(from).to_string_lossy().replace('\\', "/");
        let mut matching: Vec<_> = self
            .remappings
            .iter()
            .filter(|remapping| {
                from.starts_with(&remapping.context) && import.starts_with(&remapping.prefix)
            })
            .collect();
        matching.sort_by_key(|remapping| {
            std::cmp::Reverse((remapping.context.len(), remapping.prefix.len()))
        });
        candidates.extend(
            matching.into_iter().map(|found| found.target.join(&import[found.prefix.len()..])),
        );
        candidates.push(self.root.join(import));
        for lib in &self.libs {
            push_library_candidates(lib, import, &mut candidates);
        }
        if self.is_hardhat {
            candidates.push(self.root.join("contracts").join(import));
        }
        candidates
    }

    fn read_foundry(&mut self, path: &Path, problems: &mut Vec<LayoutProblem>) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                problems.push(LayoutProblem { path: path.to_owned(), reason: error.to_string() });
                String::new()
            }
        };
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                problems.push(LayoutProblem {
                    path: path.to_owned(),
                    reason: error.to_string().trim_end().to_owned(),
                });
                toml::Table::new()
            }
        };
        // `[profile.default]` since Foundry's first release, `[default]` before it.
        let profile = table
            .get("profile")
            .and_then(|profiles| profiles.get("default"))
            .or_else(|| table.get("default"));
        let text_of = |key: &str, default: &str| {
            profile
                .and_then(|profile| profile.get(key))
                .and_then(Value::as_str)
                .unwrap_or(default)
                .to_owned()
        };
        let list_of = |key: &str| {
            let list = profile.and_then(|profile| profile.get(key)).and_then(Value::as_array);
            list.map(|items| {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
            })
        };
        let libs = list_of("libs").unwrap_or_else(|| vec!["lib".to_owned()]);
        self.libs.extend(libs.iter().map(|lib| normalise(&self.root.join(lib))));
        for (key, default) in [("test", "test"), ("script", "script")] {
            self.tests.push(normalise(&self.root.join(text_of(key, default))));
        }
        let remappings = list_of("remappings").unwrap_or_default();
        self.remap(remappings.iter().map(String::as_str), path, problems);
    }

    fn remap<'a>(
        &mut self,
        lines: impl Iterator<Item = &'a str>,
        path: &Path,
        problems: &mut Vec<LayoutProblem>,
    ) {
        for line in lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let Some((left, target)) = line.split_once('=') else {
                let reason = format!(
                    "remapping `{line}`: expected `prefix=target` or `context:prefix=target`"
                );
                problems.push(LayoutProblem { path: path.to_owned(), reason });
                continue;
            };
            let (context, prefix) = left.split_once(':').unwrap_or(("", left));
            let target = normalise(&self.root.join(target));
            self.remappings.push(Remapping {
                context: context.to_owned(),
                prefix: prefix.to_owned(),
                target,
            });
        }
    }
}

/// Whether the file decides how a project is laid out.
pub(crate) fn is_configuration(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["foundry.toml", "remappings.txt"].contains(&name) || HARDHAT_CONFIGS.contains(&name)
}

/// Whether a folder of this name holds tests or scripts wherever it stands.
pub(crate) fn is_test_folder(name: &str) -> bool {
    TEST_FOLDERS.contains(&name)
}

/// Whether a file of this name is a Foundry test or script.
pub(crate) fn is_test_file(name: &str) -> bool {
    name.ends_with(".t.sol") || name.ends_with(".s.sol")
}

/// Removes `.` and `..` without asking the file system.
pub(crate) fn normalise(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !clean.pop() {
                    clean.push("..");
                }
            }
            other => clean.push(other),
        }
    }
    clean
}

/// Foundry finds remappings by itself; this names the places that its search would yield.
fn push_library_candidates(lib: &Path, import: &str, candidates: &mut Vec<PathBuf>) {
    candidates.push(lib.join(import));
    let Some((first, rest)) = import.split_once('/') else { return };
    let push_sources = |package: PathBuf, rest: &str, candidates: &mut Vec<PathBuf>| {
        candidates.push(package.join("src").join(rest));
        candidates.push(package.join("contracts").join(rest));
    };
    let Some(scope) = first.strip_prefix('@') else {
        push_sources(lib.join(first), rest, candidates);
        return;
    };
    // `@openzeppelin/contracts/x.sol` is usually installed as `lib/openzeppelin-contracts/contracts/x.sol`,
    // `@uniswap/v3-core/x.sol` as `lib/v3-core/x.sol`.
    if let Some((package, rest)) = rest.split_once('/') {
        push_sources(lib.join(format!("{scope}-{package}")), rest, candidates);
        candidates.push(lib.join(package).join(rest));
        push_sources(lib.join(package), rest, candidates);
    }
    push_sources(lib.join(first), rest, candidates);
}
