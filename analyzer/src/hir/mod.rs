//! Names resolved: what a program declares, and what each name stands for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::syntax::{Diagnostic, FileId};

/// One source file with its imports already found.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its number: the position of this file in the list given to [`Program::build`].
    pub id: FileId,
    /// Where it was read from, as it shall be shown.
    pub path: PathBuf,
    /// The whole text.
    pub text: Arc<str>,
    /// Each import path as written, with the file it stands for; `None` where it was not found.
    pub imports: BTreeMap<String, Option<FileId>>,
}

/// Everything that a set of sources declares.
#[derive(Debug)]
pub struct Program {
    /// The sources, by [`FileId`].
    pub sources: Vec<Source>,
}

impl Program {
    /// Parses and resolves `sources`; what cannot be read is said in the diagnostics and left out.
    pub fn build(sources: Vec<Source>) -> (Program, Vec<Diagnostic>) {
        (Program { sources }, Vec::new())
    }
}
