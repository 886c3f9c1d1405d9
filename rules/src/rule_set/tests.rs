//! Sets of rules: who answers, in which order, and that the index changes nothing.

use proptest::collection::vec;
use proptest::prelude::*;
use ruint::aliases::U256;

use super::{Answer, AnswerOutcome, RuleSet};
use crate::condition::Truth;
use crate::error::PackError;
use crate::facts::Sight;
use crate::facts::{Dictionary, Subject, Value};
use crate::pack::Pack;
use crate::question::{Instance, Question, Replies, Trail};
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
    assert!(matches!(mixed, Err(PackError::Dictionaries { subject: Subject::Transaction, .. })));
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
    let replies = replies.map(|reply| reply.map(uint_value)).into_iter().enumerate();
    Instance { contract: [contract; 20], replies: Replies::new(replies), trail: None }
}

#[test]
fn questions_are_joined_and_asked_only_where_they_matter() {
    let set = asking();
    // Two readings at two moments each, one of them shared, and a window.
    assert_eq!(set.questions().len(), 5);
    assert!(matches!(set.questions()[4], Question::Window(_)), "{:?}", set.questions());
    let touched = facts([("touches_protected", Value::Bool(true))]);
    assert_eq!(set.wanted(&touched, &[7; 20], None), [0, 1, 2, 3, 4]);
    assert_eq!(set.wanted(&touched, &[8; 20], None), [0, 1, 2, 3], "`at:` leaves it out");
    let elsewhere = facts([("touches_protected", Value::Bool(false))]);
    assert!(set.wanted(&elsewhere, &[7; 20], None).is_empty());
}

#[test]
fn a_rule_that_asks_is_evaluated_for_each_contract() {
    let set = asking();
    let touched = facts([("touches_protected", Value::Bool(true))]);
    let on = |instances: &[Instance]| set.evaluate_on(Subject::Transaction, &touched, instances);
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
    let replies = [Some(9), None, Some(8), Some(8), Some(0)].map(|reply| reply.map(uint_value));
    let [before, _, rest @ ..] = replies;
    let replies = [before, Some(Value::Unknown)].into_iter().chain(rest).enumerate();
    let failing = Instance { contract: [9; 20], replies: Replies::new(replies), trail: None };
    assert!(matches!(on(&[failing])[0].outcome, AnswerOutcome::Unknown { .. }));
    // Nobody answered: unknown, never silent.
    assert_eq!(on(&[]).len(), 2);
}

/// Clauses over facts, and over what is asked below, from which conditions are joined.
const CLAUSES: [&str; 14] = [
    "touches_protected",
    "!tx_succeeded",
    "depth > 5",
    "depth >= 3",
    "frames == 4",
    "frames != 0",
    "outflow_bps >= bps(7) || depth < 2",
    "creates > frames",
    "foreign > 0",
    "foreign > 2",
    "cast >= 1",
    "nested == 0",
    "stale != 0",
    "supply_after < supply_before",
];

