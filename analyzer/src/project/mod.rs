//! Which files an audit reads: those named, those their projects hold, and what these import.
//!
//! Files that a user names, or that lie in a folder that a user names, are *reported on*. What they
//! import is read as well, so that names resolve, but not reported on; dependencies (`node_modules`,
//! the libraries of a Foundry project), tests and scripts count as such unless the named path lies
//! inside of them. The order of files depends on their paths alone.

mod history;
mod imports;
mod layout;
mod resolve;
mod select;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

pub use history::HistoryError;
pub use select::SelectError;

pub(crate) use history::Past;

use resolve::Resolver;
use select::{Globs, Selection};

/// Largest file that is read. The largest published contracts have a few megabytes.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct ProjectOptions {
    /// Folder that relative paths start from, and that shown paths are relative to.
    pub base: PathBuf,
    /// Files and folders to report on.
    pub paths: Vec<PathBuf>,
    /// Globs over shown paths; when there are any, only files that match one are reported on.
    pub include: Vec<String>,
    /// Globs over shown paths; files that match one are not reported on.
    pub exclude: Vec<String>,
}

/// All files of an audit, sorted by path.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// Files by number; imports name these numbers.
    pub files: Vec<ProjectFile>,
    /// What could not be read or found.
    pub problems: Vec<ProjectProblem>,
    /// Solidity files and folders of dependencies, tests and scripts that were left out by default.
    pub skipped: usize,
}

/// One file with its text.
#[derive(Debug, Clone)]
pub struct ProjectFile {
    /// Canonical path.
    pub path: PathBuf,
    /// Path to show: relative to the base folder, with forward slashes.
    pub shown: String,
    /// Text without byte order mark; bytes that are not UTF-8 are replaced.
    pub text: Arc<str>,
    /// Import path as written, and the number of the file it names; `None` where it was not found.
    pub imports: BTreeMap<String, Option<usize>>,
    /// Whether findings in this file are wanted.
    pub is_reported: bool,
}

/// Something that could not be read or found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProjectProblem {
    /// A path that the user named does not exist, cannot be read or holds no Solidity.
    NamedPath {
        /// The path as it was named.
        path: String,
        /// What went wrong.
        reason: String,
    },
    /// A file below a named folder, or an imported one, cannot be read.
    File {
        /// Path to show.
        path: String,
        /// What went wrong.
        reason: String,
    },
    /// A configuration file of a project cannot be used.
    Configuration {
        /// Path to show.
        path: String,
        /// What went wrong.
        reason: String,
    },
    /// A file holds bytes that are not UTF-8; they were replaced.
    NotUtf8 {
        /// Path to show.
        path: String,
    },
    /// An import that names no file; reported once, at its first importer.
    MissingImport {
        /// Path of the first importing file, as shown.
        path: String,
        /// Byte offset of the import path in that file.
        offset: usize,
        /// The import path as written.
        import: String,
        /// How many files import it.
        importers: usize,
    },
}

impl Project {
    /// Finds and reads all files. Problems with single files are values, not errors.
    ///
    /// # Errors
    /// [`SelectError`] when a glob cannot be understood.
    pub fn read(options: &ProjectOptions) -> Result<Self, SelectError> {
        let base = std::fs::canonicalize(&options.base).unwrap_or_else(|_| options.base.clone());
        let globs = Globs::new(&options.include, &options.exclude)?;
        let mut resolver = Resolver::default();
        let selection = Selection::new(&base, &options.paths, &globs, &mut resolver);
        let mut reader =
            Reader { base: base.clone(), loaded: BTreeMap::new(), problems: selection.problems };
        reader.read_closure(&selection.files, &mut resolver);
        let mut project = reader.finish(&selection.files);
        project.skipped = selection.skipped;
        for problem in resolver.into_problems() {
            let path = shown_path(&base, &problem.path);
            project.problems.push(ProjectProblem::Configuration { path, reason: problem.reason });
        }
        project.problems.sort();
        project.problems.dedup();
        Ok(project)
    }
}

struct Reader {
    base: PathBuf,
    loaded: BTreeMap<PathBuf, Loaded>,
    problems: Vec<ProjectProblem>,
}

struct Loaded {
    text: Arc<str>,
    imports: Vec<LoadedImport>,
}

struct LoadedImport {
    import: String,
    offset: usize,
    target: Option<PathBuf>,
}

