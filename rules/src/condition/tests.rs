use proptest::prelude::*;
use ruint::aliases::U256;

use super::{Complaint, Condition, Scope, Truth};
use crate::facts::{FactTable, Sight, Value};
use crate::list::{List, Lists};
use crate::sample::{all, facts, transaction, uint_value};
use crate::stack::on_own_stack;

fn compile(text: &str) -> Result<Condition, Complaint> {
    let lists = Lists::from([
        ("team".to_owned(), list(&["0x1111111111111111111111111111111111111111"])),
        ("sizes".to_owned(), list(&["3", "300"])),
    ]);
    let (dictionary, all) = (transaction(), all());
    let scope = Scope { dictionary: &dictionary, all: &all, lists: &lists, suffix: "" };
    on_own_stack(|| Condition::compile(text, scope)).expect("no panic inside")
}

fn list(entries: &[&str]) -> List {
    List::new(entries.iter().map(|entry| (*entry).to_owned())).unwrap()
}

fn truth(text: &str, facts: &FactTable) -> Truth {
    compile(text)
        .unwrap_or_else(|complaint| panic!("`{text}`: {complaint:?}"))
        .evaluate(&Sight::of(facts))
}

/// The message of a refusal with the text it points at and the help.
fn refused(text: &str) -> (String, String, String) {
    let complaint = compile(text).expect_err(text);
    let meant = text
        .chars()
        .skip(complaint.span.start)
        .take(complaint.span.end - complaint.span.start)
        .collect();
    (complaint.message, meant, complaint.help.unwrap_or_default())
}

fn some_facts() -> FactTable {
    facts([
        ("touches_protected", Value::Bool(true)),
        ("tx_succeeded", Value::Bool(false)),
        ("depth", uint_value(3)),
        ("frames", uint_value(7)),
        ("outflow_wei", Value::Uint(U256::from(1_500_000_000_000_000_000u64))),
        ("outflow_bps", uint_value(300)),
        ("value_wei", Value::Uint(U256::MAX)),
        ("sender", Value::Address([0x11; 20])),
        ("entry_point", Value::Text("withdrawAll".to_owned())),
    ])
}

#[test]
fn operators_read_the_table() {
    let facts = some_facts();
    for (text, expected) in [
        ("touches_protected", true),
        ("!tx_succeeded", true),
        ("touches_protected && tx_succeeded", false),
        ("touches_protected || tx_succeeded", true),
        ("!(touches_protected && !tx_succeeded)", false),
        ("depth > 2 && depth >= 3 && depth < 4 && depth <= 3 && depth == 3 && depth != 4", true),
        ("2 < depth", true),
        ("depth + frames == 10", true),
        ("frames - depth * 2 == 1", true),
        ("frames / depth == 2 && frames % depth == 1", true),
        ("frames - (depth - 1) == 5", true),
        (
            "outflow_wei > eth(1) && outflow_wei == eth(1.5) && outflow_wei == gwei(1500000000)",
            true,
        ),
        ("outflow_wei == wei(\"1500000000000000000\")", true),
        ("outflow_bps >= bps(300)", true),
        ("outflow_wei * 10000 > outflow_wei * outflow_bps", true),
        ("depth in [1, 3]", true),
        ("!(depth in [1, 3])", false),
        ("sender == address(\"0x1111111111111111111111111111111111111111\")", true),
        ("sender in [address(\"0x2222222222222222222222222222222222222222\")]", false),
        ("entry_point.startsWith(\"withdraw\") && entry_point.endsWith(\"All\")", true),
        ("entry_point in [\"deposit\", \"withdrawAll\"]", true),
        ("entry_point != \"deposit\"", true),
        ("touches_protected ? depth == 3 : frames == 0", true),
        ("(touches_protected ? depth : frames) == 3", true),
        ("touches_protected == true && tx_succeeded == false", true),
        ("touches_protected != tx_succeeded", true),
        ("above(depth, frames) == 0 && above(frames, depth) == 4", true),
        ("min(depth, frames) == 3 && max(depth, frames) == 7", true),
        (
            "value_wei > wei(\"115792089237316195423570985008687907853269984665640564039457584007913129639934\")",
            true,
        ),
    ] {
        assert_eq!(truth(text, &facts), Truth::from(expected), "{text}");
    }
}

