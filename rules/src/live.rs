//! Rules that are exchanged while they are asked: the new ones whole, or the old ones still.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use crate::error::PackError;
use crate::pack::{Maturity, Pack, Rule};
use crate::rule_set::RuleSet;

/// The rules in force. Share it in an `Arc`; whoever judges takes [`LiveRules::current`] once for each subject, so that
/// one judgement is never made of two sets.
#[derive(Debug, Default)]
pub struct LiveRules {
    current: RwLock<Arc<RuleSet>>,
}

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

impl LiveRules {
    /// Rules to begin with.
    pub fn new(rules: RuleSet) -> Self {
        Self { current: RwLock::new(Arc::new(rules)) }
    }

    /// The rules in force at this moment.
    pub fn current(&self) -> Arc<RuleSet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads packs and puts them in force, all of them at once. Nothing waits while they are read and checked.
    ///
    /// The packs must be checked against the dictionaries of those in force.
    ///
    /// # Errors
    /// Whatever `load` says, and what [`RuleSet::new`] says; the rules in force stay what they were.
    pub fn exchange<E: From<PackError>>(
        &self,
        load: impl FnOnce() -> Result<Vec<Pack>, E>,
    ) -> Result<Exchange, E> {
        let next = Arc::new(RuleSet::new(load()?)?);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let exchange = Exchange::between(&current, &next);
        *current = next;
        Ok(exchange)
    }
}

impl Exchange {
    fn between(before: &RuleSet, after: &RuleSet) -> Self {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Exchange, LiveRules};
    use crate::error::PackError;
    use crate::facts::Subject;
    use crate::pack::Pack;
    use crate::rule_set::RuleSet;
    use crate::sample::{all, facts, uint_value};

    fn pack(rules: &[(&str, &str, &str)]) -> Result<Vec<Pack>, PackError> {
        let rules = rules.iter().fold(String::new(), |text, (id, maturity, when)| {
            text + &format!(
                "\n  - {{ id: {id}, subject: transaction, severity: low, maturity: {maturity}, class: c, why: w, \
                 when: {when}, message: m }}"
            )
        });
        let text = format!("pack: live\nversion: 1.0.0\nengine: 1\nauthor: a\nrules:{rules}");
        Ok(vec![Pack::parse(&text, "live", &all())?])
    }

    fn live(rules: &[(&str, &str, &str)]) -> LiveRules {
        LiveRules::new(RuleSet::new(pack(rules).unwrap()).unwrap())
    }

    #[test]
    fn new_rules_are_in_force_and_what_changed_is_said() {
        let live = live(&[
            ("kept", "stable", "depth > 5"),
            ("gone", "stable", "depth > 6"),
            ("moved", "experimental", "depth > 7"),
        ]);
        let before = live.current();
        let exchange = live
            .exchange(|| {
                pack(&[
                    ("kept", "stable", "depth > 5"),
                    ("moved", "stable", "depth > 8"),
                    ("new", "experimental", "frames > 1"),
                ])
            })
            .unwrap();
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let expected = Exchange {
            rules: 3,
            added: ids(&["new"]),
            removed: ids(&["gone"]),
            changed: ids(&["moved"]),
            may_pause_now: ids(&["moved"]),
        };
        assert_eq!(exchange, expected);
        assert!(live.current().rules().any(|(_, rule)| rule.id() == "new"));
        // Whoever judges with the old ones still does so to the end.
        assert!(before.rules().any(|(_, rule)| rule.id() == "gone"));
    }

    #[test]
    fn rules_that_do_not_load_leave_the_old_ones_in_force() {
        let live = live(&[("a", "stable", "depth > 5")]);
        let before = live.current();
        let error = live.exchange(|| pack(&[("a", "stable", "dept > 5")])).unwrap_err();
        assert!(error.to_string().contains("did you mean `depth`?"), "{error}");
        // Each pack is sound, and together they are not.
        let twice = live.exchange(|| {
            let mut packs = pack(&[("a", "stable", "depth > 5")])?;
            packs.extend(pack(&[("a", "stable", "depth > 6")])?);
            Ok::<_, PackError>(packs)
        });
        assert!(matches!(twice, Err(PackError::Duplicate { .. })), "{twice:?}");
        assert!(std::sync::Arc::ptr_eq(&before, &live.current()));
    }

    #[test]
    fn no_judgement_is_made_of_two_sets() {
        // Both rules of a set fire at the same depth, so one alone would be a mixture.
        let both = |least: u32| {
            pack(&[
                ("a", "stable", &format!("depth > {least}")),
                ("b", "stable", &format!("depth > {least} && frames > 0")),
            ])
        };
        let live = LiveRules::new(RuleSet::new(both(5).unwrap()).unwrap());
        let shown = facts([("depth", uint_value(6)), ("frames", uint_value(1))]);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut seen = [0_usize; 3];
                while !is_over.load(Ordering::Relaxed) || seen[0] + seen[2] == 0 {
                    seen[live.current().evaluate(Subject::Transaction, &shown).len()] += 1;
                }
                seen
            });
            for round in 0..40 {
                live.exchange(|| both(if round % 2 == 0 { 6 } else { 5 })).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(asking.join().unwrap()[1], 0);
        });
    }
}
