//! The loop of a running chain, over a script of events.

use std::sync::atomic::{AtomicBool, AtomicU64};

use portcullis_alerting::{
    guardian::{AttackFate, Inclusion, Premises},
    journal::Journal,
    record::{Decision, Outcome},
};

use super::{
    world::{ETHER, RULES, World, judged, parts, shipped},
    *,
};
use crate::{
    act::{Consent, Notice, PauseOrder},
    settings::{ChannelSettings, PolicySettings},
    source::SourceEvent,
};

/// A node that tells what it was given, and then nothing, or why it fails.
#[derive(Debug)]
struct Script {
    events: Vec<SourceEvent>,
    failure: Option<SourceError>,
}

impl Source for Script {
    fn chain(&self) -> Arc<str> {
        "test".into()
    }

    fn chain_id(&self) -> u64 {
        RULES.chain_id
    }

    fn start(
        self: Box<Self>,
        capacity: usize,
    ) -> (mpsc::Receiver<SourceEvent>, crate::source::SourceTask) {
        let (sender, receiver) = mpsc::channel(capacity);
        let task = async move {
            for event in self.events {
                sender.send(event).await.unwrap();
            }
            match self.failure {
                Some(failure) => Err(failure),
                None => std::future::pending().await,
            }
        };
        (receiver, Box::pin(task))
    }
}

/// A hand whose pauses are always mined at once, in front of the attack.
#[derive(Debug)]
pub(super) struct WillingHand {
    dry: DryHand,
    has_right: bool,
    fired: Mutex<Vec<PauseOrder>>,
    is_refreshed: AtomicBool,
    premises: Mutex<Vec<Premises>>,
    disagrees: bool,
    /// Somebody paused the contract already.
    stands: bool,
    mined: Mined,
}

/// What becomes of a pause that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mined {
    /// It is in the next block.
    Next,
    /// It waits.
    NotYet,
    /// Nobody takes it, and that is given up.
    Never,
}

type Later<'a, T> = futures_util::future::BoxFuture<'a, Result<T, GuardianError>>;

impl PauseHand for WillingHand {
    fn guardian(&self) -> Address {
        self.dry.guardian
    }

    fn rehearsal(&self, target: Address, evidence: B256) -> crate::simulate::CallOnly {
        self.dry.rehearsal(target, evidence)
    }

    fn confirm<'a>(&'a self, premises: &'a Premises, _within: Duration) -> Later<'a, String> {
        let agrees = !self.disagrees;
        self.premises.lock().unwrap().push(premises.clone());
        Box::pin(async move {
            if agrees {
                return Ok("1 of 1".to_owned());
            }
            Err(GuardianError::NotConfirmed {
                chain: "test".into(),
                agreed: 1,
                needed: 2,
                configured: 3,
                reasons: "b: another storage".into(),
            })
        })
    }

    fn fire<'a>(&'a self, order: &'a PauseOrder) -> Later<'a, crate::act::PauseFired> {
        self.fired.lock().unwrap().push(order.clone());
        Box::pin(async move {
            if self.stands {
                return Err(GuardianError::AlreadyPaused { target: order.target });
            }
            let priced = self.dry.fire(order).await?;
            Ok(crate::act::PauseFired { tx_hash: Some(B256::repeat_byte(1)), ..priced })
        })
    }

    fn follow(&self, tx_hash: B256, _until_block: u64) -> Later<'_, Inclusion> {
        Box::pin(async move {
            match self.mined {
                Mined::Next => {}
                Mined::NotYet => std::future::pending().await,
                Mined::Never => {
                    let reason = "not in any block up to 6".into();
                    return Err(GuardianError::NotMined { tx_hash, reason });
                }
            }
            Ok(Inclusion {
                tx_hash,
                block: 2,
                block_hash: B256::ZERO,
                index: 0,
                has_succeeded: true,
                gas_used: 60_000,
                effective_gas_price_wei: 1,
                cost_wei: U256::from(60_000),
            })
        })
    }

    fn attack_fate<'a>(&'a self, _pause: &'a Inclusion, _attack: B256) -> Later<'a, AttackFate> {
        Box::pin(async {
            Ok(AttackFate::Mined { block: 2, index: 1, has_succeeded: false, is_after_pause: true })
        })
    }

    fn refresh(&self) -> Later<'_, ()> {
        self.is_refreshed.store(true, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }

    fn preflight<'a>(&'a self, _targets: &'a [Address]) -> Later<'a, Address> {
        let (address, guardian) = (self.dry.pauser, self.dry.guardian);
        let missing =
            GuardianError::NotAPauser { address, guardian, reason: "never granted".into() };
        Box::pin(async move { if self.has_right { Ok(address) } else { Err(missing) } })
    }
}

