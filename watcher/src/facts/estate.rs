//! What a protected contract holds against what it owes, before and after: rates of shares, books, and value taken at
//! the prices of before.
//!
//! No protocol is known here. A slot that moves by the same amounts as entries keyed by accounts is their total; a
//! mapping one of whose entries moves by an amount that was transferred is booked in that token.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};

use crate::simulate::execution::StorageAccess;

use super::{View, ledger::Ledger, pools::Pools};

/// Protected contracts looked at.
const ESTATES_LIMIT: usize = 16;

/// What this pass finds; the worst of all protected contracts.
#[derive(Debug, Default)]
pub(super) struct Estate {
    /// Largest quotient of assets per share and what it was, while the transaction ran; 1 is no move.
    pub(super) rate_jump: Option<f64>,
    /// Assets per share at the end over what they were; the furthest from 1.
    pub(super) rate_residual: Option<f64>,
    /// Assets paid out per share given up over assets taken in per share given out, of one contract and transaction; the
    /// largest. What a contract has lent out does not enter it, as it does the rates above.
    pub(super) share_gain: Option<f64>,
    /// Smallest such quotient of a contract that trades two tokens.
    pub(super) pool_rate: Option<f64>,
    /// Relative change of shares less relative change of assets, largest in size.
    pub(super) share_asset_gap: Option<f64>,
    /// Change of assets less what is owed, over assets; the lowest.
    pub(super) solvency_delta: Option<f64>,
    /// What left over what the books were changed for; the largest of any token.
    pub(super) outflow_over_booked: Option<f64>,
    /// Value that left over value that came, at prices of before.
    pub(super) value_gain: Option<f64>,
    /// Smallest amount moved over what was held of it.
    pub(super) dust: Option<f64>,
}

/// What storage of one contract says.
#[derive(Debug, Default)]
struct Storage {
    /// First and last value of every mapping entry keyed by an account that was written, by mapping.
    entries: BTreeMap<U256, Vec<(U256, U256)>>,
    /// Sizes of single steps of those entries, by mapping.
    steps: BTreeMap<U256, BTreeSet<U256>>,
    /// Writes of every other slot, in order: position, before, after.
    plain: BTreeMap<U256, Vec<(u32, U256, U256)>>,
    /// Positions of all changes that stayed, in order.
    changes: Vec<u32>,
}

