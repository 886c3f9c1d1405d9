//! `portcullis rules` as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the program in the folder of the project.
fn portcullis(arguments: &[&str]) -> Output {
    portcullis_in(Path::new(env!("CARGO_MANIFEST_DIR")), arguments)
}

fn portcullis_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[track_caller]
fn check_code(output: &Output, expected: i32) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "stdout:\n{out}\nstderr:\n{err}");
    out.into_owned()
}

#[test]
fn the_packs_that_ship_pass_in_every_build_and_what_is_skipped_is_said() {
    let text = check_code(&portcullis(&["rules", "test", "--format", "json"]), 0);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["passed"], true);
    let skips = |subject: &str| {
        let skipped = report["skipped"].as_array().unwrap();
        skipped.iter().any(|skipped| skipped["subject"] == subject)
    };
    assert_eq!(skips("transaction"), !cfg!(feature = "guard"), "{text}");
    assert!(!cfg!(feature = "audit") || !skips("function"), "{text}");
    // What stands behind the rules beside written facts.
    let fires_on = |rule: &str| {
        let proofs = report["report"]["proofs"].as_array().unwrap();
        let proof = proofs.iter().find(|proof| proof["rule"] == rule)?;
        Some(proof["fires_on"].as_array().unwrap().len())
    };
    if cfg!(feature = "guard") {
        assert!(fires_on("lost-update-drain") > Some(1), "{text}");
    }
    if cfg!(feature = "audit") {
        assert_eq!(fires_on("delegatecall-to-a-strangers-choice"), Some(3), "{text}");
    }
}

/// Packs whose tests name episodes and code: what happened decides, and not what was expected.
#[cfg(all(feature = "audit", feature = "guard"))]
#[test]
fn a_test_names_episodes_of_the_range_or_code_that_the_auditor_reads() {
    let folder = tempfile::tempdir().unwrap();
    let test = |subject: &str, when: &str, tests: &[&str], code: i32| {
        let lines: String = tests.iter().map(|test| format!("      - {test}\n")).collect();
        let text = format!(
            "pack: mine\nversion: 1.0.0\nengine: 1\nauthor: me\nrules:\n  - id: mine\n    subject: {subject}\n    \
             severity: low\n    maturity: experimental\n    class: c\n    why: w\n    when: {when}\n    message: m\n    \
             tests:\n{lines}"
        );
        std::fs::write(folder.path().join("mine.yaml"), text).unwrap();
        check_code(&portcullis_in(folder.path(), &["rules", "test", "mine.yaml"]), code)
    };
    let fires = "{ name: f, range: { protocol: treasury, flawed: true }, expect: fires }";
    let silent = "{ name: s, range: { protocol: treasury }, expect: silent }";
    let votes = "touches_protected && protected_calls >= 5";
    let text = test("transaction", votes, &[fires, silent], 1);
    assert!(text.contains("are not as expected; the first, `treasury/"), "{text}");
    let none =
        "{ name: n, range: { protocol: treasury, flawed: true, family: no }, expect: fires }";
    let text = test("transaction", votes, &[none, silent], 1);
    assert!(text.contains("nothing of the kind happens there"), "{text}");
    let wrong = "{ name: n, range: { protocol: bank }, expect: fires }";
    let text = test("transaction", votes, &[wrong, silent], 1);
    assert!(
        text.contains("the range has no protocol `bank`; there are: ether-vault, lending"),
        "{text}"
    );

    let code = |function: &str, expect: &str| {
        format!(
            "{{ name: {function}, code: 'contract A {{ uint256 n; function put(uint256 m) external {{ n = m; }} \
             function see(uint256 m) external {{ require(m > 0); }} }}', function: {function}, \
             expect: {expect} }}"
        )
    };
    let text =
        test("function", "storage_writes > 0", &[&code("put", "fires"), &code("see", "silent")], 0);
    assert!(text.contains("executed: 2 transactions and functions"), "{text}");
    let text =
        test("function", "storage_writes > 0", &[&code("see", "fires"), &code("got", "silent")], 1);
    assert!(text.contains("expected it to fire, but it stays silent"), "{text}");
    assert!(text.contains("function `got`: there is none; there are: A.put, A.see"), "{text}");
}

