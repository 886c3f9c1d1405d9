//! The GitHub action, the pre-commit hooks and the page about them: their shape, and what they run.
#![cfg(feature = "audit")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_norway::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_norway::from_str(text).unwrap()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// A repository with a clean file, and with the vulnerable one where it is wanted.
fn repository(is_vulnerable: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("contracts")).unwrap();
    let copy = |from: &str, to: &str| {
        std::fs::copy(
            root().join("fixtures/audit").join(from),
            folder.path().join("contracts").join(to),
        )
        .unwrap();
    };
    copy("clean/Vault.sol", "Clean.sol");
    if is_vulnerable {
        copy("vulnerable/Vault.sol", "Vault.sol");
    }
    let git = |arguments: &[&str]| {
        let who =
            ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
        let done = Command::new("git").args(who).args(arguments).current_dir(&folder).output();
        assert!(done.unwrap().status.success(), "{arguments:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    folder
}

/// What the action's step `Audit` does, with its variables set as the action sets them.
fn run_action(repository: &Path, inputs: &[(&str, &str)]) -> (Output, String, String) {
    let action = yaml(&read("action.yml"));
    let steps = action["runs"]["steps"].as_sequence().unwrap();
    let step = steps.iter().find(|step| step["id"] == "audit").unwrap();
    let place = tempfile::tempdir().unwrap();
    let (outputs, summary) = (place.path().join("outputs"), place.path().join("summary"));
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c"]);
    command.arg(step["run"].as_str().unwrap()).current_dir(repository);
    command.env("GITHUB_OUTPUT", &outputs).env("GITHUB_STEP_SUMMARY", &summary);
    for (name, value) in step["env"].as_mapping().unwrap() {
        let (name, value) = (name.as_str().unwrap(), value.as_str().unwrap());
        let inner = value.trim_start_matches("${{ ").trim_end_matches(" }}");
        if let Some(input) = inner.strip_prefix("inputs.") {
            let default = action["inputs"][input]["default"].as_str().unwrap();
            let given = inputs.iter().find(|(name, _)| *name == input).map(|(_, value)| *value);
            command.env(name, given.unwrap_or(default));
        }
    }
    command.env("PORTCULLIS", env!("CARGO_BIN_EXE_portcullis"));
    command.env("PORTCULLIS_CACHE", place.path().join("results"));
    let output = command.output().unwrap();
    let text = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    (output, text(outputs), text(summary))
}

#[test]
fn the_action_is_well_formed_and_uses_what_it_declares() {
    let text = read("action.yml");
    let action = yaml(&text);
    assert_eq!(action["runs"]["using"], "composite");
    for key in ["name", "description", "inputs", "outputs"] {
        assert!(!action[key].is_null(), "{key}");
    }
    let steps = action["runs"]["steps"].as_sequence().unwrap();
    for step in steps {
        let runs = step["run"].as_str().is_some();
        assert!(runs != step["uses"].as_str().is_some(), "{step:?}");
        assert!(!runs || step["shell"] == "bash", "a composite step names its shell: {step:?}");
        // What a caller chooses reaches scripts through the environment only, never as their text.
        assert!(!step["run"].as_str().unwrap_or_default().contains("${{"), "{step:?}");
    }
    let used: BTreeSet<String> = text
        .split("${{ inputs.")
        .skip(1)
        .map(|rest| rest.split(" }}").next().unwrap().to_owned())
        .collect();
    assert_eq!(used, keys(&action["inputs"]));
    let ids: BTreeSet<&str> = steps.iter().filter_map(|step| step["id"].as_str()).collect();
    for reference in text.split("steps.").skip(1) {
        assert!(ids.contains(reference.split('.').next().unwrap()), "{reference}");
    }
    let build = steps.iter().find(|step| step["name"] == "Build the auditor alone").unwrap();
    let build = build["run"].as_str().unwrap();
    assert!(build.contains("--no-default-features --features audit"), "{build}");
}

#[test]
fn the_action_reports_and_fails_as_asked() {
    let vulnerable = repository(true);
    let (output, outputs, summary) = run_action(vulnerable.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(outputs, "sarif=portcullis.sarif\nexit-code=1\n");
    assert!(summary.starts_with("**Portcullis:** 1 finding (1 high)"), "{summary}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("high[reentrancy-eth]"));
    let log = std::fs::read_to_string(vulnerable.path().join("portcullis.sarif")).unwrap();
    let log: serde_json::Value = serde_json::from_str(&log).unwrap();
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "contracts/Vault.sol");

    for (inputs, code) in [
        (vec![("fail-on", "none")], 0),
        (vec![("fail-on", "critical")], 0),
        (vec![("since", "main")], 0),
        (vec![("since", "no-such-branch")], 2),
        (vec![("paths", "contracts/Clean.sol\n\n")], 0),
        (vec![("paths", "contracts/Clean.sol\ncontracts/Vault.sol"), ("summary", "false")], 1),
        (vec![("paths", "$(touch owned); gone")], 2),
    ] {
        let (output, outputs, summary) = run_action(vulnerable.path(), &inputs);
        assert_eq!(output.status.code(), Some(code), "{inputs:?}: {output:?}");
        let said = if inputs[0].1 == "none" { 1 } else { code };
        assert!(outputs.ends_with(&format!("exit-code={said}\n")), "{inputs:?}: {outputs}");
        assert_eq!(
            summary.is_empty(),
            inputs.contains(&("summary", "false")) || inputs.contains(&("since", "no-such-branch"))
        );
    }
    assert!(!vulnerable.path().join("owned").exists(), "an input is never run");
}

#[test]
fn the_hooks_run() {
    let hooks = yaml(&read(".pre-commit-hooks.yaml"));
    let hooks = hooks.as_sequence().unwrap();
    let ids: Vec<&str> = hooks.iter().map(|hook| hook["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["portcullis", "portcullis-installed"]);
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis"));
    // A clone of this repository in which the auditor was built before.
    let clone = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(clone.path().join("target/release")).unwrap();
    std::os::unix::fs::symlink(program, clone.path().join("target/release/portcullis")).unwrap();
    for hook in hooks {
        assert_eq!(
            (&hook["pass_filenames"], hook["files"].as_str()),
            (&Value::Bool(false), Some("\\.sol$"))
        );
        let mut words = hook["entry"].as_str().unwrap().split(' ');
        let entry = words.next().unwrap();
        let mut command = match hook["language"].as_str().unwrap() {
            "script" => {
                let script = root().join(entry);
                assert!(script.metadata().unwrap().permissions().mode() & 0o111 != 0, "{entry}");
                let copy = clone.path().join(entry);
                std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
                std::fs::copy(script, &copy).unwrap();
                Command::new(copy)
            }
            "system" => {
                assert_eq!(entry, "portcullis");
                Command::new(program)
            }
            other => panic!("language {other}"),
        };
        command.args(words);
        for argument in hook["args"].as_sequence().unwrap() {
            command.arg(argument.as_str().unwrap());
        }
        let repository = repository(false);
        command
            .current_dir(repository.path())
            .env("PORTCULLIS_CACHE", clone.path().join("results"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let vault = root().join("fixtures/audit/vulnerable/Vault.sol");
        std::fs::copy(vault, repository.path().join("contracts/New.sol")).unwrap();
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("--> contracts/New.sol:13"));
    }
}

#[test]
fn the_page_shows_what_exists() {
    let page = read("docs/ci.md");
    let action = yaml(&read("action.yml"));
    let blocks: Vec<Value> = page
        .split("```yaml\n")
        .skip(1)
        .map(|rest| yaml(rest.split("```").next().unwrap()))
        .collect();
    let [github, gitlab, precommit] = blocks.as_slice() else { panic!("three examples") };
    let steps = github["jobs"]["portcullis"]["steps"].as_sequence().unwrap();
    let step = steps.iter().find(|step| step["id"] == "audit").unwrap();
    assert!(keys(&step["with"]).is_subset(&keys(&action["inputs"])));
    for input in keys(&action["inputs"]) {
        assert!(page.contains(&format!("| `{input}` |")), "{input} is explained");
    }
    let hook = precommit["repos"][0]["hooks"][0]["id"].as_str().unwrap();
    assert!(read(".pre-commit-hooks.yaml").contains(&format!("- id: {hook}\n")));

    // GitLab's script, as far as this program is concerned: the options exist.
    let script = gitlab["portcullis"]["script"].as_sequence().unwrap();
    let audits: Vec<&str> = script
        .iter()
        .filter_map(|line| line.as_str()?.strip_prefix(".portcullis/bin/portcullis "))
        .collect();
    assert_eq!(audits.len(), 2);
    let repository = repository(true);
    for line in audits {
        let words: Vec<&str> = line.split(" || ").next().unwrap().split(' ').collect();
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(words)
            .args(["--no-cache"])
            .current_dir(repository.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    }
    let findings = std::fs::read_to_string(repository.path().join("findings.json")).unwrap();
    let findings: serde_json::Value = serde_json::from_str(&findings).unwrap();
    // What the `jq` line reads.
    for key in ["message", "detector", "fingerprint", "severity", "location"] {
        assert!(!findings["findings"][0][key].is_null(), "{key}");
    }
}
