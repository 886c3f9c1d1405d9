//! Staged attacks on both nodes, ten a cell: what the bench says of each is what the node says.

#![cfg(feature = "guard")]

use std::process::Command;

/// Nothing here depends on how fast the machine is: which pauses come first does, and is what the bench is for.
#[test]
fn ten_attacks_a_cell_are_staged_and_each_is_told_of_as_it_was() {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["bench", "attacks", "--per-cell", "10", "--at-once", "--blocks", "1,2"])
        .args(["--format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the command starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}; the nodes are set up by `bash .ci/setup`");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one JSON object");
    let cells = report["cells"].as_array().expect("cells");
    let kinds: Vec<_> = cells.iter().map(|cell| (&cell["node"], &cell["block_ms"])).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    for cell in cells {
        let attacks = cell["attacks"].as_array().expect("attacks");
        assert_eq!(attacks.len(), 10);
        let slot_ms = cell["block_ms"].as_u64().expect("a number");
        for attack in attacks {
            assert!(attack["tip_gwei"].as_u64().expect("a number") <= 500, "{attack}");
            assert!(attack["left_ms"].as_u64().expect("a number") <= slot_ms, "{attack}");
            // Nothing but a pause in front of it stops this attack, and a pause in front of it does.
            assert_eq!(attack["paused_first"], attack["stopped"], "{attack}");
            if attack["paused_first"] == true {
                let cost: u128 = attack["cost_wei"].as_str().expect("a cost").parse().expect("wei");
                assert!(cost > 0, "{attack}");
            }
        }
    }
}
