//! One small program, and what each printer says of it.

use super::*;
use crate::hir::single;

const VAULT: &str = r#"interface IOracle { function price(address) external returns (uint); }
library Math { function min(uint a, uint b) internal pure returns (uint) { return a < b ? a : b; } }
abstract contract Owned {
    address owner;
    modifier onlyOwner() { require(msg.sender == owner, "no"); _; }
    function hook() internal virtual;
}
contract Vault is Owned {
    mapping(address => uint) balances;
    bool locked;
    uint8 fee;
    IOracle oracle;
    modifier lock() { require(!locked); locked = true; _; locked = false; }
    function hook() internal override { fee = 1; }
    function withdraw(uint amount) external lock {
        require(balances[msg.sender] >= amount && amount > 0, "low");
        (bool ok, ) = msg.sender.call{value: Math.min(amount, 5)}("");
        if (!ok) revert();
        balances[msg.sender] -= amount;
    }
    function setOracle(IOracle next) external onlyOwner { oracle = next; hook(); }
    function quote(address token) external returns (uint best) {
        for (uint i = 0; i < 3; i++) {
            try oracle.price(token) returns (uint p) { best = p; }
            catch Error(string memory) { continue; }
            catch { break; }
        }
    }
    function raw(uint a) external { assembly { if iszero(a) { revert(0, 0) } sstore(fee.slot, a) } }
}
function free(uint a) pure returns (uint) { return a + 1; }
"#;

fn ask(printer: Printer, form: Form, name: Option<&str>) -> Result<String, InspectError> {
    ask_of(VAULT, printer, form, name)
}

fn ask_of(
    source: &str,
    printer: Printer,
    form: Form,
    name: Option<&str>,
) -> Result<String, InspectError> {
    let program = single(source);
    let options = InspectOptions {
        base: PathBuf::new(),
        paths: Vec::new(),
        name: name.map(str::to_owned),
        printer,
        form,
        is_whole: false,
    };
    print(&program, &[true], &options)
}

fn text(printer: Printer, name: &str) -> String {
    ask(printer, Form::Text, Some(name)).expect("the program declares it")
}

