//! `portcullis audit` and `portcullis explain` as a user runs them.
#![cfg(feature = "audit")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use portcullis_analyzer::report::FindingsDocument;
use serde_json::Value;

/// Runs the program in the folder of fixtures.
fn portcullis(arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audit");
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[track_caller]
fn check_code(output: &Output, expected: i32) {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "stdout:\n{out}\nstderr:\n{err}");
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_clean_file_leaves_0() {
    let output = portcullis(&["audit", "clean/Vault.sol"]);
    check_code(&output, 0);
    assert!(stdout(&output).starts_with("no findings in 1 file, 17 lines"), "{}", stdout(&output));
}

#[test]
fn a_vulnerable_file_leaves_1_and_shows_where() {
    let output = portcullis(&["audit", "vulnerable"]);
    check_code(&output, 1);
    let text = stdout(&output);
    assert!(text.starts_with("high[reentrancy-eth]: "), "{text}");
    assert!(text.contains("--> vulnerable/Vault.sol:13:23 in `Vault.withdraw()`"), "{text}");
    assert!(text.contains("^^^^"), "{text}");
    assert!(!text.contains('\x1b'), "a pipe gets no colour: {text}");
    assert!(output.stderr.is_empty());
}

#[test]
fn the_threshold_decides_between_0_and_1() {
    check_code(&portcullis(&["audit", "vulnerable", "--fail-on", "critical"]), 0);
    for severity in ["high", "medium", "low", "info", "gas"] {
        check_code(&portcullis(&["audit", "vulnerable", "--fail-on", severity]), 1);
    }
    check_code(&portcullis(&["audit", "vulnerable", "--fail-on", "terrible"]), 2);
}

#[test]
fn an_unreadable_named_path_leaves_2_and_the_rest_is_printed() {
    let output = portcullis(&["audit", "gone.sol", "vulnerable"]);
    check_code(&output, 2);
    let text = stdout(&output);
    assert!(text.contains("error: cannot audit `gone.sol`: no such file or folder"), "{text}");
    assert!(text.contains("high[reentrancy-eth]"), "{text}");
}

#[test]
fn broken_solidity_is_a_diagnostic_and_the_rest_is_audited() {
    let output = portcullis(&["audit", "broken"]);
    check_code(&output, 1);
    let text = stdout(&output);
    assert!(text.contains("warning: "), "{text}");
    assert!(text.contains("--> broken/Half.sol:6:"), "{text}");
    assert!(text.contains("--> broken/Half.sol:20:23 in `Vault.withdraw()`"), "{text}");
    check_code(&portcullis(&["audit", "broken", "--fail-on", "critical"]), 0);
    check_code(&portcullis(&["audit", "broken", "--strict"]), 2);
}

#[test]
fn a_missing_import_is_a_diagnostic() {
    let output = portcullis(&["audit", "missing"]);
    check_code(&output, 0);
    let text = stdout(&output);
    assert!(
        text.contains("warning: import `@nowhere/contracts/ERC20.sol` was not found"),
        "{text}"
    );
    assert!(text.contains("--> missing/Token.sol:4:22"), "{text}");
    check_code(&portcullis(&["audit", "missing", "--strict"]), 2);
}

#[test]
fn json_is_the_findings_document() {
    let output = portcullis(&["audit", "--format", "json", "vulnerable", "missing"]);
    check_code(&output, 1);
    let document = FindingsDocument::read(&stdout(&output)).unwrap();
    let [finding] = document.findings.as_slice() else { panic!("{:?}", document.findings) };
    assert_eq!(finding.detector, "reentrancy-eth");
    assert_eq!(
        (finding.location.path.as_str(), finding.location.start.line),
        ("vulnerable/Vault.sol", 13)
    );
    assert_eq!(
        (finding.contract.as_deref(), finding.function.as_deref()),
        (Some("Vault"), Some("withdraw()"))
    );
    assert!(finding.steps.len() >= 3, "read, call and write: {:?}", finding.steps);
    assert_eq!(document.diagnostics.len(), 1);
    assert_eq!(document.stats.files_reported, 2);
    let again = portcullis(&["audit", "--format", "json", "missing", "vulnerable"]);
    assert_eq!(stdout(&output), stdout(&again), "the order of arguments changes nothing");
}

#[test]
fn sarif_goes_to_a_file_and_stdout_stays_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.sarif");
    let output = portcullis(&[
        "audit",
        "vulnerable",
        "--format",
        "sarif",
        "--output",
        path.to_str().unwrap(),
    ]);
    check_code(&output, 1);
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    let log: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "portcullis");
    assert_eq!(run["results"][0]["ruleId"], "reentrancy-eth");
    assert_eq!(run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"], 13);
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    assert_eq!(run["invocations"][0]["exitCode"], 1);
}

