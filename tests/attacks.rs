//! Staged attacks on both nodes: what a pause that is out in time comes to, and what the bench says of each attack.

#![cfg(feature = "guard")]

use std::process::Command;

/// Attacks of each cell, and the cells' places, of a run of the bench.
fn bench(arguments: &[&str]) -> Vec<(String, Vec<serde_json::Value>)> {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["bench", "attacks", "--format", "json"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the command starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}; the nodes are set up by `bash .ci/setup`");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one JSON object");
    let cells = report["cells"].as_array().expect("cells").iter();
    let cells = cells.map(|cell| {
        let attacks = cell["attacks"].as_array().expect("attacks").clone();
        for attack in &attacks {
            assert!(attack["tip_gwei"].as_u64().expect("a number") <= 500, "{attack}");
            // Nothing but a pause in front of it stops this attack, and a pause in front of it does.
            assert_eq!(attack["paused_first"], attack["stopped"], "{attack}");
        }
        (format!("{}, {} ms", cell["node"], cell["block_ms"]), attacks)
    });
    cells.collect()
}

/// The block is built only once the guard's pause is out, so that nothing here depends on how fast the machine is: a
/// pause that is priced or ordered wrongly, or is none, fails this.
#[test]
fn every_pause_that_is_out_in_time_is_mined_first_and_the_attack_reverts() {
    let cells = bench(&["--hold", "--at-once", "--per-cell", "5", "--blocks", "1"]);
    assert_eq!(cells.len(), 2, "both nodes");
    for (cell, attacks) in cells {
        assert_eq!(attacks.len(), 5, "{cell}");
        for attack in attacks {
            assert_eq!(attack["paused_first"], true, "{cell}: {attack:#}");
            assert_eq!(attack["stopped"], true, "{cell}: {attack:#}");
            let cost = attack["cost_wei"].as_str().expect("a cost");
            assert!(cost.parse::<u128>().expect("wei") > 0, "{cell}: {attack:#}");
            assert_eq!(attack["left_ms"], serde_json::Value::Null, "{cell}: {attack:#}");
        }
    }
}

/// What the test above would say of a guard that does nothing.
#[test]
fn without_a_guard_every_attack_succeeds() {
    let cells = bench(&["--unguarded", "--at-once", "--per-cell", "3", "--blocks", "1"]);
    assert_eq!(cells.len(), 2, "both nodes");
    for (cell, attacks) in cells {
        assert_eq!(attacks.len(), 3, "{cell}");
        for attack in attacks {
            assert_eq!(attack["stopped"], false, "{cell}: {attack:#}");
            assert_eq!(attack["cost_wei"], serde_json::Value::Null, "{cell}: {attack:#}");
        }
    }
}

/// Which pauses come first here depends on the machine, and is what the bench is for; that what is told of each attack
/// is so does not.
#[test]
fn ten_attacks_a_cell_are_staged_in_time_and_each_is_told_of_as_it_was() {
    let cells = bench(&["--per-cell", "10", "--at-once", "--blocks", "1,2"]);
    assert_eq!(cells.len(), 4, "two nodes, two block times");
    for (cell, attacks) in cells {
        assert_eq!(attacks.len(), 10, "{cell}");
        for attack in attacks {
            assert!(attack["left_ms"].as_u64().expect("a number") <= 2_000, "{cell}: {attack:#}");
            if attack["paused_first"] == true {
                let cost = attack["cost_wei"].as_str().expect("a cost");
                assert!(cost.parse::<u128>().expect("wei") > 0, "{cell}: {attack:#}");
            }
        }
    }
}
