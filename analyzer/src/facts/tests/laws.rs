//! What changes no answer: names, order, contracts that run the same, and what is missing.

use super::*;

#[test]
fn names_and_order_change_no_answer() {
    let text = vault("bool l; modifier m() { require(!l); l = true; _; l = false; }", "", PAY);
    let renamed = text.replace("bal", "zz").replace("modifier m", "modifier nonReentrant");
    assert_eq!(reentrancies(&text).len(), reentrancies(&renamed).len());
    let files = [
        (
            "a.sol",
            "contract A { uint n; function f() internal { (bool ok, ) = msg.sender.call(\"\"); require(ok); } }",
        ),
        (
            "b.sol",
            "import 'a.sol'; contract B is A { function w() external { require(n == 0); f(); n = 1; } }",
        ),
    ];
    let answer = |files: &[(&str, &str)]| {
        let (program, diagnostics) = project(files);
        assert_eq!(diagnostics, []);
        let facts = Facts::new(&program);
        facts
            .reentrancies()
            .iter()
            .map(|found| {
                (
                    program.function_name(found.entry),
                    found.call_text.clone(),
                    found.variable.clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    let shuffled = [files[1], files[0]];
    assert_eq!(answer(&files), answer(&shuffled));
    assert_eq!(answer(&files).len(), 1);
}

#[test]
fn the_order_of_files_changes_no_answer() {
    let files = [
        (
            "a.sol",
            "import \"b.sol\"; contract A is B { function pay(address payable to) external only { to.transfer(total); all(); } }",
        ),
        (
            "b.sol",
            "import {Base as Root} from \"c.sol\"; abstract contract B is Root { uint total; function add() external payable { total += msg.value; } function all() internal { for (uint i; i < users.length; i++) { (bool ok, ) = users[i].call(\"\"); require(ok); total--; } } }",
        ),
        (
            "c.sol",
            "abstract contract Base { address owner = msg.sender; address[] users; modifier only() { require(msg.sender == owner); _; } function join() external { users.push(msg.sender); } }",
        ),
        (
            "d.sol",
            "import * as all from \"a.sol\"; contract D is all.A { function kill() external { selfdestruct(payable(msg.sender)); } }",
        ),
    ];
    let answers =
        |files: &[(&str, &str)]| {
            let (program, diagnostics) = project(files);
            assert_eq!(diagnostics, []);
            let facts = Facts::new(&program);
            let place = |span: Span| {
                let source = program.source(span.file).expect("it has a source");
                format!("{}:{}..{}", source.path.display(), span.start, span.end)
            };
            let mut out: Vec<String> = facts
                .function_tables(&dictionary())
                .into_iter()
                .map(|(entry, table)| {
                    format!(
                        "{} {} {table:?}",
                        program.contract_name(entry.contract),
                        program.function_name(entry.function)
                    )
                })
                .collect();
            out.extend(facts.reentrancies().iter().map(|found| place(found.call_span)));
            out.extend(facts.self_destructs().iter().map(|found| place(found.span)));
            out.extend(facts.loops().iter().map(|found| {
                format!("{} {:?} {:?}", place(found.span), found.bound, found.variable)
            }));
            out.extend(facts.call_graph().sites().iter().map(|site| {
                let mut targets: Vec<_> =
                    site.targets.iter().map(|id| program.function_name(*id)).collect();
                targets.sort();
                format!("{} {:?} {targets:?}", place(site.span), site.form)
            }));
            out.sort();
            out
        };
    let expected = answers(&files);
    assert!(expected.len() > 10, "{expected:#?}");
    for turn in 1..files.len() {
        let mut turned = files;
        turned.rotate_left(turn);
        assert_eq!(answers(&turned), expected);
        turned.reverse();
        assert_eq!(answers(&turned), expected);
    }
}

#[test]
fn contracts_that_run_the_same_share_an_answer_and_one_that_overrides_has_its_own() {
    let program = single(
        "abstract contract Base {
            mapping(address => uint256) owed;
            function hook() internal virtual {}
            function deposit() external payable { owed[msg.sender] += msg.value; }
            function pay() external {
                uint256 amount = owed[msg.sender];
                hook();
                (bool ok, ) = msg.sender.call{value: amount}(\"\");
                require(ok);
                owed[msg.sender] = 0;
            }
        }
        contract First is Base {}
        contract Second is Base {}
        contract Clears is Base {
            bool entered;
            function hook() internal override { require(!entered); entered = true; }
        }",
    );
    let facts = Facts::new(&program);
    let pays: Vec<_> = facts
        .summaries()
        .iter()
        .filter(|summary| program.function_name(summary.function) == "Base.pay")
        .map(|summary| {
            (
                program.contract_name(summary.contract),
                summary.calls[0].lock.is_some(),
                summary.writes.len(),
            )
        })
        .collect();
    assert_eq!(pays, [("First", false, 1), ("Second", false, 1), ("Clears", true, 2)]);
}

#[test]
fn a_missing_import_is_unknown_and_not_dropped() {
    let (program, _) = project(&[(
        "a.sol",
        "import 'gone.sol'; contract V is Gone { mapping(address => uint) bal; function w() external maybe { uint a = bal[msg.sender]; (bool ok, ) = msg.sender.call{value: a}(\"\"); require(ok); bal[msg.sender] = 0; } }",
    )]);
    let facts = Facts::new(&program);
    assert_eq!(facts.reentrancies().len(), 1);
    assert!(facts.reentrancies()[0].partial);
}

#[test]
fn every_name_counts_and_a_name_of_unknown_type_is_unresolved() {
    let text = "import {Gone} from \"gone.sol\"; contract C is Gone { Gone g; function f(uint a) external { g.x(); uint b = a + missing; assembly { let c := add(a, b) function d() { pop(e) } } } }";
    let (program, _) = project(&[("main.sol", text)]);
    let facts = Facts::new(&program);
    let unresolved: Vec<_> =
        facts.unresolved_names().iter().map(|span| program.text(*span)).collect();
    assert_eq!(unresolved, ["Gone", "Gone", "Gone", "g", "x", "missing", "e"]);
    // Beside them: `a` twice, `b`, `add` and `pop`.
    assert_eq!(facts.coverage().names - facts.coverage().resolved_names, 7);
    assert_eq!(facts.coverage().names, 12);
}