#[test]
fn a_new_pack_passes_its_check_and_its_tests_and_is_not_written_twice() {
    let folder = tempfile::tempdir().unwrap();
    for (subject, is_known) in
        [("transaction", cfg!(feature = "guard")), ("function", cfg!(feature = "audit"))]
    {
        let (name, file) = (format!("my-{subject}"), format!("my-{subject}.yaml"));
        let run = |arguments: &[&str]| portcullis_in(folder.path(), arguments);
        check_code(&run(&["rules", "new", &name, "--subject", subject]), 0);
        if is_known {
            check_code(&run(&["rules", "check", &file]), 0);
            let text = check_code(&run(&["rules", "test", &file]), 0);
            assert!(text.contains("1 firing, 1 silent, 0 unknown; 0 failed"), "{text}");
        }
        check_code(&run(&["rules", "new", &name]), 2);
    }
    check_code(&portcullis_in(folder.path(), &["rules", "new", "../escape"]), 2);
    check_code(&portcullis_in(folder.path(), &["rules", "new", "My Pack"]), 2);
}

#[cfg(feature = "audit")]
#[test]
fn an_audit_asks_function_rules_and_reports_them_with_their_severity() {
    let folder = tempfile::tempdir().unwrap();
    let source = "contract Wallet {
    address immutable owner = msg.sender;
    function execute(address code, bytes calldata data) external {
        (bool done, ) = code.delegatecall(data);
        require(done);
    }
    function executeAsOwner(address code, bytes calldata data) external {
        require(msg.sender == owner);
        (bool done, ) = code.delegatecall(data);
        require(done);
    }
}
";
    std::fs::write(folder.path().join("Wallet.sol"), source).unwrap();
    let run = |arguments: &[&str]| portcullis_in(folder.path(), arguments);
    let findings = |output: &Output, code: i32| -> Vec<(String, String, String)> {
        let report: Value = serde_json::from_str(&check_code(output, code)).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let found = findings.iter().filter(|finding| text(&finding["detector"]).contains('/'));
        found.map(|f| (text(&f["detector"]), text(&f["severity"]), text(&f["message"]))).collect()
    };
    // Without the pack only the detectors speak.
    let plain = run(&["audit", "Wallet.sol", "--format", "json"]);
    assert_eq!(findings(&plain, 1), []);
    let asked = run(&["audit", "Wallet.sol", "--format", "json", "--rules", "foreign-code"]);
    let expected = (
        "foreign-code/delegatecall-to-a-strangers-choice".to_owned(),
        "critical".to_owned(),
        "`execute` runs code that a stranger chooses on the storage of `Wallet`".to_owned(),
    );
    assert_eq!(findings(&asked, 1), [expected]);
    let text = check_code(&run(&["audit", "Wallet.sol", "--rules", "foreign-code"]), 1);
    assert!(text.contains("--> Wallet.sol:3:14 in `Wallet.execute(address,bytes)`"), "{text}");
    let sarif = run(&["audit", "Wallet.sol", "--rules", "foreign-code", "--format", "sarif"]);
    assert!(check_code(&sarif, 1).contains("foreign-code/delegatecall-to-a-strangers-choice"));
    check_code(&run(&["audit", "Wallet.sol", "--rules", "no-such-pack.yaml"]), 2);
    check_code(&run(&["audit", "Wallet.sol", "--rules", "reentrancy"]), 2);
}

#[cfg(feature = "guard")]
mod over_recordings {
    use super::{Path, Value, check_code, portcullis};

    const HEAD: &str = "pack: mine\nversion: 1.0.0\nengine: 1\nauthor: me\nrules:\n  - id: big-outflow\n    subject: \
                        transaction\n    severity: high\n    maturity: stable\n    class: drain\n    why: to be seen\n    \
                        when: touches_protected && outflow_wei >= eth(90)\n    message: '{outflow_wei} left'\n    tests:\n";

