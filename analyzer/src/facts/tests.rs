//! One small source per behaviour: what is asked and what is answered.

use portcullis_rules::{Dictionary, Subject, Value};
use ruint::aliases::U256;

use super::*;
use crate::hir::{project, single};

/// Reentrancies as `entry: state`, with what protects them.
fn reentrancies(text: &str) -> Vec<String> {
    let program = single(text);
    let facts = Facts::new(&program);
    facts
        .reentrancies()
        .iter()
        .map(|found| {
            let locked = if found.locked { " locked" } else { "" };
            let guarded = if found.guarded { " guarded" } else { "" };
            format!("{}: {}{locked}{guarded}", program.function_name(found.entry), found.variable)
        })
        .collect()
}

/// Self-destructs as `entry`, with what protects them.
fn destructs(text: &str) -> Vec<String> {
    let program = single(text);
    let facts = Facts::new(&program);
    facts
        .self_destructs()
        .iter()
        .map(|found| {
            format!(
                "{}{}",
                program.function_name(found.entry),
                if found.guarded { " guarded" } else { "" }
            )
        })
        .collect()
}

/// A vault whose `w` has this body.
fn vault(members: &str, attributes: &str, body: &str) -> String {
    format!(
        "contract V {{ mapping(address => uint) bal; {members} function d() external payable {{ bal[msg.sender] += msg.value; }} function w() external {attributes} {{ {body} }} }}"
    )
}

const PAY: &str = "uint a = bal[msg.sender]; (bool ok, ) = msg.sender.call{value: a}(\"\"); require(ok); bal[msg.sender] = 0;";

#[test]
fn a_write_after_the_call_is_found() {
    assert_eq!(reentrancies(&vault("", "", PAY)), ["V.w: bal[]"]);
}

#[test]
fn where_things_stand_is_told() {
    let text = vault("", "", PAY);
    let program = single(&text);
    let facts = Facts::new(&program);
    let found = &facts.reentrancies()[0];
    assert_eq!(found.call_text, "msg.sender.call{value: a}(\"\")");
    assert_eq!(program.text(found.call_span), found.call_text);
    assert_eq!(program.text(found.write_span), "bal[msg.sender] = 0");
    assert_eq!(program.text(found.read_span), "uint a = bal[msg.sender]");
    assert!(found.sends_value && found.path.is_empty() && !found.partial);
}

#[test]
fn effects_before_the_call_are_silent() {
    let body = "uint a = bal[msg.sender]; bal[msg.sender] = 0; (bool ok, ) = msg.sender.call{value: a}(\"\"); require(ok);";
    assert_eq!(reentrancies(&vault("", "", body)), [""; 0]);
}

#[test]
fn a_refund_after_a_failed_call_is_silent() {
    let body = "uint a = bal[msg.sender]; bal[msg.sender] = 0; (bool ok, ) = msg.sender.call{value: a}(\"\"); if (!ok) bal[msg.sender] = a;";
    assert_eq!(reentrancies(&vault("", "", body)), [""; 0]);
}

#[test]
fn the_stipend_is_too_little_to_come_back() {
    for call in [
        "payable(msg.sender).transfer(a);",
        "require(payable(msg.sender).send(a));",
        "msg.sender.call{value: a, gas: 2300}(\"\");",
    ] {
        let body = format!("uint a = bal[msg.sender]; {call} bal[msg.sender] = 0;");
        assert_eq!(reentrancies(&vault("", "", &body)), [""; 0], "{call}");
    }
}

#[test]
fn old_spellings_of_a_call_count() {
    let text = "pragma solidity ^0.4.11; contract V { mapping(address => uint) bal; function w(uint a) public { if (bal[msg.sender] >= a) { if (msg.sender.call.value(a)()) { } bal[msg.sender] -= a; } } }";
    assert_eq!(reentrancies(text), ["V.w: bal[]"]);
}

#[test]
fn a_read_that_decides_nothing_is_silent() {
    let body = "(bool ok, ) = msg.sender.call{value: 1}(\"\"); require(ok); bal[msg.sender] = 0;";
    assert_eq!(reentrancies(&vault("", "", body)), [""; 0]);
}

#[test]
fn other_fields_are_other_state() {
    let members = "struct U { uint amount; uint time; } mapping(address => U) users;";
    let write = |field: &str| {
        vault(
            members,
            "",
            &format!(
                "uint a = users[msg.sender].amount; (bool ok, ) = msg.sender.call{{value: a}}(\"\"); require(ok); users[msg.sender].{field} = 0;"
            ),
        )
    };
    assert_eq!(reentrancies(&write("time")), [""; 0]);
    assert_eq!(reentrancies(&write("amount")), ["V.w: users[].amount"]);
}

#[test]
fn storage_references_are_followed() {
    let members = "struct U { uint amount; } mapping(address => U) users; function u() internal view returns (U storage) { return users[msg.sender]; }";
    let body = "U storage s = u(); uint a = s.amount; (bool ok, ) = msg.sender.call{value: a}(\"\"); require(ok); s.amount = 0;";
    assert_eq!(reentrancies(&vault(members, "", body)), ["V.w: users[].amount"]);
}

#[test]
fn internal_calls_are_seen_through() {
    let members = "function pay(address to, uint a) internal { (bool ok, ) = to.call{value: a}(\"\"); require(ok); } function clear() internal { bal[msg.sender] = 0; }";
    let text = vault(members, "", "pay(msg.sender, bal[msg.sender]); clear();");
    let program = single(&text);
    let facts = Facts::new(&program);
    let found = &facts.reentrancies()[0];
    assert_eq!(program.function_name(found.function), "V.pay");
    assert_eq!(
        found.path.iter().map(|span| program.text(*span)).collect::<Vec<_>>(),
        ["pay(msg.sender, bal[msg.sender])"]
    );
}

