//! `[policy]`: when a verdict becomes an alert or a pause.

use portcullis_watcher::settings;
use schemars::JsonSchema;
use serde::Deserialize;

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
        }
    }
}
