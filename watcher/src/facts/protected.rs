//! Which accounts are protected, and to which configured protocol each belongs.

use alloy::primitives::{Address, map::AddressMap};

/// The protected accounts of one chain, grouped by the protocol that the configuration names.
///
/// Value that moves between two accounts of one protocol has not left it; hence the groups.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    names: Vec<String>,
    by_address: AddressMap<usize>,
}

impl Protected {
    /// Groups addresses by protocol; an address that stands in two groups belongs to the first.
    pub fn new(groups: impl IntoIterator<Item = (String, Vec<Address>)>) -> Self {
        let mut protected = Self::default();
        for (group, (name, addresses)) in groups.into_iter().enumerate() {
            protected.names.push(name);
            for address in addresses {
                protected.by_address.entry(address).or_insert(group);
            }
        }
        protected
    }

    /// Place of the protocol that `address` belongs to, in the order given at creation.
    pub fn group(&self, address: &Address) -> Option<usize> {
        self.by_address.get(address).copied()
    }

    /// Name of the protocol at a place.
    pub fn name(&self, group: usize) -> &str {
        self.names.get(group).map_or("", String::as_str)
    }

    /// Number of protocols.
    pub fn n_groups(&self) -> usize {
        self.names.len()
    }
}
