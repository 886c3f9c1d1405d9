//! Words that the parser does not know, replaced in place, and what they meant.

use super::super::tokens::{Token, TokenKind};
use super::{Context, Prelexer, blank};

/// Words which the parser takes for keywords, with the identifiers that stand in for them.
const STAND_INS: [(&str, &[u8]); 3] =
    [("instance", b"instanc_"), ("persistent", b"persisten_"), ("temporary", b"temporar_")];

impl Prelexer<'_> {
    /// Rewrites a word where needed; the position to go on at where more than the word was consumed.
    pub(super) fn word(&mut self, at: usize, context: Context) -> Option<usize> {
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
            "function" | "constructor" | "modifier" | "event" | "struct"
                if context == Context::Contract && self.cuts_item(at) =>
            {
                self.resynchronise(at, 2);
            }
            "contract" | "interface" | "library"
                if context == Context::File && self.cuts_item(at) =>
            {
                self.resynchronise(at, 1);
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

    pub(super) fn pragma(&mut self, at: usize) -> usize {
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

    /// Whether a declaration begins at `at` where the one before it has not ended: it lacks its `;` or its body.
    fn cuts_item(&self, at: usize) -> bool {
        let is_inside = self
            .top()
            .item
            .is_some_and(|item| item < at && !(item + 1 == at && self.word_at(item) == "abstract"));
        let begins = match self.word_at(at) {
            "constructor" => self.is_punct(at + 1, b'('),
            "function" => self.is_word(at + 1) && self.is_punct(at + 2, b'('),
            _ => self.is_word(at + 1),
        };
        is_inside && begins
    }

    /// `fallback` and `receive` keep their meaning only as the head of a contract part.
    pub(super) fn is_special_function(&self, at: usize, context: Context) -> bool {
        context == Context::Contract && self.top().item == Some(at) && self.is_punct(at + 1, b'(')
    }

    /// `function () ... {` as a contract part; a variable of function type ends with `;` or `=`.
    pub(super) fn is_unnamed_fallback(&self, at: usize) -> bool {
        self.top().item == Some(at)
            && self.is_punct(at + 1, b'(')
            && self.is_punct(at + 2, b')')
            && self.tokens[at..]
                .iter()
                .find(|token| token.is(b'{') || token.is(b';') || token.is(b'='))
                .is_some_and(|token| token.is(b'{'))
    }

    pub(super) fn is_transient_attribute(&self, at: usize) -> bool {
        at > 0
            && self.is_word(at + 1)
            && (self.is_word(at - 1) || self.is_punct(at - 1, b']') || self.is_punct(at - 1, b')'))
            && !matches!(
                self.word_at(at - 1),
                "function" | "modifier" | "event" | "error" | "return" | "emit" | "new"
            )
    }

    pub(super) fn calldata(&mut self, at: usize) {
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

    pub(super) fn layout(&mut self, at: usize) -> usize {
        let mut end = at + 2;
        let mut open = 0_usize;
        while let Some(token) = self.tokens.get(end) {
            match token.kind {
                TokenKind::Punct(b'(' | b'[') => open += 1,
                TokenKind::Punct(b')' | b']') => open = open.saturating_sub(1),
                TokenKind::Punct(b'{') if open == 0 => break,
                TokenKind::Word if open == 0 && token.text(self.text) == "is" => {
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
    pub(super) fn var_tuple(&mut self, at: usize) {
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
    pub(super) fn assembly_label(&mut self, at: usize) {
        let is_typed = at > 0
            && (self.is_punct(at - 1, b':')
                || matches!(self.word_at(at - 1), "let")
                || self.is_punct(at - 1, b','));
        if self.is_punct(at + 1, b':') && !self.is_punct(at + 2, b'=') && !is_typed {
            self.top_mut().is_old = true;
        }
    }

    pub(super) fn replace(&mut self, token: Token, stand_in: &[u8]) {
        if let Some(slot) = self.out.masked.get_mut(token.start..token.end)
            && slot.len() == stand_in.len()
        {
            slot.copy_from_slice(stand_in);
        }
    }
}
