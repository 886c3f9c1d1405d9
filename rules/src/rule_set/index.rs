//! Which rules of one subject are looked at, from the facts that they need and the traces that they ask about.

use std::collections::HashMap;

use ruint::aliases::U256;

use super::Entry;
use crate::facts::{FactTable, Value};
use crate::question::{Instance, Question, Trace, Trail};

/// The rules of one subject that are not retired.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// Rules that ask nothing beyond the facts.
    plain: Gate,
    /// Rules that ask, and that no trail settles.
    asking: Gate,
    /// Rules that are false on a contract without a certain trace; read where no trail is known.
    traced: Gate,
    /// The same by the traces that they need, any one of them.
    by_trace: HashMap<Trace, Vec<usize>>,
}

/// Rules by the one fact that settles most of them.
#[derive(Debug, Clone, Default)]
struct Gate {
    /// Rules that nothing but their condition can settle.
    always: Vec<usize>,
    behind: Vec<Behind>,
}

/// Rules that are false while one fact is less than they need.
#[derive(Debug, Clone)]
struct Behind {
    position: usize,
    /// What each rule needs at least; ascending once the index is settled.
    rules: Vec<(U256, usize)>,
}

impl Index {
    /// Takes up the rule at `number`.
    pub(super) fn add(&mut self, number: usize, entry: &Entry, questions: &[Question]) {
        let traces = entry.asked_triggers.iter().map(|place| questions[*place].traces());
        let traces = traces.into_iter().find(|traces| !traces.is_empty());
        let gate = match traces {
            None if entry.places.is_empty() => &mut self.plain,
            None => &mut self.asking,
            Some(traces) => {
                for trace in traces {
                    self.by_trace.entry(trace).or_default().push(number);
                }
                &mut self.traced
            }
        };
        gate.add(number, entry);
    }

    /// Orders what was added; must be called before anything is looked up.
    pub(super) fn settle(&mut self) {
        for gate in [&mut self.plain, &mut self.asking, &mut self.traced] {
            gate.behind.iter_mut().for_each(|behind| behind.rules.sort_unstable());
        }
    }

    /// Rules that the facts and what is known of the touched contracts do not settle, in the order they were loaded.
    pub(super) fn awake(
        &self,
        entries: &[Entry],
        facts: &FactTable,
        instances: &[Instance],
    ) -> Vec<usize> {
        let mut awake = Vec::new();
        let mut note = |number| awake.push(number);
        self.plain.for_each(entries, facts, &mut note);
        self.asking.for_each(entries, facts, &mut note);
        let has_trails = instances.iter().all(|instance| instance.trail.is_some());
        if instances.is_empty() || !has_trails {
            self.traced.for_each(entries, facts, &mut note);
        } else {
            for trail in instances.iter().filter_map(|instance| instance.trail.as_ref()) {
                self.for_each_traced(entries, facts, trail, &mut note);
            }
        }
        awake.sort_unstable();
        awake.dedup();
        awake
    }

    /// Rules that ask and are not settled by the facts, or by what is known of one contract; one may come twice.
    pub(super) fn for_each_asking(
        &self,
        entries: &[Entry],
        facts: &FactTable,
        trail: Option<&Trail>,
        mut each: impl FnMut(usize),
    ) {
        self.asking.for_each(entries, facts, &mut each);
        match trail {
            None => self.traced.for_each(entries, facts, &mut each),
            Some(trail) => self.for_each_traced(entries, facts, trail, &mut each),
        }
    }

    fn for_each_traced(
        &self,
        entries: &[Entry],
        facts: &FactTable,
        trail: &Trail,
        each: &mut impl FnMut(usize),
    ) {
        if self.by_trace.is_empty() {
            return;
        }
        let found = trail.traces().iter().filter_map(|trace| self.by_trace.get(trace)).flatten();
        for &number in found {
            if !is_missed(&entries[number], facts) {
                each(number);
            }
        }
    }
}

impl Gate {
    fn add(&mut self, number: usize, entry: &Entry) {
        let Some(trigger) = entry.triggers.first() else {
            self.always.push(number);
            return;
        };
        let rule = (trigger.least, number);
        match self.behind.iter_mut().find(|behind| behind.position == trigger.position) {
            Some(behind) => behind.rules.push(rule),
            None => {
                self.behind.push(Behind { position: trigger.position, rules: vec![rule] });
            }
        }
    }

    fn for_each(&self, entries: &[Entry], facts: &FactTable, each: &mut impl FnMut(usize)) {
        self.always.iter().copied().for_each(&mut *each);
        for Behind { position, rules } in &self.behind {
            let reached = match facts.value(*position) {
                Value::Bool(false) => 0,
                Value::Uint(value) => rules.partition_point(|(least, _)| least <= value),
                _ => rules.len(),
            };
            for &(_, number) in &rules[..reached] {
                if !is_missed(&entries[number], facts) {
                    each(number);
                }
            }
        }
    }
}

/// Whether any fact that the rule needs is not there.
fn is_missed(entry: &Entry, facts: &FactTable) -> bool {
    entry.triggers.iter().any(|trigger| trigger.is_missed_by(facts.value(trigger.position)))
}
