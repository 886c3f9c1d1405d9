//! What people get wrong when they set up a guard, and what they are told.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use portcullis_models::data::{Dataset, Origin, Row, Rules};
use portcullis_models::schema::CONTRACT;
use portcullis_models::train::{self, TrainOptions};
use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_range::story::{Story, StoryOptions};

/// A configuration with one local chain; `extra` is put behind it.
fn configuration(folder: &Path, node: &str, extra: &str) -> PathBuf {
    let path = folder.join("portcullis.toml");
    let text = format!(
        "version = 1\n[[chains]]\nname = 'local'\nchain_id = 31337\nblock_time_ms = 1000\nnodes = ['{node}']\n{extra}"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs the guard until it ends by itself; one that goes on for a minute fails the test.
fn guard(config: &Path, arguments: &[&str], key: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["guard", "--config"]).arg(config).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(key) = key {
        command.env("PORTCULLIS_TEST_KEY", key);
    }
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("the guard went on: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// Asserts that the guard failed with code 2 and that its message holds every one of `parts`.
fn assert_refused(output: &Output, parts: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

#[test]
fn an_unknown_key_in_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        configuration(folder.path(), "ws://127.0.0.1:1", "[polcy]\nmax_pauses_per_day = 1\n");
    assert_refused(&guard(&config, &["--check"], None), &["portcullis.toml", "line 7", "polcy"]);
}

#[test]
fn a_configuration_that_is_not_there() {
    let output = guard(Path::new("no-such-file.toml"), &["--check"], None);
    assert_refused(&output, &["no-such-file.toml", "cannot read the configuration"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(message.matches("os error 2").count(), 1, "a cause is told once: {message}");
}

#[test]
fn a_rule_file_that_names_no_fact() {
    let folder = tempfile::tempdir().unwrap();
    let pack = "pack: mine\nversion: 1.0.0\nengine: 1\nauthor: me\nrules:\n  - id: typo\n    subject: transaction\n    \
                severity: high\n    maturity: stable\n    class: test\n    why: to see it refused\n    \
                when: outflw_wei > 0\n    message: m\n    tests: []\n";
    std::fs::write(folder.path().join("mine.yaml"), pack).unwrap();
    let config =
        configuration(folder.path(), "ws://127.0.0.1:1", "[rules]\npacks = ['mine.yaml']\n");
    assert_refused(
        &guard(&config, &["--check"], None),
        &["mine.yaml", "outflw_wei", "outflow_wei", "^"],
    );
}

#[test]
fn a_model_of_another_schema() {
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..40)
        .map(|i| Row {
            harm: i % 2 == 0,
            intent: i % 2 == 0,
            family: "test".to_owned(),
            episode: i,
            protocol: String::new(),
            rules: Rules::Silent,
            values: (0..CONTRACT.len())
                .map(|f| if f == 3 && i % 2 == 0 { 1.0 } else { 0.0 })
                .collect(),
        })
        .collect();
    let origin =
        Origin { generator: "test".to_owned(), generator_version: "1".to_owned(), seed: 1 };
    let data = Dataset { schema: &CONTRACT, origin, rows };
    let model = train::fit(&data, &TrainOptions::default()).unwrap().to_onnx();
    std::fs::write(folder.path().join("contract.onnx"), model).unwrap();
    let config =
        configuration(folder.path(), "ws://127.0.0.1:1", "[model]\npath = 'contract.onnx'\n");
    assert_refused(&guard(&config, &["--check"], None), &["contract.onnx", "schema"]);
}

#[test]
fn a_model_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.onnx"), [0xff; 64]).unwrap();
    let config =
        configuration(folder.path(), "ws://127.0.0.1:1", "[model]\npath = 'broken.onnx'\n");
    assert_refused(&guard(&config, &["--check"], None), &["broken.onnx"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_chain() {
    let folder = tempfile::tempdir().unwrap();
    let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR"))).expect("anvil is set up");
    let node = LocalNode::start(&anvil, 4242, 1).await.unwrap();
    let config = configuration(folder.path(), node.address(), "");
    let output = tokio::task::spawn_blocking(move || guard(&config, &[], None)).await.unwrap();
    assert_refused(&output, &["4242", "31337"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_the_pauser_role() {
    let folder = tempfile::tempdir().unwrap();
    let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR"))).expect("anvil is set up");
    let node = LocalNode::start(&anvil, 31_337, 1).await.unwrap();
    let story = Story::tell(&StoryOptions { pauser_has_role: false, ..Default::default() });
    node.set_up(&story).await.unwrap();
    let extra = format!(
        "[[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\nmode = 'armed'\n\
         [guardian]\naddress = '{}'\nkey = {{ env = 'PORTCULLIS_TEST_KEY' }}\n[policy]\narm_override = 'a test'\n",
        story.vault, story.guardian
    );
    let config = configuration(folder.path(), node.address(), &extra);
    let key = story.pauser.private_key();
    let output =
        tokio::task::spawn_blocking(move || guard(&config, &[], Some(&key))).await.unwrap();
    assert_refused(&output, &["pauser", &story.pauser.address().to_string()]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains(&story.pauser.private_key()));
}
