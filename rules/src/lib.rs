//! The rule language: named facts, packs of rules over them, conditions, and the tests that stand in packs.
//!
//! ```text
//! YAML ─> Pack (checked against Dictionaries) ─> RuleSet ─ asked with a FactTable ─> Answers
//! ```
//!
//! Both halves of the program use it: the auditor asks about functions, the guard about transactions and contracts.
//! This crate knows facts only by name and type; it knows no chain, no contract and no syntax tree of Solidity.
//! Start reading at [`Pack::parse`] and [`RuleSet::evaluate`].

mod condition;
mod error;
mod exchange;
mod facts;
mod list;
mod message;
mod pack;
pub mod packs;
pub mod question;
mod rule_set;
#[cfg(test)]
mod sample;
mod stack;
pub mod testing;

pub use error::{PackError, RuleError};
pub use exchange::Exchange;
pub use facts::{Dictionary, FactRef, FactSpec, FactTable, FactType, Subject, Value};
pub use pack::{
    CodeRef, ENGINE, EvidenceKind, Expectation, MAX_PACK_BYTES, Maturity, Pack, RangeRef,
    RecordingRef, Rule, RuleTest, Severity, TestInput, pack_schema,
};
pub use rule_set::{Answer, AnswerOutcome, RuleSet};
