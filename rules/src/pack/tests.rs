use proptest::prelude::*;

use crate::PackError;
use crate::facts::Subject;
use crate::pack::{EvidenceKind, Maturity, Pack, Severity};
use crate::sample::all;

/// A pack with one rule of these lines.
fn pack(rule: &str) -> String {
    let rule = rule.trim_matches('\n');
    format!("pack: sample\nversion: 1.0.0\nengine: 1\nauthor: someone\nrules:\n{rule}\n")
}

fn refused(text: &str) -> PackError {
    Pack::parse(text, "sample.yaml", &all()).expect_err("should be refused")
}

const GOOD: &str = r#"
  - id: deep-call
    subject: transaction
    severity: high
    maturity: stable
    class: odd-shape
    why: Because.
    when: depth > 5
    message: "{depth} deep"
"#;

#[test]
fn a_rule_is_read_with_its_defaults() {
    let pack = Pack::parse(&pack(GOOD), "rules/sample.yaml", &all()).unwrap();
    assert_eq!((pack.name(), pack.version(), pack.author()), ("sample", "1.0.0", "someone"));
    let [rule] = pack.rules() else { panic!("one rule") };
    assert_eq!((rule.id(), rule.class(), rule.when()), ("deep-call", "odd-shape", "depth > 5"));
    assert_eq!((rule.subject(), rule.severity()), (Subject::Transaction, Severity::High));
    assert_eq!((rule.maturity(), rule.evidence()), (Maturity::Stable, EvidenceKind::Soft));
    assert_eq!(rule.reads().map(|spec| spec.name).collect::<Vec<_>>(), ["depth"]);
}

#[test]
fn errors_point_at_the_words_that_are_meant() {
    let plain = pack(&GOOD.replace("depth > 5", "tx_succeeded && dept > 5"));
    assert_eq!(
        refused(&plain).to_string(),
        "sample.yaml:12:27: rule `deep-call`: unknown fact `dept`
   |
12 |     when: tx_succeeded && dept > 5
   |                           ^^^^
   = help: did you mean `depth`?"
    );
    // Whatever the way in which YAML spells it.
    for (when, line, column) in [
        ("'tx_succeeded && dept > 5'", 12, 28),
        ("\"tx_succeeded && dept > 5\"", 12, 28),
        ("|\n      tx_succeeded\n      && dept > 5", 14, 10),
        (">-\n      tx_succeeded &&\n\n      dept > 5", 15, 7),
        ("tx_succeeded\n      && dept > 5", 13, 10),
        ("entry_point == \"größe\" && dept > 5", 12, 37),
    ] {
        let error = refused(&pack(&GOOD.replace("depth > 5", when)));
        let PackError::Rule(error) = error else { panic!("{error}") };
        assert_eq!((error.line, error.column), (line, column), "{when}");
        assert_eq!(error.message, "unknown fact `dept`");
    }
}

#[test]
fn the_second_rule_is_the_one_that_is_pointed_at() {
    let second = GOOD.replace("deep-call", "deeper-call").replace("depth > 5", "depth < 0");
    let error =
        refused(&pack(&format!("{}\n{}", GOOD.trim_matches('\n'), second.trim_matches('\n'))));
    assert!(
        error
            .to_string()
            .starts_with("sample.yaml:20:11: rule `deeper-call`: this comparison can never hold"),
        "{error}"
    );
}

#[test]
fn all_refused_rules_are_told_at_once_and_the_first_twenty_where_there_are_many() {
    let rule =
        |number: usize| GOOD.replace("deep-call", &format!("r{number}")).replace("depth", "dept");
    let text = |rules: usize| pack(&(0..rules).map(rule).collect::<String>());
    let PackError::Several(errors) = refused(&text(3)) else { panic!("several") };
    let rules: Vec<_> =
        errors.iter().map(|error| error.to_string().matches("rule `r").count()).collect();
    assert_eq!(rules, [1, 1, 1]);
    let PackError::Several(errors) = refused(&text(100)) else { panic!("several") };
    assert_eq!(errors.len(), 20);
    assert!(
        refused(&text(2001)).to_string().contains("a pack has at most 2000, this one has 2001")
    );
}

