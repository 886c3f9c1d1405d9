//! Everything that moved, in one order, and what the accounts held before: found by behaviour, without asking a token.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};

use super::{View, view::transfer};

/// Stands for ether where a token is named.
pub(super) const ETHER: Address = Address::ZERO;

/// One movement that stayed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    /// Position in the common order of events.
    pub(super) order: u32,
    /// Frame in which it happened; of ether, the frame that received it.
    pub(super) frame: usize,
    /// Token, or [`ETHER`].
    pub(super) token: Address,
    pub(super) from: Address,
    pub(super) to: Address,
    /// Wei, or the token's base units.
    pub(super) amount: U256,
}

/// Movements in order, and holdings before the transaction.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) moves: Vec<Move>,
    /// By token and account, where a token's own storage or the state told it.
    held: BTreeMap<(Address, Address), U256>,
    /// Tokens of which a protected balance changed by another amount than the logs say.
    pub(super) mismatched_tokens: usize,
}

/// One entry of a token's storage that is keyed by an account.
#[derive(Debug, Clone, Copy)]
struct Entry {
    base: U256,
    first: U256,
    last: Option<U256>,
}

impl Ledger {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>) -> Self {
        let mut moves: Vec<Move> = view
            .execution
            .ether
            .iter()
            .filter(|moved| moved.kept)
            .map(|moved| Move {
                order: moved.order,
                frame: moved.frame,
                token: ETHER,
                from: moved.from,
                to: moved.to,
                amount: moved.value,
            })
            .collect();
        moves.extend(view.execution.logs.iter().filter(|log| log.kept).filter_map(|log| {
            let (from, to, amount) = transfer(log)?;
            let (order, frame, token) = (log.order, log.frame, log.address);
            Some(Move { order, frame, token, from, to, amount: amount? })
        }));
        moves.sort_unstable_by_key(|moved| moved.order);
        let mut ledger = Self { moves, ..Self::default() };
        ledger.read_holdings(view);
        ledger
    }

    /// What `account` held of `token` before the transaction.
    pub(super) fn held(&self, token: Address, account: Address) -> Option<U256> {
        self.held.get(&(token, account)).copied()
    }

    /// Movements at positions from `first` up to and without `end`.
    pub(super) fn between(&self, first: u32, end: u32) -> &[Move] {
        let start = self.moves.partition_point(|moved| moved.order < first);
        let stop = self.moves.partition_point(|moved| moved.order < end);
        self.moves.get(start..stop).unwrap_or_default()
    }

    /// Sums of what came to and went from `account`, by token.
    pub(super) fn sides(&self, account: Address) -> BTreeMap<Address, (U256, U256)> {
        let mut sides: BTreeMap<Address, (U256, U256)> = BTreeMap::new();
        for moved in self.moves.iter().filter(|moved| moved.from != moved.to) {
            if moved.to == account {
                let side = &mut sides.entry(moved.token).or_default().0;
                *side = side.saturating_add(moved.amount);
            }
            if moved.from == account {
                let side = &mut sides.entry(moved.token).or_default().1;
                *side = side.saturating_add(moved.amount);
            }
        }
        sides
    }

    fn read_holdings(&mut self, view: &View<'_>) {
        for (account, balance) in &view.execution.balances_before {
            self.held.insert((ETHER, *account), *balance);
        }
        let tokens: BTreeSet<Address> = self.moves.iter().map(|moved| moved.token).collect();
        let entries = entries(view, &tokens);
        if entries.is_empty() {
            return;
        }
        let mut sides: BTreeMap<(Address, Address), (U256, U256)> = BTreeMap::new();
        for moved in &self.moves {
            let side = &mut sides.entry((moved.token, moved.to)).or_default().0;
            *side = side.saturating_add(moved.amount);
            let side = &mut sides.entry((moved.token, moved.from)).or_default().1;
            *side = side.saturating_add(moved.amount);
        }
        // The mapping of balances is the one whose entries change as the logs say.
        let mut votes: BTreeMap<Address, BTreeMap<U256, usize>> = BTreeMap::new();
        for ((token, account), of_account) in &entries {
            let side = sides.get(&(*token, *account)).copied().unwrap_or_default();
            for entry in of_account {
                let is_told = entry.last.is_some_and(|last| is_moved(entry.first, side, last));
                let vote = votes.entry(*token).or_default().entry(entry.base).or_default();
                *vote = vote.saturating_add(usize::from(is_told));
            }
        }
        let mut mismatched = BTreeSet::new();
        for ((token, account), of_account) in entries {
            let Some(bases) = votes.get(&token) else { continue };
            let most = bases.values().copied().max().unwrap_or(0);
            let is_only = bases.len() == 1;
            let chosen = bases.iter().find(|(_, votes)| **votes == most).map(|(base, _)| *base);
            let Some(base) = chosen.filter(|_| is_only || most > 0) else { continue };
            for entry in of_account.iter().filter(|entry| entry.base == base) {
                self.held.insert((token, account), entry.first);
                let side = sides.get(&(token, account)).copied().unwrap_or_default();
                let last = entry.last.unwrap_or(entry.first);
                if view.protected.group(&account).is_some() && !is_moved(entry.first, side, last) {
                    mismatched.insert(token);
                }
            }
        }
        self.mismatched_tokens = mismatched.len();
    }
}

/// Whether a balance of `first` becomes `last` by what came and went.
fn is_moved(first: U256, (came, went): (U256, U256), last: U256) -> bool {
    first.checked_add(came).and_then(|sum| sum.checked_sub(went)) == Some(last)
}

/// Entries of outer mappings of `tokens` that are keyed by accounts: an allowance, which is an entry of a mapping
/// inside of another one, is none.
fn entries(
    view: &View<'_>,
    tokens: &BTreeSet<Address>,
) -> BTreeMap<(Address, Address), Vec<Entry>> {
    let slots = || view.execution.mapping_slots.iter();
    let of_tokens: BTreeSet<(Address, U256)> = slots()
        .filter(|mapped| tokens.contains(&mapped.address))
        .map(|mapped| (mapped.address, mapped.slot))
        .collect();
    let keyed: BTreeMap<(Address, U256), (Address, U256)> = slots()
        .filter(|mapped| {
            mapped.key.as_slice().starts_with(&[0; 12])
                && of_tokens.contains(&(mapped.address, mapped.slot))
                && !of_tokens.contains(&(mapped.address, mapped.base))
        })
        .map(|mapped| {
            ((mapped.address, mapped.slot), (Address::from_word(mapped.key), mapped.base))
        })
        .collect();
    let mut values: BTreeMap<(Address, U256), (U256, Option<U256>)> = BTreeMap::new();
    for access in view.execution.accesses.iter().filter(|access| !access.transient) {
        let place = (access.address, access.slot);
        if keyed.contains_key(&place) {
            let value = values.entry(place).or_insert((access.before, None));
            if access.kept && access.after.is_some() {
                value.1 = access.after;
            }
        }
    }
    let mut entries: BTreeMap<(Address, Address), Vec<Entry>> = BTreeMap::new();
    for (place, (first, last)) in values {
        if let Some((account, base)) = keyed.get(&place) {
            entries.entry((place.0, *account)).or_default().push(Entry {
                base: *base,
                first,
                last,
            });
        }
    }
    entries
}
