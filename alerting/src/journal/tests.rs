use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use serde_json::json;

use super::*;
use crate::record::{Counterfactual, Mode, ModelEvidence, Outcome, RuleEvidence};

fn verdict(n: u64, would_decide: Decision) -> VerdictRow {
    VerdictRow {
        chain: "local".into(),
        chain_id: 31337,
        block: 100 + n,
        tx_hash: hash(n),
        from: Address::repeat_byte(1),
        to: n.is_multiple_of(2).then(|| Address::repeat_byte(2)),
        seen_at_ms: 1_700_000_000_000 + n,
        latency_us: 850,
        outcome: Outcome::Suspicious,
        decision: Decision::None,
        would_decide,
        mode: Mode::Observe,
        score: (n > 0).then_some(0.1),
        reason: "because".into(),
        is_mined: false,
        touched: Vec::new(),
        would_pause: Vec::new(),
        is_replay: false,
    }
}

fn hash(n: u64) -> B256 {
    B256::left_padding_from(&n.to_be_bytes())
}

fn evidence(n: u64) -> Evidence {
    Evidence {
        tx_hash: hash(n),
        facts: BTreeMap::from([
            ("protected_ether_out_wei".into(), json!(format!("0x{}", "f".repeat(64)))),
            ("unknown".into(), json!(null)),
        ]),
        features: vec![0.1, -3.5e20, f32::MIN_POSITIVE],
        schema_hash: "ab".repeat(32),
        rules: vec![RuleEvidence {
            rule: "reentrancy/drain".into(),
            severity: "critical".into(),
            outcome: "fires".into(),
            because: vec!["depth (3) > 1".into()],
        }],
        model: Some(ModelEvidence {
            model_hash: "cd".repeat(32),
            engine: "native".into(),
            probability: Some(0.97),
            contributions: vec![("depth".into(), 1.25)],
        }),
        call_tree: json!([{ "depth": 0 }]),
        counterfactual: Some(Counterfactual {
            pause_succeeds: true,
            attack_stopped: true,
            detail: "reverts".into(),
        }),
    }
}

fn action(n: u64) -> ActionRow {
    ActionRow {
        at_ms: 5,
        chain: "local".into(),
        tx_hash: hash(n),
        kind: "pause_sent".into(),
        detail: "120 gwei".into(),
        action_tx_hash: Some(hash(99)),
    }
}

#[test]
fn every_row_reads_back_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    let rows =
        [verdict(0, Decision::None), verdict(1, Decision::Alert), verdict(2, Decision::Pause)];
    for row in &rows {
        journal.append_verdict(row).unwrap();
    }
    journal
        .append_batch(&[JournalRow::Evidence(Box::new(evidence(2))), JournalRow::Action(action(2))])
        .unwrap();
    drop(journal);

    let journal = Journal::open_read_only(&path).unwrap();
    let mut read = journal.verdicts(&VerdictFilter::default()).unwrap();
    read.reverse();
    assert_eq!(read, rows);
    assert_eq!(journal.evidence(hash(2)).unwrap(), [evidence(2)]);
    assert_eq!(journal.actions(hash(2)).unwrap(), [action(2)]);
    assert!(journal.evidence(hash(1)).unwrap().is_empty());
    assert!(journal.append_action(&action(1)).is_err());
}

#[test]
fn filters_restrict_and_order() {
    let journal = Journal::open(":memory:").unwrap();
    for n in 0..6 {
        let would_decide =
            [Decision::None, Decision::Alert, Decision::Pause][usize::try_from(n % 3).unwrap()];
        journal.append_verdict(&verdict(n, would_decide)).unwrap();
    }
    let blocks = |filter: VerdictFilter| {
        journal.verdicts(&filter).unwrap().iter().map(|row| row.block - 100).collect::<Vec<_>>()
    };
    let all = VerdictFilter::default();
    assert_eq!(blocks(VerdictFilter { limit: Some(2), ..all.clone() }), [5, 4]);
    assert_eq!(
        blocks(VerdictFilter { would_decide_at_least: Some(Decision::Alert), ..all.clone() }),
        [5, 4, 2, 1]
    );
    assert_eq!(
        blocks(VerdictFilter { would_decide_at_least: Some(Decision::Pause), ..all.clone() }),
        [5, 2]
    );
    assert_eq!(
        blocks(VerdictFilter { to: Some(Address::repeat_byte(2)), ..all.clone() }),
        [4, 2, 0]
    );
    assert_eq!(blocks(VerdictFilter { tx_hash: Some(hash(3)), ..all.clone() }), [3]);
    let range = VerdictFilter {
        since_ms: Some(1_700_000_000_001),
        until_ms: Some(1_700_000_000_003),
        ..all.clone()
    };
    assert_eq!(blocks(range), [2, 1]);
    assert!(blocks(VerdictFilter { chain: Some("other".into()), ..all }).is_empty());
}