    /// A pack with two tests over a recording that lies beside it.
    fn pack(folder: &Path, tests: &[(u64, &str)]) -> String {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = shipped.join("fixtures/recordings/vault-attack.jsonl");
        std::fs::copy(shipped, folder.join("copy.jsonl")).unwrap();
        let tests = tests.iter().fold(String::new(), |text, (tx, expect)| {
            text + &format!(
                "      - {{ name: tx {tx}, recording: copy.jsonl, tx: {tx}, expect: {expect} }}\n"
            )
        });
        let path = folder.join("mine.yaml");
        std::fs::write(&path, format!("{HEAD}{tests}")).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_test_names_a_transaction_of_a_recording_beside_its_pack() {
        let folder = tempfile::tempdir().unwrap();
        let path = pack(folder.path(), &[(33, "fires"), (6, "silent")]);
        let text = check_code(&portcullis(&["rules", "test", &path]), 0);
        assert!(text.contains("tests: 1 firing, 1 silent, 0 unknown; 0 failed"), "{text}");
    }

    #[test]
    fn what_was_recorded_decides_and_not_what_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        let path = pack(folder.path(), &[(6, "fires"), (33, "silent")]);
        let text = check_code(&portcullis(&["rules", "test", &path]), 1);
        assert!(text.contains("tx 6: expected it to fire, but it stays silent"), "{text}");
        assert!(
            text.contains("tx 33: expected silence, but it fires: touches_protected"),
            "{text}"
        );
        assert!(text.contains("outflow_wei >= eth(90) (outflow_wei = 90 ether)"), "{text}");
    }

    #[test]
    fn a_recording_or_a_transaction_that_is_not_there_fails_the_test() {
        let folder = tempfile::tempdir().unwrap();
        let path = pack(folder.path(), &[(33, "fires"), (51, "silent")]);
        let text = check_code(&portcullis(&["rules", "test", &path]), 1);
        assert!(text.contains("tx 51: there are 51 pending transactions"), "{text}");
        std::fs::remove_file(folder.path().join("copy.jsonl")).unwrap();
        let text = check_code(&portcullis(&["rules", "test", &path]), 1);
        assert!(text.contains("copy.jsonl"), "{text}");
    }

    const RECORDING: &str = "fixtures/recordings/vault-attack.jsonl";

    fn backtest(arguments: &[&str], code: i32) -> Value {
        let mut all = vec!["rules", "backtest", "--format", "json"];
        all.extend(arguments);
        serde_json::from_str(&check_code(&portcullis(&all), code)).unwrap()
    }

    #[test]
    fn a_backtest_over_a_recording_finds_the_attack_and_tries_the_pause() {
        let report = backtest(&["reentrancy", "--from", RECORDING], 0);
        assert_eq!((&report["transactions"], &report["fired"]), (&51.into(), &1.into()));
        let firing = &report["firings"][0];
        assert_eq!(firing["label"], "the attack");
        assert_eq!((&firing["would_pause"], &firing["pause_helps"]), (&true.into(), &true.into()));
        assert_eq!(firing["outflow_wei"], "90000000000000000000");
        let drawn = report["picture"].as_array().unwrap().iter().filter_map(Value::as_u64);
        assert_eq!(drawn.sum::<u64>(), 1);
        let text =
            check_code(&portcullis(&["rules", "backtest", "reentrancy", "--from", RECORDING]), 0);
        assert!(text.contains("the pause would have helped") && text.contains('█'), "{text}");
    }

    #[test]
    fn the_number_of_alerts_decides_the_exit_code() {
        backtest(&["reentrancy", "--from", RECORDING, "--max-alerts-per-day", "1"], 0);
        backtest(&["reentrancy", "--from", RECORDING, "--max-alerts-per-day", "0"], 1);
        for pack in ["takeover", "drain"] {
            let report = backtest(&[pack, "--from", RECORDING], 0);
            let firings = report["firings"].as_array().unwrap();
            assert!(firings.iter().all(|firing| firing["label"] == "the attack"), "{report}");
        }
        check_code(&portcullis(&["rules", "backtest", "reentrancy", "--from", "gone.jsonl"]), 2);
        check_code(&portcullis(&["rules", "backtest", "reentrancy", "--from", "README.md"]), 2);
    }

