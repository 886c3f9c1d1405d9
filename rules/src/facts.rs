//! Named values that rules read: their dictionary, and the flat table one subject fills.

use std::fmt;

use ruint::aliases::U256;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::question::Replies;

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
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
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
    /// An amount or count that is at least this: a window that is not full yet has seen so much, and may have missed
    /// more. A comparison that could come out otherwise with more is unknown.
    AtLeast(U256),
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
    /// What one rule asks beyond them; their positions come after.
    asked: Vec<AskedSpec>,
}

/// A value that one rule asks for under a name of its own.
#[derive(Debug, Clone)]
pub(crate) struct AskedSpec {
    pub(crate) name: String,
    pub(crate) ty: FactType,
    pub(crate) unit: &'static str,
    pub(crate) doc: String,
}

/// A fact, or what a rule asks for beyond the facts, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactRef<'d> {
    /// Name used in conditions.
    pub name: &'d str,
    /// Its type.
    pub ty: FactType,
    /// Its unit; empty where there is none.
    pub unit: &'static str,
    /// Whether the value can be unknown.
    pub may_be_unknown: bool,
    /// What is measured.
    pub doc: &'d str,
}

impl Dictionary {
    /// Collects the specs of `subject` from the tables that the passes register.
    pub fn new<'a>(subject: Subject, tables: impl IntoIterator<Item = &'a [FactSpec]>) -> Self {
        let specs =
            tables.into_iter().flatten().filter(|spec| spec.subject == subject).copied().collect();
        Self { subject, specs, asked: Vec::new() }
    }

    /// The same with what one rule asks beyond these facts.
    pub(crate) fn with_asked(&self, asked: Vec<AskedSpec>) -> Self {
        Self { asked, ..self.clone() }
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
        let asked = || {
            let place = self.asked.iter().position(|asked| asked.name == name)?;
            Some(self.specs.len() + place)
        };
        self.specs.iter().position(|spec| spec.name == name).or_else(asked)
    }

    /// A table in which every fact is still unknown.
    pub fn empty_table(&self) -> FactTable {
        FactTable { values: vec![Value::Unknown; self.specs.len() + self.asked.len()] }
    }

    /// The fact at a position of this dictionary, or what is asked there.
    ///
    /// # Panics
    /// When `position` is outside of this dictionary.
    pub(crate) fn fact(&self, position: usize) -> FactRef<'_> {
        match self.specs.get(position) {
            Some(spec) => FactRef {
                name: spec.name,
                ty: spec.ty,
                unit: spec.unit,
                may_be_unknown: spec.may_be_unknown,
                doc: spec.doc,
            },
            None => {
                let asked = &self.asked[position - self.specs.len()];
                FactRef {
                    name: &asked.name,
                    ty: asked.ty,
                    unit: asked.unit,
                    may_be_unknown: true,
                    doc: &asked.doc,
                }
            }
        }
    }

    /// Every name that a condition may use.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.specs
            .iter()
            .map(|spec| spec.name)
            .chain(self.asked.iter().map(|asked| asked.name.as_str()))
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

/// What a condition looks at: a table, and behind its last position the replies to one rule's questions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight<'a> {
    table: &'a FactTable,
    /// Replies to the questions of a rule set; none where nobody was asked.
    replies: Option<&'a Replies>,
    /// For each question of the rule the place of its reply.
    places: &'a [usize],
}

impl<'a> Sight<'a> {
    /// A table alone; behind its last position everything is unknown.
    pub(crate) fn of(table: &'a FactTable) -> Self {
        Self { table, replies: None, places: &[] }
    }

    /// A table, and replies behind it.
    pub(crate) fn with(
        table: &'a FactTable,
        replies: Option<&'a Replies>,
        places: &'a [usize],
    ) -> Self {
        Self { table, replies, places }
    }

    /// The value at a position.
    pub(crate) fn value(&self, position: usize) -> &'a Value {
        match self.table.values.get(position) {
            Some(value) => value,
            None => self.reply(position - self.table.values.len()).unwrap_or(&Value::Unknown),
        }
    }

    fn reply(&self, question: usize) -> Option<&'a Value> {
        self.replies?.get(*self.places.get(question)?)?.as_ref()
    }
}