/// A set of rules that join the clauses at these places, one rule for each entry.
fn joined(rules: &[Vec<usize>]) -> RuleSet {
    let mut text = "pack: one\nversion: 1.0.0\nengine: 1\nauthor: a\nrules:\n".to_owned();
    for (number, clauses) in rules.iter().enumerate() {
        let mut parts: Vec<String> =
            clauses.iter().map(|place| format!("({})", CLAUSES[*place])).collect();
        parts.sort();
        parts.dedup();
        let when = parts.join(" && ");
        let slot = number % 3;
        let asked = [
            ("foreign", format!("{{ changed: slot({slot}) }}")),
            ("cast", "{ called: [deposit()] }".to_owned()),
            ("nested", "{ entered: [deposit()], inside: [] }".to_owned()),
            ("stale", "{ stale: [] }".to_owned()),
            ("supply", "{ read: totalSupply() }".to_owned()),
        ];
        let with: Vec<String> = asked
            .iter()
            .filter(|(name, _)| when.contains(name))
            .map(|(name, question)| format!("{name}: {question}"))
            .collect();
        let with = if with.is_empty() {
            String::new()
        } else {
            format!("with: {{ {} }}, ", with.join(", "))
        };
        text += &format!(
            "  - {{ id: r-{number}, subject: transaction, severity: high, maturity: stable, class: c, why: w, \
             {with}when: '{when}', message: m }}\n"
        );
    }
    RuleSet::new(vec![Pack::parse(&text, "one", &all()).unwrap()]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The index and the trails leave out only what would have come out false.
    #[test]
    fn what_is_not_looked_at_would_have_been_false(
        rules in vec(vec(0..CLAUSES.len(), 1..4), 1..12),
        known in vec(0u64..9, 6),
        missing in vec(any::<bool>(), 6),
        contracts in vec((vec(0u64..4, 7), vec(any::<bool>(), 7)), 0..3),
    ) {
        // Two clauses that contradict each other are refused when they are loaded.
        let rules: Vec<Vec<usize>> = rules
            .into_iter()
            .filter(|rule| !(rule.contains(&8) && rule.contains(&9)))
            .collect();
        let set = joined(&rules);
        let names = ["touches_protected", "tx_succeeded", "depth", "frames", "outflow_bps", "creates"];
        let mut table = facts([]);
        for ((name, number), missing) in names.iter().zip(&known).zip(&missing) {
            let value = match (missing, *name) {
                (true, "depth" | "frames") => Value::AtLeast(U256::from(*number)),
                (true, _) => Value::Unknown,
                (false, "touches_protected" | "tx_succeeded") => Value::Bool(*number > 2),
                (false, _) => uint_value(*number),
            };
            table.set(all()[0].position(name).unwrap(), value);
        }
        // Everything answered, and no trail; against a trail, and only what is wanted answered.
        let (mut naive, mut indexed) = (Vec::new(), Vec::new());
        for (number, (amounts, absent)) in contracts.iter().enumerate() {
            let contract = [u8::try_from(number).unwrap(); 20];
            let mut traces = Vec::new();
            let reply = |(place, question): (usize, &Question)| {
                let amount = amounts[place % amounts.len()];
                let needed = question.traces();
                if amount > 0 || (absent[place % absent.len()] && !needed.is_empty()) {
                    traces.extend(needed);
                }
                let value = if absent[place % absent.len()] && question.traces().is_empty() {
                    (place % 2 == 0).then_some(Value::Unknown)
                } else {
                    Some(uint_value(amount))
                };
                (place, value)
            };
            let replies: Vec<_> = set.questions().iter().enumerate().map(reply).collect();
            let trail = Trail::new(traces);
            let wanted = set.wanted(&table, &contract, Some(&trail));
            let asked = replies.iter().filter(|(place, _)| wanted.contains(place)).cloned();
            indexed.push(Instance { contract, replies: Replies::new(asked), trail: Some(trail) });
            naive.push(Instance { contract, replies: Replies::new(replies), trail: None });
        }
        let plain: Vec<(&str, Truth)> = set
            .rules
            .iter()
            .map(|entry| (entry.rule.id(), set.ask(entry, &table, &naive).0))
            .filter(|(_, truth)| *truth != Truth::False)
            .collect();
        let told: Vec<(&str, Truth)> = set
            .rules
            .iter()
            .map(|entry| (entry.rule.id(), set.ask(entry, &table, &indexed).0))
            .filter(|(_, truth)| *truth != Truth::False)
            .collect();
        prop_assert_eq!(&told, &plain, "asked one by one");
        let answers = set.evaluate_on(Subject::Transaction, &table, &indexed);
        let found: Vec<(&str, Truth)> = answers
            .iter()
            .map(|answer| {
                let fires = matches!(answer.outcome, AnswerOutcome::Fires { .. });
                (answer.rule.as_str(), if fires { Truth::True } else { Truth::Unknown })
            })
            .collect();
        prop_assert_eq!(&found, &plain);
        prop_assert_eq!(&answers, &set.evaluate_on(Subject::Transaction, &table, &naive));
    }
}
