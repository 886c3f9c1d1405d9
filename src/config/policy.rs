//! `[policy]`: when a verdict becomes an alert or a pause.

use alloy::primitives::Address;
use portcullis_watcher::settings;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Moment, Protected};

/// Longest time that a pause waits for people, seconds: their answers are good for no longer.
const LONGEST_WAIT_S: u64 = 86_400;

/// When a verdict becomes an alert or a pause.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Policy {
    /// Model probability from which a transaction is worth an alert, 0 to 1.
    pub alert_score: f32,
    /// Model probability that may serve as the second key of a pause, 0 to 1; default: the model's own.
    pub pause_score: Option<f32>,
    /// Most pauses per day, over all chains.
    pub max_pauses_per_day: u32,
    /// Blocks after a pause in which the same contract is not paused again.
    pub cooldown_blocks: u64,
    /// How long the nodes may take to confirm what a pause is decided on, milliseconds. A majority of those configured
    /// must (both of two); otherwise it is an alert.
    pub confirm_within_ms: u64,
    /// What is done where no pause stops the whole attack.
    pub when_pause_leaks: WhenPauseLeaks,
    /// Days in a row on which the chain was judged and nothing would have been paused; `armed` runs as `alert` until
    /// the journal holds so many. 0 honours it at once.
    pub arm_after_clean_days: u32,
    /// Why `armed` is honoured without them; journalled at each start.
    pub arm_override: Option<String>,
    /// Senders whose transactions pause nothing for a while, and alert only where they would have paused.
    pub allow: Vec<Allow>,
    /// Times of planned operations: alerts are given, nothing is paused.
    pub quiet: Vec<Quiet>,
    /// People who are asked before a pause on less than a broken hard invariant; without this table nobody is.
    pub approval: Option<Approval>,
}

/// People who are asked before a pause on less than a broken hard invariant: a rule of lower certainty and its second
/// key. They answer with `portcullis guardian answer`, or with any wallet, at the address under `[http]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approval {
    /// Accounts whose signed answers count; the first answer decides.
    #[schemars(with = "Vec<String>")]
    pub signers: Vec<Address>,
    /// How long a pause waits for an answer, seconds.
    #[serde(default = "wait_s")]
    pub wait_s: u64,
    /// What is done where nobody answers in time: `alert` (default) pauses nothing, `pause` fires it.
    #[serde(default)]
    pub without_answer: WithoutAnswer,
}

fn wait_s() -> u64 {
    120
}

/// What is done where nobody answers in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WithoutAnswer {
    /// Nothing is paused.
    #[default]
    Alert,
    /// The pause is fired.
    Pause,
}

/// A sender whose transactions pause nothing for a while.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allow {
    /// The account that sends them.
    #[schemars(with = "String")]
    pub sender: Address,
    /// Name of a protected entry; default: all.
    pub protected: Option<String>,
    /// When it ends.
    pub until: Moment,
    /// Why; told with each verdict that it changes.
    pub reason: String,
}

/// A time of planned operations.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quiet {
    /// Name of a protected entry; default: all.
    pub protected: Option<String>,
    /// When it begins.
    pub from: Moment,
    /// When it ends.
    pub until: Moment,
    /// Why; told with each verdict that it changes.
    pub reason: String,
}

impl Policy {
    /// The first value that cannot be: its key and what is wrong.
    pub(super) fn problem(
        &self,
        protected: &[Protected],
        is_served: bool,
    ) -> Option<(String, String)> {
        let problem = |key: &str, words: &str| Some((format!("policy.{key}"), words.to_owned()));
        if self.confirm_within_ms == 0 {
            return problem("confirm_within_ms", "expected more than 0");
        }
        if self.arm_override.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
            return problem("arm_override", "expected a reason");
        }
        if let Some(approval) = &self.approval {
            if approval.signers.is_empty() {
                return problem("approval.signers", "expected at least one account");
            }
            if !(1..=LONGEST_WAIT_S).contains(&approval.wait_s) {
                return problem("approval.wait_s", "expected 1 to 86400 seconds");
            }
            if !is_served {
                return problem(
                    "approval",
                    "people answer at the address of [http]; add that table",
                );
            }
        }
        let names = (self.allow.iter().enumerate())
            .map(|(i, allow)| (format!("allow[{i}].protected"), &allow.protected))
            .chain(
                (self.quiet.iter().enumerate())
                    .map(|(i, quiet)| (format!("quiet[{i}].protected"), &quiet.protected)),
            );
        for (key, name) in names {
            if let Some(name) = name
                && protected.iter().all(|entry| entry.name != *name)
            {
                return problem(&key, &format!("no protected entry is named `{name}`"));
            }
        }
        let backwards = self.quiet.iter().position(|quiet| quiet.until <= quiet.from);
        backwards
            .and_then(|i| problem(&format!("quiet[{i}].until"), "expected a time after `from`"))
    }
}

/// What is done where no pause stops the whole attack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WhenPauseLeaks {
    /// People are told, and nothing is fired.
    #[default]
    Alert,
    /// The pause that leaves the attack least is fired, where that is less than it takes without.
    Fire,
}

impl Default for Policy {
    fn default() -> Self {
        let settings = settings::PolicySettings::default();
        Self {
            alert_score: settings.alert_score,
            pause_score: settings.pause_score,
            max_pauses_per_day: settings.max_pauses_per_day,
            cooldown_blocks: settings.cooldown_blocks,
            confirm_within_ms: settings.confirm_within_ms,
            when_pause_leaks: WhenPauseLeaks::default(),
            arm_after_clean_days: settings.arm_after_clean_days,
            arm_override: None,
            allow: Vec::new(),
            quiet: Vec::new(),
            approval: None,
        }
    }
}

impl From<&Policy> for settings::PolicySettings {
    fn from(policy: &Policy) -> Self {
        Self {
            alert_score: policy.alert_score,
            pause_score: policy.pause_score,
            max_pauses_per_day: policy.max_pauses_per_day,
            cooldown_blocks: policy.cooldown_blocks,
            confirm_within_ms: policy.confirm_within_ms,
            when_pause_leaks: match policy.when_pause_leaks {
                WhenPauseLeaks::Alert => settings::WhenPauseLeaks::Alert,
                WhenPauseLeaks::Fire => settings::WhenPauseLeaks::Fire,
            },
            arm_after_clean_days: policy.arm_after_clean_days,
            arm_override: policy.arm_override.clone(),
            allow: policy
                .allow
                .iter()
                .map(|allow| settings::Allowed {
                    sender: allow.sender,
                    protected: allow.protected.clone(),
                    until_ms: allow.until.at_ms,
                    reason: allow.reason.clone(),
                })
                .collect(),
            quiet: policy
                .quiet
                .iter()
                .map(|quiet| settings::QuietWindow {
                    protected: quiet.protected.clone(),
                    from_ms: quiet.from.at_ms,
                    until_ms: quiet.until.at_ms,
                    reason: quiet.reason.clone(),
                })
                .collect(),
            approval: policy.approval.as_ref().map(|approval| settings::ApprovalSettings {
                signers: approval.signers.clone(),
                wait_ms: approval.wait_s.saturating_mul(1_000),
                without_answer: match approval.without_answer {
                    WithoutAnswer::Alert => settings::WithoutAnswer::Alert,
                    WithoutAnswer::Pause => settings::WithoutAnswer::Pause,
                },
            }),
        }
    }
}
