//! The lowered tree and its evaluation over a flat table: no allocation, no names, no CEL.

use std::cmp::Ordering;
use std::sync::Arc;

use ruint::aliases::U256;

use super::Span;
use crate::facts::{Sight, Value};

/// Kleene's three truth values, ordered so that "and" is the minimum and "or" the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}

/// A part of a condition that can be shown to people.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    pub(super) test: Test,
    /// Apart from the test, so that clauses which are evaluated one after the other lie close together.
    pub(super) said: Box<Said>,
}

/// What people are told of a clause.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// The part as its author wrote it, on one line.
    pub(super) text: String,
    /// Dictionary positions it reads, without repetition.
    pub(super) reads: Vec<usize>,
    pub(super) span: Span,
}

/// Something that is true, false or unknown. Negations stand at the leaves only.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Fact {
        position: usize,
        wanted: bool,
    },
    All(Vec<Clause>),
    Any(Vec<Clause>),
    Choose {
        test: Box<Clause>,
        then: Box<Clause>,
        other: Box<Clause>,
    },
    SameTruth {
        left: Box<Clause>,
        right: Box<Clause>,
        wanted: bool,
    },
    /// A fact against a constant: the common case, kept flat.
    Bound {
        position: usize,
        relation: Relation,
        bound: U256,
    },
    Amounts {
        sides: Box<(Amount, Amount)>,
        relation: Relation,
    },
    /// Sets are sorted, for lists may be long.
    AmountIn {
        value: Amount,
        set: Arc<[U256]>,
        wanted: bool,
    },
    Texts {
        left: Text,
        relation: TextRelation,
        right: Text,
        wanted: bool,
    },
    TextIn {
        value: Text,
        set: Arc<[String]>,
        wanted: bool,
    },
    Accounts {
        left: Account,
        right: Account,
        wanted: bool,
    },
    AccountIn {
        value: Account,
        set: Arc<[[u8; 20]]>,
        wanted: bool,
    },
}

/// How two amounts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How two texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextRelation {
    Equal,
    StartsWith,
    EndsWith,
    Contains,
}

/// A 256-bit amount.
#[derive(Debug, Clone)]
pub(super) enum Amount {
    Constant(U256),
    Fact(usize),
    Binary { operation: Operation, left: Box<Amount>, right: Box<Amount> },
    Choose { test: Box<Clause>, then: Box<Amount>, other: Box<Amount> },
}

/// What makes one amount of two. Whatever leaves the range of 256 unsigned bits is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    /// How far the first lies above the second; zero where it does not.
    Above,
    Smaller,
    Larger,
}

/// A text.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Constant(String),
    Fact(usize),
}

/// A 20-byte address.
#[derive(Debug, Clone)]
pub(super) enum Account {
    Constant([u8; 20]),
    Fact(usize),
}

