//! Facts of value: what left protected contracts, and whether the actor had a claim to it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};
use portcullis_rules::FactType::Uint;

use crate::simulate::execution::FrameKind;

use super::{Fact, View, count, maybe, uint, view::transfer};

/// Ten thousand basis points are the whole.
const WHOLE_BPS: U256 = U256::from_limbs([10_000, 0, 0, 0]);

/// Facts of this pass.
pub(super) const FACTS: &[Fact<Flow>] = &[
    Fact::partial(
        "outflow_wei",
        Uint,
        "wei",
        "Net ether that left protected protocols, kept effects only; what moves inside of one protocol has not left.",
        |flow| uint(flow.outflow_wei),
    ),
    Fact::partial(
        "outflow_bps",
        Uint,
        "bps",
        "That outflow over the ether that the protocol's touched contracts held before, the largest of any protocol.",
        |flow| maybe(flow.outflow_bps),
    ),
    Fact::partial(
        "claim_decrease_wei",
        Uint,
        "wei",
        "Net decrease of protected mapping entries whose key is the sender, a contract it created here, the \
         unprotected root target, or an account that called or was paid by the protocol: what the protocol's own books \
         say that they gave up. Unknown where no such entry was written, or where one holds more than 128 bits and so \
         cannot be an amount.",
        |flow| maybe(flow.claim_decrease_wei),
    ),
    Fact::partial(
        "unbacked_outflow_wei",
        Uint,
        "wei",
        "Outflow beyond the decrease of the actor's claims; zero where nothing left, unknown where something left and \
         the claim is unknown.",
        |flow| maybe(flow.unbacked_outflow_wei),
    ),
    Fact::partial(
        "token_outflow_max_bps",
        Uint,
        "bps",
        "Net outflow of one ERC-20 token from one protocol over its balance before, the largest that is known; unknown \
         where tokens left and none of their balances can be read from storage.",
        |flow| maybe(flow.token_outflow_max_bps),
    ),
    Fact::partial(
        "listed_token_outflow_max_bps",
        Uint,
        "bps",
        "The same over the tokens that the configuration lists for the protocol: no other token can raise it or make it \
         unknown. Unknown where no touched protocol lists any, and where a listed token left whose balance cannot be \
         read.",
        |flow| maybe(flow.listed_token_outflow_max_bps),
    ),
    Fact::partial(
        "third_party_debits",
        Uint,
        "count",
        "Accounts outside of the actor's and of what is protected that paid tokens without running any code of their \
         own: their allowances were spent.",
        |flow| count(flow.third_party_debits),
    ),
];

/// What came and went.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sides {
    /// Came in.
    pub(super) inflow: U256,
    /// Went out.
    pub(super) outflow: U256,
}

impl Sides {
    /// What went beyond what came.
    pub(super) fn net_out(self) -> U256 {
        self.outflow.saturating_sub(self.inflow)
    }

    /// Whether more came than went.
    pub(super) fn is_gain(self) -> bool {
        self.inflow > self.outflow
    }
}

/// What this pass finds.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Sum of the protocols' net ether outflows.
    pub(super) outflow_wei: U256,
    /// Largest of them relative to what was there.
    pub(super) outflow_bps: Option<U256>,
    /// What the actor's claims fell by.
    pub(super) claim_decrease_wei: Option<U256>,
    /// Outflow beyond that.
    pub(super) unbacked_outflow_wei: Option<U256>,
    /// Largest relative outflow of one token.
    pub(super) token_outflow_max_bps: Option<U256>,
    /// The same over tokens that the configuration lists.
    pub(super) listed_token_outflow_max_bps: Option<U256>,
    /// Net amounts that left protected protocols by token, as the tokens' logs tell it.
    pub(super) lost_tokens: BTreeMap<Address, U256>,
    /// Gross ether paid into protected accounts from outside of their protocol.
    pub(super) inflow_wei: U256,
    /// Assets, ether among them, of which more than one percent left; a lower bound where a balance is unknown.
    pub(super) drained_assets: usize,
    /// Ether that came to and went from the cluster.
    pub(super) cluster_ether: Sides,
    /// Tokens of which the cluster gained.
    pub(super) cluster_gained_tokens: usize,
    /// Distinct tokens moved.
    pub(super) tokens: usize,
    /// Transfer logs kept.
    pub(super) transfers: usize,
    /// Accounts without a frame of their own, outside of cluster and protected set, that paid tokens.
    pub(super) third_party_debits: usize,
}

