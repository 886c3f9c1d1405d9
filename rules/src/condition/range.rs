//! Between which bounds an amount lies, as far as it can be told at load.

use ruint::aliases::U256;

use super::tree::{Operation, Relation};

/// Both bounds are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: U256,
    pub(super) high: U256,
}

impl Range {
    /// Anything.
    pub(super) const FULL: Self = Self { low: U256::ZERO, high: U256::MAX };

    /// One value.
    pub(super) fn only(value: U256) -> Self {
        Self { low: value, high: value }
    }

    /// Either of two.
    pub(super) fn join(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Both of two; none where they do not meet.
    pub(super) fn meet(self, other: Self) -> Option<Self> {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        (low <= high).then_some(Self { low, high })
    }

    /// The values of `x` for which `x relation bound` can hold; none where there are none.
    pub(super) fn of(relation: Relation, bound: U256) -> Option<Self> {
        let one = U256::from(1);
        match relation {
            Relation::Equal => Some(Self::only(bound)),
            Relation::NotEqual => Some(Self::FULL),
            Relation::Less => bound.checked_sub(one).map(|high| Self { low: U256::ZERO, high }),
            Relation::LessOrEqual => Some(Self { low: U256::ZERO, high: bound }),
            Relation::Greater => bound.checked_add(one).map(|low| Self { low, high: U256::MAX }),
            Relation::GreaterOrEqual => Some(Self { low: bound, high: U256::MAX }),
        }
    }

    /// The answer of a comparison, where it is the same for all values.
    pub(super) fn decide(self, relation: Relation, other: Self) -> Option<bool> {
        match relation {
            Relation::Less if self.high < other.low => Some(true),
            Relation::Less if self.low >= other.high => Some(false),
            Relation::LessOrEqual if self.high <= other.low => Some(true),
            Relation::LessOrEqual if self.low > other.high => Some(false),
            Relation::Equal if self.meet(other).is_none() => Some(false),
            Relation::Equal if self.low == self.high && self == other => Some(true),
            Relation::NotEqual => self.decide(Relation::Equal, other).map(|equal| !equal),
            Relation::Greater => other.decide(Relation::Less, self),
            Relation::GreaterOrEqual => other.decide(Relation::LessOrEqual, self),
            Relation::Less | Relation::LessOrEqual | Relation::Equal => None,
        }
    }

    /// The range of a result. Results that do not fit are unknown at run time, so bounds saturate here.
    pub(super) fn apply(self, operation: Operation, other: Self) -> Self {
        let one = U256::from(1);
        match operation {
            Operation::Add => Self {
                low: self.low.saturating_add(other.low),
                high: self.high.saturating_add(other.high),
            },
            Operation::Subtract | Operation::Above => Self {
                low: self.low.saturating_sub(other.high),
                high: self.high.saturating_sub(other.low),
            },
            Operation::Multiply => Self {
                low: self.low.saturating_mul(other.low),
                high: self.high.saturating_mul(other.high),
            },
            Operation::Divide => Self {
                low: self.low.checked_div(other.high).unwrap_or(U256::ZERO),
                high: self.high.checked_div(other.low.max(one)).unwrap_or(self.high),
            },
            Operation::Remainder => {
                Self { low: U256::ZERO, high: self.high.min(other.high.saturating_sub(one)) }
            }
            Operation::Smaller => {
                Self { low: self.low.min(other.low), high: self.high.min(other.high) }
            }
            Operation::Larger => {
                Self { low: self.low.max(other.low), high: self.high.max(other.high) }
            }
        }
    }
}
