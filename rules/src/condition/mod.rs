//! Conditions: CEL text, checked against a dictionary when a pack is loaded, lowered to a typed tree.
//!
//! ```text
//! text ─> measure (bounds) ─> CEL syntax ─> lower (names, types, units, ranges) ─> Clause tree ─> Truth
//! ```
//!
//! The CEL crate is used for its grammar only. Nothing of it runs when a transaction is judged: the tree reads a
//! flat table by position, in three-valued logic.

mod contradiction;
mod explain;
mod literal;
mod lower;
mod print;
mod range;
mod suggest;
mod syntax;
mod tree;
mod trigger;

#[cfg(test)]
mod tests;

pub(crate) use literal::address as read_address;
pub(crate) use lower::Scope;
pub(crate) use suggest::closest;
pub(crate) use tree::Truth;
pub(crate) use trigger::Trigger;

use ruint::aliases::U256;

use self::lower::Lowering;
use self::tree::{Clause, Said, Test};
use crate::facts::{Dictionary, Sight};

/// What is wrong with a condition, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// First and one-past-last character in the condition's text.
    pub(crate) span: Span,
    /// One lowercase headline.
    pub(crate) message: String,
    /// The cure, where there is one.
    pub(crate) help: Option<String>,
}

/// First and one-past-last character of a piece of condition text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A checked condition over the facts of one subject.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    root: Clause,
    /// What each makes the whole condition false where it is not there.
    triggers: Vec<Trigger>,
}

impl Condition {
    /// Checks `text` against the names of `scope`.
    pub(crate) fn compile(text: &str, scope: Scope<'_>) -> Result<Self, Complaint> {
        let source = syntax::parse(text)?;
        Ok(Self::of(Lowering::new(&source, scope).condition(false)?, scope))
    }

    /// Checks what must hold, and makes the condition that it held before a transaction and does not after it.
    /// `guard`, where there is one, must be true as well.
    pub(crate) fn compile_invariant(
        guard: Option<Self>,
        holds: &str,
        scope: Scope<'_>,
    ) -> Result<Self, Complaint> {
        let source = syntax::parse(holds)?;
        let before =
            Lowering::new(&source, Scope { suffix: "_before", ..scope }).condition(false)?;
        let after = Lowering::new(&source, Scope { suffix: "_after", ..scope }).condition(true)?;
        let same = before.said.reads == after.said.reads;
        if same {
            return Err(Complaint::new(before.said.span, "this reads nothing before and after")
                .help("name a reading of `with:` without `_before` or `_after`"));
        }
        let mut clauses: Vec<Clause> = guard.map(|guard| guard.root).into_iter().collect();
        if let [Clause { test: Test::All(inner), .. }] = clauses.as_mut_slice() {
            clauses = std::mem::take(inner);
        }
        clauses.extend([before, after]);
        let mut reads: Vec<usize> = Vec::new();
        for position in clauses.iter().flat_map(|clause| &clause.said.reads) {
            if !reads.contains(position) {
                reads.push(*position);
            }
        }
        let span = clauses[0].said.span;
        let text = clauses.iter().map(|clause| clause.said.text.clone()).collect::<Vec<_>>();
        let said = Said { text: text.join(" && "), reads, span };
        Ok(Self::of(Clause { test: Test::All(clauses), said: Box::new(said) }, scope))
    }

    fn of(root: Clause, scope: Scope<'_>) -> Self {
        let triggers = trigger::triggers(&root, scope.dictionary);
        Self { root, triggers }
    }

    /// Whether it holds.
    pub(crate) fn evaluate(&self, facts: &Sight<'_>) -> Truth {
        self.root.test.evaluate(facts)
    }

    /// What must be there for the condition not to be false, best one first; positions behind the dictionary's last are
    /// those of the rule's questions.
    pub(crate) fn triggers(&self) -> &[Trigger] {
        &self.triggers
    }

    /// The clauses that held, with the values they read.
    pub(crate) fn because(&self, facts: &Sight<'_>, dictionary: &Dictionary) -> Vec<String> {
        explain::because(&self.root, facts, dictionary)
    }

    /// The facts that kept it from being true or false.
    pub(crate) fn unknown(&self, facts: &Sight<'_>, dictionary: &Dictionary) -> Vec<String> {
        explain::unknown(&self.root, facts, dictionary)
    }

    /// Dictionary positions that the condition reads, in the order of its text.
    pub(crate) fn reads(&self) -> &[usize] {
        &self.root.said.reads
    }
}

/// Evaluates constant text such as `eth(5)` for a fact whose unit is `unit`.
pub(crate) fn constant(text: &str, unit: &str) -> Result<U256, Complaint> {
    let source = syntax::parse(text)?;
    Lowering::constant(&source, unit)
}

/// Reads the digits of an amount.
pub(crate) fn read_digits(text: &str) -> Result<U256, String> {
    literal::decimal(text, 0)
}

impl Complaint {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
