//! Comparisons, membership and the methods of texts.

use std::sync::Arc;

use cel::common::ast::{Expr, IdedExpr, LiteralValue};

use super::amount::Quantity;
use super::{Lowered, Lowering, Typed};
use crate::condition::closest;
use crate::condition::print::print;
use crate::condition::tree::{Account, Amount, Relation, Test, Text, TextRelation};

/// Methods of a text.
pub(super) const TEXT_METHODS: &[(&str, TextRelation)] = &[
    ("startsWith", TextRelation::StartsWith),
    ("endsWith", TextRelation::EndsWith),
    ("contains", TextRelation::Contains),
];
/// Sets are searched by halves.
fn sorted<T: Ord>(mut constants: Vec<T>) -> Arc<[T]> {
    constants.sort_unstable();
    constants.into()
}

impl Lowering<'_> {
    pub(super) fn compare(
        &mut self,
        expression: &IdedExpr,
        relation: Relation,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Lowered<Typed> {
        if print(self.source, left) == print(self.source, right) {
            return Err(self.complain(expression, "both sides are the same"));
        }
        let equality = matches!(relation, Relation::Equal | Relation::NotEqual);
        let wanted = relation == Relation::Equal;
        if equality {
            // `fact == true` is the one place where a bare truth value may stand.
            for (value, side) in [(left, right), (right, left)] {
                if let Expr::Literal(LiteralValue::Boolean(literal)) = &value.expr {
                    return self.truth(side, *literal.inner() != wanted).map(Typed::Truth);
                }
            }
        }
        let sides = (left, right);
        let test = match (self.typed(left)?, self.typed(right)?) {
            (Typed::Amount(left), Typed::Amount(right)) => {
                return self.compare_amounts(expression, relation, left, right);
            }
            (Typed::Truth(left), Typed::Truth(right)) if equality => Test::SameTruth {
                left: Box::new(self.named(sides.0, left, false)),
                right: Box::new(self.named(sides.1, right, false)),
                wanted,
            },
            (Typed::Text(Text::Constant(_)), Typed::Text(Text::Constant(_))) => {
                return Err(self.complain(
                    expression,
                    "this reads no fact, so it always gives the same answer",
                ));
            }
            (Typed::Text(left), Typed::Text(right)) if equality => {
                Test::Texts { left, relation: TextRelation::Equal, right, wanted }
            }
            (Typed::Account(Account::Constant(_)), Typed::Account(Account::Constant(_))) => {
                return Err(self.complain(
                    expression,
                    "this reads no fact, so it always gives the same answer",
                ));
            }
            (Typed::Account(left), Typed::Account(right)) if equality => {
                Test::Accounts { left, right, wanted }
            }
            (Typed::Account(_), Typed::Text(_)) | (Typed::Text(_), Typed::Account(_)) => {
                return Err(self
                    .complain(expression, "an address and a text can never be equal")
                    .help("write the address as `address(\"0x…\")`"));
            }
            (left, right) if left.kind() == right.kind() => {
                return Err(self.complain(expression, format!("{} has no order", left.kind())));
            }
            (left, right) => {
                return Err(self.complain(
                    expression,
                    format!("this compares {} with {}", left.kind(), right.kind()),
                ));
            }
        };
        Ok(Typed::Truth(test))
    }

    fn compare_amounts(
        &self,
        expression: &IdedExpr,
        relation: Relation,
        left: Quantity,
        right: Quantity,
    ) -> Lowered<Typed> {
        self.common_unit(expression, &left, &right)?;
        match left.range.decide(relation, right.range) {
            Some(true) => return Err(self.complain(expression, "this comparison always holds")),
            Some(false) => return Err(self.complain(expression, "this comparison can never hold")),
            None => {}
        }
        Ok(Typed::Truth(match (left.amount, right.amount) {
            (Amount::Fact(position), Amount::Constant(bound)) => {
                Test::Bound { position, relation, bound }
            }
            (Amount::Constant(bound), Amount::Fact(position)) => {
                Test::Bound { position, relation: relation.mirrored(), bound }
            }
            (left, right) => Test::Amounts { sides: Box::new((left, right)), relation },
        }))
    }

    pub(super) fn membership(
        &mut self,
        expression: &IdedExpr,
        value: &IdedExpr,
        set: &IdedExpr,
    ) -> Lowered<Typed> {
        if let Expr::Ident(name) = &set.expr {
            return self.named_list(value, set, name);
        }
        let Expr::List(list) = &set.expr else {
            return Err(self
                .complain(set, "expected a list of constants, as in `x in [1, 2]`, or its name"));
        };
        if list.elements.is_empty() {
            return Err(
                self.complain(expression, "nothing is in an empty list: this can never hold")
            );
        }
        let test = match self.typed(value)? {
            Typed::Amount(value) => {
                let mut constants = Vec::new();
                for element in &list.elements {
                    let entry = self.quantity(element)?;
                    self.common_unit(element, &value, &entry)?;
                    let Amount::Constant(constant) = entry.amount else {
                        return Err(self.complain(element, "expected a constant amount"));
                    };
                    constants.push(constant);
                }
                Test::AmountIn { value: value.amount, set: sorted(constants), wanted: true }
            }
            Typed::Text(value) => {
                let mut constants = Vec::new();
                for element in &list.elements {
                    match self.text(element)? {
                        Text::Constant(constant) => constants.push(constant),
                        Text::Fact(_) => {
                            return Err(self.complain(element, "expected a constant text"));
                        }
                    }
                }
                Test::TextIn { value, set: sorted(constants), wanted: true }
            }
            Typed::Account(value) => {
                let mut constants = Vec::new();
                for element in &list.elements {
                    match self.typed(element)? {
                        Typed::Account(Account::Constant(constant)) => constants.push(constant),
                        _ => {
                            return Err(self.complain(
                                element,
                                "expected an address, as in `address(\"0x…\")`",
                            ));
                        }
                    }
                }
                Test::AccountIn { value, set: sorted(constants), wanted: true }
            }
            Typed::Truth(_) => {
                return Err(self.complain(value, "expected an amount, a text or an address"));
            }
        };
        Ok(Typed::Truth(test))
    }

    /// `fact in name`, where a list of the pack has that name.
    fn named_list(&mut self, value: &IdedExpr, set: &IdedExpr, name: &str) -> Lowered<Typed> {
        let lists = self.scope.lists;
        let Some(list) = lists.get(name) else {
            let complaint = self.complain(set, format!("unknown list `{name}`"));
            return Err(match closest(name, lists.keys().map(String::as_str)) {
                Some(close) => complaint.help(format!("did you mean `{close}`?")),
                None => complaint.help("lists stand under `lists:` of the pack"),
            });
        };
        let value_of = self.typed(value)?;
        let refuse = |reason: String| self.complain(set, format!("list `{name}`: {reason}"));
        Ok(Typed::Truth(match value_of {
            Typed::Amount(value) => {
                let set = list.amounts().map_err(refuse)?;
                Test::AmountIn { value: value.amount, set, wanted: true }
            }
            Typed::Text(value) => Test::TextIn { value, set: list.texts(), wanted: true },
            Typed::Account(value) => {
                Test::AccountIn { value, set: list.addresses().map_err(refuse)?, wanted: true }
            }
            Typed::Truth(_) => {
                return Err(self.complain(value, "expected an amount, a text or an address"));
            }
        }))
    }

    pub(super) fn method(
        &mut self,
        expression: &IdedExpr,
        name: &str,
        target: &IdedExpr,
        arguments: &[IdedExpr],
    ) -> Lowered<Typed> {
        let Some((_, relation)) = TEXT_METHODS.iter().find(|(known, _)| *known == name) else {
            return Err(self.unknown_function(expression, name));
        };
        let [argument] = arguments else {
            return Err(self.complain(expression, format!("`{name}` takes one text")));
        };
        let left = self.text(target)?;
        let right = self.text(argument)?;
        if matches!((&left, &right), (Text::Constant(_), Text::Constant(_))) {
            return Err(
                self.complain(expression, "this reads no fact, so it always gives the same answer")
            );
        }
        Ok(Typed::Truth(Test::Texts { left, relation: *relation, right, wanted: true }))
    }
}
