//! What came of a transaction for everybody else: rates that fell, rights that changed hands, people who only paid.
//!
//! Nothing here knows a protocol. What is measured as a quotient is handed to rules in whole parts of a billion or of ten
//! thousand, rounded towards nothing having happened.

use alloy::primitives::U256;
use portcullis_rules::FactType::{Bool, Uint};
use portcullis_rules::Value;

use super::signs::Signs;
use super::{Fact, View, bool, count, estate::Estate, ledger::Ledger, loans::Loans, pools::Pools};

/// Parts in which the fall of a rate is told.
const BILLION: f64 = 1e9;
const TEN_THOUSAND: f64 = 1e4;

/// Facts of this pass.
pub(super) const FACTS: &[Fact<Option<Outcome>>] = &[
    Fact::partial(
        "rights_seized",
        Uint,
        "count",
        "Changes, kept, of protected slots that name who may act, asked for by nobody who held the right: a slot that the \
         contract compares with its callers, or one that is filled with an account of the actor's; roles and their members \
         too.",
        |found| counted(found, |found| found.signs.rights_seized),
    ),
    Fact::partial(
        "failed_signature_checks",
        Uint,
        "count",
        "Signatures that protected code had recovered, that turned out to be nobody's, and that did not stop it.",
        |found| counted(found, |found| found.signs.failed_checks),
    ),
    Fact::partial(
        "robbed_accounts",
        Uint,
        "count",
        "Accounts outside of the actor's and of what is protected that paid tokens below protected code, ran no code and \
         were given no token.",
        |found| counted(found, |found| found.signs.robbed),
    ),
    Fact::partial(
        "newcomers_paid",
        Uint,
        "count",
        "Accounts that first came into a protected contract's books in one visit and were paid by it in a later one, of an          asset of which more left than came, while of no asset more came than left.",
        |found| counted(found, |found| found.signs.newcomers_paid),
    ),
    Fact::partial(
        "decided_and_paid_at_once",
        Bool,
        "",
        "An amount that one visit of a protected contract wrote down where nothing was, under no account's name, a later \
         visit of the same transaction found there and paid out.",
        |found| match found {
            Some(found) => bool(found.signs.fast_governance),
            None => Value::Unknown,
        },
    ),
    Fact::partial(
        "share_gain_ppb",
        Uint,
        "ppb",
        "By how many parts of a billion a protected contract of one asset paid more for each share given up than it took \
         for each share given out in the same transaction; what it pays while its books note nothing is paid for no share. \
         Zero where it did not do both.",
        |found| quotient(found, |found| found.estate.share_gain, |gain| gain - 1.0),
    ),
    Fact::partial(
        "pool_rate_fall_ppb",
        Uint,
        "ppb",
        "By how many parts of a billion the root of the product of both tokens per share fell in a protected contract that \
         trades two: only pools that price by the product keep it.",
        |found| quotient(found, |found| found.estate.pool_rate, |rate| 1.0 - rate),
    ),
    Fact::partial(
        "value_out_over_in_bps",
        Uint,
        "bps",
        "Value of a token that left a protected contract over the value of another that came, at the prices that pools \
         had before the transaction, in ten-thousandths: 10000 is an even exchange. Unknown where nothing was exchanged, or \
         no pool tells a price.",
        |found| match found.as_ref().and_then(|found| found.estate.value_gain) {
            Some(quotient) => parts(quotient, TEN_THOUSAND),
            None => Value::Unknown,
        },
    ),
    Fact::partial(
        "price_off_when_read_bps",
        Uint,
        "bps",
        "How far the price of a pool had gone from where the transaction found it when protected code asked that pool, \
         the largest.",
        |found| match found {
            Some(found) => parts(found.pools.worst_reading() - 1.0, TEN_THOUSAND),
            None => Value::Unknown,
        },
    ),
];

/// What this pass finds.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) ledger: Ledger,
    pub(super) loans: Loans,
    pub(super) pools: Pools,
    pub(super) estate: Estate,
    pub(super) signs: Signs,
}

impl Outcome {
    /// Runs the pass; none for a truncated execution, for its sums would be wrong. Where nothing protected is touched,
    /// nothing came of it: known, and zero.
    pub(super) fn of(view: &View<'_>) -> Option<Self> {
        if view.execution.truncated {
            return None;
        }
        if !view.is_touched() {
            return Some(Self::default());
        }
        let ledger = Ledger::of(view);
        let loans = Loans::of(view, &ledger);
        let pools = Pools::of(view, &ledger);
        let estate = Estate::of(view, &ledger, &pools);
        let signs = Signs::of(view, &ledger);
        Some(Self { ledger, loans, pools, estate, signs })
    }
}

fn counted(found: &Option<Outcome>, read: impl Fn(&Outcome) -> usize) -> Value {
    found.as_ref().map_or(Value::Unknown, |found| count(read(found)))
}

/// What a quotient is away from one, in parts of a billion; what did not move is one.
fn quotient(
    found: &Option<Outcome>,
    read: impl Fn(&Outcome) -> Option<f64>,
    away: impl Fn(f64) -> f64,
) -> Value {
    match found {
        Some(found) => parts(away(read(found).unwrap_or(1.0)), BILLION),
        None => Value::Unknown,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of floats saturate; what is below one part is none"
)]
fn parts(share: f64, whole: f64) -> Value {
    Value::Uint(U256::from((share * whole).max(0.0) as u128))
}