impl WillingHand {
    pub(super) fn targets(&self) -> Vec<Address> {
        self.fired.lock().unwrap().iter().map(|order| order.target).collect()
    }
}

/// A running chain over a script.
pub(super) struct Live {
    pub(super) hand: Arc<WillingHand>,
    events: mpsc::UnboundedReceiver<GuardEvent>,
    pub(super) alerts: Arc<Mutex<Vec<String>>>,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<Result<(), GuardError>>,
}

/// How a chain is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    has_right: bool,
    work: usize,
    /// The nodes do not confirm what is judged.
    disagrees: bool,
    stands: bool,
    mined: Mined,
}

pub(super) const PLAN: Plan =
    Plan { has_right: true, work: 16, disagrees: false, stands: false, mined: Mined::Next };

impl Live {
    fn start(
        world: &World,
        plan: Plan,
        events: Vec<SourceEvent>,
        failure: Option<SourceError>,
    ) -> Self {
        Self::start_by(world, plan, events, failure, Arc::new(|| 0))
    }

    /// With a clock of the test's own.
    fn start_by(
        world: &World,
        plan: Plan,
        events: Vec<SourceEvent>,
        failure: Option<SourceError>,
        clock: Clock,
    ) -> Self {
        Self::start_asking(world, plan, (events, failure), clock, (shipped(), None))
    }

    /// Under rules of the test's own, and with people who are asked.
    pub(super) fn start_asking(
        world: &World,
        plan: Plan,
        (events, failure): (Vec<SourceEvent>, Option<SourceError>),
        clock: Clock,
        (rules, consent): (RuleSet, Option<Arc<Consent>>),
    ) -> Self {
        let policy = PolicySettings {
            approval: consent.as_ref().map(|consent| consent.settings().clone()),
            ..world.settings(Mode::Armed).policy
        };
        let settings = GuardSettings {
            policy,
            channels: ChannelSettings { work: plan.work, ..ChannelSettings::default() },
            ..world.settings(Mode::Armed)
        };
        #[expect(clippy::disallowed_methods, reason = "the test reads everything at its end")]
        let (sender, receiver) = mpsc::unbounded_channel();
        let alerts = Arc::new(Mutex::new(Vec::new()));
        let raised = Arc::clone(&alerts);
        let queue = Box::new(move |notice: Notice| {
            raised.lock().unwrap().push(match notice {
                Notice::Raised(alert) => alert.title,
                Notice::Over(alert) => format!("over: {}", alert.incident),
            });
            Ok(())
        });
        let desk =
            Desk::new(None, Box::new(move |event| drop(sender.send(event))), Some(queue), clock);
        let hand = Arc::new(WillingHand {
            dry: world.hand().unwrap(),
            has_right: plan.has_right,
            fired: Mutex::default(),
            is_refreshed: AtomicBool::new(false),
            premises: Mutex::default(),
            disagrees: plan.disagrees,
            stands: plan.stands,
            mined: plan.mined,
        });
        let judge = Judge::new(Arc::new(rules), None);
        let ledger = Arc::new(Mutex::new(Ledger::new(limits(&settings, &judge))));
        let state = ForkedState::from_recording(&world.record(&[])).unwrap();
        let kept: Arc<dyn PauseHand> = hand.clone();
        let chain = Chain::new(
            &settings.chains[0],
            &settings,
            state,
            Some(kept),
            Shared { judge, ledger, desk: Arc::new(desk), metrics: Arc::default(), consent },
        );
        let stop = watch::Sender::new(false);
        let runner = run::Runner {
            chain: Arc::new(chain),
            channels: settings.channels,
            workers: 1,
            ask_every: Duration::ZERO,
            stop: stop.subscribe(),
            tape: None,
            coverage: None,
            resume: None,
            most_waiting: 0,
            most_told: 7,
            mined_within: Duration::from_secs(60),
        };
        let ended = tokio::spawn(runner.run(Box::new(Script { events, failure })));
        Self { hand, events: receiver, alerts, stop, ended }
    }

    /// Events up to and with the first that is wanted.
    pub(super) async fn until(&mut self, wanted: impl Fn(&GuardEvent) -> bool) -> Vec<GuardEvent> {
        let mut seen = Vec::new();
        let within = Duration::from_secs(30);
        while let Ok(Some(event)) = tokio::time::timeout(within, self.events.recv()).await {
            let is_wanted = wanted(&event);
            seen.push(event);
            if is_wanted {
                return seen;
            }
        }
        panic!("the stream ended, or stood still, before what was wanted: {seen:#?}");
    }

