//! A session on a real node, recorded, and judged again offline: the verdicts are the same.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions};
use process::GuardProcess;
use serde_json::Value;

const CHAIN_ID: u64 = 31_337;
const BLOCK_TIME_S: u64 = 1;

/// What is compared of each judged transaction, by hash.
fn verdicts(events: &[Value], is_replay: bool) -> BTreeMap<String, Value> {
    let verdicts = events.iter().filter(|event| event["event"] == "verdict");
    verdicts
        .map(|verdict| {
            let mut kept = verdict.clone();
            // A replay has no latency and says that it is one; everything else must be as it was.
            kept["row"]["latency_us"] = Value::Null;
            assert_eq!(kept["row"]["is_replay"], is_replay);
            kept["row"]["is_replay"] = Value::Null;
            (kept["row"]["tx_hash"].as_str().unwrap().to_owned(), kept)
        })
        .collect()
}

fn replay(config: &Path, recording: &Path, more: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["guard", "--format", "json", "--config"])
        .arg(config)
        .arg("--replay")
        .arg(recording)
        .args(more)
        .env("PORTCULLIS_TEST_KEY", Story::tell(&StoryOptions::default()).pauser.private_key())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_session_replays_to_the_same_verdicts() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let anvil = find_anvil(None, &root).expect("anvil is set up: `bash .ci/setup`");
    let node = LocalNode::start(&anvil, CHAIN_ID, BLOCK_TIME_S).await.unwrap();
    let story = Story::tell(&StoryOptions::default());
    node.set_up(&story).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (config, recording) =
        (folder.path().join("portcullis.toml"), folder.path().join("session.jsonl.gz"));
    let text = format!(
        "version = 1\nmode = 'armed'\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\n\
         block_time_ms = {}\nnodes = ['{}']\n[[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n\
         [guardian]\naddress = '{}'\nkey = {{ env = 'PORTCULLIS_TEST_KEY' }}\n[policy]\narm_override = 'a test'\n",
        BLOCK_TIME_S * 1000,
        node.address(),
        story.vault,
        story.guardian,
    );
    std::fs::write(&config, text).unwrap();
    let record = ["--record", recording.to_str().unwrap()];
    let mut guard = GuardProcess::start_with(&config, Some(&story.pauser.private_key()), &record);
    guard.wait_for("ready");
    let began = Instant::now();
    let steps = || story.steps.iter().filter(|step| step.role != Role::Setup);
    for step in steps() {
        node.wait_blocks(step.wait_blocks).await.unwrap();
        node.send(&step.raw).await.unwrap();
    }
    node.mined("the attack", story.attack()).await.unwrap();
    node.wait_blocks(1).await.unwrap();
    let lasted = began.elapsed();
    assert_eq!(guard.interrupt(), Some(0));
    let events = guard.rest();
    let live = verdicts(&events, false);
    // Whatever was mined had been sent to this node's pool first; its own announcements are all there is.
    let coverage = events.iter().rfind(|event| event["event"] == "coverage").expect("coverage");
    let stopped = events.last().unwrap();
    assert_eq!(stopped["totals"]["mined"], coverage["mined"], "{stopped}");
    let (mined, seen) = (coverage["mined"].as_u64().unwrap(), coverage["seen"].as_u64().unwrap());
    assert!(seen * 10 >= mined * 9 && mined > 40, "{coverage}");
    assert_eq!(coverage["nodes"], serde_json::json!([["local/0", seen]]));

    for step in steps() {
        assert!(live.contains_key(&step.hash.to_string()), "{}: no verdict", step.label);
    }
    let attack = &live[&story.attack().to_string()];
    assert_eq!(attack["row"]["outcome"], "attack", "{attack}");
    assert!(attack["evidence"]["facts"].as_object().unwrap().len() > 5, "{attack}");

    let again = verdicts(&replay(&config, &recording, &[]), true);
    assert_eq!(live.keys().collect::<Vec<_>>(), again.keys().collect::<Vec<_>>());
    for (hash, verdict) in &live {
        assert_eq!(verdict, &again[hash]);
    }

    let times = 4.0;
    let began = Instant::now();
    let paced = verdicts(&replay(&config, &recording, &["--speed", &times.to_string()]), true);
    assert_eq!(paced, again);
    // The last step of the story and the first are at least this far apart in the recording.
    let waits: u64 = steps().skip(1).map(|step| step.wait_blocks).sum();
    let apart = waits.saturating_sub(1) * BLOCK_TIME_S;
    assert!(
        began.elapsed().as_secs_f64() * times >= apart as f64,
        "{:?} for what lasted {lasted:?}",
        began.elapsed()
    );
}
