//! Rules and models asked about one transaction, their answers kept with reasons.
//!
//! The room weighs nothing: what the answers together are worth is for [`crate::policy`] to say.

#[cfg(test)]
pub(crate) mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use portcullis_alerting::record::{ModelEvidence, RuleEvidence};
use portcullis_models::drift::{Drift, Moved};
use portcullis_models::{Model, ModelError, Vector};
use portcullis_rules::{Answer, AnswerOutcome, FactTable, RuleSet, Subject, question::Instance};

use crate::facts::Observation;

/// Features named as the model's reasons.
const CONTRIBUTIONS_SHOWN: usize = 5;

/// Asks the rules, and the model where something protected is touched. Cheap to clone.
#[derive(Clone)]
pub struct Judge {
    rules: Arc<RuleSet>,
    model: Option<Arc<Model>>,
    beside: Beside,
    /// What the model was asked, against what was usual in its training; none where it does not say.
    drift: Option<Arc<Mutex<Drift>>>,
}

/// Models beside the one whose score the policy weighs: none of them can bring a pause about.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Scores fresh contracts, on vectors of the `contract` schema.
    pub contract: Option<Arc<Model>>,
    /// Is asked what the model is asked, so that the two can be compared before it takes over.
    pub shadow: Option<Arc<Model>>,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge")
            .field("rules", &self.rules.len())
            .field("model", &self.model.as_ref().map(|model| model.hash_hex()))
            .field("contract", &self.beside.contract.as_ref().map(|model| model.hash_hex()))
            .field("shadow", &self.beside.shadow.as_ref().map(|model| model.hash_hex()))
            .finish()
    }
}

/// What rules and model say of one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Something protected is touched.
    pub touches_protected: bool,
    /// Rules that fired or could not tell.
    pub answers: Vec<Answer>,
    /// What the model said, or why it did not.
    pub model: ModelAnswer,
    /// Why there is no verdict; never stands for harmless.
    pub unjudged: Option<Unjudged>,
    /// One line each for people, the weightiest first.
    pub reasons: Vec<String>,
}

/// What the model said, or why it did not.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelAnswer {
    /// There is none.
    NotConfigured,
    /// Nothing protected is touched, so it was not asked.
    NotAsked,
    /// It answered; the probability is there.
    Answered(ModelEvidence),
    /// It failed; the probability is not there.
    Failed {
        /// Its error.
        reason: String,
        /// Which model it was.
        evidence: ModelEvidence,
    },
}

/// Why a transaction has no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unjudged {
    /// A stage failed.
    #[error("unknown: {stage}: {reason}")]
    Failed {
        /// `simulate`, `facts`, ...
        stage: &'static str,
        /// What it met.
        reason: String,
    },
    /// There was no room for it.
    #[error("not judged: {reason}")]
    NotJudged {
        /// What was full.
        reason: String,
    },
    /// It cannot be mined on this head, so it cannot do harm on it.
    #[error("not minable on this head: {reason}")]
    NotMinable {
        /// What the machine says.
        reason: String,
    },
}

impl Judge {
    /// A judge with these rules and, or without, a model.
    pub fn new(rules: Arc<RuleSet>, model: Option<Arc<Model>>) -> Self {
        let reference = model.as_ref().and_then(|model| model.reference());
        let drift = reference.map(|reference| Arc::new(Mutex::new(reference.begin())));
        Self { rules, model, beside: Beside::default(), drift }
    }

    /// How far what the model is asked has moved from what was usual in training, each feature and at the end the score;
    /// none before some hundred transactions were judged, or where the model does not say what was usual.
    pub fn drift(&self) -> Option<Vec<Moved>> {
        let model = self.model.as_ref()?;
        let drift = self.drift.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        drift.moved(model.schema())
    }

    /// The same with models beside the one that counts.
    pub fn with(self, beside: Beside) -> Self {
        Self { beside, ..self }
    }

    /// The model's own threshold, where there is a model.
    pub fn model_threshold(&self) -> Option<f32> {
        self.model.as_ref().map(|model| model.threshold())
    }

    /// Whether a model is configured.
    pub fn has_model(&self) -> bool {
        self.model.is_some()
    }

    /// SHA-256 of the model's file, hex; none without a model.
    pub fn model_hash(&self) -> Option<String> {
        self.model.as_ref().map(|model| model.hash_hex())
    }

    /// Number of rules.
    pub fn n_rules(&self) -> usize {
        self.rules.len()
    }