#[test]
fn a_library_helper_is_blamed_on_its_caller() {
    let text = format!(
        "library L {{ function pay(address to, uint a) internal {{ (bool ok, ) = to.call{{value: a}}(\"\"); require(ok); }} }} {}",
        vault(
            "using L for address;",
            "",
            "uint a = bal[msg.sender]; msg.sender.pay(a); bal[msg.sender] = 0;"
        )
    );
    let program = single(&text);
    let facts = Facts::new(&program);
    assert_eq!(facts.reentrancies()[0].call_text, "msg.sender.pay(a)");
}

#[test]
fn assembly_calls_and_slots_count() {
    let body = "uint a = bal[msg.sender]; assembly { if iszero(call(gas(), caller(), a, 0, 0, 0, 0)) { revert(0, 0) } } bal[msg.sender] = 0;";
    assert_eq!(reentrancies(&vault("", "", body)), ["V.w: bal[]"]);
    let body = "assembly { let a := sload(1) if iszero(call(gas(), caller(), a, 0, 0, 0, 0)) { revert(0, 0) } sstore(1, 0) }";
    assert_eq!(reentrancies(&vault("", "", body)), ["V.w: a computed storage slot"]);
}

#[test]
fn a_loop_with_the_effect_first_is_silent_and_with_the_call_first_is_not() {
    let inside = |order: &str| {
        vault("", "", &format!("for (uint i; i < 3; i++) {{ uint a = bal[msg.sender]; {order} }}"))
    };
    let (write, call) =
        ("bal[msg.sender] = 0;", "(bool ok, ) = msg.sender.call{value: a}(\"\"); require(ok);");
    assert_eq!(reentrancies(&inside(&format!("{write} {call}"))), [""; 0]);
    assert_eq!(reentrancies(&inside(&format!("{call} {write}"))), ["V.w: bal[]"]);
}

#[test]
fn state_that_is_checked_again_after_the_call_is_silent() {
    let members = "bool done;";
    let call = "(bool ok, ) = msg.sender.call(\"\"); require(ok);";
    let again = vault(members, "", &format!("require(!done); {call} require(!done); done = true;"));
    let once = vault(members, "", &format!("require(!done); {call} done = true;"));
    assert_eq!(reentrancies(&again), [""; 0]);
    assert_eq!(reentrancies(&once), ["V.w: done"]);
}

#[test]
fn constants_rule_ways_out() {
    let members = "uint total; function move(address from) internal { if (from == address(0)) { total += 1; } else { bal[from] = 0; } }";
    let body = "uint a = bal[msg.sender]; bal[msg.sender] = 0; (bool ok, ) = msg.sender.call{value: a}(\"\"); require(ok); move(address(0));";
    assert_eq!(reentrancies(&vault(members, "", body)), [""; 0]);
}

#[test]
fn locks_are_known_by_what_they_do() {
    let locks = [
        ("bool l; modifier m() { require(!l); l = true; _; l = false; }", "m"),
        ("uint l = 1; modifier m() { if (l == 2) revert(); l = 2; _; l = 1; }", "m"),
        (
            "uint constant A = 1; uint constant B = 2; uint l = A; modifier m() { pre(); _; l = A; } function pre() private { require(open()); l = B; } function open() internal view returns (bool) { return l != B; }",
            "m",
        ),
        ("uint transient l; modifier m() { require(l == 0); l = 1; _; l = 0; }", "m"),
        (
            "modifier m() { assembly { if tload(7) { revert(0, 0) } tstore(7, 1) } _; assembly { tstore(7, 0) } }",
            "m",
        ),
        ("uint l = 1; modifier m() { l += 1; uint k = l; _; require(k == l); }", "m"),
        (
            "bytes32 constant SLOT = 0x1234; struct F { uint value; } function f(bytes32 s) internal pure returns (F storage r) { assembly { r.slot := s } } modifier m() { require(f(SLOT).value != 2); f(SLOT).value = 2; _; f(SLOT).value = 1; }",
            "m",
        ),
        (
            "address who; modifier m() { require(who == address(0)); who = msg.sender; _; who = address(0); }",
            "m",
        ),
    ];
    for (members, attribute) in locks {
        assert_eq!(
            reentrancies(&vault(members, attribute, PAY)),
            ["V.w: bal[] locked"],
            "{members}"
        );
    }
}

#[test]
fn what_only_looks_like_a_lock_is_none() {
    let locks = [
        // Opened again before the call.
        "bool l; modifier nonReentrant() { require(!l); l = true; l = false; _; }",
        // Never closed.
        "bool l; modifier nonReentrant() { require(!l); _; }",
        // Never looked at.
        "bool l; modifier nonReentrant() { l = true; _; l = false; }",
        // Closed with a value that it admits.
        "uint l; modifier nonReentrant() { require(l != 2); l = 1; _; l = 0; }",
        // Closed only after the call.
        "bool l; modifier nonReentrant() { require(!l); _; l = true; }",
    ];
    for members in locks {
        let found = reentrancies(&vault(members, "nonReentrant", PAY));
        assert!(found.iter().all(|line| !line.contains("locked")), "{members}: {found:?}");
        assert!(!found.is_empty(), "{members}");
    }
}

