//! A guard whose node is not there, goes away, or comes back: it says so, tries again, and loses nothing.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use portcullis_alerting::journal::{Journal, VerdictFilter};
use portcullis_range::node::{LocalNode, find_anvil};
use portcullis_range::story::{Role, Story, StoryOptions};
use process::GuardProcess;

const CHAIN_ID: u64 = 31_337;

fn configuration(folder: &Path, node: &str, story: &Story) -> PathBuf {
    let path = folder.join("portcullis.toml");
    let text = format!(
        "version = 1\n[[chains]]\nname = 'local'\nchain_id = {CHAIN_ID}\nblock_time_ms = 1000\nnodes = ['{node}']\n\
         [[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n",
        story.vault
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_unreachable_node_is_tried_again_later_and_later() {
    // Bound and dropped: nobody listens there.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let story = Story::tell(&StoryOptions::default());
    let config = configuration(folder.path(), &format!("ws://127.0.0.1:{port}"), &story);
    let mut guard = GuardProcess::start(&config, None);
    let waits: Vec<u64> =
        (0..3).map(|_| guard.wait_for("node_down")["retry_in_ms"].as_u64().unwrap()).collect();
    assert!(waits[0] > 0 && waits.is_sorted() && waits[2] > waits[0], "{waits:?}");
    assert_eq!(guard.interrupt(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_journalled_before_the_node_died_is_still_there() {
    let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR")))
        .expect("anvil is set up: `bash .ci/setup`");
    let mut node = LocalNode::start(&anvil, CHAIN_ID, 1).await.unwrap();
    let story = Story::tell(&StoryOptions::default());
    node.set_up(&story).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), node.address(), &story);
    let mut guard = GuardProcess::start(&config, None);
    guard.wait_for("ready");

    let steps: Vec<_> =
        story.steps.iter().filter(|step| step.role == Role::Benign).take(3).collect();
    for step in &steps {
        node.send(&step.raw).await.unwrap();
        guard.wait_for("verdict");
    }
    node.kill().await.unwrap();
    let down = guard.wait_for("node_down");
    assert!(down["retry_in_ms"].as_u64().is_some_and(|wait| wait > 0), "{down}");
    assert_eq!(guard.interrupt(), Some(0));

    let journal = Journal::open(folder.path().join("portcullis.db")).unwrap();
    let rows = journal.verdicts(&VerdictFilter::default()).unwrap();
    for step in steps {
        assert!(
            rows.iter().any(|row| row.tx_hash == step.hash),
            "{} is not in the journal",
            step.label
        );
    }
}
