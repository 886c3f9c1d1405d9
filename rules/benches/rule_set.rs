//! How long 200 and 1,000 rules take on one transaction, where something protected is touched and where nothing is.
//!
//! `cargo bench -p portcullis-rules`. Medians, so that a machine that is busy for a while does not show. The rules and
//! the facts are made up here; `portcullis bench` asks the rules that ship, and rules that are derived, of real
//! transactions, and puts the simulation's own time beside them.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::hint::black_box;
use std::time::Instant;

use portcullis_rules::question::{Instance, Place, Replies, Trace, Trail};
use portcullis_rules::{Dictionary, FactSpec, FactTable, FactType, Pack, RuleSet, Subject, Value};
use ruint::aliases::U256;

const fn fact(name: &'static str, ty: FactType, unit: &'static str) -> FactSpec {
    let subject = Subject::Transaction;
    FactSpec { name, subject, ty, unit, may_be_unknown: true, doc: "" }
}

const FACTS: &[FactSpec] = &[
    fact("touches_protected", FactType::Bool, ""),
    fact("tx_succeeded", FactType::Bool, ""),
    fact("reentry_depth", FactType::Uint, "count"),
    fact("reentered_writes", FactType::Uint, "count"),
    fact("outflow_wei", FactType::Uint, "wei"),
    fact("outflow_bps", FactType::Uint, "bps"),
    fact("unbacked_outflow_wei", FactType::Uint, "wei"),
    fact("frames", FactType::Uint, "count"),
];

/// Rules of five clauses, of which the last settles most of them.
fn pack(rules: usize) -> RuleSet {
    let mut text = "pack: measured\nversion: 1.0.0\nengine: 1\nauthor: bench\nrules:\n".to_owned();
    for number in 0..rules {
        let when = match number % 4 {
            0 => {
                format!("reentry_depth > 1 && reentered_writes > {number} && outflow_wei > eth(1)")
            }
            1 => format!("outflow_bps >= bps({}) && outflow_wei > 0", 2_000 + number),
            2 => format!("unbacked_outflow_wei > outflow_wei / 10 * 9 && frames > {number}"),
            _ => format!("(outflow_wei > eth({}) || frames > {})", 10_000 + number, 5_000 + number),
        };
        text += &format!(
            "  - {{ id: rule-{number}, subject: transaction, severity: high, maturity: stable, class: c, why: w, \
             when: \"touches_protected && tx_succeeded && {when}\", message: m }}\n"
        );
    }
    let dictionary = Dictionary::new(Subject::Transaction, [FACTS]);
    RuleSet::new(vec![Pack::parse(&text, "measured", &[dictionary]).unwrap()]).unwrap()
}

/// The same, and as many rules that ask whether a slot of their own was changed by a stranger.
fn asking_pack(rules: usize) -> RuleSet {
    let mut text = "pack: derived\nversion: 1.0.0\nengine: 1\nauthor: bench\nrules:\n".to_owned();
    for number in 0..rules {
        text += &format!(
            "  - {{ id: slot-{number}, subject: transaction, severity: high, maturity: stable, class: c, why: w, \
             with: {{ foreign: {{ changed: slot({number}), not_by: [\"slot(0, 0)\"] }} }}, \
             when: touches_protected && tx_succeeded && foreign > 0, message: m }}\n"
        );
    }
    let dictionary = Dictionary::new(Subject::Transaction, [FACTS]);
    RuleSet::new(vec![Pack::parse(&text, "derived", &[dictionary]).unwrap()]).unwrap()
}

/// Asks what is wanted of one contract of which four slots were changed, and then every rule.
fn ask(set: &RuleSet, table: &FactTable) -> usize {
    let contract = [7; 20];
    let slots = [3, 5, 1_u64 << 40, 1_u64 << 41].map(|slot| Place::Slot(U256::from(slot)));
    let trail = Trail::new(slots.map(Trace::Changed));
    let wanted = set.wanted(table, &contract, Some(&trail));
    let replies = wanted.into_iter().map(|place| (place, Some(Value::Uint(U256::ZERO))));
    let instance = Instance { contract, replies: Replies::new(replies), trail: Some(trail) };
    set.evaluate_on(Subject::Transaction, table, &[instance]).len()
}

fn main() {
    let dictionary = Dictionary::new(Subject::Transaction, [FACTS]);
    println!(
        "{:>6}  {:>8}  {:>14}  {:>14}  {:>10}",
        "rules", "kind", "touched, us", "untouched, us", "ns a rule"
    );
    for (kind, make) in [("facts", pack as fn(usize) -> RuleSet), ("slots", asking_pack)] {
        for rules in [200, 1_000] {
            let set = make(rules);
            let mut medians = [0.0; 2];
            for (place, is_touched) in [true, false].into_iter().enumerate() {
                let mut table = dictionary.empty_table();
                let amounts = [1, 0, 3_000_000_000_000_000_000_u64, 30, 0, 12];
                table.set(0, Value::Bool(is_touched));
                table.set(1, Value::Bool(true));
                for (position, amount) in amounts.into_iter().enumerate() {
                    table.set(position + 2, Value::Uint(U256::from(amount)));
                }
                assert_eq!(ask(&set, &table), 0, "a swap fires nothing");
                let mut times: Vec<f64> = (0..2_000)
                    .map(|_| {
                        let start = Instant::now();
                        black_box(ask(&set, black_box(&table)));
                        start.elapsed().as_secs_f64() * 1e6
                    })
                    .collect();
                times.sort_unstable_by(f64::total_cmp);
                medians[place] = times[times.len() / 2];
            }
            let [touched, untouched] = medians;
            let each = touched * 1_000.0 / rules as f64;
            println!("{rules:>6}  {kind:>8}  {touched:>14.3}  {untouched:>14.3}  {each:>10.1}");
        }
    }
}
