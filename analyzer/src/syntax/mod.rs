//! Text and spans to a syntax tree; the only room that names the parser.
//!
//! ```text
//! text -> prelex (rewrites in place, finds items) -> parser -> recover (blanks what is broken) -> tree
//! ```
//!
//! Parsing, walking and dropping a tree recurse as deep as the tree is: callers do it inside
//! [`on_deep_stack`].

pub(crate) mod ast;
mod deep;
mod lower;
mod old_assembly;
mod prelex;
mod recover;
mod span;
mod tokens;
pub(crate) mod uses;

#[cfg(test)]
mod tests;

pub use deep::{STACK_BYTES, on_deep_stack};
pub use span::{Diagnostic, FileId, Span, line_column};

pub(crate) use deep::deep_map;
use tokens::TokenKind;

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

/// Reads one file and says what cannot be read of it: the syntax room alone, for tools and measurements.
///
/// # Panics
/// When the system cannot start a thread.
pub fn check(text: &str, file: FileId) -> Vec<Diagnostic> {
    on_deep_stack(|| parse(text, file).diagnostics)
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
    let mut diagnostics = recovered.diagnostics;
    for item in &unit.items {
        if let ast::Item::Contract(contract) = item
            && let Some(ast::Expr { kind: ast::ExprKind::Error, span }) = contract.layout
        {
            diagnostics.push(
                Diagnostic::new(span, "syntax error in `layout at`")
                    .with_note("where the contract's state stands is unknown"),
            );
        }
    }
    Parsed { unit, diagnostics, pragmas }
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
