//! Sources of all ages, and broken ones.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> (Vec<String>, Vec<Diagnostic>) {
    on_deep_stack(|| {
        let parsed = parse(text, FileId(0));
        (names(&parsed.unit.items), parsed.diagnostics)
    })
}

/// What a file declares; `!` marks a body that could not be read.
fn names(items: &[ast::Item]) -> Vec<String> {
    let mut out = Vec::new();
    for item in items {
        match item {
            ast::Item::Contract(contract) => {
                out.push(contract.name.text.clone());
                out.extend(
                    names(&contract.parts)
                        .into_iter()
                        .map(|name| format!("{}.{name}", contract.name.text)),
                );
            }
            ast::Item::Function(function) => {
                let mark = if matches!(function.body, ast::Body::Broken) { "!" } else { "" };
                let kind = match function.kind {
                    ast::FunctionKind::Function => "",
                    ast::FunctionKind::Constructor => "constructor",
                    ast::FunctionKind::Fallback => "fallback",
                    ast::FunctionKind::Receive => "receive",
                    ast::FunctionKind::Modifier => "modifier ",
                };
                out.push(format!("{kind}{}{mark}", function.name.text));
            }
            ast::Item::Variable(variable) => {
                out.push(format!(
                    "{}{}",
                    if variable.is_transient { "transient " } else { "" },
                    variable.name.text
                ));
            }
            ast::Item::Struct(item) => out.push(item.name.text.clone()),
            _ => {}
        }
    }
    out
}

/// The source is read without a complaint and declares these names, spaces between them.
fn reads(text: &str, expected: &[&str]) {
    let (names, diagnostics) = parsed(text);
    assert_eq!(diagnostics, [], "{text}");
    assert_eq!(names, expected, "{text}");
}

fn notes(diagnostics: &[Diagnostic]) -> Vec<&str> {
    diagnostics.iter().filter_map(|diagnostic| diagnostic.note.as_deref()).collect()
}

#[test]
fn throw_is_a_statement() {
    reads("contract C { function f() { if (true) throw; } }", &["C", "C.f"]);
}

#[test]
fn unnamed_fallbacks_may_have_modifiers() {
    reads(
        "contract C { modifier m() { _; } function() payable m { } }",
        &["C", "C.modifier m", "C.fallback"],
    );
    reads("contract C { function() external internal f; }", &["C", "C.f"]);
}

#[test]
fn functions_may_be_called_fallback_and_receive() {
    let text = "contract C { function fallback() public { receive(); } function receive() public { C(this).fallback(); } receive() external payable {} fallback() external {} }";
    reads(text, &["C", "C.fallback", "C.receive", "C.receive", "C.fallback"]);
}

#[test]
fn words_of_other_chains_are_names() {
    let text = "contract C { uint instance; uint persistent; function temporary(uint instance) public { persistent = instance; } }";
    reads(text, &["C", "C.instance", "C.persistent", "C.temporary"]);
}

#[test]
fn transient_is_an_attribute_and_a_name() {
    reads(
        "contract C { uint transient a; bool transient public b; uint transient; }",
        &["C", "C.transient a", "C.transient b", "C.transient"],
    );
}

#[test]
fn layout_at_stands_before_and_after_the_bases() {
    reads(
        "contract A layout at 0x10 + f(1) {} contract B is A layout at 2 {} contract D layout at 3 is A {}",
        &["A", "B", "D"],
    );
}

#[test]
fn a_broken_layout_costs_the_layout_alone() {
    let (names, diagnostics) =
        parsed("contract A layout at 1 + { uint x; function f() external {} }");
    assert_eq!(names, ["A", "A.x", "A.f"]);
    assert_eq!(notes(&diagnostics), ["where the contract's state stands is unknown"]);
}

