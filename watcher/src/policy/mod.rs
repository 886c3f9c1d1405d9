//! What is done about a verdict: a pure function of the evidence and of the orders that stand.
//!
//! A pause needs two things at once: evidence that is worth one, and orders that allow one. The evidence is a broken
//! hard invariant, or a soft rule with a second key: the model or, where there is none, a soft rule of another class.
//! Only stable rules count. The model alone never pauses, and what could not be judged never does.
#![warn(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::float_cmp)]

mod ledger;
#[cfg(test)]
mod tests;

use portcullis_alerting::record::{Decision, Mode, Outcome};
use portcullis_rules::{AnswerOutcome, EvidenceKind, Maturity};

pub use ledger::{Ledger, Limits, Ticket};

use crate::verdict::{self, ModelAnswer, Unjudged, Verdict};

/// The evidence, as far as it decides anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Rules that fired.
    pub fired: Vec<FiredRule>,
    /// The model's part.
    pub model: ModelKey,
    /// Why there is no verdict.
    pub unjudged: Option<Unjudged>,
}

/// A rule that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiredRule {
    /// `pack/rule`.
    pub name: String,
    /// Kind of attack that it speaks of.
    pub class: String,
    /// A broken invariant, or a hint.
    pub evidence: EvidenceKind,
    /// Only stable rules may ask for a pause.
    pub is_stable: bool,
}

/// The model's part in a case.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ModelKey {
    /// No model is configured.
    Absent,
    /// There is one, and it did not answer.
    Silent,
    /// Its probability of harm, 0 to 1.
    Score(f32),
}

/// An order that holds decisions back for a while, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eased {
    /// The sender is on the list of those allowed: what would pause alerts, what would alert is let go.
    Allowed(String),
    /// Operations are planned: what would pause alerts.
    Quiet(String),
}

/// The orders and limits in force when a case is decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// How far the guard may go.
    pub mode: Mode,
    /// Probability from which the model alone is worth an alert.
    pub alert_score: f32,
    /// Probability from which the model is a second key.
    pub pause_score: f32,
    /// Pauses that today's budget still allows.
    pub pauses_left: u32,
    /// Last block of the cool-down after an earlier pause, while it lasts.
    pub cooling_until_block: Option<u64>,
    /// What holds decisions back besides.
    pub eased: Option<Eased>,
    /// A pause on less than a broken hard invariant waits until a person has answered.
    pub asks_people: bool,
}

/// What is decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// What the evidence amounts to.
    pub outcome: Outcome,
    /// What is done under the mode in force.
    pub decision: Decision,
    /// What would be done if armed; equals `decision` when armed.
    pub would_decide: Decision,
    /// One line for people: the evidence, then the order that held it back, if one did.
    pub reason: String,
    /// The pause waits until a person has answered.
    pub awaits_answer: bool,
}

impl From<&Verdict> for Case {
    fn from(verdict: &Verdict) -> Self {
        let fired = verdict
            .answers
            .iter()
            .filter(|answer| matches!(answer.outcome, AnswerOutcome::Fires { .. }))
            .map(|answer| FiredRule {
                name: verdict::name(answer),
                class: answer.class.clone(),
                evidence: answer.evidence,
                is_stable: answer.maturity == Maturity::Stable,
            })
            .collect();
        let model = match &verdict.model {
            ModelAnswer::NotConfigured => ModelKey::Absent,
            ModelAnswer::NotAsked | ModelAnswer::Failed { .. } => ModelKey::Silent,
            ModelAnswer::Answered(evidence) => {
                evidence.probability.map_or(ModelKey::Silent, ModelKey::Score)
            }
        };
        Self { fired, model, unjudged: verdict.unjudged.clone() }
    }
}

