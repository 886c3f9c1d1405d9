//! Who calls whom.

use super::*;

/// The calls that a function holds, as `form text -> targets`.
fn calls(text: &str, caller: &str) -> Vec<String> {
    let program = single(text);
    let facts = Facts::new(&program);
    let id = program
        .function_ids()
        .find(|id| program.function_name(*id) == caller)
        .expect("the source declares it");
    let sites = facts.call_graph().from(Caller::Function(id));
    sites
        .map(|site| {
            let targets: Vec<_> =
                site.targets.iter().map(|target| program.function_name(*target)).collect();
            let open = if site.is_open { " or others" } else { "" };
            format!("{:?} {} -> {}{open}", site.form, program.text(site.span), targets.join(", "))
        })
        .collect()
}

#[test]
fn virtual_calls_reach_every_override_that_can_run() {
    let text = "abstract contract A { modifier m() virtual { _; } function f() external m { g(); h(); } function g() internal virtual; function h() private {} } contract B is A { function g() internal override {} } contract C is A { modifier m() override { _; } function g() internal virtual override {} } contract D is C { function g() internal override { super.g(); } }";
    assert_eq!(
        calls(text, "A.f"),
        ["Modifier m -> A.m, C.m", "Internal g() -> B.g, C.g, D.g", "Internal h() -> A.h"]
    );
    assert_eq!(calls(text, "D.g"), ["Internal super.g() -> C.g"]);
}

#[test]
fn calls_of_others_and_what_is_not_found_stay_in_the_graph() {
    let text = "interface I { function f() external; } contract B is I { function f() external {} } contract C { I i; function(uint) internal p; function g(address a) external { i.f(); a.call(\"\"); a.delegatecall(\"\"); a.staticcall(\"\"); p(1); new B(); nowhere(); } }";
    assert_eq!(
        calls(text, "C.g"),
        [
            "External i.f() -> I.f, B.f or others",
            "LowLevel a.call(\"\") ->  or others",
            "Delegate a.delegatecall(\"\") ->  or others",
            "Static a.staticcall(\"\") ->  or others",
            "Pointer p(1) ->  or others",
            "Create new B() -> ",
            "Unresolved nowhere() ->  or others",
        ]
    );
    let program = single(text);
    let facts = Facts::new(&program);
    let implementation = program
        .function_ids()
        .find(|id| program.function_name(*id) == "B.f")
        .expect("the source declares it");
    assert_eq!(facts.call_graph().to(implementation).count(), 1);
}

#[test]
fn initialisers_call_too() {
    let text =
        "contract C { uint a = f(); function f() internal pure returns (uint) { return 1; } }";
    let program = single(text);
    let facts = Facts::new(&program);
    let sites = facts.call_graph().sites();
    assert_eq!(sites.len(), 1);
    assert!(matches!(sites[0].caller, Caller::Variable(id) if program.variable_name(id) == "a"));
    assert_eq!(sites[0].targets.len(), 1);
}