#[test]
fn calldata_was_a_name_once() {
    reads(
        "contract C { function f(bytes calldata) public { g(calldata); } function g(bytes x) {} }",
        &["C", "C.f", "C.g"],
    );
    reads(
        "contract C { function f(bytes calldata x, uint[] calldata) external {} }",
        &["C", "C.f"],
    );
}

#[test]
fn var_declares_one_or_several() {
    reads(
        "contract C { function f() { var x = 1; var (a, , b) = g(); var (c) = 2; } }",
        &["C", "C.f"],
    );
}

#[test]
fn assembly_of_old_has_labels() {
    reads(
        "contract C { function f() { assembly { let x := 1 loop: jumpi(loop, x) mload(0) =: x } } }",
        &["C", "C.f"],
    );
}

/// The notes and the statements of the assembly of a function with that block.
fn old_assembly(block: &str) -> (Vec<String>, String) {
    let text = format!("contract C {{ function f(uint n) {{ uint r; assembly {{ {block} }} }} }}");
    let (program, diagnostics) = crate::hir::project(&[("old.sol", &text)]);
    let facts = crate::facts::Facts::new(&program);
    let ir = program.function_ids().find_map(|id| facts.ir_text(id)).unwrap_or_default();
    (diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect(), ir)
}

#[test]
fn instructions_of_old_assembly_work_on_the_stack() {
    let (said, ir) = old_assembly("n 1 add =: r");
    assert_eq!(said, [""; 0]);
    assert!(ir.contains("= 1 +% n.0"), "{ir}");
    for block in [
        "n 1 add 2 mul =: r",
        "n dup1 mul =: r",
        "n 1 swap1 sub =: r",
        "0 again: 1 add dup1 n gt again jumpi =: r",
        "{ n =: r } if r { n =: r }",
        "switch n case 0 { 1 =: r } default { 2 =: r }",
        "for { let i := 0 } lt(i, n) { i 1 add =: i } { i =: r }",
        "function g(a) -> b { a 1 add =: b } g(n) =: r",
        "0x40 mload n dup2 mstore =: r",
        "caller =: r",
        "n hex\"01\" eq =: r",
        "1 \"abc\" pop =: r",
    ] {
        let (said, ir) = old_assembly(block);
        assert_eq!(said, [""; 0], "{block}");
        assert!(!ir.contains("unknown"), "{block}: {ir}");
    }
}

#[test]
fn what_cannot_be_followed_on_the_stack_costs_its_statement() {
    for (block, wrong) in [
        ("add =: r 1 n sstore", "`add` takes more than the block has put on the stack"),
        ("n 1 n sstore dup2 =: r pop", "`dup2` reaches below what the block has put on the stack"),
        ("n jump there: 1 n sstore", "`jump` goes where the block does not tell"),
        ("let x := 1 n sstore 1 n sstore", "takes a variable from the stack"),
    ] {
        let (said, ir) = old_assembly(block);
        assert_eq!(said.len(), 1, "{block}: {said:?}");
        assert!(said[0].contains(wrong), "{said:?}");
        assert!(ir.contains("unknown"), "{block}: {ir}");
        assert!(ir.contains("store") || ir.contains("slot"), "{block}: {ir}");
    }
    let (said, ir) = old_assembly("n 1 add 7 =: r");
    assert_eq!(said, ["assembly leaves a word on the stack"]);
    assert!(ir.contains("r.1 = 7") && ir.contains("= 1 +% n.0"), "{ir}");
}

#[test]
fn a_long_run_of_old_assembly_is_not_deep() {
    let block = format!("n {} =: r", "1 add ".repeat(50_000));
    let (said, ir) = old_assembly(&block);
    assert_eq!(said, [""; 0]);
    assert_eq!(ir.matches("+%").count(), 50_000);
}