    #[test]
    fn a_backtest_over_a_journal_says_what_it_could_judge() {
        use portcullis_alerting::journal::Journal;
        use portcullis_alerting::record::{Decision, Evidence, Mode, Outcome, VerdictRow};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let journal = Journal::open(&path).unwrap();
        for number in 0..4_u8 {
            let tx_hash = [number; 32].into();
            let row = VerdictRow {
                chain: "toy".to_owned(),
                chain_id: 31_337,
                block: u64::from(number),
                tx_hash,
                from: [1; 20].into(),
                to: Some([2; 20].into()),
                seen_at_ms: 1_700_000_000_000 + u64::from(number) * 1_000,
                latency_us: 1,
                outcome: Outcome::Clear,
                decision: Decision::None,
                would_decide: Decision::None,
                mode: Mode::Observe,
                score: None,
                reason: "r".to_owned(),
                is_mined: false,
                touched: Vec::new(),
                would_pause: Vec::new(),
                is_replay: false,
            };
            journal.append_verdict(&row).unwrap();
            let facts = match number {
                0 => serde_json::json!({ "touches_protected": true, "outflow_wei": eth(100) }),
                1 => serde_json::json!({ "touches_protected": true, "outflow_wei": eth(1) }),
                2 => serde_json::json!({ "touches_protected": true, "outflow_wei": null }),
                _ => continue,
            };
            let evidence = Evidence {
                tx_hash,
                facts: serde_json::from_value(facts).unwrap(),
                features: Vec::new(),
                schema_hash: String::new(),
                rules: Vec::new(),
                model: None,
                call_tree: Value::Null,
                counterfactual: None,
            };
            journal.append_evidence(&evidence).unwrap();
        }
        drop(journal);
        let pack = pack(folder.path(), &[(33, "fires"), (6, "silent")]);
        let report = backtest(&[&pack, "--from", path.to_str().unwrap()], 0);
        assert_eq!(report["kind"], "journal");
        assert_eq!((&report["transactions"], &report["judged"]), (&4.into(), &3.into()));
        let rule = &report["rules"][0];
        assert_eq!((&rule["fired"], &rule["unknown"]), (&1.into(), &1.into()), "{report}");
        let text = check_code(
            &portcullis(&["rules", "backtest", &pack, "--from", path.to_str().unwrap()]),
            0,
        );
        assert!(text.contains("3 (75.0 %); 1 without stored facts"), "{text}");
    }