    pub(super) async fn stop(mut self) -> (Vec<GuardEvent>, Result<(), GuardError>) {
        self.stop.send_replace(true);
        let ended = self.ended.await.unwrap();
        let mut rest = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            rest.push(event);
        }
        (rest, ended)
    }
}

pub(super) fn up() -> SourceEvent {
    SourceEvent::Up { node: "node".into(), chain: "test".into() }
}

pub(super) fn actions(events: &[GuardEvent]) -> Vec<(&str, &str)> {
    let rows = events
        .iter()
        .filter_map(|event| if let GuardEvent::Action(row) = event { Some(row) } else { None });
    rows.map(|row| (row.kind.as_str(), row.detail.as_str())).collect()
}

#[tokio::test]
async fn a_pause_is_sent_followed_and_told() {
    let mut world = World::new(true);
    let attack = world.attack();
    let mut script = vec![up()];
    script.extend(world.blocks.iter().cloned().map(SourceEvent::Head));
    script.push(SourceEvent::Pending(Arc::clone(&attack)));
    let mut live = Live::start(&world, PLAN, script, None);
    let events = live
        .until(|event| matches!(event, GuardEvent::Action(row) if row.kind == "attack_reverted"))
        .await;

    assert!(events.iter().any(|event| matches!(event, GuardEvent::PauseReady { .. })));
    assert!(events.iter().any(|event| matches!(event, GuardEvent::Ready { .. })));
    assert_eq!(judged(&events, attack.hash).row.decision, Decision::Pause);
    assert_eq!(live.hand.targets(), [world.vault]);
    assert!(live.hand.is_refreshed.load(Ordering::SeqCst), "the nonce is read ahead at each head");
    let kinds: Vec<_> = actions(&events).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["pause_sent", "pause_mined", "attack_reverted"]);
    assert!(
        actions(&events)[2].1.contains("after the pause; 30000000000000000000 wei saved"),
        "{events:#?}"
    );
    assert_eq!(
        *live.alerts.lock().unwrap(),
        [
            "vault: hard invariant broken: reentrancy/lost-update-drain".to_owned(),
            "over: test/vault/pause".to_owned(),
            "vault: paused".to_owned(),
            format!("over: test/vault/{}", world.attacker.address()),
        ]
    );
    let premises = live.hand.premises.lock().unwrap().clone();
    let [premises] = premises.as_slice() else { panic!("confirmed once: {premises:?}") };
    assert_eq!((premises.block, premises.block_hash), {
        let head = world.blocks.last().unwrap();
        (head.number, head.hash)
    });
    assert!(premises.codes.iter().any(|(address, _)| *address == world.vault));
    assert!(premises.codes.iter().any(|(address, _)| *address == world.attack_contract));
    assert!(premises.slots.iter().any(|(address, ..)| *address == world.vault));
    assert_eq!(premises.balances, [(world.vault, U256::from(60 * ETHER))]);
    let (rest, ended) = live.stop().await;
    ended.unwrap();
    assert!(matches!(rest.last(), Some(GuardEvent::ChainEnded { failure: None, .. })), "{rest:#?}");
}

#[tokio::test]
async fn what_the_nodes_do_not_confirm_is_an_alert_and_no_pause() {
    let mut world = World::new(true);
    let attacks = world.raised_attacks(4);
    let mut script = vec![up()];
    script.extend(world.blocks.iter().cloned().map(SourceEvent::Head));
    script.extend(attacks.iter().cloned().map(SourceEvent::Pending));
    let mut live = Live::start(&world, Plan { disagrees: true, ..PLAN }, script, None);
    let mut events = Vec::new();
    // More than a day's budget of them: what was not fired uses none of it up.
    for _ in &attacks {
        events.extend(
            live.until(
                |event| matches!(event, GuardEvent::Action(row) if row.kind == "pause_unconfirmed"),
            )
            .await,
        );
    }
    assert!(live.hand.fired.lock().unwrap().is_empty());
    assert!(actions(&events).iter().all(|(kind, _)| *kind == "pause_unconfirmed"), "{events:#?}");
    let title = "vault: not paused, the nodes do not agree".to_owned();
    assert!(live.alerts.lock().unwrap().contains(&title));
    let (_, ended) = live.stop().await;
    ended.unwrap();
}

