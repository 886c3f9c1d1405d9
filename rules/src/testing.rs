//! The runner of the tests that stand in packs.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::condition::Truth;
use crate::facts::FactTable;
use crate::pack::{Expectation, Maturity, Pack, Rule, RuleTest, TestInput};
use crate::question::Instance;
use crate::rule_set::RuleSet;

/// Firing tests on executed code that differ in implementation, and silent ones, that make a rule a proven one.
const PROVEN: usize = 3;

/// Supplies what the transactions or functions that a test names show to its rule, or says why it cannot. The set
/// holds all rules that are tested together, and asks the questions.
pub type Stage<'a> =
    dyn Fn(&Pack, &RuleSet, &Rule, &RuleTest) -> Result<Vec<Recorded>, String> + 'a;

/// What one transaction or function shows to a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Which one, for people; empty where the test names only one.
    pub label: String,
    /// Facts of the rule's subject: one table for the transaction, or one for each contract that it creates.
    pub subjects: Vec<FactTable>,
    /// What is known of the contracts that it touches, in the order of the set's questions.
    pub instances: Vec<Instance>,
}

/// What the tests of some packs came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TestReport {
    /// Packs run.
    pub packs: usize,
    /// Rules in them.
    pub rules: usize,
    /// Tests that expect their rule to fire.
    pub firing: usize,
    /// Tests that expect their rule to stay silent.
    pub silent: usize,
    /// Tests that expect their rule not to know.
    pub unknown: usize,
    /// Transactions and functions that were executed or read for them, and not written down as facts.
    pub executed: usize,
    /// What stands behind each rule beside written facts, in the order of the packs.
    pub proofs: Vec<Proof>,
    /// Everything that is not as it should be.
    pub failures: Vec<TestFailure>,
}

/// What stands behind a rule beside written facts: executed transactions, or code that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Name of the pack.
    pub pack: String,
    /// Id of the rule.
    pub rule: String,
    /// How far the rule is trusted.
    pub maturity: Maturity,
    /// Implementations on which it was seen to fire.
    pub fires_on: BTreeSet<String>,
    /// Tests on look-alikes that it stayed silent on.
    pub silent_on: usize,
    /// It fires on three implementations, and stays silent on three look-alikes.
    pub is_proven: bool,
}

/// One test that failed, or one that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestFailure {
    /// Name of the pack.
    pub pack: String,
    /// Id of the rule.
    pub rule: String,
    /// Name of the test; none where a test is missing.
    pub test: Option<String>,
    /// What was expected and what came.
    pub detail: String,
}

impl TestReport {
    /// Whether all tests passed and none was missing.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    fn fail(&mut self, pack: &Pack, rule: &Rule, test: Option<String>, detail: String) {
        let (pack, rule) = (pack.name().to_owned(), rule.id().to_owned());
        self.failures.push(TestFailure { pack, rule, test, detail });
    }
}

/// Runs all tests of `packs`, of which `set` was made; a rule without a firing and a silent test is a failure.
pub fn run(packs: &[Pack], set: &RuleSet, stage: &Stage<'_>) -> TestReport {
    let mut report = TestReport { packs: packs.len(), ..TestReport::default() };
    for (pack, rule) in
        packs.iter().flat_map(|pack| pack.rules().iter().map(move |rule| (pack, rule)))
    {
        report.rules += 1;
        for (wanted, word) in [(Expectation::Fires, "fires"), (Expectation::Silent, "stays silent")]
        {
            if !rule.tests().iter().any(|test| test.expect == wanted) {
                report.fail(pack, rule, None, format!("no test shows that the rule {word}"));
            }
        }
        let (mut fires_on, mut silent_on) = (BTreeSet::new(), 0);
        for test in rule.tests() {
            match test.expect {
                Expectation::Fires => report.firing += 1,
                Expectation::Silent => report.silent += 1,
                Expectation::Unknown => report.unknown += 1,
            }
            match run_test(pack, set, rule, test, stage) {
                Ok(executed) => {
                    report.executed += executed;
                    match (test.input.implementation(&test.name), test.expect) {
                        (Some(implementation), Expectation::Fires) => {
                            fires_on.insert(implementation);
                        }
                        (Some(_), Expectation::Silent) => silent_on += 1,
                        _ => {}
                    }
                }
                Err(detail) => report.fail(pack, rule, Some(test.name.clone()), detail),
            }
        }
        report.proofs.push(Proof {
            pack: pack.name().to_owned(),
            rule: rule.id().to_owned(),
            maturity: rule.maturity(),
            is_proven: fires_on.len() >= PROVEN && silent_on >= PROVEN,
            fires_on,
            silent_on,
        });
    }
    report
}

