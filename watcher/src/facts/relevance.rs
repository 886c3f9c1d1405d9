//! Facts of relevance: whether and how much a transaction has to do with what is protected.

use portcullis_rules::{
    FactType::{Bool, Uint},
    Value,
};

use super::{Fact, View, bool, count};

/// Facts of this pass.
pub(super) const FACTS: &[Fact<Relevance>] = &[
    Fact::partial(
        "touches_protected",
        Bool,
        "",
        "A protected account occurs in a call, a log, a token transfer, an ether movement or a storage access.",
        |found: &Relevance| if found.touches || !found.truncated { bool(found.touches) } else { Value::Unknown },
    )
    .despite_truncation(),
    Fact::partial(
        "protected_calls",
        Uint,
        "count",
        "Entries into protected contracts from other accounts, nested ones included.",
        |found| count(found.calls),
    ),
];

/// What this pass finds.
#[derive(Debug, Default)]
pub(super) struct Relevance {
    /// Something protected occurs.
    pub(super) touches: bool,
    truncated: bool,
    /// Entries into protected contracts.
    pub(super) calls: usize,
    /// Frames that ran on protected accounts.
    pub(super) frames: usize,
    /// A protected frame stood below a creation.
    pub(super) is_in_creation: bool,
}

impl Relevance {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>) -> Self {
        let mut found = Self {
            touches: view.is_touched(),
            truncated: view.execution.truncated,
            ..Self::default()
        };
        for (index, _, place) in view.frames().filter(|(_, _, place)| place.group.is_some()) {
            found.frames = found.frames.saturating_add(1);
            found.calls = found.calls.saturating_add(usize::from(place.entry == index));
            found.is_in_creation |= place.is_in_creation;
        }
        found
    }
}
