//! The facts that rules ask.

use super::*;

#[test]
fn functions_fill_the_dictionary() {
    let text =
        vault("bool l; modifier m() { require(!l); l = true; _; l = false; }", "payable m", PAY);
    let program = single(&text);
    let facts = Facts::new(&program);
    let dictionary = dictionary();
    let tables = facts.function_tables(&dictionary);
    let (_, table) = tables
        .iter()
        .find(|(entry, _)| program.function_name(entry.function) == "V.w")
        .expect("w is an entry point");
    let fact = |name: &str| {
        table.value(dictionary.position(name).expect("the fact is registered")).clone()
    };
    let count = |count: u64| Value::Uint(U256::from(count));
    assert_eq!(fact("contract"), Value::Text("V".to_owned()));
    assert_eq!(fact("function"), Value::Text("w".to_owned()));
    assert_eq!(fact("payable"), Value::Bool(true));
    assert_eq!(fact("guarded"), Value::Bool(false));
    assert_eq!(fact("locked"), Value::Bool(true));
    assert_eq!(fact("external_calls"), count(1));
    assert_eq!(fact("stranger_calls"), count(1));
    assert_eq!(fact("delegate_calls"), count(0));
    assert_eq!(fact("storage_reads"), count(2));
    assert_eq!(fact("storage_writes"), count(2));
    assert_eq!(fact("writes_after_call"), count(1));
    assert_eq!(fact("can_self_destruct"), Value::Bool(false));
    assert_eq!(fact("fully_read"), Value::Bool(true));
    assert!(table.values().iter().all(|value| *value != Value::Unknown));
}

#[test]
fn writes_of_who_may_go_on_are_counted() {
    let text = "
        contract C {
            address owner = msg.sender;
            address treasury;
            mapping(address => bool) admins;
            bool ready;
            uint n;
            modifier owned() { require(msg.sender == owner); _; }
            function check() internal view { if (!admins[msg.sender]) revert(); }
            function hand(address next) external owned { owner = next; }
            function grab(address next) external { owner = next; }
            function claim() external { owner = msg.sender; }
            function initialise(address next) external { require(!ready); ready = true; owner = next; }
            function admit(address who) external owned { admins[who] = true; }
            function join(address who) external { admins[who] = true; }
            function work() external { check(); n = 1; }
            function route(address to) external { treasury = to; }
        }";
    let program = single(text);
    let facts = Facts::new(&program);
    let dictionary = dictionary();
    let number = |name: &str, table: &FactTable| {
        let position = dictionary.position(name).expect("the fact is registered");
        match table.value(position) {
            Value::Uint(number) => number.to::<u64>(),
            other => panic!("{name} is {other:?}"),
        }
    };
    let counted: Vec<_> = facts
        .function_tables(&dictionary)
        .iter()
        .map(|(entry, table)| {
            let [written, open] =
                ["authority_writes", "open_authority_writes"].map(|name| number(name, table));
            format!("{} {written} {open}", program.function_name(entry.function))
        })
        .collect();
    assert_eq!(
        counted,
        [
            "C.hand 1 0",
            "C.grab 1 1",
            "C.claim 1 1",
            "C.initialise 1 0",
            "C.admit 1 0",
            "C.join 1 1",
            "C.work 0 0",
            "C.route 0 0",
        ]
    );
}
