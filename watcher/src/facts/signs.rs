//! Signs that something is wrong, each by behaviour and each weak alone: rights taken without having been held, checks
//! that failed and did not stop anything, people who pay and get nothing.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, U256, b256};

use super::{
    View,
    ledger::{Ledger, Move},
    pools::below_protected,
    value::active,
};

/// `Approval(address,address,uint256)`, of ERC-20 and ERC-721 alike.
const APPROVAL_TOPIC: B256 =
    b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");
/// `isValidSignature(bytes32,bytes)` of ERC-1271, which is also what it answers where the signature is valid.
const IS_VALID_SIGNATURE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];
/// Bits beyond which a number is taken for an account or a hash and not for an amount or a count.
const ACCOUNT_BITS: usize = 96;

/// What this pass finds.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// Changes of slots that name who may act, those of rightful holders included.
    pub(super) rights_written: usize,
    /// Of these, the ones that nobody who held the right asked for.
    pub(super) rights_seized: usize,
    /// Signature checks of protected code that found no signer and did not stop it.
    pub(super) failed_checks: usize,
    /// Accounts that paid through protected code, ran nothing and were given nothing.
    pub(super) robbed: usize,
    /// Accounts that came into the protocol's books and were paid by it in a later visit, while nothing stayed there.
    pub(super) newcomers_paid: usize,
    /// Something was decided and paid out in one transaction.
    pub(super) fast_governance: bool,
    /// 2 where a protected contract, 1 where a third party, allowed a stranger to spend.
    pub(super) new_allowance: u8,
}