impl Reader {
    /// Reads `files` and everything that they import, level by level, each file once.
    fn read_closure(&mut self, files: &BTreeSet<PathBuf>, resolver: &mut Resolver) {
        let mut seen = files.clone();
        let mut level: Vec<PathBuf> = files.iter().cloned().collect();
        while !level.is_empty() {
            for path in &level {
                resolver.learn(path);
            }
            let resolver = &*resolver;
            let read: Vec<_> = level.par_iter().map(|path| load(path, resolver)).collect();
            let mut next = BTreeSet::new();
            for (path, result) in level.into_iter().zip(read) {
                match result {
                    Ok((loaded, is_utf8)) => {
                        if !is_utf8 {
                            self.problems.push(ProjectProblem::NotUtf8 {
                                path: shown_path(&self.base, &path),
                            });
                        }
                        let targets =
                            loaded.imports.iter().filter_map(|import| import.target.as_ref());
                        next.extend(targets.filter(|target| !seen.contains(*target)).cloned());
                        self.loaded.insert(path, loaded);
                    }
                    Err(reason) => {
                        self.problems.push(ProjectProblem::File {
                            path: shown_path(&self.base, &path),
                            reason,
                        });
                    }
                }
            }
            seen.extend(next.iter().cloned());
            level = next.into_iter().collect();
        }
    }

    fn finish(mut self, reported: &BTreeSet<PathBuf>) -> Project {
        let numbers: BTreeMap<PathBuf, usize> = self.loaded.keys().cloned().zip(0..).collect();
        let mut missing: BTreeMap<PathBuf, (String, usize, String, usize)> = BTreeMap::new();
        let mut files = Vec::with_capacity(numbers.len());
        for (path, loaded) in self.loaded {
            let shown = shown_path(&self.base, &path);
            let mut imports = BTreeMap::new();
            for import in loaded.imports {
                let number = import.target.as_ref().and_then(|target| numbers.get(target)).copied();
                // An import whose file exists but could not be read is said as that file's problem.
                if import.target.is_none() && !imports.contains_key(&import.import) {
                    let key = missing_key(&path, &import.import);
                    let entry = missing.entry(key);
                    entry
                        .or_insert_with(|| (shown.clone(), import.offset, import.import.clone(), 0))
                        .3 += 1;
                }
                imports.insert(import.import, number);
            }
            let is_reported = reported.contains(&path);
            files.push(ProjectFile { path, shown, text: loaded.text, imports, is_reported });
        }
        self.problems.extend(missing.into_values().map(|(path, offset, import, importers)| {
            ProjectProblem::MissingImport { path, offset, import, importers }
        }));
        Project { files, problems: self.problems, skipped: 0 }
    }
}

/// Two relative imports of one missing file are one problem, whatever they are called.
fn missing_key(importer: &Path, import: &str) -> PathBuf {
    match importer.parent() {
        Some(folder) if resolve::is_relative(import) => layout::normalise(&folder.join(import)),
        _ => PathBuf::from(import),
    }
}

fn load(path: &Path, resolver: &Resolver) -> Result<(Loaded, bool), String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_FILE_BYTES {
        return Err(format!(
            "{length} bytes are more than the {MAX_FILE_BYTES} that are read of one file"
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let text = String::from_utf8_lossy(bytes);
    let is_utf8 = matches!(text, std::borrow::Cow::Borrowed(_));
    let text: Arc<str> = text.into();
    let imports = imports::scan(&text)
        .into_iter()
        .map(|import| LoadedImport {
            import: import.path.to_owned(),
            offset: import.start,
            target: resolver.resolve(path, import.path),
        })
        .collect();
    Ok((Loaded { text, imports }, is_utf8))
}

/// `path` relative to `base`, with forward slashes; `..` where it lies outside.
pub(crate) fn shown_path(base: &Path, path: &Path) -> String {
    let base: Vec<_> = base.components().collect();
    let path: Vec<_> = path.components().collect();
    let common = base.iter().zip(&path).take_while(|(base, path)| base == path).count();
    let up = std::iter::repeat_n("..".to_owned(), base.len() - common);
    let down =
        path[common..].iter().map(|component| component.as_os_str().to_string_lossy().into_owned());
    let parts: Vec<String> = up.chain(down).collect();
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}
