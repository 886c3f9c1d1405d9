//! What bounds a loop.

use super::*;

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
