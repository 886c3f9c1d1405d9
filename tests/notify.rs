//! `portcullis notify test` against receivers of its own.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::JoinHandle;

/// Takes one request, answers it, and gives its body.
fn receiver(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        String::from_utf8(body).unwrap()
    });
    (origin, thread)
}

fn notify(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["notify", "test", "--config"])
        .arg(folder.join("portcullis.toml"))
        .args(args)
        .env("PORTCULLIS_TEST_SECRET", "s3cret")
        .output()
        .expect("the command starts")
}

fn configured(channels: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("portcullis.toml"), format!("version = 1\n{channels}"))
        .unwrap();
    folder
}

#[test]
fn every_channel_is_tried_and_each_one_told_of() {
    let (pager, paged) = receiver("202 Accepted");
    let (team, teamed) = receiver("403 Forbidden");
    let folder = configured(&format!(
        "[[notify]]\nkind = 'pagerduty'\nname = 'pager'\nurl = '{pager}'\nmin_severity = 'critical'\n\
         routing_key = {{ env = 'PORTCULLIS_TEST_SECRET' }}\n\
         [[notify]]\nkind = 'alertmanager'\nname = 'team'\nurl = '{team}'\n\
         [[notify]]\nkind = 'discord'\nname = 'lost'\nurl = {{ env = 'PORTCULLIS_TEST_NOT_SET' }}\n"
    ));
    let output = notify(folder.path(), &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "one failed: {told}");
    assert!(told.contains("pager: delivered"), "{told}");
    assert!(told.contains("team: refused: HTTP status 403"), "{told}");
    assert!(told.contains("PORTCULLIS_TEST_NOT_SET is not set"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
    let event: serde_json::Value = serde_json::from_str(&paged.join().unwrap()).unwrap();
    assert_eq!(event["routing_key"], "s3cret");
    assert!(event["payload"]["summary"].as_str().unwrap().starts_with("TEST: "), "{event}");
    assert!(teamed.join().unwrap().contains("TEST: "));
}

#[test]
fn one_channel_can_be_picked_and_must_exist() {
    let (origin, asked) = receiver("200 OK");
    let folder = configured(&format!(
        "[[notify]]\nkind = 'alertmanager'\nname = 'a'\nurl = 'http://127.0.0.1:1'\n\
         [[notify]]\nkind = 'alertmanager'\nname = 'b'\nurl = '{origin}'\n"
    ));
    let output = notify(folder.path(), &["--channel", "b"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!asked.join().unwrap().is_empty());

    let output = notify(folder.path(), &["--channel", "c"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no channel is named `c`; expected one of: a, b"), "{said}");
}

/// A template is read before anything is told, also by `guard --check`.
#[test]
fn a_template_words_the_text_and_is_checked_at_start() {
    let (origin, asked) = receiver("200 OK");
    let entry = |template: &str| {
        format!(
            "[[notify]]\nkind = 'alertmanager'\nname = 'a'\nurl = '{origin}'\ntemplate = '{template}'\n"
        )
    };
    let folder = configured(&entry("on {chain}: {title}"));
    let output = notify(folder.path(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(asked.join().unwrap().contains("on test: TEST: portcullis"));

    let folder = configured(&entry("{titel}"));
    let check = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["guard", "--check", "--config"])
        .arg(folder.path().join("portcullis.toml"))
        .output()
        .expect("the command starts");
    let words = String::from_utf8_lossy(&check.stderr);
    assert_eq!(check.status.code(), Some(2), "{words}");
    assert!(words.contains("notify `a`: template: `{titel}` at byte 0"), "{words}");
}

#[test]
fn nobody_to_tell_is_a_failure() {
    let output = notify(configured("").path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("no [[notify]] channel is configured")
    );
}

/// What a guard could not tell: listed, sent again to a receiver that is back, and then listed no more.
#[test]
fn what_was_not_told_is_listed_and_sent_again() {
    use portcullis_alerting::{journal::Journal, record::DeadLetter};
    let told = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    let run = |folder: &Path, args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .arg("notify")
            .args(args)
            .arg("--config")
            .arg(folder.join("portcullis.toml"))
            .output()
            .expect("the command starts")
    };
    let (origin, asked) = receiver("200 OK");
    let folder = configured(&format!(
        "[[notify]]\nkind = 'alertmanager'\nname = 'back'\nurl = '{origin}'\n\
         [[notify]]\nkind = 'alertmanager'\nname = 'gone'\nurl = 'http://127.0.0.1:1'\n"
    ));
    let nothing = run(folder.path(), &["failed"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("there is no journal"));

    let journal = Journal::open(folder.path().join("portcullis.db")).unwrap();
    let alert = portcullis_alerting::notify::Alert {
        incident: "local/vault/1".into(),
        severity: portcullis_alerting::notify::Severity::Critical,
        title: "the vault is drained".into(),
        text: "all of it".into(),
        chain: "local".into(),
        tx_hash: None,
        contract: None,
        at_ms: 1_700_000_000_000,
    };
    for channel in ["back", "gone", "renamed"] {
        let letter = DeadLetter {
            at_ms: 1_700_000_000_001,
            channel: Some(channel.into()),
            is_over: false,
            alert: serde_json::to_value(&alert).unwrap(),
            failure: "HTTP status 500".into(),
            attempts: 5,
        };
        journal.append_dead_letter(&letter).unwrap();
    }
    let listed = run(folder.path(), &["failed"]);
    assert_eq!((listed.status.code(), told(&listed).lines().count()), (Some(1), 3));
    assert!(told(&listed).contains("back: the vault is drained (HTTP status 500, 5 attempts)"));
    let unknown = run(folder.path(), &["resend", "77"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("nothing waits under number 77"));

    let sent = run(folder.path(), &["resend"]);
    assert_eq!(sent.status.code(), Some(2), "two did not arrive: {}", told(&sent));
    assert!(told(&sent).contains("1: delivered"), "{}", told(&sent));
    assert!(told(&sent).contains("3: no configured channel"), "{}", told(&sent));
    assert!(asked.join().unwrap().contains("(late) the vault is drained"));
    let left = run(folder.path(), &["failed", "--format", "json"]);
    let left: serde_json::Value = serde_json::from_slice(&left.stdout).unwrap();
    let numbers: Vec<_> =
        left.as_array().unwrap().iter().map(|one| one["number"].clone()).collect();
    assert_eq!(numbers, [2, 3]);
}