/// What is paused already needs no second pause: the row says so, nobody is told that a pause failed, and the budget
/// stays whole.
#[tokio::test]
async fn a_pause_that_stands_is_journalled_and_nobody_is_alarmed() {
    let mut world = World::new(true);
    let mut script = vec![up()];
    script.extend(world.blocks.iter().cloned().map(SourceEvent::Head));
    script.push(SourceEvent::Pending(world.attack()));
    let mut live = Live::start(&world, Plan { stands: true, ..PLAN }, script, None);
    let is_it = |event: &GuardEvent| matches!(event, GuardEvent::Action(row) if row.kind.starts_with("pause_"));
    let events = live.until(is_it).await;
    let words = format!("{} is paused already", world.vault);
    assert_eq!(actions(&events), [("pause_stands", words.as_str())]);
    let alerts = live.alerts.lock().unwrap().clone();
    assert_eq!(alerts, ["vault: hard invariant broken: reentrancy/lost-update-drain"]);
    let (rest, ended) = live.stop().await;
    ended.unwrap();
    assert_eq!(actions(&rest), []);
}

#[tokio::test]
async fn an_attack_that_offers_more_than_before_is_paused_above_it() {
    let mut world = World::new(true);
    let attacks = world.raised_attacks(2);
    let mut script = vec![up()];
    script.extend(world.blocks.iter().cloned().map(SourceEvent::Head));
    script.extend(attacks.iter().cloned().map(SourceEvent::Pending));
    let mut live = Live::start(&world, Plan { mined: Mined::NotYet, ..PLAN }, script, None);
    for (attack, kind) in attacks.iter().zip(["pause_sent", "pause_raised"]) {
        let events =
            live.until(|event| matches!(event, GuardEvent::Action(row) if row.kind == kind)).await;
        assert_eq!(judged(&events, attack.hash).row.decision, Decision::Pause);
    }
    let fees: Vec<_> = live
        .hand
        .fired
        .lock()
        .unwrap()
        .iter()
        .map(|order| order.attack_max_fee_per_gas_wei)
        .collect();
    assert_eq!(fees, [60_000_000_000, 70_000_000_000]);
    live.ended.abort();
}

#[tokio::test]
async fn a_pause_that_nobody_mined_uses_up_no_budget() {
    let mut world = World::new(true);
    let attacks = world.raised_attacks(4);
    let mut script = vec![up()];
    script.extend(world.blocks.iter().cloned().map(SourceEvent::Head));
    let (first, later) = (attacks[0].clone(), attacks[1..].to_vec());
    script.push(SourceEvent::Pending(first));
    script.extend(later.into_iter().map(SourceEvent::Pending));
    let mut live = Live::start(&world, Plan { mined: Mined::Never, ..PLAN }, script, None);
    let failed = |event: &GuardEvent| matches!(event, GuardEvent::Action(row) if row.kind == "pause_not_mined");
    // More than a day's budget of them.
    for _ in &attacks {
        live.until(failed).await;
    }
    assert_eq!(live.hand.targets().len(), attacks.len());
    live.stop().await.1.unwrap();
}

#[tokio::test]
async fn a_clock_that_jumps_changes_no_verdict_and_fires_no_second_pause() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    let mut world = World::new(true);
    let pending = [world.withdrawal(3), world.attack(), world.withdrawal(5), world.attack()];
    let mut script = vec![up()];
    script.extend(world.blocks.iter().cloned().map(SourceEvent::Head));
    script.extend(pending.iter().cloned().map(SourceEvent::Pending));
    // Days ahead, back to before the transactions were seen, and to the epoch, at every look.
    let looks = AtomicU64::new(0);
    let clock: Clock = Arc::new(move || {
        let look = looks.fetch_add(1, Ordering::Relaxed);
        [1_700_000_000_000 + 9 * DAY_MS * look, 1_700_000_000_000, 0][(look % 3) as usize]
    });
    let mut live = Live::start_by(&world, PLAN, script, None, clock);
    let (last, hand) = (pending[3].hash, Arc::clone(&live.hand));
    let mut events = live
        .until(|event| matches!(event, GuardEvent::Verdict(judged) if judged.row.tx_hash == last))
        .await;
    let (rest, ended) = live.stop().await;
    ended.unwrap();
    events.extend(rest);
    let outcomes = pending.each_ref().map(|tx| judged(&events, tx.hash).row.outcome);
    let (clear, attack) = (Outcome::Clear, Outcome::Attack);
    assert_eq!(outcomes, [clear, attack, clear, attack]);
    let fired: Vec<Address> = hand.fired.lock().unwrap().iter().map(|order| order.target).collect();
    assert_eq!(fired, [world.vault], "the cool-down is counted in blocks");
}

