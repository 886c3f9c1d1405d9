//! Recorded and replayed through the whole guard.

use std::{io::Cursor, path::Path};

use portcullis_alerting::{
    journal::{Journal, VerdictFilter},
    record::{Decision, Outcome},
};
use portcullis_rules::Pack;

use super::{
    world::{ETHER, World, judged, parts, pauses, shipped},
    *,
};
use crate::source::{SourceEvent, recording::RecordingWriter};

#[tokio::test]
async fn the_attack_is_paused_and_nothing_else_is() {
    let mut world = World::new(true);
    let pending = [world.withdrawal(30), world.attack(), world.withdrawal(5)];
    let events = world.replay(&world.settings(Mode::Armed), shipped(), &pending).await;

    for benign in [&pending[0], &pending[2]] {
        let judged = judged(&events, benign.hash);
        assert_eq!((judged.row.outcome, judged.row.decision), (Outcome::Clear, Decision::None));
        assert_eq!(judged.touched, ["vault"]);
    }
    assert_eq!(judged(&events, pending[0].hash).outflow_wei, U256::from(30 * ETHER));
    let attack = judged(&events, pending[1].hash);
    assert_eq!((attack.row.outcome, attack.row.decision), (Outcome::Attack, Decision::Pause));
    assert_eq!(attack.outflow_wei, U256::from(30 * ETHER));
    assert!(
        attack.reasons.contains(&"model: none is configured".to_owned()),
        "{:?}",
        attack.reasons
    );
    let counterfactual = attack.evidence.as_ref().unwrap().counterfactual.as_ref().unwrap();
    assert!(counterfactual.pause_succeeds && counterfactual.attack_stopped);
    assert!(
        counterfactual.detail.ends_with("(revert: EnforcedPause())"),
        "{}",
        counterfactual.detail
    );

    let [pause] = pauses(&events).try_into().unwrap();
    assert_eq!(
        (pause.target, pause.tx_hash, pause.pause_hash),
        (world.vault, pending[1].hash, None)
    );
    assert!(pause.max_fee_per_gas_wei > 60_000_000_000 && pause.max_tip_wei > 5_000_000_000);
    let Some(GuardEvent::Stopped { totals }) = events.last() else { panic!("{events:#?}") };
    // Nobody announced the seven transactions of the second block.
    assert_eq!((totals.judged, totals.touching, totals.pauses), (3 + 7, 3 + 3, 1));
}

const SOFT_PACK: &str = r#"
pack: soft
version: 1.0.0
engine: 1
author: tests
rules:
  - id: reentered
    subject: transaction
    severity: high
    maturity: stable
    class: reentrancy
    evidence: soft
    why: A test.
    references: []
    when: touches_protected && reentry_depth > 1 && outflow_wei > 0
    message: "re-entered {reentry_depth} deep"
    false_positives: [none, this is a test]
    tests:
      - { name: fires, facts: { touches_protected: true, reentry_depth: 2, outflow_wei: 1 }, expect: fires }
      - { name: silent, facts: { touches_protected: true, reentry_depth: 1, outflow_wei: 1 }, expect: silent }
"#;

/// The same recording, the same soft rule: with the model that ships the attack is paused, without it people are
/// told.
#[tokio::test]
async fn the_model_is_asked_and_turns_the_decision() {
    let mut world = World::new(true);
    let pending = [world.withdrawal(30), world.attack()];
    let mut settings = world.settings(Mode::Armed);
    settings.policy.pause_score = Some(0.5);
    let soft =
        || RuleSet::new(vec![Pack::parse(SOFT_PACK, "soft", &[dictionary()]).unwrap()]).unwrap();
    let model = Model::from_bytes(
        portcullis_models::shipped::TRANSACTION,
        &portcullis_models::schema::TRANSACTION,
        portcullis_models::Engine::Native,
    );
    let with_model = Parts { model: Some(Arc::new(model.unwrap())), ..parts(soft()) };
    let replay =
        Replay { recording: world.record(&pending), pace: Pace::Unpaced, hand: world.hand() };
    let asked = super::replay(&settings, with_model, replay, |_| {}).await.unwrap();
    let unasked = world.replay(&settings, soft(), &pending).await;

    let (benign, attack) = (judged(&asked, pending[0].hash), judged(&asked, pending[1].hash));
    assert!(
        benign.row.score.unwrap() < 0.5 && benign.row.decision == Decision::None,
        "{:?}",
        benign.row
    );
    assert_eq!(attack.row.decision, Decision::Pause, "{}", attack.row.reason);
    assert!(attack.row.reason.contains("with a second key: the model's"), "{}", attack.row.reason);
    let evidence = attack.evidence.as_ref().unwrap().model.as_ref().unwrap();
    assert_eq!((evidence.engine.as_str(), evidence.probability), ("native", attack.row.score));
    assert!(!evidence.contributions.is_empty());

    let attack = judged(&unasked, pending[1].hash);
    assert_eq!((attack.row.decision, attack.row.score), (Decision::Alert, None));
    assert!(attack.row.reason.contains("no model is configured"), "{}", attack.row.reason);
    assert_eq!((pauses(&asked).len(), pauses(&unasked).len()), (1, 0));
}

