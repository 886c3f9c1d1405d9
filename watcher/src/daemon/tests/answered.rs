//! Pauses that wait for people: what counts as an answer, what does not, and what follows.

use portcullis_alerting::{
    guardian::{Answer, AnswerError, Key, Say, SignedAnswer, Waiting},
    journal::Journal,
    secret::Secret,
};

use super::{
    live::{Live, PLAN, actions, up},
    past::{rule, rules},
    world::{World, judged, shipped},
    *,
};
use crate::{
    act::{Consent, Refusal},
    settings::{ApprovalSettings, WithoutAnswer},
    source::SourceEvent,
};

const NOW_MS: u64 = 1_700_000_000_000;
const NOW_S: u64 = NOW_MS / 1_000;

fn key(seed: u8) -> Key {
    let secret = Secret::new(format!("{}", B256::repeat_byte(seed)));
    Key::from_env_value("KEY", &secret).unwrap()
}

/// Two soft rules of different classes: enough for a pause, and less than a broken invariant.
fn soft() -> RuleSet {
    let when = "when: touches_protected && outflow_wei > eth(20)\nmessage: much left";
    let other = rule("second", when).replace("class: drain", "class: odd");
    rules(&[rule("first", when), other].concat())
}

fn approval(wait_ms: u64, without_answer: WithoutAnswer) -> ApprovalSettings {
    ApprovalSettings { signers: vec![key(1).address(), key(2).address()], wait_ms, without_answer }
}

/// A running guard that asks, over the attack, and the people it asks.
struct Scene {
    live: Live,
    consent: Arc<Consent>,
    world: World,
    attack: Arc<PendingTransaction>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(approval: ApprovalSettings, rules: RuleSet) -> Self {
        Self::over(approval, rules, |world| vec![world.attack()])
    }

    fn over(
        approval: ApprovalSettings,
        rules: RuleSet,
        pending: impl FnOnce(&mut World) -> Vec<Arc<PendingTransaction>>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().join("journal.db")).unwrap();
        let consent = Arc::new(Consent::restored(approval, journal, NOW_MS, |_| true).unwrap());
        let mut world = World::new(true);
        let pending = pending(&mut world);
        let mut script = vec![up()];
        script.extend(world.blocks.iter().cloned().map(SourceEvent::Head));
        script.extend(pending.iter().cloned().map(SourceEvent::Pending));
        let live = Live::start_asking(
            &world,
            PLAN,
            (script, None),
            Arc::new(|| NOW_MS),
            (rules, Some(Arc::clone(&consent))),
        );
        let attack = Arc::clone(&pending[0]);
        Self { live, consent, world, attack, _folder: folder }
    }

    /// Events up to the action of this kind.
    async fn until(&mut self, kind: &str) -> Vec<GuardEvent> {
        let is_it =
            |event: &GuardEvent| matches!(event, GuardEvent::Action(row) if row.kind == kind);
        self.live.until(is_it).await
    }

    fn waiting(&self) -> Waiting {
        let waiting = self.consent.waiting();
        let [waiting] = waiting.as_slice() else { panic!("one waits: {waiting:#?}") };
        waiting.clone()
    }
}

fn answer(waiting: &Waiting, decision: Say, nonce: u64) -> Answer {
    Answer {
        chain_id: waiting.chain_id,
        guardian: waiting.guardian,
        incident: waiting.incident,
        decision,
        nonce: U256::from(nonce),
        expiry: NOW_S + 600,
    }
}

fn signed(seed: u8, answer: Answer) -> SignedAnswer {
    key(seed).answer(answer).unwrap()
}

