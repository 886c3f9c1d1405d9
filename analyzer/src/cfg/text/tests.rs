//! What is printed reads back, and what is no body is refused without a panic.

use std::path::Path;

use petgraph::graph::{DiGraph, NodeIndex};
use proptest::prelude::*;

use super::super::ir::*;
use super::super::{Calls, compose};
use super::*;
use crate::facts::Facts;
use crate::hir::{
    ArrayLength, ContractId, EnumId, FunctionId, FunctionType, Program, Source, StructId, Type,
    UserTypeId, VariableId, project, single,
};
use crate::project::{Project, ProjectOptions};
use crate::syntax::ast::{BinaryOp, Location, UnaryOp};
use crate::syntax::{FileId, Span};

/// Prints, reads, and compares everything but blocks that cannot be reached.
#[track_caller]
fn check_round_trip(names: &Names<'_>, context: Option<ContractId>, body: &Body) -> Body {
    let printed = Printer::new(names, context, body).document(Spans::Kept);
    let (read_context, read) = match parse(names, &printed) {
        Ok(read) => read,
        Err(error) => panic!("{error}\n{printed}"),
    };
    assert_eq!(read_context, context);
    let again = Printer::new(names, context, &read).document(Spans::Kept);
    assert_eq!(printed, again);
    assert_eq!(format!("{:?}", body.locals), format!("{:?}", read.locals), "{printed}");
    assert_eq!((&body.params, &body.returns), (&read.params, &read.returns));
    assert_eq!(body.is_partial, read.is_partial);
    let statements = |body: &Body| {
        let printer = Printer::new(names, context, body);
        let mut blocks: Vec<String> = Vec::new();
        for (node, label) in printer.labels() {
            let block = &body.graph[node];
            blocks.push(format!("{label} {:?} {:?}", block.statements, block.end));
        }
        blocks
    };
    assert_eq!(statements(body), statements(&read), "{printed}");
    read
}

/// Every function alone, with its modifiers, and with everything in place.
fn check_program(program: &Program) -> usize {
    let facts = Facts::new(program);
    let names = Names::new(program);
    let bodies: Vec<Option<Body>> =
        program.function_ids().map(|id| facts.body(id).cloned()).collect();
    let mut n_bodies = 0;
    for id in program.function_ids() {
        let context = program.function(id).contract;
        let Some(body) = facts.body(id) else { continue };
        check_round_trip(&names, context, body);
        n_bodies += 1;
    }
    for entry in facts.entry_points() {
        for calls in [Calls::Kept, Calls::InPlace] {
            let view = compose(program, &bodies, entry.contract, entry.function, calls);
            let view = view.expect("entry points have bodies");
            check_round_trip(&names, Some(entry.contract), &view.body);
            n_bodies += 1;
        }
    }
    n_bodies
}

#[test]
fn every_function_of_the_fixtures_reads_back() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let options = ProjectOptions {
        base: fixtures.clone(),
        paths: vec![fixtures],
        ..ProjectOptions::default()
    };
    let project = Project::read(&options).expect("there is no glob to be wrong");
    let (program, _) = Program::build(Source::of_project(&project));
    let n_bodies = check_program(&program);
    assert!(n_bodies > 400, "the fixtures hold more than {n_bodies} functions and entry points");
}

