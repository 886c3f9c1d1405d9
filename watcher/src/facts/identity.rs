//! Facts of identity: who sent a transaction, and what was called first. Rules compare them with lists.

use alloy::primitives::{Address, U256};
use portcullis_rules::{
    FactType::{self, Uint},
    Value,
};

use super::{Fact, View};

/// Facts of this pass.
pub(super) const FACTS: &[Fact<Identity>] = &[
    Fact::new("sender", FactType::Address, "", "Account that signed the transaction.", |found| {
        Value::Address(found.sender.into_array())
    }),
    Fact::partial(
        "target",
        FactType::Address,
        "",
        "Account that the transaction calls; unknown for one that creates a contract.",
        |found: &Identity| found.target.map_or(Value::Unknown, |target| Value::Address(target.into_array())),
    )
    .despite_truncation(),
    Fact::partial(
        "target_selector",
        Uint,
        "selector",
        "First four bytes of the data that the target is called with; unknown where there are fewer.",
        |found: &Identity| {
            found.selector.map_or(Value::Unknown, |selector| {
                Value::Uint(U256::from(u32::from_be_bytes(selector)))
            })
        },
    )
    .despite_truncation(),
];

/// What this pass finds.
#[derive(Debug)]
pub(super) struct Identity {
    sender: Address,
    target: Option<Address>,
    selector: Option<[u8; 4]>,
}

impl Identity {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>) -> Self {
        let envelope = &view.execution.envelope;
        let data = envelope.to.and_then(|_| envelope.input.get(..4));
        Self {
            sender: envelope.sender,
            target: envelope.to,
            selector: data.and_then(|data| data.try_into().ok()),
        }
    }
}