#[track_caller]
fn refusal(consent: &Consent, signed: &SignedAnswer) -> AnswerError {
    match consent.answer(signed, NOW_MS) {
        Err(Refusal::Answer(error)) => error,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[tokio::test]
async fn a_pause_on_soft_evidence_waits_and_is_fired_when_it_is_approved() {
    let mut scene = Scene::new(approval(60_000, WithoutAnswer::Alert), soft());
    let events = scene.until("pause_waits").await;
    let row = &judged(&events, scene.attack.hash).row;
    assert!(row.reason.ends_with("; waits for a person's answer"), "{}", row.reason);
    assert!(scene.live.hand.targets().is_empty(), "nothing is fired before");
    let waiting = scene.waiting();
    assert_eq!((waiting.target, waiting.tx_hash), (scene.world.vault, scene.attack.hash));
    assert!(
        actions(&events)[0].1.contains(&format!("answer approve --incident {}", waiting.incident))
    );
    let approve = signed(1, answer(&waiting, Say::Approve, 1));
    scene.consent.answer(&approve, NOW_MS).unwrap();
    let events = scene.until("attack_reverted").await;
    let kinds: Vec<_> = actions(&events).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["pause_approved", "pause_sent", "pause_mined", "attack_reverted"]);
    assert_eq!(scene.live.hand.targets(), [scene.world.vault]);
    scene.live.stop().await.1.unwrap();
}

#[tokio::test]
async fn a_broken_invariant_waits_for_nobody() {
    let mut scene = Scene::new(approval(60_000, WithoutAnswer::Alert), shipped());
    let events = scene.until("pause_mined").await;
    assert!(actions(&events).iter().all(|(kind, _)| *kind != "pause_waits"), "{events:#?}");
    assert!(scene.consent.waiting().is_empty());
    scene.live.stop().await.1.unwrap();
}

#[tokio::test]
async fn a_veto_holds_and_is_not_asked_about_again() {
    let mut scene = Scene::new(approval(60_000, WithoutAnswer::Pause), soft());
    scene.until("pause_waits").await;
    let veto = signed(2, answer(&scene.waiting(), Say::Veto, 5));
    scene.consent.answer(&veto, NOW_MS).unwrap();
    let events = scene.until("pause_vetoed").await;
    assert!(actions(&events)[0].1.contains(&key(2).address().to_string()), "{events:#?}");
    assert!(scene.live.hand.targets().is_empty());
    assert!(scene.consent.waiting().is_empty());
    let alerts = scene.live.alerts.lock().unwrap().clone();
    let incident = format!("over: test/vault/{}", scene.world.attacker.address());
    assert_eq!(alerts.last(), Some(&incident), "people are told that it is over");
    let again = crate::act::Pursuit {
        incident: incident.trim_start_matches("over: ").to_owned(),
        ..pursuit()
    };
    let asked = scene.consent.ask(again, 31_337, scene.world.guardian, NOW_MS + 1);
    let crate::act::Asked::Vetoed(until_ms) = asked else { panic!("{asked:?}") };
    assert_eq!(until_ms, (NOW_S + 600) * 1_000);
    scene.live.stop().await.1.unwrap();
}

#[tokio::test]
async fn no_answer_is_no_pause_unless_that_is_ordered() {
    let mut scene = Scene::new(approval(20, WithoutAnswer::Alert), soft());
    let events = scene.until("pause_unanswered").await;
    assert!(actions(&events).last().unwrap().1.contains("not paused"), "{events:#?}");
    assert!(scene.live.hand.targets().is_empty() && scene.consent.waiting().is_empty());
    scene.live.stop().await.1.unwrap();

    let mut scene = Scene::new(approval(20, WithoutAnswer::Pause), soft());
    let events = scene.until("pause_mined").await;
    let kinds: Vec<_> = actions(&events).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["pause_waits", "pause_unanswered", "pause_sent", "pause_mined"]);
    scene.live.stop().await.1.unwrap();
}

#[tokio::test]
async fn several_transactions_of_one_incident_are_asked_about_once() {
    let attacks = |world: &mut World| world.raised_attacks(3);
    let mut scene = Scene::over(approval(60_000, WithoutAnswer::Alert), soft(), attacks);
    scene.until("pause_waits").await;
    scene.until("pause_waits").await;
    let events = scene.until("pause_waits").await;
    let waiting = scene.waiting();
    let words = format!("the answer to {} decides", waiting.incident);
    assert_eq!(actions(&events).last().unwrap().1, words);
    let approve = signed(1, answer(&waiting, Say::Approve, 1));
    scene.consent.answer(&approve, NOW_MS).unwrap();
    scene.until("pause_mined").await;
    let fired = scene.live.hand.targets();
    assert_eq!(fired, [scene.world.vault], "one pause, for the newest of them");
    scene.live.stop().await.1.unwrap();
}

