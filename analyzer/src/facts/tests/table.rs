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