#[tokio::test]
async fn every_event_is_one_json_object_that_names_itself() {
    let mut world = World::new(true);
    let pending = [world.attack()];
    let events = world.replay(&world.settings(Mode::Armed), shipped(), &pending).await;
    let names = events
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned());
    let names: Vec<String> = names.collect();
    let unannounced = ["verdict"; 7];
    let expected = [
        &["started", "node_up", "head"][..],
        &unannounced,
        &["head", "verdict", "pause", "action", "chain_ended", "stopped"],
    ];
    assert_eq!(names, expected.concat());
}

#[tokio::test]
async fn a_recording_gives_the_same_events_each_time() {
    let mut world = World::new(true);
    let pending = [world.withdrawal(30), world.attack(), world.attack()];
    let settings = world.settings(Mode::Armed);
    let first = world.replay(&settings, shipped(), &pending).await;
    assert_eq!(first, world.replay(&settings, shipped(), &pending).await);
}

#[tokio::test]
async fn the_cool_down_keeps_a_second_pause_back() {
    let mut world = World::new(true);
    let pending = [world.attack(), world.attack()];
    let events = world.replay(&world.settings(Mode::Armed), shipped(), &pending).await;
    let second = judged(&events, pending[1].hash);
    assert_eq!((second.row.outcome, second.row.decision), (Outcome::Attack, Decision::Alert));
    assert!(
        second.row.reason.contains("cooling down after a pause until block 51"),
        "{}",
        second.row.reason
    );
    assert_eq!(pauses(&events).len(), 1);
}

#[tokio::test]
async fn observing_decides_nothing_and_says_what_arming_would() {
    let mut world = World::new(true);
    let pending = [world.attack()];
    let events = world.replay(&world.settings(Mode::Observe), shipped(), &pending).await;
    let row = &judged(&events, pending[0].hash).row;
    assert_eq!(
        (row.decision, row.would_decide, row.mode),
        (Decision::None, Decision::Pause, Mode::Observe)
    );
    assert!(pauses(&events).is_empty());
}

#[tokio::test]
async fn without_the_rules_the_attack_passes() {
    let mut world = World::new(true);
    let pending = [world.attack()];
    let events = world.replay(&world.settings(Mode::Armed), RuleSet::default(), &pending).await;
    let attack = judged(&events, pending[0].hash);
    assert_eq!(attack.row.would_decide, Decision::None);
    assert!(attack.reasons.contains(&"rules: none are loaded".to_owned()), "{:?}", attack.reasons);
}

#[tokio::test]
async fn a_pause_that_does_not_help_is_not_fired() {
    let mut world = World::new(false);
    let pending = [world.attack(), world.attack()];
    let events = world.replay(&world.settings(Mode::Armed), shipped(), &pending).await;
    for attack in &pending {
        // The second is not held back by a cool-down: the pause that was not fired does not count.
        let row = &judged(&events, attack.hash).row;
        assert_eq!(
            (row.outcome, row.decision, row.would_decide),
            (Outcome::Attack, Decision::Alert, Decision::Alert)
        );
        assert!(row.reason.contains("the pause does not help: the pause of"), "{}", row.reason);
    }
    assert!(pauses(&events).is_empty());
}

#[tokio::test]
async fn a_nonce_gap_waits_for_its_predecessor_and_is_judged_once() {
    let mut world = World::new(true);
    let (first, second) = (world.withdrawal(1), world.withdrawal(2));
    // The first is mined without ever having been pending; the second was announced before that.
    let recording = |world: &World| world.record(std::slice::from_ref(&second));
    let early = recording(&world);
    world.mine(&[first]);
    let late = world.blocks.last().unwrap();
    let mut writer =
        RecordingWriter::new(Path::new("test"), Vec::new(), early.header().clone()).unwrap();
    for step in early.steps() {
        match step {
            SourceEvent::Head(block) => writer.head(block).unwrap(),
            SourceEvent::Pending(tx) => writer.pending(tx).unwrap(),
            _ => {}
        }
    }
    writer.head(late).unwrap();
    let recording =
        Recording::read(Path::new("test"), Cursor::new(writer.finish().unwrap())).unwrap();
    let replay = Replay { recording: Arc::new(recording), pace: Pace::Unpaced, hand: world.hand() };
    let events = super::replay(&world.settings(Mode::Armed), parts(shipped()), replay, |_| {})
        .await
        .unwrap();
    let row = &judged(&events, second.hash).row;
    assert_eq!((row.outcome, row.block), (Outcome::Clear, 2), "{}", row.reason);
}

