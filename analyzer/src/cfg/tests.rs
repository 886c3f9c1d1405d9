//! One small source per language feature, and the statements that it becomes.

use crate::facts::{EntryPoint, Facts};
use crate::hir::Program;
use crate::hir::single;

fn find_function(program: &Program, name: &str) -> crate::hir::FunctionId {
    program
        .function_ids()
        .find(|id| program.function_name(*id) == name)
        .expect("the source declares it")
}

fn ir(source: &str, function: &str) -> String {
    let program = single(source);
    let facts = Facts::new(&program);
    facts.ir_text(find_function(&program, function)).expect("it has a body")
}

fn composed(source: &str, contract: &str, function: &str) -> String {
    let program = single(source);
    let facts = Facts::new(&program);
    let contract = program
        .contract_ids()
        .find(|id| program.contract_name(*id) == contract)
        .expect("the source declares it");
    let function = find_function(&program, function);
    facts.view_text(EntryPoint { contract, function }).expect("it has a body")
}

#[test]
fn loops_break_and_continue() {
    insta::assert_snapshot!(ir("contract C { function f(uint n) external pure returns (uint s) { for (uint i = 0; i < n; i++) { if (i == 3) continue; if (s > 9) break; s += i; } } }", "C.f"), @r"
bb0:
  s.1 = zero
  i.2 = 0
  goto bb1
bb1:
  %3 = i.2 < n.0
  if %3 then bb2 else bb4
bb2:
  %4 = i.2 == 3
  if %4 then bb5 else bb6
bb3:
  %7 = i.2
  %8 = %7 + 1
  i.2 = %8
  goto bb1
bb4:
  return
bb5:
  goto bb3
bb6:
  goto bb7
bb7:
  %5 = s.1 > 9
  if %5 then bb8 else bb9
bb8:
  goto bb4
bb9:
  goto bb10
bb10:
  %6 = s.1 + i.2
  s.1 = %6
  goto bb3
");
}

#[test]
fn while_and_do() {
    insta::assert_snapshot!(ir("contract C { uint n; function f() external { while (n > 0) { n--; } do { n++; } while (n < 5); } }", "C.f"), @r"
bb0:
  goto bb1
bb1:
  %0 = load n
  %1 = %0 > 0
  if %1 then bb2 else bb3
bb2:
  %2 = load n
  %3 = %2 - 1
  store n = %3
  goto bb1
bb3:
  goto bb4
bb4:
  %4 = load n
  %5 = %4 + 1
  store n = %5
  goto bb5
bb5:
  %6 = load n
  %7 = %6 < 5
  if %7 then bb4 else bb6
bb6:
  return
");
}

#[test]
fn short_circuits_become_edges() {
    insta::assert_snapshot!(ir("contract C { bool a; bool b; function f() external returns (bool r) { if (a && !b || b) { r = true; } r = a && b; } }", "C.f"), @r"
bb0:
  r.0 = zero
  %1 = load a
  if %1 then bb5 else bb4
bb1:
  r.0 = true
  goto bb3
bb2:
  goto bb3
bb3:
  %5 = load a
  if %5 then bb6 else bb7
bb4:
  %3 = load b
  if %3 then bb1 else bb2
bb5:
  %2 = load b
  if %2 then bb4 else bb1
bb6:
  %6 = load b
  %4 = %6
  goto bb8
bb7:
  %4 = false
  goto bb8
bb8:
  r.0 = %4
  return
");
}

#[test]
fn a_conditional_assigns_one_temporary() {
    insta::assert_snapshot!(ir("contract C { uint x; function f(bool c) external returns (uint) { return c ? x : 2; } }", "C.f"), @r"
bb0:
  if c.0 then bb1 else bb2
bb1:
  %2 = load x
  %3 = %2
  goto bb3
bb2:
  %3 = 2
  goto bb3
bb3:
  %1 = %3
  return
");
}

#[test]
fn require_with_an_error_checks_before_it_builds() {
    insta::assert_snapshot!(ir("contract C { error No(uint); uint x; function f() external { require(x > 1, No(x)); x = 2; } }", "C.f"), @r"
bb0:
  %0 = load x
  %1 = %0 > 1
  if %1 then bb1 else bb2
bb1:
  store x = 2
  return
bb2:
  %2 = load x
  %3 = error(%2)
  revert
");
}

#[test]
fn try_and_catch() {
    insta::assert_snapshot!(ir("interface I { function g() external returns (uint); } contract C { uint x; function f(I i) external { try i.g() returns (uint v) { x = v; } catch Error(string memory) { x = 1; } catch { x = 2; } } }", "C.f"), @r"
bb0:
  %1, %2 = external fn I.g on i.0() may fail
  if %2 then bb1 else bb2
bb1:
  v.3 = %1
  store x = v.3
  goto bb3
bb2:
  if ? then bb4 else bb5
bb3:
  return
bb4:
  %4 = returned_data(%2)
  store x = 1
  goto bb3
bb5:
  store x = 2
  goto bb3
");
}

#[test]
fn try_without_returns() {
    insta::assert_snapshot!(ir("interface I { function g() external; } contract C { uint x; function f(I i) external { try i.g() { x = 1; } catch { x = 2; } } }", "C.f"), @r"
bb0:
  %1 = external fn I.g on i.0() may fail
  if %1 then bb1 else bb2
bb1:
  store x = 1
  goto bb3
bb2:
  store x = 2
  goto bb3
bb3:
  return
");
}

#[test]
fn modifier_arguments_and_placeholder() {
    insta::assert_snapshot!(ir("contract C { uint x; modifier m(uint a) { require(a > x); _; x = a; } function f(uint b) external m(b + 1) { x = 7; } }", "C.f"), @r"
modifier C.m(%1) from bb1 to bb1
bb0:
  store x = 7
  return
bb1:
  %1 = b.0 + 1
  end
");
}

#[test]
fn storage_references_keep_their_path() {
    insta::assert_snapshot!(ir("contract C { struct S { uint a; uint[] l; } mapping(address => S) m; function f() external { S storage s = m[msg.sender]; s.a = s.a + 1; s.l.push(4); delete s.l[0]; } }", "C.f"), @r"
bb0:
  s.0 = &m[msg.sender]
  %1 = load *s.0.a
  %2 = %1 + 1
  store *s.0.a = %2
  %3 = load *s.0.l.length
  %4 = %3 + 1
  store *s.0.l[%3] = 4
  store *s.0.l.length = %4
  store *s.0.l[0] = zero
  return
");
}

#[test]
fn memory_elements_update_their_variable() {
    insta::assert_snapshot!(ir("contract C { struct S { uint a; } function f() external pure returns (uint) { S memory s = S({a: 1}); s.a = 2; uint[] memory l = new uint[](2); l[0] = s.a; return l[0]; } }", "C.f"), @r#"
bb0:
  %1 = struct(1)
  s.2 = %1
  %3 = field(s.2, "a")
  s.2 = update(s.2, 2, "a")
  %4 = allocate(2)
  l.5 = %4
  %6 = field(s.2, "a")
  %7 = element(l.5, 0)
  l.5 = update(l.5, %6, 0)
  %8 = element(l.5, 0)
  %0 = %8
  return
"#);
}

#[test]
fn low_level_calls_old_and_new() {
    insta::assert_snapshot!(ir(r#"contract C { function f(address payable a) external { (bool ok, bytes memory d) = a.call{value: 1, gas: 5000}("x"); a.delegatecall(d); a.staticcall(d); a.transfer(1); ok = a.send(2); a.call.value(3).gas(4)(); } }"#, "C.f"), @r#"
bb0:
  %1, %2 = call on a.0("x") value 1 gas 5000 may fail
  ok.3 = %1
  d.4 = %2
  %5, %6 = delegatecall on a.0(d.4) may fail
  %7, %8 = staticcall on a.0(d.4) may fail
  transfer on a.0() value 1 gas stipend
  %9 = send on a.0() value 2 gas stipend may fail
  ok.3 = %9
  %10, %11 = call on a.0() value 3 gas stipend may fail
  return
"#);
}

#[test]
fn external_calls_know_their_target() {
    insta::assert_snapshot!(ir("interface I { function g(uint) external; function v() external view returns (uint); } contract C { I i; function f() external { i.g(i.v()); this.h(); } function h() external {} }", "C.f"), @r"
bb0:
  %0 = load i
  %1 = load i
  %2 = external view fn I.v on %1()
  external fn I.g on %0(%2)
  external fn C.h on this()
  return
");
}

#[test]
fn overloads_are_chosen_by_type() {
    insta::assert_snapshot!(ir("contract C { function g(uint) internal {} function g(address) internal {} function f() external { g(1); g(msg.sender); } }", "C.f"), @r"
bb0:
  virtual C.g{uint256}(1)
  virtual C.g{address}(msg.sender)
  return
");
}

#[test]
fn library_functions_attached() {
    insta::assert_snapshot!(ir("library L { function inc(uint a, uint b) internal pure returns (uint) { return a + b; } } contract C { using L for uint; uint x; function f() external { x = x.inc(2); } }", "C.f"), @r"
bb0:
  %0 = load x
  %1 = L.inc(%0, 2)
  store x = %1
  return
");
}

#[test]
fn operators_of_user_types() {
    insta::assert_snapshot!(ir("type T is uint; using {add as +} for T global; function add(T a, T b) pure returns (T) { return T.wrap(T.unwrap(a) + T.unwrap(b)); } contract C { T x; function f(T y) external { x = x + y; } }", "C.f"), @r"
bb0:
  %1 = load x
  %2 = add(%1, y.0)
  store x = %2
  return
");
}

#[test]
fn tuples_swap() {
    insta::assert_snapshot!(ir("contract C { uint a; uint b; function f() external { (a, b) = (b, a); } }", "C.f"), @r"
bb0:
  %0 = load b
  %1 = load a
  store a = %0
  store b = %1
  return
");
}

#[test]
fn new_contracts_and_values() {
    insta::assert_snapshot!(ir("contract D { constructor(uint) payable {} } contract C { D d; function f() external payable { d = new D{value: msg.value}(3); } }", "C.f"), @r"
bb0:
  %0 = new D(3) value msg.value
  store d = %0
  return
");
}

#[test]
fn selfdestruct_ends_the_call() {
    insta::assert_snapshot!(ir("contract C { uint x; function f() external { selfdestruct(payable(msg.sender)); x = 1; } }", "C.f"), @r"
bb0:
  selfdestruct(msg.sender)
  stop
");
}

#[test]
fn assembly_is_the_same_statements() {
    insta::assert_snapshot!(ir("contract C { uint x; function f(address a) external { assembly { let v := sload(x.slot) if iszero(v) { revert(0, 0) } sstore(x.slot, add(v, 1)) tstore(0, 1) switch v case 1 { pop(call(gas(), a, v, 0, 0, 0, 0)) } default { selfdestruct(a) } } } }", "C.f"), @r"
bb0:
  %1 = load x
  v.2 = %1
  %3 = not(v.2)
  if %3 then bb1 else bb2
bb1:
  revert
bb2:
  %4 = v.2 +% 1
  store x = %4
  store tslot(0) = 1
  %5 = v.2 == 1
  if %5 then bb4 else bb5
bb3:
  return
bb4:
  %7, %8 = call on a.0(memory.6, 0, 0) value v.2 may fail
  memory.6 = update(memory.6, %8)
  goto bb3
bb5:
  selfdestruct(a.0)
  stop
");
}

#[test]
fn assembly_functions_and_loops() {
    insta::assert_snapshot!(ir("contract C { function f(uint n) external pure returns (uint r) { assembly { function sq(a) -> b { if gt(a, 9) { leave } b := mul(a, a) } for { let i := 0 } lt(i, n) { i := add(i, 1) } { if eq(i, 5) { break } r := add(r, sq(i)) } } } }", "C.f"), @r"
bb0:
  r.1 = zero
  i.2 = 0
  goto bb1
bb1:
  %3 = i.2 < n.0
  if %3 then bb2 else bb4
bb2:
  %4 = i.2 == 5
  if %4 then bb5 else bb6
bb3:
  %10 = i.2 +% 1
  i.2 = %10
  goto bb1
bb4:
  return
bb5:
  goto bb4
bb6:
  a.5 = i.2
  b.6 = 0
  %7 = a.5 > 9
  if %7 then bb8 else bb9
bb7:
  %9 = r.1 +% b.6
  r.1 = %9
  goto bb3
bb8:
  goto bb7
bb9:
  %8 = a.5 *% a.5
  b.6 = %8
  goto bb7
");
}

#[test]
fn throw_and_var_of_old() {
    insta::assert_snapshot!(ir("contract C { uint x; function g() returns (uint, uint) { return (1, 2); } function f() { var (a, b) = g(); var c = a; if (c > b) throw; x = now + 1 years; } }", "C.f"), @r"
bb0:
  %0, %1 = virtual C.g()
  a.2 = %0
  b.3 = %1
  c.4 = a.2
  %5 = c.4 > b.3
  if %5 then bb1 else bb2
bb1:
  revert
bb2:
  goto bb3
bb3:
  %6 = block.timestamp + 1 years
  store x = %6
  return
");
}

#[test]
fn emit_with_and_without_the_word() {
    insta::assert_snapshot!(ir("contract C { event E(address indexed who, uint n); function f() public { emit E(msg.sender, 1); E(msg.sender, 2); } }", "C.f"), @r"
bb0:
  emit E(msg.sender, 1)
  emit E(msg.sender, 2)
  return
");
}

#[test]
fn function_pointers() {
    insta::assert_snapshot!(ir("contract C { function g(uint a) internal pure returns (uint) { return a; } function f() external pure returns (uint) { function (uint) internal pure returns (uint) p = g; return p(2); } }", "C.f"), @r"
bb0:
  p.1 = fn C.g
  %2 = pointer p.1(2)
  %0 = %2
  return
");
}

#[test]
fn virtual_calls_reach_the_most_derived() {
    insta::assert_snapshot!(composed("contract A { uint x; function g() internal virtual { x = 1; } function f() external { g(); } } contract B is A { function g() internal override { x = 2; super.g(); } }", "B", "A.f"), @r"
bb0:
  store x = 2
  store x = 1
  goto bb3
bb1:
  return
bb2:
  goto bb1
bb3:
  goto bb2
");
}

#[test]
fn modifiers_wrap_in_order() {
    insta::assert_snapshot!(composed("contract C { uint x; modifier a() { x = 1; _; x = 2; } modifier b() { x = 3; _; x = 4; } function f() external a b { x = 5; } }", "C", "C.f"), @r"
bb0:
  goto bb1
bb1:
  store x = 1
  goto bb3
bb2:
  return
bb3:
  store x = 3
  store x = 5
  goto bb5
bb4:
  store x = 2
  goto bb2
bb5:
  store x = 4
  goto bb4
");
}

#[test]
fn a_modifier_may_return_early() {
    insta::assert_snapshot!(composed("contract C { uint x; modifier m() { if (x == 1) { return; } _; } function f() external m returns (uint) { x = 2; return 3; } }", "C", "C.f"), @r"
bb0:
  goto bb1
bb1:
  %1 = load x
  %2 = %1 == 1
  if %2 then bb3 else bb2
bb2:
  goto bb4
bb3:
  goto bb5
bb4:
  store x = 2
  %0 = 3
  goto bb6
bb5:
  return
bb6:
  goto bb5
");
}

#[test]
fn immutables_are_written_by_the_constructor() {
    let source = "contract C { uint immutable cap; constructor(uint c) { cap = c * 2; } function f() external view returns (uint) { return cap; } }";
    insta::assert_snapshot!(ir(source, "C.constructor"), @r"
bb0:
  %1 = c.0 * 2
  store cap = %1
  return
");
    insta::assert_snapshot!(ir(source, "C.f"), @r"
bb0:
  %0 = cap
  return
");
}

#[test]
fn what_is_private_to_a_base_is_not_meant() {
    // Both bases have a `vm`, and the contract sees the one that is not private.
    let source = "interface Less {} interface More { function go() external; } contract A { More internal vm; } contract B { Less private vm; function g() private {} } contract C is A, B { function f() external { vm.go(); g(); } function g() internal {} }";
    insta::assert_snapshot!(ir(source, "C.f"), @r"
bb0:
  %0 = load A::vm
  external fn More.go on %0()
  virtual C.g()
  return
");
}
