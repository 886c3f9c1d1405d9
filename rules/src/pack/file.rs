//! The shape of a pack file: what YAML may say, and the schema that editors use.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::facts::Subject;
use crate::question::{Per, SignatureFault};

/// A rule pack: one file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Portcullis rule pack", rename = "RulePack")]
pub(super) struct PackFile {
    /// Name of the pack; equals the file's stem.
    pub(super) pack: String,
    /// Version of the pack itself, as in `1.0.0`.
    pub(super) version: String,
    /// Major version of the rule language; this reader knows 1.
    #[expect(dead_code, reason = "read and checked ahead of the rest; stands here for the schema")]
    pub(super) engine: u64,
    /// Who stands behind the rules.
    pub(super) author: String,
    /// Lists by name, for conditions such as `sender in team`.
    #[serde(default)]
    pub(super) lists: BTreeMap<String, ListFile>,
    /// The rules, in the order in which they are reported.
    pub(super) rules: Vec<RuleFile>,
}

/// One rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule")]
pub(super) struct RuleFile {
    /// Kebab-case name, unique over all loaded packs.
    pub(super) id: String,
    /// What the rule is asked about; decides which facts its condition may name.
    pub(super) subject: Subject,
    /// How bad it is when the rule fires.
    pub(super) severity: Severity,
    /// How far the rule is trusted; only stable rules may ask for a pause.
    pub(super) maturity: Maturity,
    /// Kind of attack, as in `reentrancy`; two soft rules of different classes support each other, two of one class
    /// do not.
    pub(super) class: String,
    /// Whether firing proves that a hard invariant is broken, or is a hint.
    #[serde(default)]
    pub(super) evidence: EvidenceKind,
    /// Why it matters, for the person who is woken up by it.
    pub(super) why: String,
    /// Links to incidents, papers, standards.
    #[serde(default)]
    pub(super) references: Vec<String>,
    /// Condition in CEL over the facts of the subject and the names of `with`. May be left out where `holds` stands.
    #[serde(default)]
    pub(super) when: Option<String>,
    /// What must hold before and after every transaction, over readings of `with` by their bare names: the rule fires
    /// where it held before and does not hold after.
    #[serde(default)]
    pub(super) holds: Option<String>,
    /// What the rule asks beyond the facts, under names of its own. Transactions only.
    #[serde(default, rename = "with")]
    pub(super) questions: BTreeMap<String, QuestionFile>,
    /// Contracts that the questions are asked about: addresses, or names of lists. All that a transaction touches and
    /// that are protected, where none is named.
    #[serde(default)]
    pub(super) at: Vec<String>,
    /// What to say when it fires; `{fact}` is replaced by the fact's value.
    pub(super) message: String,
    /// Honest behaviour that may look like this.
    #[serde(default)]
    pub(super) false_positives: Vec<String>,
    /// At least one that fires and one that stays silent.
    #[serde(default)]
    pub(super) tests: Vec<TestFile>,
}

/// A list: its entries, or the file that holds them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "List")]
pub(super) enum ListFile {
    /// Addresses, amounts, signatures or texts.
    Entries(Vec<String>),
    /// A file beside the pack.
    File(ListFileName),
}

/// A file beside the pack, one entry a line; `#` starts a comment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ListFile")]
pub(super) struct ListFileName {
    /// Path relative to the pack, inside of its folder.
    pub(super) file: String,
}

/// One question: exactly one of `sum`, `count`, `max`, `read`, `called`, `entered`, `stale`, `changed`,
/// `paid_outside_of`, `signatures`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Question")]
pub(super) struct QuestionFile {
    /// Sum of this fact over a window of blocks.
    pub(super) sum: Option<String>,
    /// In how many transactions of a window this fact was true, or not zero.
    pub(super) count: Option<String>,
    /// Largest value of this fact in a window.
    pub(super) max: Option<String>,
    /// Whose transactions a window looks at.
    pub(super) per: Option<Per>,
    /// Length of a window, as in `blocks(50)`, the block that would mine the judged transaction included.
    pub(super) over: Option<FactLiteral>,
    /// A view or a slot, read before (`NAME_before`) and after (`NAME_after`): `totalAssets()`,
    /// `asset().balanceOf(address this)`, `owner() -> address`, `slot(3)`.
    pub(super) read: Option<String>,
    /// Contract that is read, where it is not the one that is looked at.
    pub(super) of: Option<String>,
    /// Unit of what is read: `wei`, `bps`, `blocks` or `count`.
    pub(super) unit: Option<String>,
    /// Signatures or selectors: how often they were entered, wherever.
    pub(super) called: Option<Vec<String>>,
    /// How often the contract believed a signature of nobody, or one that it had believed before in the transaction.
    pub(super) signatures: Option<SignatureFault>,
    /// Signatures or selectors: how often they were entered while the contract was still running.
    pub(super) entered: Option<Vec<String>>,
    /// With `entered`: only while one of these was running.
    pub(super) inside: Option<Vec<String>>,
    /// Views that read, in the middle of a call, what was changed afterwards; empty for all.
    pub(super) stale: Option<Vec<String>>,
    /// `slot(3)` or `mapping(3)`: how often it was changed by somebody who is not in `not_by`.
    pub(super) changed: Option<String>,
    /// With `changed`: who may: `slot(0)`, `slot(0, 1)` (so many bytes from its low end), or addresses.
    pub(super) not_by: Option<Vec<String>>,
    /// How often ether or tokens left while none of these functions was running.
    pub(super) paid_outside_of: Option<Vec<String>>,
}

