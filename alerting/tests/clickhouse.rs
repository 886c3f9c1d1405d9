//! The journal on a real ClickHouse server, alive, away and killed.
//!
//! The server is Debian's, unpacked by `.ci/setup`. Where `CLICKHOUSE_URL` names another, what needs no killing runs on
//! that one too.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, keccak256};
use portcullis_alerting::journal::clickhouse::{ClickHouseJournal, ClickHouseSettings, Shipper};
use portcullis_alerting::journal::{
    Journal, JournalError, JournalRow, JournalWriter, VerdictFilter, WriterLimits,
};
use portcullis_alerting::record::{ActionRow, Decision, Evidence, Mode, Outcome, VerdictRow};
use portcullis_alerting::secret::Secret;

/// A server of our own, which ends with the test.
struct Server {
    folder: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = folder.path().display();
        std::fs::write(
            folder.path().join("config.xml"),
            format!(
                "<?xml version=\"1.0\"?><yandex><logger><level>fatal</level><console>1</console></logger>\
                 <listen_host>127.0.0.1</listen_host><http_port>{port}</http_port><path>{path}/data/</path>\
                 <tmp_path>{path}/tmp/</tmp_path><users_config>users.xml</users_config>\
                 <default_profile>default</default_profile><default_database>default</default_database>\
                 <mark_cache_size>5368709</mark_cache_size></yandex>"
            ),
        )
        .unwrap();
        let user = |name: &str, password: &str| {
            format!(
                "<{name}><password>{password}</password><networks><ip>127.0.0.1</ip></networks>\
                 <profile>default</profile><quota>default</quota></{name}>"
            )
        };
        std::fs::write(
            folder.path().join("users.xml"),
            format!(
                "<?xml version=\"1.0\"?><yandex><profiles><default/></profiles><users>{}{}</users>\
                 <quotas><default/></quotas></yandex>",
                user("default", ""),
                user("guard", "portcullis"),
            ),
        )
        .unwrap();
        let process = Self::launch(folder.path());
        let mut server = Self { folder, port, process };
        server.wait();
        server
    }

    fn launch(folder: &Path) -> Child {
        let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.parts/clickhouse");
        let binary = parts.join("usr/sbin/clickhouse-server");
        assert!(binary.is_file(), "{}: run .ci/setup first", binary.display());
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
        let libraries = libraries.map(|place| parts.join(place).display().to_string()).join(":");
        Command::new(binary)
            .arg("--config-file=config.xml")
            .current_dir(folder)
            .env("LD_LIBRARY_PATH", libraries)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn wait(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert_eq!(self.process.try_wait().unwrap(), None, "the server ended");
            assert!(Instant::now() < end, "the server did not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As the kernel's memory killer would.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.process = Self::launch(self.folder.path());
        self.wait();
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The answer to a query, as text, over a connection of the test's own.
    fn ask(&self, query: &str) -> String {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n{query}", query.len());
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

fn settings(url: String, database: &str) -> ClickHouseSettings {
    ClickHouseSettings {
        url,
        database: database.to_owned(),
        user: None,
        password: None,
        retention_days: None,
    }
}

fn verdict(n: u64) -> VerdictRow {
    VerdictRow {
        chain: if n.is_multiple_of(3) { "base".into() } else { "mainnet".into() },
        chain_id: 1,
        block: 20_000_000 + n,
        tx_hash: keccak256(n.to_be_bytes()),
        from: Address::repeat_byte(1),
        to: (!n.is_multiple_of(5)).then_some(Address::repeat_byte(2)),
        // Some 40 days apart: the rows lie in several partitions.
        seen_at_ms: 1_790_000_000_000 + n * 3_600_000,
        latency_us: 700 + n,
        outcome: if n == 7 { Outcome::Attack } else { Outcome::Clear },
        decision: if n == 7 { Decision::Alert } else { Decision::None },
        would_decide: if n == 7 { Decision::Pause } else { Decision::None },
        mode: Mode::Alert,
        score: n.is_multiple_of(2).then_some(0.25),
        reason: format!("nothing fired: \u{201e}{n}\u{201c} '\\?"),
        is_mined: n.is_multiple_of(2),
        touched: if n.is_multiple_of(3) { vec!["vault".into(), "pool".into()] } else { Vec::new() },
        would_pause: if n.is_multiple_of(6) { vec!["vault".into()] } else { Vec::new() },
        is_replay: false,
    }
}

fn evidence(n: u64) -> Evidence {
    Evidence {
        tx_hash: keccak256(n.to_be_bytes()),
        facts: [("outflow_wei".to_owned(), serde_json::json!("90000000000000000000"))].into(),
        features: vec![0.5, f32::NAN],
        schema_hash: "ab".repeat(32),
        rules: Vec::new(),
        model: None,
        call_tree: serde_json::json!([{ "depth": 0 }]),
        counterfactual: None,
    }
}

fn action(n: u64) -> ActionRow {
    ActionRow {
        at_ms: 1_790_000_000_000 + n,
        chain: "mainnet".into(),
        tx_hash: keccak256(n.to_be_bytes()),
        kind: "pause_sent".into(),
        detail: "to two nodes".into(),
        action_tx_hash: Some(B256::repeat_byte(9)),
    }
}

/// A journal file with a thousand verdicts, one of them with evidence and two actions.
fn written(folder: &Path) -> PathBuf {
    let path = folder.join("portcullis.db");
    let journal = Journal::open(&path).unwrap();
    let mut rows: Vec<_> = (0..1_000).map(|n| JournalRow::Verdict(verdict(n))).collect();
    rows.push(JournalRow::Evidence(Box::new(evidence(7))));
    rows.extend([7, 7].map(|n| JournalRow::Action(action(n))));
    journal.append_batch(&rows).unwrap();
    path
}

#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(300);
    while !holds() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ships, and asks both stores the same questions.
fn both_stores_answer_alike(settings: ClickHouseSettings) {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path());
    let shipper = Shipper::start(&path, settings.clone()).unwrap();
    let health = shipper.close(Duration::from_secs(60));
    assert_eq!((health.shipped_rows, health.behind_rows, health.error), (1_003, 0, None));

    // Nothing is sent twice, also by another process that starts from the file alone.
    let again = Shipper::start(&path, settings.clone()).unwrap().close(Duration::from_secs(60));
    assert_eq!((again.shipped_rows, again.error), (0, None));

    let file = Journal::open_read_only(&path).unwrap();
    let server = ClickHouseJournal::open(settings).unwrap();
    let hash = keccak256(7_u64.to_be_bytes());
    let filters = [
        VerdictFilter::default(),
        VerdictFilter { chain: Some("base".into()), limit: Some(10), ..Default::default() },
        VerdictFilter { chain: Some("it's \\ none".into()), ..Default::default() },
        VerdictFilter { tx_hash: Some(hash), ..Default::default() },
        VerdictFilter { to: Some(Address::repeat_byte(2)), limit: Some(3), ..Default::default() },
        VerdictFilter { would_decide_at_least: Some(Decision::Pause), ..Default::default() },
        VerdictFilter {
            since_ms: Some(verdict(100).seen_at_ms),
            until_ms: Some(verdict(200).seen_at_ms),
            ..Default::default()
        },
    ];
    for filter in filters {
        let expected = file.verdicts(&filter).unwrap();
        assert_eq!(server.verdicts(&filter).unwrap(), expected, "{filter:?}");
        assert_eq!(server.stats(&filter).unwrap(), file.stats(&filter).unwrap(), "{filter:?}");
    }
    assert_eq!(server.verdicts(&VerdictFilter::default()).unwrap().len(), 1_000);
    assert_eq!(format!("{:?}", server.evidence(hash).unwrap()), format!("{:?}", [evidence(7)]));
    assert_eq!(server.actions(hash).unwrap(), [action(7), action(7)]);
}

/// Tables as the first version made them, one row in them; then a guard of today ships to them, twice.
#[test]
fn tables_of_an_older_version_are_given_what_they_lack() {
    let server = Server::start();
    server.ask("CREATE DATABASE old");
    server.ask(
        "CREATE TABLE old.verdicts (journal FixedString(32), row UInt64, version UInt32, chain String, \
         chain_id UInt64, block UInt64, tx_hash FixedString(32), sender FixedString(20), \
         receiver Nullable(FixedString(20)), seen_at_ms UInt64, latency_us UInt64, outcome String, decision String, \
         would_decide String, mode String, score Nullable(Float32), reason String) ENGINE = ReplacingMergeTree \
         PARTITION BY toYYYYMM(toDateTime(intDiv(seen_at_ms, 1000))) ORDER BY (chain, seen_at_ms, journal, row)",
    );
    server.ask(
        "INSERT INTO old.verdicts VALUES ('00000000000000000000000000000000', 1, 1, 'mainnet', 1, 9, \
         '11111111111111111111111111111111', '22222222222222222222', NULL, 1700000000000, 5, 'clear', 'none', 'none', \
         'observe', NULL, 'nothing fired')",
    );
    assert_eq!(server.ask("SELECT count() FROM old.verdicts"), "1");

    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path());
    for shipped in [1_003, 0] {
        let shipper = Shipper::start(&path, settings(server.url(), "old")).unwrap();
        let health = shipper.close(Duration::from_secs(300));
        assert_eq!((health.shipped_rows, health.behind_rows, health.error), (shipped, 0, None));
    }
    let rows = ClickHouseJournal::open(settings(server.url(), "old")).unwrap();
    let rows = rows.verdicts(&VerdictFilter::default()).unwrap();
    let file = Journal::open_read_only(&path).unwrap();
    assert_eq!(rows[..1_000], file.verdicts(&VerdictFilter::default()).unwrap());
    let [old] = &rows[1_000..] else { panic!("one row from before") };
    assert_eq!((old.block, old.is_mined, old.is_replay), (9, false, false));
    assert!(old.touched.is_empty() && old.would_pause.is_empty());
}

#[test]
fn the_server_answers_as_the_file_does() {
    let server = Server::start();
    both_stores_answer_alike(settings(server.url(), "portcullis"));
    let named = ClickHouseSettings {
        user: Some("guard".into()),
        password: Some(Secret::new("portcullis")),
        ..settings(server.url(), "named")
    };
    both_stores_answer_alike(named);
    #[expect(clippy::disallowed_methods, reason = "a test has no command line to be handed it by")]
    let other = std::env::var("CLICKHOUSE_URL");
    if let Ok(url) = other {
        // One that can forget, and has nothing old enough to.
        let database = format!("portcullis_{}", std::process::id());
        both_stores_answer_alike(ClickHouseSettings {
            retention_days: Some(3_650),
            ..settings(url, &database)
        });
    }
}

#[test]
fn a_server_that_is_killed_in_a_burst_holds_every_row_once_after_it_returns() {
    const ROWS: u64 = 100_000;
    let mut server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.db");
    let limits = WriterLimits { verdicts: ROWS as usize, ..WriterLimits::default() };
    let writer = JournalWriter::start(Journal::open(&path).unwrap(), limits).unwrap();
    let settings = settings(server.url(), "portcullis");
    let mut shipper = Some(Shipper::start(&path, settings.clone()).unwrap());
    for n in 0..ROWS {
        // All in one month, as in life.
        let row = VerdictRow { seen_at_ms: 1_790_000_000_000 + n, ..verdict(n) };
        assert!(writer.record(JournalRow::Verdict(row)));
        match n {
            30_000 => {
                let shipping = shipper.as_ref().unwrap();
                wait_until("the first rows", || shipping.health().shipped_rows > 0);
                server.kill();
            }
            50_000 => {
                let shipping = shipper.as_ref().unwrap();
                wait_until("a failure that is seen", || shipping.health().error.is_some());
                server.restart();
            }
            // The guard itself starts anew.
            80_000 => {
                drop(shipper.take());
                shipper = Some(Shipper::start(&path, settings.clone()).unwrap());
            }
            _ => {}
        }
    }
    // However slow the disk: as long as rows go down, it is waited for.
    let mut written = writer.health().written_rows;
    while !writer.flush(Duration::from_secs(60)) {
        let health = writer.health();
        assert!(health.written_rows > written, "nothing written in a minute: {health:?}");
        written = health.written_rows;
    }
    assert!(writer.close().is_sound());
    let shipping = shipper.as_ref().unwrap();
    let count = "SELECT count() FROM portcullis.verdicts FORMAT TabSeparated";
    wait_until("all rows", || server.ask(count) == ROWS.to_string());
    wait_until("nothing behind", || {
        let health = shipping.health();
        health.behind_rows == 0 && health.error.is_none()
    });
    // Counted without the engine's own removal of duplicates: none was ever stored.
    let distinct = "SELECT count(), uniqExact(row), uniqExact(journal) FROM portcullis.verdicts FORMAT TabSeparated";
    assert_eq!(server.ask(distinct), format!("{ROWS}\t{ROWS}\t1"));
}

#[test]
fn a_file_that_forgot_what_it_shipped_sends_nothing_again() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path());
    // The same identity and rows, and no memory of having shipped them: as after a crash between insert and note.
    let forgetful = folder.path().join("forgetful.db");
    std::fs::copy(&path, &forgetful).unwrap();
    let mut shipped = Vec::new();
    for file in [&path, &forgetful] {
        let settings = settings(server.url(), "portcullis");
        let health = Shipper::start(file, settings).unwrap().close(Duration::from_secs(60));
        assert_eq!(health.error, None);
        shipped.push(health.shipped_rows);
    }
    assert_eq!(shipped, [1_003, 0]);
    let count = "SELECT count() FROM portcullis.verdicts FORMAT TabSeparated";
    assert_eq!(server.ask(count), "1000");
}