#[test]
fn a_comment_with_a_reason_allows_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Vault.sol");
    let audit = |comment: &str| {
        let source = include_str!("../fixtures/audit/vulnerable/Vault.sol");
        let call = "        (bool ok, )";
        std::fs::write(&path, source.replace(call, &format!("        {comment}\n{call}"))).unwrap();
        portcullis(&["audit", path.to_str().unwrap()])
    };
    let output = audit("// portcullis-allow reentrancy-eth: only a test");
    check_code(&output, 0);
    assert!(stdout(&output).contains("; 1 finding allowed by comments"), "{}", stdout(&output));
    let output = audit("// portcullis-allow reentrancy-eth");
    check_code(&output, 1);
    assert!(
        stdout(&output).contains("warning: a suppression without a reason"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_baseline_leaves_out_what_is_known_wherever_it_moved() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let known = path("known.json");
    check_code(&portcullis(&["audit", "vulnerable", "--format", "json", "--output", &known]), 1);
    let source = include_str!("../fixtures/audit/vulnerable/Vault.sol");
    let moved = source
        .replace("contract", "\n// moved\n\ncontract")
        .replace("call{value: amount}", "call{ value : amount }");
    let renamed = path("Renamed.sol");
    std::fs::write(&renamed, &moved).unwrap();
    let output = portcullis(&["audit", &renamed, "--baseline", &known]);
    check_code(&output, 0);
    let text = stdout(&output);
    assert!(text.contains("1 known finding left out by the baseline"), "{text}");
    std::fs::write(&renamed, moved.replace("withdraw", "leave")).unwrap();
    check_code(&portcullis(&["audit", &renamed, "--baseline", &known]), 1);
}

#[test]
fn a_commit_to_compare_with_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audit/vulnerable/Vault.sol"),
        folder.path().join("Vault.sol"),
    )
    .unwrap();
    let path = folder.path().to_str().unwrap();
    let output = portcullis(&["audit", path, "--since", "main"]);
    check_code(&output, 2);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("does not lie in a git repository"), "{said}");
    let git = |arguments: &[&str]| {
        let who =
            ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
        let done = Command::new("git").args(who).args(arguments).current_dir(&folder).output();
        assert!(done.unwrap().status.success(), "{arguments:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    let output = portcullis(&["audit", path, "--since", "main"]);
    check_code(&output, 0);
    assert!(stdout(&output).contains("; 1 older finding left out"), "{}", stdout(&output));
    let output = portcullis(&["audit", path, "--since", "no-such-branch"]);
    check_code(&output, 2);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("has no commit `no-such-branch`"), "{said}");
}

/// A project with settings, in which the program is run.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(settings: &str, text: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        let root = project.folder.path();
        for folder in ["contracts/mocks", "docs"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let vault = include_str!("../fixtures/audit/vulnerable/Vault.sol");
        std::fs::write(root.join("contracts/Vault.sol"), vault).unwrap();
        std::fs::write(root.join("contracts/mocks/Mock.sol"), vault.replace("Vault", "Mock"))
            .unwrap();
        std::fs::write(root.join(settings), text).unwrap();
        project
    }

    fn run(&self, folder: &str, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(arguments)
            .current_dir(self.folder.path().join(folder))
            .output()
            .unwrap()
    }
}

#[test]
fn settings_say_what_is_audited() {
    let text = "version = 1\n[audit]\npaths = [\"contracts\"]\nexclude = [\"contracts/mocks/\"]\nfail_on = \"critical\"\n";
    let project = Project::new("portcullis.toml", text);
    for folder in ["", "docs"] {
        let output = project.run(folder, &["audit"]);
        check_code(&output, 0);
        let text = stdout(&output);
        assert!(text.contains("--> contracts/Vault.sol:13:23") && !text.contains("Mock"), "{text}");
    }
    check_code(&project.run("", &["audit", "--fail-on", "high"]), 1);
    let output =
        project.run("contracts", &["audit", "mocks", "--exclude", "none", "--fail-on", "high"]);
    check_code(&output, 1);
    assert!(stdout(&output).contains("--> contracts/mocks/Mock.sol:13:23"), "{}", stdout(&output));
    check_code(&project.run("", &["audit", "--no-config"]), 2);
}

