//! A given number of rules, for measuring what they take: those that ship, again under other ids, and as many as are
//! derived from audits.

use portcullis_rules::packs::{embedded, kit};
use portcullis_rules::{Pack, RuleSet, Subject};

use crate::dictionaries;

/// Rules about transactions, half of them shipped, half derived. The derived ones each ask about a slot of their own.
///
/// # Panics
/// A shipped pack does not load, which its tests rule out.
pub(crate) fn rules(count: usize) -> RuleSet {
    let dictionaries = dictionaries();
    let mut packs = Vec::new();
    let mut missing = count;
    for round in 0.. {
        for (name, text) in embedded().iter().filter(|(name, _)| kit(name).is_none()) {
            let name = format!("{name}-{round}");
            let text = renamed(text, round);
            let pack = Pack::parse(&text, &name, &dictionaries).expect("a shipped pack loads");
            let about = |pack: &Pack| {
                pack.rules().iter().all(|rule| rule.subject() == Subject::Transaction)
            };
            if about(&pack) && pack.rules().len() <= missing - count / 2 {
                missing -= pack.rules().len();
                packs.push(pack);
            }
        }
        if missing <= count / 2 + 2 {
            break;
        }
    }
    packs.push(derived(missing));
    RuleSet::new(packs).expect("all ids differ")
}

/// The text of a pack with a number behind its name and every id.
fn renamed(text: &str, round: usize) -> String {
    let mut renamed = String::with_capacity(text.len() + 1_024);
    for line in text.lines() {
        let is_named = line.starts_with("pack: ") || line.starts_with("  - id: ");
        renamed += line;
        if is_named {
            renamed += &format!("-{round}");
        }
        renamed.push('\n');
    }
    renamed
}

fn derived(count: usize) -> Pack {
    let mut text = "pack: derived\nversion: 1.0.0\nengine: 1\nauthor: bench\nrules:\n".to_owned();
    for number in 0..count {
        text += &format!(
            "  - {{ id: slot-{number}-changed, subject: transaction, severity: high, maturity: stable, class: access, \
             why: w, with: {{ foreign: {{ changed: slot({number}), not_by: [\"slot(0, 0)\"] }} }}, \
             when: touches_protected && tx_succeeded && foreign > 0, message: m }}\n"
        );
    }
    Pack::parse(&text, "derived", &dictionaries()).expect("derived rules load")
}

#[cfg(test)]
mod tests {
    #[test]
    fn so_many_rules_are_made_as_are_asked_for() {
        for count in [200, 1_000] {
            let rules = super::rules(count);
            assert_eq!(rules.len(), count);
            assert!(rules.questions().len() > count / 3, "{}", rules.questions().len());
        }
    }
}
