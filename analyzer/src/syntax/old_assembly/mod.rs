//! Assembly of the old dialect, which the parser does not know: instructions without parentheses that work on the
//! stack, labels, `=: name`. It is read here, from the text, into the tree that all assembly becomes.
//!
//! A statement whose effect on the stack cannot be followed is lost alone, and said.

mod opcodes;
mod stack;

use std::collections::{BTreeMap, BTreeSet};

use stack::Stack;

use super::ast::{Name, YulBlock, YulExpr, YulExprKind, YulStmt, YulStmtKind};
use super::tokens::{Token, TokenKind, tokens};
use super::{Diagnostic, FileId, Span};

/// What a block of assembly became.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) block: YulBlock,
    /// The statements that could not be followed.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Reads the block of assembly between the braces at `start` and before `end`; `None` where it is none in the old
/// dialect either. Recurses as deep as brackets nest.
pub(super) fn read(text: &str, start: usize, end: usize, file: FileId) -> Option<Read> {
    let inside = text.get(start..end)?;
    let tokens = tokens(inside);
    let mut prefix = "stack".to_owned();
    while inside.contains(&prefix) {
        prefix.push('_');
    }
    let mut reader = Reader {
        text: inside,
        start,
        file,
        tokens: &tokens,
        at: 0,
        labels: BTreeSet::new(),
        functions: BTreeMap::new(),
        stack: Stack::new(prefix),
        left: 0,
        diagnostics: Vec::new(),
    };
    reader.look_ahead();
    let block = reader.block()?;
    if reader.left > 0 {
        let words = if reader.left == 1 { "a word" } else { "words" };
        reader.diagnostics.push(
            Diagnostic::new(block.span, format!("assembly leaves {words} on the stack"))
                .with_note("all of it is analysed"),
        );
    }
    (reader.at == tokens.len()).then_some(Read { block, diagnostics: reader.diagnostics })
}

