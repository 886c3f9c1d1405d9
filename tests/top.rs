//! A running guard looked at over its control socket.

#![cfg(all(feature = "guard", unix))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions};
use process::GuardProcess;
use serde_json::Value;

const CHAIN_ID: u64 = 31_337;

fn top(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("top")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What the socket says to bytes that `top` would never send.
fn say(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may answer, and hang up, before all is written.
    stream.write_all(bytes).ok();
    stream.shutdown(std::net::Shutdown::Write).ok();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_a_running_guard_and_can_do_nothing_to_it() {
    let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR")))
        .expect("anvil is set up: `bash .ci/setup`");
    let node = LocalNode::start(&anvil, CHAIN_ID, 1).await.unwrap();
    let story = Story::tell(&StoryOptions::default());
    node.set_up(&story).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = folder.join("portcullis.toml");
    let text = format!(
        "version = 1\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\nblock_time_ms = 1000\nnodes = ['{}']\n\
         not_modelled = ['this chain has two moons']\n\
         [[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n[control]\n",
        node.address(),
        story.vault
    );
    std::fs::write(&config, text).unwrap();
    let socket = folder.join("portcullis.sock");
    assert!(refused(&top(&["--once"], folder)).contains("no guard answers there"));

    let mut guard = GuardProcess::start(&config, None);
    let row = guard.wait_until("not_modelled", |event| event["kind"] == "not_modelled");
    assert_eq!(row["detail"], "this chain has two moons");
    guard.wait_for("ready");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let strike = story.steps.iter().find(|step| step.role == Role::Attack).unwrap();
    let prepared: Vec<_> =
        story.steps.iter().filter(|step| step.role == Role::Benign).take(2).collect();
    for step in &prepared {
        node.send(&step.raw).await.unwrap();
        let hash = step.hash.to_string();
        guard.wait_until("a verdict", |event| {
            event["event"] == "verdict" && event["row"]["tx_hash"] == hash.as_str()
        });
    }

    let json: Value =
        serde_json::from_str(&told(&top(&["--once", "--format", "json"], folder))).unwrap();
    assert_eq!(json["version"], 1);
    let chain = &json["chains"][0];
    assert_eq!((&chain["name"], &chain["why_not"]), (&"local".into(), &Value::Null), "{json:#}");
    assert!(chain["head"].as_u64().unwrap() > 0 && chain["judged"].as_u64().unwrap() >= 2);
    assert!(chain["verdict_p50_us"].as_u64().is_some(), "{json:#}");
    assert_eq!(chain["nodes"][0]["is_up"], true);
    assert_eq!(json["protected"][0]["mode"], "observe");
    assert_eq!(json["protected"][0]["contracts"], 1);
    let shown = json["verdicts"].as_array().unwrap();
    assert_eq!(shown[0]["tx_hash"], prepared[1].hash.to_string(), "the newest first: {json:#}");
    let text = told(&top(&[], folder));
    for part in ["local", "vault", "observe", "LAST VERDICTS", "clear"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no terminal, no colour");

    // A guard beside it does not take its socket.
    let mut second = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["guard", "--config"])
        .arg(&config)
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let ended = loop {
        if let Some(ended) = second.try_wait().unwrap() {
            break ended;
        }
        if Instant::now() > deadline {
            second.kill().unwrap();
            panic!("a second guard runs on");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(ended.code(), Some(2));
    let mut why = String::new();
    second.stderr.take().unwrap().read_to_string(&mut why).unwrap();
    assert!(why.contains("another guard listens there"), "{why}");

    for bytes in [&b"pause\n"[..], b"\n", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 100_000], b"top"] {
        let answer = say(&socket, bytes);
        assert!(answer.is_empty() || answer.contains("\"error\""), "{answer}");
    }
    // Clients that say nothing hold nobody up but each other.
    let idle: Vec<UnixStream> = (0..4).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    told(&top(&["--once", "--socket", socket.to_str().unwrap()], folder));
    drop(idle);

    node.send(&strike.raw).await.unwrap();
    let hash = strike.hash.to_string();
    let row = guard.wait_until("the strike", |event| {
        event["event"] == "verdict" && event["row"]["tx_hash"] == hash.as_str()
    });
    assert_eq!(row["row"]["outcome"], "attack", "it guards on: {row}");
    assert_eq!(guard.interrupt(), Some(0));
    assert!(!socket.exists(), "its file goes with it");
    assert!(refused(&top(&["--once"], folder)).contains("no guard answers there"));
    std::fs::write(&config, "version = 1\n").unwrap();
    assert!(refused(&top(&["--once"], folder)).contains("control: not configured"));
}
