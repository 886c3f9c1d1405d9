//! Names across files, linearisation, layout.

use std::collections::BTreeMap;

use super::*;

/// The program of one source, which has to be read without a complaint.
pub(crate) fn single(text: &str) -> Program {
    let (program, diagnostics) = project(&[("main.sol", text)]);
    assert_eq!(diagnostics, []);
    program
}

/// A program of several files that import each other by their plain names.
pub(crate) fn project(files: &[(&str, &str)]) -> (Program, Vec<Diagnostic>) {
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let sources = files
        .iter()
        .enumerate()
        .map(|(index, (name, text))| {
            let id = FileId(index as u32);
            let imports: BTreeMap<_, _> = crate::syntax::import_paths(text, id)
                .into_iter()
                .map(|(path, _)| {
                    let target =
                        names.iter().position(|name| *name == path).map(|at| FileId(at as u32));
                    (path, target)
                })
                .collect();
            Source { id, path: PathBuf::from(name), text: Arc::from(*text), imports }
        })
        .collect();
    Program::build(sources)
}

fn contract(program: &Program, name: &str) -> ContractId {
    program
        .contract_ids()
        .find(|id| program.contract_name(*id) == name)
        .expect("the source declares it")
}

fn order(program: &Program, name: &str) -> String {
    let order = &program.contract(contract(program, name)).linearisation;
    order.iter().map(|id| program.contract_name(*id)).collect::<Vec<_>>().join(" ")
}

fn layout(text: &str, name: &str) -> String {
    let program = single(text);
    let layout = program.storage_layout(contract(&program, name)).expect("all types are known");
    layout
        .iter()
        .map(|entry| {
            let mark = if entry.is_transient { "t" } else { "" };
            format!(
                "{}@{mark}{}.{}",
                program.variable_name(entry.variable),
                entry.slot,
                entry.offset_bytes
            )
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn bases_are_searched_from_the_last_named() {
    let program =
        single("contract A {} contract B is A {} contract C is A {} contract D is B, C {}");
    assert_eq!(order(&program, "D"), "D C B A");
}

#[test]
fn bases_that_contradict_each_other_are_said_and_used_as_written() {
    let (program, diagnostics) =
        project(&[("main.sol", "contract A {} contract B is A {} contract C is B, A {}")]);
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].message, "bases have no consistent order");
    assert_eq!(order(&program, "C"), "C A B");
}

#[test]
fn contracts_that_derive_from_each_other_end() {
    let (program, _) = project(&[("main.sol", "contract A is B {} contract B is A {}")]);
    assert_eq!(program.contract_ids().count(), 2);
}

#[test]
fn imports_bring_all_some_or_a_namespace() {
    let files = [
        ("a.sol", "contract A {} contract Hidden {}"),
        ("b.sol", "import {A as Renamed} from 'a.sol'; contract B is Renamed {}"),
        ("c.sol", "import * as Lib from 'a.sol'; import 'b.sol'; contract C is Lib.Hidden, B {}"),
    ];
    let (program, diagnostics) = project(&files);
    assert_eq!(diagnostics, []);
    assert_eq!(order(&program, "C"), "C B A Hidden");
}

#[test]
fn files_that_import_each_other_see_each_other() {
    let files = [
        ("a.sol", "import 'b.sol'; contract A is Base {} contract Other {}"),
        ("b.sol", "import 'a.sol'; contract Base {} contract B is Other {}"),
    ];
    let (program, diagnostics) = project(&files);
    assert_eq!(diagnostics, []);
    assert_eq!(
        (order(&program, "A").as_str(), order(&program, "B").as_str()),
        ("A Base", "B Other")
    );
}

#[test]
fn a_missing_import_makes_its_names_unknown_and_is_no_error_here() {
    let (program, diagnostics) =
        project(&[("a.sol", "import 'gone.sol'; contract A is Gone { uint x; }")]);
    assert_eq!(diagnostics, []);
    let id = contract(&program, "A");
    assert!(program.contract(id).has_unknown_base);
    assert_eq!(program.storage_layout(id), None);
}

#[test]
fn an_unknown_base_is_said_where_nothing_is_missing() {
    let (_, diagnostics) = project(&[("a.sol", "contract A is Gone {}")]);
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].message, "unknown base contract");
}

#[test]
fn small_variables_share_a_slot() {
    let text = "contract C { uint128 a; uint64 b; bool c; address d; uint256 e; bytes1 f; mapping(uint => uint) g; uint8 h; }";
    assert_eq!(layout(text, "C"), "a@0.0 b@0.16 c@0.24 d@1.0 e@2.0 f@3.0 g@4.0 h@5.0");
}

#[test]
fn bases_come_first_and_constants_take_no_room() {
    let text = "contract A { uint a; } contract B { uint8 b; } contract C is A, B { uint constant K = 1; uint immutable i = 2; uint8 c; }";
    assert_eq!(layout(text, "C"), "a@0.0 b@1.0 c@1.1");
}

#[test]
fn structs_and_fixed_arrays_take_whole_slots() {
    let text = "contract C { struct S { uint8 a; uint256 b; } uint8 x; S s; uint8 y; uint64[5] l; uint8 z; uint[2 * 2] m; bool q; }";
    assert_eq!(layout(text, "C"), "x@0.0 s@1.0 y@3.0 l@4.0 z@6.0 m@7.0 q@11.0");
}

#[test]
fn transient_storage_is_numbered_apart() {
    assert_eq!(
        layout("contract C { uint a; uint transient b; bool transient c; uint d; }", "C"),
        "a@0.0 b@t0.0 c@t1.0 d@1.0"
    );
}

#[test]
fn user_types_and_enums_are_as_wide_as_what_they_hold() {
    let text = "type T is uint64; contract C { enum E { A, B } T t; E e; function() external f; }";
    assert_eq!(layout(text, "C"), "t@0.0 e@0.8 f@1.0");
}

#[test]
fn a_struct_that_holds_itself_has_no_size() {
    let program = single("contract C { struct S { S s; } S s; }");
    assert_eq!(program.storage_layout(contract(&program, "C")), None);
}