#[test]
fn unknown_fields_missing_fields_and_wrong_words_are_refused_with_their_line() {
    for (from, to, expected) in [
        ("    why: Because.\n", "", "missing field `why`"),
        ("    why: Because.\n", "    why: Because.\n    whyy: x\n", "unknown field `whyy`"),
        ("severity: high", "severity: huge", "unknown variant `huge`"),
        ("maturity: stable", "maturity: 7", "maturity"),
        ("subject: transaction", "subject: block", "unknown variant `block`"),
        ("when: depth > 5", "when: [depth]", "invalid type: sequence"),
        ("why: Because.", "why: ' '", "say why it matters"),
        ("id: deep-call", "id: Deep Call", "an id is lower case words"),
        ("class: odd-shape", "class: ''", "a class is lower case words"),
        (
            "subject: transaction",
            "subject: contract",
            "it is a fact of subject `transaction`, this rule is about a contract",
        ),
        (
            "{depth} deep",
            "{dept} deep",
            "unknown fact `dept` in the message; did you mean `{depth}`?",
        ),
    ] {
        let error = refused(&pack(&GOOD.replace(from, to))).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.starts_with("sample.yaml:"), "{error}");
    }
    for (text, expected) in [
        (
            pack(GOOD).replace("pack: sample", "pack: other"),
            "must be named like its file, `sample`",
        ),
        (pack(GOOD).replace("version: 1.0.0", "version: one"), "is not of the form 1.0.0"),
        (pack(GOOD) + "extra: 1\n", "unknown field `extra`"),
        (String::new(), "missing field `engine`"),
        ("just text".to_owned(), "invalid type"),
        (": : :".to_owned(), "sample.yaml"),
    ] {
        let error = refused(&text).to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(matches!(
        refused(&pack(&format!("{GOOD}{}", GOOD.trim_start_matches('\n')))),
        PackError::Duplicate { .. }
    ));
}

#[test]
fn another_engine_is_refused_for_that_and_not_for_its_fields() {
    let text = pack(GOOD).replace("engine: 1", "engine: 2\nnew_field_of_two: x");
    assert_eq!(refused(&text), PackError::Engine { origin: "sample.yaml".to_owned(), found: 2 });
    assert_eq!(
        refused(&text).to_string(),
        "sample.yaml: engine 2 is not supported, this reader knows engine 1"
    );
}

#[test]
fn tests_are_checked_at_load() {
    for (test, expected) in [
        (
            "{ name: t, facts: { dept: 1 }, expect: fires }",
            "unknown fact `dept`; did you mean `depth`?",
        ),
        ("{ name: t, facts: { depth: true }, expect: fires }", "fact `depth`: expected an amount"),
        ("{ name: t, facts: { depth: -1 }, expect: fires }", "amounts are never negative"),
        ("{ name: t, facts: { depth: 1.5 }, expect: fires }", "amounts are whole numbers"),
        (
            "{ name: t, facts: { outflow_wei: bps(5) }, expect: fires }",
            "this amount is in bps, the fact is in wei",
        ),
        (
            "{ name: t, facts: { outflow_wei: eth(frames) }, expect: fires }",
            "`eth` takes one number",
        ),
        ("{ name: t, facts: { sender: 5 }, expect: fires }", "expected an address"),
        ("{ name: t, facts: { tx_succeeded: 1 }, expect: fires }", "expected true or false"),
        (
            "{ name: t, expect: fires }",
            "give either `facts:`, or `recording:` with `tx:`, or `range:`, or `code:`",
        ),
        ("{ name: t, recording: a, expect: fires }", "give either"),
        ("{ name: t, facts: {}, recording: a, tx: 1, expect: fires }", "give either"),
        ("{ name: t, facts: {}, range: { protocol: a }, expect: fires }", "give either"),
        (
            "{ name: t, range: { protocol: a, episodes: 0 }, expect: fires }",
            "play 1 to 50 episodes",
        ),
        (
            "{ name: t, range: { protocol: a, episodes: 51 }, expect: fires }",
            "play 1 to 50 episodes",
        ),
        ("{ name: t, range: { kind: a }, expect: fires }", "unknown field `kind`"),
        (
            "{ name: t, code: 'contract A {}', function: a, expect: fires }",
            "only a function has `code:`",
        ),
        ("{ name: t, code: 'contract A {}', expect: fires }", "give either"),
        ("{ name: t, facts: {}, expect: explodes }", "unknown variant `explodes`"),
    ] {
        let text = pack(&format!("{}    tests:\n      - {test}", GOOD.trim_start_matches('\n')));
        let error = refused(&text).to_string();
        assert!(error.contains(expected), "{test}: {error}");
    }
    let good = "{ name: t, facts: { outflow_wei: '115792089237316195423570985008687907853269984665640564039457584007913129639935', \
                value_wei: eth(0.1), depth: unknown, frames: 340282366920938463463374607431768211455 }, expect: silent }";
    assert!(
        Pack::parse(
            &pack(&format!("{}    tests:\n      - {good}", GOOD.trim_start_matches('\n'))),
            "s",
            &all()
        )
        .is_ok()
    );
}

