//! Places in the sources, as they are shown.

use schemars::JsonSchema;
use serde::Serialize;

use crate::hir::Program;
use crate::syntax::{Span, line_column};

/// A place: the path as shown and the line, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) line: usize,
}

impl Place {
    pub(super) fn of(program: &Program, span: Span) -> Self {
        let Some(source) = program.source(span.file) else {
            return Self { path: String::new(), line: 0 };
        };
        let (line, _) = line_column(&source.text, span.start as usize);
        Self { path: source.path.to_string_lossy().into_owned(), line }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// The text of a place on one line, cut where it is long.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if joined.chars().count() <= most {
        return joined;
    }
    joined.chars().take(most.saturating_sub(1)).collect::<String>().trim_end().to_owned() + "…"
}
