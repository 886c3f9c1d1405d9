//! Text and spans to a syntax tree; the only room that names the parser.

mod span;

pub use span::{Diagnostic, FileId, Span, line_column};
