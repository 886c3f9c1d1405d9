//! All loaded rules, indexed by the facts without which they cannot fire.

mod index;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use self::index::Index;
use crate::condition::{Trigger, Truth};
use crate::error::PackError;
use crate::facts::{FactTable, Sight, Subject, Value};
use crate::message::show;
use crate::pack::{EvidenceKind, Maturity, Pack, Rule, Severity};
use crate::question::{Instance, Question, Trail};

/// What one rule has to say about one subject; silent rules say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Name of the pack.
    pub pack: String,
    /// Id of the rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// How far the rule is trusted.
    pub maturity: Maturity,
    /// Kind of attack.
    pub class: String,
    /// Whether firing proves a broken invariant.
    pub evidence: EvidenceKind,
    /// Fired, or could not tell.
    pub outcome: AnswerOutcome,
}

/// Fired, or could not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerOutcome {
    /// The condition is true.
    Fires {
        /// The rule's message with the values in it.
        message: String,
        /// The clauses that held, each with the values it read.
        because: Vec<String>,
    },
    /// The condition is neither true nor false.
    Unknown {
        /// The facts that were missing; a clause whose arithmetic left 256 bits stands here by its text.
        facts: Vec<String>,
    },
}

/// Rules of any number of packs, ready to be asked. Share it in an `Arc`.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<Entry>,
    indexes: BTreeMap<Subject, Index>,
    /// Questions of all rules, without repetition.
    questions: Vec<Question>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pack: String,
    origin: String,
    pub(crate) rule: Rule,
    /// Places of the rule's questions among those of the set.
    pub(crate) places: Vec<usize>,
    /// Facts each of which settles the condition where it is missed, best one first.
    pub(crate) triggers: Vec<Trigger>,
    /// Places of questions each of which settles the condition where its answer is zero.
    pub(crate) asked_triggers: Vec<usize>,
}

impl RuleSet {
    /// Joins packs.
    ///
    /// # Errors
    /// [`PackError::Duplicate`] where two rules share an id, [`PackError::Dictionaries`] where two packs were checked
    /// against different facts.
    pub fn new(packs: Vec<Pack>) -> Result<Self, PackError> {
        let mut set = Self::default();
        for pack in packs {
            for rule in pack.rules() {
                let is_fact =
                    |trigger: &&Trigger| trigger.position < rule.dictionary().specs().len();
                let entry = Entry {
                    pack: pack.name().to_owned(),
                    origin: pack.origin().to_owned(),
                    rule: rule.clone(),
                    places: Vec::new(),
                    triggers: rule.condition().triggers().iter().filter(is_fact).copied().collect(),
                    asked_triggers: Vec::new(),
                };
                set.add(entry)?;
            }
        }
        set.join_questions();
        set.build_indexes();
        Ok(set)
    }

