//! Metrics and health of a real guard on a real node, for friendly and for hostile clients.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions};
use process::GuardProcess;

const CHAIN_ID: u64 = 31_337;

/// Sends `request` as it is and reads until the server closes; status, headers, body.
fn ask(address: &str, request: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may have seen enough and closed before it has read everything.
    stream.write_all(request).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

fn get(address: &str, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let (status, _, body) = ask(address, request.as_bytes());
    (status, body)
}

fn value(metrics: &str, sample: &str) -> f64 {
    let line = metrics
        .lines()
        .find(|line| line.strip_prefix(sample).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no `{sample}` in:\n{metrics}"))
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_shows_its_figures_and_withstands_whoever_asks_badly() {
    let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR")))
        .expect("anvil is set up: `bash .ci/setup`");
    let mut node = LocalNode::start(&anvil, CHAIN_ID, 1).await.unwrap();
    let story = Story::tell(&StoryOptions::default());
    node.set_up(&story).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    let text = format!(
        "version = 1\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\nblock_time_ms = 1000\nnodes = ['{}']\n\
         [[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n[http]\nlisten = '127.0.0.1:0'\n",
        node.address(),
        story.vault
    );
    std::fs::write(&config, text).unwrap();
    let mut guard = GuardProcess::start(&config, None);
    let address = guard.wait_for("listening")["address"].as_str().unwrap().to_owned();
    guard.wait_for("ready");
    let steps: Vec<_> =
        story.steps.iter().filter(|step| step.role == Role::Benign).take(3).collect();
    for step in &steps {
        node.send(&step.raw).await.unwrap();
        guard.wait_for("verdict");
    }
    guard.wait_for("coverage");

    let (status, metrics) = get(&address, "/metrics");
    assert_eq!(status, 200);
    assert_eq!(value(&metrics, "portcullis_seen_total{chain=\"local\"}"), 3.0);
    assert_eq!(value(&metrics, "portcullis_simulated_total{chain=\"local\",result=\"done\"}"), 3.0);
    assert_eq!(value(&metrics, "portcullis_judged_total{chain=\"local\",outcome=\"clear\"}"), 3.0);
    assert_eq!(
        value(&metrics, "portcullis_verdict_seconds_count{chain=\"local\",flow=\"pending\"}"),
        3.0
    );
    assert_eq!(value(&metrics, "portcullis_node_up{chain=\"local\",node=\"local/0\"}"), 1.0);
    assert_eq!(value(&metrics, "portcullis_ready{chain=\"local\"}"), 1.0);
    assert!(value(&metrics, "portcullis_coverage_ratio{chain=\"local\"}") > 0.0);
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, number) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("portcullis_") && number.parse::<f64>().is_ok(), "{line}");
    }
    let (status, body) = get(&address, "/readyz");
    assert_eq!(status, 200, "{body}");
    assert_eq!(get(&address, "/healthz").0, 200);

    // A client that dribbles is cut off, and others are answered meanwhile.
    let slow = {
        let address = address.clone();
        std::thread::spawn(move || {
            let began = Instant::now();
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let mut answer = Vec::new();
            while began.elapsed() < Duration::from_secs(20) {
                let sent = stream.write_all(b"G");
                let mut part = [0; 256];
                match stream.read(&mut part) {
                    Ok(0) => break,
                    Ok(length) => answer.extend_from_slice(&part[..length]),
                    Err(_) if sent.is_ok() => {}
                    Err(_) => break,
                }
            }
            (began.elapsed(), String::from_utf8(answer).unwrap())
        })
    };
    let host = format!("Host: {address}\r\n");
    let post = ask(
        &address,
        format!("POST /metrics HTTP/1.1\r\n{host}Content-Length: 2\r\n\r\n{{}}").as_bytes(),
    );
    assert!(post.0 == 405 && post.1.contains("Allow: GET"), "{post:?}");
    assert_eq!(ask(&address, b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n").0, 421);
    let long = format!("GET /metrics HTTP/1.1\r\n{host}X: {}\r\n\r\n", "x".repeat(9_000));
    assert_eq!(ask(&address, long.as_bytes()).0, 431);
    assert_eq!(ask(&address, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").0, 400);
    assert_eq!(get(&address, "/reload").0, 404);
    assert_eq!(get(&address, "/readyz").0, 200);
    let (took, answer) = slow.join().unwrap();
    assert!(took < Duration::from_secs(12), "cut off after {took:?}");
    assert!(answer.is_empty() || answer.contains(" 400 ") || answer.contains(" 408 "), "{answer}");

    node.kill().await.unwrap();
    guard.wait_for("node_down");
    let (status, body) = get(&address, "/readyz");
    assert!(status == 503 && body.contains("no node is up"), "{status} {body}");
    assert_eq!(get(&address, "/healthz").0, 200);
    assert_eq!(guard.interrupt(), Some(0));
}

#[test]
fn an_address_that_is_taken_is_said_at_start() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    let address = taken.local_addr().unwrap();
    let text = format!(
        "version = 1\n[[chains]]\nname = 'local'\nchain_id = 1\nblock_time_ms = 1000\nnodes = ['ws://127.0.0.1:1']\n\
         [http]\nlisten = '{address}'\n"
    );
    std::fs::write(&config, text).unwrap();
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["guard", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{words}");
    assert!(words.contains(&format!("http.listen: {address}")), "{words}");
}