#[test]
fn names_that_hide_each_other_read_back() {
    let a = "contract Token { uint private count; function add() public virtual { count += 1; } }";
    let b = r#"import "a.sol" as A;
uint constant slot = 7;
uint constant load = 8;
struct S { uint length; uint[] list; }
library L { uint constant MASK = 3; function at(S storage s, uint i) internal returns (uint) { return s.list[i] & MASK; } }
contract Token is A.Token {
    uint count; uint zero; S s; S[] all;
    function add() public override { super.add(); count = zero + slot + load; all[1].length = s.list.length; }
    function f(uint a) public returns (uint) { return L.at(s, a); }
    function f(address a) public returns (bytes memory) { (bool ok, bytes memory d) = a.call{value: 1 ether}("\"\n\u{7}x"); return d; }
    function update(uint a) public { update2(a); assembly { let y := sload(a) sstore(a, not(y)) } }
    function update2(uint a) internal { count = a > 2 ? 1e18 : 0x1f; delete all; }
}
function update(uint a) pure returns (uint) { return a; }
contract User { function g(Token t) external { t.add(); update(3); try t.f(1) returns (uint r) { r; } catch {} } }
"#;
    let (program, diagnostics) = project(&[("a.sol", a), ("b.sol", b)]);
    assert_eq!(diagnostics, []);
    assert!(check_program(&program) > 10);
    let facts = Facts::new(&program);
    let entry = facts.entry_points().iter().find(|entry| {
        program.function_name(entry.function) == "Token.add"
            && program.contract(entry.contract).linearisation.len() == 2
    });
    let entry = entry.expect("the derived token has it");
    insta::assert_snapshot!(facts.view_text(*entry).expect("it has a body"), @r"
bb0:
  %4 = load Token::count
  %5 = %4 + 1
  store Token::count = %5
  goto bb2
bb1:
  return
bb2:
  %0 = load Token#2::zero
  %1 = %0 + ::slot
  %2 = %1 + ::load
  store count = %2
  %3 = load s.list.length
  store all[1].field(length) = %3
  goto bb1
");
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let program = single("contract C { uint x; function f(uint a) external { x = a; } }");
    let names = Names::new(&program);
    let head = "on C\nlocal a.0: uint256 param\nentry bb0\nbb0:\n";
    let refused = |text: String| match parse(&names, &text) {
        Ok(_) => panic!("this is no body: {text}"),
        Err(error) => error.to_string(),
    };
    insta::assert_snapshot!(refused(String::new()), @"line 1, column 1: expected a line `entry bb0`");
    insta::assert_snapshot!(refused("on D\n".to_owned()), @"line 1, column 5: expected `on` and a contract of the program, or `nothing`");
    insta::assert_snapshot!(refused("on C\nlocal a.1: uint256\n".to_owned()), @"line 2, column 7: expected a local with the number 0: `%0` or `name.0`");
    insta::assert_snapshot!(refused("on C\nlocal a.0: uint257\n".to_owned()), @"line 2, column 12: expected a type");
    insta::assert_snapshot!(refused(format!("{head}  store x = b.1\n  return\n")), @"line 5, column 13: expected an operand: a local, a variable in scope, a constant");
    insta::assert_snapshot!(refused(format!("{head}  store y = a.0\n  return\n")), @"line 5, column 9: expected an operand: a local, a variable in scope, a constant");
    insta::assert_snapshot!(refused(format!("{head}  a.0 = a.0 + a.0 + a.0\n  return\n")), @"line 5, column 18: expected the end of the line");
    insta::assert_snapshot!(refused(format!("{head}  C.g(a.0)\n  return\n")), @"line 5, column 3: expected a function of the program");
    insta::assert_snapshot!(refused(format!("{head}  store x = a.0\n")), @"line 4, column 1: expected the block to end");
    insta::assert_snapshot!(refused(format!("{head}  goto bb7\n")), @"line 5, column 1: expected a block that is called `bb7`");
    insta::assert_snapshot!(refused(format!("{head}  return\nbb0:\n  return\n")), @"line 6, column 1: expected a label that no other block has");
    insta::assert_snapshot!(refused(format!("{head}  unresolved \"a\n  return\n")), @"line 5, column 16: expected a quote that ends the text");
}

#[test]
fn nesting_is_bounded() {
    let program = single("contract C { mapping(uint => uint) x; }");
    let names = Names::new(&program);
    for (open, close) in [("&x[", "]"), ("&slot(", ")"), ("&tslot(&x[", "])")] {
        let operand = format!("{}0{}", open.repeat(50_000), close.repeat(50_000));
        let text = format!("on C\nentry bb0\nbb0:\n  store x = {operand}\n  return\n");
        assert!(parse(&names, &text).is_err());
    }
    for (open, close) in
        [("mapping(bool => ", ")"), ("(", ")"), ("", "[]"), ("function(", ") returns ()")]
    {
        let ty = format!("{}bool{}", open.repeat(50_000), close.repeat(50_000));
        assert!(
            parse(&names, &format!("on C\nlocal %0: {ty}\nentry bb0\nbb0:\n  return\n")).is_err()
        );
    }
}

/// What generated bodies are about: every kind of declaration, some with one name.
const WORLD: &str = r#"
uint constant LIMIT = 3; uint constant emit_ = 4;
enum E { A } type U is uint; struct S { uint length; uint b; } event Ev(uint);
interface I { function g(uint) external; function h() external view; }
library L { function keccak(uint a) internal {} }
function element(uint a) {}
contract B { uint hidden; S s; mapping(uint => S) m; modifier mod(uint a) { _; } constructor(uint a) {} function f(uint a) public virtual {} }
contract C is B(1) { uint hidden; uint zero; bool b; function f(uint a) public override {} function f(bool a) public {} fallback() external {} }
"#;

fn pick<T: Clone + std::fmt::Debug + 'static>(from: Vec<T>) -> impl Strategy<Value = T> {
    prop::sample::select(from)
}

