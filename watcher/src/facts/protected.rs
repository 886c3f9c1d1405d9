//! Which accounts are protected, to which configured protocol each belongs, and what is listed around it.

use alloy::primitives::{
    Address,
    map::{AddressMap, AddressSet, HashSet},
};

use crate::settings::Listed;

/// The protected accounts of one chain, grouped by the protocol that the configuration names.
///
/// Value that moves between two accounts of one protocol has not left it; hence the groups.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    names: Vec<String>,
    by_address: AddressMap<usize>,
    tokens: HashSet<(usize, Address)>,
    /// Protocols that list tokens.
    with_tokens: HashSet<usize>,
    oracles: AddressSet,
    related: AddressSet,
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

    /// With what is listed around each protocol, in the order given at creation.
    #[must_use]
    pub fn listing<'a>(mut self, listed: impl IntoIterator<Item = &'a Listed>) -> Self {
        for (group, listed) in listed.into_iter().enumerate() {
            self.tokens.extend(listed.tokens.iter().map(|token| (group, *token)));
            self.with_tokens.extend((!listed.tokens.is_empty()).then_some(group));
            self.oracles.extend(&listed.oracles);
            self.related.extend(&listed.related);
        }
        self
    }

    /// Place of the protocol that `address` belongs to, in the order given at creation.
    pub fn group(&self, address: &Address) -> Option<usize> {
        self.by_address.get(address).copied()
    }

    /// All protected accounts, sorted.
    pub fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = self.by_address.keys().copied().collect();
        addresses.sort_unstable();
        addresses
    }

    /// Name of the protocol at a place.
    pub fn name(&self, group: usize) -> &str {
        self.names.get(group).map_or("", String::as_str)
    }

    /// Number of protocols.
    pub fn n_groups(&self) -> usize {
        self.names.len()
    }

    /// Whether any protocol lists a token.
    pub fn lists_any_token(&self) -> bool {
        !self.with_tokens.is_empty()
    }

    /// Whether the protocol at a place lists any token.
    pub fn lists_tokens(&self, group: usize) -> bool {
        self.with_tokens.contains(&group)
    }

    /// Whether the protocol at a place lists this token.
    pub fn lists_token(&self, group: usize, token: Address) -> bool {
        self.tokens.contains(&(group, token))
    }

    /// Whether any price source is listed.
    pub fn lists_oracles(&self) -> bool {
        !self.oracles.is_empty()
    }

    /// Whether any protocol lists `address` as a price source.
    pub fn is_oracle(&self, address: &Address) -> bool {
        self.oracles.contains(address)
    }

    /// Whether any related contract is listed.
    pub fn lists_related(&self) -> bool {
        !self.related.is_empty()
    }

    /// Whether any protocol lists `address` as a related contract.
    pub fn is_related(&self, address: &Address) -> bool {
        self.related.contains(address)
    }
}
