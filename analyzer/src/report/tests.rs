use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::AuditReport;
use crate::detectors::{Confidence, Severity};

const SOURCE: &str = "contract Bank {\n\tfunction withdraw() external {\n\t\tuint256 owed = balances[msg.sender]; // é\n\
                      \t\t(bool ok, ) = msg.sender.call{value: owed}(\"\");\n\t\trequire(ok);\n\
                      \t\tbalances[msg.sender] = 0;\n\t}\n}\n";

/// A report with one finding of three steps and one diagnostic, as an audit would make it.
fn report() -> AuditReport {
    let lines = Lines::new(SOURCE);
    let place = |needle: &str| {
        let start = SOURCE.find(needle).unwrap();
        Location {
            path: "src/Bank.sol".to_owned(),
            start: lines.position(start),
            end: lines.position(start + needle.len()),
        }
    };
    let step =
        |needle: &str, message: &str| Step { location: place(needle), message: message.to_owned() };
    let call = "msg.sender.call{value: owed}(\"\")";
    AuditReport {
        findings: vec![Finding {
            detector: "reentrancy-eth".to_owned(),
            severity: Severity::High,
            confidence: Confidence::Medium,
            message: "`balances` is written after a call".to_owned(),
            contract: Some("Bank".to_owned()),
            function: Some("withdraw()".to_owned()),
            location: place(call),
            extent: None,
            steps: vec![
                step("balances[msg.sender];", "`balances` is read"),
                step(call, "control is handed over"),
                step("balances[msg.sender] = 0", "`balances` is written"),
            ],
            help: "write before the call".to_owned(),
            fingerprint: "00112233445566778899aabbccddeeff:1".to_owned(),
        }],
        suppressed: Vec::new(),
        diagnostics: vec![Diagnostic {
            kind: DiagnosticKind::NamedPath,
            message: "cannot audit `gone.sol`: no such file or folder".to_owned(),
            note: None,
            path: Some("gone.sol".to_owned()),
            location: None,
        }],
        stats: Stats {
            files_reported: 1,
            files_imported: 2,
            lines_reported: 1234,
            left_out: 1,
            names: 9,
            names_resolved: 7,
            detectors: 2,
            ..Stats::default()
        },
        sources: BTreeMap::from([("src/Bank.sol".to_owned(), SOURCE.into())]),
        pictures: BTreeMap::new(),
        timings: Vec::new(),
    }
}

#[test]
fn the_terminal_shows_the_way_in_the_source() {
    let expected = "\
error: cannot audit `gone.sol`: no such file or folder
 --> gone.sol

high[reentrancy-eth]: `balances` is written after a call
 --> src/Bank.sol:4:17 in `Bank.withdraw()`
  |
3 |         uint256 owed = balances[msg.sender]; // é
  |                        --------------------- 1. `balances` is read
4 |         (bool ok, ) = msg.sender.call{value: owed}(\"\");
  |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 2. control is handed over
5 |         require(ok);
6 |         balances[msg.sender] = 0;
  |         ------------------------ 3. `balances` is written
  |
  = confidence: medium
  = help: write before the call
  = more: portcullis explain reentrancy-eth

1 finding (1 high) in 1 file, 1,234 lines; 2 more files read for imports; \
1 folder or file of dependencies and tests left out; 1 diagnostic; 2 names could not be resolved; 0.25 s
";
    let elapsed = Some(std::time::Duration::from_millis(250));
    assert_eq!(terminal(&report(), TerminalOptions { is_coloured: false, elapsed }), expected);
}

#[test]
fn colour_only_adds_sequences() {
    let plain = terminal(&report(), TerminalOptions::default());
    let coloured = terminal(&report(), TerminalOptions { is_coloured: true, elapsed: None });
    assert!(coloured.contains("\x1b[1;31mhigh[reentrancy-eth]\x1b[0m"), "{coloured}");
    let mut stripped = String::new();
    let mut parts = coloured.split("\x1b[");
    stripped.push_str(parts.next().unwrap());
    for part in parts {
        stripped.push_str(part.split_once('m').unwrap().1);
    }
    assert_eq!(stripped, plain);
}

#[test]
fn sources_cannot_command_the_terminal() {
    let mut report = report();
    let hostile = SOURCE.replace("// é", "// \x1b[2J\u{202e}");
    report.sources.insert("src/Bank.sol".to_owned(), hostile.into());
    report.findings[0].message = "\x1b]0;title\x07".to_owned();
    let text = terminal(&report, TerminalOptions::default());
    assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text}");
}

