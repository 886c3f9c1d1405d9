use super::*;
use crate::detectors::{Confidence, Severity};

const DAY: &str = "2026-06-15";

fn asked() -> Asked<'static> {
    Asked {
        detectors: ["suicidal", "reentrancy-eth"].into(),
        rules: ["takeover/open-setter".to_owned()].into(),
        today: Date::parse(DAY),
    }
}

/// Runs `suppress` over findings named by `id(...)` calls in the text: each word in `IDS` that stands in code is a
/// finding. Returns what is left, what was taken out with its tool, and what was said.
fn run(text: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
    const WORDS: &[(&str, &str)] = &[
        ("selfdestruct(", "suicidal"),
        ("call(", "reentrancy-eth"),
        ("set(", "takeover/open-setter"),
    ];
    let lines = Lines::new(text);
    let location = |start: usize, length: usize| Location {
        path: "a.sol".to_owned(),
        start: lines.position(start),
        end: lines.position(start + length),
    };
    let mut findings = Vec::new();
    for (word, id) in WORDS {
        for (start, _) in text.match_indices(word) {
            let function = text[..start].rfind("function");
            findings.push(Finding {
                detector: (*id).to_owned(),
                severity: Severity::Critical,
                confidence: Confidence::High,
                message: String::new(),
                contract: None,
                function: None,
                location: location(start, word.len()),
                extent: function.map(|from| location(from, start - from + 20)),
                steps: Vec::new(),
                help: String::new(),
                fingerprint: String::new(),
            });
        }
    }
    let (mut suppressed, mut diagnostics) = (Vec::new(), Vec::new());
    suppress("a.sol", &lines, &asked(), &mut findings, &mut suppressed, &mut diagnostics);
    let place = |finding: &Finding| format!("{}:{}", finding.detector, finding.location.start.line);
    (
        findings.iter().map(place).collect(),
        suppressed
            .iter()
            .map(|taken| format!("{} by {}", place(&taken.finding), taken.tool))
            .collect(),
        diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect(),
    )
}

#[track_caller]
fn check(text: &str, left: &[&str], said: &[&str]) {
    let (found_left, _, found_said) = run(text);
    assert_eq!(found_left, left, "{text}");
    assert_eq!(found_said, said, "{text}");
}

/// What comments of another tool take out.
#[track_caller]
fn check_foreign(text: &str, taken: &[&str], tool: &str) {
    let (_, found, said) = run(text);
    let expected: Vec<String> = taken.iter().map(|place| format!("{place} by {tool}")).collect();
    assert_eq!(found, expected, "{text}");
    assert_eq!(said, Vec::<String>::new(), "{text}");
}

#[test]
fn a_comment_allows_its_own_line_or_the_next_line_of_code() {
    check(
        "selfdestruct(a); // portcullis-allow suicidal: a test\nselfdestruct(b);",
        &["suicidal:2"],
        &[],
    );
    check(
        "//portcullis-allow suicidal: a test\n\n// more\n/* and */\n  selfdestruct(a);\nselfdestruct(b);",
        &["suicidal:6"],
        &[],
    );
    check(
        "// portcullis-allow suicidal, reentrancy-eth: a\nselfdestruct(a);",
        &[],
        &["nothing to allow: no `reentrancy-eth` here"],
    );
}

#[test]
fn what_allows_nothing_is_said() {
    let without_reason = "a suppression without a reason";
    check("// portcullis-allow suicidal\nselfdestruct(a);", &["suicidal:2"], &[without_reason]);
    check("// portcullis-allow suicidal:  \nselfdestruct(a);", &["suicidal:2"], &[without_reason]);
    check(
        "// portcullis-allow sucidal: typo\nselfdestruct(a);",
        &["suicidal:2"],
        &["no detector is called `sucidal`"],
    );
    check(
        "// portcullis-allow suicidal: gone\nf();",
        &[],
        &["nothing to allow: no `suicidal` here"],
    );
    check("// see portcullis-allow suicidal: prose\nselfdestruct(a);", &["suicidal:2"], &[]);
    check("x = \"// portcullis-allow suicidal: text\"; selfdestruct(a);", &["suicidal:1"], &[]);
}

#[test]
fn a_suppression_may_end() {
    for (until, is_left) in [("2026-06-15", false), ("2030-01-01", false), ("2026-06-14", true)] {
        let text =
            format!("// portcullis-allow suicidal until {until}: soon mended\nselfdestruct(a);");
        let (left, _, said) = run(&text);
        assert_eq!(left.is_empty(), !is_left, "{until}");
        let expired = format!("this suppression has expired: it was meant to last until {until}");
        assert_eq!(said, if is_left { vec![expired] } else { Vec::new() });
    }
    check(
        "// portcullis-allow suicidal until June: soon\nselfdestruct(a);",
        &["suicidal:2"],
        &["`June` is not a day: a suppression lasts until `YYYY-MM-DD`"],
    );
}

