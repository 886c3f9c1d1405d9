//! What keeps an entry point from being entered during a call, and what only looks like it.

use super::*;

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
