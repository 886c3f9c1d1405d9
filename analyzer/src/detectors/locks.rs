//! One vault, locked in many ways: the ways that hold leave nothing to report, the ways that do not are reported.

use super::*;
use crate::audit_text;

/// The vault with what a lock needs to be declared, taken and released.
fn vault(members: &str, take: &str, release: &str) -> String {
    format!(
        "pragma solidity ^0.8.28;
contract Vault {{
    mapping(address => uint256) internal balances;
    {members}
    function put() external payable {{ balances[msg.sender] += msg.value; }}
    function take() external {{
        {take}
        uint256 amount = balances[msg.sender];
        require(amount > 0);
        (bool ok, ) = msg.sender.call{{value: amount}}(\"\");
        require(ok);
        balances[msg.sender] = 0;
        {release}
    }}
}}
"
    )
}

fn reentrancies(text: &str) -> Vec<String> {
    let report = audit_text("vault.sol", text);
    assert_eq!(report.diagnostics, [], "{text}");
    let found = report.findings.into_iter();
    found
        .filter(|found| {
            found.detector.starts_with("reentrancy") && found.severity >= Severity::Medium
        })
        .map(|found| found.detector)
        .collect()
}

#[test]
fn locks_that_hold_are_told_by_what_they_do() {
    let holds = [
        ("bool busy;", "require(!busy); busy = true;", "busy = false;"),
        ("uint256 state = 1;", "require(state == 1); state = 2;", "state = 1;"),
        ("uint256 state = 1;", "require(state != 2, \"in\"); state = 2;", "state = 1;"),
        (
            "enum State { Open, Busy } State state;",
            "require(state == State.Open); state = State.Busy;",
            "state = State.Open;",
        ),
        ("bool busy; error Busy();", "if (busy) revert Busy(); busy = true;", "busy = false;"),
        ("bool busy;", "if (busy) return; busy = true;", "busy = false;"),
        ("bool transient busy;", "require(!busy); busy = true;", "busy = false;"),
        ("", "assembly { if tload(0) { revert(0, 0) } tstore(0, 1) }", "assembly { tstore(0, 0) }"),
        (
            "struct Lock { bool isOn; uint256 since; } Lock lock;",
            "require(!lock.isOn); lock.isOn = true;",
            "lock.isOn = false;",
        ),
        (
            "address inside;",
            "require(inside == address(0)); inside = msg.sender;",
            "inside = address(0);",
        ),
        (
            "mapping(address => bool) inside;",
            "require(!inside[msg.sender]); inside[msg.sender] = true;",
            "inside[msg.sender] = false;",
        ),
        ("uint256 n;", "n += 1; uint256 before = n;", "require(n == before);"),
        // One bit of a word whose other bits serve others.
        (
            "uint256 flags; function mark() external { flags |= 2; }",
            "require(flags & 1 == 0); flags |= 1;",
            "flags &= ~uint256(1);",
        ),
        (
            "uint8 flags; function mark() external { flags ^= 2; }",
            "require((flags & 4) != 4); flags ^= 4;",
            "flags ^= 4;",
        ),
        ("int8 state;", "require(state >= 0); state = -1;", "state = 0;"),
        ("int256 depth;", "if (depth < 0) revert(); depth = -5;", "depth = 7;"),
        // Turned round, counted up and down: what it was is told by the condition.
        ("bool busy;", "require(!busy); busy = !busy;", "busy = !busy;"),
        ("bool free = true;", "require(free == true); free = !free;", "free = !free;"),
        ("uint256 n;", "require(n == 0); n += 1;", "n -= 1;"),
        ("uint256 n;", "require(n < 1); n++;", "n--;"),
        // What it was is told by where the contract is made, and by what every function leaves.
        ("uint256 free = 1;", "free -= 1;", "free = 1;"),
        ("uint8 free; constructor() { free = 1; }", "free--;", "free++;"),
    ];
    for (members, take, release) in holds {
        let text = vault(members, take, release);
        assert_eq!(reentrancies(&text), [""; 0], "{text}");
    }
}

#[test]
fn locks_that_do_not_hold_are_no_excuse() {
    let fails = [
        ("bool busy;", "require(!busy); busy = true; busy = false;", ""),
        ("bool busy;", "busy = true;", "busy = false;"),
        ("bool busy;", "require(!busy);", "busy = false;"),
        (
            "bool busy;",
            "require(!busy); if (msg.sender == address(this)) busy = true;",
            "busy = false;",
        ),
        (
            "mapping(address => bool) inside;",
            "require(!inside[tx.origin]); inside[address(this)] = true;",
            "inside[address(this)] = false;",
        ),
        ("uint256 n;", "unchecked { n -= 1; } require(n > 1);", ""),
        (
            "bool busy; modifier alone() { require(!busy); busy = true; _; busy = false; } function idle() external alone {}",
            "",
            "",
        ),
        // The bit that is asked for is not the one that is set, or is cleared too early.
        ("uint256 flags;", "require(flags & 1 == 0); flags |= 2;", "flags &= ~uint256(2);"),
        (
            "uint256 flags;",
            "require(flags & 1 == 0); flags |= 1; flags &= ~uint256(3);",
            "flags = 0;",
        ),
        ("int8 state;", "require(state <= 0); state = -1;", "state = 0;"),
        ("int8 state;", "require(state >= -1); state = -1;", "state = 0;"),
        // Turned round without being asked for.
        ("bool busy;", "busy = !busy;", "busy = !busy;"),
        ("bool busy;", "require(!busy); busy = !busy; busy = !busy;", ""),
        // Two places are free, or anyone makes room for another.
        ("uint256 free = 2;", "free -= 1;", "free += 1;"),
        ("uint256 free = 1; function more() external { free += 1; }", "free -= 1;", "free += 1;"),
        ("uint256 free = 1;", "unchecked { free -= 1; }", "free = 1;"),
        ("uint256 n;", "require(n < 2); n++;", "n--;"),
        // Since EIP-7702 an account that signs transactions may have code as well.
        ("", "require(msg.sender == tx.origin);", ""),
    ];
    for (members, take, release) in fails {
        let text = vault(members, take, release);
        assert_ne!(reentrancies(&text), [""; 0], "{text}");
    }
}