impl Estate {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>, ledger: &Ledger, pools: &Pools) -> Self {
        let mut worst = Self::default();
        for &at in view.touched.iter().take(ESTATES_LIMIT) {
            let storage = Storage::of(view, at);
            let trades = pools.pools.iter().any(|pool| pool.at == at);
            worst.weigh_rate(view, ledger, pools, at, &storage);
            worst.weigh_books(ledger, at, &storage, trades);
            worst.weigh_value(ledger, pools, at);
        }
        worst
    }

    fn weigh_rate(
        &mut self,
        view: &View<'_>,
        ledger: &Ledger,
        pools: &Pools,
        at: Address,
        storage: &Storage,
    ) {
        let Some(total) = storage.total(ledger, at) else { return };
        let mut tokens: BTreeSet<Address> = ledger.sides(at).into_keys().collect();
        let pool = pools.pools.iter().find(|pool| pool.at == at);
        if let Some(pool) = pool {
            tokens.retain(|token| pool.tokens.contains(token));
        }
        let held: Option<Vec<(Address, f64)>> = tokens
            .into_iter()
            .map(|token| {
                let held = f64::from(ledger.held(token, at)?);
                (held > 0.0).then_some((token, held))
            })
            .collect();
        let Some(held) = held else { return };
        // Between visits only: inside of one, shares are given before they are paid for, or the other way round.
        let mut ends: Vec<u32> = Vec::new();
        let mut until = 0;
        for (_, frame, _) in view.frames() {
            if frame.acts_on == at && frame.kept && frame.entered >= until {
                until = frame.left;
                ends.push(frame.left);
            }
        }
        ends.push(u32::MAX);
        let n_tokens = f64::from(u32::try_from(held.len()).unwrap_or(u32::MAX).max(1));
        let mut now: Vec<f64> = held.iter().map(|(_, held)| *held).collect();
        let first_total = total.first().map_or(1.0, |(_, before, _)| f64::from(*before));
        let mut total_now = first_total;
        let (mut moves, mut writes) = (ledger.moves.iter().peekable(), total.iter().peekable());
        let mut rate = 1.0;
        let mut turnover = Turnover::default();
        let mut changes = storage.changes.iter().peekable();
        for end in ends {
            let (assets_then, total_then) = (now.iter().sum::<f64>(), total_now);
            while let Some(moved) = moves.next_if(|moved| moved.order < end) {
                for ((token, _), now) in held.iter().zip(&mut now) {
                    if moved.token == *token && moved.from != moved.to {
                        let amount = f64::from(moved.amount);
                        *now += if moved.to == at { amount } else { 0.0 };
                        *now -= if moved.from == at { amount } else { 0.0 };
                    }
                }
            }
            while let Some((_, _, after)) = writes.next_if(|(order, _, _)| *order < end) {
                total_now = f64::from(*after);
            }
            let mut is_noted = false;
            while changes.next_if(|order| **order < end).is_some() {
                is_noted = true;
            }
            if held.len() == 1 && pool.is_none() && end != u32::MAX {
                let assets = now.iter().sum::<f64>() - assets_then;
                turnover.take(assets, total_now - total_then, is_noted);
            }
            let assets = held
                .iter()
                .zip(&now)
                .map(|((_, before), now)| (now / before).max(0.0).ln())
                .sum::<f64>();
            rate = (assets / n_tokens).exp() / (total_now / first_total);
            if !rate.is_finite() {
                return;
            }
            let moved = rate.max(rate.recip().min(f64::MAX));
            self.rate_jump = Some(self.rate_jump.unwrap_or(1.0).max(moved));
        }
        let is_further = |old: f64| (rate - 1.0).abs() > (old - 1.0).abs();
        if self.rate_residual.is_none_or(is_further) {
            self.rate_residual = Some(rate);
        }
        if let Some(gain) = turnover.gain() {
            self.share_gain = Some(self.share_gain.unwrap_or(1.0).max(gain));
        }
        if pool.is_some() {
            self.pool_rate = Some(self.pool_rate.unwrap_or(1.0).min(rate));
        }
        let shares = total_now / first_total;
        let gap = (shares - 1.0) - (rate * shares - 1.0);
        if self.share_asset_gap.is_none_or(|old| gap.abs() > old.abs()) {
            self.share_asset_gap = Some(gap);
        }
    }

    /// What a pool pays is owed to nobody: its books say nothing, and its rate says all.
    fn weigh_books(&mut self, ledger: &Ledger, at: Address, storage: &Storage, trades: bool) {
        let sides = ledger.sides(at);
        if sides.is_empty() && storage.entries.is_empty() {
            self.solvency_delta = Some(self.solvency_delta.map_or(0.0, |old| old.min(0.0)));
        }
        for (token, (came, went)) in sides {
            let held = ledger.held(token, at).map(f64::from).filter(|held| *held > 0.0);
            let amounts: BTreeSet<U256> = ledger
                .moves
                .iter()
                .filter(|moved| moved.token == token && (moved.from == at) != (moved.to == at))
                .map(|moved| moved.amount)
                .collect();
            if let (Some(held), Some(smallest)) = (held, amounts.first()) {
                let dust = f64::from(*smallest) / held;
                self.dust = Some(self.dust.map_or(dust, |old| old.min(dust)));
            }
            let booked: Vec<f64> = storage
                .entries
                .iter()
                .filter(|(base, _)| {
                    let steps = storage.steps.get(base);
                    steps.is_some_and(|steps| steps.intersection(&amounts).next().is_some())
                })
                .map(|(_, entries)| change(entries).abs())
                .collect();
            if trades {
                continue;
            }
            // Books in another unit, shares mostly, say nothing about this token.
            if booked.is_empty() && !storage.entries.is_empty() {
                continue;
            }
            let booked: f64 = booked.iter().sum();
            let (net, out) = (f64::from(came) - f64::from(went), f64::from(went) - f64::from(came));
            if let Some(held) = held {
                let delta =
                    if out > 0.0 { (booked - out).min(0.0) } else { (net - booked).max(0.0) };
                let delta = delta / held;
                self.solvency_delta = Some(self.solvency_delta.map_or(delta, |old| old.min(delta)));
            }
            if out > 0.0 {
                let over = out / booked.max(f64::MIN_POSITIVE);
                self.outflow_over_booked =
                    Some(self.outflow_over_booked.map_or(over, |old| old.max(over)));
            }
        }
    }

    fn weigh_value(&mut self, ledger: &Ledger, pools: &Pools, at: Address) {
        let sides = ledger.sides(at);
        let net = |(came, went): &(U256, U256)| f64::from(*came) - f64::from(*went);
        for (out_token, _) in sides.iter().filter(|(_, side)| net(side) < 0.0) {
            for (in_token, came) in sides.iter().filter(|(_, side)| net(side) > 0.0) {
                let Some(price) = pools.price(*out_token, *in_token) else { continue };
                let went = sides.get(out_token).map_or(0.0, |side| -net(side));
                let gain = went / (net(came) * price);
                self.value_gain = Some(self.value_gain.map_or(gain, |old| old.max(gain)));
            }
        }
    }
}