#[test]
fn a_lock_of_the_derived_contract_covers_the_call_of_its_base() {
    let text = "contract Base { mapping(address => uint) bal; function d() external payable { bal[msg.sender] += msg.value; } function _out() internal { uint a = bal[msg.sender]; (bool ok, ) = msg.sender.call{value: a}(\"\"); require(ok); bal[msg.sender] = 0; } }
        contract Locked is Base { bool l; modifier m() { require(!l); l = true; _; l = false; } function w() external m { _out(); } }
        contract Open is Base { function w() external { _out(); } }
        contract OpenToo is Base { function v() external { _out(); } }";
    let program = single(text);
    let facts = Facts::new(&program);
    let found = facts.reentrancies();
    assert_eq!(found.len(), 1);
    let names: Vec<_> = found[0].contracts.iter().map(|id| program.contract_name(*id)).collect();
    assert_eq!((names, found[0].locked), (vec!["Open", "OpenToo"], false));
}

#[test]
fn the_override_that_runs_is_the_one_that_counts() {
    let base = "contract A { mapping(address => bool) paid; function w() external { require(!paid[msg.sender]); pay(); paid[msg.sender] = true; } function pay() internal virtual { (bool ok, ) = msg.sender.call(\"\"); require(ok); } }";
    let derived =
        "contract B is A { function pay() internal override { payable(msg.sender).transfer(1); } }";
    let program = single(&format!("{base} {derived}"));
    let facts = Facts::new(&program);
    let names: Vec<_> =
        facts.reentrancies()[0].contracts.iter().map(|id| program.contract_name(*id)).collect();
    assert_eq!(names, ["A"]);
}

#[test]
fn who_chooses_the_callee_decides() {
    let token = "interface T { function send(address, uint) external; function look() external view returns (uint); }";
    let with = |members: &str, call: &str| {
        format!(
            "{token} {}",
            vault(members, "", &format!("uint a = bal[msg.sender]; {call} bal[msg.sender] = 0;"))
        )
    };
    assert_eq!(
        reentrancies(&with("T immutable t = T(address(1));", "t.send(msg.sender, a);")),
        [""; 0]
    );
    assert_eq!(
        reentrancies(&with("T t; constructor(T x) { t = x; }", "t.send(msg.sender, a);")),
        [""; 0]
    );
    assert_eq!(
        reentrancies(&with("T t; function set(T x) external { t = x; }", "t.send(msg.sender, a);")),
        ["V.w: bal[]"]
    );
    assert_eq!(reentrancies(&with("", "T(msg.sender).send(msg.sender, a);")), ["V.w: bal[]"]);
    assert_eq!(reentrancies(&with("", "if (T(msg.sender).look() > a) revert();")), [""; 0]);
}

#[test]
fn before_static_calls_a_view_function_could_call_back() {
    let text = "pragma solidity ^0.4.24; contract B { function q() external view returns (uint); } contract V { mapping(address => uint) n; function w() public { require(n[msg.sender] == 0); require(B(msg.sender).q() == 1); n[msg.sender] += 20; } }";
    assert_eq!(reentrancies(text), ["V.w: n[]"]);
    assert_eq!(reentrancies(&text.replace("^0.4.24", "^0.5.0")), [""; 0]);
}

#[test]
fn a_call_in_a_constructor_is_silent() {
    let text = "contract V { uint a = 1; constructor() { if (a > 0) { (bool ok, ) = msg.sender.call(\"\"); require(ok); a = 0; } } }";
    assert_eq!(reentrancies(text), [""; 0]);
}

#[test]
fn an_owner_who_calls_out_is_said_to_be_one() {
    let members = "address owner = msg.sender; modifier o() { require(msg.sender == owner); _; }";
    assert_eq!(reentrancies(&vault(members, "o", PAY)), ["V.w: bal[] guarded"]);
}

/// A contract with `k`, which destroys it.
fn doomed(members: &str, attributes: &str, check: &str) -> String {
    format!(
        "contract D {{ {members} function k() external {attributes} {{ {check} selfdestruct(payable(msg.sender)); }} }}"
    )
}

#[test]
fn guards_are_known_by_what_they_do() {
    let guards = [
        ("address owner = msg.sender;", "", "require(msg.sender == owner);"),
        ("address owner = msg.sender;", "", "if (owner != msg.sender) { return; }"),
        (
            "address owner = msg.sender;",
            "",
            "assembly { if iszero(eq(caller(), sload(owner.slot))) { revert(0, 0) } }",
        ),
        (
            "address owner = msg.sender;",
            "",
            "assembly { if sub(caller(), sload(owner.slot)) { revert(0, 0) } }",
        ),
        ("address immutable owner = msg.sender;", "", "assert(owner == msg.sender);"),
        (
            "address constant owner = 0x000000000000000000000000000000000000dEaD;",
            "",
            "require(msg.sender == owner);",
        ),
        (
            "address owner = msg.sender; modifier m() { _check(); _; } function _check() internal view virtual { if (_who() != _sender()) revert(); } function _who() public view returns (address) { return owner; } function _sender() internal view returns (address) { return msg.sender; }",
            "m",
            "",
        ),
        (
            "address owner = msg.sender; function ok() internal view returns (bool) { return msg.sender == owner || msg.sender == address(this); }",
            "",
            "require(ok());",
        ),
        (
            "mapping(address => bool) admins; constructor() { admins[msg.sender] = true; }",
            "",
            "require(admins[msg.sender]);",
        ),
        (
            "mapping(address => uint) wards; constructor() { wards[msg.sender] = 1; } modifier auth() { require(wards[msg.sender] == 1); _; } function rely(address a) external auth { wards[a] = 1; }",
            "auth",
            "",
        ),
        (
            "struct R { mapping(address => bool) has; } mapping(bytes32 => R) roles; constructor() { roles[0].has[msg.sender] = true; } modifier only(bytes32 r) { check(r, msg.sender); _; } function check(bytes32 r, address a) internal view { if (!has(r, a)) revert(); } function has(bytes32 r, address a) public view returns (bool) { return roles[r].has[a]; } function grant(bytes32 r, address a) external only(0) { roles[r].has[a] = true; } function renounce(bytes32 r) external { roles[r].has[msg.sender] = false; }",
            "only(0)",
            "",
        ),
        (
            "address signer = msg.sender; bytes32 r; bytes32 s;",
            "",
            "require(ecrecover(keccak256(\"x\"), 27, r, s) == signer);",
        ),
        (
            "address owner = msg.sender; address next; function offer(address a) external { require(msg.sender == owner); next = a; } function accept() external { require(msg.sender == next); owner = msg.sender; }",
            "",
            "require(msg.sender == owner);",
        ),
        (
            "address owner; bool done; function init(address o) external { require(!done); done = true; owner = o; }",
            "",
            "require(msg.sender == owner);",
        ),
        (
            "address owner; function init(address o) external { require(owner == address(0)); owner = o; }",
            "",
            "require(msg.sender == owner);",
        ),
        (
            "struct S { address owner; } bytes32 constant P = 0x77; function st() private pure returns (S storage r) { assembly { r.slot := P } } constructor() { st().owner = msg.sender; }",
            "",
            "require(msg.sender == st().owner);",
        ),
    ];
    for (members, attributes, check) in guards {
        assert_eq!(
            destructs(&doomed(members, attributes, check)),
            ["D.k guarded"],
            "{members} {check}"
        );
    }
}

