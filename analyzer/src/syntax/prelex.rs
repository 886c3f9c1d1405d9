//! Rewrites, in place and without changing any offset, what the parser cannot read, and finds the
//! extent of every item so that a broken one can be taken out alone.
//!
//! Names are later read from the original text by their span, so a word may be replaced by any other
//! word of its length.

use std::collections::BTreeSet;

use super::tokens::{Token, tokens};

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    File,
    Contract,
    Block,
    Assembly,
    /// Parentheses and square brackets.
    Group,
}

struct Level {
    context: Context,
    /// Tokens since the last separator.
    chain: u32,
    /// Consecutive `else` branches, which nest without brackets.
    elses: u32,
    /// First token of the item being read (file and contract levels).
    item: Option<usize>,
    /// The opening bracket.
    open: usize,
    /// The body of the item being read, once closed.
    body: Option<(usize, usize)>,
    is_too_deep: bool,
    is_cut: bool,
    is_old: bool,
}

/// Overwrites `range` with spaces, keeping line breaks.
pub(crate) fn blank(masked: &mut [u8], start: usize, end: usize) {
    for byte in masked.iter_mut().take(end).skip(start) {
        if *byte != b'\n' && *byte != b'\r' {
            *byte = b' ';
        }
    }
}

/// Words which the parser takes for keywords, with the identifiers that stand in for them.
const STAND_INS: [(&str, &[u8]); 3] =
    [("instance", b"instanc_"), ("persistent", b"persisten_"), ("temporary", b"temporar_")];

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