impl Signs {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>, ledger: &Ledger) -> Self {
        let mut signs = Self::default();
        signs.read_rights(view);
        signs.read_checks(view);
        signs.read_payers(view, ledger);
        signs.read_newcomers(view, ledger);
        signs.read_decisions(view, ledger);
        signs.read_allowances(view);
        signs
    }

    fn read_rights(&mut self, view: &View<'_>) {
        let derived: BTreeMap<(Address, U256), (B256, U256)> = view
            .execution
            .mapping_slots
            .iter()
            .filter(|mapped| view.protected.group(&mapped.address).is_some())
            .map(|mapped| ((mapped.address, mapped.slot), (mapped.key, mapped.base)))
            .collect();
        // An entry of a mapping inside of another: an account in something that a word names.
        let member = |place: &(Address, U256)| {
            let (key, base) = derived.get(place)?;
            let (whole, _) = derived.get(&(place.0, *base))?;
            let is_account = key.as_slice().starts_with(&[0; 12]);
            is_account.then(|| (Address::from_word(*key), U256::from_be_bytes(whole.0)))
        };
        // What a hash names is a role. So is zero, the name of the role above all, but zero is also the first token.
        let member_of_role = |place: &(Address, U256)| {
            member(place).filter(|(_, role)| role.bit_len() > 160).map(|(account, _)| account)
        };
        let account_in = |value: U256| Address::from_word(B256::from(value));
        // Entries in which the contract found its caller in one of its slots.
        let mut entitled: BTreeSet<usize> = BTreeSet::new();
        let mut compared: BTreeSet<(Address, U256)> = BTreeSet::new();
        for access in &view.execution.accesses {
            let place = (access.address, access.slot);
            if access.transient || view.protected.group(&access.address).is_none() {
                continue;
            }
            let Some(entry) = view.entry(access.frame) else { continue };
            let Some(caller) = view.execution.frames.get(entry).map(|frame| frame.caller) else {
                continue;
            };
            let names = |value: U256, account: Address| {
                value.bit_len() > ACCOUNT_BITS && account_in(value) == account
            };
            match access.after {
                None if derived.contains_key(&place) => {
                    let holds = |(account, role): (Address, U256)| {
                        account == caller && (role.is_zero() || role.bit_len() > 160)
                    };
                    if member(&place).is_some_and(holds) && !access.before.is_zero() {
                        entitled.insert(entry);
                    }
                }
                None => {
                    if names(access.before, caller) {
                        entitled.insert(entry);
                        compared.insert(place);
                    }
                }
                Some(after) if access.kept && after != access.before => {
                    let is_new_member = access.before.is_zero()
                        && member_of_role(&place).is_some_and(|member| view.is_actor(&member));
                    let names_actor = |value: U256| {
                        value.bit_len() > ACCOUNT_BITS && view.is_actor(&account_in(value))
                    };
                    let is_named = !derived.contains_key(&place)
                        && (compared.contains(&place) || names_actor(after));
                    if is_new_member || is_named {
                        self.rights_written = self.rights_written.saturating_add(1);
                        let is_rightful = entitled.contains(&entry) || names_actor(access.before);
                        self.rights_seized =
                            self.rights_seized.saturating_add(usize::from(!is_rightful));
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// `ecrecover` gives nothing back where there is no signer. Whoever then asks the signer's own contract, and is told
    /// that it did sign (ERC-1271), has checked after all.
    fn read_checks(&mut self, view: &View<'_>) {
        let failed: Vec<usize> = view
            .frames()
            .filter(|(_, frame, _)| {
                frame.code_at == Address::with_last_byte(1)
                    && view.protected.group(&frame.caller).is_some()
                    && frame.kept
                    && frame.output.iter().all(|byte| *byte == 0)
            })
            .map(|(index, _, _)| index)
            .collect();
        if failed.is_empty() {
            return;
        }
        let vouched: Vec<(usize, Option<usize>)> = view
            .frames()
            .filter(|(_, frame, _)| {
                frame.selector() == Some(IS_VALID_SIGNATURE)
                    && frame.success
                    && frame.output.starts_with(&IS_VALID_SIGNATURE)
                    && view.protected.group(&frame.caller).is_some()
            })
            .map(|(index, frame, _)| (index, frame.parent.and_then(|parent| view.entry(parent))))
            .collect();
        let parent_entry = |index: usize| {
            let frame = view.execution.frames.get(index)?;
            view.entry(frame.parent?)
        };
        let is_vouched = |index: &usize| {
            let entry = parent_entry(*index);
            vouched.iter().any(|(later, asking)| later > index && *asking == entry)
        };
        self.failed_checks = failed.iter().filter(|index| !is_vouched(index)).count();
    }

    fn read_payers(&mut self, view: &View<'_>, ledger: &Ledger) {
        let is_third = |account: &Address| {
            *account != Address::ZERO
                && view.protected.group(account).is_none()
                && !view.is_actor(account)
        };
        let below = below_protected(view);
        let runs_below = |frame: usize| below.get(frame).copied().unwrap_or(false);
        let mut payers: BTreeSet<Address> = ledger
            .moves
            .iter()
            .filter(|moved| is_third(&moved.from) && runs_below(moved.frame))
            .map(|moved| moved.from)
            .collect();
        if !payers.is_empty() {
            for moved in &ledger.moves {
                payers.remove(&moved.to);
            }
            payers = payers.difference(&active(view)).copied().collect();
        }
        // Whose books say that it paid has something for it: a deposit made in its name, a subscription.
        for (account, _) in entries_changed(view) {
            payers.remove(&account);
        }
        self.robbed = payers.len();
    }

    /// Nothing is earned within a transaction: who first stands in the books in one visit has nothing to be paid for in
    /// the next, unless it is given what the actor brought, or leaves something there.
    fn read_newcomers(&mut self, view: &View<'_>, ledger: &Ledger) {
        let mut came: BTreeMap<Address, usize> = BTreeMap::new();
        for (account, (entry, before)) in entries_changed(view) {
            if before.is_zero() {
                let first = came.entry(account).or_insert(entry);
                *first = entry.min(*first);
            }
        }
        if came.is_empty() {
            return;
        }
        let is_protected = |account: &Address| view.protected.group(account).is_some();
        let mut sides: BTreeMap<Address, (U256, U256)> = BTreeMap::new();
        for moved in &ledger.moves {
            let (from, to) = (is_protected(&moved.from), is_protected(&moved.to));
            if from != to {
                let (came, went) = sides.entry(moved.token).or_default();
                let side = if to { came } else { went };
                *side = side.saturating_add(moved.amount);
            }
        }
        let lost = |token: &Address| sides.get(token).is_some_and(|(came, went)| went > came);
        if sides.values().any(|(came, went)| came > went) {
            return;
        }
        let paid: BTreeSet<Address> = ledger
            .moves
            .iter()
            .filter(|moved| {
                !moved.amount.is_zero() && is_protected(&moved.from) && lost(&moved.token)
            })
            .filter(|moved| {
                let first = came.get(&moved.to);
                let paying = paying_entry(view, moved);
                first.is_some_and(|first| paying.is_some_and(|paying| paying > *first))
            })
            .map(|moved| moved.to)
            .collect();
        self.newcomers_paid = paid.len();
    }

    /// An amount that one visit wrote down where nothing was, and that a later visit reads there and pays out. What
    /// is keyed by an account is a deposit, which may be taken back.
    fn read_decisions(&mut self, view: &View<'_>, ledger: &Ledger) {
        let keyed: BTreeSet<(Address, U256)> = view
            .execution
            .mapping_slots
            .iter()
            .filter(|mapped| mapped.key.as_slice().starts_with(&[0; 12]))
            .map(|mapped| (mapped.address, mapped.slot))
            .collect();
        let paid: BTreeSet<(usize, U256)> = ledger
            .moves
            .iter()
            .filter(|moved| {
                moved.amount.bit_len() > 16 && view.protected.group(&moved.from).is_some()
            })
            .filter_map(|moved| Some((paying_entry(view, moved)?, moved.amount)))
            .collect();
        if paid.is_empty() {
            return;
        }
        let mut written: BTreeMap<(Address, U256), (usize, U256)> = BTreeMap::new();
        for access in view.execution.accesses.iter().filter(|access| !access.transient) {
            let place = (access.address, access.slot);
            if view.protected.group(&access.address).is_none() || keyed.contains(&place) {
                continue;
            }
            let Some(entry) = view.entry(access.frame) else { continue };
            match access.after {
                Some(after) if access.kept && access.before.is_zero() && !after.is_zero() => {
                    written.entry(place).or_insert((entry, after));
                }
                Some(_) => {}
                None => {
                    let is_decided = written.get(&place).is_some_and(|(at, amount)| {
                        *at != entry && *amount == access.before && paid.contains(&(entry, *amount))
                    });
                    self.fast_governance |= is_decided;
                }
            }
        }
    }

    fn read_allowances(&mut self, view: &View<'_>) {
        let asked: BTreeSet<Address> = view
            .frames()
            .filter(|(_, frame, _)| view.protected.group(&frame.caller).is_some())
            .map(|(_, frame, _)| frame.acts_on)
            .collect();
        for log in view.execution.logs.iter().filter(|log| log.kept) {
            let [topic, owner, spender] = log.topics.as_slice() else { continue };
            if *topic != APPROVAL_TOPIC || log.data.iter().all(|byte| *byte == 0) {
                continue;
            }
            let (owner, spender) = (Address::from_word(*owner), Address::from_word(*spender));
            let is_own = view.protected.group(&owner).is_some();
            let is_known = view.protected.group(&spender).is_some()
                || asked.contains(&spender) && !view.is_actor(&spender);
            if !is_known && !view.is_actor(&owner) {
                self.new_allowance = self.new_allowance.max(if is_own { 2 } else { 1 });
            }
        }
    }
}

/// Protected mapping entries keyed by an account that were changed for good: the account, the visit that changed the
/// entry first, and what stood there before; an account once for each of its entries.
fn entries_changed(view: &View<'_>) -> Vec<(Address, (usize, U256))> {
    let keyed: BTreeMap<(Address, U256), Address> = view
        .execution
        .mapping_slots
        .iter()
        .filter(|mapped| {
            mapped.key.as_slice().starts_with(&[0; 12])
                && view.protected.group(&mapped.address).is_some()
        })
        .map(|mapped| ((mapped.address, mapped.slot), Address::from_word(mapped.key)))
        .collect();
    let mut changed: BTreeMap<(Address, U256), (Address, (usize, U256))> = BTreeMap::new();
    for access in view.execution.accesses.iter().filter(|access| access.kept && !access.transient) {
        let place = (access.address, access.slot);
        if access.after.is_some_and(|after| after != access.before)
            && let Some(account) = keyed.get(&place)
            && let Some(entry) = view.entry(access.frame)
        {
            changed.entry(place).or_insert((*account, (entry, access.before)));
        }
    }
    changed.into_values().collect()
}

/// The visit of the payer in which it paid.
fn paying_entry(view: &View<'_>, moved: &Move) -> Option<usize> {
    let frames = &view.execution.frames;
    let payer = std::iter::successors(Some(moved.frame), |frame| {
        frames.get(*frame).and_then(|frame| frame.parent)
    })
    .find(|frame| frames.get(*frame).is_some_and(|frame| frame.acts_on == moved.from))?;
    view.entry(payer)
}