fn types(program: &Program) -> BoxedStrategy<Type> {
    let n_contracts = program.contracts.len() as u32;
    let leaf = prop_oneof![
        pick(vec![
            Type::Unknown,
            Type::Bool,
            Type::Address,
            Type::Bytes,
            Type::String,
            Type::Number,
            Type::Struct(StructId(0)),
            Type::Enum(EnumId(0)),
            Type::User(UserTypeId(0)),
        ]),
        (1_u16..=32).prop_map(|bytes| Type::Uint(bytes * 8)),
        (1_u16..=32).prop_map(|bytes| Type::Int(bytes * 8)),
        (1_u8..=32).prop_map(Type::FixedBytes),
        (0..n_contracts).prop_map(|id| Type::Contract(ContractId(id))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let length = prop_oneof![
            Just(ArrayLength::Dynamic),
            Just(ArrayLength::FixedUnknown),
            any::<u64>().prop_map(ArrayLength::Fixed)
        ];
        let list = prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            (inner.clone(), inner.clone())
                .prop_map(|(key, value)| Type::Mapping(Box::new(key), Box::new(value))),
            (inner, length).prop_map(|(element, length)| Type::Array(Box::new(element), length)),
            (list.clone(), list.clone(), any::<bool>()).prop_map(
                |(params, returns, is_external)| {
                    Type::Function(Box::new(FunctionType { params, returns, is_external }))
                }
            ),
            list.prop_map(Type::Tuple),
        ]
    })
    .boxed()
}

/// Numbers of the declarations that operands name.
#[derive(Clone, Copy)]
struct World {
    n_locals: u32,
    n_variables: u32,
    n_functions: u32,
    n_contracts: u32,
    n_blocks: usize,
}

impl World {
    fn local(self) -> impl Strategy<Value = LocalId> {
        (0..self.n_locals).prop_map(LocalId)
    }

    fn function(self) -> impl Strategy<Value = FunctionId> {
        (0..self.n_functions).prop_map(FunctionId)
    }

    fn contract(self) -> impl Strategy<Value = ContractId> {
        (0..self.n_contracts).prop_map(ContractId)
    }

    fn operand(self) -> BoxedStrategy<Operand> {
        let constant = prop_oneof![
            any::<bool>().prop_map(Constant::Bool),
            "(-?[0-9]{1,20}( (ether|days))?|0x[0-9a-f]{1,8}|[0-9]\\.[0-9]|\\PC{0,6})"
                .prop_map(Constant::Number),
            any::<String>().prop_map(Constant::Text),
            (0..self.n_variables).prop_map(|id| Constant::Variable(VariableId(id))),
            self.function().prop_map(Constant::Function),
            Just(Constant::Default),
            Just(Constant::Unknown),
        ];
        let environment = prop_oneof![
            pick(vec![
                Environment::Sender,
                Environment::Origin,
                Environment::Value,
                Environment::Data,
                Environment::This
            ]),
            pick(BLOCK.to_vec()).prop_map(Environment::Block),
        ];
        let leaf = prop_oneof![
            3 => self.local().prop_map(Operand::Local),
            2 => constant.prop_map(Operand::Constant),
            1 => environment.prop_map(Operand::Environment),
        ];
        leaf.prop_recursive(2, 6, 2, move |inner| {
            self.place_of(inner).prop_map(|place| Operand::Storage(Box::new(place)))
        })
        .boxed()
    }

    fn place_of(self, operand: BoxedStrategy<Operand>) -> BoxedStrategy<Place> {
        let root = prop_oneof![
            2 => (0..self.n_variables).prop_map(|id| Root::Variable(VariableId(id))),
            1 => self.local().prop_map(Root::Reference),
            1 => (operand.clone(), any::<bool>())
                .prop_map(|(operand, is_transient)| Root::Slot(operand, is_transient)),
        ];
        let key = prop_oneof![
            operand.prop_map(Key::Index),
            "(length|b|x_1|\\$v)".prop_map(Key::Field),
            Just(Key::Length)
        ];
        (root, prop::collection::vec(key, 0..3))
            .prop_map(|(root, path)| Place { root, path })
            .boxed()
    }

    fn place(self) -> BoxedStrategy<Place> {
        self.place_of(self.operand())
    }

