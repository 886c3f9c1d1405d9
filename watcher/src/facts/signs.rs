//! Signs that something is wrong, each by behaviour and each weak alone: rights taken without having been held, checks
//! that failed and did not stop anything, people who pay and get nothing.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, U256, b256};

use super::{View, ledger::Ledger, pools::below_protected, value::active};

/// `Approval(address,address,uint256)`, of ERC-20 and ERC-721 alike.
const APPROVAL_TOPIC: B256 =
    b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");
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
    /// Accounts made in this transaction that a protected contract paid.
    pub(super) clones_paid: usize,
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
        // An entry of a mapping inside of one that is keyed by a hash: a role and its members.
        let member_of_role = |place: &(Address, U256)| {
            let (key, base) = derived.get(place)?;
            let (role, _) = derived.get(&(place.0, *base))?;
            let is_role = U256::from_be_bytes(role.0).bit_len() > 160;
            (is_role && key.as_slice().starts_with(&[0; 12])).then(|| Address::from_word(*key))
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
                    if member_of_role(&place) == Some(caller) && !access.before.is_zero() {
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

    /// `ecrecover` gives nothing back where there is no signer.
    fn read_checks(&mut self, view: &View<'_>) {
        self.failed_checks = view
            .frames()
            .filter(|(_, frame, _)| {
                frame.code_at == Address::with_last_byte(1)
                    && view.protected.group(&frame.caller).is_some()
                    && frame.kept
                    && frame.output.iter().all(|byte| *byte == 0)
            })
            .count();
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
        self.robbed = payers.len();
        let created: BTreeSet<Address> = view.execution.created.iter().copied().collect();
        let paid: BTreeSet<Address> = ledger
            .moves
            .iter()
            .filter(|moved| view.protected.group(&moved.from).is_some())
            .map(|moved| moved.to)
            .filter(|receiver| created.contains(receiver))
            .collect();
        self.clones_paid = paid.len();
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
            .filter_map(|moved| {
                let payer = std::iter::successors(Some(moved.frame), |frame| {
                    view.execution.frames.get(*frame).and_then(|frame| frame.parent)
                })
                .find(|frame| {
                    view.execution
                        .frames
                        .get(*frame)
                        .is_some_and(|frame| frame.acts_on == moved.from)
                })?;
                Some((view.entry(payer)?, moved.amount))
            })
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