#[test]
fn control_flow_with_its_modifier_and_short_circuit() {
    insta::assert_snapshot!(text(Printer::Cfg, "Vault.withdraw"), @r#"
Vault.withdraw(uint256)  main.sol:15
  0  function withdraw(uint amount) external lock
     -> 1
  1  [modifier lock]
       13  require(!locked);
     -> false: 2
     -> true: 3
  2  revert
  3  [modifier lock]
       13  locked = true;  <- write
     [Vault.withdraw]
       16  balances[msg.sender] >= amount
     -> true: 4
     -> false: 8
  4    16  amount > 0
     -> true: 5
     -> false: 8
  5    17  (bool ok, ) = msg.sender.call{value: Math.min(amount, 5)}("");  <- external call, internal call
       18  !ok
     -> false: 6
     -> true: 7
  6    19  balances[msg.sender] -= amount;  <- write
     [modifier lock]
       13  locked = false;  <- write
     -> 9
  7  revert()
  8  revert "low"
  9  end
"#);
}

#[test]
fn control_flow_of_a_loop_around_a_try() {
    insta::assert_snapshot!(text(Printer::Cfg, "Vault.quote"), @r"
Vault.quote(address)  main.sol:22
  0  function quote(address token) external returns (uint best)
     -> 1
  1    23  uint i = 0;
     -> 2
  2    23  i < 3
     -> true: 3
     -> false: 7
  3    24  try oracle.price(token)  <- external call
     -> success: 4
     -> failure: 5
  4    24  best = p;
     -> 6
  5  [which error?]
     -> catch Error(string memory): 6
     -> catch: 7
  6    23  i++
     -> 2
  7  end
");
}

#[test]
fn control_flow_of_assembly() {
    insta::assert_snapshot!(text(Printer::Cfg, "Vault.raw"), @r"
Vault.raw(uint256)  main.sol:29
  0  function raw(uint a) external
     -> 1
  1    29  iszero(a)
     -> true: 2
     -> false: 3
  2  revert(0, 0)
  3    29  sstore(fee.slot, a)  <- write
     -> 4
  4  end
");
}

#[test]
fn a_modifier_alone_shows_where_the_function_goes() {
    insta::assert_snapshot!(text(Printer::Cfg, "Vault.lock"), @r"
Vault.lock  main.sol:13
  0  modifier lock()
     -> 1
  1    13  require(!locked);
     -> false: 2
     -> true: 3
  2  revert
  3    13  locked = true;  <- write
       13  _;  <- internal call
       13  locked = false;  <- write
     -> 4
  4  end
");
}

#[test]
fn a_choice_shows_the_value_of_each_way() {
    insta::assert_snapshot!(text(Printer::Cfg, "Math.min"), @r"
Math.min(uint256,uint256)  main.sol:2
  0  function min(uint a, uint b) internal pure returns (uint)
     -> 1
  1     2  a < b
     -> true: 2
     -> false: 3
  2     2  a
     -> 4
  3     2  b
     -> 4
  4     2  return a < b ? a : b;
     -> 5
  5  end
");
}

#[test]
fn calls_are_followed_as_the_contract_runs() {
    insta::assert_snapshot!(text(Printer::Callgraph, "Vault"), @r"
Math.min(uint256,uint256)  main.sol:2
Owned.onlyOwner  main.sol:5
Vault.lock  main.sol:13
Vault.hook()  main.sol:14
Vault.withdraw(uint256)  main.sol:15  (entry point)
  -> Math.min(uint256,uint256)  (library; line 17)
  -> Vault.lock  (modifier; line 15)
  -> address.call  (external, sends ether; line 17)
Vault.setOracle(IOracle)  main.sol:21  (entry point)
  -> Owned.onlyOwner  (modifier; line 21)
  -> Vault.hook()  (internal; line 21)
Vault.quote(address)  main.sol:22  (entry point)
  -> IOracle.price(address)  (external; line 24)
Vault.raw(uint256)  main.sol:29  (entry point)
");
}

#[test]
fn bases_and_their_order() {
    insta::assert_snapshot!(text(Printer::Inheritance, "Owned"), @r"
abstract contract Owned  main.sol:3
contract Vault  main.sol:8
  is     Owned
  order  Vault > Owned
");
}

#[test]
fn slots() {
    insta::assert_snapshot!(text(Printer::Storage, "Vault"), @r"
Vault  main.sol:8
  slot  offset  bytes  name      type                         declared in
  0     0       20     owner     address                      Owned
  1     0       32     balances  mapping(address => uint256)  Vault
  2     0       1      locked    bool                         Vault
  2     1       1      fee       uint8                        Vault
  2     2       20     oracle    IOracle                      Vault
");
}

#[test]
fn entry_points() {
    insta::assert_snapshot!(text(Printer::EntryPoints, "Vault"), @r"
Vault
  function            who     calls  writes            modifiers
  withdraw(uint256)   anyone  1      balances, locked  lock
  setOracle(IOracle)  chosen  -      fee, oracle       onlyOwner
  quote(address)      anyone  1      -                 -
  raw(uint256)        anyone  -      fee               -
");
}

#[test]
fn guards_and_locks() {
    insta::assert_snapshot!(text(Printer::Guards, "Vault"), @r#"
Vault.withdraw(uint256)  main.sol:15
  line  does                who     lock                                   what
  13    write               anyone  -                                      locked
  17    call of a stranger  anyone  locked, but not setOracle, quote, raw  msg.sender.call{value: Math.min(amount, 5)}("")
  19    write               anyone  -                                      balances

Vault.setOracle(IOracle)  main.sol:21
  line  does   who              lock  what
  14    write  chosen by owner  -     fee
  21    write  chosen by owner  -     oracle

Vault.quote(address)  main.sol:22
  line  does                       who     lock  what
  24    call of a chosen contract  anyone  open  oracle.price(token)

Vault.raw(uint256)  main.sol:29
  line  does   who     lock  what
  29    write  anyone  -     fee
"#);
}

#[test]
fn facts() {
    insta::assert_snapshot!(text(Printer::Facts, "Vault.setOracle"), @r"
Vault.setOracle(IOracle)  main.sol:21
  contract               Vault
  function               setOracle
  payable                false
  guarded                true
  locked                 false
  external_calls         0
  stranger_calls         0
  delegate_calls         0
  storage_reads          1
  storage_writes         2
  writes_after_call      0
  can_self_destruct      false
  loops                  0
  unbounded_loops        0
  storage_loops          0
  caller_loops           0
  calls_in_loops         0
  authority_writes       0
  open_authority_writes  0
  fully_read             true
  unchecked_writes       0
  unchecked_calls        0
  written_before_calls   0
  written_after_calls    0
  read_after_calls       0
  events_after_calls     0
  calls_after_calls      0
  checks_after_calls     0
");
}

#[test]
fn intermediate_representation() {
    insta::assert_snapshot!(text(Printer::Ir, "Vault.setOracle"), @r"
// Vault.setOracle(IOracle)  main.sol:21
on Vault
local next.0: contract IOracle param
local %1: address
local %2: bool
params next.0
entry bb0
bb0:
  goto bb1
bb1:
  %1 = load owner
  %2 = msg.sender == %1
  if %2 then bb3 else bb2
bb2:
  revert
bb3:
  store oracle = next.0
  virtual Vault.hook()
  goto bb5
bb4:
  return
bb5:
  goto bb4
");
}

#[test]
fn a_free_function_has_no_contract() {
    insta::assert_snapshot!(text(Printer::Ir, "free"), @r"
// free(uint256)  main.sol:31
on nothing
local a.0: uint256 param
local %1: uint256
local %2: uint256
params a.0
returns %1
entry bb0
bb0:
  %2 = a.0 + 1
  %1 = %2
  return
");
}

#[test]
fn inlined_calls_are_headed_by_their_function() {
    let program = single(VAULT);
    let options = InspectOptions {
        base: PathBuf::new(),
        paths: Vec::new(),
        name: Some("Vault.setOracle".to_owned()),
        printer: Printer::Cfg,
        form: Form::Text,
        is_whole: true,
    };
    insta::assert_snapshot!(print(&program, &[true], &options).expect("it has a body"), @r#"
Vault.setOracle(IOracle)  main.sol:21
  0  function setOracle(IOracle next) external onlyOwner
     -> 1
  1  [modifier onlyOwner]
        5  require(msg.sender == owner, "no");
     -> true: 2
     -> false: 3
  2    21  oracle = next;  <- write
     [Vault.hook]
       14  fee = 1;  <- write
     -> 4
  3  revert "no"
  4  end
"#);
}

#[test]
fn dot() {
    let drawn = ask(Printer::Inheritance, Form::Dot, None).expect("a graph");
    insta::assert_snapshot!(drawn, @r##"
digraph "inheritance" {
  rankdir=TB;
  label="inheritance";
  labelloc=t;
  fontname=monospace;
  node [fontname=monospace, fontsize=11, shape=box];
  edge [fontname=monospace, fontsize=10];
  n0 [style=solid, color="#0a58b8", label=<<FONT COLOR="#656d76">interface</FONT><BR ALIGN="LEFT"/><FONT COLOR="#24292f">IOracle</FONT><BR ALIGN="LEFT"/>>];
  n1 [style=solid, color="#7a3db8", label=<<FONT COLOR="#656d76">library</FONT><BR ALIGN="LEFT"/><FONT COLOR="#24292f">Math</FONT><BR ALIGN="LEFT"/>>];
  n2 [style=solid, color="#24292f", label=<<FONT COLOR="#656d76">abstract&#160;contract</FONT><BR ALIGN="LEFT"/><FONT COLOR="#24292f">Owned</FONT><BR ALIGN="LEFT"/>>];
  n3 [style=solid, color="#24292f", label=<<FONT COLOR="#656d76">contract</FONT><BR ALIGN="LEFT"/><FONT COLOR="#24292f">Vault</FONT><BR ALIGN="LEFT"/>>];
  n3 -> n2 [color="#24292f"];
}
"##);
}

#[test]
fn every_printer_gives_json_of_its_version() {
    for printer in Printer::ALL {
        let json = ask(printer, Form::Json, None).expect("tables and graphs have JSON");
        let document: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
        assert_eq!(document["version"], INSPECT_VERSION, "{json}");
        assert_eq!(document["inspect"], printer.name());
        let lists = document.as_object().expect("an object").values();
        assert!(lists.filter_map(|value| value.as_array()).any(|list| !list.is_empty()), "{json}");
    }
}

#[test]
fn json_marks_are_the_characters_of_their_line() {
    let json = ask(Printer::Cfg, Form::Json, Some("Vault.withdraw")).expect("it has a body");
    let document: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let mut marked = Vec::new();
    for block in document["functions"][0]["blocks"].as_array().expect("a list") {
        for line in block["lines"].as_array().expect("a list") {
            let text: Vec<char> = line["text"].as_str().expect("text").chars().collect();
            for mark in line["marks"].as_array().expect("a list") {
                let at = |key: &str| mark[key].as_u64().expect("a number") as usize;
                let part: String = text[at("from")..at("to")].iter().collect();
                marked.push(format!("{} {part}", mark["what"].as_str().expect("text")));
            }
        }
    }
    assert_eq!(
        marked,
        [
            "write locked = true",
            "external_call msg.sender.call{value: ",
            "internal_call Math.min(amount, 5)",
            "external_call }(\"\")",
            "write balances[msg.sender] -= amount",
            "write locked = false",
        ]
    );
}

#[test]
fn pictures_are_drawn_of_every_graph_and_hold_their_words() {
    for name in ["Vault.withdraw", "Vault.quote", "Vault.raw", "Vault.lock", "Math.min", "free"] {
        for printer in [Printer::Cfg, Printer::Ir, Printer::Callgraph] {
            let svg = ask(printer, Form::Svg, Some(name)).expect("it is drawn");
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
            assert_eq!(svg.matches("<g").count(), svg.matches("</g>").count(), "{name}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}: {svg}");
        }
    }
    let svg = ask(Printer::Cfg, Form::Svg, Some("Vault.withdraw")).expect("it is drawn");
    for word in [
        "<tspan class=\"t-write\">locked = true</tspan>",
        "<tspan class=\"t-call\">msg.sender.call{value: </tspan>",
        ">true</text>",
        ">false</text>",
        ">revert &quot;low&quot;<",
        "prefers-color-scheme: dark",
    ] {
        assert!(svg.contains(word), "{word} is missing in {svg}");
    }
}

#[test]
fn a_check_that_is_negated_goes_on_where_it_holds() {
    let cfg = text(Printer::Cfg, "Vault.lock");
    let (check, rest) = cfg.split_once("require(!locked);").expect("the check is shown");
    assert!(check.contains("modifier lock()"), "{cfg}");
    let failure = rest.lines().find(|line| line.contains("false: ")).expect("it can fail");
    let block = failure.rsplit(' ').next().expect("a number");
    let target = rest.lines().find(|line| line.trim_start().starts_with(&format!("{block}  ")));
    assert!(target.is_some_and(|line| line.ends_with("revert")), "{cfg}");
}

#[test]
fn what_could_not_be_read_is_shown_as_it_stands() {
    let source = "contract C { uint x; function f() public { x = 1; assembly { let ) } } }";
    let (program, diagnostics) = crate::hir::project(&[("main.sol", source)]);
    assert!(!diagnostics.is_empty());
    let mut options = InspectOptions {
        base: PathBuf::new(),
        paths: Vec::new(),
        name: Some("C.f".to_owned()),
        printer: Printer::Cfg,
        form: Form::Text,
        is_whole: false,
    };
    let text = print(&program, &[true], &options).expect("it has a body");
    assert!(text.contains("assembly { let ) }  <- unknown"), "{text}");
    options.form = Form::Svg;
    let svg = print(&program, &[true], &options).expect("it is drawn");
    assert!(svg.contains("not all of it could be read"), "{svg}");
}

#[test]
fn wrong_names_say_what_is_near() {
    let wrong = |name: &str| {
        let refused = ask(Printer::Cfg, Form::Text, Some(name)).expect_err("it is not declared");
        refused.to_string()
    };
    insta::assert_snapshot!(wrong("Vault.witdraw"), @"no contract or function is called `Vault.witdraw`; did you mean `Vault.withdraw`, `Vault.raw`?");
    insta::assert_snapshot!(wrong("quote"), @"no contract or function is called `quote`; did you mean `Vault.quote`?");
    insta::assert_snapshot!(wrong("Nothing.at_all"), @"no contract or function is called `Nothing.at_all`");
    insta::assert_snapshot!(wrong("Vault.withdraw(address)"), @"no contract or function is called `Vault.withdraw(address)`; did you mean `Vault.withdraw(uint256)`?");
    insta::assert_snapshot!(wrong("IOracle.price"), @"`IOracle.price(address)` has no body: it is only declared");
}

#[test]
fn overloads_and_namesakes_have_to_be_told_apart() {
    let source =
        "contract C { function f(uint a) public {} function f(address a, bool b) public {} }";
    let refused = ask_of(source, Printer::Cfg, Form::Text, Some("C.f")).expect_err("two");
    insta::assert_snapshot!(refused, @"`C.f` could be any of `C.f(uint256)`, `C.f(address,bool)`");
    let chosen = ask_of(source, Printer::Cfg, Form::Text, Some("C.f(address, bool)"));
    assert!(chosen.expect("one").starts_with("C.f(address,bool)  "));
}

#[test]
fn calls_of_other_contracts_lead_to_what_may_run() {
    let source = "interface I { function f() external; }
        contract One is I { function f() public virtual { g(); } function g() internal virtual {} }
        contract Two is One { function g() internal override { this.f(); } }
        contract User { I i; function use_() external { i.f(); new Two(); } }";
    insta::assert_snapshot!(ask_of(source, Printer::Callgraph, Form::Text, None).expect("a graph"), @r"
One.f()  main.sol:2  (entry point)
  -> One.g()  (internal; line 2)
  -> Two.g()  (internal; line 2)
One.g()  main.sol:2
Two.g()  main.sol:3
  -> One.f()  (external; line 3)
User.use_()  main.sol:4  (entry point)
  -> One.f()  (external; line 4)
  -> I.f()  (external; line 4)
  -> new Two  (create; line 4)
");
    insta::assert_snapshot!(ask_of(source, Printer::Callgraph, Form::Text, Some("Two")).expect("a graph"), @r"
One.f()  main.sol:2  (entry point)
  -> Two.g()  (internal; line 2)
Two.g()  main.sol:3
  -> One.f()  (external; line 3)
");
}

#[test]
fn a_table_is_drawn_as_boxes_and_a_picture_shows_one_function() {
    let refused = ask(Printer::Cfg, Form::Svg, Some("Vault")).expect_err("several functions");
    insta::assert_snapshot!(refused, @"a picture shows one function: name one, such as `Vault.lock`, `Vault.hook()`, `Vault.withdraw(uint256)`, `Vault.setOracle(IOracle)`, `Vault.quote(address)`");
    let source = "contract A { uint128 a; bool b; uint transient c; } contract B is A { uint d; }";
    let drawn = ask_of(source, Printer::Storage, Form::Dot, Some("A")).expect("a table");
    assert!(drawn.starts_with("digraph \"storage\" {"), "{drawn}");
    let rows: Vec<_> = drawn.matches("<BR ALIGN=\"LEFT\"/>").collect();
    assert_eq!(rows.len(), 5, "{drawn}");
    let both = ask_of(source, Printer::Storage, Form::Svg, None).expect("a table");
    assert_eq!(both.matches("class=\"box").count(), 2, "{both}");
}

#[test]
fn every_document_is_as_its_schema_says() {
    let schema = inspect_schema();
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas/inspect.schema.json");
    let committed = std::fs::read_to_string(committed).expect("the schema is committed");
    let committed: serde_json::Value = serde_json::from_str(&committed).expect("it is JSON");
    assert!(committed == schema, "the committed schema is old: run `cargo xtask schemas`");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    for printer in [
        Printer::Cfg,
        Printer::Callgraph,
        Printer::Inheritance,
        Printer::Storage,
        Printer::EntryPoints,
        Printer::Guards,
        Printer::Gas,
        Printer::Ir,
        Printer::Facts,
    ] {
        let json = ask(printer, Form::Json, Some("Vault")).expect("every printer has JSON");
        let mut document: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
        let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{printer:?}: {errors:?}");
        document["version"] = 2.into();
        assert!(!validator.is_valid(&document), "{printer:?}: another version is another format");
    }
}

#[test]
fn destruction_is_told_from_calls() {
    let source = "contract C { address payable o; function f() external { o.transfer(1); selfdestruct(o); } }";
    let json = ask_of(source, Printer::Cfg, Form::Json, Some("C.f")).expect("it has a body");
    assert!(json.contains("\"self_destruct\"") && json.contains("\"external_call\""), "{json}");
}

#[test]
fn gas_is_bounded_from_below_and_says_what_it_grows_with() {
    const BILL: &str = r#"interface IToken { function transfer(address, uint256) external returns (bool); }
contract Bill {
    uint128 a; uint128 b; uint256 c;
    address[] payees;
    mapping(address => uint256) owed;
    event Paid(uint256 n);
    function nothing() external { }
    function packed() external { a = 1; b = 2; }
    function two(uint256 x) external { c = x; a = 1; }
    function either(bool first) external { if (first) { c = 1; } else { a = 1; b = 2; c = 3; } }
    function maybe(bool now_) external { if (now_) c = 1; }
    function pay() external { for (uint256 i = 0; i < payees.length; i++) owed[payees[i]] += 1; emit Paid(1); }
    function each(uint256[] calldata list) external { for (uint256 i = 0; i < list.length; i++) c += list[i]; }
    function send(IToken token) external { require(token.transfer(msg.sender, c)); }
    function never() external { c = 1; revert(); }
    function join() external { payees.push(msg.sender); }
}
"#;
    let printed = ask_of(BILL, Printer::Gas, Form::Text, Some("Bill")).unwrap();
    insta::assert_snapshot!(printed, @r"
    Bill
      function         at least        calls  grows with
      nothing()        21016           -      -
      packed()         23116           -      -
      two(uint256)     25344           -      -
      either(bool)     23244           -      -
      maybe(bool)      21144           -      -
      pay()            23491           -      `payees.length`
      each(uint256[])  21144           -      an argument
      send(IToken)     23344           1      -
      never()          never succeeds  -      -
      join()           25216           -      -
    ");
}
