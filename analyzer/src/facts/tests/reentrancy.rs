//! Calls that hand over control before state they depended on is written.

use super::*;

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

#[test]
fn recursion_ends() {
    let text = "contract V { uint n; function f() internal { g(); } function g() internal { f(); n = 1; } function w() external { require(n == 0); f(); } }";
    assert_eq!(reentrancies(text), [""; 0]);
}

#[test]
fn bits_that_are_made_of_themselves_come_to_an_end() {
    let text = "contract C { uint s; function f(uint x) external { while (s < 9) { x = x >> 1; if (x & 1 != 0) s = 1; } selfdestruct(payable(msg.sender)); } }";
    assert_eq!(destructs(text), ["C.f"]);
}
