//! The memory: gaps, floors, reorgs and its file; and that trails leave nothing out.

use std::{path::Path, sync::Arc};

use alloy::primitives::{Address, B256, U256};
use portcullis_rules::{
    Value,
    question::{Place, Question, SignatureFault},
};

use super::{
    Contribution, Mark, Memory, MemoryFile, MemoryFileError, memory::Remembered, probes::Probes,
};
use crate::{
    facts::{Protected, observe},
    simulate::{
        Simulator,
        execution::{Execution, Frame},
    },
    source::{SourceEvent, recording::Recording},
    state::ForkedState,
};

fn mark(number: u64, branch: u8, parent_branch: u8) -> Mark {
    let hash = |number: u64, branch: u8| {
        let mut hash = B256::repeat_byte(branch);
        hash.0[24..].copy_from_slice(&number.to_be_bytes());
        hash
    };
    Mark {
        number,
        hash: hash(number, branch),
        parent_hash: hash(number.saturating_sub(1), parent_branch),
    }
}

fn done(tx: u8, wei: u64) -> Contribution {
    Contribution {
        tx_hash: B256::repeat_byte(tx),
        sender: Address::repeat_byte(1),
        actor: vec![Address::repeat_byte(1)],
        protocols: vec!["vault".into()],
        facts: [("outflow_wei".to_owned(), Some(U256::from(wei)))].into(),
    }
}

fn kept(memory: &Memory) -> Vec<(u64, usize)> {
    memory.blocks().map(|block| (block.mark.number, block.done.len())).collect()
}

/// Blocks 1 to 4 of branch 1, one transaction each.
fn four() -> Memory {
    let mut memory = Memory::new(100);
    for number in 1..=4_u8 {
        assert!(memory.take(mark(number.into(), 1, 1), Some(vec![done(number, 5)])));
    }
    memory
}

#[test]
fn a_reorg_takes_back_what_it_replaces_and_no_more() {
    let mut memory = four();
    assert!(!memory.take(mark(4, 1, 1), Some(Vec::new())), "known");
    // Block 4 is replaced by one that holds nothing.
    assert!(memory.take(mark(4, 2, 1), Some(Vec::new())));
    assert_eq!(kept(&memory), [(1, 1), (2, 1), (3, 1), (4, 0)]);
    // Block 3 is replaced too.
    assert!(memory.take(mark(3, 2, 1), Some(vec![done(9, 1), done(8, 1)])));
    assert_eq!(kept(&memory), [(1, 1), (2, 1), (3, 2)]);
    // A head whose parent was never seen: nothing that is kept is sure to be mined.
    assert!(memory.take(mark(4, 7, 7), Some(Vec::new())));
    assert_eq!(kept(&memory), [(4, 0)]);
}

#[test]
fn what_lies_behind_the_reach_is_forgotten() {
    let mut memory = Memory::new(0);
    for number in 1..=400_u64 {
        memory.take(mark(number, 1, 1), Some(vec![done(1, 1)]));
    }
    assert_eq!(kept(&memory).len(), 301, "300 are kept even where no rule asks");
    assert_eq!(memory.newest(), Some(400));
}

#[test]
fn a_restart_finds_the_past_and_a_torn_line_costs_its_block_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.jsonl");
    let mut memory = Memory::new(100);
    let mut file = MemoryFile::open(&path, 1, &mut memory).unwrap();
    for number in 1..=3_u8 {
        memory.take(mark(number.into(), 1, 1), Some(vec![done(number, 5)]));
        file.append(&memory).unwrap();
    }
    // A reorg is written as the block that replaces.
    memory.take(mark(3, 2, 1), None);
    file.append(&memory).unwrap();
    drop(file);
    let mut again = Memory::new(100);
    drop(MemoryFile::open(&path, 1, &mut again).unwrap());
    let all = |memory: &Memory| memory.blocks().cloned().collect::<Vec<Remembered>>();
    assert_eq!(all(&again), all(&memory));

    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 4, "written anew without what was replaced");
    std::fs::write(&path, &text[..text.len().saturating_sub(20)]).unwrap();
    let mut torn = Memory::new(100);
    drop(MemoryFile::open(&path, 1, &mut torn).unwrap());
    assert_eq!(kept(&torn), [(1, 1), (2, 1)]);

    let refused = MemoryFile::open(&path, 5, &mut Memory::new(1));
    assert!(matches!(refused, Err(MemoryFileError::Foreign { .. })), "another chain");
    std::fs::write(&path, "hello\n").unwrap();
    let refused = MemoryFile::open(&path, 1, &mut Memory::new(1)).unwrap_err();
    assert!(refused.to_string().contains("not the memory of a guard"), "{refused}");
}