/// One test of a rule: facts written here, one transaction of a recording, transactions of the training range, or, for
/// a rule about functions, Solidity code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RuleTest")]
pub(super) struct TestFile {
    /// What is shown.
    pub(super) name: String,
    /// Facts by name; those left out are unknown.
    #[serde(default)]
    pub(super) facts: Option<BTreeMap<String, FactLiteral>>,
    /// Path of a recording, relative to the pack.
    #[serde(default)]
    pub(super) recording: Option<String>,
    /// Index of the transaction among the pending ones of the recording, from 0.
    #[serde(default)]
    pub(super) tx: Option<u64>,
    /// Transactions of the training range, played when the test runs.
    #[serde(default)]
    pub(super) range: Option<RangeFile>,
    /// Solidity code, for a rule about functions.
    #[serde(default)]
    pub(super) code: Option<String>,
    /// With `code`: the function that is looked at, `Contract.name` where more than one contract has it.
    #[serde(default)]
    pub(super) function: Option<String>,
    /// What the rule must do.
    pub(super) expect: Expectation,
}

/// Transactions of the training range. A test that expects its rule to fire looks at those that did harm, another at
/// those that did none; there must be one, and all of them must do as expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Range")]
pub(super) struct RangeFile {
    /// What is protected: `ether-vault`, `lending`, `pair` and others; a wrong name lists them.
    pub(super) protocol: String,
    /// The protocol has the flaw that its attack needs.
    #[serde(default)]
    pub(super) flawed: bool,
    /// Only transactions of this family, as in `lending/borrow`, or of all families that begin with it, as in `lending`.
    #[serde(default)]
    pub(super) family: String,
    /// Seed of the first episode.
    #[serde(default = "one")]
    pub(super) seed: u64,
    /// How many episodes are played, each with the next seed.
    #[serde(default = "one")]
    pub(super) episodes: u64,
    /// Leave out harmful transactions that cost less than so many ten-thousandths of what the protocol was worth.
    #[serde(default)]
    pub(super) least_loss_bps: u64,
}

fn one() -> u64 {
    1
}

/// How bad it is, from a matter of taste to the loss of the protocol.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Costs gas, no more.
    Gas,
    /// Worth knowing.
    Info,
    /// Harm needs unlikely circumstances.
    Low,
    /// Harm to some users, or under conditions.
    Medium,
    /// Loss of funds under conditions.
    High,
    /// Loss of funds, now.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gas => "gas",
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// How far a rule is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Maturity {
    /// Judged and journalled; may alert, may never ask for a pause.
    Experimental,
    /// May ask for a pause.
    Stable,
    /// Kept so that its id is not used again; never evaluated.
    Retired,
}

impl fmt::Display for Maturity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Experimental => "experimental",
            Self::Stable => "stable",
            Self::Retired => "retired",
        })
    }
}

/// What firing means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    /// A hard invariant is broken; enough on its own.
    Hard,
    /// A hint that needs another one.
    #[default]
    Soft,
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
        })
    }
}

/// What a test expects of its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// The condition is true.
    Fires,
    /// The condition is false.
    Silent,
    /// The condition cannot be told from these facts.
    Unknown,
}

/// A fact's value as a test writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FactLiteral {
    Bool(bool),
    Uint(u128),
    /// A text, an address, an amount such as `eth(5)` or many digits, `at least` and an amount, or the word `unknown`.
    Text(String),
}

impl<'de> Deserialize<'de> for FactLiteral {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Literal;
        impl Visitor<'_> for Literal {
            type Value = FactLiteral;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "true, false, a whole number, an amount such as `eth(5)`, a text, or `unknown`",
                )
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<FactLiteral, E> {
                Ok(FactLiteral::Bool(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<FactLiteral, E> {
                Ok(FactLiteral::Uint(value.into()))
            }

            fn visit_u128<E: de::Error>(self, value: u128) -> Result<FactLiteral, E> {
                Ok(FactLiteral::Uint(value))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<FactLiteral, E> {
                Err(E::custom("amounts are never negative"))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<FactLiteral, E> {
                Err(E::custom(
                    "amounts are whole numbers; write large ones in quotes, or with a unit as in `eth(0.5)`",
                ))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<FactLiteral, E> {
                Ok(FactLiteral::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Literal)
    }
}

impl JsonSchema for FactLiteral {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FactLiteral".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A fact's value: a truth value, a whole number, an amount such as `eth(5)`, a text, an address, or `unknown`.",
            "anyOf": [{ "type": "boolean" }, { "type": "integer", "minimum": 0 }, { "type": "string" }]
        })
    }
}

/// The JSON schema of a rule pack file, as committed in `docs/schemas/rule-pack.schema.json`.
pub fn pack_schema() -> serde_json::Value {
    schemars::schema_for!(PackFile).to_value()
}