#[test]
fn one_process_ships_a_file() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path());
    let first = Shipper::start(&path, settings(server.url(), "portcullis")).unwrap();
    wait_until("all rows", || first.health().shipped_rows == 1_003);
    let second = Shipper::start(&path, settings(server.url(), "portcullis")).unwrap();
    wait_until("a refusal", || second.health().error.is_some());
    let error = second.health().error.unwrap();
    assert!(error.ends_with("another process ships this journal"), "{error}");
    drop(first);
    wait_until("its turn", || second.health().error.is_none());
    assert_eq!(second.close(Duration::from_secs(10)).shipped_rows, 0);
}

#[test]
fn what_goes_wrong_is_said_with_the_server() {
    let server = Server::start();
    let refused = |settings: ClickHouseSettings| {
        let error = ClickHouseJournal::open_for_writing(settings).unwrap_err();
        assert!(matches!(error, JournalError::Server { .. }), "{error:?}");
        error.to_string()
    };
    let url = server.url();
    let wrong_password = ClickHouseSettings {
        user: Some("guard".into()),
        password: Some(Secret::new("hunter2")),
        ..settings(url.clone(), "portcullis")
    };
    let message = refused(wrong_password);
    assert!(message.starts_with(&format!("{url}: asking for its version: ")), "{message}");
    assert!(message.contains("assword") && !message.contains("hunter2"), "{message}");

    // Nobody there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("http://127.0.0.1:{port}");
    let message = refused(settings(nobody.clone(), "portcullis"));
    assert!(message.starts_with(&nobody) && message.contains("refused"), "{message}");

    // This server is too old to forget.
    let forgetful = ClickHouseSettings { retention_days: Some(30), ..settings(url, "portcullis") };
    let message = refused(forgetful);
    assert!(message.contains("setting the retention"), "{message}");
}
