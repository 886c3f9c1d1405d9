//! What an audit reports with `since`, on real git repositories.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_analyzer::project::HistoryError;
use portcullis_analyzer::{AuditError, AuditOptions, AuditReport, audit};

/// Pays before it writes: one finding.
const BANK: &str = "pragma solidity ^0.8.20;\ncontract Bank {\n    mapping(address => uint) balances;\n\
                    \x20   function withdraw(uint amount) external {\n        require(balances[msg.sender] >= amount);\n\
                    \x20       (bool ok, ) = msg.sender.call{value: amount}(\"\");\n        require(ok);\n\
                    \x20       unchecked { balances[msg.sender] -= amount; }\n    }\n}\n";

struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn new(files: &[(&str, &str)]) -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.write(files);
        repository.commit("first");
        repository
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) {
        // The settings of whoever runs the tests must not decide what they show.
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=A",
                "-c",
                "user.email=a@example.org",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .current_dir(self.folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Audits `path`, started in the folder `base`.
    fn audit_in(&self, base: &str, path: &str, since: &str) -> Result<AuditReport, AuditError> {
        audit(&AuditOptions {
            base: self.path(base),
            paths: vec![PathBuf::from(path)],
            since: Some(since.to_owned()),
            ..AuditOptions::default()
        })
    }

    /// Places of what is new in the whole repository, and how much is older.
    #[track_caller]
    fn check(&self, since: &str, new: &[&str], n_older: u64) {
        let report = self.audit_in("", ".", since).unwrap();
        assert_eq!((places(&report), report.stats.older), (owned(new), n_older));
    }
}

fn owned(places: &[&str]) -> Vec<String> {
    places.iter().map(|place| (*place).to_owned()).collect()
}

fn places(report: &AuditReport) -> Vec<String> {
    let place =
        |at: &portcullis_analyzer::report::Location| format!("{}:{}", at.path, at.start.line);
    report.findings.iter().map(|finding| place(&finding.location)).collect()
}

#[test]
fn only_what_a_change_brings_is_reported() {
    let repository =
        Repository::new(&[("src/Bank.sol", BANK), ("foundry.toml", "[profile.default]\n")]);
    repository.check("HEAD", &[], 1);
    repository.write(&[("src/Till.sol", &BANK.replace("Bank", "Till"))]);
    repository.check("HEAD", &["src/Till.sol:6"], 1);
    repository.commit("a second one");
    repository.check("HEAD~1", &["src/Till.sol:6"], 1);
    repository.check("HEAD", &[], 2);
}

#[test]
fn moved_renamed_and_reformatted_code_is_not_new() {
    let repository = Repository::new(&[("src/Bank.sol", BANK)]);
    // What a formatter does, in another file of another folder, at other lines, not even known to git yet.
    let formatted = BANK
        .replace("contract", "\n\n/// Keeps ether.\ncontract")
        .replace("uint ", "uint256 ")
        .replace("msg.sender.call{value: amount}(\"\")", "msg.sender.call{\n value: amount\n}('')");
    std::fs::remove_file(repository.path("src/Bank.sol")).unwrap();
    repository.write(&[("contracts/vault/Store.sol", &formatted)]);
    repository.check("HEAD", &[], 1);
    repository.commit("moved");
    repository.check("HEAD~1", &[], 1);
    let report = repository.audit_in("", "contracts/vault/Store.sol", "HEAD~1").unwrap();
    assert_eq!(places(&report), owned(&[]), "named by its new name alone");
}

#[test]
fn a_copy_and_a_change_of_the_statement_are_new() {
    let repository = Repository::new(&[("src/Bank.sol", BANK)]);
    repository.write(&[("src/Copy.sol", BANK)]);
    let report = repository.audit_in("", ".", "HEAD").unwrap();
    assert_eq!((report.findings.len(), report.stats.older), (1, 1));
    std::fs::remove_file(repository.path("src/Copy.sol")).unwrap();
    repository.write(&[("src/Bank.sol", &BANK.replace("{value: amount}", "{value: amount - 1}"))]);
    repository.check("HEAD", &["src/Bank.sol:6"], 0);
}

#[test]
fn what_others_did_since_the_branch_parted_is_not_ours() {
    let repository = Repository::new(&[("src/Bank.sol", BANK)]);
    repository.git(&["checkout", "-q", "-b", "ours"]);
    repository.write(&[("src/Till.sol", &BANK.replace("Bank", "Till"))]);
    repository.commit("ours");
    repository.git(&["checkout", "-q", "main"]);
    repository.write(&[("src/Bank.sol", "contract Bank {}\n")]);
    repository.commit("mended by others");
    repository.git(&["checkout", "-q", "ours"]);
    repository.check("main", &["src/Till.sol:6"], 1);
}

#[test]
fn it_works_below_the_root_and_with_packages_that_git_does_not_hold() {
    let vault =
        BANK.replace("contract Bank {", "import \"pack/Base.sol\";\ncontract Bank is Base {");
    let vault = vault.replace("external {", "external lock {");
    let base = "contract Base { uint locked; modifier lock() { _; } }\n";
    let files = [
        ("app/contracts/Bank.sol", vault.as_str()),
        ("app/node_modules/pack/Base.sol", base),
        (".gitignore", "node_modules\n"),
    ];
    let repository = Repository::new(&files);
    for (folder, path) in
        [("app", "contracts"), ("app/contracts", "."), ("", "app/contracts/Bank.sol")]
    {
        let report = repository.audit_in(folder, path, "HEAD").unwrap();
        assert_eq!((report.findings.len(), report.stats.older), (0, 1), "{path} in {folder}");
        assert!(report.diagnostics.is_empty(), "{:?}", report.diagnostics);
    }
    let added = vault.replace("Bank", "Till");
    repository.write(&[("app/contracts/Till.sol", &added)]);
    let report = repository.audit_in("app/contracts", ".", "HEAD").unwrap();
    assert_eq!(places(&report), owned(&["Till.sol:7"]));
}

#[test]
fn a_folder_that_git_has_never_seen_is_new_as_a_whole() {
    let repository = Repository::new(&[("README", "")]);
    repository.write(&[("src/Bank.sol", BANK)]);
    repository.check("HEAD", &["src/Bank.sol:6"], 0);
    let report = repository.audit_in("", "src", "HEAD").unwrap();
    assert_eq!(places(&report), owned(&["src/Bank.sol:6"]));
}

#[test]
fn without_such_a_commit_it_is_an_error() {
    let repository = Repository::new(&[("src/Bank.sol", BANK)]);
    for revision in ["no-such-branch", "--output=x", "HEAD~7", ""] {
        let error = repository.audit_in("", ".", revision).unwrap_err();
        assert!(
            matches!(&error, AuditError::History(HistoryError::UnknownRevision { revision: said, .. }) if said == revision),
            "{error}"
        );
    }
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("Bank.sol"), BANK).unwrap();
    let error = audit(&AuditOptions {
        base: outside.path().to_owned(),
        paths: vec![PathBuf::from(".")],
        since: Some("HEAD".to_owned()),
        ..AuditOptions::default()
    })
    .unwrap_err();
    assert!(matches!(error, AuditError::History(HistoryError::NotARepository { .. })), "{error}");
    let two = AuditOptions {
        base: repository.path("src"),
        paths: vec![PathBuf::from("."), outside.path().to_owned()],
        since: Some("HEAD".to_owned()),
        ..AuditOptions::default()
    };
    let error = audit(&two).unwrap_err();
    assert!(matches!(error, AuditError::History(HistoryError::OtherRepository { .. })), "{error}");
    assert!(Path::new(&repository.path("src/Bank.sol")).is_file(), "nothing was touched");
}
