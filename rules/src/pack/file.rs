//! The shape of a pack file: what YAML may say, and the schema that editors use.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::facts::Subject;

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
    /// Condition in CEL over the facts of the subject.
    pub(super) when: String,
    /// What to say when it fires; `{fact}` is replaced by the fact's value.
    pub(super) message: String,
    /// Honest behaviour that may look like this.
    #[serde(default)]
    pub(super) false_positives: Vec<String>,
    /// At least one that fires and one that stays silent.
    #[serde(default)]
    pub(super) tests: Vec<TestFile>,
}

/// One test of a rule: facts written here, or one transaction of a recording.
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
    /// What the rule must do.
    pub(super) expect: Expectation,
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
    /// A text, an address, an amount such as `eth(5)` or many digits, or the word `unknown`.
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
