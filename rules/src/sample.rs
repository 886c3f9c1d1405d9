//! The dictionaries of this crate's own tests: the names and types that the guard registers, and a few of the
//! auditor's kind.

use ruint::aliases::U256;

use crate::facts::{Dictionary, FactSpec, FactTable, FactType, Subject, Value};

const fn fact(
    name: &'static str,
    subject: Subject,
    ty: FactType,
    unit: &'static str,
    may_be_unknown: bool,
) -> FactSpec {
    FactSpec { name, subject, ty, unit, may_be_unknown, doc: "" }
}

const fn flag(name: &'static str) -> FactSpec {
    fact(name, Subject::Transaction, FactType::Bool, "", false)
}

const fn uint(name: &'static str, unit: &'static str) -> FactSpec {
    fact(name, Subject::Transaction, FactType::Uint, unit, false)
}

const fn doubtful(name: &'static str, unit: &'static str) -> FactSpec {
    fact(name, Subject::Transaction, FactType::Uint, unit, true)
}

const SPECS: &[FactSpec] = &[
    flag("touches_protected"),
    uint("protected_calls", "count"),
    uint("reentry_depth", "count"),
    uint("reentered_writes", "count"),
    uint("overwritten_after_reentry", "count"),
    uint("readonly_reentry", "count"),
    uint("outflow_wei", "wei"),
    uint("outflow_bps", "bps"),
    doubtful("claim_decrease_wei", "wei"),
    doubtful("unbacked_outflow_wei", "wei"),
    doubtful("token_outflow_max_bps", "bps"),
    flag("tx_succeeded"),
    uint("sender_nonce", "count"),
    flag("root_is_creation"),
    uint("creates", "count"),
    uint("frames", "count"),
    uint("depth", "count"),
    uint("value_wei", "wei"),
    uint("gas_used", "gas"),
    uint("destroyed_protected", "count"),
    uint("implementation_slot_writes", "count"),
    uint("selfdestructs", "count"),
    FactSpec { ty: FactType::Bool, ..doubtful("oracle_moved_before_entry", "") },
    uint("third_party_debits", "count"),
    doubtful("rights_seized", "count"),
    doubtful("failed_signature_checks", "count"),
    doubtful("robbed_accounts", "count"),
    doubtful("newcomers_paid", "count"),
    FactSpec { ty: FactType::Bool, ..doubtful("decided_and_paid_at_once", "") },
    doubtful("share_gain_ppb", "ppb"),
    doubtful("pool_rate_fall_ppb", "ppb"),
    doubtful("value_out_over_in_bps", "bps"),
    doubtful("price_off_when_read_bps", "bps"),
    doubtful("target_selector", "selector"),
    fact("deployer", Subject::Contract, FactType::Address, "", false),
    fact("deployer_nonce", Subject::Contract, FactType::Uint, "count", false),
    fact("embedded_protected", Subject::Contract, FactType::Uint, "count", false),
    fact("protected_selectors", Subject::Contract, FactType::Uint, "count", true),
    fact("caller_checks", Subject::Contract, FactType::Uint, "count", true),
    fact("flash_callbacks", Subject::Contract, FactType::Uint, "count", true),
    fact("sender", Subject::Transaction, FactType::Address, "", false),
    fact("entry_point", Subject::Transaction, FactType::Text, "", true),
    fact("name", Subject::Function, FactType::Text, "", false),
    fact("visibility", Subject::Function, FactType::Text, "", false),
    fact("guarded", Subject::Function, FactType::Bool, "", false),
    fact("contract", Subject::Function, FactType::Text, "", false),
    fact("function", Subject::Function, FactType::Text, "", false),
    fact("locked", Subject::Function, FactType::Bool, "", false),
    fact("fully_read", Subject::Function, FactType::Bool, "", false),
    fact("external_calls", Subject::Function, FactType::Uint, "count", false),
    fact("stranger_calls", Subject::Function, FactType::Uint, "count", false),
    fact("authority_writes", Subject::Function, FactType::Uint, "count", false),
    fact("open_authority_writes", Subject::Function, FactType::Uint, "count", false),
    fact("delegate_calls", Subject::Function, FactType::Uint, "count", false),
];

pub(crate) fn transaction() -> Dictionary {
    Dictionary::new(Subject::Transaction, [SPECS])
}

pub(crate) fn all() -> Vec<Dictionary> {
    [Subject::Transaction, Subject::Function, Subject::Contract]
        .map(|subject| Dictionary::new(subject, [SPECS]))
        .to_vec()
}

/// A transaction's facts; those not named are unknown.
pub(crate) fn facts<const N: usize>(values: [(&str, Value); N]) -> FactTable {
    let dictionary = transaction();
    let mut table = dictionary.empty_table();
    for (name, value) in values {
        table.set(dictionary.position(name).expect("a fact of the sample"), value);
    }
    table
}

pub(crate) fn uint_value(value: u64) -> Value {
    Value::Uint(U256::from(value))
}
