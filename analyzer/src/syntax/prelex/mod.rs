//! Rewrites, in place and without changing any offset, what the parser cannot read, and finds the
//! extent of every item so that a broken one can be taken out alone.
//!
//! Names are later read from the original text by their span, so a word may be replaced by any other
//! word of its length.

mod levels;
mod rewrite;

use std::collections::BTreeSet;

use super::tokens::{Token, TokenKind, tokens};
use levels::{Context, Level, level};

/// How deep a syntax tree may become: open brackets plus the tokens that stand at each open level
/// since its last separator. Real code stays below 200; the analysis thread's stack is sized for this.
pub(crate) const MAX_DEPTH: u32 = 4_096;

/// What an item is to error recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegionKind {
    Contract,
    /// Any declaration in a contract or in a file.
    Item,
    Assembly,
}

/// The extent of one item.
#[derive(Debug, Clone)]
pub(crate) struct Region {
    pub(crate) kind: RegionKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Offsets of the opening brace of the body and past the closing one.
    pub(crate) body: Option<(usize, usize)>,
    /// Nested deeper than [`MAX_DEPTH`].
    pub(crate) is_too_deep: bool,
    /// Ends where another item starts, because a bracket is missing.
    pub(crate) is_cut: bool,
    /// Assembly with labels or `=:`, which the parser does not know.
    pub(crate) is_old: bool,
}

/// The rewritten text and what the rewritten parts meant.
#[derive(Debug)]
pub(crate) struct Prelexed {
    pub(crate) masked: Vec<u8>,
    /// Every `pragma`, without the word and the semicolon.
    pub(crate) pragmas: Vec<(usize, usize)>,
    /// Offsets of the opening parenthesis of each `var (a, b)`, whose `var` is blanked.
    pub(crate) var_tuples: BTreeSet<usize>,
    /// The expressions of `layout at`.
    pub(crate) layouts: Vec<(usize, usize)>,
    /// Innermost last among those that contain each other.
    pub(crate) regions: Vec<Region>,
    /// Closing braces that close nothing, which are blanked.
    pub(crate) strays: Vec<usize>,
}

/// Overwrites `range` with spaces, keeping line breaks.
pub(crate) fn blank(masked: &mut [u8], start: usize, end: usize) {
    for byte in masked.iter_mut().take(end).skip(start) {
        if *byte != b'\n' && *byte != b'\r' {
            *byte = b' ';
        }
    }
}

/// Scans `text` once.
pub(crate) fn prelex(text: &str) -> Prelexed {
    let tokens = tokens(text);
    let mut lexer = Prelexer {
        text,
        out: Prelexed {
            masked: text.as_bytes().to_vec(),
            pragmas: Vec::new(),
            var_tuples: BTreeSet::new(),
            layouts: Vec::new(),
            regions: Vec::new(),
            strays: Vec::new(),
        },
        tokens: &tokens,
        levels: vec![level(Context::File, 0)],
        depth: 0,
        doubtful_calldata: Vec::new(),
        has_calldata_name: false,
    };
    lexer.run();
    lexer.out
}

struct Prelexer<'t> {
    text: &'t str,
    out: Prelexed,
    tokens: &'t [Token],
    levels: Vec<Level>,
    /// Sum over the open levels of one for the bracket, the chain and the `else` branches.
    depth: u32,
    /// `calldata` that could be a location or an old parameter's name.
    doubtful_calldata: Vec<Token>,
    has_calldata_name: bool,
}

impl Prelexer<'_> {
    fn run(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            at = self.step(at);
        }
        // A file that is still being written ends in the middle of something.
        while self.levels.len() > 1 {
            // The last byte is for the brace of the outermost item, the one before it for what it holds.
            let inner = usize::from(self.levels.len() > 2);
            self.close_level(self.text.len().saturating_sub(inner));
            self.top_mut().is_cut = true;
        }
        self.end_item(self.text.len());
        if self.has_calldata_name {
            for token in std::mem::take(&mut self.doubtful_calldata) {
                self.replace(token, b"calldat_");
            }
        }
    }

    /// Handles the token at `at` and returns the position of the next one to read.
    fn step(&mut self, at: usize) -> usize {
        let token = self.tokens[at];
        let context = self.top().context;
        if matches!(context, Context::File | Context::Contract)
            && self.top().item.is_none()
            && !token.is(b'}')
        {
            self.top_mut().item = Some(at);
        }
        if token.is_word() {
            if let Some(next) = self.word(at, context) {
                return next;
            }
        } else if context == Context::Assembly
            && token.is(b'=')
            && self.is_punct(at + 1, b':')
            && self.adjacent(at)
        {
            self.top_mut().is_old = true;
        }
        match token.kind {
            TokenKind::Punct(b'(' | b'[') => self.open_level(Context::Group, token.start),
            TokenKind::Punct(b'{') => self.open_brace(at),
            TokenKind::Punct(b')' | b']') => {
                if self.top().context == Context::Group {
                    self.close_level(token.end);
                }
            }
            TokenKind::Punct(b'}') => self.close_brace(at),
            TokenKind::Punct(b';') => {
                let next_is_else = self.word_at(at + 1) == "else";
                self.reset_chain(next_is_else);
                if matches!(self.top().context, Context::File | Context::Contract) {
                    self.end_item(token.end);
                }
            }
            TokenKind::Punct(b',') => self.reset_chain(true),
            _ => self.count(1),
        }
        at + 1
    }

    fn word_at(&self, at: usize) -> &str {
        self.tokens
            .get(at)
            .filter(|token| token.is_word())
            .map_or("", |token| token.text(self.text))
    }

    fn is_word(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(Token::is_word)
    }

    fn is_punct(&self, at: usize, byte: u8) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(byte))
    }

    fn adjacent(&self, at: usize) -> bool {
        self.tokens.get(at + 1).is_some_and(|next| self.tokens[at].end == next.start)
    }

    fn starts_statement(&self, at: usize) -> bool {
        at > 0
            && (self.is_punct(at - 1, b';')
                || self.is_punct(at - 1, b'{')
                || self.is_punct(at - 1, b'}'))
    }
}
