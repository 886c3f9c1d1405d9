//! Conditions: CEL text, checked against a dictionary when a pack is loaded, lowered to a typed tree.
//!
//! ```text
//! text ─> measure (bounds) ─> CEL syntax ─> lower (names, types, units, ranges) ─> Clause tree ─> Truth
//! ```
//!
//! The CEL crate is used for its grammar only. Nothing of it runs when a transaction is judged: the tree reads a
//! flat [`FactTable`] by position, in three-valued logic.

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
pub(crate) use suggest::closest;
pub(crate) use tree::Truth;

use ruint::aliases::U256;

use self::lower::Lowering;
use self::tree::Clause;
use crate::facts::{Dictionary, FactTable};

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
    /// Dictionary positions whose false or zero makes the whole condition false.
    triggers: Vec<usize>,
}

impl Condition {
    /// Checks `text` against the facts of `dictionary`; the other dictionaries only improve error messages.
    pub(crate) fn compile(
        text: &str,
        dictionary: &Dictionary,
        all: &[Dictionary],
    ) -> Result<Self, Complaint> {
        let source = syntax::parse(text)?;
        let root = Lowering::new(&source, dictionary, all).condition()?;
        let triggers = trigger::triggers(&root, dictionary);
        Ok(Self { root, triggers })
    }

    /// Whether it holds.
    pub(crate) fn evaluate(&self, facts: &FactTable) -> Truth {
        self.root.test.evaluate(facts)
    }

    /// Dictionary positions whose false or zero makes the condition false, best one first.
    pub(crate) fn triggers(&self) -> &[usize] {
        &self.triggers
    }

    /// The clauses that held, with the values they read.
    pub(crate) fn because(&self, facts: &FactTable, dictionary: &Dictionary) -> Vec<String> {
        explain::because(&self.root, facts, dictionary)
    }

    /// The facts that kept it from being true or false.
    pub(crate) fn unknown(&self, facts: &FactTable, dictionary: &Dictionary) -> Vec<String> {
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
