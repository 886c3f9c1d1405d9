//! Text and spans to a syntax tree; the only room that names the parser.
//!
//! ```text
//! text -> prelex (rewrites in place, finds items) -> parser -> recover (blanks what is broken) -> tree
//! ```
//!
//! Parsing, walking and dropping a tree recurse as deep as the tree is: callers do it inside
//! [`on_deep_stack`].

pub(crate) mod ast;
mod lower;
mod prelex;
mod recover;
mod span;
mod tokens;

#[cfg(test)]
mod tests;

pub use span::{Diagnostic, FileId, Span, line_column};

use tokens::TokenKind;

/// The stack of a thread that handles syntax trees. A level of nesting costs up to 16 KiB in a debug
/// build, and the pre-lexer admits 4,096 levels; the rest is room for what calls it.
pub const STACK_BYTES: usize = 256 << 20;

/// The longest source that is read.
pub const MAX_SOURCE_BYTES: usize = 16 << 20;

/// What one file holds.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) unit: ast::Unit,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The `pragma` directives, each as one trimmed text (`solidity ^0.8.0`).
    pub(crate) pragmas: Vec<(String, Span)>,
}

/// Runs `work` on a thread whose stack fits every tree that the pre-lexer admits.
///
/// # Panics
/// When the system cannot start a thread, or when `work` panics.
pub(crate) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let handle = std::thread::Builder::new()
            .name("syntax".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .expect("the system can start a thread");
        match handle.join() {
            Ok(value) => value,
            Err(payload) => std::panic::resume_unwind(payload),
        }
    })
}

/// Reads one file; what cannot be read is blanked, said in the diagnostics, and costs nothing else.
pub(crate) fn parse(text: &str, file: FileId) -> Parsed {
    if text.len() > MAX_SOURCE_BYTES {
        let diagnostic = Diagnostic::new(Span::new(file, 0, 0), "source is longer than 16 MiB")
            .with_note("the file is not analysed");
        return Parsed {
            unit: ast::Unit::default(),
            diagnostics: vec![diagnostic],
            pragmas: Vec::new(),
        };
    }
    let prelexed = prelex::prelex(text);
    let pragmas = prelexed
        .pragmas
        .iter()
        .map(|&(start, end)| {
            let words: Vec<_> = text.get(start..end).unwrap_or("").split_whitespace().collect();
            (words.join(" "), Span::new(file, start, end))
        })
        .collect();
    let recovered = recover::parse(prelexed, text, file);
    let unit = lower::lower(&recovered, text, file);
    Parsed { unit, diagnostics: recovered.diagnostics, pragmas }
}

/// The paths that `text` imports, as written, with the span of each literal; needs no valid file.
pub fn import_paths(text: &str, file: FileId) -> Vec<(String, Span)> {
    let tokens = tokens::tokens(text);
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts_item = at == 0 || tokens[at - 1].is(b';') || tokens[at - 1].is(b'}');
        if starts_item && tokens[at].text(text) == "import" {
            let path = tokens[at..]
                .iter()
                .take_while(|token| !token.is(b';'))
                .find(|token| token.kind == TokenKind::Text);
            if let Some(path) = path {
                let inner = text.get(path.start + 1..path.end.saturating_sub(1)).unwrap_or("");
                out.push((inner.to_owned(), Span::new(file, path.start, path.end)));
            }
        }
        at += 1;
    }
    out
}
