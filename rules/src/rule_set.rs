//! All loaded rules, indexed by the facts without which they cannot fire.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::condition::Truth;
use crate::error::PackError;
use crate::facts::{FactTable, Subject, Value};
use crate::pack::{EvidenceKind, Maturity, Pack, Rule, Severity};

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
}

#[derive(Debug, Clone)]
struct Entry {
    pack: String,
    origin: String,
    rule: Rule,
}

/// The rules of one subject that are evaluated at all.
#[derive(Debug, Clone, Default)]
struct Index {
    /// Rules that nothing but their condition can settle.
    always: Vec<usize>,
    /// Rules that cannot fire while the fact at this position is false or zero.
    behind: Vec<(usize, Vec<usize>)>,
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
                let entry = Entry {
                    pack: pack.name().to_owned(),
                    origin: pack.origin().to_owned(),
                    rule: rule.clone(),
                };
                set.add(entry)?;
            }
        }
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

    /// Asks every rule of `subject`; only those that fire or cannot tell answer, in the order they were loaded.
    ///
    /// `facts` belongs to the dictionary against which the packs were checked.
    pub fn evaluate(&self, subject: Subject, facts: &FactTable) -> Vec<Answer> {
        let Some(index) = self.indexes.get(&subject) else { return Vec::new() };
        let mut awake: Vec<(usize, Truth)> = Vec::new();
        self.ask(&index.always, facts, &mut awake);
        for (position, rules) in &index.behind {
            if !is_false_or_zero(facts.value(*position)) {
                self.ask(rules, facts, &mut awake);
            }
        }
        awake.sort_unstable_by_key(|(rule, _)| *rule);
        awake
            .into_iter()
            .map(|(rule, truth)| self.answer(&self.rules[rule], truth, facts))
            .collect()
    }

    fn ask(&self, rules: &[usize], facts: &FactTable, awake: &mut Vec<(usize, Truth)>) {
        for rule in rules {
            let truth = self.rules[*rule].rule.condition().evaluate(facts);
            if truth != Truth::False {
                awake.push((*rule, truth));
            }
        }
    }

    fn answer(&self, entry: &Entry, truth: Truth, facts: &FactTable) -> Answer {
        let rule = &entry.rule;
        let dictionary = rule.dictionary();
        let outcome = if truth == Truth::True {
            AnswerOutcome::Fires {
                message: rule.message().render(facts, dictionary),
                because: rule.condition().because(facts, dictionary),
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

    fn build_indexes(&mut self) {
        for (number, entry) in self.rules.iter().enumerate() {
            if entry.rule.maturity() == Maturity::Retired {
                continue;
            }
            let index = self.indexes.entry(entry.rule.subject()).or_default();
            match entry.rule.condition().triggers().first() {
                None => index.always.push(number),
                Some(trigger) => {
                    match index.behind.iter_mut().find(|(position, _)| position == trigger) {
                        Some((_, rules)) => rules.push(number),
                        None => index.behind.push((*trigger, vec![number])),
                    }
                }
            }
        }
    }
}

fn is_false_or_zero(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Uint(value) => value.is_zero(),
        Value::Unknown | Value::Text(_) | Value::Address(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, AnswerOutcome, RuleSet};
    use crate::error::PackError;
    use crate::facts::{Dictionary, Subject, Value};
    use crate::pack::Pack;
    use crate::sample::{all, facts, uint_value};

    fn pack(name: &str, rules: &[(&str, &str, &str)]) -> Pack {
        let rules = rules.iter().fold(String::new(), |text, (id, maturity, when)| {
            text + &format!(
                "\n  - {{ id: {id}, subject: transaction, severity: high, maturity: {maturity}, class: c, why: w, \
                 when: '{when}', message: 'at {{depth}}' }}"
            )
        });
        Pack::parse(
            &format!("pack: {name}\nversion: 1.0.0\nengine: 1\nauthor: a\nrules:{rules}"),
            name,
            &all(),
        )
        .unwrap()
    }

    fn ids(answers: &[Answer]) -> Vec<&str> {
        answers.iter().map(|answer| answer.rule.as_str()).collect()
    }

    #[test]
    fn only_rules_that_fire_or_cannot_tell_answer_in_load_order() {
        let set = RuleSet::new(vec![
            pack(
                "one",
                &[("a", "stable", "depth > 5"), ("b", "stable", "touches_protected && frames > 1")],
            ),
            pack(
                "two",
                &[
                    ("c", "experimental", "frames < 9"),
                    ("d", "retired", "frames < 9"),
                    ("e", "stable", "depth > 100"),
                ],
            ),
        ])
        .unwrap();
        assert_eq!(set.len(), 5);
        let answers = set.evaluate(
            Subject::Transaction,
            &facts([
                ("depth", uint_value(7)),
                ("frames", uint_value(2)),
                ("touches_protected", Value::Unknown),
            ]),
        );
        assert_eq!(ids(&answers), ["a", "b", "c"]);
        assert_eq!(answers[0].pack, "one");
        assert_eq!(
            answers[0].outcome,
            AnswerOutcome::Fires {
                message: "at 7".to_owned(),
                because: vec!["depth > 5 (depth = 7)".to_owned()]
            }
        );
        assert_eq!(
            answers[1].outcome,
            AnswerOutcome::Unknown { facts: vec!["touches_protected".to_owned()] }
        );
        assert!(set.evaluate(Subject::Function, &facts([])).is_empty());
    }

    #[test]
    fn the_index_never_changes_an_answer() {
        let set = RuleSet::new(vec![pack(
            "one",
            &[
                ("a", "stable", "touches_protected && depth > 5"),
                ("b", "stable", "creates > 0 && depth > 5"),
                ("c", "stable", "depth > 5 || touches_protected"),
                ("d", "stable", "!touches_protected"),
                ("e", "stable", "creates == 0"),
            ],
        )])
        .unwrap();
        let values = [Value::Unknown, Value::Bool(false), Value::Bool(true)];
        let counts = [Value::Unknown, uint_value(0), uint_value(6)];
        for touches in &values {
            for creates in &counts {
                for depth in &counts {
                    let facts = facts([
                        ("touches_protected", touches.clone()),
                        ("creates", creates.clone()),
                        ("depth", depth.clone()),
                    ]);
                    let indexed = set.evaluate(Subject::Transaction, &facts);
                    let plain: Vec<&str> = set
                        .rules()
                        .filter(|(_, rule)| {
                            rule.condition().evaluate(&facts) != crate::condition::Truth::False
                        })
                        .map(|(_, rule)| rule.id())
                        .collect();
                    assert_eq!(ids(&indexed), plain, "{facts:?}");
                }
            }
        }
    }

    #[test]
    fn one_id_has_one_rule_and_one_subject_has_one_dictionary() {
        let twice = RuleSet::new(vec![
            pack("one", &[("a", "stable", "depth > 5")]),
            pack("two", &[("a", "stable", "depth > 6")]),
        ]);
        let Err(PackError::Duplicate { rule, first, second }) = twice else { panic!("duplicate") };
        assert_eq!((rule.as_str(), first.as_str(), second.as_str()), ("a", "one", "two"));

        let specs: Vec<_> = all()[0].specs().iter().rev().copied().collect();
        let other = Dictionary::new(Subject::Transaction, [specs.as_slice()]);
        let text = "{ pack: two, version: 1.0.0, engine: 1, author: a, rules: [{ id: b, subject: transaction, severity: low, \
                    maturity: stable, class: c, why: w, when: depth > 5, message: m }] }";
        let two = Pack::parse(text, "two", &[other]).unwrap();
        let mixed = RuleSet::new(vec![pack("one", &[("a", "stable", "depth > 5")]), two]);
        assert!(matches!(
            mixed,
            Err(PackError::Dictionaries { subject: Subject::Transaction, .. })
        ));
    }

    #[test]
    fn a_set_is_shared_between_threads() {
        fn shared<T: Send + Sync + 'static>(_: &T) {}
        shared(&RuleSet::default());
        assert!(RuleSet::default().is_empty());
    }
}