#[tokio::test]
async fn what_is_not_a_listed_person_s_answer_to_this_decision_does_not_count() {
    let mut scene = Scene::new(approval(60_000, WithoutAnswer::Alert), soft());
    scene.until("pause_waits").await;
    let (waiting, consent) = (scene.waiting(), Arc::clone(&scene.consent));
    let approve = answer(&waiting, Say::Approve, 1);
    let refused = |signed: &SignedAnswer| refusal(&consent, signed);

    let stranger = signed(9, approve.clone());
    assert_eq!(refused(&stranger), AnswerError::NotListed { signer: key(9).address() });
    let other_chain = signed(1, Answer { chain_id: 1, ..approve.clone() });
    assert!(matches!(refused(&other_chain), AnswerError::OtherChain { found: 1, .. }));
    let other_guardian = signed(1, Answer { guardian: Address::ZERO, ..approve.clone() });
    assert!(matches!(refused(&other_guardian), AnswerError::OtherGuardian { .. }));
    let other_incident = signed(1, Answer { incident: B256::ZERO, ..approve.clone() });
    assert!(matches!(refused(&other_incident), AnswerError::NothingWaits { .. }));
    let lapsed = signed(1, Answer { expiry: NOW_S, ..approve.clone() });
    assert!(matches!(refused(&lapsed), AnswerError::Lapsed { .. }));
    let eternal = signed(1, Answer { expiry: u64::MAX, ..approve.clone() });
    assert!(matches!(refused(&eternal), AnswerError::Lapsed { .. }));
    // Signed for something else and passed off as an answer to this.
    for forged in [&other_chain, &other_guardian, &other_incident, &lapsed] {
        let forged = SignedAnswer { answer: approve.clone(), signature: forged.signature.clone() };
        assert!(matches!(refused(&forged), AnswerError::NotListed { .. }));
    }
    let veto = SignedAnswer {
        answer: Answer { decision: Say::Veto, ..approve.clone() },
        ..signed(1, approve.clone())
    };
    assert!(matches!(refused(&veto), AnswerError::NotListed { .. }), "approve is not veto");
    assert_eq!(scene.waiting(), waiting, "it still waits");
    assert!(scene.live.hand.targets().is_empty());

    let approve = signed(1, approve);
    consent.answer(&approve, NOW_MS).unwrap();
    assert!(matches!(refused(&approve), AnswerError::NothingWaits { .. }));
    scene.until("pause_mined").await;
    scene.live.stop().await.1.unwrap();
}

/// The same journal after a restart, and a decision of the same name: the number alone keeps the old answer out.
#[tokio::test]
async fn an_answer_is_accepted_once_also_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let started = || {
        let journal = Journal::open(&path).unwrap();
        let consent =
            Consent::restored(approval(60_000, WithoutAnswer::Alert), journal, NOW_MS, |_| true)
                .unwrap();
        let pursuit = pursuit();
        let asked = consent.ask(pursuit, 31_337, Address::repeat_byte(3), NOW_MS);
        let crate::act::Asked::Now(waiting, answered) = asked else { panic!("{asked:?}") };
        (consent, waiting, answered)
    };
    let (before, waiting, answered) = started();
    let veto = signed(1, answer(&waiting, Say::Veto, 77));
    before.answer(&veto, NOW_MS).unwrap();
    assert_eq!(answered.await.unwrap().say, Say::Veto);
    drop(before);

    let (after, again, _answered) = started();
    assert_eq!(again.incident, waiting.incident, "asked about in the same millisecond");
    let (signer, nonce) = (key(1).address(), U256::from(77));
    assert_eq!(refusal(&after, &veto), AnswerError::Used { signer, nonce });
    let approve = signed(1, answer(&again, Say::Approve, 77));
    assert_eq!(refusal(&after, &approve), AnswerError::Used { signer, nonce });
    assert_eq!(after.waiting(), std::slice::from_ref(&again), "it still waits");
    let fresh = signed(1, answer(&again, Say::Approve, 78));
    assert_eq!(after.answer(&fresh, NOW_MS).unwrap().say, Say::Approve);
}

#[test]
fn bait_does_not_make_a_guard_remember_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path().join("journal.db")).unwrap();
    let consent =
        Consent::restored(approval(60_000, WithoutAnswer::Alert), journal, NOW_MS, |_| true)
            .unwrap();
    let mut kept = Vec::new();
    let asked = (0..100).map(|number| {
        let pursuit = crate::act::Pursuit { incident: format!("test/vault/{number}"), ..pursuit() };
        match consent.ask(pursuit, 31_337, Address::ZERO, NOW_MS) {
            crate::act::Asked::Now(_, answered) => {
                kept.push(answered);
                true
            }
            crate::act::Asked::NoRoom => false,
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(asked.filter(|is_asked| *is_asked).count(), 64);
    consent.close();
    assert!(consent.waiting().is_empty());
}

fn pursuit() -> crate::act::Pursuit {
    crate::act::Pursuit {
        chain: "test".into(),
        protocol: "vault".into(),
        incident: "test/vault/0x01".into(),
        attack: B256::repeat_byte(5),
        reason: "two soft rules".into(),
        awaits_answer: true,
        block: 7,
        at_stake_wei: U256::from(1),
        order: crate::act::PauseOrder {
            target: Address::repeat_byte(4),
            evidence: B256::repeat_byte(5),
            attack_max_fee_per_gas_wei: 1,
            attack_max_tip_wei: 1,
            base_fee_wei: 1,
            head: 7,
        },
        premises: Default::default(),
        confirm_within: Duration::from_secs(1),
        is_raise: false,
        ticket: None,
    }
}