    /// How many rules there are, retired ones included.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// All rules with the name of their pack.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.rules.iter().map(|entry| (entry.pack.as_str(), &entry.rule))
    }

    /// What the rules ask beyond the facts, without repetition; replies are known by their place here.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// Blocks that the longest window looks back over; 0 where there is none.
    pub fn reach_blocks(&self) -> u64 {
        let blocks = self.questions.iter().filter_map(|question| match question {
            Question::Window(window) => Some(window.blocks),
            _ => None,
        });
        blocks.max().unwrap_or(0)
    }

    /// Whether any rule that is not retired is about `subject`.
    pub fn is_about(&self, subject: Subject) -> bool {
        self.indexes.contains_key(&subject)
    }

    /// The questions, by their place in [`RuleSet::questions`], whose answers could make a rule about `contract` fire
    /// where the facts are `facts` and the transaction left `trail` on the contract; none where these alone settle every
    /// rule.
    pub fn wanted(
        &self,
        facts: &FactTable,
        contract: &[u8; 20],
        trail: Option<&Trail>,
    ) -> Vec<usize> {
        let mut wanted = Vec::new();
        let Some(index) = self.indexes.get(&Subject::Transaction) else { return wanted };
        let sight = Sight::of(facts);
        index.for_each_asking(&self.rules, facts, trail, |number| {
            let entry = &self.rules[number];
            if entry.rule.is_about(contract)
                && !self.is_settled(entry, trail)
                && entry.rule.condition().evaluate(&sight) != Truth::False
            {
                wanted.extend_from_slice(&entry.places);
            }
        });
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// Asks every rule of `subject`; only those that fire or cannot tell answer, in the order they were loaded. What
    /// rules ask beyond the facts is unknown.
    ///
    /// `facts` belongs to the dictionary against which the packs were checked.
    pub fn evaluate(&self, subject: Subject, facts: &FactTable) -> Vec<Answer> {
        self.evaluate_on(subject, facts, &[])
    }

    /// As [`RuleSet::evaluate`], with what is known of the contracts that are touched. A rule that asks questions is
    /// evaluated for each of them that it is about, and fires if it fires for one.
    pub fn evaluate_on(
        &self,
        subject: Subject,
        facts: &FactTable,
        instances: &[Instance],
    ) -> Vec<Answer> {
        let Some(index) = self.indexes.get(&subject) else { return Vec::new() };
        let awake = index.awake(&self.rules, facts, instances);
        awake
            .into_iter()
            .filter_map(|number| {
                let entry = &self.rules[number];
                let (truth, instance) = self.ask(entry, facts, instances);
                (truth != Truth::False).then(|| self.answer(entry, truth, facts, instance))
            })
            .collect()
    }

    /// Whether a question whose zero makes the rule false is answered by zero.
    fn is_settled(&self, entry: &Entry, trail: Option<&Trail>) -> bool {
        let is_zero = |trail: &Trail| {
            entry.asked_triggers.iter().any(|place| trail.settles(&self.questions[*place]))
        };
        trail.is_some_and(is_zero)
    }

    fn ask<'i>(
        &self,
        entry: &Entry,
        facts: &FactTable,
        instances: &'i [Instance],
    ) -> (Truth, Option<&'i Instance>) {
        let condition = entry.rule.condition();
        let plain = condition.evaluate(&Sight::of(facts));
        if entry.places.is_empty() || plain == Truth::False || instances.is_empty() {
            return (plain, None);
        }
        let mut strongest = (Truth::False, None);
        for instance in instances.iter().filter(|one| entry.rule.is_about(&one.contract)) {
            if self.is_settled(entry, instance.trail.as_ref()) {
                continue;
            }
            let is_there = |place: &usize| !matches!(instance.replies.get(*place), Some(None));
            if !entry.places.iter().all(is_there) {
                continue;
            }
            let sight = Sight::with(facts, Some(&instance.replies), &entry.places);
            let truth = condition.evaluate(&sight);
            if truth > strongest.0 {
                strongest = (truth, Some(instance));
            }
        }
        strongest
    }

    /// What one rule of the set comes to, with the clauses that held, or the facts that are missing.
    pub(crate) fn explain(
        &self,
        rule: &Rule,
        facts: &FactTable,
        instances: &[Instance],
    ) -> (Truth, Vec<String>) {
        let Some(entry) = self.rules.iter().find(|entry| entry.rule.id() == rule.id()) else {
            return (Truth::Unknown, vec![format!("the rule `{}`", rule.id())]);
        };
        let (truth, instance) = self.ask(entry, facts, instances);
        let replies = instance.map(|instance| &instance.replies);
        let (sight, dictionary) = (Sight::with(facts, replies, &entry.places), rule.dictionary());
        let said = match truth {
            Truth::True => rule.condition().because(&sight, dictionary),
            Truth::Unknown => rule.condition().unknown(&sight, dictionary),
            Truth::False => Vec::new(),
        };
        (truth, said)
    }

    fn answer(
        &self,
        entry: &Entry,
        truth: Truth,
        facts: &FactTable,
        instance: Option<&Instance>,
    ) -> Answer {
        let rule = &entry.rule;
        let dictionary = rule.dictionary();
        let replies = instance.map(|instance| &instance.replies);
        let facts = &Sight::with(facts, replies, &entry.places);
        let about = instance.map(|one| show(&Value::Address(one.contract), ""));
        let outcome = if truth == Truth::True {
            AnswerOutcome::Fires {
                message: rule.message().render(facts, dictionary),
                because: about
                    .map(|contract| format!("contract {contract}"))
                    .into_iter()
                    .chain(rule.condition().because(facts, dictionary))
                    .collect(),
            }
        } else {
            AnswerOutcome::Unknown { facts: rule.condition().unknown(facts, dictionary) }
        };
        Answer {
            pack: entry.pack.clone(),
            rule: rule.id().to_owned(),
            severity: rule.severity(),
            maturity: rule.maturity(),
            class: rule.class().to_owned(),
            evidence: rule.evidence(),
            outcome,
        }
    }

    fn add(&mut self, entry: Entry) -> Result<(), PackError> {
        for known in &self.rules {
            if known.rule.id() == entry.rule.id() {
                return Err(PackError::Duplicate {
                    rule: entry.rule.id().to_owned(),
                    first: known.origin.clone(),
                    second: entry.origin,
                });
            }
        }
        let same_subject =
            self.rules.iter().find(|known| known.rule.subject() == entry.rule.subject());
        if let Some(known) = same_subject {
            let names = |rule: &Rule| {
                rule.dictionary()
                    .specs()
                    .iter()
                    .map(|spec| (spec.name, spec.ty))
                    .collect::<Vec<_>>()
            };
            if names(&known.rule) != names(&entry.rule) {
                return Err(PackError::Dictionaries {
                    subject: entry.rule.subject(),
                    first: known.origin.clone(),
                    second: entry.origin,
                });
            }
        }
        self.rules.push(entry);
        Ok(())
    }

    fn join_questions(&mut self) {
        let mut places: BTreeMap<Question, usize> = BTreeMap::new();
        for entry in &mut self.rules {
            if entry.rule.maturity() == Maturity::Retired {
                continue;
            }
            for question in entry.rule.questions() {
                let next = places.len();
                let place = *places.entry(question.clone()).or_insert(next);
                if place == next {
                    self.questions.push(question.clone());
                }
                entry.places.push(place);
            }
            let n_facts = entry.rule.dictionary().specs().len();
            let asked = entry.rule.condition().triggers().iter();
            let asked = asked.filter_map(|trigger| trigger.position.checked_sub(n_facts));
            entry.asked_triggers =
                asked.filter_map(|question| entry.places.get(question).copied()).collect();
        }
    }

    fn build_indexes(&mut self) {
        for (number, entry) in self.rules.iter().enumerate() {
            if entry.rule.maturity() != Maturity::Retired {
                let index = self.indexes.entry(entry.rule.subject()).or_default();
                index.add(number, entry, &self.questions);
            }
        }
        self.indexes.values_mut().for_each(Index::settle);
    }
}
