//! Who may come to a statement that destroys.

use super::*;

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
