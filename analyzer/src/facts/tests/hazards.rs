//! Flaws that one body shows.

use super::*;

/// Hazards of a kind as `entry: statement`.
fn hazards(kind: HazardKind, text: &str) -> Vec<String> {
    let program = single(text);
    let facts = Facts::new(&program);
    facts
        .hazards(kind)
        .map(|found| {
            format!("{}: {}", program.function_name(found.entry), program.text(found.span))
        })
        .collect()
}

#[test]
fn what_the_contract_knows_of_the_choice_holds_strangers_back() {
    let run = |check: &str| {
        format!(
            "contract C {{ mapping(address => bool) known; uint count; function f(address a) external {{ {check} (bool ok, ) = a.delegatecall(\"\"); require(ok); }} }}"
        )
    };
    let found = ["C.f: a.delegatecall(\"\")"];
    let kind = HazardKind::DelegateToChosen;
    assert_eq!(hazards(kind, &run("")), found);
    assert_eq!(hazards(kind, &run("require(a != address(0));")), found);
    assert_eq!(hazards(kind, &run("require(count < 5);")), found);
    assert_eq!(hazards(kind, &run("require(known[a]);")), [""; 0]);
}

#[test]
fn what_is_claimed_once_is_no_open_upgrade() {
    let proxy = |check: &str| {
        format!(
            "contract P {{ address code; function set(address a) external {{ {check} code = a; (bool ok, ) = a.delegatecall(\"\"); require(ok); }} fallback() external payable {{ (bool ok, ) = code.delegatecall(msg.data); require(ok); }} }}"
        )
    };
    let kind = HazardKind::OpenUpgrade;
    assert_eq!(hazards(kind, &proxy("")), ["P.set: code = a"]);
    assert_eq!(hazards(kind, &proxy("require(code != a);")), ["P.set: code = a"]);
    assert_eq!(hazards(kind, &proxy("require(code != address(0));")), ["P.set: code = a"]);
    assert_eq!(hazards(kind, &proxy("require(code == address(0));")), [""; 0]);
}

#[test]
fn ether_that_others_keep_a_record_of_is_theirs() {
    let bank = |body: &str| {
        format!(
            "contract B {{ mapping(address => uint) owed; receive() external payable {{}} function f(address payable a, uint n) external {{ {body} }} }}"
        )
    };
    let kind = HazardKind::EtherToChosen;
    assert_eq!(hazards(kind, &bank("a.transfer(n);")), ["B.f: a.transfer(n)"]);
    assert_eq!(hazards(kind, &bank("owed[msg.sender] -= n; a.transfer(n);")), [""; 0]);
    assert_eq!(hazards(kind, &bank("a.transfer(owed[a]);")), [""; 0]);
    let alone = "contract B { function f(address payable a) external payable { a.transfer(1); } }";
    assert_eq!(hazards(kind, alone), [""; 0], "nothing else brings ether in");
}

#[test]
fn bodies_without_a_suspect_are_without_a_flaw() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut n_found = 0;
    let mut n_left_out = 0;
    for folder in ["fixtures/detectors", "fixtures/audit", "node_modules/@openzeppelin/contracts"] {
        let base = root.join(folder);
        if !base.is_dir() {
            continue;
        }
        let options = crate::project::ProjectOptions {
            paths: vec![base.clone()],
            base,
            ..crate::project::ProjectOptions::default()
        };
        let project = crate::project::Project::read(&options).unwrap();
        let (program, _) = Program::build(crate::hir::Source::of_project(&project));
        let facts = Facts::new(&program);
        let mut all = facts.asides();
        all.extend_from_slice(facts.entry_points());
        let suspects = facts.suspects(all.clone());
        let others: Vec<_> = all.into_iter().filter(|point| !suspects.contains(point)).collect();
        n_left_out += others.len();
        n_found += facts.flaws_aside(&suspects).len();
        let missed = facts.flaws_aside(&others);
        assert!(missed.is_empty(), "{missed:?}");
    }
    // The examples of the detectors are such flaws, and most of a library is none.
    assert!(n_found > 20 && n_left_out > 20, "{n_found} found, {n_left_out} left out");
}