impl Flow {
    /// Runs the pass. Where nothing protected is touched, nothing left: known, and zero.
    pub(super) fn of(view: &View<'_>) -> Self {
        let mut flow = Self {
            outflow_bps: Some(U256::ZERO),
            unbacked_outflow_wei: Some(U256::ZERO),
            token_outflow_max_bps: Some(U256::ZERO),
            listed_token_outflow_max_bps: view.protected.lists_any_token().then_some(U256::ZERO),
            ..Self::default()
        };
        if view.is_touched() {
            flow.read_ether(view);
            flow.read_tokens(view);
            flow.claim_decrease_wei = claim_decrease(view);
            flow.unbacked_outflow_wei = if flow.outflow_wei.is_zero() {
                Some(U256::ZERO)
            } else {
                flow.claim_decrease_wei.map(|claim| flow.outflow_wei.saturating_sub(claim))
            };
        }
        flow
    }

    fn read_ether(&mut self, view: &View<'_>) {
        let mut sides = vec![Sides::default(); view.protected.n_groups()];
        for moved in view.execution.ether.iter().filter(|moved| moved.kept) {
            let (from, to) = (view.protected.group(&moved.from), view.protected.group(&moved.to));
            if from != to {
                add(
                    from.and_then(|group| sides.get_mut(group)).map(|side| &mut side.outflow),
                    moved.value,
                );
                add(
                    to.and_then(|group| sides.get_mut(group)).map(|side| &mut side.inflow),
                    moved.value,
                );
            }
            add(view.is_actor(&moved.from).then_some(&mut self.cluster_ether.outflow), moved.value);
            add(view.is_actor(&moved.to).then_some(&mut self.cluster_ether.inflow), moved.value);
        }
        let mut before = vec![U256::ZERO; sides.len()];
        for (address, balance) in &view.execution.balances_before {
            add(view.protected.group(address).and_then(|group| before.get_mut(group)), *balance);
        }
        for (side, before) in sides.into_iter().zip(before) {
            let out = side.net_out();
            self.inflow_wei = self.inflow_wei.saturating_add(side.inflow);
            self.outflow_wei = self.outflow_wei.saturating_add(out);
            let share = share_bps(out, before);
            self.outflow_bps = larger(self.outflow_bps, share);
            self.count_drained(share);
        }
    }

    fn read_tokens(&mut self, view: &View<'_>) {
        let mut holders: BTreeMap<(Address, usize), BTreeMap<Address, Sides>> = BTreeMap::new();
        let mut by_cluster: BTreeMap<Address, Sides> = BTreeMap::new();
        let mut third_parties = BTreeSet::new();
        for log in view.execution.logs.iter().filter(|log| log.kept) {
            let Some((from, to, amount)) = transfer(log) else { continue };
            self.transfers = self.transfers.saturating_add(1);
            let token = by_cluster.entry(log.address).or_default();
            let amount = amount.unwrap_or(U256::ONE);
            add(view.is_actor(&from).then_some(&mut token.outflow), amount);
            add(view.is_actor(&to).then_some(&mut token.inflow), amount);
            let (from_group, to_group) = (view.protected.group(&from), view.protected.group(&to));
            if from_group != to_group {
                if let Some(group) = from_group {
                    let sides =
                        holders.entry((log.address, group)).or_default().entry(from).or_default();
                    add(Some(&mut sides.outflow), amount);
                }
                if let Some(group) = to_group {
                    let sides =
                        holders.entry((log.address, group)).or_default().entry(to).or_default();
                    add(Some(&mut sides.inflow), amount);
                }
            }
            if from_group.is_none() && from != Address::ZERO && !view.is_actor(&from) {
                third_parties.insert(from);
            }
        }
        self.tokens = by_cluster.len();
        self.cluster_gained_tokens = by_cluster.values().filter(|sides| sides.is_gain()).count();
        if !third_parties.is_empty() {
            let active = active(view);
            self.third_party_debits = third_parties.difference(&active).count();
        }
        self.weigh_tokens(view, holders);
    }