#[test]
fn a_window_over_a_gap_is_not_whole() {
    let mut memory = four();
    // The block that is judged comes next; block 0 is nobody's.
    assert!(memory.is_whole(1, 5) && memory.is_whole(0, 5) && memory.is_whole(5, 5));
    assert!(!memory.is_whole(5, 6), "block 5 was not seen");
    memory.take(mark(5, 1, 1), None);
    assert!(memory.is_whole(6, 6) && !memory.is_whole(5, 6) && !memory.is_whole(1, 6));
    memory.take(mark(8, 1, 1), Some(Vec::new()));
    assert!(memory.is_whole(8, 9) && !memory.is_whole(7, 9));
    let mut late = Memory::new(100);
    assert!(!late.is_whole(3, 5), "nothing was seen at all");
    late.take(mark(4, 1, 1), Some(Vec::new()));
    assert!(late.is_whole(4, 5) && !late.is_whole(3, 5));
}

#[test]
fn what_a_trail_settles_is_answered_by_zero() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings/vault-attack.jsonl");
    let recording = Arc::new(Recording::open(&path).unwrap());
    let simulator = Simulator::new(ForkedState::from_recording(&recording).unwrap());
    let marked = recording.header().contracts.iter().filter(|(_, contract)| contract.protected);
    let protected = Protected::new(marked.map(|(address, one)| (one.name.clone(), vec![*address])));
    let (mut settled, mut open) = (0, 0);
    for step in recording.steps() {
        let tx = match step {
            SourceEvent::Pending(tx) => tx,
            SourceEvent::Head(block) => {
                simulator.state().advance(block).unwrap();
                continue;
            }
            _ => continue,
        };
        let Ok(execution) = simulator.simulate(tx, &[]) else { continue };
        let touched = observe(&execution, &protected).touched;
        let probes = Probes::new(&execution, &protected);
        let trails = probes.trails(&touched);
        for (contract, trail) in touched.iter().zip(&trails) {
            for question in questions(&execution) {
                let is_zero = probes.answer(&question, *contract) == Value::Uint(U256::ZERO);
                if trail.settles(&question) {
                    settled += 1;
                    assert!(is_zero, "{question:?} on {contract}");
                } else {
                    open += usize::from(!is_zero);
                }
            }
        }
    }
    assert!(settled > 200 && open > 50, "{settled} settled, {open} not zero");
}

/// Everything that could be asked about what an execution names, and about its neighbours.
fn questions(execution: &Execution) -> Vec<Question> {
    let mut questions = vec![Question::Stale(Vec::new()), Question::PaidOutside(vec![[0; 4]])];
    questions.extend([SignatureFault::Nobody, SignatureFault::Repeated].map(Question::Signatures));
    let slots = execution.accesses.iter().map(|access| access.slot);
    let bases = execution.mapping_slots.iter().map(|mapped| mapped.base);
    for slot in slots.chain(bases) {
        for place in [Place::Slot(slot), Place::Mapping(slot), Place::Slot(slot ^ U256::from(1))] {
            questions.push(Question::Changed { place, holders: Vec::new() });
        }
    }
    for selector in execution.frames.iter().filter_map(Frame::selector) {
        questions.push(Question::Called(vec![selector]));
        questions.push(Question::Entered { functions: vec![selector], inside: Vec::new() });
    }
    questions.sort();
    questions.dedup();
    questions
}