    fn operands(self) -> impl Strategy<Value = Vec<Operand>> {
        prop::collection::vec(self.operand(), 0..3)
    }

    fn rvalue(self) -> BoxedStrategy<Rvalue> {
        use BinaryOp::*;
        let op = pick(vec![
            Add, Sub, Mul, Div, Mod, Pow, Shl, Shr, BitAnd, BitOr, BitXor, And, Or, Eq, Ne, Lt, Le,
            Gt, Ge,
        ]);
        let unary = pick(vec![UnaryOp::Not, UnaryOp::BitNot, UnaryOp::Negate]);
        let operand = self.operand();
        prop_oneof![
            operand.clone().prop_map(Rvalue::Use),
            operand.clone().prop_map(Rvalue::Cast),
            (unary, operand.clone()).prop_map(|(op, operand)| Rvalue::Unary(op, operand)),
            (op, operand.clone(), operand, any::<bool>()).prop_map(|(op, left, right, wraps)| {
                if wraps {
                    Rvalue::Wrapping(op, left, right)
                } else {
                    Rvalue::Binary(op, left, right)
                }
            }),
            (pick(PURE.to_vec()), self.operands())
                .prop_map(|(name, operands)| Rvalue::Pure(name, operands)),
        ]
        .boxed()
    }

    fn call(self) -> BoxedStrategy<Call> {
        let dispatch = prop_oneof![
            Just(Dispatch::Static),
            Just(Dispatch::Virtual),
            self.contract().prop_map(Dispatch::Super)
        ];
        let kind = prop_oneof![
            (self.function(), dispatch).prop_map(|(id, how)| CallKind::Internal(id, how)),
            self.operand().prop_map(CallKind::Pointer),
            (prop::option::of(self.function()), "(g|f|function pointer|\\PC{0,5})", any::<bool>())
                .prop_map(|(target, name, is_view)| CallKind::External { target, name, is_view }),
            pick(vec![
                CallKind::LowLevel,
                CallKind::StaticCall,
                CallKind::DelegateCall,
                CallKind::Transfer,
                CallKind::Send,
                CallKind::SelfDestruct
            ]),
            prop::option::of(self.contract()).prop_map(CallKind::New),
            any::<String>().prop_map(CallKind::Unresolved),
        ];
        let gas = prop_oneof![
            Just(Gas::Forwarded),
            Just(Gas::Stipend),
            self.operand().prop_map(Gas::Limited)
        ];
        let results = prop::collection::vec(self.local(), 0..3);
        let operand = || prop::option::of(self.operand());
        (kind, operand(), self.operands(), operand(), gas, results, any::<bool>())
            .prop_map(|(kind, callee, args, value, gas, results, may_fail)| Call {
                kind,
                callee,
                args,
                value,
                gas,
                results,
                may_fail,
            })
            .boxed()
    }

    fn statement(self) -> BoxedStrategy<Statement> {
        let kind = prop_oneof![
            3 => (self.local(), self.rvalue())
                .prop_map(|(target, value)| StatementKind::Assign { target, value }),
            1 => (self.local(), self.place())
                .prop_map(|(target, place)| StatementKind::Load { target, place }),
            1 => (self.place(), self.operand())
                .prop_map(|(place, value)| StatementKind::Store { place, value }),
            3 => self.call().prop_map(|call| StatementKind::Call(Box::new(call))),
            1 => ("[A-Za-z0-9_]{0,6}", self.operands())
                .prop_map(|(event, args)| StatementKind::Emit { event, args }),
            1 => Just(StatementKind::Placeholder),
            1 => Just(StatementKind::Unknown),
        ];
        (kind, spans(), 0_u32..3)
            .prop_map(|(kind, span, frame)| Statement { kind, span, frame: FrameId(frame) })
            .boxed()
    }

    /// The end of a block, and where it leads; the first way leads to the next block, so that all are reached.
    fn end(self, at: usize) -> BoxedStrategy<(End, Vec<(Edge, usize)>)> {
        let next = at + 1;
        let any_block = 0..self.n_blocks;
        if next == self.n_blocks {
            return prop_oneof![
                pick(vec![End::Goto, End::Return, End::Revert, End::Stop])
                    .prop_map(|end| (end, Vec::new())),
                any_block.prop_map(|to| (End::Goto, vec![(Edge::Next, to)])),
            ]
            .boxed();
        }
        prop_oneof![
            Just((End::Goto, vec![(Edge::Next, next)])),
            (self.operand(), spans(), any_block).prop_map(move |(condition, span, other)| {
                let ways = vec![(Edge::True, next), (Edge::False, other)];
                (End::Branch { condition, span }, ways)
            }),
        ]
        .boxed()
    }
}

