//! Plain records that cross into this crate: what was judged, on which evidence, and what was decided.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// How far the guard may go for a protected contract.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Judge and journal only.
    #[default]
    Observe,
    /// Also notify.
    Alert,
    /// Also pause.
    Armed,
}

impl Mode {
    /// Its word in rows, counters and on screens.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Alert => "alert",
            Self::Armed => "armed",
        }
    }
}

/// What the policy decided for one transaction.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Nothing to do.
    None,
    /// Tell people.
    Alert,
    /// Fire the registered pause.
    Pause,
}

impl Decision {
    /// Its word in rows, counters and on screens.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Alert => "alert",
            Self::Pause => "pause",
        }
    }
}

/// What the guard thinks of one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// No rule fired and the model stayed below its alert threshold.
    Clear,
    /// Something fired, but not enough for a pause.
    Suspicious,
    /// Evidence of harm that the policy accepts as an attack.
    Attack,
    /// Could not be judged; never stands for clear.
    Unknown,
}

impl Outcome {
    /// Its word in rows, counters and on screens.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Suspicious => "suspicious",
            Self::Attack => "attack",
            Self::Unknown => "unknown",
        }
    }
}

/// One row per judged transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictRow {
    /// Name of the chain in the configuration.
    pub chain: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Head on top of which the transaction was judged.
    pub block: u64,
    /// Transaction hash, recomputed locally.
    #[schemars(with = "String")]
    pub tx_hash: B256,
    /// Sender, recovered locally.
    #[schemars(with = "String")]
    pub from: Address,
    /// Receiver; none for a contract creation.
    #[schemars(with = "Option<String>")]
    pub to: Option<Address>,
    /// First seen, milliseconds since the Unix epoch.
    pub seen_at_ms: u64,
    /// From first seen to verdict, microseconds.
    pub latency_us: u64,
    /// What the guard thinks.
    pub outcome: Outcome,
    /// What the policy decided under the mode in force.
    pub decision: Decision,
    /// What the policy would have decided if armed; equals `decision` when armed.
    pub would_decide: Decision,
    /// Mode in force.
    pub mode: Mode,
    /// Model probability, where a model was asked and answered.
    pub score: Option<f32>,
    /// One line for people.
    pub reason: String,
    /// First seen in a block: nobody had announced it, or it was mined while the guard was away.
    #[serde(default)]
    pub is_mined: bool,
    /// Names of the protocols that it touches.
    #[serde(default)]
    pub touched: Vec<String>,
    /// Of them, those that would have been paused and are not armed: each is one to look at before arming.
    #[serde(default)]
    pub would_pause: Vec<String>,
    /// Judged while a recording was replayed: it counts for nothing that really happened.
    #[serde(default)]
    pub is_replay: bool,
}

/// Full evidence, kept where it matters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The transaction this belongs to.
    #[schemars(with = "String")]
    pub tx_hash: B256,
    /// Fact name to value, as rules saw them; unknown is JSON null.
    pub facts: BTreeMap<String, serde_json::Value>,
    /// Feature vector as the model saw it, in schema order.
    #[serde(deserialize_with = "numbers_or_null")]
    pub features: Vec<f32>,
    /// SHA-256 of the feature schema, hex.
    pub schema_hash: String,
    /// Every rule that fired or was unknown.
    pub rules: Vec<RuleEvidence>,
    /// The model's answer.
    pub model: Option<ModelEvidence>,
    /// The call tree, one object per frame in pre-order.
    pub call_tree: serde_json::Value,
    /// The counterfactual [pause, attack], where it was run.
    pub counterfactual: Option<Counterfactual>,
}

/// One rule's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleEvidence {
    /// Pack and rule id, `pack/rule`.
    pub rule: String,
    /// Severity as written in the pack.
    pub severity: String,
    /// `fires` or `unknown`.
    pub outcome: String,
    /// The clauses that held, each with the values it read; or the unknown facts.
    pub because: Vec<String>,
}

/// One model's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelEvidence {
    /// SHA-256 of the model file, hex.
    pub model_hash: String,
    /// Which engine answered: `onnxruntime` or `native`.
    pub engine: String,
    /// Probability of harm, 0 to 1; none where the model failed.
    pub probability: Option<f32>,
    /// Features that moved the score most, largest first: (name, contribution).
    #[serde(deserialize_with = "named_numbers_or_null")]
    pub contributions: Vec<(String, f32)>,
}

/// Whether the pause, mined first, stops the attack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counterfactual {
    /// The pause itself succeeded in simulation.
    pub pause_succeeds: bool,
    /// The attack, run after the pause, reverts or takes nothing from the protected contract.
    pub attack_stopped: bool,
    /// One line for people.
    pub detail: String,
}

/// What happened after a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionRow {
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Name of the chain.
    pub chain: String,
    /// The judged transaction that led here.
    #[schemars(with = "String")]
    pub tx_hash: B256,
    /// `alert_delivered`, `alert_failed`, `pause_sent`, `pause_raised`, `pause_mined`, `pause_not_mined`, `pause_stands`, `pause_failed`, `pause_unconfirmed`, `pause_waits`, `pause_approved`, `pause_vetoed`, `pause_unanswered`, `pause_held`, `attack_reverted`, `attack_succeeded`, `key_used`, `gap`, ...
    pub kind: String,
    /// One line for people.
    pub detail: String,
    /// The transaction this action sent, if any.
    #[schemars(with = "Option<String>")]
    pub action_tx_hash: Option<B256>,
}

/// Something that people should have been told and were not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// When it was given up, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Name of the channel; none where there was no room to try any.
    pub channel: Option<String>,
    /// The incident is over, which is what should have been told; otherwise that there is one.
    pub is_over: bool,
    /// The alert, as channels are given it.
    pub alert: serde_json::Value,
    /// Why it was given up.
    pub failure: String,
    /// Attempts made.
    pub attempts: u32,
}

/// JSON has no word for a number that is not one; it is written as null and read back as NaN.
fn numbers_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    let numbers = Vec::<Option<f32>>::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|number| number.unwrap_or(f32::NAN)).collect())
}

fn named_numbers_or_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, f32)>, D::Error> {
    let numbers = Vec::<(String, Option<f32>)>::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|(name, number)| (name, number.unwrap_or(f32::NAN))).collect())
}
