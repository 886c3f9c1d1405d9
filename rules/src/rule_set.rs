//! All loaded rules, indexed by the facts without which they cannot fire.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::condition::Truth;
use crate::error::PackError;
use crate::facts::{FactTable, Sight, Subject, Value};
use crate::message::show;
use crate::pack::{EvidenceKind, Maturity, Pack, Rule, Severity};
use crate::question::{Instance, Question};

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
struct Entry {
    pack: String,
    origin: String,
    rule: Rule,
    /// Places of the rule's questions among those of the set.
    places: Vec<usize>,
    /// Facts any of which, false or zero, settles the condition.
    triggers: Vec<usize>,
}

/// The rules of one subject that are evaluated at all.
#[derive(Debug, Clone, Default)]
struct Index {
    /// Rules that nothing but their condition can settle.
    always: Vec<usize>,
    /// Rules that cannot fire while the fact at this position is false or zero.
    behind: Vec<(usize, Vec<usize>)>,
}

impl Index {
    /// Rules that no fact which they need settles: a rule stands behind the first of those facts, and the others are
    /// looked at before its condition is.
    fn for_each_awake(&self, rules: &[Entry], facts: &FactTable, mut each: impl FnMut(usize)) {
        self.always.iter().copied().for_each(&mut each);
        for (position, numbers) in &self.behind {
            if is_false_or_zero(facts.value(*position)) {
                continue;
            }
            for &number in numbers {
                let others = rules[number].triggers.iter().skip(1);
                if !others.into_iter().any(|other| is_false_or_zero(facts.value(*other))) {
                    each(number);
                }
            }
        }
    }
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
                    places: Vec::new(),
                    triggers: rule.condition().triggers().to_vec(),
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

