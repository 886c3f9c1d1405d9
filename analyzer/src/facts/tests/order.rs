//! What is done before what.

use super::*;

#[test]
fn order_is_told_across_calls() {
    let text = "contract C { uint x; uint y; uint z; modifier m() { x = 1; _; z = 1; }
        function f(bool b) external m { if (b) { one(); } two(); for (uint i; i < 3; i++) { y = 5; x = 6; } }
        function one() internal { y = 2; } function two() internal { y = 3; if (false) { y = 4; } } }";
    let program = single(text);
    let facts = Facts::new(&program);
    let order = facts.order(facts.entry_points()[0]).unwrap();
    let of = |part: &str| {
        let start = text.find(part).unwrap() as u32;
        Span { file: crate::syntax::FileId(0), start, end: start + part.len() as u32 }
    };
    let (x, z, y2, y3, y4) = (of("x = 1"), of("z = 1"), of("y = 2"), of("y = 3"), of("y = 4"));
    // A modifier frames the body, and a call stands for what it runs.
    assert!(order.always_before(x, y2) && order.always_before(y3, z));
    assert!(order.always_before(of("two()"), z) && order.always_before(x, of("one()")));
    assert!(!order.always_before(z, x) && !order.may_follow(z, x));
    // What one branch alone runs is before nothing always, but may be followed.
    assert!(!order.always_before(y2, y3) && order.may_follow(y2, y3) && !order.may_follow(y3, y2));
    // In a loop each follows the other, and the first round decides what is always before.
    let (y5, x6) = (of("y = 5"), of("x = 6"));
    assert!(order.may_follow(y5, x6) && order.may_follow(x6, y5) && order.may_follow(y5, y5));
    assert!(order.always_before(y5, x6) && !order.always_before(x6, y5));
    // What never runs has no order.
    assert!(!order.always_before(x, y4) && !order.may_follow(x, y4));
}

/// A rule that asks for the order of things, and nothing that another fact tells.
const PACK: &str = r#"pack: order
version: 1.0.0
engine: 1
author: portcullis
rules:
  - id: calls-before-it-checks
    subject: function
    severity: low
    maturity: stable
    class: reentrancy
    why: What the checks refuse was already seen and answered by the contract that was called.
    references: [https://swcregistry.io/docs/SWC-107/]
    when: fully_read && unchecked_calls > 0 && checks_after_calls > 0
    message: "`{function}` calls out before it checks anything"
    false_positives: [a check of what the call gave back]
    tests:
      - { name: late, facts: { fully_read: true, unchecked_calls: 1, checks_after_calls: 1 }, expect: fires }
      - { name: early, facts: { fully_read: true, unchecked_calls: 0, checks_after_calls: 1 }, expect: silent }
"#;

/// The functions of the contract `C` that the rule of [`PACK`] fires on.
fn late_checks(text: &str) -> Vec<String> {
    let program = single(text);
    let facts = Facts::new(&program);
    let pack = Pack::parse(PACK, "order.yaml", &[dictionary()]).expect("the pack is well-formed");
    let rules = RuleSet::new(vec![pack]).expect("one pack has no rule twice");
    facts
        .function_tables(&dictionary())
        .iter()
        .filter(|(_, table)| {
            let answers = rules.evaluate(Subject::Function, table);
            answers.iter().any(|answer| matches!(answer.outcome, AnswerOutcome::Fires { .. }))
        })
        .map(|(entry, _)| program.function_name(entry.function))
        .collect()
}

#[test]
fn rules_ask_for_the_order_of_things() {
    let text = "
        interface Callee { function told(uint n) external; }
        contract C {
            address owner = msg.sender;
            Callee callee;
            uint n;
            modifier owned() { require(msg.sender == owner); _; }
            modifier sound() { _; require(n < 10); }
            function tell(uint more) internal { callee.told(more); }
            function check(uint more) internal view { require(more < n); }
            function late(uint more) external { tell(more); check(more); n = more; }
            function lateByModifier(uint more) external sound { tell(more); }
            function early(uint more) external { check(more); tell(more); check(more + 1); }
            function earlyByModifier(uint more) external owned { tell(more); check(more); }
            function unchecked_(uint more) external { tell(more); n = more; }
            function perhaps(uint more) external { if (more > 3) { check(more); } tell(more); check(more); }
        }";
    assert_eq!(late_checks(text), ["C.late", "C.lateByModifier", "C.perhaps"]);
}

#[test]
fn order_is_counted_for_rules() {
    let text = "
        interface Callee { function told() external; function asked() external view returns (uint); }
        contract C {
            event Done(uint n);
            Callee callee; uint a; uint b; uint c;
            function f(uint n) external {
                a = n;
                callee.told();
                require(b > n);
                b = callee.asked();
                emit Done(c);
            }
            function round(uint n) external { for (uint i; i < n; i++) { callee.told(); a = i; } }
            function none(uint n) external { require(n > a); b = n; emit Done(n); }
        }";
    let program = single(text);
    let facts = Facts::new(&program);
    let counts = |name: &str| {
        let summary = facts
            .summaries()
            .iter()
            .find(|summary| program.function_name(summary.function) == name)
            .expect("it is an entry point");
        ORDER_FACTS
            .iter()
            .zip(summary.order)
            .filter(|(_, count)| *count > 0)
            .map(|(spec, count)| format!("{} {count}", spec.name))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        counts("C.f"),
        [
            "unchecked_writes 1",
            "unchecked_calls 1",
            "written_before_calls 1",
            "written_after_calls 1",
            "read_after_calls 3",
            "events_after_calls 1",
            "checks_after_calls 1",
        ]
    );
    assert_eq!(
        counts("C.round"),
        [
            "unchecked_writes 1",
            "unchecked_calls 1",
            "written_before_calls 1",
            "written_after_calls 1",
            "read_after_calls 1",
            "calls_after_calls 1",
        ]
    );
    assert_eq!(counts("C.none"), [""; 0]);
}