impl TestInput {
    /// What was executed or read for a test of this name; none for written facts.
    fn implementation(&self, test: &str) -> Option<String> {
        match self {
            Self::Facts(_) => None,
            Self::Recording(reference) => Some(reference.recording.clone()),
            Self::Range(reference) => Some(reference.protocol.clone()),
            Self::Code(_) => Some(test.to_owned()),
        }
    }
}

/// How many transactions or functions did as expected.
fn run_test(
    pack: &Pack,
    set: &RuleSet,
    rule: &Rule,
    test: &RuleTest,
    stage: &Stage<'_>,
) -> Result<usize, String> {
    let recorded = match &test.input {
        TestInput::Facts(facts) => {
            return judge(set, rule, test, std::slice::from_ref(facts), &[]).map(|()| 0);
        }
        TestInput::Recording(reference) => stage(pack, set, rule, test).map_err(|reason| {
            format!("recording `{}`, tx {}: {reason}", reference.recording, reference.tx)
        })?,
        TestInput::Range(reference) => stage(pack, set, rule, test)
            .map_err(|reason| format!("range `{}`: {reason}", reference.protocol))?,
        TestInput::Code(reference) => stage(pack, set, rule, test)
            .map_err(|reason| format!("function `{}`: {reason}", reference.function))?,
    };
    if recorded.is_empty() {
        return Err("nothing of the kind happens there, so nothing is tested".to_owned());
    }
    let judged: Vec<(&str, String)> = recorded
        .iter()
        .filter_map(|one| {
            let judged = judge(set, rule, test, &one.subjects, &one.instances);
            Some((one.label.as_str(), judged.err()?))
        })
        .collect();
    match judged.as_slice() {
        [] => Ok(recorded.len()),
        [(label, detail), ..] if recorded.len() > 1 => Err(format!(
            "{} of {} are not as expected; the first, {label}: {detail}",
            judged.len(),
            recorded.len()
        )),
        [(_, detail), ..] => Err(detail.clone()),
    }
}

fn judge(
    set: &RuleSet,
    rule: &Rule,
    test: &RuleTest,
    subjects: &[FactTable],
    instances: &[Instance],
) -> Result<(), String> {
    let found = subjects
        .iter()
        .map(|facts| set.explain(rule, facts, instances))
        .max_by_key(|(truth, _)| *truth)
        .unwrap_or((Truth::False, Vec::new()));
    match (test.expect, found) {
        (Expectation::Fires, (Truth::True, _))
        | (Expectation::Silent, (Truth::False, _))
        | (Expectation::Unknown, (Truth::Unknown, _)) => Ok(()),
        (expected, (Truth::True, because)) => {
            Err(format!("expected {}, but it fires: {}", word(expected), because.join("; ")))
        }
        (expected, (Truth::False, _)) => {
            Err(format!("expected {}, but it stays silent", word(expected)))
        }
        (expected, (Truth::Unknown, missing)) => Err(format!(
            "expected {}, but it is unknown for want of {}",
            word(expected),
            missing.join(", ")
        )),
    }
}