impl Test {
    pub(super) fn evaluate(&self, facts: &Sight<'_>) -> Truth {
        match self {
            Self::Fact { position, wanted } => match facts.value(*position) {
                Value::Bool(value) => Truth::from(value == wanted),
                _ => Truth::Unknown,
            },
            Self::All(clauses) => {
                let mut truth = Truth::True;
                for clause in clauses {
                    truth = truth.min(clause.test.evaluate(facts));
                    if truth == Truth::False {
                        break;
                    }
                }
                truth
            }
            Self::Any(clauses) => {
                let mut truth = Truth::False;
                for clause in clauses {
                    truth = truth.max(clause.test.evaluate(facts));
                    if truth == Truth::True {
                        break;
                    }
                }
                truth
            }
            Self::Choose { test, then, other } => match test.test.evaluate(facts) {
                Truth::True => then.test.evaluate(facts),
                Truth::False => other.test.evaluate(facts),
                Truth::Unknown => {
                    // Whichever way the choice goes: equal branches need no choice.
                    let (then, other) = (then.test.evaluate(facts), other.test.evaluate(facts));
                    if then == other { then } else { Truth::Unknown }
                }
            },
            Self::SameTruth { left, right, wanted } => {
                match (left.test.evaluate(facts), right.test.evaluate(facts)) {
                    (Truth::Unknown, _) | (_, Truth::Unknown) => Truth::Unknown,
                    (left, right) => Truth::from((left == right) == *wanted),
                }
            }
            Self::Bound { position, relation, bound } => match facts.value(*position) {
                Value::Uint(value) => Truth::from(relation.holds(value.cmp(bound))),
                Value::AtLeast(floor) => relation.of_floor(floor, bound),
                _ => Truth::Unknown,
            },
            Self::Amounts { sides, relation } => {
                match (sides.0.evaluate(facts), sides.1.evaluate(facts)) {
                    (Some(left), Some(right)) => relation.of(left, right),
                    _ => Truth::Unknown,
                }
            }
            Self::AmountIn { value, set, wanted } => match value.evaluate(facts) {
                Some(Known { value, is_floor: false }) => {
                    Truth::from(set.binary_search(&value).is_ok() == *wanted)
                }
                _ => Truth::Unknown,
            },
            Self::Texts { left, relation, right, wanted } => {
                match (left.evaluate(facts), right.evaluate(facts)) {
                    (Some(left), Some(right)) => {
                        Truth::from(relation.holds(left, right) == *wanted)
                    }
                    _ => Truth::Unknown,
                }
            }
            Self::TextIn { value, set, wanted } => {
                value.evaluate(facts).map_or(Truth::Unknown, |value| {
                    let found = set.binary_search_by(|entry| entry.as_str().cmp(value));
                    Truth::from(found.is_ok() == *wanted)
                })
            }
            Self::Accounts { left, right, wanted } => {
                match (left.evaluate(facts), right.evaluate(facts)) {
                    (Some(left), Some(right)) => Truth::from((left == right) == *wanted),
                    _ => Truth::Unknown,
                }
            }
            Self::AccountIn { value, set, wanted } => {
                value.evaluate(facts).map_or(Truth::Unknown, |value| {
                    Truth::from(set.binary_search(value).is_ok() == *wanted)
                })
            }
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

impl Relation {
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    /// Between two amounts, of which either may be a floor only.
    fn of(self, left: Known, right: Known) -> Truth {
        match (left.is_floor, right.is_floor) {
            (false, false) => Truth::from(self.holds(left.value.cmp(&right.value))),
            (true, false) => self.of_floor(&left.value, &right.value),
            (false, true) => self.mirrored().of_floor(&right.value, &left.value),
            (true, true) => Truth::Unknown,
        }
    }

    /// Whether it holds between some amount from `floor` upwards and `bound`, whichever amount that is.
    fn of_floor(self, floor: &U256, bound: &U256) -> Truth {
        let is_settled = match self {
            Self::GreaterOrEqual | Self::Less => floor >= bound,
            Self::Greater | Self::LessOrEqual | Self::Equal | Self::NotEqual => floor > bound,
        };
        match (is_settled, self) {
            (false, _) => Truth::Unknown,
            (true, Self::Greater | Self::GreaterOrEqual | Self::NotEqual) => Truth::True,
            (true, Self::Less | Self::LessOrEqual | Self::Equal) => Truth::False,
        }
    }

    /// The relation that holds exactly where this one does not.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }

    /// The relation of the two sides exchanged.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

impl TextRelation {
    fn holds(self, left: &str, right: &str) -> bool {
        match self {
            Self::Equal => left == right,
            Self::StartsWith => left.starts_with(right),
            Self::EndsWith => left.ends_with(right),
            Self::Contains => left.contains(right),
        }
    }
}

/// An amount as far as it is known.
#[derive(Debug, Clone, Copy)]
struct Known {
    value: U256,
    /// It may be more.
    is_floor: bool,
}

impl Amount {
    fn evaluate(&self, facts: &Sight<'_>) -> Option<Known> {
        let exactly = |value| Some(Known { value, is_floor: false });
        match self {
            Self::Constant(value) => exactly(*value),
            Self::Fact(position) => match facts.value(*position) {
                Value::Uint(value) => exactly(*value),
                Value::AtLeast(value) => Some(Known { value: *value, is_floor: true }),
                _ => None,
            },
            Self::Binary { operation, left, right } => {
                let (left, right) = (left.evaluate(facts)?, right.evaluate(facts)?);
                let is_floor = left.is_floor || right.is_floor;
                if is_floor && !operation.keeps_floors(left.is_floor, right.is_floor) {
                    return None;
                }
                let value = operation.apply(left.value, right.value)?;
                Some(Known { value, is_floor })
            }
            Self::Choose { test, then, other } => match test.test.evaluate(facts) {
                Truth::True => then.evaluate(facts),
                Truth::False => other.evaluate(facts),
                Truth::Unknown => None,
            },
        }
    }
}

impl Operation {
    /// Whether the result of two floors, or of a floor and an amount, is a floor again.
    fn keeps_floors(self, left: bool, right: bool) -> bool {
        match self {
            Self::Add | Self::Multiply | Self::Larger => true,
            Self::Subtract | Self::Above | Self::Divide => left && !right,
            Self::Remainder | Self::Smaller => false,
        }
    }

    pub(super) fn apply(self, left: U256, right: U256) -> Option<U256> {
        match self {
            Self::Add => left.checked_add(right),
            Self::Subtract => left.checked_sub(right),
            Self::Multiply => left.checked_mul(right),
            Self::Divide => left.checked_div(right),
            Self::Remainder => left.checked_rem(right),
            Self::Above => Some(left.saturating_sub(right)),
            Self::Smaller => Some(left.min(right)),
            Self::Larger => Some(left.max(right)),
        }
    }
}

impl Text {
    fn evaluate<'a>(&'a self, facts: &Sight<'a>) -> Option<&'a str> {
        match self {
            Self::Constant(text) => Some(text),
            Self::Fact(position) => match facts.value(*position) {
                Value::Text(text) => Some(text),
                _ => None,
            },
        }
    }
}

impl Account {
    fn evaluate<'a>(&'a self, facts: &Sight<'a>) -> Option<&'a [u8; 20]> {
        match self {
            Self::Constant(account) => Some(account),
            Self::Fact(position) => match facts.value(*position) {
                Value::Address(account) => Some(account),
                _ => None,
            },
        }
    }
}
