//! Observations in, reasons out.

use std::sync::Arc;

use alloy::primitives::U256;
use portcullis_models::data::{Dataset, Origin, Row, Rules};
use portcullis_models::schema::{CONTRACT, Schema, TRANSACTION, Vector, contract, transaction};
use portcullis_models::train::{TrainOptions, fit};
use portcullis_models::{Engine, Model};
use portcullis_rules::{Pack, RuleSet, Value};

use crate::facts::{Observation, dictionary, staging::account};

use super::{Beside, Judge, ModelAnswer, Unjudged};

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

/// A model that flags rows in which the feature at `place` is 1.
pub(crate) fn flags_where(schema: &'static Schema, place: usize) -> Arc<Model> {
    let row = |episode: u64, harm: bool| {
        let mut vector = Vector::unknown(schema);
        vector.set(place, f32::from(u8::from(harm)));
        Row {
            harm,
            intent: harm,
            family: "any".to_owned(),
            episode,
            protocol: String::new(),
            rules: Rules::Silent,
            values: vector.values().to_vec(),
        }
    };
    let rows = (0..60).flat_map(|episode| [row(episode, true), row(episode, false)]).collect();
    let origin =
        Origin { generator: "test".to_owned(), generator_version: "1".to_owned(), seed: 1 };
    let data = Dataset { schema, origin, rows };
    let options = TrainOptions { n_trees: 3, max_depth: 2, ..TrainOptions::default() };
    let bytes = fit(&data, &options).expect("both classes are there").to_onnx();
    Arc::new(Model::from_bytes(&bytes, schema, Engine::Native).expect("it was just written"))
}

#[test]
fn a_shadow_is_heard_where_it_would_decide_otherwise_and_counts_for_nothing() {
    let (flash, creation) = (transaction::READ_WHEN_DISPLACED, transaction::IN_CREATION);
    let model = flags_where(&TRANSACTION, flash);
    let shadow = flags_where(&TRANSACTION, creation);
    let judge = Judge::new(Arc::default(), Some(Arc::clone(&model)));
    let shadowed = judge.clone().with(Beside { shadow: Some(shadow), ..Beside::default() });
    let ask = |judge: &Judge, place: usize| {
        let mut observation = observation(None, true);
        observation.vector.set(flash, 0.0);
        observation.vector.set(creation, 0.0);
        observation.vector.set(place, 1.0);
        judge.judge(&observation)
    };
    for (place, words) in [(flash, "would not flag"), (creation, "would flag")] {
        let verdict = ask(&shadowed, place);
        let told = verdict.reasons.iter().filter(|reason| reason.starts_with("shadow model "));
        assert_eq!(told.filter(|reason| reason.ends_with(words)).count(), 1, "{verdict:?}");
        assert_eq!(verdict.score(), ask(&judge, place).score());
    }
    let same = judge.with(Beside { shadow: Some(model), ..Beside::default() });
    assert!(ask(&same, flash).reasons.iter().all(|reason| !reason.contains("shadow")));
}

#[test]
fn what_is_asked_is_held_against_what_was_usual_in_training() {
    let place = transaction::IN_CREATION;
    let judge = Judge::new(Arc::default(), Some(flags_where(&TRANSACTION, place)));
    assert_eq!(judge.drift(), None);
    for _ in 0..300 {
        let mut observation = observation(None, true);
        observation.vector.set(place, 1.0);
        judge.judge(&observation);
    }
    let moved = judge.drift().expect("enough rows");
    let of = |name: &str| moved.iter().find(|moved| moved.name == name).map(|moved| moved.psi);
    assert!(of("in_creation") > Some(0.25) && of("score") > Some(0.25), "{moved:?}");
    assert!(of("depth") < Some(0.1), "it was never known");
}

#[test]
fn a_contract_is_told_of_in_words_where_its_score_is_over_the_threshold() {
    let place = contract::FLASH_CALLBACK_SHARE;
    let beside = Beside { contract: Some(flags_where(&CONTRACT, place)), ..Beside::default() };
    let judge = Judge::new(Arc::default(), None).with(beside);
    assert!(judge.judges_contracts());
    let score = |value: f32| {
        let mut vector = Vector::unknown(&CONTRACT);
        vector.set(place, value);
        judge.score_contract(&vector).expect("the schema is the same")
    };
    assert!(
        score(1.0).is_some_and(|told| told.contains("flash_callback_share +")),
        "{:?}",
        score(1.0)
    );
    assert_eq!(score(0.0), None);
    assert!(!Judge::new(Arc::default(), None).judges_contracts());
    assert!(judge.score_contract(&Vector::unknown(&TRANSACTION)).is_err());
}