    /// Any contract can log transfers of anything. One whose balances cannot be read hides nothing of the others: it
    /// makes the share unknown only where no balance that fell is known.
    fn weigh_tokens(
        &mut self,
        view: &View<'_>,
        holders: BTreeMap<(Address, usize), BTreeMap<Address, Sides>>,
    ) {
        let balances = if holders.is_empty() { BTreeMap::new() } else { keyed_balances(view) };
        let (mut largest, mut is_any_unknown) = (U256::ZERO, false);
        let groups = view.touched.iter().filter_map(|address| view.protected.group(address));
        let mut listed = groups
            .into_iter()
            .any(|group| view.protected.lists_tokens(group))
            .then_some(U256::ZERO);
        for ((token, group), accounts) in holders {
            let whole = accounts.values().fold(Sides::default(), |whole, sides| Sides {
                inflow: whole.inflow.saturating_add(sides.inflow),
                outflow: whole.outflow.saturating_add(sides.outflow),
            });
            let out = whole.net_out();
            if out.is_zero() {
                continue;
            }
            let lost = self.lost_tokens.entry(token).or_default();
            *lost = lost.saturating_add(out);
            let held = accounts
                .iter()
                .map(|(account, sides)| balance_before(balances.get(&(token, *account))?, *sides))
                .try_fold(U256::ZERO, |sum, balance| Some(sum.saturating_add(balance?)));
            let share = held.and_then(|held| share_bps(out, held));
            if view.protected.lists_token(group, token) {
                listed = larger(listed, share);
            }
            match share {
                Some(share) => {
                    largest = largest.max(share);
                    self.count_drained(Some(share));
                }
                None => is_any_unknown = true,
            }
        }
        self.listed_token_outflow_max_bps = listed;
        self.token_outflow_max_bps = (!largest.is_zero() || !is_any_unknown).then_some(largest);
    }

    fn count_drained(&mut self, share: Option<U256>) {
        let is_drained = share.is_some_and(|share| share > U256::from(100));
        self.drained_assets = self.drained_assets.saturating_add(usize::from(is_drained));
    }
}

/// Accounts that took part themselves. Whoever is merely asked did not, and a call to an account without code uses no
/// gas: anybody can make one to anybody.
pub(super) fn active(view: &View<'_>) -> BTreeSet<Address> {
    let frames = view.execution.frames.iter();
    frames
        .filter(|frame| frame.gas_used > 0 && frame.kind != FrameKind::StaticCall)
        .map(|frame| frame.acts_on)
        .collect()
}

fn add(side: Option<&mut U256>, value: U256) {
    if let Some(side) = side {
        *side = side.saturating_add(value);
    }
}

/// The larger of two, unknown as soon as one is.
fn larger(one: Option<U256>, other: Option<U256>) -> Option<U256> {
    Some(one?.max(other?))
}

/// Part of `before` that `out` is, rounded down; unknown where something left an account said to hold nothing.
fn share_bps(out: U256, before: U256) -> Option<U256> {
    if out.is_zero() { Some(U256::ZERO) } else { out.saturating_mul(WHOLE_BPS).checked_div(before) }
}

