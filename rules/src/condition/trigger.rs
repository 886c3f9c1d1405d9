//! What settles a condition as false before it is looked at: the index of a rule set is built of it.

use ruint::aliases::U256;

use super::tree::{Clause, Relation, Test};
use crate::facts::{Dictionary, FactType, Value};

/// A condition is false while the value at `position` is known and below `least`. A truth value counts as zero or one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trigger {
    /// Dictionary position.
    pub(crate) position: usize,
    /// At least one.
    pub(crate) least: U256,
}

impl Trigger {
    /// Whether this value makes the condition false. What is unknown, or may be more, does not.
    pub(crate) fn is_missed_by(&self, value: &Value) -> bool {
        match value {
            Value::Bool(value) => !value,
            Value::Uint(value) => *value < self.least,
            Value::AtLeast(_) | Value::Unknown | Value::Text(_) | Value::Address(_) => false,
        }
    }
}

/// In the order of preference: numbers first, then the author's order. Nearly every rule asks whether something
/// protected is touched and whether the transaction succeeded, which on the transactions that matter is so; what is
/// counted is mostly zero.
pub(super) fn triggers(root: &Clause, dictionary: &Dictionary) -> Vec<Trigger> {
    let clauses = match &root.test {
        Test::All(clauses) => clauses.as_slice(),
        _ => std::slice::from_ref(root),
    };
    let mut triggers: Vec<Trigger> =
        clauses.iter().filter_map(|clause| trigger(&clause.test)).collect();
    triggers.sort_by_key(|trigger| dictionary.fact(trigger.position).ty == FactType::Bool);
    triggers
}

/// What must at least be there for the test not to be false.
fn trigger(test: &Test) -> Option<Trigger> {
    let one = U256::from(1);
    match test {
        Test::Fact { position, wanted: true } => Some(Trigger { position: *position, least: one }),
        Test::Bound { position, relation, bound } => {
            let least = match relation {
                Relation::Greater => bound.saturating_add(one),
                Relation::GreaterOrEqual | Relation::Equal => *bound,
                Relation::NotEqual if bound.is_zero() => one,
                Relation::NotEqual | Relation::Less | Relation::LessOrEqual => return None,
            };
            (!least.is_zero()).then_some(Trigger { position: *position, least })
        }
        _ => None,
    }
}