#[tokio::test]
async fn a_key_without_the_right_ends_the_guard_with_the_reason() {
    let world = World::new(false);
    let live = Live::start(&world, Plan { has_right: false, ..PLAN }, vec![up()], None);
    let error = live.ended.await.unwrap().unwrap_err();
    assert!(matches!(error, GuardError::Pause { .. }), "{error}");
    assert!(error.to_string().contains("is not a pauser of guardian"), "{error}");
}

#[tokio::test]
async fn a_source_that_fails_ends_its_chain_with_its_words() {
    let world = World::new(true);
    let failure = SourceError::WrongChain {
        node: "node".into(),
        chain: "test".into(),
        expected: 31_337,
        found: 1,
    };
    let live = Live::start(&world, PLAN, vec![up()], Some(failure));
    let error = live.ended.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "node `node` serves chain id 1, but chain `test` is configured with 31337"
    );
}

#[tokio::test]
async fn what_there_is_no_room_for_is_counted_and_journalled() {
    let mut world = World::new(true);
    let pending: Vec<_> = (0..200).map(|_| world.withdrawal(1)).collect();
    let mut script: Vec<_> = world.blocks.iter().cloned().map(SourceEvent::Head).collect();
    script.extend(pending.iter().cloned().map(SourceEvent::Pending));
    script.push(up());
    let mut live = Live::start(&world, Plan { work: 1, ..PLAN }, script, None);
    let mut events = live.until(|event| matches!(event, GuardEvent::NodeUp { .. })).await;
    let (rest, ended) = live.stop().await;
    ended.unwrap();
    events.extend(rest);
    let dropped = events
        .iter()
        .filter(|event| matches!(event, GuardEvent::Dropped { stage, .. } if stage == "work"));
    let refused = events.iter().filter(|event| {
        matches!(event, GuardEvent::Verdict(judged)
            if judged.row.outcome == Outcome::Unknown && judged.row.reason.contains("no room in the work queue"))
    });
    let (n_dropped, n_refused) = (dropped.count(), refused.count());
    assert!(n_dropped > 0, "two hundred at once do not fit in a queue of one");
    assert_eq!(n_dropped, n_refused, "each one dropped has its row");
}

#[tokio::test]
async fn a_guard_without_its_node_says_so_and_stops_in_order() {
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world = World::new(true);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut settings = GuardSettings { journal: Some(path.clone()), ..world.settings(Mode::Alert) };
    let url = format!("ws://127.0.0.1:{port}").parse().unwrap();
    settings.chains[0].nodes = vec![crate::source::NodeSettings { name: "gone".into(), url }];
    let (handle, mut events) = Guard::start(settings, parts(shipped())).await.unwrap();
    let down = loop {
        match events.next().await.unwrap().unwrap().as_ref() {
            GuardEvent::NodeDown { node, attempt, .. } => break (node.clone(), *attempt),
            GuardEvent::Started(started) => {
                assert_eq!(started.protected, [("vault".to_owned(), Mode::Alert)])
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(down, ("gone".to_owned(), 1));
    let stopped = handle.shutdown().await;
    assert_eq!(stopped.totals, Totals::default());
    assert!(stopped.journal.unwrap().is_sound());
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event.unwrap());
    }
    assert!(matches!(last.as_deref(), Some(GuardEvent::Stopped { .. })), "{last:?}");
    assert!(Journal::open_read_only(&path).is_ok());
}

#[tokio::test]
async fn what_was_mined_unannounced_is_judged_on_the_head_below() {
    let mut world = World::new(true);
    let attack = world.attack();
    let before = world.blocks.clone();
    world.mine(&[Arc::clone(&attack)]);
    let mut script = vec![up()];
    script.extend(world.blocks.iter().cloned().map(SourceEvent::Head));
    // The state begins before all blocks; those of the setup are judged too.
    let mut live = Live::start(&world, PLAN, script, None);
    let events = live.until(|event| matches!(event, GuardEvent::Head { number: 2, .. })).await;
    let row = &judged(&events, attack.hash).row;
    assert_eq!(
        (row.outcome, row.block, row.is_mined),
        (Outcome::Attack, before.last().unwrap().number, true),
        "{}",
        row.reason
    );
    let (_, ended) = live.stop().await;
    ended.unwrap();
}
