//! Which file an import names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::layout::{Layout, LayoutProblem, normalise};

/// The layouts of all projects met so far, by root folder.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    layouts: BTreeMap<PathBuf, Option<Layout>>,
    problems: Vec<LayoutProblem>,
}

/// Whether an import path is relative to the importing file.
pub(crate) fn is_relative(import: &str) -> bool {
    import.starts_with("./") || import.starts_with("../")
}

impl Resolver {
    /// Reads the layouts of every folder above `path` that is a project root.
    pub(crate) fn learn(&mut self, path: &Path) {
        for folder in path.ancestors() {
            if self.layouts.contains_key(folder) {
                // Whoever learned this folder learned those above it.
                return;
            }
            let layout = Layout::read(folder, &mut self.problems);
            self.layouts.insert(folder.to_owned(), layout);
        }
    }

    /// The projects that `path` lies in, the innermost first.
    pub(crate) fn layouts_above<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Layout> {
        path.ancestors().filter_map(|folder| self.layouts.get(folder)).flatten()
    }

    /// The canonical path of the file that `import` names in the file `from`.
    ///
    /// Relative imports lie beside the importing file. Others are looked for as the projects around the
    /// file say, then in `node_modules` of every folder above it as Node does, then below every folder
    /// above it, which finds what a compiler run from there with a base path would find.
    pub(crate) fn resolve(&self, from: &Path, import: &str) -> Option<PathBuf> {
        let folder = from.parent()?;
        if is_relative(import) {
            return existing(&normalise(&folder.join(import)));
        }
        if import.is_empty() || import.contains("://") {
            return None;
        }
        let by_layout = self.layouts_above(from).flat_map(|layout| layout.candidates(from, import));
        let by_node = folder.ancestors().map(|folder| folder.join("node_modules").join(import));
        let by_base = folder.ancestors().map(|folder| folder.join(import));
        by_layout.chain(by_node).chain(by_base).find_map(|candidate| existing(&candidate))
    }

    /// Problems with configuration files.
    pub(crate) fn into_problems(self) -> Vec<LayoutProblem> {
        self.problems
    }
}

/// One identity per file, however many links lead to it.
fn existing(path: &Path) -> Option<PathBuf> {
    if path.is_file() { std::fs::canonicalize(path).ok() } else { None }
}
