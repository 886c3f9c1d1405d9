//! The policy over its whole space: every set of a few rules, every model answer, every standing order.

use super::*;

const KINDS: [(&str, EvidenceKind, bool); 5] = [
    ("reentrancy", EvidenceKind::Hard, true),
    ("reentrancy", EvidenceKind::Hard, false),
    ("reentrancy", EvidenceKind::Soft, true),
    ("access", EvidenceKind::Soft, true),
    ("access", EvidenceKind::Soft, false),
];
const MODELS: [ModelKey; 5] = [
    ModelKey::Absent,
    ModelKey::Silent,
    ModelKey::Score(0.1),
    ModelKey::Score(0.6),
    ModelKey::Score(0.95),
];
const MODES: [Mode; 3] = [Mode::Observe, Mode::Alert, Mode::Armed];

fn rule(kind: usize) -> FiredRule {
    let (class, evidence, is_stable) = KINDS[kind];
    FiredRule { name: format!("pack/rule-{kind}"), class: class.to_owned(), evidence, is_stable }
}

fn case(kinds: &[usize], model: ModelKey) -> Case {
    Case { fired: kinds.iter().map(|kind| rule(*kind)).collect(), model, unjudged: None }
}

fn standing(mode: Mode) -> Standing {
    Standing {
        mode,
        alert_score: 0.5,
        pause_score: 0.9,
        pauses_left: 3,
        cooling_until_block: None,
        eased: None,
        asks_people: false,
    }
}

fn subsets() -> impl Iterator<Item = Vec<usize>> {
    (0..1_usize << KINDS.len())
        .map(|bits| (0..KINDS.len()).filter(|kind| bits & (1 << kind) != 0).collect::<Vec<_>>())
}

fn standings() -> impl Iterator<Item = Standing> {
    let limits = [(0, None), (3, Some(9)), (0, Some(9)), (1, None)];
    MODES.into_iter().flat_map(move |mode| {
        limits.map(|(pauses_left, cooling_until_block)| Standing {
            pauses_left,
            cooling_until_block,
            ..standing(mode)
        })
    })
}

#[track_caller]
fn check(kinds: &[usize], model: ModelKey, expected: (Outcome, Decision), reason: &str) {
    let ruling = decide(&case(kinds, model), &standing(Mode::Armed));
    assert_eq!((ruling.outcome, ruling.decision), expected, "{}", ruling.reason);
    assert!(ruling.reason.contains(reason), "`{reason}` is not in `{}`", ruling.reason);
}

#[test]
fn the_model_changes_the_decision() {
    let pause = (Outcome::Attack, Decision::Pause);
    let alert = (Outcome::Suspicious, Decision::Alert);
    check(&[2], ModelKey::Score(0.95), pause, "the model's 0.950");
    check(&[2], ModelKey::Score(0.1), alert, "0.100 is below 0.900");
    check(&[2], ModelKey::Silent, alert, "did not answer");
    check(&[2], ModelKey::Absent, alert, "no model is configured");
}

#[test]
fn without_a_model_a_rule_of_another_class_is_the_second_key() {
    check(&[2, 3], ModelKey::Absent, (Outcome::Attack, Decision::Pause), "rule-3 of another class");
    check(
        &[2, 2],
        ModelKey::Absent,
        (Outcome::Suspicious, Decision::Alert),
        "no stable rule of another class",
    );
    check(
        &[2, 4],
        ModelKey::Absent,
        (Outcome::Suspicious, Decision::Alert),
        "no stable rule of another class",
    );
}

#[test]
fn a_hard_invariant_is_enough_and_an_experimental_rule_never_is() {
    check(
        &[0],
        ModelKey::Score(0.0),
        (Outcome::Attack, Decision::Pause),
        "hard invariant broken: pack/rule-0",
    );
    check(&[1, 4], ModelKey::Score(1.0), (Outcome::Suspicious, Decision::Alert), "not stable");
}

#[test]
fn the_model_alone_never_pauses() {
    check(&[], ModelKey::Score(1.0), (Outcome::Suspicious, Decision::Alert), "alone never pauses");
    check(&[], ModelKey::Score(0.4), (Outcome::Clear, Decision::None), "nothing fired");
}

#[test]
fn the_unknown_alerts_and_never_pauses_whatever_else_is_known() {
    let failed = Unjudged::Failed { stage: "simulate", reason: "node gone".to_owned() };
    for kinds in subsets() {
        for model in MODELS {
            let case = Case { unjudged: Some(failed.clone()), ..case(&kinds, model) };
            let ruling = decide(&case, &standing(Mode::Armed));
            assert_eq!((ruling.outcome, ruling.decision), (Outcome::Unknown, Decision::Alert));
            assert_eq!(ruling.reason, "unknown: simulate: node gone");
        }
    }
    let not_minable = Unjudged::NotMinable { reason: "nonce 9 where the next is 7".to_owned() };
    let case = Case { unjudged: Some(not_minable), ..case(&[0], ModelKey::Absent) };
    let ruling = decide(&case, &standing(Mode::Armed));
    assert_eq!((ruling.outcome, ruling.decision), (Outcome::Unknown, Decision::None));
}