#[test]
fn an_authority_in_another_contract_is_asked() {
    let text = format!(
        "interface A {{ function can(address who, bytes4 what) external view returns (bool); }} {}",
        doomed("A immutable a = A(address(1));", "", "require(a.can(msg.sender, msg.sig));")
    );
    assert_eq!(destructs(&text), ["D.k guarded"]);
}

#[test]
fn what_only_looks_like_a_guard_is_none() {
    let guards = [
        ("", "", ""),
        ("address owner = msg.sender; modifier onlyOwner() { _; }", "onlyOwner", ""),
        (
            "address owner = msg.sender; modifier onlyOwner() { if (msg.sender == owner) {} _; }",
            "onlyOwner",
            "",
        ),
        ("address owner = msg.sender;", "", "require(msg.sender != owner);"),
        ("address owner = msg.sender; bool open;", "", "require(msg.sender == owner || !open);"),
        (
            "mapping(address => uint) bal; function d() external payable { bal[msg.sender] += msg.value; }",
            "",
            "require(bal[msg.sender] > 0);",
        ),
        (
            "address owner; function setOwner(address o) external { owner = o; }",
            "",
            "require(msg.sender == owner);",
        ),
        (
            "address owner; function init() external { owner = msg.sender; }",
            "",
            "require(msg.sender == owner);",
        ),
        (
            "mapping(address => bool) admins; function join() external { admins[msg.sender] = true; }",
            "",
            "require(admins[msg.sender]);",
        ),
        ("", "", "require(msg.sender == tx.origin);"),
        ("", "", "require(msg.sender != address(0));"),
        (
            "struct S { address owner; } bytes32 constant P = 0x77; function st() private pure returns (S storage r) { assembly { r.slot := P } } function take() external { st().owner = msg.sender; }",
            "",
            "require(msg.sender == st().owner);",
        ),
    ];
    for (members, attributes, check) in guards {
        assert_eq!(destructs(&doomed(members, attributes, check)), ["D.k"], "{members} {check}");
    }
}

#[test]
fn every_spelling_destroys() {
    assert_eq!(destructs("contract D { function k() public { suicide(msg.sender); } }"), ["D.k"]);
    assert_eq!(
        destructs("contract D { function k() public { assembly { selfdestruct(caller()) } } }"),
        ["D.k"]
    );
    assert_eq!(
        destructs(
            "contract D { function k() private { selfdestruct(payable(msg.sender)); } fallback() external { k(); } }"
        ),
        ["D.fallback"]
    );
}

#[test]
fn what_nobody_can_call_destroys_nothing() {
    assert_eq!(
        destructs("contract D { constructor() { selfdestruct(payable(msg.sender)); } }"),
        [""; 0]
    );
    assert_eq!(
        destructs("contract D { function k() internal { selfdestruct(payable(msg.sender)); } }"),
        [""; 0]
    );
}

