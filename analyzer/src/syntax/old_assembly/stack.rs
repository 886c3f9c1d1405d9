//! The words that assembly has put on the stack so far, each as the expression that it is, and the statements that
//! come of it.
//!
//! An expression waits on the stack until it is used, so that `n 1 add =: r` becomes `r := add(1, n)`. Whatever has
//! to be in order before something else happens is settled first: every place of the stack has a name, that of the
//! variable that was declared there or one made up for it, and what waits is assigned to the name of its place. Ways
//! that meet at a label thus find the same words under the same names.

use crate::syntax::Span;
use crate::syntax::ast::{Name, YulExpr, YulExprKind, YulStmt, YulStmtKind};

/// The words of a run of assembly.
#[derive(Debug)]
pub(super) struct Stack {
    slots: Vec<Slot>,
    /// The variables that can be seen, each with its place.
    variables: Vec<(String, usize)>,
    /// The made-up names that are declared, by place.
    declared: Vec<usize>,
    /// What made-up names begin with; no name of the block does.
    prefix: String,
    copies: usize,
}

#[derive(Debug)]
struct Slot {
    /// `None` where the name of the place holds the word.
    waiting: Option<YulExpr>,
    /// What put it there.
    span: Span,
}

/// What a scope has to put back when it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    height: usize,
    variables: usize,
    declared: usize,
}

/// An expression that waits grows no deeper than this, so that a tree stays as shallow as its source.
const MAX_WAITING_DEPTH: usize = 24;

impl Stack {
    pub(super) fn new(prefix: String) -> Self {
        Self { slots: Vec::new(), variables: Vec::new(), declared: Vec::new(), prefix, copies: 0 }
    }

    /// The stack of a function's body, which sees nothing of its surroundings.
    pub(super) fn inside_function(&self) -> Self {
        Self { copies: self.copies, ..Self::new(self.prefix.clone()) }
    }