    /// The rules.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// What the rules about fresh contracts say of one.
    pub fn judge_contract(&self, facts: &FactTable) -> Vec<Answer> {
        self.rules.evaluate(Subject::Contract, facts)
    }

    /// Whether anything is asked about fresh contracts: rules, or a model.
    pub fn judges_contracts(&self) -> bool {
        self.beside.contract.is_some() || self.rules.is_about(Subject::Contract)
    }

    /// What the contract model says of a fresh contract, in words, where it is over its threshold.
    ///
    /// # Errors
    /// What the engine said when it failed.
    pub fn score_contract(&self, vector: &Vector) -> Result<Option<String>, ModelError> {
        let Some(model) = &self.beside.contract else { return Ok(None) };
        let score = model.score(vector)?;
        Ok((score.probability >= model.threshold()).then(|| {
            let moved: Vec<String> = score
                .contributions
                .iter()
                .filter(|(_, moved)| *moved > 0.0)
                .filter_map(|(place, moved)| {
                    let feature = vector.schema().features.get(*place)?;
                    Some(format!("{} {moved:+.3}", feature.name))
                })
                .take(CONTRIBUTIONS_SHOWN)
                .collect();
            format!("contract model: probability {:.3} ({})", score.probability, moved.join(", "))
        }))
    }

    /// Asks about one observation; what rules ask beyond its facts is unknown.
    pub fn judge(&self, observation: &Observation) -> Verdict {
        self.judge_on(observation, &[])
    }

    /// Asks about one observation, with what is known of the contracts that it touches.
    pub fn judge_on(&self, observation: &Observation, instances: &[Instance]) -> Verdict {
        let mut verdict = self.weigh(observation, instances);
        self.explain(&mut verdict, observation);
        verdict
    }

    /// As [`Judge::judge_on`], without what only people read: neither reasons nor what moved the model.
    /// [`Judge::explain`] adds them.
    pub fn weigh(&self, observation: &Observation, instances: &[Instance]) -> Verdict {
        let touches_protected = !observation.touched.is_empty();
        let answers = self.rules.evaluate_on(Subject::Transaction, &observation.facts, instances);
        let model = match &self.model {
            None => ModelAnswer::NotConfigured,
            Some(_) if !touches_protected => ModelAnswer::NotAsked,
            Some(model) => ask(model, &observation.vector),
        };
        let unjudged = observation.truncated.then(|| Unjudged::Failed {
            stage: "simulate",
            reason: "the execution is larger than what is recorded, so its facts are unknown"
                .to_owned(),
        });
        Verdict { touches_protected, answers, model, unjudged, reasons: Vec::new() }
    }

    /// Says why a verdict that this judge gave on `observation` is what it is.
    pub fn explain(&self, verdict: &mut Verdict, observation: &Observation) {
        if let (ModelAnswer::Answered(evidence), Some(model)) = (&mut verdict.model, &self.model) {
            let features = observation.vector.schema().features;
            let named = |(place, moved): (usize, f32)| {
                features.get(place).map(|feature| (feature.name.to_owned(), moved))
            };
            evidence.model_hash = model.hash_hex();
            evidence.contributions = model
                .contributions(&observation.vector)
                .into_iter()
                .filter_map(named)
                .take(CONTRIBUTIONS_SHOWN)
                .collect();
        }
        verdict.reasons = reasons(
            &verdict.answers,
            &verdict.model,
            verdict.unjudged.as_ref(),
            verdict.touches_protected,
            self.rules.is_empty(),
        );
        let shadow = self.shadow(&verdict.model, &observation.vector);
        verdict.reasons.extend(shadow);
        if let (ModelAnswer::Answered(evidence), Some(drift)) = (&verdict.model, &self.drift)
            && let Some(probability) = evidence.probability
        {
            let mut drift = drift.lock().unwrap_or_else(PoisonError::into_inner);
            drift.add(&observation.vector, probability);
        }
    }

