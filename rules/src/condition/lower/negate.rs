//! The opposite of a test, with the negation at its leaves.

use crate::condition::tree::{Clause, Said, Test};

/// The test that is true exactly where this one is false, and unknown where this one is.
pub(super) fn negate(test: Test) -> Test {
    match test {
        Test::Fact { position, wanted } => Test::Fact { position, wanted: !wanted },
        Test::SameTruth { left, right, wanted } => Test::SameTruth { left, right, wanted: !wanted },
        Test::Bound { position, relation, bound } => {
            Test::Bound { position, relation: relation.negated(), bound }
        }
        Test::Amounts { sides, relation } => Test::Amounts { sides, relation: relation.negated() },
        Test::AmountIn { value, set, wanted } => Test::AmountIn { value, set, wanted: !wanted },
        Test::Texts { left, relation, right, wanted } => {
            Test::Texts { left, relation, right, wanted: !wanted }
        }
        Test::TextIn { value, set, wanted } => Test::TextIn { value, set, wanted: !wanted },
        Test::Accounts { left, right, wanted } => Test::Accounts { left, right, wanted: !wanted },
        Test::AccountIn { value, set, wanted } => Test::AccountIn { value, set, wanted: !wanted },
        // `truth` negates these while it walks, so that the clauses keep the text of their author.
        Test::All(clauses) => Test::Any(clauses.into_iter().map(negate_clause).collect()),
        Test::Any(clauses) => Test::All(clauses.into_iter().map(negate_clause).collect()),
        Test::Choose { test, then, other } => Test::Choose {
            test,
            then: Box::new(negate_clause(*then)),
            other: Box::new(negate_clause(*other)),
        },
    }
}

fn negate_clause(clause: Clause) -> Clause {
    let said = Said { text: format!("!({})", clause.said.text), ..*clause.said };
    Clause { test: negate(clause.test), said: Box::new(said) }
}
