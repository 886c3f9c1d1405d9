//! Whatever a file holds, an audit ends with a report: broken sources are diagnostics, never a crash.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use portcullis_analyzer::report::{TerminalOptions, sarif, terminal};
use portcullis_analyzer::{AuditReport, audit_text};
use proptest::prelude::*;

/// Every Solidity fixture of the repository.
fn sources() -> Vec<String> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sol") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[track_caller]
fn check(text: &str) -> AuditReport {
    let report = audit_text("broken.sol", text);
    assert!(!report.has_failed(), "{:?}\n{text}", report.diagnostics);
    terminal(&report, TerminalOptions::default());
    sarif(&report, 0);
    report
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn damaged_sources_are_survived(
        which in any::<prop::sample::Index>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, damage()), 1..6),
    ) {
        let sources = sources();
        let mut text = which.get(&sources).clone();
        for (place, length, insertion) in damages {
            let boundary = |at: usize| text.floor_char_boundary(at);
            let start = boundary(place.index(text.len() + 1));
            let end = boundary(start + length);
            text.replace_range(start..end, &insertion);
        }
        check(&text);
    }

    #[test]
    fn random_tokens_are_survived(tokens in prop::collection::vec(damage(), 0..60)) {
        check(&tokens.join(" "));
    }
}

/// Pieces of Solidity that mean something in the wrong place.
const PIECES: &str = r#"
{ } ( ) [ ] ; , . = => := /* // " ' \ _; 0x hex"0" contract C is function f modifier m constructor
fallback receive mapping struct enum using for while do if else try catch return revert emit new delete
assembly unchecked import pragma ^0.4.0 address uint256 bytes payable msg.sender .call{value:1}("")
selfdestruct(a) super.f() this x a ether let switch case layout transient throw é
"#;

/// A piece of Solidity or plain noise.
fn damage() -> impl Strategy<Value = String> {
    let pieces: Vec<_> = PIECES.split_whitespace().chain(["", "\0", "\u{1f510}"]).collect();
    prop_oneof![
        4 => prop::sample::select(pieces).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ]
}

#[test]
fn contracts_that_go_in_circles_are_survived() {
    check("contract A is B {} contract B is A {}");
    check("contract A is A { function f() public { f(); super.f(); this.f(); } }");
    check(
        "contract A { modifier m() { _; m(); _; } function f() public m m m { g(); } function g() internal { f(); } }",
    );
    check("struct S { S s; T t; } struct T { S s; } contract A { S s; mapping(uint => S[]) m; }");
    check("contract A { uint constant a = b; uint constant b = a; uint[a] x; }");
    check(
        "library L { using L for L; } using L for *; type T is T; enum E {} error E(); event E();",
    );
}

#[test]
fn values_made_of_themselves_are_survived() {
    for step in [
        "flags = flags >> 1",
        "flags = flags & (flags >> 1)",
        "flags = flags & mask; mask = mask & flags",
    ] {
        for check_of in ["flags & 1 != 0", "(flags & 1) == 1", "flags >> 1 == mask"] {
            let report = check(&format!(
                "contract C {{ function end(uint flags, uint mask) external {{ \
                 for (uint i; i < 3; i++) {{ {step}; }} require({check_of}); selfdestruct(payable(msg.sender)); }} }}"
            ));
            assert_eq!(
                report.findings.len(),
                1,
                "{step}; {check_of}: a caller's own bits are no authority"
            );
        }
    }
}

#[test]
fn deep_nesting_is_survived() {
    for (open, close) in
        [("(", ")"), ("{", "}"), ("[", "]"), ("!", ""), ("-(", ")"), ("f(", ")"), ("if (a) {", "}")]
    {
        for depth in [200, 5_000, 100_000] {
            let inner = format!("{}a{}", open.repeat(depth), close.repeat(depth));
            check(&format!(
                "contract C {{ function f(bool a) public {{ {inner}; x = {inner}; }} }}"
            ));
        }
    }
}

#[test]
fn the_rest_of_a_damaged_file_is_audited() {
    let bad = "contract Bad { function f( { } contract";
    let good = "contract Good { function end() external { selfdestruct(payable(msg.sender)); } }";
    let report = check(&format!("{good}\n{bad}"));
    assert_eq!(report.findings.len(), 1, "{:?}", report.diagnostics);
    assert!(!report.diagnostics.is_empty());
}

/// A contract whose last brace is not written yet, and one that has a brace too many, are read all the same.
#[test]
fn a_file_that_is_half_written_gives_findings_for_what_stands_there() {
    let whole =
        "contract Trap {\n    function go() external { selfdestruct(payable(msg.sender)); }\n";
    for (rest, said) in [
        ("", "syntax error: a closing bracket is missing"),
        (
            "\n    function next(uint256 a) external {\n        a +\n\n",
            "syntax error: a closing bracket is missing",
        ),
        (
            "\n    function next(uint256 a) external {\n        a +\n    }\n",
            "syntax error: a closing bracket is missing",
        ),
        ("}\n}\n", "syntax error: unexpected `}`"),
    ] {
        let report = portcullis_analyzer::audit_text("Trap.sol", &format!("{whole}{rest}"));
        let found: Vec<_> = report
            .findings
            .iter()
            .map(|finding| (finding.detector.as_str(), finding.location.start.line))
            .collect();
        assert_eq!(found, [("suicidal", 2)], "{rest}");
        assert!(
            report.diagnostics.iter().any(|diagnostic| diagnostic.message == said),
            "{rest}: {:?}",
            report.diagnostics
        );
    }
}