    /// What the shadow says, where it would decide otherwise than the model does.
    fn shadow(&self, answer: &ModelAnswer, vector: &Vector) -> Option<String> {
        let (shadow, model) = (self.beside.shadow.as_ref()?, self.model.as_ref()?);
        let ModelAnswer::Answered(ModelEvidence { probability: Some(counts), .. }) = answer else {
            return None;
        };
        let hash = shadow.hash_hex();
        let name = hash.get(..8).unwrap_or(&hash);
        match shadow.score(vector) {
            Err(error) => Some(format!("shadow model {name}: failed: {error}")),
            Ok(score) => {
                let flags = score.probability >= shadow.threshold();
                let is_other = flags != (*counts >= model.threshold());
                let would = if flags { "would flag" } else { "would not flag" };
                is_other.then(|| {
                    format!("shadow model {name}: probability {:.3}, {would}", score.probability)
                })
            }
        }
    }

    /// The verdict on a transaction that a stage could not handle.
    pub fn give_up(&self, unjudged: Unjudged) -> Verdict {
        let model =
            if self.has_model() { ModelAnswer::NotAsked } else { ModelAnswer::NotConfigured };
        let reasons = reasons(&[], &model, Some(&unjudged), false, false);
        Verdict {
            touches_protected: false,
            answers: Vec::new(),
            model,
            unjudged: Some(unjudged),
            reasons,
        }
    }
}

impl Verdict {
    /// The model's probability, where it answered.
    pub fn score(&self) -> Option<f32> {
        match &self.model {
            ModelAnswer::Answered(evidence) => evidence.probability,
            _ => None,
        }
    }

    /// The answers as the journal keeps them.
    pub fn rule_evidence(&self) -> Vec<RuleEvidence> {
        let evidence = |answer: &Answer| {
            let (outcome, because) = match &answer.outcome {
                AnswerOutcome::Fires { because, .. } => ("fires", because),
                AnswerOutcome::Unknown { facts } => ("unknown", facts),
            };
            RuleEvidence {
                rule: name(answer),
                severity: word(&answer.severity),
                outcome: outcome.to_owned(),
                because: because.clone(),
            }
        };
        self.answers.iter().map(evidence).collect()
    }

    /// The model's answer as the journal keeps it.
    pub fn model_evidence(&self) -> Option<&ModelEvidence> {
        match &self.model {
            ModelAnswer::Answered(evidence) | ModelAnswer::Failed { evidence, .. } => {
                Some(evidence)
            }
            ModelAnswer::NotConfigured | ModelAnswer::NotAsked => None,
        }
    }
}

/// Pack and rule, `pack/rule`.
pub(crate) fn name(answer: &Answer) -> String {
    format!("{}/{}", answer.pack, answer.rule)
}

fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The probability alone; what moved it is asked for by whoever explains.
fn ask(model: &Model, vector: &Vector) -> ModelAnswer {
    let evidence = |probability, model_hash| ModelEvidence {
        model_hash,
        engine: model.engine_name().to_owned(),
        probability,
        contributions: Vec::new(),
    };
    match model.probability(vector) {
        Ok(probability) => ModelAnswer::Answered(evidence(Some(probability), String::new())),
        Err(error) => ModelAnswer::Failed {
            reason: error.to_string(),
            evidence: evidence(None, model.hash_hex()),
        },
    }
}

fn reasons(
    answers: &[Answer],
    model: &ModelAnswer,
    unjudged: Option<&Unjudged>,
    touches_protected: bool,
    has_no_rules: bool,
) -> Vec<String> {
    let mut reasons: Vec<String> = unjudged.iter().map(ToString::to_string).collect();
    for answer in answers {
        if let AnswerOutcome::Fires { message, .. } = &answer.outcome {
            reasons.push(format!("{}: {message}", name(answer)));
        }
    }
    match model {
        ModelAnswer::Answered(evidence) => {
            let moved: Vec<String> = evidence
                .contributions
                .iter()
                .take(3)
                .map(|(name, moved)| format!("{name} {moved:+.3}"))
                .collect();
            let probability = evidence.probability.unwrap_or_default();
            reasons.push(format!("model: probability {probability:.3} ({})", moved.join(", ")));
        }
        ModelAnswer::Failed { reason, .. } => reasons.push(format!("model: failed: {reason}")),
        ModelAnswer::NotConfigured if touches_protected => {
            reasons.push("model: none is configured".to_owned())
        }
        ModelAnswer::NotConfigured | ModelAnswer::NotAsked => {}
    }
    for answer in answers {
        if let AnswerOutcome::Unknown { facts } = &answer.outcome {
            reasons.push(format!("{}: cannot tell without {}", name(answer), facts.join(", ")));
        }
    }
    if has_no_rules && touches_protected {
        reasons.push("rules: none are loaded".to_owned());
    }
    reasons
}
