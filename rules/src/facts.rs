//! Named values that rules read: their dictionary, and the flat table one subject fills.

use std::fmt;

use ruint::aliases::U256;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a rule is asked about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// One Solidity function, as the auditor sees it.
    Function,
    /// One simulated transaction.
    Transaction,
    /// One freshly deployed contract.
    Contract,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Function => "function",
            Self::Transaction => "transaction",
            Self::Contract => "contract",
        })
    }
}

/// The type of a fact; conditions are checked against it when a pack is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FactType {
    /// True or false.
    Bool,
    /// An unsigned 256-bit integer: counts, wei, base units, basis points.
    Uint,
    /// UTF-8 text.
    Text,
    /// A 20-byte account address.
    Address,
}

/// One entry of the facts dictionary, standing beside the pass that computes it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct FactSpec {
    /// Name used in conditions; carries its unit where the type does not say it (`outflow_wei`).
    pub name: &'static str,
    /// Who has this fact.
    pub subject: Subject,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: FactType,
    /// Its unit: `wei`, `bps`, `count`, `blocks`, or empty where there is none.
    pub unit: &'static str,
    /// Whether the value can be unknown; a comparison with an unknown value is unknown, never true.
    pub may_be_unknown: bool,
    /// One sentence that says what is measured.
    pub doc: &'static str,
}

/// One value of a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type", content = "value")]
pub enum Value {
    /// Could not be computed; never stands for zero.
    Unknown,
    /// A truth value.
    Bool(bool),
    /// An exact amount or count.
    Uint(U256),
    /// Text.
    Text(String),
    /// An account.
    Address([u8; 20]),
}

/// All facts of one subject, in a stable order.
///
/// The position of a spec is the position of its value in a [`FactTable`].
#[derive(Debug, Clone)]
pub struct Dictionary {
    subject: Subject,
    specs: Vec<FactSpec>,
}

impl Dictionary {
    /// Collects the specs of `subject` from the tables that the passes register.
    pub fn new<'a>(subject: Subject, tables: impl IntoIterator<Item = &'a [FactSpec]>) -> Self {
        let specs =
            tables.into_iter().flatten().filter(|spec| spec.subject == subject).copied().collect();
        Self { subject, specs }
    }

    /// Whose facts these are.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// All specs, by position.
    pub fn specs(&self) -> &[FactSpec] {
        &self.specs
    }

    /// The position of the fact called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.specs.iter().position(|spec| spec.name == name)
    }

    /// A table in which every fact is still unknown.
    pub fn empty_table(&self) -> FactTable {
        FactTable { values: vec![Value::Unknown; self.specs.len()] }
    }
}

/// The facts of one function, transaction or contract, by dictionary position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactTable {
    values: Vec<Value>,
}

impl FactTable {
    /// The value at a dictionary position; unknown where the position does not exist.
    pub fn value(&self, position: usize) -> &Value {
        self.values.get(position).unwrap_or(&Value::Unknown)
    }

    /// Sets the value at a dictionary position.
    ///
    /// # Panics
    /// When `position` is outside of the dictionary that made this table.
    pub fn set(&mut self, position: usize, value: Value) {
        self.values[position] = value;
    }

    /// All values, by position.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}