#[tokio::test]
async fn what_never_becomes_minable_is_journalled_as_unknown() {
    let mut world = World::new(true);
    world.user.nonce += 1;
    let stranded = world.withdrawal(1);
    world.user.nonce = 0;
    let stale = world.withdrawal(1);
    let pending = [stranded, stale];
    let events = world.replay(&world.settings(Mode::Armed), shipped(), &pending).await;
    for (tx, reason) in [
        (&pending[0], "never became minable"),
        (&pending[1], "nonce 0 where the sender's next is 1"),
    ] {
        let row = &judged(&events, tx.hash).row;
        assert_eq!((row.outcome, row.would_decide), (Outcome::Unknown, Decision::None));
        assert!(row.reason.contains(reason), "{}", row.reason);
    }
}

#[tokio::test]
async fn the_journal_holds_one_row_for_each_transaction_and_evidence_where_the_vault_is_touched() {
    let mut world = World::new(true);
    let elsewhere = world.admin.call(Address::repeat_byte(0x77), 1, Vec::new());
    let pending = [world.withdrawal(3), world.attack(), elsewhere];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let settings = GuardSettings { journal: Some(path.clone()), ..world.settings(Mode::Armed) };
    let events = world.replay(&settings, shipped(), &pending).await;

    let journal = Journal::open_read_only(&path).unwrap();
    let rows = journal.verdicts(&VerdictFilter::default()).unwrap();
    let announced = rows.iter().filter(|row| !row.is_mined).count();
    assert_eq!((announced, rows.len() - announced), (pending.len(), 7));
    for row in &rows {
        assert_eq!(*row, judged(&events, row.tx_hash).row);
    }
    let n_evidence = |tx: &PendingTransaction| journal.evidence(tx.hash).unwrap().len();
    assert_eq!(pending.each_ref().map(|tx| n_evidence(tx)), [1, 1, 0]);
    let [evidence] = journal.evidence(pending[1].hash).unwrap().try_into().unwrap();
    assert_eq!(evidence.facts["outflow_wei"], (30 * ETHER).to_string());
    assert!(evidence.call_tree.as_array().unwrap().len() > 8);
    let kinds: Vec<_> =
        journal.actions(pending[1].hash).unwrap().into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["pause_shown"]);
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused_at_start() {
    let world = World::new(true);
    let armed = world.settings(Mode::Armed);
    let no_key = Guard::start(armed.clone(), parts(shipped())).await.unwrap_err();
    assert_eq!(no_key.to_string(), "protected `vault` is armed, which needs a pauser's key");
    let mut elsewhere = armed.clone();
    elsewhere.protected[0].chain = "moon".into();
    let unknown = Guard::start(elsewhere, parts(shipped())).await.unwrap_err();
    assert_eq!(unknown.to_string(), "protected `vault`: chain `moon` is not configured");
    let mut twice = world.settings(Mode::Alert);
    twice.protected.push(ProtectedSettings { name: "other".into(), ..twice.protected[0].clone() });
    let twice = Guard::start(twice, parts(shipped())).await.unwrap_err();
    assert!(
        twice.to_string().ends_with("is protected twice: by `vault` and by `other`"),
        "{twice}"
    );
    let mut other = armed;
    other.chains[0].chain_id = 1;
    let replay = Replay { recording: world.record(&[]), pace: Pace::Unpaced, hand: None };
    let foreign = super::replay(&other, parts(shipped()), replay, |_| {}).await.unwrap_err();
    assert_eq!(
        foreign.to_string(),
        "the recording is of chain `test` (id 31337), which is not configured"
    );
}

#[tokio::test]
async fn bait_uses_up_the_budget_and_no_more() {
    let mut world = World::new(true);
    let bait = world.raised_attacks(6);
    let mut settings = world.settings(Mode::Armed);
    settings.policy.cooldown_blocks = 0;
    let events = world.replay(&settings, shipped(), &bait).await;
    let budget = settings.policy.max_pauses_per_day as usize;
    assert_eq!(pauses(&events).len(), budget);
    for (place, attack) in bait.iter().enumerate() {
        let row = &judged(&events, attack.hash).row;
        if place < budget {
            assert_eq!(row.decision, Decision::Pause, "{}", row.reason);
        } else {
            assert_eq!(row.decision, Decision::Alert);
            assert!(row.reason.contains("today's budget of pauses is used up"), "{}", row.reason);
        }
    }
}

#[tokio::test]
async fn who_is_allowed_is_told_of_and_not_paused_until_that_ends() {
    let mut world = World::new(true);
    let attack = world.attack();
    let mut settings = world.settings(Mode::Armed);
    for (until_ms, decision) in [(u64::MAX, Decision::Alert), (1, Decision::Pause)] {
        settings.policy.allow = vec![crate::settings::Allowed {
            sender: world.attacker.address(),
            protected: Some("vault".into()),
            until_ms,
            reason: "a rehearsal".into(),
        }];
        let events = world.replay(&settings, shipped(), std::slice::from_ref(&attack)).await;
        let row = &judged(&events, attack.hash).row;
        assert_eq!(row.decision, decision, "{}", row.reason);
        assert_eq!(row.reason.contains("the sender is allowed: a rehearsal"), until_ms > 1);
        assert_eq!(pauses(&events).len(), usize::from(until_ms == 1));
    }
}
