//! What is open: items and brackets, how deep they nest, and where they end.

use super::super::tokens::TokenKind;
use super::{MAX_DEPTH, Prelexer, Region, RegionKind, blank};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    File,
    Contract,
    Block,
    Assembly,
    /// Parentheses and square brackets.
    Group,
}

pub(super) struct Level {
    pub(super) context: Context,
    /// Tokens since the last separator.
    pub(super) chain: u32,
    /// Consecutive `else` branches, which nest without brackets.
    pub(super) elses: u32,
    /// First token of the item being read (file and contract levels).
    pub(super) item: Option<usize>,
    /// The opening bracket.
    pub(super) open: usize,
    /// The body of the item being read, once closed.
    pub(super) body: Option<(usize, usize)>,
    pub(super) is_too_deep: bool,
    pub(super) is_cut: bool,
    pub(super) is_old: bool,
}

pub(super) fn level(context: Context, open: usize) -> Level {
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

impl Prelexer<'_> {
    pub(super) fn open_brace(&mut self, at: usize) {
        let start = self.tokens[at].start;
        let context = match self.top().context {
            Context::Assembly => Context::Assembly,
            Context::File if self.is_contract_head() => Context::Contract,
            _ if self.opens_assembly(at) => Context::Assembly,
            _ => Context::Block,
        };
        self.open_level(context, start);
    }

    pub(super) fn is_contract_head(&self) -> bool {
        let Some(item) = self.top().item else { return false };
        match self.word_at(item) {
            "contract" | "interface" | "library" => true,
            "abstract" => self.word_at(item + 1) == "contract",
            _ => false,
        }
    }

    /// `assembly {`, `assembly "evmasm" {`, `assembly ("memory-safe") {`.
    pub(super) fn opens_assembly(&self, at: usize) -> bool {
        let mut before = at;
        while before > 0 && at - before < 5 {
            before -= 1;
            if self.word_at(before) == "assembly" {
                return true;
            }
            let token = self.tokens[before];
            if token.kind != TokenKind::Text && !token.is(b'(') && !token.is(b')') {
                return false;
            }
        }
        false
    }

    pub(super) fn close_brace(&mut self, at: usize) {
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
    pub(super) fn resynchronise(&mut self, at: usize, keep: usize) {
        let start = self.tokens[at].start;
        while self.levels.len() > keep {
            self.close_level(start);
            self.top_mut().is_cut = true;
        }
        self.top_mut().is_cut = true;
        self.end_item(start);
        self.top_mut().item = Some(at);
    }

    pub(super) fn open_level(&mut self, context: Context, open: usize) {
        self.levels.push(level(context, open));
        self.count_depth(1);
    }

    pub(super) fn close_level(&mut self, end: usize) {
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

    pub(super) fn end_item(&mut self, end: usize) {
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

    pub(super) fn count(&mut self, tokens: u32) {
        if self.top().context == Context::Assembly {
            // Yul has no operators and no separators: only its brackets nest.
            return;
        }
        self.top_mut().chain += tokens;
        self.count_depth(tokens);
    }

    pub(super) fn count_depth(&mut self, tokens: u32) {
        self.depth += tokens;
        if self.depth > MAX_DEPTH {
            self.top_mut().is_too_deep = true;
        }
    }

    pub(super) fn reset_chain(&mut self, keep_elses: bool) {
        let top = self.top_mut();
        let mut freed = std::mem::take(&mut top.chain);
        if !keep_elses {
            freed += std::mem::take(&mut top.elses);
        }
        self.depth = self.depth.saturating_sub(freed);
    }

    pub(super) fn top(&self) -> &Level {
        self.levels.last().expect("the file level is never popped")
    }

    pub(super) fn top_mut(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the file level is never popped")
    }
}
