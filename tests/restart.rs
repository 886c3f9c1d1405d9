//! A guard that was killed goes on where it was: what was mined meanwhile is judged, and the gap has its row.

#![cfg(feature = "guard")]

mod process;

use std::path::Path;
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use portcullis_alerting::journal::{Journal, VerdictFilter};
use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions};
use process::GuardProcess;

const CHAIN_ID: u64 = 31_337;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_mined_while_the_guard_was_dead_is_judged_and_the_gap_is_written_down() {
    let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR")))
        .expect("anvil is set up: `bash .ci/setup`");
    let node = LocalNode::start(&anvil, CHAIN_ID, 1).await.unwrap();
    let story = Story::tell(&StoryOptions::default());
    node.set_up(&story).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    let text = format!(
        "version = 1\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\nblock_time_ms = 1000\nnodes = ['{}']\n\
         [[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n",
        node.address(),
        story.vault
    );
    std::fs::write(&config, text).unwrap();
    let path = folder.path().join("portcullis.db");
    let rows =
        || Journal::open_read_only(&path).unwrap().verdicts(&VerdictFilter::default()).unwrap();
    let steps: Vec<_> =
        story.steps.iter().filter(|step| step.role == Role::Benign).take(4).collect();

    let mut guard = GuardProcess::start(&config, None);
    guard.wait_for("ready");
    node.send(&steps[0].raw).await.unwrap();
    guard.wait_for("verdict");
    let deadline = Instant::now() + Duration::from_secs(20);
    while rows().is_empty() {
        assert!(Instant::now() < deadline, "the verdict is written");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Killed: nothing of it runs on, and nothing is written on the way out.
    drop(guard);
    for step in &steps[1..] {
        node.send(&step.raw).await.unwrap();
    }
    // Three blocks hold them all, and some more have gone by.
    tokio::time::sleep(Duration::from_secs(4)).await;

    let began = Instant::now();
    let mut guard = GuardProcess::start(&config, None);
    let gap = guard.wait_for("action");
    println!("made up for after {:?}: {}", began.elapsed(), gap["detail"]);
    assert_eq!(gap["kind"], "gap", "{gap}");
    assert_eq!(guard.interrupt(), Some(0));
    let totals = guard.rest();
    let unknown = totals.last().unwrap()["totals"]["unknown"].clone();
    assert_eq!(unknown, 0, "nothing is judged falsely: {totals:#?}");

    let rows = rows();
    for step in &steps[1..] {
        let found: Vec<_> = rows.iter().filter(|row| row.tx_hash == step.hash).collect();
        assert!(found.len() == 1 && found[0].is_mined, "{}: {found:?}", step.label);
    }
    let first = rows.iter().filter(|row| row.tx_hash == steps[0].hash).count();
    assert_eq!(first, 1, "what was judged before is not judged again");
    let gaps = Journal::open_read_only(&path).unwrap().actions(B256::ZERO).unwrap();
    let [gap] = gaps.as_slice() else { panic!("one row: {gaps:?}") };
    assert_eq!((gap.kind.as_str(), gap.chain.as_str()), ("gap", "local"));
    for words in
        ["3 transactions judged", "1 had been", "at most ", " pending transactions that waited"]
    {
        assert!(gap.detail.contains(words), "{}", gap.detail);
    }
}