/// What went in and out of one contract, against the shares that were made and burnt for it.
#[derive(Debug, Default)]
struct Turnover {
    came: f64,
    made: f64,
    went: f64,
    burnt: f64,
}

impl Turnover {
    /// One visit. What is paid while the books note something else, a debt for instance, is paid for no share; what is
    /// paid while they note nothing at all is paid for none, and belongs here.
    fn take(&mut self, assets: f64, shares: f64, is_noted: bool) {
        if assets > 0.0 && shares > 0.0 {
            self.came += assets;
            self.made += shares;
        } else if assets < 0.0 && (shares < 0.0 || shares == 0.0 && !is_noted) {
            self.went -= assets;
            self.burnt -= shares;
        }
    }

    fn gain(&self) -> Option<f64> {
        let quotient = self.went * self.made / (self.burnt * self.came);
        (self.made > 0.0 && self.went > 0.0).then(|| quotient.min(1e9))
    }
}

impl Storage {
    fn of(view: &View<'_>, at: Address) -> Self {
        let own = || view.execution.mapping_slots.iter().filter(|mapped| mapped.address == at);
        let derived: BTreeSet<U256> = own().map(|mapped| mapped.slot).collect();
        let keyed: BTreeMap<U256, U256> = own()
            .filter(|mapped| {
                mapped.key.as_slice().starts_with(&[0; 12]) && !derived.contains(&mapped.base)
            })
            .map(|mapped| (mapped.slot, mapped.base))
            .collect();
        let mut values: BTreeMap<U256, (U256, U256)> = BTreeMap::new();
        let mut storage = Self::default();
        let kept = |access: &&StorageAccess| access.address == at && access.kept;
        for access in view.execution.accesses.iter().filter(kept) {
            let Some(after) = access.after.filter(|_| !access.transient) else { continue };
            storage.changes.extend((after != access.before).then_some(access.order));
            if let Some(base) = keyed.get(&access.slot) {
                values.entry(access.slot).or_insert((access.before, after)).1 = after;
                let step = after.abs_diff(access.before);
                let steps = storage.steps.entry(*base).or_default();
                steps.extend((!step.is_zero()).then_some(step));
            } else if !derived.contains(&access.slot) && after != access.before {
                let writes = storage.plain.entry(access.slot).or_default();
                writes.push((access.order, access.before, after));
            }
        }
        // A flag or a number of a block is no amount.
        for (slot, change) in values {
            let base = keyed.get(&slot).copied().unwrap_or_default();
            storage.entries.entry(base).or_default().push(change);
        }
        storage.entries.retain(|base, _| {
            let steps = storage.steps.get(base);
            steps.is_some_and(|steps| steps.iter().any(|step| *step > U256::ONE))
        });
        storage
    }

    /// Writes of the total of shares; empty where no share changed hands with it, none where shares changed and their
    /// total was not found.
    fn total(&self, ledger: &Ledger, at: Address) -> Option<Vec<(u32, U256, U256)>> {
        if self.entries.is_empty() {
            return Some(Vec::new());
        }
        let steps: BTreeSet<U256> = self.steps.values().flatten().copied().collect();
        let held_after: BTreeSet<U256> = ledger
            .sides(at)
            .into_iter()
            .filter_map(|(token, (came, went))| {
                ledger.held(token, at)?.checked_add(came)?.checked_sub(went)
            })
            .collect();
        let matching = |writes: &[(u32, U256, U256)]| {
            writes
                .iter()
                .filter(|(_, before, after)| steps.contains(&after.abs_diff(*before)))
                .count()
        };
        let best = self
            .plain
            .values()
            // A stored copy of a balance moves like a total where a share is worth one unit.
            .filter(|writes| writes.last().is_none_or(|(_, _, after)| !held_after.contains(after)))
            .max_by_key(|writes| matching(writes))
            .filter(|writes| matching(writes) > 0);
        if best.is_none() && self.entries.values().all(|entries| change(entries) == 0.0) {
            return Some(Vec::new());
        }
        best.cloned()
    }
}

/// Sum of the entries at the end less their sum before.
fn change(entries: &[(U256, U256)]) -> f64 {
    let (before, after) = entries.iter().fold((U256::ZERO, U256::ZERO), |sums, (first, last)| {
        (sums.0.saturating_add(*first), sums.1.saturating_add(*last))
    });
    if after >= before {
        f64::from(after.saturating_sub(before))
    } else {
        -f64::from(before.saturating_sub(after))
    }
}