#[test]
fn a_comparison_with_unknown_is_unknown_and_kleene_decides_around_it() {
    let facts = some_facts();
    for (text, expected) in [
        ("unbacked_outflow_wei > 0", Truth::Unknown),
        ("unbacked_outflow_wei == 0", Truth::Unknown),
        ("!(unbacked_outflow_wei == 0)", Truth::Unknown),
        ("unbacked_outflow_wei > 0 && tx_succeeded", Truth::False),
        ("tx_succeeded && unbacked_outflow_wei > 0", Truth::False),
        ("unbacked_outflow_wei > 0 && touches_protected", Truth::Unknown),
        ("unbacked_outflow_wei > 0 || touches_protected", Truth::True),
        ("unbacked_outflow_wei > 0 || tx_succeeded", Truth::Unknown),
        ("root_is_creation ? depth == 3 : depth == 4", Truth::Unknown),
        ("root_is_creation ? depth == 3 : frames == 7", Truth::True),
        ("unbacked_outflow_wei in [1, 2]", Truth::Unknown),
        ("root_is_creation == touches_protected", Truth::Unknown),
    ] {
        assert_eq!(truth(text, &facts), expected, "{text}");
    }
}

#[test]
fn arithmetic_that_leaves_256_bits_is_unknown() {
    let facts = some_facts();
    for text in [
        "value_wei + 1 > 5",
        "value_wei * 2 == 0",
        "depth - frames < 5",
        "frames / (depth - 3) == 1",
    ] {
        assert_eq!(truth(text, &facts), Truth::Unknown, "{text}");
    }
    let condition = compile("touches_protected && depth - frames < 5").unwrap();
    assert_eq!(
        condition.unknown(&Sight::of(&facts), &transaction()),
        ["depth - frames < 5 (out of range)"]
    );
}

#[test]
fn names_types_and_units_are_checked_at_load() {
    for (text, message, meant, help) in [
        (
            "touches_protected && outflow_we > 0",
            "unknown fact `outflow_we`",
            "outflow_we",
            "did you mean `outflow_wei`?",
        ),
        (
            "guarded",
            "unknown fact `guarded`",
            "guarded",
            "it is a fact of subject `function`, this rule is about a transaction",
        ),
        ("zebra > 1", "unknown fact `zebra`", "zebra", "`portcullis facts` lists the names"),
        ("depth", "expected true or false, found an amount", "depth", ""),
        ("depth && tx_succeeded", "expected true or false, found an amount", "depth", ""),
        (
            "touches_protected > 1",
            "this compares a truth value with an amount",
            "touches_protected > 1",
            "",
        ),
        (
            "touches_protected < tx_succeeded",
            "a truth value has no order",
            "touches_protected < tx_succeeded",
            "",
        ),
        (
            "outflow_bps > eth(1)",
            "one side is in bps, the other in wei",
            "outflow_bps > eth(1)",
            "",
        ),
        (
            "outflow_wei + gas_used > 7",
            "one side is in wei, the other in gas",
            "outflow_wei + gas_used",
            "",
        ),
        ("outflow_wei in [bps(1)]", "one side is in wei, the other in bps", "bps(1)", ""),
        (
            "sender == \"0x11\"",
            "an address and a text can never be equal",
            "sender == \"0x11\"",
            "write the address as `address(\"0x…\")`",
        ),
        (
            "sender == address(\"0x11\")",
            "`0x11` is not an address: `0x` and 40 hexadecimal digits",
            "\"0x11\"",
            "",
        ),
        ("depth > -1", "amounts are never negative", "1", "compare with `<`, or use `above(a, b)`"),
        (
            "depth > 1.5",
            "amounts are whole numbers",
            "1.5",
            "decimals stand inside a unit, as in `eth(0.5)`",
        ),
        ("outflow_wei > ehh(1)", "unknown function `ehh`", "ehh(1)", "did you mean `eth`?"),
        (
            "outflow_wei > eth(depth)",
            "`eth` takes one number, or its digits as text where it is large",
            "eth(depth)",
            "",
        ),
        (
            "entry_point.matches(\"a+\")",
            "unknown function `matches`",
            "entry_point.matches(\"a+\")",
            "there are eth, gwei, wei, bps, blocks, above, min, max, startsWith, endsWith, contains, address, selector",
        ),
        (
            "tx.depth > 1",
            "`.depth`: facts are flat and have no fields",
            "tx.depth",
            "`portcullis facts` lists the names",
        ),
        (
            "[1, 2].exists(x, x > depth)",
            "this part of CEL is not part of the rule language",
            "",
            "",
        ),
        (
            "touches_protected || true",
            "a bare `true` or `false` decides nothing",
            "true",
            "name the fact itself, or `!fact`",
        ),
    ] {
        let (found, at, cure) = refused(text);
        assert_eq!(found, message, "{text}");
        if !meant.is_empty() {
            assert_eq!(at, meant, "{text}");
        }
        assert_eq!(cure, help, "{text}");
    }
}