/// Decides a case.
pub fn decide(case: &Case, standing: &Standing) -> Ruling {
    let Weight { outcome, asks_for, is_hard, mut reason } = weigh(case, standing);
    let mut would_decide = asks_for;
    if asks_for == Decision::Pause {
        let held_back = if standing.pauses_left == 0 {
            Some("today's budget of pauses is used up".to_owned())
        } else {
            standing
                .cooling_until_block
                .map(|block| format!("cooling down after a pause until block {block}"))
        };
        if let Some(held_back) = held_back {
            would_decide = Decision::Alert;
            reason = format!("{reason}; alert only: {held_back}");
        }
    }
    let eased = match &standing.eased {
        Some(Eased::Allowed(why)) if case.unjudged.is_none() => match would_decide {
            Decision::Pause => Some((Decision::Alert, format!("the sender is allowed: {why}"))),
            Decision::Alert => Some((Decision::None, format!("the sender is allowed: {why}"))),
            Decision::None => None,
        },
        Some(Eased::Quiet(why)) if would_decide == Decision::Pause => {
            Some((Decision::Alert, format!("operations are planned: {why}")))
        }
        _ => None,
    };
    if let Some((instead, why)) = eased {
        would_decide = instead;
        let words = if instead == Decision::Alert { "alert only" } else { "let go" };
        reason = format!("{reason}; {words}: {why}");
    }
    let allowed = match standing.mode {
        Mode::Observe => Decision::None,
        Mode::Alert => Decision::Alert,
        Mode::Armed => Decision::Pause,
    };
    let decision = would_decide.min(allowed);
    let awaits_answer = decision == Decision::Pause && standing.asks_people && !is_hard;
    if awaits_answer {
        reason.push_str("; waits for a person's answer");
    }
    Ruling { outcome, decision, would_decide, reason, awaits_answer }
}

/// What the evidence is worth, whatever the orders are.
struct Weight {
    outcome: Outcome,
    asks_for: Decision,
    /// A hard invariant is broken: nobody is asked, for by the time of an answer it is too late.
    is_hard: bool,
    reason: String,
}

fn weigh(case: &Case, standing: &Standing) -> Weight {
    let weight = |outcome, asks_for, reason| Weight { outcome, asks_for, is_hard: false, reason };
    match &case.unjudged {
        // On this head it can do no harm, and once it can it is judged again. What there was no room for is counted
        // and told as a number: an alert for each would add to the flood.
        Some(unjudged @ (Unjudged::NotMinable { .. } | Unjudged::NotJudged { .. })) => {
            return weight(Outcome::Unknown, Decision::None, unjudged.to_string());
        }
        Some(unjudged) => return weight(Outcome::Unknown, Decision::Alert, unjudged.to_string()),
        None => {}
    }
    let stable =
        |kind| case.fired.iter().filter(move |rule| rule.is_stable && rule.evidence == kind);
    if let Some(hard) = stable(EvidenceKind::Hard).next() {
        return Weight {
            outcome: Outcome::Attack,
            asks_for: Decision::Pause,
            is_hard: true,
            reason: format!("hard invariant broken: {}", hard.name),
        };
    }
    if let Some(soft) = stable(EvidenceKind::Soft).next() {
        let other_class = || stable(EvidenceKind::Soft).find(|other| other.class != soft.class);
        let (second_key, missing) = match case.model {
            ModelKey::Score(score) if score >= standing.pause_score => {
                (Some(format!("the model's {score:.3}")), String::new())
            }
            ModelKey::Score(score) => {
                (None, format!("the model's {score:.3} is below {:.3}", standing.pause_score))
            }
            ModelKey::Silent => (None, "the model did not answer".to_owned()),
            ModelKey::Absent => (
                other_class().map(|other| {
                    format!("{} of another class, as no model is configured", other.name)
                }),
                "no model is configured and no stable rule of another class fired".to_owned(),
            ),
        };
        return match second_key {
            Some(key) => weight(
                Outcome::Attack,
                Decision::Pause,
                format!("{} with a second key: {key}", soft.name),
            ),
            None => weight(
                Outcome::Suspicious,
                Decision::Alert,
                format!("{} without a second key: {missing}", soft.name),
            ),
        };
    }
    if let Some(rule) = case.fired.first() {
        return weight(
            Outcome::Suspicious,
            Decision::Alert,
            format!("{}, which is not stable", rule.name),
        );
    }
    match case.model {
        ModelKey::Score(score) if score >= standing.alert_score => weight(
            Outcome::Suspicious,
            Decision::Alert,
            format!("the model's {score:.3} alone; a model alone never pauses"),
        ),
        _ => weight(Outcome::Clear, Decision::None, "nothing fired".to_owned()),
    }
}
