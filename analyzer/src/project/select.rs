//! Which files are reported on: named paths, walked and filtered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::layout::{is_test_file, is_test_folder};
use super::resolve::Resolver;
use super::{ProjectProblem, shown_path};

/// A glob that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("glob `{pattern}`: {reason}")]
pub struct SelectError {
    /// The glob as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Filters over shown paths.
#[derive(Debug)]
pub(crate) struct Globs {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Globs {
    pub(crate) fn new(include: &[String], exclude: &[String]) -> Result<Self, SelectError> {
        let include = if include.is_empty() { None } else { Some(glob_set(include)?) };
        Ok(Self { include, exclude: glob_set(exclude)? })
    }

    fn admits(&self, shown: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(shown))
            && !self.exclude.is_match(shown)
    }
}

/// A pattern without a slash matches a name at any depth, one that names a folder everything below it.
fn glob_set(patterns: &[String]) -> Result<GlobSet, SelectError> {
    let failed = |pattern: &str, error: &globset::Error| SelectError {
        pattern: pattern.to_owned(),
        reason: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let trimmed = pattern.trim_start_matches("./");
        let (body, is_folder) =
            trimmed.strip_suffix('/').map_or((trimmed, false), |body| (body, true));
        let body = if body.contains('/') { body.to_owned() } else { format!("**/{body}") };
        let below = format!("{body}/**");
        for spelling in [(!is_folder).then_some(body), Some(below)].into_iter().flatten() {
            let glob = GlobBuilder::new(&spelling).literal_separator(true).build();
            set.add(glob.map_err(|error| failed(pattern, &error))?);
        }
    }
    set.build().map_err(|error| failed(&patterns.join(", "), &error))
}

/// The files to report on, by canonical path.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) files: BTreeSet<PathBuf>,
    pub(crate) problems: Vec<ProjectProblem>,
    /// Files and folders left out as dependencies, tests or scripts.
    pub(crate) skipped: usize,
}

impl Selection {
    pub(crate) fn new(
        base: &Path,
        paths: &[PathBuf],
        globs: &Globs,
        resolver: &mut Resolver,
    ) -> Self {
        let mut selection = Self::default();
        for named in paths {
            let problem = |reason: String| ProjectProblem::NamedPath {
                path: named.display().to_string(),
                reason,
            };
            let path = match std::fs::canonicalize(base.join(named)) {
                Ok(path) => path,
                Err(error) => {
                    selection.problems.push(problem(plain_reason(&error)));
                    continue;
                }
            };
            if path.is_dir() {
                let mut walk = Walk { base, globs, resolver, named: path.clone(), n_solidity: 0 };
                if let Err(error) = walk.run(&mut selection) {
                    selection.problems.push(problem(plain_reason(&error)));
                } else if walk.n_solidity == 0 {
                    selection.problems.push(problem("holds no Solidity files to report on (dependencies and tests are left out)".to_owned()));
                }
            } else if let Err(error) = std::fs::File::open(&path) {
                selection.problems.push(problem(plain_reason(&error)));
            } else if globs.admits(&shown_path(base, &path)) {
                selection.files.insert(path);
            }
        }
        selection
    }
}

/// The system's words without its error number.
fn plain_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// One walk below one named folder.
struct Walk<'a> {
    base: &'a Path,
    globs: &'a Globs,
    resolver: &'a mut Resolver,
    named: PathBuf,
    n_solidity: usize,
}

impl Walk<'_> {
    /// Fails only when the named folder itself cannot be listed.
    fn run(&mut self, selection: &mut Selection) -> std::io::Result<()> {
        let mut seen = BTreeSet::from([self.named.clone()]);
        let mut folders = vec![self.named.clone()];
        while let Some(folder) = folders.pop() {
            self.resolver.learn(&folder);
            let entries = match sorted_entries(&folder) {
                Ok(entries) => entries,
                Err(error) if folder == self.named => return Err(error),
                Err(error) => {
                    let (path, reason) = (shown_path(self.base, &folder), plain_reason(&error));
                    selection.problems.push(ProjectProblem::File { path, reason });
                    continue;
                }
            };
            for entry in entries {
                let name = entry
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default();
                // A link is followed to its target, once, and only while the target stays below the
                // named folder; a link out of it would pull in files that nobody named.
                let target = match std::fs::canonicalize(&entry) {
                    Ok(target) => target,
                    Err(error) if name.ends_with(".sol") => {
                        let (path, reason) = (shown_path(self.base, &entry), plain_reason(&error));
                        selection.problems.push(ProjectProblem::File { path, reason });
                        continue;
                    }
                    Err(_) => continue,
                };
                if !target.starts_with(&self.named) || !seen.insert(target.clone()) {
                    continue;
                }
                if target.is_dir() {
                    if name.starts_with('.') {
                        continue;
                    }
                    if self.is_left_out(&target, &name) {
                        selection.skipped += 1;
                    } else {
                        folders.push(target);
                    }
                } else if name.ends_with(".sol") {
                    if is_test_file(&name) && !self.is_named_inside_tests() {
                        selection.skipped += 1;
                        continue;
                    }
                    self.n_solidity += 1;
                    if self.globs.admits(&shown_path(self.base, &target)) {
                        selection.files.insert(target);
                    }
                }
            }
        }
        Ok(())
    }

    fn is_left_out(&self, folder: &Path, name: &str) -> bool {
        name == "node_modules"
            || is_test_folder(name)
            || self
                .resolver
                .layouts_above(folder)
                .any(|layout| layout.is_dependency(folder) || layout.is_test(folder))
    }

    /// Whether the user named a folder of tests, in which test files are what is wanted.
    fn is_named_inside_tests(&self) -> bool {
        let mut names = self.named.ancestors().filter_map(Path::file_name);
        names.any(|name| is_test_folder(&name.to_string_lossy()))
            || self.named.ancestors().any(|folder| {
                self.resolver.layouts_above(folder).any(|layout| layout.is_test(folder))
            })
    }
}

fn sorted_entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut entries = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    Ok(entries)
}