#[test]
fn comparisons_that_cannot_matter_are_refused() {
    for (text, message) in [
        ("depth < 0", "this comparison can never hold"),
        ("depth >= 0", "this comparison always holds"),
        ("eth(1) > gwei(1)", "this comparison always holds"),
        ("min(depth, 5) > 5", "this comparison can never hold"),
        ("depth % 10 > 9", "this comparison can never hold"),
        ("depth == depth", "both sides are the same"),
        ("depth in []", "nothing is in an empty list: this can never hold"),
        ("\"a\" == \"b\"", "this reads no fact, so it always gives the same answer"),
        (
            "depth > 5 && frames > 1 && depth < 3",
            "`depth < 3` can never hold together with `depth > 5`",
        ),
        (
            "depth == 1 && (frames > 1 && depth == 2)",
            "`depth == 2` can never hold together with `depth == 1`",
        ),
        ("depth != 1 && depth == 1", "`depth == 1` can never hold together with `depth != 1`"),
        (
            "!(depth <= 5) && depth == 5",
            "`depth == 5` can never hold together with `!(depth <= 5)`",
        ),
        (
            "tx_succeeded && !tx_succeeded",
            "`!tx_succeeded` can never hold together with `tx_succeeded`",
        ),
        (
            "entry_point == \"a\" && entry_point == \"b\"",
            "`entry_point == \"b\"` can never hold together with `entry_point == \"a\"`",
        ),
        (
            "outflow_wei > wei(\"115792089237316195423570985008687907853269984665640564039457584007913129639935\")",
            "this comparison can never hold",
        ),
    ] {
        assert_eq!(refused(text).0, message, "{text}");
    }
    // Either way may hold, so these stand.
    for text in ["depth > 5 || depth < 3", "depth >= 3 && depth <= 3", "depth > 5 && frames < 3"] {
        assert!(compile(text).is_ok(), "{text}");
    }
}

#[test]
fn broken_text_is_refused_where_it_breaks() {
    for text in [
        "",
        "   ",
        "depth >",
        "depth > > 1",
        "(depth > 1",
        "depth > 1)",
        "depth = 1",
        "\"",
        "é",
        "a\u{0}b",
        "depth > 99999999999999999999999",
    ] {
        let complaint = compile(text).expect_err(text);
        assert!(
            complaint.span.start <= complaint.span.end
                && complaint.span.end <= text.chars().count(),
            "{text}"
        );
        assert!(!complaint.message.is_empty());
    }
    let (message, meant, help) = refused("depth > 99999999999999999999999");
    assert_eq!((message.as_str(), meant.as_str()), ("this number needs more than 63 bits", "9"));
    assert!(help.contains("wei("), "{help}");
    let (message, meant, _) = refused("depth > 1 && && frames > 1");
    assert!(message.starts_with("not a CEL expression"), "{message}");
    assert_eq!(meant, "&");
}

#[test]
fn spans_count_characters_and_not_bytes() {
    assert_eq!(refused("entry_point == \"größe\" && outflow_we > 0").1, "outflow_we");
}

