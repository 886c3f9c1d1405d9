//! What the journal has acknowledged outlives the process that wrote it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy::primitives::B256;
use portcullis_alerting::journal::{Journal, JournalRow, JournalWriter, WriterLimits};
use portcullis_alerting::record::ActionRow;

/// Set for the second copy of this program, which plays the process that is killed.
const JOURNAL_VARIABLE: &str = "PORTCULLIS_TEST_JOURNAL";

fn row(n: u64) -> ActionRow {
    ActionRow {
        at_ms: n,
        chain: "local".into(),
        tx_hash: B256::ZERO,
        kind: "alert_delivered".into(),
        detail: "x".repeat(200),
        action_tx_hash: None,
    }
}

/// Does nothing unless it runs in the second copy: there it writes until it is killed, and says on stderr how many
/// rows it knows to be committed.
#[test]
fn writes_until_killed() {
    let Some(path) = std::env::var_os(JOURNAL_VARIABLE) else { return };
    let writer =
        JournalWriter::start(Journal::open(path).unwrap(), WriterLimits::default()).unwrap();
    for n in 0.. {
        assert!(writer.record(JournalRow::Action(row(n))));
        if n % 7 == 6 {
            assert!(writer.flush(Duration::from_secs(60)));
            // In one piece, so that the kill never leaves half a line.
            std::io::stderr().write_all(format!("committed {}\n", n + 1).as_bytes()).unwrap();
        }
    }
}

#[test]
fn committed_rows_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["writes_until_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(JOURNAL_VARIABLE, &path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut committed = 0u64;
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut read =
        |line: String| committed = line.strip_prefix("committed ").unwrap().parse().unwrap();
    for _ in 0..50 {
        read(lines.next().unwrap());
    }
    process.kill().unwrap();
    process.wait().unwrap();
    // Lines that were on their way are promises too.
    lines.for_each(read);

    let journal = Journal::open(&path).unwrap();
    let rows = journal.actions(B256::ZERO).unwrap();
    assert!(
        committed >= 350 && rows.len() as u64 >= committed,
        "{committed} promised, {} found",
        rows.len()
    );
    assert!(rows.iter().zip(0..).all(|(found, n)| *found == row(n)), "in order, without a gap");
    journal.append_action(&row(0)).unwrap();
}
