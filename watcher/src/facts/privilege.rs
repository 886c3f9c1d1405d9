//! Facts of rights: what changes who runs a protected contract, or whether it still runs.

use alloy::primitives::{U256, uint};
use portcullis_rules::FactType::Uint;

use super::{Fact, View, count};

/// EIP-1967 slots: implementation, admin, beacon.
const PROXY_SLOTS: [U256; 3] = [
    uint!(0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc_U256),
    uint!(0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103_U256),
    uint!(0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50_U256),
];

/// Facts of this pass.
pub(super) const FACTS: &[Fact<Privilege>] = &[
    Fact::partial(
        "implementation_slot_writes",
        Uint,
        "count",
        "Writes, kept, that change an EIP-1967 slot (implementation, admin, beacon) of a protected contract.",
        |found| count(found.proxy_writes),
    ),
    Fact::partial(
        "destroyed_protected",
        Uint,
        "count",
        "Protected contracts that self-destructed.",
        |found| count(found.destroyed),
    ),
];

/// What this pass finds.
#[derive(Debug, Default)]
pub(super) struct Privilege {
    /// Changes of EIP-1967 slots.
    pub(super) proxy_writes: usize,
    /// Protected contracts destroyed.
    pub(super) destroyed: usize,
}

impl Privilege {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>) -> Self {
        if !view.is_touched() {
            return Self::default();
        }
        let proxy_writes = view
            .execution
            .accesses
            .iter()
            .filter(|access| !access.transient && access.kept && PROXY_SLOTS.contains(&access.slot))
            .filter(|access| access.after.is_some_and(|after| after != access.before))
            .filter(|access| view.protected.group(&access.address).is_some())
            .count();
        let destroyed = view
            .execution
            .destroyed
            .iter()
            .filter(|address| view.protected.group(address).is_some())
            .count();
        Self { proxy_writes, destroyed }
    }
}
