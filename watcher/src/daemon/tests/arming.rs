//! What the journal says before a start.

use portcullis_alerting::{
    journal::Journal,
    record::{ActionRow, Decision, Outcome, VerdictRow},
};

use super::{
    super::arming::Before,
    world::{RULES, World},
    *,
};

const DAY_MS: u64 = 86_400_000;
/// In the middle of a day.
const NOW_MS: u64 = 20_000 * DAY_MS + DAY_MS / 2;

fn row(seen_at_ms: u64, would_decide: Decision, mode: Mode) -> VerdictRow {
    VerdictRow {
        chain: "test".into(),
        chain_id: RULES.chain_id,
        block: 77,
        tx_hash: B256::repeat_byte(7),
        from: Address::ZERO,
        to: None,
        seen_at_ms,
        latency_us: 1,
        outcome: Outcome::Clear,
        decision: Decision::None,
        would_decide,
        mode,
        score: None,
        reason: String::new(),
        is_mined: false,
        touched: Vec::new(),
        would_pause: if would_decide == Decision::Pause && mode != Mode::Armed {
            vec!["vault".into()]
        } else {
            Vec::new()
        },
        is_replay: false,
    }
}

fn action(at_ms: u64, tx: u8, kind: &str, detail: &str) -> ActionRow {
    ActionRow {
        at_ms,
        chain: "test".into(),
        tx_hash: B256::repeat_byte(tx),
        kind: kind.into(),
        detail: detail.into(),
        action_tx_hash: None,
    }
}

/// The mode after a start over a journal with these rows, and what was noted.
fn started_over(
    rows: &[VerdictRow],
    change: impl FnOnce(&mut GuardSettings),
) -> (Mode, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    rows.iter().for_each(|row| journal.append_verdict(row).unwrap());
    let mut settings =
        GuardSettings { journal: Some(path), ..World::new(true).settings(Mode::Armed) };
    change(&mut settings);
    let before = Before::read(&mut settings, NOW_MS).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&told);
    let observer = Box::new(move |event| {
        let GuardEvent::Action(row) = event else { panic!("{event:?}") };
        hear.lock().unwrap().push(format!("{}: {}", row.kind, row.detail));
    });
    before.tell(&Desk::new(None, observer, None, Arc::new(|| NOW_MS)));
    let told = told.lock().unwrap().clone();
    (settings.protected[0].mode.unwrap(), told)
}

fn week() -> Vec<VerdictRow> {
    (1..=7).map(|back| row(NOW_MS - back * DAY_MS, Decision::Alert, Mode::Alert)).collect()
}

#[test]
fn armed_is_honoured_after_a_clean_week_and_not_before() {
    let (mode, told) = started_over(&week(), |_| {});
    assert_eq!((mode, told.as_slice()), (Mode::Armed, [].as_slice()));

    let (mode, told) = started_over(&week()[..6], |_| {});
    assert_eq!(mode, Mode::Alert);
    assert_eq!(
        told,
        ["arm_held: vault: runs as alert, not armed: 6 of 7 clean days in the journal"]
    );
    let (mode, told) = started_over(&[], |_| {});
    assert_eq!((mode, told.len()), (Mode::Alert, 1));
}

#[test]
fn a_day_with_a_would_be_pause_is_not_clean_and_one_of_an_armed_guard_is() {
    let mut rows = week();
    rows.push(row(NOW_MS - 3 * DAY_MS, Decision::Pause, Mode::Armed));
    assert_eq!(started_over(&rows, |_| {}).0, Mode::Armed);
    rows.push(row(NOW_MS - 3 * DAY_MS, Decision::Pause, Mode::Observe));
    let (mode, told) = started_over(&rows, |_| {});
    assert_eq!(mode, Mode::Alert);
    assert!(told[0].contains("2 of 7 clean days"), "{told:?}");
    let mut rows = week();
    rows.push(row(NOW_MS - 1_000, Decision::Pause, Mode::Alert));
    assert!(started_over(&rows, |_| {}).1[0].contains("0 of 7"), "today counts against it");
}

#[test]
fn an_override_arms_and_is_written_down_and_zero_days_need_none() {
    let (mode, told) =
        started_over(&[], |settings| settings.policy.arm_override = Some("rehearsed".into()));
    assert_eq!(mode, Mode::Armed);
    assert_eq!(
        told,
        ["arm_override: vault: armed with 0 of 7 clean days in the journal: rehearsed"]
    );
    let (mode, told) = started_over(&[], |settings| settings.policy.arm_after_clean_days = 0);
    assert_eq!((mode, told.len()), (Mode::Armed, 0));
    let (mode, told) = started_over(&[], |settings| settings.journal = None);
    assert_eq!((mode, told.len()), (Mode::Alert, 1), "without a journal nothing is known");
}

#[test]
fn a_restart_gives_no_budget_back_and_ends_no_cool_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    journal.append_verdict(&row(NOW_MS - 5_000, Decision::Pause, Mode::Armed)).unwrap();
    for action in [
        action(NOW_MS - DAY_MS - 1, 1, "pause_sent", "vault (0x..): yesterday"),
        action(NOW_MS - 4_000, 7, "pause_sent", "vault (0x..): fee cap"),
        action(NOW_MS - 3_900, 7, "pause_raised", "vault (0x..): fee cap"),
        action(NOW_MS - 3_000, 8, "pause_sent", "vault (0x..): fee cap"),
        action(NOW_MS - 2_000, 8, "pause_not_mined", "given up"),
        action(NOW_MS - 1_000, 9, "pause_sent", "another (0x..): is guarded no longer"),
    ] {
        journal.append_action(&action).unwrap();
    }
    let mut settings =
        GuardSettings { journal: Some(path), ..World::new(true).settings(Mode::Armed) };
    let before = Before::read(&mut settings, NOW_MS).unwrap();
    let judge = Judge::new(Arc::new(super::world::shipped()), None);
    let mut ledger = Ledger::new(limits(&settings, &judge));
    before.restore(&mut ledger);
    let standing = ledger.standing("test/vault", Mode::Armed, NOW_MS, 80);
    assert_eq!(standing.pauses_left, settings.policy.max_pauses_per_day - 1);
    assert_eq!(standing.cooling_until_block, Some(77 + settings.policy.cooldown_blocks));
}

#[test]
fn neither_another_protocol_nor_a_replay_makes_a_day_unclean_or_clean() {
    let mut rows = week();
    let would_pause = |protocol: &str, is_replay| VerdictRow {
        touched: vec![protocol.into()],
        would_pause: vec![protocol.into()],
        is_replay,
        ..row(NOW_MS - 3 * DAY_MS, Decision::Pause, Mode::Alert)
    };
    rows.push(would_pause("pool", false));
    rows.push(would_pause("vault", true));
    assert_eq!(started_over(&rows, |_| {}).0, Mode::Armed);
    rows.push(would_pause("vault", false));
    assert!(started_over(&rows, |_| {}).1[0].contains("2 of 7"), "its own counts");

    let replayed: Vec<_> =
        week().into_iter().map(|row| VerdictRow { is_replay: true, ..row }).collect();
    assert!(started_over(&replayed, |_| {}).1[0].contains("0 of 7"), "nothing was watched");
}