struct Reader<'t> {
    text: &'t str,
    start: usize,
    file: FileId,
    tokens: &'t [Token],
    at: usize,
    labels: BTreeSet<&'t str>,
    /// How many words the functions of the block give.
    functions: BTreeMap<&'t str, usize>,
    stack: Stack,
    /// How many words without a name the last block has left.
    left: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'t> Reader<'t> {
    /// Finds labels and functions, which are used before they stand in the text.
    fn look_ahead(&mut self) {
        for at in 0..self.tokens.len() {
            if self.is_label(at) {
                self.labels.insert(self.word(at));
            }
            if self.word(at) == "function" {
                let head = self.tokens[at..].iter().take_while(|token| !token.is(b'{'));
                let returns =
                    head.skip_while(|token| !token.is(b'>')).filter(|token| token.is_word());
                self.functions.insert(self.word(at + 1), returns.count());
            }
        }
    }

    /// `name:`, neither an assignment nor a name with its type.
    fn is_label(&self, at: usize) -> bool {
        let is_named = !self.word(at).is_empty() && self.is(at + 1, b':');
        let is_assigned = self.is(at + 2, b'=');
        let is_typed = at.checked_sub(1).is_some_and(|before| {
            self.is(before, b':') || self.is(before, b',') || self.word(before) == "let"
        });
        is_named && !is_assigned && !is_typed
    }

    fn block(&mut self) -> Option<YulBlock> {
        let mark = self.stack.mark();
        let mut statements = Vec::new();
        self.stack.settle(self.stack.height(), &mut statements);
        let span = self.braces(&mut statements)?;
        self.left = self.stack.release(mark, &mut statements);
        Some(YulBlock { statements, is_opaque: false, span })
    }

    /// The statements between two braces, whose span is given.
    fn braces(&mut self, out: &mut Vec<YulStmt>) -> Option<Span> {
        let open = self.at;
        self.expect(b'{')?;
        while !self.is(self.at, b'}') {
            self.statement(out)?;
            let span = self.span(self.at - 1, self.at - 1);
            if !self.stack.keeps_variables() {
                self.lose(span, "takes a variable from the stack", out);
            }
        }
        self.at += 1;
        Some(self.span(open, self.at - 1))
    }

    fn statement(&mut self, out: &mut Vec<YulStmt>) -> Option<()> {
        let first = self.at;
        let token = *self.tokens.get(first)?;
        if self.is(first, b'{') {
            self.settle(out);
            let block = self.block()?;
            out.push(YulStmt { span: block.span, kind: YulStmtKind::Block(block) });
            return Some(());
        }
        if self.is(first, b'=') {
            self.at += 1;
            self.expect(b':')?;
            let name = self.name()?;
            self.pop_into(vec![name], first, out);
            return Some(());
        }
        if !token.is_word() || self.is_hex(first) {
            let word = self.literal()?;
            self.stack.push(word, out);
            return Some(());
        }
        if self.is_label(first) {
            self.settle(out);
            let name = self.name()?;
            self.at += 1;
            self.finish(YulStmtKind::Label(name), first, out);
            return Some(());
        }
        match self.word(first) {
            "let" => return self.declaration(out),
            "if" => {
                self.at += 1;
                let condition = self.asked(out)?;
                let body = self.block()?;
                self.finish(YulStmtKind::If(condition, body), first, out);
                return Some(());
            }
            "for" => return self.for_loop(out),
            "switch" => return self.switch(out),
            "function" => return self.function(out),
            word @ ("leave" | "break" | "continue") => {
                self.settle(out);
                self.at += 1;
                let kind = match word {
                    "leave" => YulStmtKind::Leave,
                    "break" => YulStmtKind::Break,
                    _ => YulStmtKind::Continue,
                };
                self.finish(kind, first, out);
                return Some(());
            }
            "true" | "false" => {
                let word = self.literal()?;
                self.stack.push(word, out);
                return Some(());
            }
            "case" | "default" => return None,
            _ => {}
        }
        if self.is(first + 1, b'(') {
            let call = self.expression(out)?;
            self.call_statement(call, first, out);
            return Some(());
        }
        let path = self.path()?;
        if self.is(self.at, b':') || self.is(self.at, b',') {
            let mut targets = vec![path];
            while self.is(self.at, b',') {
                self.at += 1;
                targets.push(self.path()?);
            }
            self.expect(b':')?;
            self.expect(b'=')?;
            let value = self.expression(out)?;
            self.stack.order(self.stack.height(), out);
            for target in &targets {
                self.stack.before_write(&target[0].text, self.stack.height(), out);
            }
            self.finish(YulStmtKind::Assign(targets, value), first, out);
            return Some(());
        }
        self.bare(path, first, out);
        Some(())
    }

    /// A word that stands alone: an instruction, a label, or a name whose value is put on the stack.
    fn bare(&mut self, path: Vec<Name>, first: usize, out: &mut Vec<YulStmt>) {
        let span = self.span(first, self.at - 1);
        let name = path[0].text.clone();
        let is_name =
            path.len() > 1 || self.stack.is_variable(&name) || self.labels.contains(name.as_str());
        if is_name {
            self.stack.before_read(&name, out);
            self.stack.push(YulExpr { kind: YulExprKind::Path(path), span }, out);
            return;
        }
        if let Some((is_swap, number)) = opcodes::place(&name) {
            let is_there = if is_swap {
                self.stack.swap(number, span, out)
            } else {
                self.stack.copy(number, span, out)
            };
            if !is_there {
                self.lose(span, "reaches below what the block has put on the stack", out);
                if !is_swap {
                    self.stack.push(YulExpr { kind: YulExprKind::Unknown, span }, out);
                }
            }
            return;
        }
        if let "jump" | "jumpi" = name.as_str() {
            return self.jump(path, span, out);
        }
        let Some((takes, leaves)) = opcodes::effect(&name) else {
            self.stack.before_read(&name, out);
            self.stack.push(YulExpr { kind: YulExprKind::Path(path), span }, out);
            return;
        };
        let below = self.stack.height().checked_sub(takes);
        if let (Some(below), 0) = (below, leaves) {
            self.stack.order(below, out);
        }
        let args = below.and_then(|_| self.stack.take(takes));
        let Some(args) = args else {
            self.stack.forget(takes);
            self.lose(span, "takes more than the block has put on the stack", out);
            for _ in 0..leaves {
                self.stack.push(YulExpr { kind: YulExprKind::Unknown, span }, out);
            }
            return;
        };
        let is_dropped = name == "pop"
            && args.first().is_some_and(|arg| !matches!(arg.kind, YulExprKind::Call(..)));
        let call = YulExpr {
            kind: YulExprKind::Call(path.into_iter().next().expect("a path has a name"), args),
            span,
        };
        if leaves > 0 {
            self.stack.push(call, out);
        } else if !is_dropped {
            out.push(YulStmt { kind: YulStmtKind::Call(call), span });
        }
    }

    /// `jump` and `jumpi`, which find their label on the stack.
    fn jump(&mut self, path: Vec<Name>, span: Span, out: &mut Vec<YulStmt>) {
        let takes = if path[0].text == "jump" { 1 } else { 2 };
        let args = self.stack.height().checked_sub(takes).and_then(|below| {
            self.stack.settle(below, out);
            self.stack.take(takes)
        });
        let is_to_label = args.as_ref().and_then(|args| args.first()).is_some_and(|to| {
            matches!(&to.kind, YulExprKind::Path(path) if self.labels.contains(path[0].text.as_str()))
        });
        let Some(args) = args.filter(|_| is_to_label) else {
            self.lose(span, "goes where the block does not tell", out);
            return;
        };
        self.settle(out);
        let name = path.into_iter().next().expect("a path has a name");
        let kind = YulStmtKind::Call(YulExpr { kind: YulExprKind::Call(name, args), span });
        out.push(YulStmt { kind, span });
    }

    /// A call that stands alone: what it gives stays on the stack.
    fn call_statement(&mut self, call: YulExpr, first: usize, out: &mut Vec<YulStmt>) {
        let YulExprKind::Call(name, _) = &call.kind else { return };
        let leaves = match self.functions.get(name.text.as_str()) {
            Some(returns) => *returns,
            None => opcodes::effect(&name.text).map_or(0, |(_, leaves)| leaves),
        };
        let is_jump = matches!(name.text.as_str(), "jump" | "jumpi");
        match leaves {
            1 => self.stack.push(call, out),
            0 => {
                if is_jump {
                    self.settle(out);
                } else {
                    self.stack.order(self.stack.height(), out);
                }
                self.finish(YulStmtKind::Call(call), first, out);
            }
            _ => {
                self.stack.order(self.stack.height(), out);
                let span = call.span;
                let names = self.stack.results(leaves, span);
                self.finish(YulStmtKind::Let(names, Some(call)), first, out);
            }
        }
    }

    fn pop_into(&mut self, target: Vec<Name>, first: usize, out: &mut Vec<YulStmt>) {
        let span = self.span(first, self.at - 1);
        let name = target[0].text.clone();
        if let Some(below) = self.stack.height().checked_sub(1) {
            self.stack.order(below, out);
            self.stack.before_write(&name, below, out);
        }
        let value = self.stack.take(1).and_then(|words| words.into_iter().next());
        let Some(value) = value else {
            return self.lose(span, "takes more than the block has put on the stack", out);
        };
        out.push(YulStmt { kind: YulStmtKind::Assign(vec![target], value), span });
    }

    fn declaration(&mut self, out: &mut Vec<YulStmt>) -> Option<()> {
        let first = self.at;
        self.at += 1;
        let names = self.names()?;
        let value = if self.is(self.at, b':') && self.is(self.at + 1, b'=') {
            self.at += 2;
            Some(self.expression(out)?)
        } else {
            None
        };
        self.stack.order(self.stack.height(), out);
        self.stack.declare(&names);
        self.finish(YulStmtKind::Let(names, value), first, out);
        Some(())
    }

    fn for_loop(&mut self, out: &mut Vec<YulStmt>) -> Option<()> {
        let first = self.at;
        self.at += 1;
        self.settle(out);
        // The names of the first part are seen in all of them.
        let mark = self.stack.mark();
        let mut init = Vec::new();
        let span = self.braces(&mut init)?;
        self.settle(&mut init);
        let init = YulBlock { statements: init, is_opaque: false, span };
        let condition = self.asked(&mut Vec::new())?;
        let post = self.block()?;
        let body = self.block()?;
        self.finish(YulStmtKind::For { init, condition, post, body }, first, out);
        self.stack.release(mark, out);
        Some(())
    }

    fn switch(&mut self, out: &mut Vec<YulStmt>) -> Option<()> {
        let first = self.at;
        self.at += 1;
        let value = self.asked(out)?;
        let mut cases = Vec::new();
        loop {
            let case = match self.word(self.at) {
                "case" => {
                    self.at += 1;
                    Some(self.literal()?)
                }
                "default" => {
                    self.at += 1;
                    None
                }
                _ => break,
            };
            cases.push((case, self.block()?));
        }
        self.finish(YulStmtKind::Switch(value, cases), first, out);
        (self.at > first + 2).then_some(())
    }

    fn function(&mut self, out: &mut Vec<YulStmt>) -> Option<()> {
        let first = self.at;
        self.at += 1;
        let name = self.name()?;
        self.expect(b'(')?;
        let params = if self.is(self.at, b')') { Vec::new() } else { self.names()? };
        self.expect(b')')?;
        let returns = if self.is(self.at, b'-') {
            self.at += 1;
            self.expect(b'>')?;
            self.names()?
        } else {
            Vec::new()
        };
        let inside = self.stack.inside_function();
        let outside = std::mem::replace(&mut self.stack, inside);
        let body = self.block();
        self.stack = outside;
        let body = body?;
        self.finish(YulStmtKind::Function { name, params, returns, body }, first, out);
        Some(())
    }

    /// An expression that decides where to go on: everything that waits is settled before.
    fn asked(&mut self, out: &mut Vec<YulStmt>) -> Option<YulExpr> {
        let condition = self.expression(out)?;
        self.settle(out);
        Some(condition)
    }

    fn expression(&mut self, out: &mut Vec<YulStmt>) -> Option<YulExpr> {
        let first = self.at;
        let token = self.tokens.get(first)?;
        if !token.is_word() || self.is_hex(first) || matches!(self.word(first), "true" | "false") {
            return self.literal();
        }
        if self.is(first + 1, b'(') {
            let name = self.name()?;
            self.at += 1;
            let mut args = Vec::new();
            while !self.is(self.at, b')') {
                if !args.is_empty() {
                    self.expect(b',')?;
                }
                args.push(self.expression(out)?);
            }
            self.at += 1;
            let span = self.span(first, self.at - 1);
            return Some(YulExpr { kind: YulExprKind::Call(name, args), span });
        }
        let path = self.path()?;
        self.stack.before_read(&path[0].text, out);
        Some(YulExpr { kind: YulExprKind::Path(path), span: self.span(first, self.at - 1) })
    }

    fn literal(&mut self) -> Option<YulExpr> {
        let first = self.at;
        let token = *self.tokens.get(first)?;
        let text = token.text(self.text);
        let kind = match token.kind {
            TokenKind::Number => text.replace('_', ""),
            TokenKind::Text => format!("\"{}\"", text.get(1..text.len().saturating_sub(1))?),
            TokenKind::Word if self.is_hex(first) => {
                self.at += 1;
                let digits = self.tokens.get(self.at)?.text(self.text);
                let digits = digits.get(1..digits.len().saturating_sub(1))?;
                format!("0x{}", digits.replace('_', ""))
            }
            TokenKind::Word if text == "true" => "1".to_owned(),
            TokenKind::Word if text == "false" => "0".to_owned(),
            _ => return None,
        };
        self.at += 1;
        self.skip_type();
        let span = self.span(first, self.at - 1);
        Some(YulExpr { kind: YulExprKind::Literal(kind), span })
    }

    fn path(&mut self) -> Option<Vec<Name>> {
        let mut path = vec![self.name()?];
        while self.is(self.at, b'.') {
            self.at += 1;
            path.push(self.name()?);
        }
        Some(path)
    }

    fn names(&mut self) -> Option<Vec<Name>> {
        let mut names = vec![self.name()?];
        self.skip_type();
        while self.is(self.at, b',') {
            self.at += 1;
            names.push(self.name()?);
            self.skip_type();
        }
        Some(names)
    }

    fn name(&mut self) -> Option<Name> {
        let token = self.tokens.get(self.at).filter(|token| token.is_word())?;
        let name =
            Name { text: token.text(self.text).to_owned(), span: self.span(self.at, self.at) };
        self.at += 1;
        Some(name)
    }

    /// `:u256` after a name or a literal.
    fn skip_type(&mut self) {
        let is_type = self.is(self.at, b':') && !self.word(self.at + 1).is_empty();
        let touches =
            self.tokens.get(self.at + 1).is_some_and(|name| name.start == self.tokens[self.at].end);
        if is_type && touches {
            self.at += 2;
        }
    }

    /// Says that a statement could not be followed; nothing of it is kept.
    fn lose(&mut self, span: Span, why: &str, out: &mut Vec<YulStmt>) {
        let text = self.text.get(span.start as usize - self.start..span.end as usize - self.start);
        let text: String = text.unwrap_or("").chars().take(40).collect();
        self.diagnostics.push(
            Diagnostic::new(span, format!("`{text}` {why}"))
                .with_note("the statement is not analysed"),
        );
        out.push(YulStmt { kind: YulStmtKind::Error, span });
    }

    fn settle(&mut self, out: &mut Vec<YulStmt>) {
        self.stack.settle(self.stack.height(), out);
    }

    fn finish(&self, kind: YulStmtKind, first: usize, out: &mut Vec<YulStmt>) {
        out.push(YulStmt { kind, span: self.span(first, self.at - 1) });
    }

    fn span(&self, first: usize, last: usize) -> Span {
        let (first, last) = (self.tokens[first], self.tokens[last]);
        Span::new(self.file, self.start + first.start, self.start + last.end)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.is(self.at, byte).then(|| self.at += 1)
    }

    fn is(&self, at: usize, byte: u8) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(byte))
    }

    fn is_hex(&self, at: usize) -> bool {
        self.word(at) == "hex"
            && self.tokens.get(at + 1).is_some_and(|next| next.kind == TokenKind::Text)
    }

    /// The word at a place; empty where there is none.
    fn word(&self, at: usize) -> &'t str {
        self.tokens
            .get(at)
            .filter(|token| token.is_word())
            .map_or("", |token| token.text(self.text))
    }
}
