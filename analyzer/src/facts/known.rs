//! Values that are known before the program runs, whole or in part, and what the operators make of them.

use ruint::aliases::U256;

use crate::hir::{Type, VariableId};
use crate::syntax::ast::{BinaryOp, UnaryOp};

/// A value known before the program runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Known {
    /// Numbers, truth values (0 and 1), addresses; negative ones as their two's complement.
    Number(U256),
    /// A constant or immutable whose value is not computed: equal only to itself.
    Symbol(VariableId),
    /// Any number but zero.
    NonZero,
    /// A number of which only some bits are known: `mask` tells which, `ones` which of them are set.
    Bits { mask: U256, ones: U256 },
}

impl Known {
    /// A truth value.
    pub(super) fn truth(value: bool) -> Self {
        Self::Number(U256::from(u8::from(value)))
    }

    /// A number of which the bits of `mask` are known to be those of `ones`; `None` where that says nothing.
    pub(super) fn bits(mask: U256, ones: U256) -> Option<Self> {
        if mask == U256::MAX {
            return Some(Self::Number(ones));
        }
        (!mask.is_zero()).then_some(Self::Bits { mask, ones: ones & mask })
    }

    /// Whether it is taken for true, where that is known.
    pub(super) fn is_true(&self) -> Option<bool> {
        match self {
            Self::Number(number) => Some(!number.is_zero()),
            Self::NonZero => Some(true),
            Self::Bits { ones, .. } => (!ones.is_zero()).then_some(true),
            Self::Symbol(_) => None,
        }
    }

    /// What is known of each bit: which are known, and which of them are set.
    fn parts(known: Option<&Self>) -> (U256, U256) {
        match known {
            Some(Self::Number(number)) => (U256::MAX, *number),
            Some(Self::Bits { mask, ones }) => (*mask, *ones),
            Some(Self::Symbol(_) | Self::NonZero) | None => (U256::ZERO, U256::ZERO),
        }
    }
}

/// What an operator makes of one operand, as a value of type `ty`.
pub(super) fn unary(op: UnaryOp, operand: &Known, ty: &Type) -> Option<Known> {
    match (op, operand) {
        (UnaryOp::Not, known) => known.is_true().map(|truth| Known::truth(!truth)),
        (UnaryOp::Negate, Known::Number(number)) => Some(Known::Number(number.wrapping_neg())),
        (UnaryOp::BitNot, known) => {
            let (mask, ones) = Known::parts(Some(known));
            let width = width(ty);
            // Beyond the width of its type a number has no ones.
            Known::bits(mask | !width, !ones & mask & width)
        }
        _ => None,
    }
}

/// What an operator makes of two operands, of numbers with a sign or without, as a value of type `ty`.
pub(super) fn binary(
    op: BinaryOp,
    left: Option<&Known>,
    right: Option<&Known>,
    is_signed: bool,
    ty: &Type,
) -> Option<Known> {
    if let (Some(left), Some(right)) = (left, right)
        && let Some(known) = compared(op, left, right)
    {
        return Some(known);
    }
    if let (Some(Known::Number(left)), Some(Known::Number(right))) = (left, right) {
        return numbers(op, *left, *right, is_signed, ty);
    }
    let (left_mask, left) = Known::parts(left);
    let (right_mask, right) = Known::parts(right);
    match op {
        BinaryOp::BitAnd => {
            let zeros = (left_mask & !left) | (right_mask & !right);
            Known::bits(zeros | (left_mask & right_mask), left & right)
        }
        BinaryOp::BitOr => {
            let ones = left | right;
            Known::bits(ones | (left_mask & right_mask), ones)
        }
        BinaryOp::BitXor => Known::bits(left_mask & right_mask, left ^ right),
        // Two numbers that differ in one bit are not the same.
        BinaryOp::Eq | BinaryOp::Ne if !((left ^ right) & left_mask & right_mask).is_zero() => {
            Some(Known::truth(op == BinaryOp::Ne))
        }
        _ => None,
    }
}

/// Comparisons of what is not known as a number.
fn compared(op: BinaryOp, left: &Known, right: &Known) -> Option<Known> {
    if let (Known::NonZero, Known::Number(zero)) | (Known::Number(zero), Known::NonZero) =
        (left, right)
    {
        return match op {
            BinaryOp::Eq if zero.is_zero() => Some(Known::truth(false)),
            BinaryOp::Ne if zero.is_zero() => Some(Known::truth(true)),
            _ => None,
        };
    }
    if left == right && matches!(left, Known::Number(_) | Known::Symbol(_)) {
        return match op {
            BinaryOp::Eq | BinaryOp::Le | BinaryOp::Ge => Some(Known::truth(true)),
            BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Gt => Some(Known::truth(false)),
            _ => None,
        };
    }
    None
}

fn numbers(op: BinaryOp, left: U256, right: U256, is_signed: bool, ty: &Type) -> Option<Known> {
    // With the sign turned round, negative numbers come before the others.
    let sign = if is_signed { U256::from(1) << 255 } else { U256::ZERO };
    let (low, high) = (left ^ sign, right ^ sign);
    let number = match op {
        BinaryOp::Eq => return Some(Known::truth(left == right)),
        BinaryOp::Ne => return Some(Known::truth(left != right)),
        BinaryOp::Lt => return Some(Known::truth(low < high)),
        BinaryOp::Le => return Some(Known::truth(low <= high)),
        BinaryOp::Gt => return Some(Known::truth(low > high)),
        BinaryOp::Ge => return Some(Known::truth(low >= high)),
        BinaryOp::Add if is_signed => left.wrapping_add(right),
        BinaryOp::Sub if is_signed => left.wrapping_sub(right),
        BinaryOp::Add => left.checked_add(right)?,
        BinaryOp::Sub => left.checked_sub(right)?,
        BinaryOp::Mul if !is_signed => left.checked_mul(right)?,
        BinaryOp::Div if !is_signed => left.checked_div(right)?,
        BinaryOp::Mod if !is_signed => left.checked_rem(right)?,
        BinaryOp::BitAnd => left & right,
        BinaryOp::BitOr => left | right,
        BinaryOp::BitXor => left ^ right,
        BinaryOp::Shl if is_shiftable(ty, right) => (left << right.to::<usize>()) & width(ty),
        BinaryOp::Shr if is_shiftable(ty, right) => left >> right.to::<usize>(),
        _ => return None,
    };
    Some(Known::Number(number))
}

fn is_shiftable(ty: &Type, by: U256) -> bool {
    matches!(ty, Type::Uint(_)) && by < U256::from(256)
}

/// The bits that a number of this type has.
fn width(ty: &Type) -> U256 {
    match ty {
        Type::Uint(bits) if *bits < 256 => (U256::from(1) << usize::from(*bits)) - U256::from(1),
        _ => U256::MAX,
    }
}
