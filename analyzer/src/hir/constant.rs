//! Constant expressions, as lengths of arrays and places of storage use them.

use ruint::Uint;
use ruint::aliases::U256;
use sha3::{Digest, Keccak256};

use super::{Declaration, Program, Scope, type_path};
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, UnaryOp};

/// Wide enough for what constants are made of on their way to 256 bits; negative numbers are two's complement.
type Wide = Uint<1024, 16>;

/// Constants may be defined by each other in a circle.
const MAX_DEPTH: u32 = 64;

impl Program {
    /// The value of a constant expression over whole numbers, as the compiler has it; `None` where it is none,
    /// where it is negative or longer than 256 bits, and where a name is unknown.
    pub(crate) fn constant(&self, scope: Scope, expr: &Expr) -> Option<U256> {
        self.wide(scope, expr, 0).and_then(narrow)
    }

    fn wide(&self, scope: Scope, expr: &Expr, depth: u32) -> Option<Wide> {
        if depth > MAX_DEPTH {
            return None;
        }
        match &expr.kind {
            ExprKind::Number(number, unit) => {
                literal(number)?.checked_mul(Wide::from(factor(unit.as_deref())?))
            }
            ExprKind::Unary(UnaryOp::Negate, value) => {
                Some(Wide::ZERO.wrapping_sub(self.wide(scope, value, depth + 1)?))
            }
            ExprKind::Binary(op, left, right) => {
                let left = self.wide(scope, left, depth + 1)?;
                let right = self.wide(scope, right, depth + 1)?;
                combine(*op, left, right)
            }
            ExprKind::Tuple(items) => match items.as_slice() {
                [Some(inner)] => self.wide(scope, inner, depth + 1),
                _ => None,
            },
            ExprKind::Call(callee, args) => match (&callee.kind, args.as_slice()) {
                (ExprKind::Elementary(_), [value]) => self.wide(scope, value, depth + 1),
                (ExprKind::Ident(name), [Expr { kind: ExprKind::Text(id), .. }])
                    if name == "erc7201" && self.lookup(scope, name).is_empty() =>
                {
                    Some(Wide::from(erc7201(id)))
                }
                _ => None,
            },
            ExprKind::Ident(_) | ExprKind::Member(..) => {
                let path = type_path(expr)?;
                let found = self.lookup_path(scope, &path);
                let id = found.into_iter().find_map(|declaration| match declaration {
                    Declaration::Variable(id) => Some(id),
                    _ => None,
                })?;
                let variable = self.variables.get(id.index()).filter(|known| known.is_constant)?;
                let inner = Scope { file: variable.file, contract: variable.contract };
                self.wide(inner, variable.init.as_ref()?, depth + 1)
            }
            _ => None,
        }
    }
}

fn combine(op: BinaryOp, left: Wide, right: Wide) -> Option<Wide> {
    // Of a negative number nothing is asked but sums and products.
    let are_positive = !left.bit(Wide::BITS - 1) && !right.bit(Wide::BITS - 1);
    let small = || usize::try_from(right).ok().filter(|bits| *bits < Wide::BITS);
    match op {
        BinaryOp::Add => Some(left.wrapping_add(right)),
        BinaryOp::Sub => Some(left.wrapping_sub(right)),
        BinaryOp::Mul if are_positive => left.checked_mul(right),
        BinaryOp::Mul => Some(left.wrapping_mul(right)),
        _ if !are_positive => None,
        BinaryOp::Div => left.checked_div(right),
        BinaryOp::Mod => left.checked_rem(right),
        BinaryOp::Pow => left.checked_pow(right),
        BinaryOp::Shl => left.checked_shl(small()?),
        BinaryOp::Shr => Some(left >> small()?),
        BinaryOp::BitAnd => Some(left & right),
        BinaryOp::BitOr => Some(left | right),
        BinaryOp::BitXor => Some(left ^ right),
        _ => None,
    }
}

fn narrow(value: Wide) -> Option<U256> {
    U256::checked_from_limbs_slice(value.as_limbs())
}

fn literal(text: &str) -> Option<Wide> {
    if let Some(hex) = text.strip_prefix("0x") {
        return Wide::from_str_radix(hex, 16).ok();
    }
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: u64 = exponent.parse().ok().filter(|exponent| *exponent <= 300)?;
    Wide::from_str_radix(digits, 10)
        .ok()?
        .checked_mul(Wide::from(10).checked_pow(Wide::from(exponent))?)
}

/// How many bits a number literal takes, with its unit (`2 ether`); `None` where it is no whole number.
pub(crate) fn literal_bits(text: &str) -> Option<usize> {
    let (number, unit) = match text.split_once(' ') {
        Some((number, unit)) => (number, Some(unit)),
        None => (text, None),
    };
    Some(literal(number)?.checked_mul(Wide::from(factor(unit)?))?.bit_len())
}

/// What a unit multiplies by: wei, or seconds.
pub(crate) fn factor(unit: Option<&str>) -> Option<u64> {
    Some(match unit {
        None | Some("wei" | "seconds") => 1,
        Some("gwei") => 1_000_000_000,
        Some("szabo") => 1_000_000_000_000,
        Some("finney") => 1_000_000_000_000_000,
        Some("ether") => 1_000_000_000_000_000_000,
        Some("minutes") => 60,
        Some("hours") => 3_600,
        Some("days") => 86_400,
        Some("weeks") => 604_800,
        Some("years") => 31_536_000,
        Some(_) => return None,
    })
}

/// The root of a namespace, as ERC-7201 defines it:
/// `keccak256(abi.encode(uint256(keccak256(id)) - 1)) & ~0xff`.
fn erc7201(id: &str) -> U256 {
    let inner = U256::from_be_bytes::<32>(Keccak256::digest(id.as_bytes()).into());
    let outer = Keccak256::digest(inner.wrapping_sub(U256::ONE).to_be_bytes::<32>());
    U256::from_be_bytes::<32>(outer.into()) & !U256::from(0xff)
}