#[test]
fn long_lines_are_cut_around_the_mark() {
    let mut report = report();
    let long =
        format!("contract Bank {{ {} selfdestruct(to); {} }}", "x".repeat(500), "y".repeat(500));
    let start = long.find("selfdestruct").unwrap();
    let lines = Lines::new(&long);
    let location = Location {
        path: "src/Bank.sol".to_owned(),
        start: lines.position(start),
        end: lines.position(start + 16),
    };
    let finding = &mut report.findings[0];
    finding.location = location;
    finding.steps.clear();
    report.sources.insert("src/Bank.sol".to_owned(), long.as_str().into());
    let text = terminal(&report, TerminalOptions::default());
    let shown = text.lines().find(|line| line.starts_with("1 |")).unwrap();
    let marks = text.lines().find(|line| line.contains('^')).unwrap();
    assert!(shown.chars().count() < 160, "{shown}");
    let column = |line: &str, needle: &str| line[..line.find(needle).unwrap()].chars().count();
    assert_eq!(column(shown, "selfdestruct(to)"), column(marks, "^"));
    assert!(marks.ends_with(&"^".repeat(16)), "{marks}");
}

#[test]
fn the_document_reads_back() {
    let document = FindingsDocument::new(&report());
    assert_eq!(FindingsDocument::read(&document.to_json()).unwrap(), document);
}

#[test]
fn an_unknown_major_is_refused_whatever_it_holds() {
    let error = FindingsDocument::read("{\"version\": 2, \"findings\": 7}").unwrap_err();
    assert_eq!(error.to_string(), "findings document of version 2; this program reads version 1");
    assert!(
        FindingsDocument::read("{}").unwrap_err().to_string().contains("missing field `version`")
    );
    assert!(
        FindingsDocument::read("{\"version\": 1}")
            .unwrap_err()
            .to_string()
            .contains("missing field")
    );
}

#[test]
fn fields_of_later_minor_versions_are_left_unread() {
    let mut value: Value =
        serde_json::from_str(&FindingsDocument::new(&report()).to_json()).unwrap();
    value["later"] = json!(true);
    value["findings"][0]["later"] = json!([1]);
    assert_eq!(
        FindingsDocument::read(&value.to_string()).unwrap(),
        FindingsDocument::new(&report())
    );
}

#[test]
fn the_committed_schema_and_example_are_current() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let committed = |name: &str| std::fs::read_to_string(docs.join(name)).unwrap();
    let schema: Value = serde_json::from_str(&committed("schemas/findings.schema.json")).unwrap();
    assert!(schema == findings_schema(), "the committed schema is old: run `cargo xtask schemas`");
    let example = committed("examples/findings.json");
    assert_eq!(FindingsDocument::read(&example).unwrap().to_json(), example);
}

#[test]
fn markdown_holds_the_finding_and_no_foreign_markup() {
    let mut report = report();
    report.findings[0].location.path = "src/<b>`|@team.sol".to_owned();
    report.diagnostics[0].message = "`@a/<b>` <i>&@b".to_owned();
    let text = markdown(&report);
    let expected = "\
**Portcullis:** 1 finding (1 high) in 1 file, 1,234 lines; 2 more files read for imports; \
1 folder or file of dependencies and tests left out; 1 diagnostic; 2 names could not be resolved

| Severity | Finding | Where |
| --- | --- | --- |
| high | `reentrancy-eth`: `balances` is written after a call | `` src/<b>`\\|@team.sol:4 `` |

<details><summary>reentrancy-eth at src/&lt;b>`|@\u{200b}team.sol:4</summary>

";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with("- gone.sol: `@a/<b>` &lt;i>&amp;@\u{200b}b\n"), "{text}");
}

#[test]
fn markdown_stays_short_and_says_what_is_left_out() {
    let mut report = report();
    report.findings = vec![report.findings[0].clone(); 1_000];
    let text = markdown(&report);
    assert!(text.len() < 65_536, "{}", text.len());
    assert!(text.contains("findings are not shown in full here"), "{text}");
}

#[test]
fn a_baseline_takes_out_what_it_holds_and_no_more() {
    let mut report = report();
    let baseline = FindingsDocument::new(&report);
    let mut moved = report.findings[0].clone();
    moved.location.path = "src/Copy.sol".to_owned();
    let mut other = moved.clone();
    other.fingerprint = "another:1".to_owned();
    report.findings.extend([moved.clone(), other.clone()]);
    report.leave_out_known(&baseline);
    assert_eq!(report.findings, [moved, other], "one of two copies was known");
    assert_eq!(report.stats.known, 1);
    let text = terminal(&report, TerminalOptions::default());
    assert!(text.contains("; 1 known finding left out by the baseline"), "{text}");
}