    /// Four withdrawals by one account in four blocks, and one by another; the pack is about the sum of the first.
    #[test]
    fn windows_are_counted_over_a_journal() {
        use portcullis_alerting::journal::Journal;
        use portcullis_alerting::record::{Decision, Evidence, Mode, Outcome, VerdictRow};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let journal = Journal::open(&path).unwrap();
        let vault = format!("0x{}", "77".repeat(20));
        for number in 0..6_u8 {
            let tx_hash = [number + 1; 32].into();
            let row = VerdictRow {
                chain: "toy".to_owned(),
                chain_id: 31_337,
                block: if number == 0 { 50 } else { 100 + u64::from(number) },
                tx_hash,
                from: [if number == 3 { 2 } else { 1 }; 20].into(),
                to: Some([9; 20].into()),
                seen_at_ms: 1_700_000_000_000 + u64::from(number) * 12_000,
                latency_us: 1,
                outcome: Outcome::Clear,
                decision: Decision::None,
                would_decide: Decision::None,
                mode: Mode::Observe,
                score: None,
                reason: "r".to_owned(),
                is_mined: false,
                touched: Vec::new(),
                would_pause: Vec::new(),
                is_replay: false,
            };
            journal.append_verdict(&row).unwrap();
            // The first row touches nothing: it only says from when on the journal knows.
            if number == 0 {
                continue;
            }
            let facts = serde_json::json!({ "touches_protected": true, "outflow_wei": eth(10) });
            let evidence = Evidence {
                tx_hash,
                facts: serde_json::from_value(facts).unwrap(),
                features: Vec::new(),
                schema_hash: String::new(),
                rules: Vec::new(),
                model: None,
                call_tree: serde_json::json!([
                    { "depth": 0, "kind": "call", "acts_on": format!("0x{}", "09".repeat(20)), "protected": null },
                    { "depth": 1, "kind": "call", "acts_on": vault, "protected": "vault" },
                ]),
                counterfactual: None,
            };
            journal.append_evidence(&evidence).unwrap();
        }
        drop(journal);
        let found = |question: &str, condition: &str| {
            let text = HEAD
                .replace("    when: touches_protected && outflow_wei >= eth(90)\n", &format!(
                    "    with: {{ taken: {question} }}\n    when: touches_protected && {condition}\n"
                ))
                .replace("    tests:\n", "");
            let pack = folder.path().join("mine.yaml");
            std::fs::write(&pack, text).unwrap();
            let report = backtest(&[pack.to_str().unwrap(), "--from", path.to_str().unwrap()], 0);
            let rule = &report["rules"][0];
            (rule["fired"].as_u64().unwrap(), rule["unknown"].as_u64().unwrap())
        };
        let sum = |per: &str, blocks: u16| {
            format!("{{ sum: outflow_wei, per: {per}, over: blocks({blocks}) }}")
        };
        // Sender 1 takes 10, 20, 20 (another one in between), 30, 40.
        assert_eq!(found(&sum("sender", 5), "taken >= eth(30)"), (2, 0));
        assert_eq!(found(&sum("protocol", 5), "taken >= eth(30)"), (3, 0));
        // Both called the same contract first, so they are one actor.
        assert_eq!(found(&sum("actor", 5), "taken >= eth(50)"), (1, 0));
        assert_eq!(found(&sum("sender", 2), "taken >= eth(30)"), (0, 0));
        // What lies before the journal is not known: a floor settles what it can.
        assert_eq!(found(&sum("sender", 500), "taken < eth(35)"), (0, 4));
        assert_eq!(
            found("{ count: outflow_wei, per: protocol, over: blocks(3) }", "taken == 3"),
            (3, 0)
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_backtest_over_past_blocks_of_a_node_finds_the_attack_in_its_block() {
        use portcullis_range::node::{LocalNode, find_anvil};
        use portcullis_range::story::{Role, Story, StoryOptions};

        let anvil = find_anvil(None, Path::new(env!("CARGO_MANIFEST_DIR")))
            .expect("anvil is set up: `bash .ci/setup`");
        let node = LocalNode::start(&anvil, 31_337, 1).await.unwrap();
        let story = Story::tell(&StoryOptions::default());
        node.set_up(&story).await.unwrap();
        let mut attack = None;
        let mut sent = 0;
        for step in story.steps.iter().filter(|step| step.role != Role::Setup) {
            // A few of the others, and the attack.
            if step.role != Role::Attack && sent >= 6 {
                continue;
            }
            node.send(&step.raw).await.unwrap();
            let receipt = node.mined(&step.label, step.hash).await.unwrap();
            sent += 1;
            if step.role == Role::Attack {
                assert!(receipt.succeeded);
                attack = Some((step.hash, receipt.block));
                break;
            }
        }
        let (attack, height) = attack.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("portcullis.toml");
        let text = format!(
            "version = 1\n[[chains]]\nname = 'local'\nchain_id = 31337\nblock_time_ms = 1000\nnodes = ['{}']\n\
             [[protected]]\nname = 'vault'\nchain = 'local'\naddresses = ['{}']\n",
            node.address(),
            story.vault
        );
        std::fs::write(&config, text).unwrap();
        let config = config.to_str().unwrap();
        let all = ["reentrancy", "--config", config, "--from", "1.."];
        let report = backtest(&all, 0);
        assert_eq!((&report["kind"], &report["fired"]), (&"blocks".into(), &1.into()), "{report}");
        assert_eq!(report["judged"], report["transactions"], "{report}");
        assert!(report["transactions"].as_u64().unwrap() > sent, "those that set it up too");
        assert_eq!(report["firings"][0]["tx_hash"], attack.to_string());
        assert_eq!(report["firings"][0]["outflow_wei"], "90000000000000000000");
        backtest(&[&all[..], &["--max-alerts-per-day", "0"]].concat(), 1);
        // The blocks before the attack hold none.
        let before = format!("1..{}", height - 1);
        let report = backtest(&["reentrancy", "--config", config, "--from", &before], 0);
        assert_eq!(report["fired"], 0, "{report}");

        let refused = |from: &str, chain: &[&str], expected: &str| {
            let mut all =
                vec!["rules", "backtest", "reentrancy", "--config", config, "--from", from];
            all.extend(chain);
            let output = portcullis(&all);
            check_code(&output, 2);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains(expected), "{from}: {said}");
        };
        refused("0..5", &[], "begin with 1");
        refused("5..1", &[], "comes before the first");
        refused("1..4000000", &[], "the newest block of node `local/0` is");
        refused("1..", &["--chain", "main"], "no chain `main` is configured");
        drop(node);
        refused("1..", &[], "no node of chain `local` answers");
    }

    /// Rules derived from the sources of the range's sound protocols say nothing of anything that happens to them.
    #[cfg(feature = "audit")]
    #[test]
    fn derived_rules_are_silent_over_the_protocols_of_the_range() {
        use std::sync::Arc;

        use portcullis_range::{Cast, show};
        use portcullis_rules::{AnswerOutcome, Pack, RuleSet, Subject};
        use portcullis_watcher::facts::dictionary;

        let folder = tempfile::tempdir().unwrap();
        let (mut rules, mut seen) = (0, 0);
        for (protocol, file, contract) in [
            ("lending", "Lending.sol", "Lending"),
            ("pair", "Pair.sol", "Pair"),
            ("bridge-signer", "Bridge.sol", "Bridge"),
            ("treasury", "Treasury.sol", "Treasury"),
            ("staking", "Staking.sol", "Staking"),
            ("router", "Router.sol", "Router"),
            ("share-vault", "ShareVault.sol", "ShareVault"),
        ] {
            let cast = Cast { protocol: protocol.to_owned(), is_flawed: false, seed: 3 };
            let nothing = Arc::new(RuleSet::default());
            let touched = show(&cast, &nothing).unwrap();
            let touched = touched.iter().flat_map(|one| &one.observation.touched).next().unwrap();
            let (path, address) = (folder.path().join(protocol), touched.to_string());
            let path = path.with_extension("yaml");
            let sources = format!("models/range/contracts/{file}");
            let derive = [
                "rules",
                "derive",
                &sources,
                "--contract",
                contract,
                "--address",
                &address,
                "--output",
                path.to_str().unwrap(),
            ];
            check_code(&portcullis(&derive), 0);
            let pack = Pack::open(&path, &[dictionary()]).unwrap();
            rules += pack.rules().len();
            let set = Arc::new(RuleSet::new(vec![pack]).unwrap());
            for one in show(&cast, &set).unwrap() {
                seen += 1;
                let answers =
                    set.evaluate_on(Subject::Transaction, &one.observation.facts, &one.instances);
                let fired: Vec<_> = answers
                    .iter()
                    .filter(|answer| matches!(answer.outcome, AnswerOutcome::Fires { .. }))
                    .collect();
                assert!(fired.is_empty(), "{protocol}: `{}`: {fired:?}", one.family);
            }
        }
        assert!(rules >= 5 && seen >= 160, "{rules} rules over {seen} transactions");
    }

    fn eth(amount: u64) -> String {
        format!("{amount}000000000000000000")
    }
}

#[cfg(all(feature = "audit", feature = "guard"))]
#[test]
fn what_the_audit_learned_becomes_rules_that_name_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let source = "contract Vault {
    address public owner = msg.sender;
    uint256 public fee;
    mapping(address => uint256) public balances;
    mapping(address => bool) public keepers;
    uint256 public rate;
    function setFee(uint256 next) external {
        require(msg.sender == owner);
        fee = next;
    }
    function setRate(uint256 next) external {
        require(keepers[msg.sender]);
        rate = next;
    }
    function setKeeper(address keeper, bool may) external {
        require(msg.sender == owner);
        keepers[keeper] = may;
    }
    function deposit() external payable {
        balances[msg.sender] += msg.value;
    }
    function withdraw() external {
        uint256 amount = balances[msg.sender];
        (bool sent, ) = msg.sender.call{value: amount}(\"\");
        require(sent);
        balances[msg.sender] = 0;
    }
}
";
    std::fs::write(folder.path().join("Vault.sol"), source).unwrap();
    let run = |arguments: &[&str]| portcullis_in(folder.path(), arguments);
    let address = format!("0x{}", "ab".repeat(20));
    let derive = ["rules", "derive", "Vault.sol", "--address", &address, "--output", "vault.yaml"];
    let text = check_code(&run(&derive), 0);
    assert!(text.starts_with("vault.yaml: "), "{text}");
    check_code(&run(&derive), 2);
    let pack = std::fs::read_to_string(folder.path().join("vault.yaml")).unwrap();
    for expected in [
        "changed: slot(1), not_by: [\"slot(0, 0)\"]",
        "`fee` (slot 1) is written at Vault.sol:9 only, and only for the account in `owner`.",
        "changed: mapping(3), not_by: [\"slot(0, 0)\"]",
        "# - who may change `rate` is said by keepers, which is no single account",
        "entered: [\"deposit()\", \"withdraw()\"], inside: [\"withdraw()\"]",
        "`withdraw()` (Vault.sol:22) calls out at Vault.sol:24 without a lock",
        "stale: []",
        "paid_outside_of: [\"withdraw()\"]",
    ] {
        assert!(pack.contains(expected), "{expected}\n{pack}");
    }
    assert!(!pack.contains("rate-changed"), "{pack}");
    let text = check_code(&run(&["rules", "test", "vault.yaml"]), 0);
    assert!(text.contains("5 rules; tests: 5 firing, 5 silent, 0 unknown; 0 failed"), "{text}");
    check_code(&run(&["rules", "derive", "Vault.sol", "--address", "0x12"]), 2);
    check_code(&run(&["rules", "derive", "Gone.sol", "--address", &address]), 2);
}