    /// What the rules ask beyond the facts, without repetition; [`Instance::replies`] come in this order.
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
    /// where the facts are `facts`; none where the facts alone settle every rule.
    pub fn wanted(&self, facts: &FactTable, contract: &[u8; 20]) -> Vec<usize> {
        let mut wanted = Vec::new();
        if self.questions.is_empty() {
            return wanted;
        }
        let sight = Sight::of(facts);
        self.for_each_awake(Subject::Transaction, facts, |number| {
            let Entry { rule, places, .. } = &self.rules[number];
            if !places.is_empty()
                && rule.is_about(contract)
                && rule.condition().evaluate(&sight) != Truth::False
            {
                wanted.extend_from_slice(places);
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
        let mut awake: Vec<(usize, Truth, Option<&Instance>)> = Vec::new();
        self.for_each_awake(subject, facts, |number| {
            let (truth, instance) = self.ask(&self.rules[number], facts, instances);
            if truth != Truth::False {
                awake.push((number, truth, instance));
            }
        });
        awake.sort_unstable_by_key(|(rule, ..)| *rule);
        awake
            .into_iter()
            .map(|(rule, truth, instance)| self.answer(&self.rules[rule], truth, facts, instance))
            .collect()
    }

    /// Every rule of `subject` that the index does not settle.
    fn for_each_awake(&self, subject: Subject, facts: &FactTable, each: impl FnMut(usize)) {
        if let Some(index) = self.indexes.get(&subject) {
            index.for_each_awake(&self.rules, facts, each);
        }
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
            let is_there = |place: &usize| !matches!(instance.replies.get(*place), Some(None));
            if !entry.places.iter().all(is_there) {
                continue;
            }
            let sight = Sight::with(facts, &instance.replies, &entry.places);
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
        let replies = instance.map_or([].as_slice(), |instance| instance.replies.as_slice());
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
        let replies = instance.map_or([].as_slice(), |instance| instance.replies.as_slice());
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
        }
    }

    fn build_indexes(&mut self) {
        for (number, entry) in self.rules.iter().enumerate() {
            if entry.rule.maturity() == Maturity::Retired {
                continue;
            }
            let index = self.indexes.entry(entry.rule.subject()).or_default();
            match entry.triggers.first() {
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
        Value::AtLeast(_) | Value::Unknown | Value::Text(_) | Value::Address(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, AnswerOutcome, RuleSet};
    use crate::error::PackError;
    use crate::facts::Sight;
    use crate::facts::{Dictionary, Subject, Value};
    use crate::pack::Pack;
    use crate::question::{Instance, Question};
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
                            rule.condition().evaluate(&Sight::of(&facts))
                                != crate::condition::Truth::False
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

    /// Two rules that ask, and share one question.
    fn asking() -> RuleSet {
        let text = r#"
pack: asking
version: 1.0.0
engine: 1
author: a
lists: { vaults: ["0x0707070707070707070707070707070707070707"] }
rules:
  - id: solvent
    subject: transaction
    severity: critical
    maturity: stable
    class: c
    why: w
    with: { assets: { read: totalAssets(), unit: wei }, supply: { read: totalSupply(), unit: wei } }
    when: touches_protected
    holds: assets >= supply
    message: "{assets_after} for {supply_after}"
  - id: shrinks
    subject: transaction
    severity: low
    maturity: stable
    class: c
    why: w
    at: [vaults]
    with: { supply: { read: totalSupply() }, taken: { sum: outflow_wei, over: blocks(50) } }
    when: touches_protected && (supply_after < supply_before || taken > eth(5))
    message: "{taken} in 50 blocks"
"#;
        RuleSet::new(vec![Pack::parse(text, "asking", &all()).unwrap()]).unwrap()
    }

    fn instance(contract: u8, replies: [Option<u64>; 5]) -> Instance {
        let replies = replies.map(|reply| reply.map(uint_value)).to_vec();
        Instance { contract: [contract; 20], replies }
    }

    #[test]
    fn questions_are_joined_and_asked_only_where_they_matter() {
        let set = asking();
        // Two readings at two moments each, one of them shared, and a window.
        assert_eq!(set.questions().len(), 5);
        assert!(matches!(set.questions()[4], Question::Window(_)), "{:?}", set.questions());
        let touched = facts([("touches_protected", Value::Bool(true))]);
        assert_eq!(set.wanted(&touched, &[7; 20]), [0, 1, 2, 3, 4]);
        assert_eq!(set.wanted(&touched, &[8; 20]), [0, 1, 2, 3], "`at:` leaves it out");
        let elsewhere = facts([("touches_protected", Value::Bool(false))]);
        assert!(set.wanted(&elsewhere, &[7; 20]).is_empty());
    }

    #[test]
    fn a_rule_that_asks_is_evaluated_for_each_contract() {
        let set = asking();
        let touched = facts([("touches_protected", Value::Bool(true))]);
        let on =
            |instances: &[Instance]| set.evaluate_on(Subject::Transaction, &touched, instances);
        // Positions: assets before and after, supply before and after, what was taken.
        assert!(on(&[instance(7, [Some(9), Some(8), Some(8), Some(8), Some(0)])]).is_empty());
        let broken = on(&[
            instance(8, [Some(9), Some(9), Some(8), Some(8), Some(0)]),
            instance(9, [Some(9), Some(7), Some(8), Some(8), Some(0)]),
        ]);
        assert_eq!(ids(&broken), ["solvent"]);
        let AnswerOutcome::Fires { message, because } = &broken[0].outcome else { panic!("fires") };
        assert_eq!(message, "7 wei for 8 wei");
        assert_eq!(because[0], format!("contract 0x{}", "09".repeat(20)));
        assert!(because[2].starts_with("assets >= supply (assets_before = 9 wei"), "{because:?}");
        // It was broken already, so this transaction did not break it.
        assert!(on(&[instance(9, [Some(7), Some(6), Some(8), Some(8), Some(0)])]).is_empty());
        // A contract without such a view is not concerned, one whose view fails later is unknown.
        assert!(on(&[instance(9, [None, None, Some(8), Some(8), Some(0)])]).is_empty());
        let mut failing = instance(9, [Some(9), Some(0), Some(8), Some(8), Some(0)]);
        failing.replies[1] = Some(Value::Unknown);
        assert!(matches!(on(&[failing])[0].outcome, AnswerOutcome::Unknown { .. }));
        // Nobody answered: unknown, never silent.
        assert_eq!(on(&[]).len(), 2);
    }
}
