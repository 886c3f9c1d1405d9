//! Changes of a text that change nothing in what it does change no verdict.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Severity, all};
use crate::audit_text;

/// How often each detector of at least `least` fires.
fn verdict(text: &str, least: Severity) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    let report = audit_text("changed.sol", text);
    assert_eq!(report.diagnostics, [], "a changed text must be whole:\n{text}");
    for finding in report.findings.iter().filter(|finding| finding.severity >= least) {
        *out.entry(finding.detector.clone()).or_default() += 1;
    }
    out
}

/// The text with the members of every contract in reverse order.
fn reordered(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((head, body, tail)) = next_contract(rest) {
        out.push_str(head);
        let mut members = members(body);
        members.reverse();
        out.push_str(&members.concat());
        rest = tail;
    }
    out + rest
}

/// What precedes the body of the next contract, the body, and what follows it.
fn next_contract(text: &str) -> Option<(&str, &str, &str)> {
    let start = text
        .match_indices("contract ")
        .map(|(at, _)| at)
        .find(|at| *at == 0 || text[..*at].ends_with(['\n', ' ']))?;
    let open = start + text[start..].find('{')? + 1;
    let close = open + block_end(&text[open..])?;
    Some((&text[..open], &text[open..close], &text[close..]))
}

/// Where the block that `text` is inside of ends.
fn block_end(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The members of a contract's body, each with what stands before it.
fn members(body: &str) -> Vec<String> {
    let (mut out, mut member, mut depth) = (Vec::new(), String::new(), 0);
    for line in body.split_inclusive('\n') {
        member.push_str(line);
        let code = line.split("//").next().unwrap_or_default();
        depth += code.matches(['{', '(']).count() as i64;
        depth -= code.matches(['}', ')']).count() as i64;
        let is_end = code.trim_end().ends_with([';', '}']);
        if depth == 0 && is_end {
            out.push(std::mem::take(&mut member));
        }
    }
    out.push(member);
    out
}

#[test]
fn the_order_of_members_decides_nothing() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/detectors");
    let (mut n_files, mut n_moved) = (0, 0);
    for detector in all() {
        let metadata = detector.metadata();
        for entry in std::fs::read_dir(fixtures.join(metadata.id)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            // What is imported is not at hand here.
            if text.contains("import ") {
                continue;
            }
            let changed = reordered(&text);
            n_files += 1;
            n_moved += usize::from(changed != text);
            assert_eq!(
                verdict(&changed, metadata.severity),
                verdict(&text, metadata.severity),
                "{}",
                path.display()
            );
        }
    }
    assert!(n_files >= 20 && n_moved * 10 >= n_files * 9, "{n_moved} of {n_files}");
}

/// One contract in several spellings: the lock and the payment stand in place, in a modifier, in functions.
fn spellings(lock: &str, unlock: &str, pay: &str, clear: &str) -> Vec<String> {
    let frame = |members: &str, withdraw: &str| {
        format!(
            "contract Bank {{ mapping(address => uint256) owed; uint8 door; receive() external payable {{ owed[msg.sender] += msg.value; }} {members} {withdraw} }}"
        )
    };
    vec![
        frame("", &format!("function withdraw() external {{ {lock} {pay} {clear} {unlock} }}")),
        frame(
            &format!("modifier wrapped() {{ {lock} _; {unlock} }}"),
            &format!("function withdraw() external wrapped {{ {pay} {clear} }}"),
        ),
        frame(
            &format!(
                "function enter() private {{ {lock} }} function leave() private {{ {unlock} }} modifier wrapped() {{ enter(); _; leave(); }}"
            ),
            &format!("function withdraw() external wrapped {{ {pay} {clear} }}"),
        ),
        frame(
            &format!("function work() internal {{ {pay} {clear} }}"),
            &format!("function withdraw() external {{ {lock} work(); {unlock} }}"),
        ),
        frame(
            &format!(
                "modifier clearing() {{ _; {clear} }} modifier wrapped() {{ {lock} _; {unlock} }}"
            ),
            &format!("function withdraw() external wrapped clearing {{ {pay} }}"),
        ),
    ]
}

#[test]
fn what_is_extracted_or_put_in_place_decides_nothing() {
    const PAY: &str =
        "{ (bool ok, ) = msg.sender.call{value: owed[msg.sender]}(\"\"); require(ok); }";
    const CLEAR: &str = "owed[msg.sender] = 0;";
    for (lock, unlock, fires) in [
        ("", "", true),
        ("require(door == 0);", "door = 0;", true),
        ("require(door == 0); door = 1;", "door = 0;", false),
        ("if (door != 0) revert(); door = 1;", "delete door;", false),
        ("door = 1;", "door = 0;", true),
    ] {
        for text in spellings(lock, unlock, PAY, CLEAR) {
            let found = verdict(&text, Severity::High);
            assert_eq!(found.get("reentrancy-eth"), fires.then_some(&1), "{text}");
            assert!(found.len() <= 1, "{found:?}");
        }
    }
}