/// The vault of the demo, its rules derived from its own sources, over everything that was recorded of it.
#[cfg(all(feature = "audit", feature = "guard"))]
#[test]
fn derived_rules_tell_the_recorded_attack_from_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let first = std::fs::read_to_string("fixtures/recordings/vault-attack.jsonl").unwrap();
    let header: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    let contracts = header["contracts"].as_object().unwrap();
    let vault = contracts.iter().find(|(_, known)| known["protected"] == true).unwrap().0;
    let path = folder.path().join("vault.yaml");
    let path = path.to_str().unwrap();
    let sources = "fixtures/contracts/Vault.sol";
    check_code(&portcullis(&["rules", "derive", sources, "--address", vault, "--output", path]), 0);
    let backtest = [
        "rules",
        "backtest",
        path,
        "--from",
        "fixtures/recordings/vault-attack.jsonl",
        "--format",
        "json",
    ];
    let report: Value = serde_json::from_str(&check_code(&portcullis(&backtest), 0)).unwrap();
    let firings = report["firings"].as_array().unwrap();
    let labels: Vec<&str> = firings.iter().map(|one| one["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["the attack"], "{report}");
}

/// Does what `docs/rules.md` tells a newcomer to do, and compares what is printed.
#[cfg(feature = "guard")]
#[test]
fn the_first_rule_of_the_guide_works_word_for_word() {
    let guide = std::fs::read_to_string("docs/rules.md").unwrap();
    let block = |start: &str| {
        let from = guide.find(start).unwrap_or_else(|| panic!("no {start}")) + start.len();
        guide[from..].split("\n```").next().unwrap().to_owned() + "\n"
    };
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("big-outflow.yaml");
    std::fs::write(&pack, block("```yaml\n")).unwrap();
    let shown = block("```console\n");
    let mut commands = 0;
    for part in shown.split("$ ").filter(|part| !part.is_empty()) {
        let (command, expected) = part.split_once('\n').unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(words[0], "portcullis");
        assert_eq!(
            check_code(&portcullis_in(folder.path(), &words[1..]), 0),
            expected,
            "{command}"
        );
        commands += 1;
    }
    assert_eq!(commands, 2);
    // The slip that the guide shows, with the message that it shows.
    let slip = block("```yaml\n").replace("outflow_bps >=", "outflow_bp >=");
    std::fs::write(&pack, slip).unwrap();
    let refused = portcullis_in(folder.path(), &["rules", "check", "big-outflow.yaml"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let promised = block("```text\n");
    assert!(said.contains(promised.trim_end()), "{said}\n{promised}");
}

/// Packs that are as dear as the bounds allow, or dearer, read under limits of processor time and memory that the
/// system enforces.
#[cfg(all(feature = "guard", unix))]
#[test]
fn a_hostile_pack_is_refused_or_bounded_in_time_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let head = |name: &str| format!("pack: {name}\nversion: 1.0.0\nengine: 1\nauthor: a\nrules:\n");
    let rules = |count: usize, when: &str| {
        (0..count).fold(String::new(), |text, number| {
            text + &format!(
                "  - {{ id: r-{number}, subject: transaction, severity: low, maturity: stable, class: c, why: w, \
                 when: '{when}', message: m }}\n"
            )
        })
    };
    let nested = |open: &str, middle: &str, close: &str, depth: usize| {
        format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
    };
    let list: Vec<String> = (0..60_000).map(|number| format!("\"{number}\"")).collect();
    let laughs = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        text + &format!(
            "a{level}: &a{level} [{}]\n",
            vec![format!("*a{}", level - 1); 9].join(", ")
        )
    });
    let dear = "(frames * depth + outflow_wei) % (above(value_wei, 3) + 1) > 7 && ".repeat(11);
    for (name, body, is_sound) in [
        ("brackets", rules(600, &nested("(", "frames > 1", ")", 15)), Some(true)),
        ("too-deep", rules(1, &nested("(", "frames > 1", ")", 2_000)), Some(false)),
        (
            "choices",
            rules(900, &nested("(touches_protected ? ", "true", " : frames > 1)", 8)),
            None,
        ),
        ("negations", rules(400, &format!("{}touches_protected", "!".repeat(400))), None),
        ("expensive", rules(150, &format!("{dear} frames > 1")), None),
        ("too-many", rules(2_001, "frames > 1"), Some(false)),
        ("long-list", format!("lists: {{ big: [{}] }}\n", list.join(", ")), None),
        ("laughs", laughs, Some(false)),
    ] {
        let path = folder.path().join(name).with_extension("yaml");
        std::fs::write(&path, head(name) + &body).unwrap();
        // Half a minute of processor time in a build without optimisation, 1.5 GB of address space.
        let output = Command::new("sh")
            .args(["-c", "ulimit -t 30 && ulimit -v 1500000 && exec \"$0\" rules check \"$1\""])
            .arg(env!("CARGO_BIN_EXE_portcullis"))
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.chars().take(300).collect();
        match (output.status.code(), is_sound) {
            (Some(0), Some(true) | None) | (Some(1), Some(false) | None) => {}
            (code, _) => panic!("{name}: {code:?}, {said}"),
        }
    }
}

