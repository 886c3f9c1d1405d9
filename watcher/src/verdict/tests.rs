//! Observations in, reasons out.

use std::sync::Arc;

use alloy::primitives::U256;
use portcullis_models::schema::{TRANSACTION, Vector};
use portcullis_rules::{Pack, RuleSet, Value};

use crate::facts::{Observation, dictionary, staging::account};

use super::{Judge, ModelAnswer, Unjudged};

const PACK: &str = r#"
pack: drains
version: 1.0.0
engine: 1
author: tests
rules:
  - id: too-much
    subject: transaction
    severity: high
    maturity: stable
    class: drain
    evidence: soft
    why: A test.
    references: []
    when: touches_protected && outflow_bps > bps(5000)
    message: "{outflow_bps} bps left"
    false_positives: [none, this is a test]
    tests:
      - { name: fires, facts: { touches_protected: true, outflow_bps: 6000 }, expect: fires }
      - { name: silent, facts: { touches_protected: true, outflow_bps: 1 }, expect: silent }
"#;

fn judge() -> Judge {
    let pack = Pack::parse(PACK, "drains", &[dictionary()]).expect("the pack is sound");
    Judge::new(Arc::new(RuleSet::new(vec![pack]).expect("one pack")), None)
}

fn observation(outflow_bps: Option<u64>, touches: bool) -> Observation {
    let mut facts = dictionary().empty_table();
    let mut set = |name: &str, value| facts.set(dictionary().position(name).unwrap(), value);
    set("touches_protected", Value::Bool(touches));
    set("outflow_bps", outflow_bps.map_or(Value::Unknown, |bps| Value::Uint(U256::from(bps))));
    Observation {
        facts,
        vector: Vector::unknown(&TRANSACTION),
        touched: if touches { vec![account(3)] } else { Vec::new() },
        touched_groups: Vec::new(),
        cluster: Vec::new(),
        outflow_wei: U256::ZERO,
        losses: Default::default(),
        truncated: false,
    }
}

#[test]
fn a_rule_that_fires_says_why_and_a_missing_model_is_named() {
    let verdict = judge().judge(&observation(Some(9_000), true));
    assert_eq!(verdict.reasons, ["drains/too-much: 9000 bps left", "model: none is configured"]);
    let [evidence] = verdict.rule_evidence().try_into().unwrap();
    assert_eq!(
        (evidence.rule.as_str(), evidence.severity.as_str(), evidence.outcome.as_str()),
        ("drains/too-much", "high", "fires")
    );
    assert!(
        evidence.because.iter().any(|clause| clause.contains("outflow_bps")),
        "{:?}",
        evidence.because
    );
    assert_eq!(verdict.score(), None);
}

#[test]
fn an_unknown_fact_is_named_and_does_not_fire() {
    let verdict = judge().judge(&observation(None, true));
    assert_eq!(
        verdict.reasons,
        ["model: none is configured", "drains/too-much: cannot tell without outflow_bps"]
    );
    assert_eq!(verdict.unjudged, None);
}

#[test]
fn what_touches_nothing_has_nothing_to_say() {
    let verdict = judge().judge(&observation(Some(0), false));
    assert!(verdict.reasons.is_empty(), "{:?}", verdict.reasons);
    assert_eq!(verdict.model, ModelAnswer::NotConfigured);
}

#[test]
fn a_truncated_execution_has_no_verdict() {
    let verdict = judge().judge(&Observation { truncated: true, ..observation(Some(9_000), true) });
    assert!(matches!(verdict.unjudged, Some(Unjudged::Failed { stage: "simulate", .. })));
    assert!(verdict.reasons[0].starts_with("unknown: simulate: "), "{:?}", verdict.reasons);
}

#[test]
fn removed_rules_are_said() {
    let verdict = Judge::new(Arc::default(), None).judge(&observation(Some(9_000), true));
    assert_eq!(verdict.reasons, ["model: none is configured", "rules: none are loaded"]);
}