#[test]
fn hostile_text_is_refused_early() {
    for text in [
        "(".repeat(4000),
        format!("{}depth > 1{}", "(".repeat(17), ")".repeat(17)),
        "!".repeat(4000),
        format!("{}touches_protected", "!".repeat(700)),
        format!("depth > {}", vec!["1"; 300].join(" + ")),
        vec!["depth > 1"; 200].join(" && "),
        format!("{}depth > 1", "tx_succeeded ? depth > 2 : ".repeat(9)),
        "depth > 1 ".repeat(1000),
        "[".repeat(100),
        "a.".repeat(199),
        "f(".repeat(199),
    ] {
        assert!(compile(&text).is_err(), "{text}");
    }
    // The deepest and the longest that is allowed still works.
    for text in [
        format!("{}depth > 1{}", "(".repeat(16), ")".repeat(16)),
        format!(
            "{}{}depth > 2{}",
            "tx_succeeded ? depth > 1 : ".repeat(8),
            "(".repeat(16),
            ")".repeat(16)
        ),
        format!("{}touches_protected", "!".repeat(350)),
        vec!["depth > 1"; 100].join(" && "),
    ] {
        assert!(compile(&text).is_ok(), "{text}");
    }
}

#[test]
fn reasons_are_the_clauses_that_held_with_their_values() {
    let facts = some_facts();
    let because = |text: &str| compile(text).unwrap().because(&Sight::of(&facts), &transaction());
    assert_eq!(
        because("touches_protected && (depth > 2 || frames > 100) && !tx_succeeded"),
        [
            "touches_protected (touches_protected = true)",
            "depth > 2 (depth = 3)",
            "!tx_succeeded (tx_succeeded = false)"
        ]
    );
    assert_eq!(
        because("outflow_wei * 2 >= eth(3)"),
        ["outflow_wei * 2 >= eth(3) (outflow_wei = 1.5 ether)"]
    );
    assert_eq!(
        because("!(depth < 2 || (outflow_wei  -\n1) * 2 < eth(0.05) && tx_succeeded)"),
        [
            "!(depth < 2) (depth = 3)",
            "!((outflow_wei - 1) * 2 < eth(0.05)) (outflow_wei = 1.5 ether)",
            "!tx_succeeded (tx_succeeded = false)"
        ]
    );
}

#[test]
fn unknown_lists_the_facts_that_were_missing() {
    let condition = compile("touches_protected && unbacked_outflow_wei > claim_decrease_wei && (tx_succeeded || token_outflow_max_bps > bps(5))").unwrap();
    assert_eq!(
        condition.unknown(&Sight::of(&some_facts()), &transaction()),
        ["unbacked_outflow_wei", "claim_decrease_wei", "token_outflow_max_bps"]
    );
}

#[test]
fn triggers_are_facts_that_settle_the_condition_below_a_bound() {
    let names = |text: &str| -> Vec<(&str, u64)> {
        let dictionary = transaction();
        compile(text)
            .unwrap()
            .triggers()
            .iter()
            .map(|trigger| (dictionary.specs()[trigger.position].name, trigger.least.to()))
            .collect()
    };
    assert_eq!(
        names("depth > 1 && touches_protected && frames < 3"),
        [("depth", 2), ("touches_protected", 1)]
    );
    assert_eq!(names("creates != 0 && 7 <= depth"), [("creates", 1), ("depth", 7)]);
    assert_eq!(names("creates == 4 && depth != 7"), [("creates", 4)]);
    assert_eq!(names("!touches_protected && depth <= 1"), []);
    assert_eq!(names("touches_protected || depth > 1"), []);
}

