//! What changes where one set of rules takes over from another.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::pack::{Maturity, Rule};
use crate::rule_set::RuleSet;

/// What an exchange changed, by the ids of rules in alphabetical order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Rules in force now.
    pub rules: usize,
    /// Rules that were not there before.
    pub added: Vec<String>,
    /// Rules that are not there any more.
    pub removed: Vec<String>,
    /// Rules that say something else than before.
    pub changed: Vec<String>,
    /// Rules that may ask for a pause and could not before: the ones to read twice.
    pub may_pause_now: Vec<String>,
}

impl Exchange {
    /// What `after` says that `before` did not, and the other way round.
    pub fn between(before: &RuleSet, after: &RuleSet) -> Self {
        let by_id = |set: &RuleSet| -> BTreeMap<String, Rule> {
            set.rules().map(|(_, rule)| (rule.id().to_owned(), rule.clone())).collect()
        };
        let (before, after) = (by_id(before), by_id(after));
        let mut exchange = Self { rules: after.len(), ..Self::default() };
        exchange.removed = before.keys().filter(|id| !after.contains_key(*id)).cloned().collect();
        for (id, rule) in after {
            let earlier = before.get(&id);
            let may_pause = |rule: &Rule| rule.maturity() == Maturity::Stable;
            if may_pause(&rule) && !earlier.is_some_and(may_pause) {
                exchange.may_pause_now.push(id.clone());
            }
            match earlier {
                None => exchange.added.push(id),
                Some(earlier) if !earlier.says_the_same(&rule) => exchange.changed.push(id),
                Some(_) => {}
            }
        }
        exchange
    }
}

/// In one line, for the journal: `28 rules; new: a, b; gone: c; may pause now: a`.
impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules", self.rules)?;
        let parts = [
            ("new", &self.added),
            ("gone", &self.removed),
            ("changed", &self.changed),
            ("may pause now", &self.may_pause_now),
        ];
        for (words, ids) in parts.into_iter().filter(|(_, ids)| !ids.is_empty()) {
            write!(f, "; {words}: {}", ids.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Exchange;
    use crate::pack::Pack;
    use crate::rule_set::RuleSet;
    use crate::sample::all;

    fn set(rules: &[(&str, &str, &str)]) -> RuleSet {
        let rules = rules.iter().fold(String::new(), |text, (id, maturity, when)| {
            text + &format!(
                "\n  - {{ id: {id}, subject: transaction, severity: low, maturity: {maturity}, class: c, why: w, \
                 when: {when}, message: m }}"
            )
        });
        let text = format!("pack: live\nversion: 1.0.0\nengine: 1\nauthor: a\nrules:{rules}");
        RuleSet::new(vec![Pack::parse(&text, "live", &all()).unwrap()]).unwrap()
    }

    #[test]
    fn what_changed_is_told_and_what_may_pause_now() {
        let before = set(&[
            ("kept", "stable", "depth > 5"),
            ("gone", "stable", "depth > 6"),
            ("moved", "experimental", "depth > 7"),
        ]);
        let after = set(&[
            ("kept", "stable", "depth > 5"),
            ("moved", "stable", "depth > 8"),
            ("new", "experimental", "frames > 1"),
        ]);
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let expected = Exchange {
            rules: 3,
            added: ids(&["new"]),
            removed: ids(&["gone"]),
            changed: ids(&["moved"]),
            may_pause_now: ids(&["moved"]),
        };
        let exchange = Exchange::between(&before, &after);
        assert_eq!(exchange, expected);
        assert_eq!(
            exchange.to_string(),
            "3 rules; new: new; gone: gone; changed: moved; may pause now: moved"
        );
        assert_eq!(Exchange::between(&after, &after).to_string(), "3 rules");
    }
}