#[test]
fn sarif_has_what_code_scanning_asks_for() {
    let log: Value = serde_json::from_str(&sarif(&report(), 2)).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "utf16CodeUnits");

    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for rule in rules {
        assert!(rule["help"]["markdown"].as_str().unwrap().contains("## How to fix"), "{rule}");
        assert!(!rule["help"]["text"].as_str().unwrap().is_empty(), "{rule}");
        // What only costs gas is no matter of security and has no score.
        let is_scored = rule["defaultConfiguration"]["level"] != "note";
        match rule["properties"]["security-severity"].as_str() {
            Some(score) => assert!((0.0..=10.0).contains(&score.parse::<f64>().unwrap()), "{rule}"),
            None => assert!(!is_scored, "{rule}"),
        }
        assert!(
            ["high", "medium", "low"].contains(&rule["properties"]["precision"].as_str().unwrap()),
            "{rule}"
        );
    }

    let result = &run["results"][0];
    assert_eq!(result["ruleId"], "reentrancy-eth");
    assert_eq!(
        rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()]["id"],
        "reentrancy-eth"
    );
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0];
    assert_eq!(
        place["physicalLocation"]["artifactLocation"],
        json!({"uri": "src/Bank.sol", "uriBaseId": "%SRCROOT%"})
    );
    let region = json!({"startLine": 4, "startColumn": 17, "endLine": 4, "endColumn": 49});
    assert_eq!(place["physicalLocation"]["region"], region);
    assert_eq!(place["logicalLocations"][0]["fullyQualifiedName"], "Bank.withdraw()");
    assert_eq!(
        result["partialFingerprints"]["primaryLocationLineHash"],
        "00112233445566778899aabbccddeeff:1"
    );
    let flow = result["codeFlows"][0]["threadFlows"][0]["locations"].as_array().unwrap();
    let told: Vec<_> =
        flow.iter().map(|step| step["location"]["message"]["text"].as_str().unwrap()).collect();
    assert_eq!(told, ["`balances` is read", "control is handed over", "`balances` is written"]);
    assert_eq!(result["relatedLocations"].as_array().unwrap().len(), 2);

    let invocation = &run["invocations"][0];
    assert_eq!(
        (&invocation["executionSuccessful"], &invocation["exitCode"]),
        (&json!(false), &json!(2))
    );
    let notification = &invocation["toolExecutionNotifications"][0];
    assert_eq!(
        (&notification["level"], &notification["descriptor"]["id"]),
        (&json!("error"), &json!("named-path"))
    );
}

#[test]
fn sarif_paths_are_uri_references() {
    let mut report = report();
    report.findings[0].location.path = "src/a b/Ünï#1.sol".to_owned();
    let log: Value = serde_json::from_str(&sarif(&report, 1)).unwrap();
    let location = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(location["artifactLocation"]["uri"], "src/a%20b/%C3%9Cn%C3%AF%231.sol");
}

#[test]
fn sarif_is_cut_where_github_would_cut_and_says_so() {
    let mut report = report();
    report.findings = vec![report.findings[0].clone(); 5_003];
    let log: Value = serde_json::from_str(&sarif(&report, 2)).unwrap();
    let run = &log["runs"][0];
    assert_eq!(run["results"].as_array().unwrap().len(), 5_000);
    let said =
        run["invocations"][0]["toolExecutionNotifications"][1]["message"]["text"].as_str().unwrap();
    assert!(said.starts_with("3 findings"), "{said}");
}

proptest::proptest! {
    #[test]
    fn any_text_and_any_place_can_be_shown(
        text in "(\\PC|[\t\r\n\u{0}\u{1b}\u{202e}\u{1f510}é ]){0,300}",
        places in proptest::collection::vec((0_usize..400, 0_usize..400), 1..5),
    ) {
        let mut report = report();
        let lines = Lines::new(&text);
        let location = |(start, length): &(usize, usize)| Location {
            path: "src/Bank.sol".to_owned(),
            start: lines.position(*start),
            end: lines.position(start + length),
        };
        let finding = &mut report.findings[0];
        finding.location = location(&places[0]);
        let step = |place| Step { location: location(place), message: "here".to_owned() };
        finding.steps = places[1..].iter().map(step).collect();
        report.sources.insert("src/Bank.sol".to_owned(), text.as_str().into());
        let shown = terminal(&report, TerminalOptions::default());
        proptest::prop_assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        proptest::prop_assert!(shown.contains('^'));
        markdown(&report);
        sarif(&report, 1);
    }
}