fn spans() -> impl Strategy<Value = Span> {
    prop_oneof![
        Just(Span::default()),
        (0_u32..3, any::<u32>(), any::<u32>()).prop_map(|(file, start, end)| Span {
            file: FileId(file),
            start,
            end
        }),
    ]
}

fn bodies(program: &Program) -> impl Strategy<Value = Body> + use<> {
    let location =
        pick(vec![None, Some(Location::Memory), Some(Location::Storage), Some(Location::Calldata)]);
    let name = prop::option::of("(a|x\\.slot|a\\.1|\\$y|load|true|s)");
    let local = (name, types(program), location, any::<bool>())
        .prop_map(|(name, ty, location, is_param)| Local { name, ty, location, is_param });
    let (n_variables, n_functions, n_contracts) = (
        program.variables.len() as u32,
        program.functions.len() as u32,
        program.contracts.len() as u32,
    );
    (prop::collection::vec(local, 1..6), 1_usize..5).prop_flat_map(move |(locals, n_blocks)| {
        let world = World {
            n_locals: locals.len() as u32,
            n_variables,
            n_functions,
            n_contracts,
            n_blocks,
        };
        let blocks: Vec<_> = (0..n_blocks)
            .map(|at| (prop::collection::vec(world.statement(), 0..5), world.end(at)))
            .collect();
        let target = prop_oneof![
            world.function().prop_map(ModifierTarget::Modifier),
            world.contract().prop_map(ModifierTarget::BaseConstructor),
            Just(ModifierTarget::Unknown)
        ];
        let modifier = (target, world.operands(), 0..n_blocks, spans());
        let list = || prop::collection::vec(world.local(), 0..3);
        let modifiers = prop::collection::vec(modifier, 0..2);
        (Just(locals), blocks, modifiers, list(), list(), any::<bool>()).prop_map(
            |(locals, blocks, modifiers, params, returns, is_partial)| {
                let mut graph = DiGraph::new();
                for (statements, (end, _)) in &blocks {
                    graph.add_node(Block { statements: statements.clone(), end: end.clone() });
                }
                for (at, (_, (_, ways))) in blocks.iter().enumerate() {
                    for (edge, to) in ways {
                        graph.add_edge(NodeIndex::new(at), NodeIndex::new(*to), *edge);
                    }
                }
                let modifiers = modifiers
                    .into_iter()
                    .map(|(target, args, at, span)| {
                        let code = (NodeIndex::new(at), NodeIndex::new(at));
                        ModifierUse { target, args, code, span }
                    })
                    .collect();
                let entry = NodeIndex::new(0);
                Body { graph, entry, locals, params, returns, modifiers, is_partial }
            },
        )
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn generated_bodies_read_back() {
    let program = single(WORLD);
    let names = Names::new(&program);
    let contexts: Vec<Option<ContractId>> =
        std::iter::once(None).chain(program.contract_ids().map(Some)).collect();
    let mut runner = proptest::test_runner::TestRunner::new(config(96));
    let strategy = (bodies(&program), pick(contexts));
    let result = runner.run(&strategy, |(body, context)| {
        let read = check_round_trip(&names, context, &body);
        check_round_trip(&names, context, &read);
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.expect_err("it failed"));
}

/// Whatever is done to a text, it is read or refused; what is read can be printed and read again.
#[test]
fn hostile_text_is_refused_or_read_but_never_panics() {
    let program = single(WORLD);
    let names = Names::new(&program);
    let edit = (
        any::<prop::sample::Index>(),
        0_usize..12,
        "(\\PC{0,4}|[\\[\\]()&*%.:#\"\\\\ 0-9bx\n]{0,6})",
    );
    let strategy = (bodies(&program), prop::collection::vec(edit, 1..5));
    let mut runner = proptest::test_runner::TestRunner::new(config(96));
    let result = runner.run(&strategy, |(body, edits)| {
        let context = Some(ContractId(program.contracts.len() as u32 - 1));
        let mut text: Vec<char> =
            Printer::new(&names, context, &body).document(Spans::Kept).chars().collect();
        for (at, length, put) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        if let Ok((context, read)) = parse(&names, &text) {
            let printed = Printer::new(&names, context, &read).document(Spans::Kept);
            let again = parse(&names, &printed);
            prop_assert!(again.is_ok(), "{:?}\n{}", again.err(), printed);
        }
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.expect_err("it failed"));
}