#[test]
fn rules_of_packs_are_allowed_by_pack_and_name() {
    check("// portcullis-allow takeover/open-setter: ours\nfunction set() external {}", &[], &[]);
    check(
        "// portcullis-allow takeover/opn-setter: typo\nfunction set() external {}",
        &["takeover/open-setter:2"],
        &["the pack `takeover` has no function rule `opn-setter`"],
    );
    check("// portcullis-allow other/rule: its pack is not asked this time\nf();", &[], &[]);
    check(
        "// portcullis-allow takeover/open-setter: gone\nf();",
        &[],
        &["nothing to allow: no `takeover/open-setter` here"],
    );
    check("// portcullis-allow tx-origin: known, but not asked this time\nf();", &[], &[]);
}

#[test]
fn comments_for_slither_are_honoured() {
    check_foreign(
        "// slither-disable-next-line suicidal,timestamp\nselfdestruct(a);",
        &["suicidal:2"],
        "slither",
    );
    check_foreign("// slither-disable-next-line reentrancy-eth\nselfdestruct(a);", &[], "slither");
    check_foreign(
        "// slither-disable-next-line all\nselfdestruct(a); call(b);",
        &["suicidal:2", "reentrancy-eth:2"],
        "slither",
    );
    check_foreign(
        "// slither-disable-next-line reentrancy-eth\nfunction f() {\n  x = 1;\n  call(b);\n}\nfunction g() { call(c); }",
        &["reentrancy-eth:4"],
        "slither",
    );
    check_foreign(
        "call(a);\n// slither-disable-start reentrancy-eth\ncall(b);\nselfdestruct(a);\n// slither-disable-end reentrancy-eth\ncall(c);",
        &["reentrancy-eth:3"],
        "slither",
    );
    check_foreign(
        "// slither-disable-start reentrancy-eth\ncall(b);\ncall(c);",
        &["reentrancy-eth:2", "reentrancy-eth:3"],
        "slither",
    );
}

#[test]
fn comments_for_aderyn_are_honoured() {
    check_foreign(
        "// aderyn-ignore-next-line(selfdestruct)\nselfdestruct(a);",
        &["suicidal:2"],
        "aderyn",
    );
    check_foreign(
        "selfdestruct(a); // aderyn-fp(selfdestruct , empty-block)",
        &["suicidal:1"],
        "aderyn",
    );
    check_foreign(
        "// aderyn-fp-next-line(empty-block) aderyn-ignore-next-line(reentrancy-state-change)\ncall(a);",
        &["reentrancy-eth:2"],
        "aderyn",
    );
    check_foreign("selfdestruct(a); // aderyn-ignore", &["suicidal:1"], "aderyn");
    check_foreign("// aderyn-ignore-next-line(empty-block)\nselfdestruct(a);", &[], "aderyn");
}

#[test]
fn comments_for_linters_are_honoured_where_they_name_a_rule() {
    check_foreign(
        "// forge-lint: disable-next-line(reentrancy-eth)\ncall(a);",
        &["reentrancy-eth:2"],
        "forge-lint",
    );
    check_foreign(
        "call(a); // forge-lint: disable-line(reentrancy-eth)",
        &["reentrancy-eth:1"],
        "forge-lint",
    );
    check_foreign(
        "// forge-lint: disable-next-item(reentrancy-eth)\nfunction f() {\n call(a);\n}",
        &["reentrancy-eth:3"],
        "forge-lint",
    );
    check_foreign(
        "// forge-lint: disable-start(reentrancy-eth)\ncall(a);\n// forge-lint: disable-end(reentrancy-eth)",
        &["reentrancy-eth:2"],
        "forge-lint",
    );
    check_foreign(
        "// solhint-disable-next-line reentrancy, no-empty-blocks\ncall(a);",
        &["reentrancy-eth:2"],
        "solhint",
    );
    check_foreign(
        "/* solhint-disable reentrancy */\ncall(a);\n/* solhint-enable reentrancy */\ncall(b);",
        &["reentrancy-eth:2"],
        "solhint",
    );
    check_foreign(
        "call(a);\n// solhint-disable-previous-line reentrancy",
        &["reentrancy-eth:1"],
        "solhint",
    );
    for style in [
        "// solhint-disable",
        "// solhint-disable-next-line avoid-low-level-calls",
        "// forge-lint: disable-next-line",
    ] {
        check_foreign(&format!("{style}\ncall(a);"), &[], "");
    }
}

#[test]
fn every_counterpart_is_a_word_of_its_tool() {
    for detector in crate::detectors::all() {
        for (tool, ids) in counterparts(detector).by_tool() {
            for id in ids {
                let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
                assert!(!id.is_empty() && id.chars().all(is_word), "{tool}: {id}");
            }
        }
    }
}
