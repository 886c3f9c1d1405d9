//! Which facts, when false or zero, settle a condition as false: the index of a rule set is built of them.

use ruint::aliases::U256;

use super::tree::{Clause, Test};
use crate::facts::{Dictionary, FactType};

/// Positions in the order of preference: numbers first, then the author's order. Nearly every rule asks whether something
/// protected is touched and whether the transaction succeeded, which on the transactions that matter is so; what is
/// counted is mostly zero.
pub(super) fn triggers(root: &Clause, dictionary: &Dictionary) -> Vec<usize> {
    let clauses = match &root.test {
        Test::All(clauses) => clauses.as_slice(),
        _ => std::slice::from_ref(root),
    };
    let mut positions: Vec<usize> =
        clauses.iter().filter_map(|clause| trigger(&clause.test)).collect();
    // What is asked for is not known yet when the index is used.
    positions.retain(|position| *position < dictionary.specs().len());
    positions.sort_by_key(|position| dictionary.fact(*position).ty == FactType::Bool);
    positions
}

/// The fact whose false or zero makes the test false.
fn trigger(test: &Test) -> Option<usize> {
    match test {
        Test::Fact { position, wanted: true } => Some(*position),
        Test::Bound { position, relation, bound } if !relation.holds(U256::ZERO.cmp(bound)) => {
            Some(*position)
        }
        _ => None,
    }
}
