//! The runner of the tests that stand in packs.

use serde::Serialize;

use crate::condition::Truth;
use crate::facts::FactTable;
use crate::pack::{Expectation, Pack, RecordingRef, Rule, RuleTest, TestInput};
use crate::question::Instance;
use crate::rule_set::RuleSet;

/// Supplies what one transaction of a recording shows to a rule, or says why it cannot. The set holds the rules of the
/// pack, and asks the questions.
pub type RecordingSource<'a> =
    dyn Fn(&Pack, &RuleSet, &Rule, &RecordingRef) -> Result<Recorded, String> + 'a;

/// What one transaction of a recording shows to a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
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
    /// Everything that is not as it should be.
    pub failures: Vec<TestFailure>,
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
}

/// Runs all tests of `packs`; a rule without a firing and a silent test is a failure.
pub fn run(packs: &[Pack], recordings: &RecordingSource<'_>) -> TestReport {
    let mut report = TestReport { packs: packs.len(), ..TestReport::default() };
    for pack in packs {
        let set = RuleSet::new(vec![pack.clone()]);
        for rule in pack.rules() {
            report.rules += 1;
            for (wanted, word) in
                [(Expectation::Fires, "fires"), (Expectation::Silent, "stays silent")]
            {
                if !rule.tests().iter().any(|test| test.expect == wanted) {
                    report.fail(pack, rule, None, format!("no test shows that the rule {word}"));
                }
            }
            for test in rule.tests() {
                match test.expect {
                    Expectation::Fires => report.firing += 1,
                    Expectation::Silent => report.silent += 1,
                    Expectation::Unknown => report.unknown += 1,
                }
                let run = match &set {
                    Ok(set) => run_test(pack, set, rule, test, recordings),
                    Err(error) => Err(error.to_string()),
                };
                if let Err(detail) = run {
                    report.fail(pack, rule, Some(test.name.clone()), detail);
                }
            }
        }
    }
    report
}

impl TestReport {
    fn fail(&mut self, pack: &Pack, rule: &Rule, test: Option<String>, detail: String) {
        let (pack, rule) = (pack.name().to_owned(), rule.id().to_owned());
        self.failures.push(TestFailure { pack, rule, test, detail });
    }
}

fn run_test(
    pack: &Pack,
    set: &RuleSet,
    rule: &Rule,
    test: &RuleTest,
    recordings: &RecordingSource<'_>,
) -> Result<(), String> {
    let recorded;
    let (subjects, instances) = match &test.input {
        TestInput::Facts(facts) => (std::slice::from_ref(facts), [].as_slice()),
        TestInput::Recording(reference) => {
            recorded = recordings(pack, set, rule, reference).map_err(|reason| {
                format!("recording `{}`, tx {}: {reason}", reference.recording, reference.tx)
            })?;
            (recorded.subjects.as_slice(), recorded.instances.as_slice())
        }
    };
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
    use super::{Recorded, run};
    use crate::RuleSet;
    use crate::pack::{Pack, RecordingRef, Rule};
    use crate::sample::{all, facts, uint_value};

    fn pack(tests: &str) -> Pack {
        let text = format!(
            "{{ pack: p, version: 1.0.0, engine: 1, author: a, rules: [{{ id: r, subject: transaction, severity: low, \
             maturity: stable, class: c, why: w, when: depth > 5, message: m, tests: [{tests}] }}] }}"
        );
        Pack::parse(&text, "p", &all()).unwrap()
    }

    fn nothing(_: &Pack, _: &RuleSet, _: &Rule, _: &RecordingRef) -> Result<Recorded, String> {
        Err("not found".to_owned())
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
        let report = run(&[pack(&tests)], &|_, _, _, reference| {
            assert_eq!((reference.recording.as_str(), reference.tx), ("attack", 3));
            Ok(Recorded {
                subjects: vec![facts([("depth", uint_value(9))])],
                instances: Vec::new(),
            })
        });
        assert_eq!(
            (report.packs, report.rules, report.firing, report.silent, report.passed()),
            (1, 1, 1, 1, true)
        );
    }
}