#[test]
fn names_and_order_change_no_answer() {
    let text = vault("bool l; modifier m() { require(!l); l = true; _; l = false; }", "", PAY);
    let renamed = text.replace("bal", "zz").replace("modifier m", "modifier nonReentrant");
    assert_eq!(reentrancies(&text).len(), reentrancies(&renamed).len());
    let files = [
        (
            "a.sol",
            "contract A { uint n; function f() internal { (bool ok, ) = msg.sender.call(\"\"); require(ok); } }",
        ),
        (
            "b.sol",
            "import 'a.sol'; contract B is A { function w() external { require(n == 0); f(); n = 1; } }",
        ),
    ];
    let answer = |files: &[(&str, &str)]| {
        let (program, diagnostics) = project(files);
        assert_eq!(diagnostics, []);
        let facts = Facts::new(&program);
        facts
            .reentrancies()
            .iter()
            .map(|found| {
                (
                    program.function_name(found.entry),
                    found.call_text.clone(),
                    found.variable.clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    let shuffled = [files[1], files[0]];
    assert_eq!(answer(&files), answer(&shuffled));
    assert_eq!(answer(&files).len(), 1);
}

#[test]
fn a_missing_import_is_unknown_and_not_dropped() {
    let (program, _) = project(&[(
        "a.sol",
        "import 'gone.sol'; contract V is Gone { mapping(address => uint) bal; function w() external maybe { uint a = bal[msg.sender]; (bool ok, ) = msg.sender.call{value: a}(\"\"); require(ok); bal[msg.sender] = 0; } }",
    )]);
    let facts = Facts::new(&program);
    assert_eq!(facts.reentrancies().len(), 1);
    assert!(facts.reentrancies()[0].partial);
}

#[test]
fn recursion_ends() {
    let text = "contract V { uint n; function f() internal { g(); } function g() internal { f(); n = 1; } function w() external { require(n == 0); f(); } }";
    assert_eq!(reentrancies(text), [""; 0]);
}

#[test]
fn functions_fill_the_dictionary() {
    let text =
        vault("bool l; modifier m() { require(!l); l = true; _; l = false; }", "payable m", PAY);
    let program = single(&text);
    let facts = Facts::new(&program);
    let dictionary = Dictionary::new(Subject::Function, [FUNCTION_FACTS]);
    let tables = facts.function_tables(&dictionary);
    let (_, table) = tables
        .iter()
        .find(|(entry, _)| program.function_name(entry.function) == "V.w")
        .expect("w is an entry point");
    let fact = |name: &str| {
        table.value(dictionary.position(name).expect("the fact is registered")).clone()
    };
    let count = |count: u64| Value::Uint(U256::from(count));
    assert_eq!(fact("contract"), Value::Text("V".to_owned()));
    assert_eq!(fact("function"), Value::Text("w".to_owned()));
    assert_eq!(fact("payable"), Value::Bool(true));
    assert_eq!(fact("guarded"), Value::Bool(false));
    assert_eq!(fact("locked"), Value::Bool(true));
    assert_eq!(fact("external_calls"), count(1));
    assert_eq!(fact("stranger_calls"), count(1));
    assert_eq!(fact("delegate_calls"), count(0));
    assert_eq!(fact("storage_reads"), count(2));
    assert_eq!(fact("storage_writes"), count(2));
    assert_eq!(fact("writes_after_call"), count(1));
    assert_eq!(fact("can_self_destruct"), Value::Bool(false));
    assert_eq!(fact("fully_read"), Value::Bool(true));
    assert!(table.values().iter().all(|value| *value != Value::Unknown));
}

#[test]
fn contracts_that_run_the_same_share_an_answer_and_one_that_overrides_has_its_own() {
    let program = single(
        "abstract contract Base {
            mapping(address => uint256) owed;
            function hook() internal virtual {}
            function deposit() external payable { owed[msg.sender] += msg.value; }
            function pay() external {
                uint256 amount = owed[msg.sender];
                hook();
                (bool ok, ) = msg.sender.call{value: amount}(\"\");
                require(ok);
                owed[msg.sender] = 0;
            }
        }
        contract First is Base {}
        contract Second is Base {}
        contract Clears is Base {
            bool entered;
            function hook() internal override { require(!entered); entered = true; }
        }",
    );
    let facts = Facts::new(&program);
    let pays: Vec<_> = facts
        .summaries()
        .iter()
        .filter(|summary| program.function_name(summary.function) == "Base.pay")
        .map(|summary| {
            (
                program.contract_name(summary.contract),
                summary.calls[0].lock.is_some(),
                summary.writes.len(),
            )
        })
        .collect();
    assert_eq!(pays, [("First", false, 1), ("Second", false, 1), ("Clears", true, 2)]);
}

#[test]
fn bits_that_are_made_of_themselves_come_to_an_end() {
    let text = "contract C { uint s; function f(uint x) external { while (s < 9) { x = x >> 1; if (x & 1 != 0) s = 1; } selfdestruct(payable(msg.sender)); } }";
    assert_eq!(destructs(text), ["C.f"]);
}

/// Hazards of a kind as `entry: statement`.
fn hazards(kind: HazardKind, text: &str) -> Vec<String> {
    let program = single(text);
    let facts = Facts::new(&program);
    facts
        .hazards(kind)
        .map(|found| {
            format!("{}: {}", program.function_name(found.entry), program.text(found.span))
        })
        .collect()
}

#[test]
fn what_the_contract_knows_of_the_choice_holds_strangers_back() {
    let run = |check: &str| {
        format!(
            "contract C {{ mapping(address => bool) known; uint count; function f(address a) external {{ {check} (bool ok, ) = a.delegatecall(\"\"); require(ok); }} }}"
        )
    };
    let found = ["C.f: a.delegatecall(\"\")"];
    let kind = HazardKind::DelegateToChosen;
    assert_eq!(hazards(kind, &run("")), found);
    assert_eq!(hazards(kind, &run("require(a != address(0));")), found);
    assert_eq!(hazards(kind, &run("require(count < 5);")), found);
    assert_eq!(hazards(kind, &run("require(known[a]);")), [""; 0]);
}

#[test]
fn what_is_claimed_once_is_no_open_upgrade() {
    let proxy = |check: &str| {
        format!(
            "contract P {{ address code; function set(address a) external {{ {check} code = a; (bool ok, ) = a.delegatecall(\"\"); require(ok); }} fallback() external payable {{ (bool ok, ) = code.delegatecall(msg.data); require(ok); }} }}"
        )
    };
    let kind = HazardKind::OpenUpgrade;
    assert_eq!(hazards(kind, &proxy("")), ["P.set: code = a"]);
    assert_eq!(hazards(kind, &proxy("require(code != a);")), ["P.set: code = a"]);
    assert_eq!(hazards(kind, &proxy("require(code != address(0));")), ["P.set: code = a"]);
    assert_eq!(hazards(kind, &proxy("require(code == address(0));")), [""; 0]);
}

#[test]
fn ether_that_others_keep_a_record_of_is_theirs() {
    let bank = |body: &str| {
        format!(
            "contract B {{ mapping(address => uint) owed; receive() external payable {{}} function f(address payable a, uint n) external {{ {body} }} }}"
        )
    };
    let kind = HazardKind::EtherToChosen;
    assert_eq!(hazards(kind, &bank("a.transfer(n);")), ["B.f: a.transfer(n)"]);
    assert_eq!(hazards(kind, &bank("owed[msg.sender] -= n; a.transfer(n);")), [""; 0]);
    assert_eq!(hazards(kind, &bank("a.transfer(owed[a]);")), [""; 0]);
    let alone = "contract B { function f(address payable a) external payable { a.transfer(1); } }";
    assert_eq!(hazards(kind, alone), [""; 0], "nothing else brings ether in");
}

/// Loops as `function: bound variable`, with a mark where rounds call out.
fn loops(text: &str) -> Vec<String> {
    let program = single(text);
    let facts = Facts::new(&program);
    facts
        .loops()
        .iter()
        .map(|found| {
            let variable =
                found.variable.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let calls = if found.calls_out { " calls" } else { "" };
            format!("{}: {:?}{variable}{calls}", program.function_name(found.function), found.bound)
        })
        .collect()
}

#[test]
fn loops_are_told_by_what_bounds_them() {
    let body = |members: &str, params: &str, body: &str| {
        loops(&format!(
            "contract C {{ uint out; {members} function f({params}) external {{ {body} }} }}"
        ))
    };
    let list = "address[] list; mapping(address => address) next;";
    for (params, code, expected) in [
        ("", "for (uint i = 0; i < 10; i++) out += i;", "C.f: Constant"),
        ("uint n", "for (uint i = 0; i < n; ++i) out += i;", "C.f: Caller"),
        ("uint[] calldata a", "for (uint i; i < a.length; i++) out += a[i];", "C.f: Caller"),
        ("", "for (uint i; i < list.length; i++) out += i;", "C.f: StorageLength list.length"),
        (
            "",
            "uint n = list.length; for (uint i; i != n; i++) out++;",
            "C.f: StorageLength list.length",
        ),
        (
            "",
            "address[] memory a = list; for (uint i; i < a.length; i++) out++;",
            "C.f: Stored list",
        ),
        ("", "while (list.length > 0) list.pop();", "C.f: StorageLength list.length"),
        ("", "for (uint i; i < out; i++) list.push();", "C.f: Stored out"),
        ("uint n", "while (n > 0) { n--; out++; }", "C.f: Caller"),
        ("uint n", "while (n != 0) { out++; n /= 10; }", "C.f: Constant"),
        ("uint n", "for (uint i; i < n && i < 50; i++) out++;", "C.f: Constant"),
        ("uint n", "for (uint i; i < n; i++) { if (i == 50) break; out++; }", "C.f: Constant"),
        (
            "",
            "address at = next[address(1)]; while (at != address(0)) at = next[at];",
            "C.f: Stored next[]",
        ),
        ("", "while (true) { out++; if (uint(blockhash(out)) == 1) break; }", "C.f: Unknown"),
        ("", "do { out++; } while (gasleft() > 5000);", "C.f: Unknown"),
        (
            "uint n",
            "assembly { for { let i := 0 } lt(i, n) { i := add(i, 1) } { sstore(0, i) } }",
            "C.f: Caller",
        ),
        (
            "",
            "for (uint i; i < list.length; i++) payable(list[i]).transfer(1);",
            "C.f: StorageLength list.length calls",
        ),
    ] {
        assert_eq!(body(list, params, code), [expected], "{code}");
    }
}

#[test]
fn the_bound_of_a_helper_is_that_of_its_callers() {
    let text = "contract C { uint out; uint[] a; function g(uint n) internal { for (uint i; i < n; i++) out++; } function few() external { g(3); } function all() external { g(a.length); } } contract D is C {}";
    assert_eq!(loops(text), ["C.g: StorageLength a.length"]);
    let program = single(text);
    let facts = Facts::new(&program);
    let found = &facts.loops()[0];
    assert_eq!(program.function_name(found.entry), "C.all");
    let contracts: Vec<_> = found.contracts.iter().map(|id| program.contract_name(*id)).collect();
    assert_eq!(contracts, ["C", "D"]);
    assert_eq!(
        found.path.iter().map(|span| program.text(*span)).collect::<Vec<_>>(),
        ["g(a.length)"]
    );
}

/// The calls that a function holds, as `form text -> targets`.
fn calls(text: &str, caller: &str) -> Vec<String> {
    let program = single(text);
    let facts = Facts::new(&program);
    let id = program
        .function_ids()
        .find(|id| program.function_name(*id) == caller)
        .expect("the source declares it");
    let sites = facts.call_graph().from(Caller::Function(id));
    sites
        .map(|site| {
            let targets: Vec<_> =
                site.targets.iter().map(|target| program.function_name(*target)).collect();
            let open = if site.is_open { " or others" } else { "" };
            format!("{:?} {} -> {}{open}", site.form, program.text(site.span), targets.join(", "))
        })
        .collect()
}

#[test]
fn virtual_calls_reach_every_override_that_can_run() {
    let text = "abstract contract A { modifier m() virtual { _; } function f() external m { g(); h(); } function g() internal virtual; function h() private {} } contract B is A { function g() internal override {} } contract C is A { modifier m() override { _; } function g() internal virtual override {} } contract D is C { function g() internal override { super.g(); } }";
    assert_eq!(
        calls(text, "A.f"),
        ["Modifier m -> A.m, C.m", "Internal g() -> B.g, C.g, D.g", "Internal h() -> A.h"]
    );
    assert_eq!(calls(text, "D.g"), ["Internal super.g() -> C.g"]);
}

#[test]
fn calls_of_others_and_what_is_not_found_stay_in_the_graph() {
    let text = "interface I { function f() external; } contract B is I { function f() external {} } contract C { I i; function(uint) internal p; function g(address a) external { i.f(); a.call(\"\"); a.delegatecall(\"\"); a.staticcall(\"\"); p(1); new B(); nowhere(); } }";
    assert_eq!(
        calls(text, "C.g"),
        [
            "External i.f() -> I.f, B.f or others",
            "LowLevel a.call(\"\") ->  or others",
            "Delegate a.delegatecall(\"\") ->  or others",
            "Static a.staticcall(\"\") ->  or others",
            "Pointer p(1) ->  or others",
            "Create new B() -> ",
            "Unresolved nowhere() ->  or others",
        ]
    );
    let program = single(text);
    let facts = Facts::new(&program);
    let implementation = program
        .function_ids()
        .find(|id| program.function_name(*id) == "B.f")
        .expect("the source declares it");
    assert_eq!(facts.call_graph().to(implementation).count(), 1);
}

#[test]
fn initialisers_call_too() {
    let text =
        "contract C { uint a = f(); function f() internal pure returns (uint) { return 1; } }";
    let program = single(text);
    let facts = Facts::new(&program);
    let sites = facts.call_graph().sites();
    assert_eq!(sites.len(), 1);
    assert!(matches!(sites[0].caller, Caller::Variable(id) if program.variable_name(id) == "a"));
    assert_eq!(sites[0].targets.len(), 1);
}

#[test]
fn every_name_counts_and_a_name_of_unknown_type_is_unresolved() {
    let text = "import {Gone} from \"gone.sol\"; contract C is Gone { Gone g; function f(uint a) external { g.x(); uint b = a + missing; assembly { let c := add(a, b) function d() { pop(e) } } } }";
    let (program, _) = project(&[("main.sol", text)]);
    let facts = Facts::new(&program);
    let unresolved: Vec<_> =
        facts.unresolved_names().iter().map(|span| program.text(*span)).collect();
    assert_eq!(unresolved, ["Gone", "Gone", "Gone", "g", "x", "missing", "e"]);
    // Beside them: `a` twice, `b`, `add` and `pop`.
    assert_eq!(facts.coverage().names - facts.coverage().resolved_names, 7);
    assert_eq!(facts.coverage().names, 12);
}

#[test]
fn the_order_of_files_changes_no_answer() {
    let files = [
        (
            "a.sol",
            "import \"b.sol\"; contract A is B { function pay(address payable to) external only { to.transfer(total); all(); } }",
        ),
        (
            "b.sol",
            "import {Base as Root} from \"c.sol\"; abstract contract B is Root { uint total; function add() external payable { total += msg.value; } function all() internal { for (uint i; i < users.length; i++) { (bool ok, ) = users[i].call(\"\"); require(ok); total--; } } }",
        ),
        (
            "c.sol",
            "abstract contract Base { address owner = msg.sender; address[] users; modifier only() { require(msg.sender == owner); _; } function join() external { users.push(msg.sender); } }",
        ),
        (
            "d.sol",
            "import * as all from \"a.sol\"; contract D is all.A { function kill() external { selfdestruct(payable(msg.sender)); } }",
        ),
    ];
    let answers =
        |files: &[(&str, &str)]| {
            let (program, diagnostics) = project(files);
            assert_eq!(diagnostics, []);
            let facts = Facts::new(&program);
            let place = |span: Span| {
                let source = program.source(span.file).expect("it has a source");
                format!("{}:{}..{}", source.path.display(), span.start, span.end)
            };
            let mut out: Vec<String> = facts
                .function_tables(&dictionary())
                .into_iter()
                .map(|(entry, table)| {
                    format!(
                        "{} {} {table:?}",
                        program.contract_name(entry.contract),
                        program.function_name(entry.function)
                    )
                })
                .collect();
            out.extend(facts.reentrancies().iter().map(|found| place(found.call_span)));
            out.extend(facts.self_destructs().iter().map(|found| place(found.span)));
            out.extend(facts.loops().iter().map(|found| {
                format!("{} {:?} {:?}", place(found.span), found.bound, found.variable)
            }));
            out.extend(facts.call_graph().sites().iter().map(|site| {
                let mut targets: Vec<_> =
                    site.targets.iter().map(|id| program.function_name(*id)).collect();
                targets.sort();
                format!("{} {:?} {targets:?}", place(site.span), site.form)
            }));
            out.sort();
            out
        };
    let expected = answers(&files);
    assert!(expected.len() > 10, "{expected:#?}");
    for turn in 1..files.len() {
        let mut turned = files;
        turned.rotate_left(turn);
        assert_eq!(answers(&turned), expected);
        turned.reverse();
        assert_eq!(answers(&turned), expected);
    }
}

#[test]
fn bodies_without_a_suspect_are_without_a_flaw() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut n_found = 0;
    let mut n_left_out = 0;
    for folder in ["fixtures/detectors", "fixtures/audit", "node_modules/@openzeppelin/contracts"] {
        let base = root.join(folder);
        if !base.is_dir() {
            continue;
        }
        let options = crate::project::ProjectOptions {
            paths: vec![base.clone()],
            base,
            ..crate::project::ProjectOptions::default()
        };
        let project = crate::project::Project::read(&options).unwrap();
        let (program, _) = Program::build(crate::hir::Source::of_project(&project));
        let facts = Facts::new(&program);
        let mut all = facts.asides();
        all.extend_from_slice(facts.entry_points());
        let suspects = facts.suspects(all.clone());
        let others: Vec<_> = all.into_iter().filter(|point| !suspects.contains(point)).collect();
        n_left_out += others.len();
        n_found += facts.flaws_aside(&suspects).len();
        let missed = facts.flaws_aside(&others);
        assert!(missed.is_empty(), "{missed:?}");
    }
    // The examples of the detectors are such flaws, and most of a library is none.
    assert!(n_found > 20 && n_left_out > 20, "{n_found} found, {n_left_out} left out");
}

/// A vault whose calls are locked by a mutex, which has these functions, and a second contract that shares it.
fn shared_mutex(mutex: &str, members: &str) -> String {
    let vault = vault(
        &format!(
            "{members} modifier l() {{ m.enter(); _; m.leave(); }} function e() external l {{ bal[address(0)] = 1; }} function price() external view returns (uint) {{ return bal[address(0)]; }}"
        ),
        "l",
        PAY,
    );
    format!(
        "contract Mutex {{ {mutex} }} {vault} contract Other {{ Mutex immutable m; uint n; function x() external {{ m.enter(); n = 1; m.leave(); }} function y() external {{ n = 2; }} }}"
    )
}

const ENTER: &str = "address holder; function enter() external { require(holder == address(0)); holder = msg.sender; }";

#[test]
fn a_lock_that_another_contract_keeps_covers_all_that_ask_it() {
    let text = shared_mutex(
        &format!(
            "{ENTER} function leave() external {{ require(msg.sender == holder); holder = address(0); }}"
        ),
        "Mutex immutable m;",
    );
    assert_eq!(reentrancies(&text), ["V.w: bal[] locked"]);
    let program = single(&text);
    let facts = Facts::new(&program);
    let [cover] = facts.locks() else { panic!("one lock: {:?}", facts.locks()) };
    let names = |points: &[EntryPoint]| -> Vec<String> {
        points.iter().map(|point| program.function_name(point.function)).collect()
    };
    assert_eq!(cover.kind, LockKind::Elsewhere);
    assert_eq!(cover.kept_in, ["Mutex.enter"]);
    assert_eq!(names(&cover.shut), ["V.e", "V.w", "Other.x"]);
    assert_eq!(names(&cover.open), ["V.price", "V.d"]);
}

#[test]
fn a_lock_elsewhere_that_strangers_can_open_is_none() {
    let own = "require(msg.sender == holder);";
    let leave = |check: &str| {
        format!("{ENTER} function leave() external {{ {check} holder = address(0); }}")
    };
    let cases = [
        // Anyone can leave.
        (leave(""), "Mutex immutable m;".to_owned()),
        // Anyone can become who may leave.
        (
            leave(own) + " function take() external { holder = msg.sender; }",
            "Mutex immutable m;".to_owned(),
        ),
        // Anyone can put another mutex in its place.
        (leave(own), "Mutex m; function set(Mutex x) external { m = x; }".to_owned()),
        // It does not refuse.
        (
            "address holder; function enter() external { holder = msg.sender; } function leave() external {}"
                .to_owned(),
            "Mutex immutable m;".to_owned(),
        ),
    ];
    for (mutex, members) in cases {
        let found = reentrancies(&shared_mutex(&mutex, &members));
        assert_eq!(found, ["V.w: bal[]"], "{mutex} {members}");
    }
}

#[test]
fn what_a_lock_leaves_open_is_told() {
    let text = vault(
        "bool l; modifier m() { require(!l); l = true; _; l = false; } function a() external m { bal[msg.sender] = 0; } function b() external { bal[msg.sender] = 0; } function shut() external view m2 returns (uint) { return bal[msg.sender]; } modifier m2() { require(!l); _; } function free() external view returns (uint) { return bal[msg.sender]; }",
        "m",
        PAY,
    );
    let program = single(&text);
    let facts = Facts::new(&program);
    let [cover] = facts.locks() else { panic!("one lock: {:?}", facts.locks()) };
    let names = |points: &[EntryPoint]| -> Vec<String> {
        points.iter().map(|point| program.function_name(point.function)).collect()
    };
    assert_eq!((cover.kind, cover.kept_in.as_slice()), (LockKind::Storage, &["l".to_owned()][..]));
    assert_eq!(names(&cover.shut), ["V.a", "V.shut", "V.w"]);
    assert_eq!(names(&cover.open), ["V.b", "V.free", "V.d"]);
}

#[test]
fn order_is_told_across_calls() {
    let text = "contract C { uint x; uint y; uint z; modifier m() { x = 1; _; z = 1; }
        function f(bool b) external m { if (b) { one(); } two(); for (uint i; i < 3; i++) { y = 5; x = 6; } }
        function one() internal { y = 2; } function two() internal { y = 3; if (false) { y = 4; } } }";
    let program = single(text);
    let facts = Facts::new(&program);
    let order = facts.order(facts.entry_points()[0]).unwrap();
    let of = |part: &str| {
        let start = text.find(part).unwrap() as u32;
        Span { file: crate::syntax::FileId(0), start, end: start + part.len() as u32 }
    };
    let (x, z, y2, y3, y4) = (of("x = 1"), of("z = 1"), of("y = 2"), of("y = 3"), of("y = 4"));
    // A modifier frames the body, and a call stands for what it runs.
    assert!(order.always_before(x, y2) && order.always_before(y3, z));
    assert!(order.always_before(of("two()"), z) && order.always_before(x, of("one()")));
    assert!(!order.always_before(z, x) && !order.may_follow(z, x));
    // What one branch alone runs is before nothing always, but may be followed.
    assert!(!order.always_before(y2, y3) && order.may_follow(y2, y3) && !order.may_follow(y3, y2));
    // In a loop each follows the other, and the first round decides what is always before.
    let (y5, x6) = (of("y = 5"), of("x = 6"));
    assert!(order.may_follow(y5, x6) && order.may_follow(x6, y5) && order.may_follow(y5, y5));
    assert!(order.always_before(y5, x6) && !order.always_before(x6, y5));
    // What never runs has no order.
    assert!(!order.always_before(x, y4) && !order.may_follow(x, y4));
}