    pub(super) fn height(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|(known, _)| known == name)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            height: self.slots.len(),
            variables: self.variables.len(),
            declared: self.declared.len(),
        }
    }

    /// Ends a scope: its words and names are gone, and the words below it are where they were. How many words it
    /// leaves that no variable holds.
    pub(super) fn release(&mut self, mark: Mark, out: &mut Vec<YulStmt>) -> usize {
        let declared = self.variables.len() - mark.variables;
        let left = self.slots.len().saturating_sub(mark.height + declared);
        for slot in self.slots.drain(mark.height.min(self.slots.len())..) {
            if let Some(word) = slot.waiting.filter(has_calls) {
                let span = word.span;
                out.push(YulStmt { kind: YulStmtKind::Call(call("pop", vec![word], span)), span });
            }
        }
        self.variables.truncate(mark.variables);
        self.refill(mark.height);
        self.settle(self.slots.len(), out);
        self.declared.truncate(mark.declared);
        left
    }

    /// Makes the stack at least that high; what is put there is what the names hold.
    fn refill(&mut self, height: usize) {
        while self.slots.len() < height {
            self.slots.push(Slot { waiting: None, span: Span::default() });
        }
    }

    /// How high the stack must be for all variables to be on it.
    fn floor(&self) -> usize {
        self.variables.iter().map(|(_, place)| place + 1).max().unwrap_or(0)
    }

    pub(super) fn push(&mut self, word: YulExpr, out: &mut Vec<YulStmt>) {
        let is_deep = is_deeper_than(&word, MAX_WAITING_DEPTH);
        self.slots.push(Slot { span: word.span, waiting: Some(word) });
        if is_deep {
            self.settle(self.slots.len(), out);
        }
    }

    /// Takes the `count` words on top, the topmost first; `None` where there are fewer.
    pub(super) fn take(&mut self, count: usize) -> Option<Vec<YulExpr>> {
        if count > self.slots.len() {
            return None;
        }
        let mut words = Vec::with_capacity(count);
        for _ in 0..count {
            let slot = self.slots.pop()?;
            words.push(slot.waiting.unwrap_or_else(|| self.path(self.slots.len(), slot.span)));
        }
        Some(words)
    }

    /// Forgets up to `count` words.
    pub(super) fn forget(&mut self, count: usize) {
        self.slots.truncate(self.slots.len().saturating_sub(count));
    }

    /// `dup`: whether there is such a word.
    pub(super) fn copy(&mut self, number: usize, span: Span, out: &mut Vec<YulStmt>) -> bool {
        let Some(place) = self.slots.len().checked_sub(number) else { return false };
        if self.slots[place].waiting.as_ref().is_some_and(has_calls) {
            self.settle(self.slots.len(), out);
        }
        let word = match &self.slots[place].waiting {
            Some(word) => YulExpr { span, ..word.clone() },
            None => self.path(place, span),
        };
        self.slots.push(Slot { waiting: Some(word), span });
        true
    }

    /// `swap`: whether there are such words.
    pub(super) fn swap(&mut self, number: usize, span: Span, out: &mut Vec<YulStmt>) -> bool {
        let Some(place) = self.slots.len().checked_sub(number + 1) else { return false };
        let top = self.slots.len() - 1;
        let calls = |slot: &Slot| slot.waiting.as_ref().is_some_and(has_calls);
        if calls(&self.slots[place]) || calls(&self.slots[top]) {
            self.settle(self.slots.len(), out);
        }
        let [low, high] = [place, top].map(|at| match &self.slots[at].waiting {
            Some(word) => word.clone(),
            None => self.path(at, span),
        });
        self.slots[place] = Slot { waiting: Some(high), span };
        self.slots[top] = Slot { waiting: Some(low), span };
        true
    }

    /// Declares variables on top of the stack; their values are where their names are.
    pub(super) fn declare(&mut self, names: &[Name]) {
        for name in names {
            self.variables.push((name.text.clone(), self.slots.len()));
            self.slots.push(Slot { waiting: None, span: name.span });
        }
    }

    /// Names for `count` words that a call leaves at once.
    pub(super) fn results(&mut self, count: usize, span: Span) -> Vec<Name> {
        (0..count)
            .map(|_| {
                let place = self.slots.len();
                self.slots.push(Slot { waiting: None, span });
                self.declared.push(place);
                made_up(self.name_of(place), span)
            })
            .collect()
    }

    /// What has to be done before a statement that takes nothing more from the stack than it already has.
    pub(super) fn order(&mut self, height: usize, out: &mut Vec<YulStmt>) {
        if self.slots.iter().take(height).any(|slot| slot.waiting.as_ref().is_some_and(has_calls)) {
            self.settle(height, out);
        }
    }

    /// What has to be done before `name` is read by its name: a word may wait in its place.
    pub(super) fn before_read(&mut self, name: &str, out: &mut Vec<YulStmt>) {
        let own = self.variables.iter().rev().find(|(known, _)| known == name).map(|(_, at)| *at);
        if own.and_then(|at| self.slots.get(at)).is_some_and(|slot| slot.waiting.is_some()) {
            self.settle(self.slots.len(), out);
        }
    }

    /// What has to be done before `name` is written, where the lowest `height` words stay.
    pub(super) fn before_write(&mut self, name: &str, height: usize, out: &mut Vec<YulStmt>) {
        self.before_read(name, out);
        let waits_for_it =
            |slot: &Slot| slot.waiting.as_ref().is_some_and(|word| mentions(word, name));
        if self.slots.iter().take(height).any(waits_for_it) {
            self.settle(height, out);
        }
    }

    /// Whether every variable still is on the stack; puts it back where it is not.
    pub(super) fn keeps_variables(&mut self) -> bool {
        let floor = self.floor();
        let keeps = self.slots.len() >= floor;
        self.refill(floor);
        keeps
    }

    /// Assigns what waits in the lowest `height` places to the names of those places.
    pub(super) fn settle(&mut self, height: usize, out: &mut Vec<YulStmt>) {
        let waits = |slot: &Slot| slot.waiting.is_some();
        if !self.slots.iter().take(height).any(waits) {
            return;
        }
        // A name that is about to change may be waited for above: then all words are copied first.
        let is_crossed = (0..height.min(self.slots.len())).any(|low| {
            self.slots[low].waiting.is_some() && {
                let name = self.name_of(low);
                self.slots[low + 1..]
                    .iter()
                    .any(|slot| slot.waiting.as_ref().is_some_and(|word| mentions(word, &name)))
            }
        });
        let height = if is_crossed { self.slots.len() } else { height.min(self.slots.len()) };
        if is_crossed {
            for at in 0..height {
                let Some(word) = self.slots[at].waiting.take() else { continue };
                let span = word.span;
                let name = made_up(format!("{}_copy{}", self.prefix, self.copies), span);
                self.copies += 1;
                let copied = YulExpr { kind: YulExprKind::Path(vec![name.clone()]), span };
                out.push(YulStmt { kind: YulStmtKind::Let(vec![name], Some(word)), span });
                self.slots[at].waiting = Some(copied);
            }
        }
        for at in 0..height {
            let Some(word) = self.slots[at].waiting.take() else { continue };
            let text = self.name_of(at);
            if matches!(&word.kind, YulExprKind::Path(path) if matches!(path.as_slice(), [only] if only.text == text))
            {
                continue;
            }
            let span = word.span;
            let name = made_up(text, span);
            let is_known =
                self.declared.contains(&at) || self.variables.iter().any(|(_, place)| *place == at);
            let kind = if is_known {
                YulStmtKind::Assign(vec![vec![name]], word)
            } else {
                self.declared.push(at);
                YulStmtKind::Let(vec![name], Some(word))
            };
            out.push(YulStmt { kind, span });
        }
    }

    fn name_of(&self, place: usize) -> String {
        match self.variables.iter().find(|(_, at)| *at == place) {
            Some((name, _)) => name.clone(),
            None => format!("{}{place}", self.prefix),
        }
    }

    fn path(&self, place: usize, span: Span) -> YulExpr {
        let name = made_up(self.name_of(place), span);
        YulExpr { kind: YulExprKind::Path(vec![name]), span }
    }
}

/// A name that stands nowhere in the source: its span is empty.
fn made_up(text: String, span: Span) -> Name {
    Name { text, span: Span { start: span.end, ..span } }
}

pub(super) fn call(name: &str, args: Vec<YulExpr>, span: Span) -> YulExpr {
    YulExpr { kind: YulExprKind::Call(made_up(name.to_owned(), span), args), span }
}

fn has_calls(word: &YulExpr) -> bool {
    matches!(word.kind, YulExprKind::Call(..))
}

fn is_deeper_than(word: &YulExpr, levels: usize) -> bool {
    match &word.kind {
        YulExprKind::Call(_, args) => {
            levels == 0 || args.iter().any(|arg| is_deeper_than(arg, levels - 1))
        }
        _ => false,
    }
}

fn mentions(word: &YulExpr, name: &str) -> bool {
    match &word.kind {
        YulExprKind::Path(path) => path.first().is_some_and(|first| first.text == name),
        YulExprKind::Call(_, args) => args.iter().any(|arg| mentions(arg, name)),
        YulExprKind::Literal(_) | YulExprKind::Unknown => false,
    }
}