#[test]
fn settings_and_flags_choose_detectors() {
    let text =
        "version = 1\n[audit]\npaths = [\"contracts\"]\nexclude_detectors = [\"reentrancy-eth\"]\n";
    let project = Project::new("portcullis.toml", text);
    let output = project.run("", &["audit"]);
    check_code(&output, 0);
    assert!(stdout(&output).contains("; 1 detector not asked"), "{}", stdout(&output));
    let asked = ["audit", "contracts", "--no-config", "--detect", "suicidal,tx-origin"];
    check_code(&project.run("", &asked), 0);
    let output = project.run("", &["audit", "contracts", "--detect", "sucidal"]);
    check_code(&output, 2);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no detector is called `sucidal`"), "{said}");
}

#[test]
fn wrong_settings_leave_2_and_name_the_line() {
    let project = Project::new("portcullis.toml", "version = 1\n[audit]\nexlude = []\n");
    let output = project.run("", &["audit", "contracts"]);
    check_code(&output, 2);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("portcullis.toml:3:1: unknown field `exlude`"), "{said}");
}

#[test]
fn settings_of_other_tools_are_taken_over() {
    let text = r#"{"filter_paths": "mocks", "fail_on": "pedantic", "detectors_to_exclude": "reentrancy-eth", "solc": "x"}"#;
    let project = Project::new("slither.config.json", text);
    let output = project.run("", &["audit", "contracts", "--config", "slither.config.json"]);
    check_code(&output, 0);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("not taken over from the settings: solc")
    );
    assert!(stdout(&output).contains("in 1 file,"), "{}", stdout(&output));
    let project =
        Project::new("aderyn.toml", "version = 1\nsrc = \"contracts\"\nexclude = [\"mocks\"]\n");
    let output = project.run("docs", &["audit", "--config", "../aderyn.toml"]);
    check_code(&output, 1);
    assert!(
        stdout(&output).contains("contracts/Vault.sol") && !stdout(&output).contains("Mock.sol")
    );
}

#[test]
fn a_baseline_that_cannot_be_used_leaves_2() {
    let folder = tempfile::tempdir().unwrap();
    let later = folder.path().join("later.json");
    std::fs::write(&later, "{\"version\": 2}").unwrap();
    let later = later.to_str().unwrap();
    for (baseline, said) in
        [(later, "findings document of version 2"), ("gone.json", "cannot read")]
    {
        let output = portcullis(&["audit", "clean", "--baseline", baseline]);
        check_code(&output, 2);
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
    }
}

#[test]
fn an_output_that_cannot_be_written_leaves_2() {
    let output = portcullis(&["audit", "clean", "--output", "no-such-folder/report.txt"]);
    check_code(&output, 2);
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("cannot write `no-such-folder/report.txt`")
    );
}

#[test]
fn globs_choose_and_bad_globs_leave_2() {
    check_code(&portcullis(&["audit", ".", "--include", "clean"]), 0);
    check_code(
        &portcullis(&["audit", ".", "--exclude", "vulnerable/", "--exclude", "Half.sol"]),
        0,
    );
    let output = portcullis(&["audit", ".", "--include", "[a"]);
    check_code(&output, 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("glob `[a`"));
}

#[test]
fn nothing_to_audit_leaves_2() {
    check_code(&portcullis(&["audit"]), 2);
    let folder = tempfile::tempdir().unwrap();
    let output = portcullis(&["audit", folder.path().to_str().unwrap()]);
    check_code(&output, 2);
    assert!(stdout(&output).contains("holds no Solidity files"), "{}", stdout(&output));
}

#[test]
fn colour_can_be_forced() {
    assert!(
        stdout(&portcullis(&["audit", "vulnerable", "--color", "always"]))
            .contains("\x1b[1;31mhigh[reentrancy-eth]")
    );
}

#[test]
fn detectors_are_listed_and_explained() {
    let list = portcullis(&["audit", "--list-detectors"]);
    check_code(&list, 0);
    let list = stdout(&list);
    let ids: Vec<_> = list
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert!(ids.contains(&"reentrancy-eth") && ids.contains(&"suicidal"), "{ids:?}");
    for id in ids {
        let page = portcullis(&["explain", id]);
        check_code(&page, 0);
        let page = stdout(&page);
        assert!(
            page.starts_with(&format!("# {id}\n"))
                && page.contains("## How to fix")
                && !page.contains("//~"),
            "{page}"
        );
    }
    let unknown = portcullis(&["explain", "no-such-detector"]);
    check_code(&unknown, 2);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("reentrancy-eth"));
}