#[test]
fn a_number_that_is_none_survives() {
    let journal = Journal::open(":memory:").unwrap();
    let mut written = evidence(1);
    written.features[1] = f32::NAN;
    written.model.as_mut().unwrap().contributions[0].1 = f32::NAN;
    journal.append_evidence(&written).unwrap();
    let read = journal.evidence(hash(1)).unwrap().remove(0);
    assert!(read.features[1].is_nan() && read.features[0].to_bits() == 0.1f32.to_bits());
    assert!(read.model.unwrap().contributions[0].1.is_nan());
}

#[test]
fn a_batch_is_written_as_a_whole_or_not_at_all() {
    let journal = Journal::open(":memory:").unwrap();
    let bad = VerdictRow { block: u64::MAX, ..verdict(2, Decision::None) };
    let batch = [JournalRow::Verdict(verdict(1, Decision::None)), JournalRow::Verdict(bad)];
    let error = journal.append_batch(&batch).unwrap_err();
    assert!(matches!(error, JournalError::BadValue { field: "block", .. }), "{error}");
    assert!(journal.verdicts(&VerdictFilter::default()).unwrap().is_empty());
    journal.append_batch(&batch[..1]).unwrap();
}

#[test]
fn files_of_others_and_of_the_future_are_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    std::fs::write(&path, "dear diary, ".repeat(100)).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::NotAJournal { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear diary, ".repeat(100));

    let path = dir.path().join("foreign.sqlite");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::NotAJournal { .. })));

    let path = dir.path().join("future.sqlite");
    drop(Journal::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1_000).unwrap();
    for opened in [Journal::open(&path), Journal::open_read_only(&path)] {
        assert!(
            matches!(opened, Err(JournalError::NewerSchema { found: 1_000, .. })),
            "{opened:?}"
        );
    }

    let path = dir.path().join("row.sqlite");
    let journal = Journal::open(&path).unwrap();
    journal.append_verdict(&verdict(1, Decision::None)).unwrap();
    journal.connection.execute("UPDATE verdicts SET version = 2", []).unwrap();
    let error = journal.verdicts(&VerdictFilter::default()).unwrap_err();
    assert!(matches!(error, JournalError::NewerRow { table: "verdict", found: 2, .. }), "{error}");
    journal
        .connection
        .execute("UPDATE verdicts SET version = 1, outcome = 'sideways'", [])
        .unwrap();
    let error = journal.verdicts(&VerdictFilter::default()).unwrap_err().to_string();
    assert!(error.contains("verdict row 1: outcome") && error.contains("sideways"), "{error}");
}

#[test]
fn reading_does_not_create_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.sqlite");
    assert!(Journal::open_read_only(&path).is_err());
    assert!(!path.exists());
}

#[test]
fn the_writer_writes_everything_before_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    let writer =
        JournalWriter::start(Journal::open(&path).unwrap(), WriterLimits::default()).unwrap();
    for n in 0..2_000 {
        assert!(writer.record(JournalRow::Verdict(verdict(n, Decision::None))));
    }
    assert!(writer.record(JournalRow::Action(action(7))));
    assert!(writer.flush(Duration::from_secs(60)));
    assert_eq!(writer.health().queued_rows, 0);
    writer.record(JournalRow::Evidence(Box::new(evidence(7))));
    let health = writer.close();
    assert!(health.is_sound());
    assert_eq!((health.written_rows, health.queued_rows), (2_002, 0));
    let journal = Journal::open_read_only(&path).unwrap();
    assert_eq!(journal.verdicts(&VerdictFilter::default()).unwrap().len(), 2_000);
    assert_eq!(journal.evidence(hash(7)).unwrap().len(), 1);
}