#[test]
fn hostile_yaml_is_refused_within_bounds() {
    let laughs = (1..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        let before = level - 1;
        let list = vec![format!("*a{before}"); 9].join(", ");
        text + &format!("a{level}: &a{level} [{list}]\n")
    });
    let long_lists =
        format!("engine: 1\na: &a [{}]\nb: [{}]\n", "x, ".repeat(5000), "*a, ".repeat(5000));
    let long_text =
        format!("engine: 1\na: &a {}\nb: [{}]\n", "x".repeat(1_000_000), "*a, ".repeat(5000));
    for (what, text) in [
        ("billion laughs", laughs),
        ("repeated lists", long_lists),
        ("repeated text", long_text),
        ("deep flow", "[".repeat(1_000_000)),
        ("deep block", "- ".repeat(100_000)),
        ("deep maps", (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
        ("questions", "? ".repeat(100_000)),
        ("too large", "x".repeat(3_000_000)),
        ("self reference", "a: &a [*a]\n".to_owned()),
        ("unknown alias", "a: *b\n".to_owned()),
        ("tags", "a: !!python/object x\nb: !x [1]\n".to_owned()),
        ("many documents", "---\na: 1\n".repeat(1000)),
        ("control characters", "a: \u{1}\u{0}".to_owned()),
        ("tabs", "\t\t\t:".to_owned()),
    ] {
        assert!(matches!(refused(&text), PackError::Shape { .. }), "{what}");
    }
}

#[test]
fn the_committed_schema_is_the_one_of_this_reader() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas/rule-pack.schema.json");
    let committed: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(committed, super::pack_schema(), "run `cargo xtask schemas`");
}

/// Fenced blocks of one language in the manual.
fn manual(language: &str) -> Vec<String> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules.md")).unwrap();
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_manual_shows_a_pack_that_loads_and_an_error_that_comes() {
    let [yaml] = manual("yaml").try_into().unwrap();
    let pack = Pack::parse(&yaml, "big-outflow.yaml", &all()).unwrap();
    let set = crate::RuleSet::new(vec![pack.clone()]).unwrap();
    let report = crate::testing::run(&[pack], &set, &|_, _, _, _| Err("none".to_owned()));
    assert_eq!((report.firing, report.silent, report.failures.as_slice()), (1, 1, [].as_slice()));

    let [shown] = manual("text").try_into().unwrap();
    let slip = yaml.replace("outflow_bps >=", "outflow_bp >=");
    let error = Pack::parse(&slip, "big-outflow.yaml", &all()).unwrap_err();
    assert_eq!(format!("{error}\n"), shown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A shipped pack with one piece replaced is read or refused, never a crash.
    #[test]
    fn damaged_packs_are_survived(
        at in 0usize..4000,
        removed in 0usize..40,
        inserted in r#"([ \n:\-{}\[\]&*!|>'"%@`#?,a-z0-9()]|eth\(|&a |\*a|: |\n  - ){0,8}"#,
    ) {
        let text = crate::packs::embedded()[0].1;
        let at = at.min(text.len() - removed);
        prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(at + removed));
        let damaged = format!("{}{inserted}{}", &text[..at], &text[at + removed..]);
        if let Err(error) = Pack::parse(&damaged, "reentrancy.yaml", &all()) {
            prop_assert!(!error.to_string().contains("crashed"), "{error}");
        }
    }
}

