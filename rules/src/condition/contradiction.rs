//! Clauses joined by "and" that can never hold together.

use super::Complaint;
use super::range::Range;
use super::tree::{Account, Clause, Test, Text, TextRelation};

/// Refuses the first clause that contradicts an earlier one about the same fact.
pub(super) fn refuse(clauses: &[Clause]) -> Result<(), Complaint> {
    for (index, clause) in clauses.iter().enumerate() {
        let mut range = bound(clause);
        for earlier in &clauses[..index] {
            let against = || {
                Complaint::new(
                    clause.said.span,
                    format!(
                        "`{}` can never hold together with `{}`",
                        clause.said.text, earlier.said.text
                    ),
                )
            };
            if excludes(&earlier.test, &clause.test) {
                return Err(against());
            }
            if let (Some((position, so_far)), Some((other, more))) = (range, bound(earlier))
                && position == other
            {
                range = Some((position, so_far.meet(more).ok_or_else(against)?));
            }
        }
    }
    Ok(())
}

/// The range that a clause allows to one fact.
fn bound(clause: &Clause) -> Option<(usize, Range)> {
    match &clause.test {
        Test::Bound { position, relation, bound } => {
            Some((*position, Range::of(*relation, *bound)?))
        }
        _ => None,
    }
}

/// Two plain statements about one fact of which at most one is true.
fn excludes(left: &Test, right: &Test) -> bool {
    match (left, right) {
        (Test::Fact { position: left, wanted }, Test::Fact { position: right, wanted: other }) => {
            left == right && wanted != other
        }
        (
            Test::Bound { position: left, relation, bound },
            Test::Bound { position: right, relation: other, bound: same },
        ) => left == right && bound == same && *relation == other.negated(),
        (
            Test::Texts {
                left: Text::Fact(left),
                relation: TextRelation::Equal,
                right: Text::Constant(one),
                wanted: true,
            },
            Test::Texts {
                left: Text::Fact(right),
                relation: TextRelation::Equal,
                right: Text::Constant(two),
                wanted: true,
            },
        ) => left == right && one != two,
        (
            Test::Accounts {
                left: Account::Fact(left),
                right: Account::Constant(one),
                wanted: true,
            },
            Test::Accounts {
                left: Account::Fact(right),
                right: Account::Constant(two),
                wanted: true,
            },
        ) => left == right && one != two,
        _ => false,
    }
}
