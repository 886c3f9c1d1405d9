//! What an audit writes as SARIF is SARIF, by the schema that the standard's committee publishes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use portcullis_analyzer::{AuditOptions, AuditReport, audit, facts, report};
use portcullis_rules::{Pack, RuleSet};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn validator() -> jsonschema::Validator {
    let path = fixtures().join("sarif/sarif-schema-2.1.0.json");
    let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(schema["$id"].as_str().unwrap().ends_with("Schemata/sarif-schema-2.1.0.json"));
    // As published, the pattern of this one property (which is not written here) has a bracket too many.
    for owner in ["run", "toolComponent"] {
        let language = &mut schema["definitions"][owner]["properties"]["language"];
        assert_eq!(language["pattern"], "^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$");
        language.as_object_mut().unwrap().remove("pattern");
    }
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[track_caller]
fn check(log: &Value) {
    let errors: Vec<String> = validator()
        .iter_errors(log)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

/// A rule that the vaults of the fixtures break: which of the shipped ones do is the business of their own tests.
const OWN_PACK: &str = r#"
pack: own
version: 1.0.0
engine: 1
author: portcullis
rules:
  - id: pays-strangers
    subject: function
    severity: low
    maturity: stable
    class: foreign-code
    why: It calls whom the caller chooses, and the tests want one finding of a rule.
    references: [https://swcregistry.io/docs/SWC-107/]
    when: fully_read && stranger_calls > 0
    message: "`{function}` of `{contract}` calls a stranger"
    false_positives: [every payment]
    tests:
      - { name: one, facts: { fully_read: true, stranger_calls: 1 }, expect: fires }
      - { name: none, facts: { fully_read: true, stranger_calls: 0 }, expect: silent }
"#;

/// Every kind of thing that a log may hold: findings with and without a way, a rule of a pack, broken and
/// missing files, a path that does not exist.
fn report() -> AuditReport {
    static REPORT: LazyLock<AuditReport> = LazyLock::new(|| {
        let own = Pack::parse(OWN_PACK, "own.yaml", &[facts::dictionary()]).unwrap();
        audit(&AuditOptions {
            base: fixtures(),
            paths: ["audit", "contracts", "detectors/reentrancy-eth", "gone.sol"]
                .map(PathBuf::from)
                .to_vec(),
            rules: Some(Arc::new(RuleSet::new(vec![own]).unwrap())),
            ..AuditOptions::default()
        })
        .unwrap()
    });
    REPORT.clone()
}

fn log(report: &AuditReport, exit_code: u8) -> Value {
    serde_json::from_str(&report::sarif(report, exit_code)).unwrap()
}

#[test]
fn a_log_is_valid_and_tells_the_way() {
    let report = report();
    let log = log(&report, 2);
    check(&log);
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let of_packs = results.iter().filter(|result| result["ruleId"].as_str().unwrap().contains('/'));
    assert!(of_packs.count() > 0, "a rule of a pack reports something in the fixtures");
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(rule["properties"]["precision"].is_string(), "{rule}");
        let region = &result["locations"][0]["physicalLocation"]["region"];
        for key in ["startLine", "startColumn", "endLine", "endColumn"] {
            assert!(region[key].as_u64().unwrap() > 0, "{region}");
        }
    }
    let flows = results.iter().filter_map(|result| result["codeFlows"].as_array());
    assert!(flows.clone().count() > 3, "most attacks have a way");
    for flow in flows {
        let steps = flow[0]["threadFlows"][0]["locations"].as_array().unwrap();
        assert!(steps.len() > 1, "{flow:?}");
        assert!(steps.iter().any(|step| step["importance"] == "essential"), "{flow:?}");
    }
    let notifications = run["invocations"][0]["toolExecutionNotifications"].as_array().unwrap();
    for kind in ["named-path", "syntax", "missing-import"] {
        assert!(notifications.iter().any(|said| said["descriptor"]["id"] == kind), "{kind}");
    }
}

#[test]
fn an_empty_and_an_overfull_log_are_valid() {
    check(&log(&AuditReport::default(), 0));
    let mut report = report();
    let one = report.findings[0].clone();
    report.findings.resize(5_001, one);
    let log = log(&report, 1);
    check(&log);
    assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), 5_000);
}

#[test]
fn the_schema_refuses_what_is_not_sarif() {
    let sound = log(&report(), 1);
    let validator = validator();
    let spoil: [fn(&mut Value); 4] = [
        |log| log["runs"][0]["results"][0]["level"] = "terrible".into(),
        |log| log["runs"][0]["results"][0]["unheardOf"] = 1.into(),
        |log| log["runs"][0]["tool"] = Value::Null,
        |log| {
            log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] =
                0.into()
        },
    ];
    for spoil in spoil {
        let mut log = sound.clone();
        spoil(&mut log);
        assert!(!validator.is_valid(&log));
    }
}