/// Does what `docs/tutorial.md` tells a newcomer to do, in its order, and compares everything that is printed.
#[cfg(all(feature = "guard", unix))]
#[test]
fn the_tutorial_works_word_for_word() {
    let text = std::fs::read_to_string("docs/tutorial.md").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let recording = "vault-attack.jsonl";
    std::fs::copy(format!("fixtures/recordings/{recording}"), folder.path().join(recording))
        .unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().unwrap();
    let (mut files, mut commands) = (0, 0);
    let mut before = "";
    for (place, block) in text.split("```").enumerate() {
        if place % 2 == 0 {
            before = block;
            continue;
        }
        let (language, body) = block.split_once('\n').unwrap();
        if language != "console" {
            let said = before.trim_end().lines().last().unwrap();
            let name = said.strip_prefix("Save this as `").and_then(|rest| rest.strip_suffix("`:"));
            std::fs::write(folder.path().join(name.expect(said)), body).unwrap();
            files += 1;
            continue;
        }
        let mut lines = body.lines().peekable();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("$ ").expect(line);
            let mut expected = String::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected += line;
                expected.push('\n');
            }
            let output = Command::new("sh")
                .args(["-c", "PATH=\"$0:$PATH\"; eval \"$1\""])
                .args([program.to_str().unwrap(), command])
                .current_dir(folder.path())
                .output()
                .unwrap();
            let printed = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(printed, expected, "{command}");
            let code = i32::from(command.ends_with("# exits with 1"));
            assert_eq!(output.status.code(), Some(code), "{command}");
            commands += 1;
        }
    }
    assert_eq!((files, commands), (3, 7), "all of it was run");
}