#[test]
fn pragmas_of_any_kind_are_kept() {
    let parsed = on_deep_stack(|| {
        let parsed = parse(
            "pragma solidity >=0.4.22   <0.9.0; pragma experimental \"v0.5.0\"; pragma abicoder v2; contract C {}",
            FileId(0),
        );
        (parsed.pragmas, parsed.diagnostics)
    });
    let pragmas: Vec<_> = parsed.0.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(pragmas, ["solidity >=0.4.22 <0.9.0", "experimental \"v0.5.0\"", "abicoder v2"]);
    assert_eq!(parsed.1, []);
}

#[test]
fn todays_language_is_read() {
    let text = "using {add as +} for T global; type T is uint256; error E(uint a); event V(uint indexed a); uint constant K = 2;
        function add(T a, T b) pure returns (T) { return T.wrap(T.unwrap(a) + T.unwrap(b)); }
        contract C { constructor() {} function f() external { unchecked { K; } revert E({a: 1}); string memory s = unicode\"h\u{e9}\"; bytes memory b = hex\"00ff\" hex\"aa\"; assembly (\"memory-safe\") { mcopy(0, 0, 0) } } }";
    reads(text, &["K", "add", "C", "C.constructor", "C.f"]);
}

#[test]
fn an_error_costs_the_body_it_stands_in() {
    let (names, diagnostics) = parsed(
        "contract C {\n function a() public { x = ; }\n function b() public { y = 1; }\n}\ncontract D {}",
    );
    assert_eq!(names, ["C", "C.a!", "C.b", "D"]);
    assert_eq!(notes(&diagnostics), ["the body of `function a` is not analysed"]);
    let text = "contract C {\n function a() public { x = ; }\n";
    assert_eq!(line_column(text, diagnostics[0].span.start as usize), (2, 28));
}

#[test]
fn an_error_in_a_head_costs_the_function() {
    let (names, diagnostics) =
        parsed("contract C { function a( public { } function b() public {} }");
    assert!(names.contains(&"C.b".to_owned()), "{names:?}");
    assert!(!diagnostics.is_empty());
}

#[test]
fn an_error_in_assembly_costs_the_block() {
    let (names, diagnostics) =
        parsed("contract C { function a() public { assembly { let 1 } } function b() public {} }");
    assert_eq!(names, ["C", "C.a", "C.b"]);
    assert_eq!(notes(&diagnostics), ["the assembly block is not analysed"]);
}

#[test]
fn a_missing_semicolon_costs_its_own_declaration() {
    let (names, diagnostics) = parsed(
        "import \"a.sol\" contract C { uint x function a() public {} uint y\n event E(); function b() public\n modifier m() { _; } struct S { uint z; } }",
    );
    assert_eq!(names, ["C", "C.a", "C.modifier m", "C.S"]);
    let expected = [
        "`import \"a.sol\"` is not analysed",
        "`uint x` is not analysed",
        "`uint y` is not analysed",
        "`function b` is not analysed",
    ];
    assert_eq!(notes(&diagnostics), expected);
    assert!(diagnostics.iter().all(|said| said.message.contains("a `;` or a body is missing")));
}

#[test]
fn a_missing_brace_costs_no_other_contract() {
    let (names, diagnostics) = parsed(
        "contract C { function a() public { if (true) { } function b() public {} } contract D { function c() public {} }",
    );
    assert!(names.contains(&"D".to_owned()) && names.contains(&"D.c".to_owned()), "{names:?}");
    assert!(!diagnostics.is_empty());
}

#[test]
fn a_missing_brace_at_the_very_end_costs_nothing() {
    for end in ["", "\n", " // no more"] {
        let text =
            format!("contract C {{ function a() public {{ }} function b() public {{ }}{end}");
        let (names, diagnostics) = parsed(&text);
        assert!(
            names.contains(&"C.a".to_owned()) && names.contains(&"C.b".to_owned()),
            "{names:?}"
        );
        assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
    }
}

#[test]
fn a_quote_left_open_costs_little() {
    let (names, diagnostics) = parsed(
        "contract C { function a() public { x = \"open;\n }\n function b() public {} }\ncontract D {}",
    );
    assert!(names.contains(&"D".to_owned()), "{names:?}");
    assert!(!diagnostics.is_empty());
}

#[test]
fn spans_are_true_to_the_original_text() {
    let text = "contract C { uint instance; function f() { instance = 1; throw; } }";
    on_deep_stack(|| {
        let parsed = parse(text, FileId(0));
        let ast::Item::Contract(contract) = &parsed.unit.items[0] else { panic!("a contract") };
        let ast::Item::Variable(variable) = &contract.parts[0] else { panic!("a variable") };
        assert_eq!(variable.name.span.text(text), "instance");
        assert_eq!(variable.span.text(text), "uint instance");
    });
}

#[test]
fn two_thousand_parentheses_are_read() {
    let text = format!(
        "contract C {{ function f() public {{ x = {}1{}; }} function g() public {{}} }}",
        "(".repeat(2_000),
        ")".repeat(2_000)
    );
    reads(&text, &["C", "C.f", "C.g"]);
}

#[test]
fn what_is_nested_beyond_the_limit_costs_its_item() {
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{", "}"), ("!(", ")"), ("if (a) ", ""), ("-", "")]
    {
        let text = format!(
            "contract C {{ function f() public {{ {}1{}; }} function g() public {{}} }}",
            open.repeat(20_000),
            close.repeat(20_000)
        );
        let (names, diagnostics) = parsed(&text);
        assert_eq!(names, ["C", "C.f!", "C.g"], "{open}");
        assert_eq!(diagnostics[0].message, "nested too deeply", "{open}");
    }
}

#[test]
fn a_chain_of_two_hundred_thousand_terms_costs_its_item() {
    let chain = vec!["1"; 200_000].join(" + ");
    let (names, diagnostics) = parsed(&format!(
        "contract C {{ uint x = {chain}; function g() public {{ y = {chain}; }} uint z; }}"
    ));
    assert_eq!(names, ["C", "C.g!", "C.z"]);
    assert_eq!(diagnostics.len(), 2);
}

#[test]
fn a_long_list_and_a_long_body_are_not_deep() {
    let list = vec!["1"; 50_000].join(", ");
    let body = "x = 1; ".repeat(20_000);
    reads(
        &format!("contract C {{ uint[] l = [{list}]; function f() public {{ {body} }} }}"),
        &["C", "C.l", "C.f"],
    );
}

#[test]
fn imports_are_found_without_a_valid_file() {
    let text = "import \"a.sol\"; import {B as D} from './b.sol'; contract C { broken ) } import * as e from \"e.sol\";";
    let paths: Vec<_> = import_paths(text, FileId(0)).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["a.sol", "./b.sol", "e.sol"]);
}

const PIECES: &[&str] = &[
    "contract C {",
    "function f(",
    ")",
    "{",
    "}",
    "(",
    "[",
    "]",
    ";",
    ",",
    "assembly {",
    "let x := ",
    "=:",
    "throw",
    "var (",
    "if",
    "else",
    "\"",
    "'",
    "/*",
    "*/",
    "//",
    "\n",
    "layout at",
    "transient",
    "instance",
    "uint",
    "=",
    "x",
    "1",
    "import",
    "pragma",
    "function() {",
    "\u{e9}",
    "\u{20ac}",
    "unicode\"",
    "hex\"",
    "mapping(",
    "=>",
    "try",
    "catch",
    ".",
    "new",
    "0x",
    "1e",
    "fallback",
    "receive(",
    "calldata",
    "struct S {",
    "using {",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_soup_of_tokens_is_survived(pieces in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.iter().map(|piece| format!("{} ", PIECES[*piece])).collect();
        let (program, _) = crate::hir::project(&[("soup.sol", &text)]);
        let facts = crate::facts::Facts::new(&program);
        facts.reentrancies();
        facts.self_destructs();
    }
}