fn level(context: Context, open: usize) -> Level {
    Level {
        context,
        chain: 0,
        elses: 0,
        item: None,
        open,
        body: None,
        is_too_deep: false,
        is_cut: false,
        is_old: false,
    }
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
            super::tokens::TokenKind::Punct(b'(' | b'[') => {
                self.open_level(Context::Group, token.start)
            }
            super::tokens::TokenKind::Punct(b'{') => self.open_brace(at),
            super::tokens::TokenKind::Punct(b')' | b']') => {
                if self.top().context == Context::Group {
                    self.close_level(token.end);
                }
            }
            super::tokens::TokenKind::Punct(b'}') => self.close_brace(at),
            super::tokens::TokenKind::Punct(b';') => {
                let next_is_else = self.word_at(at + 1) == "else";
                self.reset_chain(next_is_else);
                if matches!(self.top().context, Context::File | Context::Contract) {
                    self.end_item(token.end);
                }
            }
            super::tokens::TokenKind::Punct(b',') => self.reset_chain(true),
            _ => self.count(1),
        }
        at + 1
    }

    /// Rewrites a word where needed; the position to go on at where more than the word was consumed.
    fn word(&mut self, at: usize, context: Context) -> Option<usize> {
        let token = self.tokens[at];
        let word = token.text(self.text);
        match word {
            "pragma" if context == Context::File => return Some(self.pragma(at)),
            "throw" if context != Context::Assembly => self.replace(token, b"thro_"),
            "else" => {
                self.top_mut().elses += 1;
                self.count_depth(1);
            }
            "fallback" | "receive"
                if context != Context::Assembly && !self.is_special_function(at, context) =>
            {
                let stand_in: &[u8] = if word == "fallback" { b"fallbac_" } else { b"receiv_" };
                self.replace(token, stand_in);
            }
            "function" if context == Context::Contract && self.is_unnamed_fallback(at) => {
                self.replace(token, b"fallback");
            }
            "transient" if self.is_transient_attribute(at) => self.replace(token, b"temporary"),
            "calldata" if context != Context::Assembly => self.calldata(at),
            "layout" if matches!(context, Context::File) && self.word_at(at + 1) == "at" => {
                return Some(self.layout(at));
            }
            "var" if self.is_punct(at + 1, b'(') => self.var_tuple(at),
            "contract" | "interface" | "library"
                if context != Context::File
                    && self.starts_statement(at)
                    && self.is_word(at + 1)
                    && (self.is_punct(at + 2, b'{') || self.word_at(at + 2) == "is") =>
            {
                self.resynchronise(at, 1);
            }
            "function"
                if matches!(context, Context::Block | Context::Group)
                    && self
                        .levels
                        .get(1)
                        .is_some_and(|level| level.context == Context::Contract)
                    && self.starts_statement(at)
                    && self.is_word(at + 1)
                    && self.is_punct(at + 2, b'(') =>
            {
                self.resynchronise(at, 2);
            }
            _ if context == Context::Assembly => self.assembly_label(at),
            _ => {}
        }
        if let Some((_, stand_in)) = STAND_INS.iter().find(|(name, _)| *name == word) {
            self.replace(token, stand_in);
        }
        self.count(1);
        Some(at + 1)
    }

    fn pragma(&mut self, at: usize) -> usize {
        let mut end = at;
        while end < self.tokens.len() && !self.tokens[end].is(b';') {
            end += 1;
        }
        let start = self.tokens[at].end;
        let stop = self.tokens.get(end).map_or(self.text.len(), |token| token.start);
        self.out.pragmas.push((start, stop));
        let past = self.tokens.get(end).map_or(self.text.len(), |token| token.end);
        blank(&mut self.out.masked, self.tokens[at].start, past);
        self.top_mut().item = None;
        end + 1
    }

    /// `fallback` and `receive` keep their meaning only as the head of a contract part.
    fn is_special_function(&self, at: usize, context: Context) -> bool {
        context == Context::Contract && self.top().item == Some(at) && self.is_punct(at + 1, b'(')
    }

    /// `function () ... {` as a contract part; a variable of function type ends with `;` or `=`.
    fn is_unnamed_fallback(&self, at: usize) -> bool {
        self.top().item == Some(at)
            && self.is_punct(at + 1, b'(')
            && self.is_punct(at + 2, b')')
            && self.tokens[at..]
                .iter()
                .find(|token| token.is(b'{') || token.is(b';') || token.is(b'='))
                .is_some_and(|token| token.is(b'{'))
    }

    fn is_transient_attribute(&self, at: usize) -> bool {
        at > 0
            && self.is_word(at + 1)
            && (self.is_word(at - 1) || self.is_punct(at - 1, b']') || self.is_punct(at - 1, b')'))
            && !matches!(
                self.word_at(at - 1),
                "function" | "modifier" | "event" | "error" | "return" | "emit" | "new"
            )
    }

    fn calldata(&mut self, at: usize) {
        let follows_type = at > 0
            && (self.is_word(at - 1) || self.is_punct(at - 1, b']') || self.is_punct(at - 1, b')'))
            && !matches!(self.word_at(at - 1), "return" | "emit" | "delete");
        let token = self.tokens[at];
        if !follows_type || self.is_punct(at + 1, b';') || self.is_punct(at + 1, b'=') {
            self.has_calldata_name = true;
            self.replace(token, b"calldat_");
        } else if !self.is_word(at + 1) {
            self.doubtful_calldata.push(token);
        }
    }

    fn layout(&mut self, at: usize) -> usize {
        let mut end = at + 2;
        let mut open = 0_usize;
        while let Some(token) = self.tokens.get(end) {
            match token.kind {
                super::tokens::TokenKind::Punct(b'(' | b'[') => open += 1,
                super::tokens::TokenKind::Punct(b')' | b']') => open = open.saturating_sub(1),
                super::tokens::TokenKind::Punct(b'{') if open == 0 => break,
                super::tokens::TokenKind::Word if open == 0 && token.text(self.text) == "is" => {
                    break;
                }
                _ => {}
            }
            end += 1;
        }
        let stop = self.tokens.get(end - 1).map_or(self.text.len(), |token| token.end);
        let start = self.tokens.get(at + 2).map_or(stop, |token| token.start);
        self.out.layouts.push((start, stop));
        blank(&mut self.out.masked, self.tokens[at].start, stop);
        end
    }

    /// `var (a, b) = ...` loses its `var`; with a single name the parser reads it as a call of `var`.
    fn var_tuple(&mut self, at: usize) {
        let mut end = at + 2;
        let mut has_comma = false;
        while let Some(token) = self.tokens.get(end) {
            has_comma |= token.is(b',');
            if token.is(b')') || token.is(b';') || token.is(b'{') {
                break;
            }
            end += 1;
        }
        if has_comma {
            blank(&mut self.out.masked, self.tokens[at].start, self.tokens[at].end);
            self.out.var_tuples.insert(self.tokens[at + 1].start);
        }
    }

    /// `name:` that is not followed by `=` is a label of the old dialect.
    fn assembly_label(&mut self, at: usize) {
        let is_typed = at > 0
            && (self.is_punct(at - 1, b':')
                || matches!(self.word_at(at - 1), "let")
                || self.is_punct(at - 1, b','));
        if self.is_punct(at + 1, b':') && !self.is_punct(at + 2, b'=') && !is_typed {
            self.top_mut().is_old = true;
        }
    }

    fn open_brace(&mut self, at: usize) {
        let start = self.tokens[at].start;
        let context = match self.top().context {
            Context::Assembly => Context::Assembly,
            Context::File if self.is_contract_head() => Context::Contract,
            _ if self.opens_assembly(at) => Context::Assembly,
            _ => Context::Block,
        };
        self.open_level(context, start);
    }

    fn is_contract_head(&self) -> bool {
        let Some(item) = self.top().item else { return false };
        match self.word_at(item) {
            "contract" | "interface" | "library" => true,
            "abstract" => self.word_at(item + 1) == "contract",
            _ => false,
        }
    }

    /// `assembly {`, `assembly "evmasm" {`, `assembly ("memory-safe") {`.
    fn opens_assembly(&self, at: usize) -> bool {
        let mut before = at;
        while before > 0 && at - before < 5 {
            before -= 1;
            if self.word_at(before) == "assembly" {
                return true;
            }
            let token = self.tokens[before];
            if token.kind != super::tokens::TokenKind::Text && !token.is(b'(') && !token.is(b')') {
                return false;
            }
        }
        false
    }

    fn close_brace(&mut self, at: usize) {
        let end = self.tokens[at].end;
        while self.levels.len() > 1 && self.top().context == Context::Group {
            self.close_level(end);
        }
        if self.levels.len() == 1 {
            // One too many: it closes nothing, and what stands before it is whole.
            self.out.strays.push(self.tokens[at].start);
            blank(&mut self.out.masked, self.tokens[at].start, end);
            return;
        }
        let next_is_else = self.word_at(at + 1) == "else";
        self.close_level(end);
        self.reset_chain(next_is_else);
        if matches!(self.top().context, Context::File | Context::Contract) {
            let is_list = self
                .top()
                .item
                .is_some_and(|item| matches!(self.word_at(item), "using" | "import"));
            if !is_list {
                self.end_item(end);
            }
        }
    }

    /// Closes levels down to `keep` open ones, because an item starts where none can: a brace is missing.
    fn resynchronise(&mut self, at: usize, keep: usize) {
        let start = self.tokens[at].start;
        while self.levels.len() > keep {
            self.close_level(start);
            self.top_mut().is_cut = true;
        }
        self.end_item(start);
        self.top_mut().item = Some(at);
    }

    fn open_level(&mut self, context: Context, open: usize) {
        self.levels.push(level(context, open));
        self.count_depth(1);
    }

    fn close_level(&mut self, end: usize) {
        if matches!(self.top().context, Context::Contract) {
            self.end_item(end.saturating_sub(1));
        }
        let Some(closed) = self.levels.pop() else { return };
        self.depth = self.depth.saturating_sub(closed.chain + closed.elses + 1);
        if closed.context == Context::Assembly && self.top().context != Context::Assembly {
            self.out.regions.push(Region {
                kind: RegionKind::Assembly,
                start: closed.open,
                end,
                body: Some((closed.open, end)),
                is_too_deep: closed.is_too_deep,
                is_cut: false,
                is_old: closed.is_old,
            });
        }
        let top = self.top_mut();
        if closed.context == Context::Contract {
            top.body = Some((closed.open, end));
        } else {
            top.is_old |= closed.is_old && top.context == Context::Assembly;
            top.is_too_deep |= closed.is_too_deep;
            top.is_cut |= closed.is_cut;
            if closed.context == Context::Block {
                top.body = Some((closed.open, end));
            }
        }
        if closed.context == Context::Group {
            self.count(1);
        }
    }

    fn end_item(&mut self, end: usize) {
        let top = self.top_mut();
        let (item, body, is_too_deep) =
            (top.item.take(), top.body.take(), std::mem::take(&mut top.is_too_deep));
        let is_cut = std::mem::take(&mut top.is_cut);
        let Some(item) = item else { return };
        let is_contract = self.levels.len() == 1
            && matches!(self.word_at(item), "contract" | "interface" | "library" | "abstract");
        let start = self.tokens[item].start;
        self.out.regions.push(Region {
            kind: if is_contract { RegionKind::Contract } else { RegionKind::Item },
            start,
            end: end.max(start),
            body,
            is_too_deep,
            is_cut,
            is_old: false,
        });
    }

    fn count(&mut self, tokens: u32) {
        if self.top().context == Context::Assembly {
            // Yul has no operators and no separators: only its brackets nest.
            return;
        }
        self.top_mut().chain += tokens;
        self.count_depth(tokens);
    }

    fn count_depth(&mut self, tokens: u32) {
        self.depth += tokens;
        if self.depth > MAX_DEPTH {
            self.top_mut().is_too_deep = true;
        }
    }

    fn reset_chain(&mut self, keep_elses: bool) {
        let top = self.top_mut();
        let mut freed = std::mem::take(&mut top.chain);
        if !keep_elses {
            freed += std::mem::take(&mut top.elses);
        }
        self.depth = self.depth.saturating_sub(freed);
    }

    fn replace(&mut self, token: Token, stand_in: &[u8]) {
        if let Some(slot) = self.out.masked.get_mut(token.start..token.end)
            && slot.len() == stand_in.len()
        {
            slot.copy_from_slice(stand_in);
        }
    }

    fn top(&self) -> &Level {
        self.levels.last().expect("the file level is never popped")
    }

    fn top_mut(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the file level is never popped")
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