#[test]
fn no_order_is_ever_exceeded() {
    for kinds in subsets() {
        for model in MODELS {
            for standing in standings() {
                let ruling = decide(&case(&kinds, model), &standing);
                let is_free = standing.pauses_left > 0 && standing.cooling_until_block.is_none();
                if ruling.decision == Decision::Pause {
                    assert!(
                        is_free && standing.mode == Mode::Armed,
                        "{standing:?}: {}",
                        ruling.reason
                    );
                    let has_stable = kinds.iter().any(|kind| rule(*kind).is_stable);
                    assert!(has_stable, "a pause without a stable rule: {}", ruling.reason);
                }
                if standing.mode == Mode::Observe {
                    assert_eq!(ruling.decision, Decision::None);
                }
                if standing.mode == Mode::Armed {
                    assert_eq!(ruling.decision, ruling.would_decide);
                }
                let armed =
                    decide(&case(&kinds, model), &Standing { mode: Mode::Armed, ..standing });
                assert_eq!(
                    ruling.would_decide, armed.decision,
                    "observing shows what arming would do"
                );
                assert_eq!(ruling.outcome == Outcome::Clear, ruling.would_decide == Decision::None);
            }
        }
    }
}

#[test]
fn more_evidence_never_decides_less() {
    for kinds in subsets() {
        for standing in standings() {
            for model in MODELS {
                let before = decide(&case(&kinds, model), &standing).decision;
                for added in 0..KINDS.len() {
                    let more: Vec<usize> = kinds.iter().copied().chain([added]).collect();
                    let after = decide(&case(&more, model), &standing).decision;
                    assert!(
                        before <= after,
                        "{kinds:?} and {added} under {model:?}: {before:?} became {after:?}"
                    );
                }
            }
            let scores = [0.0, 0.1, 0.5, 0.6, 0.9, 1.0].map(ModelKey::Score);
            let decisions = scores.map(|model| decide(&case(&kinds, model), &standing).decision);
            assert!(decisions.is_sorted(), "{kinds:?}: {decisions:?}");
        }
    }
}

#[test]
fn what_held_a_pause_back_is_said() {
    let attack = case(&[0], ModelKey::Absent);
    let spent = decide(&attack, &Standing { pauses_left: 0, ..standing(Mode::Armed) });
    assert_eq!(
        spent.reason,
        "hard invariant broken: pack/rule-0; alert only: today's budget of pauses is used up"
    );
    let cooling =
        decide(&attack, &Standing { cooling_until_block: Some(9), ..standing(Mode::Armed) });
    assert!(
        cooling.reason.ends_with("cooling down after a pause until block 9"),
        "{}",
        cooling.reason
    );
    assert_eq!((spent.outcome, spent.decision), (Outcome::Attack, Decision::Alert));
}

#[test]
fn who_is_allowed_and_what_is_planned_pauses_nothing_and_says_why() {
    let hard = case(&[0], ModelKey::Absent);
    let soft = case(&[2], ModelKey::Absent);
    let with = |case: &Case, eased| {
        let ruling = decide(case, &Standing { eased: Some(eased), ..standing(Mode::Armed) });
        (ruling.decision, ruling.would_decide, ruling.reason)
    };
    let allowed = || Eased::Allowed("treasury".into());
    let quiet = || Eased::Quiet("migration".into());
    let (decision, would_decide, reason) = with(&hard, allowed());
    assert_eq!((decision, would_decide), (Decision::Alert, Decision::Alert));
    assert!(reason.ends_with("alert only: the sender is allowed: treasury"), "{reason}");
    let (decision, _, reason) = with(&soft, allowed());
    assert_eq!(decision, Decision::None);
    assert!(reason.ends_with("let go: the sender is allowed: treasury"), "{reason}");
    let (decision, _, reason) = with(&hard, quiet());
    assert_eq!(decision, Decision::Alert);
    assert!(reason.ends_with("alert only: operations are planned: migration"), "{reason}");
    assert_eq!(with(&soft, quiet()).0, Decision::Alert, "alerts stay");
    let unknown = Case {
        unjudged: Some(Unjudged::Failed { stage: "simulate", reason: "no state".into() }),
        ..case(&[], ModelKey::Absent)
    };
    assert_eq!(with(&unknown, allowed()).0, Decision::Alert, "what is unknown is told");
}

/// Whatever the evidence: a person is asked only where something would really be paused, never about a broken hard
/// invariant, and asking changes nothing else.
#[test]
fn people_are_asked_about_pauses_on_soft_evidence_and_nothing_else() {
    let mut asked = 0;
    for kinds in subsets() {
        let is_hard = kinds.iter().any(|kind| {
            let (_, evidence, is_stable) = KINDS[*kind];
            evidence == EvidenceKind::Hard && is_stable
        });
        for model in MODELS {
            for standing in standings() {
                let alone = decide(&case(&kinds, model), &standing);
                let asking =
                    decide(&case(&kinds, model), &Standing { asks_people: true, ..standing });
                assert!(!alone.awaits_answer);
                assert_eq!(
                    (alone.outcome, alone.decision, alone.would_decide),
                    (asking.outcome, asking.decision, asking.would_decide)
                );
                assert_eq!(asking.awaits_answer, alone.decision == Decision::Pause && !is_hard);
                asked += u32::from(asking.awaits_answer);
            }
        }
    }
    assert!(asked > 0, "some of them wait");
}