fn word(expected: Expectation) -> &'static str {
    match expected {
        Expectation::Fires => "it to fire",
        Expectation::Silent => "silence",
        Expectation::Unknown => "it to be unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::{Recorded, Stage, TestReport};
    use crate::RuleSet;
    use crate::pack::{Pack, Rule, RuleTest, TestInput};
    use crate::sample::{all, facts, uint_value};

    fn pack(tests: &str) -> Pack {
        let text = format!(
            "{{ pack: p, version: 1.0.0, engine: 1, author: a, rules: [{{ id: r, subject: transaction, severity: low, \
             maturity: stable, class: c, why: w, when: depth > 5, message: m, tests: [{tests}] }}] }}"
        );
        Pack::parse(&text, "p", &all()).unwrap()
    }

    fn nothing(_: &Pack, _: &RuleSet, _: &Rule, _: &RuleTest) -> Result<Vec<Recorded>, String> {
        Err("not found".to_owned())
    }

    fn run(packs: &[Pack], stage: &Stage<'_>) -> TestReport {
        super::run(packs, &RuleSet::new(packs.to_vec()).unwrap(), stage)
    }

    fn at_depth(depth: u64) -> Recorded {
        let subjects = vec![facts([("depth", uint_value(depth))])];
        Recorded { label: format!("depth {depth}"), subjects, instances: Vec::new() }
    }

    fn details(tests: &str) -> Vec<(Option<String>, String)> {
        let report = run(&[pack(tests)], &nothing);
        assert_eq!(report.passed(), report.failures.is_empty());
        report.failures.into_iter().map(|failure| (failure.test, failure.detail)).collect()
    }

    const FIRES: &str = "{ name: f, facts: { depth: 6 }, expect: fires }";
    const SILENT: &str = "{ name: s, facts: { depth: 5 }, expect: silent }";

    #[test]
    fn a_rule_needs_a_firing_and_a_silent_test() {
        assert_eq!(details(&format!("{FIRES}, {SILENT}")), []);
        assert_eq!(details(FIRES), [(None, "no test shows that the rule stays silent".to_owned())]);
        assert_eq!(details("").len(), 2);
    }

    #[test]
    fn a_wrong_expectation_fails_with_what_came() {
        let wrong = "{ name: a, facts: { depth: 6 }, expect: silent }, { name: b, facts: { depth: 5 }, expect: fires }, \
                     { name: c, facts: {}, expect: fires }, { name: d, facts: {}, expect: unknown }";
        assert_eq!(
            details(wrong),
            [
                (
                    Some("a".to_owned()),
                    "expected silence, but it fires: depth > 5 (depth = 6)".to_owned()
                ),
                (Some("b".to_owned()), "expected it to fire, but it stays silent".to_owned()),
                (
                    Some("c".to_owned()),
                    "expected it to fire, but it is unknown for want of depth".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn recordings_come_from_the_caller() {
        let tests = format!("{SILENT}, {{ name: r, recording: attack, tx: 3, expect: fires }}");
        assert_eq!(
            details(&tests),
            [(Some("r".to_owned()), "recording `attack`, tx 3: not found".to_owned())]
        );
        let report = run(&[pack(&tests)], &|_, _, _, test| {
            let TestInput::Recording(reference) = &test.input else { panic!("a recording") };
            assert_eq!((reference.recording.as_str(), reference.tx), ("attack", 3));
            Ok(vec![at_depth(9)])
        });
        assert_eq!(
            (report.packs, report.rules, report.firing, report.silent, report.passed()),
            (1, 1, 1, 1, true)
        );
        assert_eq!(report.executed, 1);
    }

    #[test]
    fn every_transaction_that_a_test_names_must_do_as_expected() {
        let tests = format!("{SILENT}, {{ name: r, range: {{ protocol: a }}, expect: fires }}");
        let with = |depths: &'static [u64]| {
            run(&[pack(&tests)], &|_, _, _, _| {
                Ok(depths.iter().map(|depth| at_depth(*depth)).collect())
            })
        };
        assert_eq!(with(&[6, 7, 8]).executed, 3);
        let details = |report: TestReport| -> Vec<String> {
            report.failures.into_iter().map(|failure| failure.detail).collect()
        };
        let expected = "1 of 2 are not as expected; the first, depth 5: expected it to fire, but it stays silent";
        assert_eq!(details(with(&[6, 5])), [expected]);
        let expected = "nothing of the kind happens there, so nothing is tested";
        assert_eq!(details(with(&[])), [expected]);
    }

    #[test]
    fn a_rule_is_proven_by_three_implementations_and_three_look_alikes() {
        let range = |protocol: &str, expect: &str| {
            format!("{{ name: {protocol}, range: {{ protocol: {protocol} }}, expect: {expect} }}")
        };
        let proof = |firing: &[&str]| {
            let mut tests: Vec<String> = firing.iter().map(|name| range(name, "fires")).collect();
            tests.extend(["x", "y", "z"].map(|name| range(name, "silent")));
            let report = run(&[pack(&tests.join(", "))], &|_, _, _, test| {
                let is_firing = test.expect == crate::Expectation::Fires;
                Ok(vec![at_depth(if is_firing { 6 } else { 5 })])
            });
            assert_eq!(report.failures, []);
            report.proofs[0].clone()
        };
        assert!(proof(&["a", "b", "c"]).is_proven);
        // The same implementation twice is one.
        let thin = proof(&["a", "b", "b"]);
        assert_eq!((thin.is_proven, thin.fires_on.len(), thin.silent_on), (false, 2, 3));
    }
}