#[test]
fn questions_are_checked_when_the_pack_is_loaded() {
    let with = |with: &str, when: &str| {
        pack(&GOOD.replace("when: depth > 5", &format!("with: {with}\n    when: {when}")))
    };
    let fine = [
        ("{ taken: { sum: outflow_wei, per: actor, over: blocks(50) } }", "taken > eth(5)"),
        ("{ hits: { count: touches_protected, over: 20 } }", "hits > 3"),
        ("{ owner: { read: owner() -> address } }", "owner_before != owner_after"),
        ("{ held: { read: asset().balanceOf(address this), unit: wei } }", "held_after < eth(1)"),
        ("{ nested: { entered: [deposit()], inside: [withdraw(uint256)] } }", "nested > 0"),
        ("{ stale: { stale: [] } }", "stale > 0"),
        ("{ foreign: { changed: slot(5), not_by: [\"slot(0, 1)\"] } }", "foreign > 0"),
        ("{ odd: { paid_outside_of: [withdraw(uint256)] } }", "odd > 0"),
    ];
    for (question, when) in fine {
        let text = with(question, when);
        let pack =
            Pack::parse(&text, "sample.yaml", &all()).unwrap_or_else(|error| panic!("{error}"));
        assert!(!pack.rules()[0].questions().is_empty());
    }
    for (question, when, reason) in [
        ("{ taken: { sum: outflow_we, over: 5 } }", "taken > 5", "did you mean `outflow_wei`"),
        ("{ taken: { sum: sender, over: 5 } }", "taken > 5", "`sender` is no amount"),
        ("{ taken: { sum: outflow_wei } }", "taken > 5", "over how many blocks"),
        ("{ taken: { sum: outflow_wei, over: 0 } }", "taken > 5", "1 to 50000 blocks"),
        ("{ taken: { sum: outflow_wei, over: eth(1) } }", "taken > 5", "this amount is in wei"),
        ("{ taken: { sum: outflow_wei, over: 5 } }", "taken > bps(5)", "one side is in wei"),
        ("{ depth: { read: f() } }", "depth > 5", "is a fact or a list already"),
        ("{ a: { read: f() }, a_after: { stale: [] } }", "a_after > 5", "answered as `a_after`"),
        ("{ a: { read: f() } }", "a > 5", "write `a_before` or `a_after`"),
        ("{ a: { read: f(uint) } }", "a_after > 5", "a type and a value"),
        ("{ a: { read: f(), entered: [g()] } }", "a_after > 5", "ask one of"),
        ("{ a: { stale: [], inside: [g()] } }", "a > 5", "belongs to `entered`"),
        ("{ A: { stale: [] } }", "depth > 5", "not a name"),
        ("{ a: { read: f(), unit: ether } }", "a_after > 5", "an amount is in"),
    ] {
        let error = refused(&with(question, when)).to_string();
        assert!(error.contains(reason), "{question} {when}: {error}");
    }
    let many: Vec<String> = (0..17).map(|n| format!("q{n}: {{ stale: [] }}")).collect();
    let error = refused(&with(&format!("{{ {} }}", many.join(", ")), "q1 > 0"));
    assert!(error.to_string().contains("at most 16"), "{error}");
}

#[test]
fn an_invariant_reads_before_and_after() {
    let holds = |holds: &str| {
        let rule = format!("with: {{ a: {{ read: f() }} }}\n    holds: {holds}");
        pack(&GOOD.replace("when: depth > 5", &rule))
    };
    let good = Pack::parse(&holds("a >= 5"), "sample.yaml", &all()).unwrap();
    assert_eq!((good.rules()[0].when(), good.rules()[0].holds()), ("", Some("a >= 5")));
    let names: Vec<&str> = good.rules()[0].reads().map(|fact| fact.name).collect();
    assert_eq!(names, ["a_before", "a_after"]);
    assert!(refused(&holds("depth > 5")).to_string().contains("reads nothing before and after"));
    let error = refused(&holds("b > 5")).to_string();
    assert!(error.contains("unknown fact `b`") && error.contains("holds: b > 5"), "{error}");
    let neither = pack(&GOOD.replace("    when: depth > 5\n", ""));
    assert!(refused(&neither).to_string().contains("`when:`"));
}

#[test]
fn lists_come_from_the_pack_or_from_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.yaml");
    let text = |file: &str| {
        let rule = GOOD.replace("depth > 5", "sender in bad && depth in sizes");
        format!("lists: {{ bad: {{ file: {file} }}, sizes: [\"3\", \"0x10\"] }}\n{}", pack(&rule))
    };
    std::fs::write(folder.path().join("bad.txt"), format!("# bad\n0x{}\n", "ab".repeat(20)))
        .unwrap();
    std::fs::write(&path, text("bad.txt")).unwrap();
    assert_eq!(Pack::open(&path, &all()).unwrap().rules().len(), 1);
    for (file, reason) in [
        ("../bad.txt", "does not lie in the folder"),
        ("/etc/hostname", "does not lie in the folder"),
        ("gone.txt", "`gone.txt`"),
    ] {
        std::fs::write(&path, text(file)).unwrap();
        let error = Pack::open(&path, &all()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert!(refused(&text("bad.txt")).to_string().contains("name no files"));
    assert!(matches!(
        Pack::open(&folder.path().join("no.yaml"), &all()),
        Err(PackError::Read { .. })
    ));
}

#[test]
fn a_build_without_a_subject_says_so() {
    let text = pack(&GOOD.replace("subject: transaction", "subject: contract"));
    let error = Pack::parse(&text, "sample.yaml", &all()[..2]).unwrap_err().to_string();
    assert!(error.contains("this build has no facts of subject `contract`"), "{error}");
}