/// First value before and last value after, of every protected slot of lasting storage that `wanted` names.
fn changes(
    view: &View<'_>,
    wanted: impl Fn(&Address, &U256) -> bool,
) -> BTreeMap<(Address, U256), (U256, U256)> {
    let mut changes: BTreeMap<(Address, U256), (U256, U256)> = BTreeMap::new();
    for access in view.execution.accesses.iter().filter(|access| access.kept && !access.transient) {
        let Some(after) = access.after else { continue };
        if wanted(&access.address, &access.slot) {
            changes.entry((access.address, access.slot)).or_insert((access.before, after)).1 =
                after;
        }
    }
    changes
}

/// Whose claims count: the actor's, and those of everyone who dealt with the protocol directly, for an attacker's
/// contract of long ago may stand between the actor and the protocol.
fn claimants(view: &View<'_>) -> BTreeSet<Address> {
    let mut claimants: BTreeSet<Address> = view.cluster.iter().copied().collect();
    let is_stranger = |address: &Address| view.protected.group(address).is_none();
    let entered = view.frames().filter(|(_, _, place)| place.group.is_some());
    claimants.extend(entered.map(|(_, frame, _)| frame.caller).filter(is_stranger));
    let paid = view.execution.ether.iter().filter(|moved| moved.kept && !is_stranger(&moved.from));
    claimants.extend(paid.map(|moved| moved.to).filter(is_stranger));
    claimants
}

fn claim_decrease(view: &View<'_>) -> Option<U256> {
    let claimants = claimants(view);
    let keyed: BTreeSet<U256> = view
        .execution
        .mapping_slots
        .iter()
        .filter(|mapped| {
            mapped.key.as_slice().starts_with(&[0; 12])
                && claimants.contains(&Address::from_word(mapped.key))
        })
        .map(|mapped| mapped.slot)
        .collect();
    let changes = changes(view, |address, slot| {
        keyed.contains(slot) && view.protected.group(address).is_some()
    });
    if changes.is_empty() {
        return None;
    }
    let is_amount = |value: U256| value.bit_len() <= 128;
    let (mut before, mut after) = (U256::ZERO, U256::ZERO);
    for (first, last) in changes.into_values() {
        if !is_amount(first) || !is_amount(last) {
            return None;
        }
        before = before.saturating_add(first);
        after = after.saturating_add(last);
    }
    Some(before.saturating_sub(after))
}

/// First and last value of every token storage entry that is keyed by a protected account, by token and account.
fn keyed_balances(view: &View<'_>) -> BTreeMap<(Address, Address), Vec<(U256, U256)>> {
    let owners: BTreeMap<U256, Address> = view
        .execution
        .mapping_slots
        .iter()
        .filter(|mapped| mapped.key.as_slice().starts_with(&[0; 12]))
        .map(|mapped| (mapped.slot, Address::from_word(mapped.key)))
        .filter(|(_, owner)| view.protected.group(owner).is_some())
        .collect();
    let mut balances: BTreeMap<(Address, Address), Vec<(U256, U256)>> = BTreeMap::new();
    for ((token, slot), change) in changes(view, |_, slot| owners.contains_key(slot)) {
        if let Some(owner) = owners.get(&slot) {
            balances.entry((token, *owner)).or_default().push(change);
        }
    }
    balances
}

/// Balance before the transaction, found by behaviour: the one entry that is keyed by the account and changed. Where
/// several are (an allowance is keyed so too), the one that moved as the logs say.
fn balance_before(changes: &[(U256, U256)], sides: Sides) -> Option<U256> {
    let moved_as_logged = |(first, last): &&(U256, U256)| {
        first.checked_add(sides.inflow).and_then(|sum| sum.checked_sub(sides.outflow))
            == Some(*last)
    };
    match changes {
        [(first, _)] => Some(*first),
        several => several.iter().find(moved_as_logged).map(|(first, _)| *first),
    }
}