proptest! {
    /// Foreign text is refused or compiled, never a panic, and spans lie inside the text.
    #[test]
    fn any_text_is_survived(text in r#"[a-z_0-9 !&|=<>+*/%().,\[\]?:"'{}\\-]{0,60}"#) {
        if let Err(complaint) = compile(&text) {
            prop_assert!(complaint.span.start <= complaint.span.end);
            prop_assert!(complaint.span.end <= text.chars().count());
        }
    }

    /// Words of the language in any order, which reach further than random characters.
    #[test]
    fn any_words_are_survived(words in proptest::collection::vec(proptest::sample::select(vec![
        "depth", "outflow_wei", "touches_protected", "sender", "entry_point", "1", "eth(", ")", "(", "&&", "||", "!", "==", "<",
        ">=", "+", "-", "*", "/", "%", "in", "[", "]", ",", "?", ":", "\"a\"", ".startsWith(", "address(", "true", "min(", "1.5", "0x1f", "7u", "null", "{", "}", "b\"x\"", "r\"x\"",
    ]), 0..30)) {
        let text = words.join(" ");
        if let Ok(condition) = compile(&text) {
            let _ = condition.evaluate(&Sight::of(&some_facts()));
        }
    }

    /// Learning a fact never turns true into false or back: it can only settle what was unknown.
    #[test]
    fn knowledge_is_monotone(
        clauses in proptest::collection::vec((0usize..6, any::<bool>(), any::<bool>()), 1..6),
        values in proptest::collection::vec(0u64..4, 6),
        known in proptest::collection::vec(any::<bool>(), 6),
    ) {
        let names = ["depth", "frames", "creates", "sender_nonce", "protected_calls", "selfdestructs"];
        let mut text = String::new();
        for (fact, and, negated) in clauses {
            if !text.is_empty() {
                text = format!("({text}) {} ", if and { "&&" } else { "||" });
            }
            text += &format!("{}({} > 1)", if negated { "!" } else { "" }, names[fact]);
        }
        // Contradictions are refused, which is another test's subject.
        let Ok(condition) = compile(&text) else { return Ok(()) };
        let (mut less, mut more) = (facts([]), facts([]));
        for (index, name) in names.into_iter().enumerate() {
            let position = transaction().position(name).unwrap();
            more.set(position, uint_value(values[index]));
            if known[index] {
                less.set(position, uint_value(values[index]));
            }
        }
        let (less, more) = (condition.evaluate(&Sight::of(&less)), condition.evaluate(&Sight::of(&more)));
        prop_assert!(more != Truth::Unknown);
        prop_assert!(less == Truth::Unknown || less == more, "{} {:?} {:?}", text, less, more);
    }
}

#[test]
fn lists_and_selectors_are_constants_with_names() {
    let facts = some_facts();
    assert_eq!(truth("sender in team", &facts), Truth::True);
    assert_eq!(truth("!(sender in team)", &facts), Truth::False);
    assert_eq!(truth("depth in sizes && outflow_bps in sizes", &facts), Truth::True);
    assert_eq!(truth("frames in sizes", &facts), Truth::False);
    assert!(refused("depth == selector(\"f()\")").0.contains("selector"), "units are checked");
    let (message, meant, help) = refused("sender in teem");
    assert_eq!((message.as_str(), meant.as_str()), ("unknown list `teem`", "teem"));
    assert!(help.contains("`team`"));
    assert!(refused("sender in sizes").0.contains("is not an address"));
    assert!(refused("team == sender").2.contains("it is a list"));
    assert!(refused("depth == selector(\"f\")").0.contains("signature"));
}

#[test]
fn a_floor_settles_what_more_could_not_change() {
    let facts = facts([("depth", Value::AtLeast(U256::from(10))), ("frames", uint_value(10))]);
    for (text, expected) in [
        ("depth >= 10", Truth::True),
        ("depth > 9", Truth::True),
        ("depth > 10", Truth::Unknown),
        ("depth < 10", Truth::False),
        ("depth <= 9", Truth::False),
        ("depth <= 10", Truth::Unknown),
        ("depth == 9", Truth::False),
        ("depth != 9", Truth::True),
        ("depth == 10", Truth::Unknown),
        ("depth in [3, 4]", Truth::Unknown),
        ("frames <= depth", Truth::True),
        ("frames > depth", Truth::False),
        ("depth + 5 > frames + 4", Truth::True),
        ("depth * 2 >= 20", Truth::True),
        ("frames - depth < 3", Truth::Unknown),
        ("above(depth, frames) > 0", Truth::Unknown),
        ("max(depth, frames) >= 10", Truth::True),
        ("min(depth, frames) >= 10", Truth::Unknown),
    ] {
        assert_eq!(truth(text, &facts), expected, "{text}");
    }
}
