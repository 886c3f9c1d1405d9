//! The rule language: facts, packs, conditions, and their tests.

mod facts;

pub use facts::{Dictionary, FactSpec, FactTable, FactType, Subject, Value};