#[test]
fn a_full_disk_is_waited_out_and_what_does_not_fit_in_memory_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    journal.limit_bytes(1).unwrap();
    let limits = WriterLimits { verdicts: 600, evidence: 1, actions: 10 };
    let writer = JournalWriter::start(journal, limits).unwrap();
    let large = VerdictRow { reason: "x".repeat(10_000), ..verdict(1, Decision::None) };
    let taken = (0..1_000).filter(|_| writer.record(JournalRow::Verdict(large.clone()))).count();
    assert_eq!(taken, 600, "nothing can have been written");
    assert!(writer.record(JournalRow::Action(action(1))), "verdicts do not push out actions");
    // The first attempt may come before the file is full and fails at the latest then.
    while writer.health().error.is_none() {
        std::thread::yield_now();
    }
    let health = writer.health();
    assert_eq!((health.dropped_rows, health.written_rows, health.queued_rows), (400, 0, 601));
    assert!(health.error.unwrap().contains("no room left"));
    let health = writer.close();
    assert_eq!((health.failed_rows, health.written_rows), (601, 0));
    assert!(!health.is_sound());
}

#[test]
fn a_row_that_cannot_be_stored_does_not_take_its_neighbours_along() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    let writer =
        JournalWriter::start(Journal::open(&path).unwrap(), WriterLimits::default()).unwrap();
    writer.record(JournalRow::Verdict(verdict(1, Decision::None)));
    writer.record(JournalRow::Verdict(VerdictRow {
        latency_us: u64::MAX,
        ..verdict(2, Decision::None)
    }));
    writer.record(JournalRow::Verdict(verdict(3, Decision::None)));
    let health = writer.close();
    assert_eq!((health.written_rows, health.failed_rows), (2, 1));
}

#[test]
fn the_schema_names_every_kind_of_row() {
    let schema = row_schema();
    for kind in ["verdict", "evidence", "action"] {
        assert!(schema["properties"][kind].is_object(), "{schema}");
    }
}

/// Rows that an earlier program wrote name no protocol: they count for each, and read back with empty lists.
#[test]
fn rows_from_before_verdicts_named_protocols_count_for_all_of_them() {
    const DAY_MS: u64 = 86_400_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    let day = verdict(1, Decision::Pause).seen_at_ms / DAY_MS;
    let would_pause = |journal: &Journal, protocol: &str| {
        journal.chain_days("local", protocol, 0).unwrap()[&day].would_pause
    };
    let named = VerdictRow {
        touched: vec!["a".into(), "b".into()],
        would_pause: vec!["b".into()],
        ..verdict(1, Decision::Pause)
    };
    journal.append_verdict(&named).unwrap();
    assert_eq!((would_pause(&journal, "a"), would_pause(&journal, "b")), (0, 1));
    journal.append_verdict(&verdict(2, Decision::Pause)).unwrap();
    assert_eq!(would_pause(&journal, "a"), 0, "an empty list is not the lack of one");
    let earlier = "UPDATE verdicts SET touched = NULL, would_pause = NULL WHERE id = 2";
    Connection::open(&path).unwrap().execute(earlier, []).unwrap();
    assert_eq!((would_pause(&journal, "a"), would_pause(&journal, "b")), (1, 2));
    let rows = journal.verdicts(&VerdictFilter::default()).unwrap();
    assert_eq!((&rows[0].touched, &rows[1]), (&vec![], &named));
    let replayed = VerdictRow { is_replay: true, ..verdict(3, Decision::Pause) };
    journal.append_verdict(&replayed).unwrap();
    let live = VerdictFilter { live_only: true, ..VerdictFilter::default() };
    assert_eq!((journal.verdicts(&live).unwrap().len(), would_pause(&journal, "b")), (2, 2));
}

#[test]
fn what_people_were_not_told_waits_until_it_was_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path().join("journal.sqlite")).unwrap();
    let letter = |channel: Option<&str>| DeadLetter {
        at_ms: 5,
        channel: channel.map(str::to_owned),
        is_over: channel.is_none(),
        alert: json!({ "title": "the vault is drained" }),
        failure: "HTTP status 500".into(),
        attempts: 5,
    };
    let rows = [letter(Some("pager")), letter(None)].map(JournalRow::DeadLetter);
    journal.append_batch(&rows).unwrap();
    assert_eq!(journal.dead_letters().unwrap(), [(1, letter(Some("pager"))), (2, letter(None))]);
    journal.note_resent(1, 9).unwrap();
    assert_eq!(journal.dead_letters().unwrap(), [(2, letter(None))]);
}
