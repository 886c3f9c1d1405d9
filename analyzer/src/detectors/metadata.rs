//! What is known of a detector before it runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad it is if a finding is true.
///
/// Ordered by weight: `gas` is the least.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Costs gas, harms nobody.
    Gas,
    /// Worth knowing.
    Info,
    /// Unlikely to harm, or harms little.
    Low,
    /// Harms under conditions.
    Medium,
    /// Funds or control can be lost.
    High,
    /// Funds or control can be lost to anyone, with one call.
    Critical,
}

impl Severity {
    /// All severities, the heaviest first.
    pub const ALL: [Severity; 6] = [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
        Severity::Info,
        Severity::Gas,
    ];

    /// The word that users write and read.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Gas => "gas",
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// How sure a finding is to be true.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Something that decides it could not be seen.
    Low,
    /// The evidence is there, an unusual protection may not have been recognised.
    Medium,
    /// Every step was seen in the source.
    High,
}

impl Confidence {
    /// The word that users write and read.
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }
}

/// Identity and page of a detector.
#[derive(Debug)]
pub struct Metadata {
    /// The id that findings carry; never reused.
    pub id: &'static str,
    /// Name of the type, which SARIF shows as the rule's name.
    pub name: &'static str,
    /// How bad its findings are.
    pub severity: Severity,
    /// How sure they are unless the facts say otherwise.
    pub confidence: Confidence,
    /// First version that had it.
    pub since: &'static str,
    /// Ids of the same weakness in Slither.
    pub slither: &'static [&'static str],
    /// Ids of the same weakness in the SWC registry.
    pub swc: &'static [&'static str],
    /// The page as written in its doc comment, one leading space per line; see [`Page`](super::Page).
    pub doc: &'static str,
}
