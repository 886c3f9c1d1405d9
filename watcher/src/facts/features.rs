//! The vector that models read, as far as one execution can tell; the rest stays unknown.
//!
//! Here, and only here in this room, exact amounts become floats.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};
use portcullis_models::schema::{TRANSACTION, Vector, transaction as place};

use crate::simulate::execution::{Execution, Frame, FrameKind};

use super::{
    Flow, Outcome, Privilege, Reentry, Relevance, Shape, View,
    estate::Estate,
    ledger::{ETHER, Ledger},
    loans::Loans,
    pools::Pools,
    signs::Signs,
};

/// What the passes found.
#[derive(Debug)]
pub(super) struct Found<'f> {
    pub(super) relevance: Relevance,
    pub(super) reentry: Reentry,
    pub(super) flow: &'f Flow,
    pub(super) privilege: Privilege,
    pub(super) shape: Shape,
    /// None for a truncated execution.
    pub(super) outcome: Option<Outcome>,
}

/// Fills what can be known. Nothing is filled for a transaction that touches nothing protected, for no model is
/// asked about it, nor for a truncated one, for its counts would be wrong.
pub(super) fn vector(view: &View<'_>, found: &Found<'_>) -> Vector {
    let mut vector = Vector::unknown(&TRANSACTION);
    if let Some(outcome) = found.outcome.as_ref().filter(|_| view.is_touched()) {
        let Outcome { ledger, loans, pools, estate, signs } = outcome;
        shape(&mut vector, view, found);
        capital(&mut vector, view, found, ledger, loans);
        flow(&mut vector, view, found, estate);
        vector.set(place::LOG_BALANCE_MISMATCH, float(ledger.mismatched_tokens));
        vector.set(place::NEW_ALLOWANCE, f32::from(signs.new_allowance));
        prices(&mut vector, pools, estate);
        reentry(&mut vector, view, found);
        privilege(&mut vector, view, found, signs);
        let n_soft = count_soft(&vector, found, ledger, estate, signs);
        vector.set(place::SOFT_INVARIANTS, float(n_soft));
        vector.set(place::HARM_SIGNS, float(count_harm(found, pools, estate, signs)));
        novelty(&mut vector, view, found);
        envelope(&mut vector, view.execution);
    }
    vector
}

fn shape(vector: &mut Vector, view: &View<'_>, found: &Found<'_>) {
    let frames = &view.execution.frames;
    let mut callees = BTreeSet::new();
    let mut selectors = BTreeSet::new();
    let mut children: BTreeMap<usize, usize> = BTreeMap::new();
    let mut pairs: BTreeMap<(Address, Option<[u8; 4]>), usize> = BTreeMap::new();
    let (mut static_calls, mut delegate_calls, mut reverted) = (0_usize, 0_usize, 0_usize);
    for frame in frames {
        let selector = frame.selector();
        callees.insert(frame.code_at);
        selectors.extend(selector);
        raise(pairs.entry((frame.code_at, selector)).or_default(), true);
        if let Some(parent) = frame.parent {
            raise(children.entry(parent).or_default(), true);
        }
        raise(&mut static_calls, frame.kind == FrameKind::StaticCall);
        raise(&mut delegate_calls, frame.kind == FrameKind::DelegateCall);
        raise(&mut reverted, !frame.success);
    }
    let n_frames = frames.len();
    vector.set(place::FRAMES_LOG, log(n_frames));
    vector.set(place::DEPTH, float(found.shape.depth));
    vector.set(place::CALLEES_LOG, log(callees.len()));
    vector.set(place::SELECTORS_LOG, log(selectors.len()));
    vector.set(place::FANOUT_LOG, log(children.into_values().max().unwrap_or(0)));
    vector.set(place::REPEAT_RATIO, share(pairs.into_values().max().unwrap_or(0), n_frames));
    vector.set(place::STATIC_SHARE, share(static_calls, n_frames));
    vector.set(place::DELEGATE_SHARE, share(delegate_calls, n_frames));
    vector.set(place::CREATES, float(found.shape.creates));
    vector.set(place::IN_CREATION, flag(found.relevance.is_in_creation));
    vector.set(
        place::CAUGHT_REVERTS,
        if found.shape.succeeded { share(reverted, n_frames) } else { 0.0 },
    );
    vector.set(place::PROTECTED_SHARE, share(found.relevance.frames, n_frames));
}

/// Whose capital is at work: the actor's own, or borrowed for the length of a call.
fn capital(
    vector: &mut Vector,
    view: &View<'_>,
    found: &Found<'_>,
    ledger: &Ledger,
    loans: &Loans,
) {
    vector.set(place::FLASH_SOURCES, float(loans.lenders()));
    vector.set(place::FLASH_NEST, float(loans.nesting()));
    let n_frames = view.execution.frames.len();
    let span = loans.loans.iter().map(|loan| loan.frames).max().unwrap_or(0);
    vector.set(place::LOAN_SPAN, share(span, n_frames));
    let protected_held = |token| {
        let holders = view.touched.iter().filter_map(|account| ledger.held(token, *account));
        holders.fold(U256::ZERO, U256::saturating_add)
    };
    let (mut over_tvl, mut fee_bps) = (Some(0.0_f32), 0.0_f32);
    for loan in &loans.loans {
        let held = protected_held(loan.token);
        let over = (!held.is_zero()).then(|| (amount(loan.amount) / amount(held)).ln_1p());
        over_tvl = over.map(|over| over_tvl.unwrap_or(0.0).max(over)).or(over_tvl);
        fee_bps = fee_bps.max(amount(loan.fee) / amount(loan.amount) * 10_000.0);
    }
    // Tokens that nothing protected holds have no size against what is protected.
    let borrows_other = loans.loans.iter().all(|loan| protected_held(loan.token).is_zero());
    over_tvl = over_tvl.filter(|_| loans.loans.is_empty() || !borrows_other);
    if let Some(over_tvl) = over_tvl {
        vector.set(place::FLASH_OVER_TVL, over_tvl);
    }
    vector.set(place::FLASH_FEE_BPS, fee_bps);
    if let Some(own) = own_capital(view, found, ledger, loans) {
        vector.set(place::OWN_CAPITAL, own);
    }
    // What a lender gives and gets back is no trip through a pool.
    let strangers: BTreeSet<Address> = view
        .execution
        .frames
        .iter()
        .map(|frame| frame.acts_on)
        .filter(|account| !view.is_actor(account))
        .filter(|account| !loans.loans.iter().any(|loan| loan.lender == *account))
        .collect();
    let mut sides: BTreeMap<(Address, Address), (U256, U256)> = BTreeMap::new();
    for moved in ledger.moves.iter().filter(|moved| moved.from != moved.to) {
        if strangers.contains(&moved.to) {
            let side = &mut sides.entry((moved.to, moved.token)).or_default().0;
            *side = side.saturating_add(moved.amount);
        }
        if strangers.contains(&moved.from) {
            let side = &mut sides.entry((moved.from, moved.token)).or_default().1;
            *side = side.saturating_add(moved.amount);
        }
    }
    let trips = sides.into_values().filter(|(came, went)| !came.is_zero() && !went.is_zero());
    let trip = trips.map(|(came, went)| amount(came.min(went)) / amount(came.max(went)));
    vector.set(place::ROUND_TRIP, trip.fold(0.0, f32::max));
}

/// The smallest part of any asset paid into protected contracts that the actor had before, or did not borrow.
fn own_capital(view: &View<'_>, found: &Found<'_>, ledger: &Ledger, loans: &Loans) -> Option<f32> {
    let mut own = None;
    if !found.flow.inflow_wei.is_zero() {
        let had = view
            .execution
            .balances_before
            .iter()
            .filter(|(address, _)| view.is_actor(address))
            .fold(U256::ZERO, |sum, (_, balance)| sum.saturating_add(*balance));
        own = Some(amount(had) / amount(found.flow.inflow_wei));
    }
    let mut paid: BTreeMap<Address, U256> = BTreeMap::new();
    for moved in ledger.moves.iter().filter(|moved| moved.token != ETHER) {
        let is_paid = view.protected.group(&moved.to).is_some()
            && view.protected.group(&moved.from).is_none();
        if is_paid {
            let sum = paid.entry(moved.token).or_default();
            *sum = sum.saturating_add(moved.amount);
        }
    }
    for (token, paid) in paid.into_iter().filter(|(_, paid)| !paid.is_zero()) {
        let part = amount(paid.saturating_sub(loans.borrowed(token))) / amount(paid);
        own = Some(own.map_or(part, |own: f32| own.min(part)));
    }
    own
}

fn flow(vector: &mut Vector, view: &View<'_>, found: &Found<'_>, estate: &Estate) {
    let flow = found.flow;
    vector.set(place::TRANSFERS_LOG, log(flow.transfers));
    vector.set(place::TOKENS, float(flow.tokens));
    let gained_ether = usize::from(flow.cluster_ether.is_gain());
    vector.set(
        place::CLUSTER_GAIN_TOKENS,
        float(flow.cluster_gained_tokens.saturating_add(gained_ether)),
    );
    if let (Some(ether), Some(token)) = (flow.outflow_bps, flow.token_outflow_max_bps) {
        vector.set(place::OUTFLOW_FRAC, amount(ether.max(token)) / 10_000.0);
    }
    vector.set(place::OUTFLOW_TOKENS, float(flow.drained_assets));
    if flow.outflow_wei.is_zero() && flow.lost_tokens.is_empty() {
        vector.set(place::OUTFLOW_OVER_CLAIM, 0.0);
    } else if flow.outflow_wei.is_zero() {
        if let Some(over) = estate.outflow_over_booked {
            vector.set(place::OUTFLOW_OVER_CLAIM, narrow(over));
        }
    } else if let Some(claim) = flow.claim_decrease_wei {
        // Without any claim the quotient is infinite and is clipped to the range's end.
        vector.set(place::OUTFLOW_OVER_CLAIM, amount(flow.outflow_wei) / amount(claim));
    }
    let gas_cost =
        U256::from(view.execution.gas_used).saturating_mul(U256::from(view.execution.base_fee_wei));
    if flow.tokens == 0 && flow.cluster_ether.is_gain() && !gas_cost.is_zero() {
        let gain = flow.cluster_ether.inflow.saturating_sub(flow.cluster_ether.outflow);
        vector.set(place::GAIN_OVER_GAS, (amount(gain) / amount(gas_cost)).log10());
    }
    vector.set(place::THIRD_PARTY_DEBITS, float(flow.third_party_debits));
    if let Some(gap) = estate.share_asset_gap {
        vector.set(place::SHARE_ASSET_GAP_BPS, narrow(gap * 10_000.0));
    }
    if let Some(dust) = estate.dust.filter(|dust| *dust > 0.0) {
        vector.set(place::DUST_RATIO, narrow(dust.log10()));
    }
}

/// Prices, rates and invariants, all as behaviour shows them.
fn prices(vector: &mut Vector, pools: &Pools, estate: &Estate) {
    let read: Vec<_> = pools.pools.iter().filter(|pool| pool.is_read).collect();
    if read.iter().all(|pool| pool.held.is_some()) {
        let most = |quotient: fn(&super::pools::Pool) -> f64| {
            read.iter().map(|pool| quotient(pool)).fold(1.0, f64::max)
        };
        let bps = |quotient: f64| narrow((quotient - 1.0) * 10_000.0);
        vector.set(place::SPOT_EXCURSION_BPS, bps(most(|pool| pool.excursion)));
        vector.set(place::SPOT_RESIDUAL_BPS, bps(most(|pool| pool.residual)));
        let is_displaced = most(|pool| pool.excursion_read) > 1.01;
        vector.set(place::READ_WHEN_DISPLACED, flag(is_displaced));
    }
    if let Some(jump) = estate.rate_jump {
        vector.set(place::RATE_JUMP_BPS, narrow((jump - 1.0) * 10_000.0));
    }
    if let Some(residual) = estate.rate_residual {
        vector.set(place::RATE_RESIDUAL_BPS, narrow((residual - 1.0) * 10_000.0));
    }
    if let Some(rate) = estate.pool_rate {
        vector.set(place::K_DROP_BPS, narrow((1.0 - rate) * 10_000.0));
    }
    if let Some(delta) = estate.solvency_delta {
        vector.set(place::SOLVENCY_DELTA_BPS, narrow(delta * 10_000.0));
    }
    if let Some(gain) = estate.value_gain {
        vector.set(place::COLLATERAL_GAIN, narrow(gain));
    }
}

/// How many soft rules the outcome breaks. Each is weak: an honest transaction breaks one now and then.
fn count_soft(
    vector: &Vector,
    found: &Found<'_>,
    ledger: &Ledger,
    estate: &Estate,
    signs: &Signs,
) -> usize {
    // What is less than this is the rounding of floats.
    const ROUNDING: f64 = 1e-9;
    let known = |place: usize| vector.value(place).unwrap_or(0.0);
    let leaves = known(place::OUTFLOW_FRAC) > 0.0 || !found.flow.lost_tokens.is_empty();
    let fell = |quotient: Option<f64>| quotient.is_some_and(|quotient| quotient < 1.0 - ROUNDING);
    let is_unbacked = found.flow.unbacked_outflow_wei.is_some_and(|wei| !wei.is_zero());
    [
        is_unbacked,
        found.reentry.overwritten > 0,
        found.reentry.stale_views > 0,
        fell(estate.rate_residual) || estate.solvency_delta.is_some_and(|delta| delta < -ROUNDING),
        estate.value_gain.is_some_and(|gain| gain > 1.01),
        known(place::READ_WHEN_DISPLACED) > 0.0 && leaves,
        signs.rights_seized > 0,
        signs.failed_checks > 0,
        signs.robbed > 0,
        signs.fast_governance,
        signs.newcomers_paid > 0,
        signs.new_allowance == 2,
        known(place::SLOT_BLOWUP) > 0.0,
        ledger.mismatched_tokens > 0,
    ]
    .into_iter()
    .filter(|is_seen| *is_seen)
    .count()
}

/// How many signs of harm the outcome shows: the conditions of the rules that ship and hold for every protocol. An
/// honest transaction has no reason to show one.
fn count_harm(found: &Found<'_>, pools: &Pools, estate: &Estate, signs: &Signs) -> usize {
    // A millionth is more than rounding, a thousandth more than a pool's own fee in shares, and a fiftieth more
    // than what it costs to read a price a moment too late.
    const ROUNDING: f64 = 1e-6;
    const FEE: f64 = 1e-3;
    const FAIR: f64 = 1.02;
    let leaves = !found.flow.outflow_wei.is_zero() || !found.flow.lost_tokens.is_empty();
    let is_unbacked = found.flow.unbacked_outflow_wei.is_some_and(|wei| !wei.is_zero());
    [
        is_unbacked && (found.reentry.overwritten > 0 || found.reentry.reentered_writes > 0),
        estate.share_gain.is_some_and(|gain| gain > 1.0 + ROUNDING),
        estate.pool_rate.is_some_and(|rate| rate < 1.0 - FEE),
        pools.worst_reading() > 1.02 && estate.value_gain.is_some_and(|gain| gain > FAIR),
        leaves && signs.rights_seized > 0,
        leaves && signs.failed_checks > 0,
        leaves && signs.fast_governance,
        signs.robbed > 0,
        signs.newcomers_paid > 0,
    ]
    .into_iter()
    .filter(|is_seen| *is_seen)
    .count()
}

fn reentry(vector: &mut Vector, view: &View<'_>, found: &Found<'_>) {
    vector.set(place::REENTRY_DEPTH, float(found.reentry.depth.saturating_sub(1)));
    vector.set(place::REENTRY_WRITE, float(found.reentry.read_then_written));
    vector.set(place::READONLY_REENTRY, float(found.reentry.static_entries));
    vector.set(place::CROSS_REENTRY, float(found.reentry.cross_entries));
    let (mut untrusted, mut hooks) = (0_usize, 0_usize);
    for (_, frame, place) in view.frames() {
        let from_protected = view.protected.group(&frame.caller).is_some();
        let to_stranger = place.group.is_none() && !is_precompile(&frame.code_at);
        raise(&mut untrusted, from_protected && to_stranger);
        raise(
            &mut hooks,
            frame.parent.is_some() && view.is_actor(&frame.acts_on) && is_hook(frame),
        );
    }
    vector.set(place::UNTRUSTED_FROM_PROTECTED, float(untrusted));
    vector.set(place::HOOKS, float(hooks));
}

fn privilege(vector: &mut Vector, view: &View<'_>, found: &Found<'_>, signs: &Signs) {
    let written = found.privilege.proxy_writes.saturating_add(signs.rights_written);
    vector.set(place::PRIV_WRITES, float(written));
    vector.set(place::FAST_GOVERNANCE, flag(signs.fast_governance));
    let is_changed = written > 0 || found.privilege.destroyed > 0;
    vector.set(place::IMPL_CHANGE, flag(is_changed));
    let mut slots: BTreeMap<(Address, U256), bool> = BTreeMap::new();
    for access in view.execution.accesses.iter().filter(|access| access.kept && !access.transient) {
        let Some(after) = access.after.filter(|_| view.protected.group(&access.address).is_some())
        else {
            continue;
        };
        // A slot that was empty holds its first value; only growth of a value can be a blow-up.
        let is_blown = !access.before.is_zero()
            && (after.bit_len() > 128 && access.before.bit_len() <= 128
                || after >= access.before.saturating_mul(U256::from(1_000))
                    && access.before.bit_len() <= 240);
        *slots.entry((access.address, access.slot)).or_default() |= is_blown;
    }
    vector.set(place::SLOTS_LOG, log(slots.len()));
    vector.set(place::SLOT_BLOWUP, float(slots.into_values().filter(|is_blown| *is_blown).count()));
    let crypto = view.frames().filter(|(_, frame, _)| {
        view.protected.group(&frame.caller).is_some()
            && (is_number(&frame.code_at, 1) || is_number(&frame.code_at, 8))
    });
    vector.set(place::CRYPTO_IN_PROTECTED, float(crypto.count()));
}

/// Ages need a history that one execution does not have, except where the account was created just now.
fn novelty(vector: &mut Vector, view: &View<'_>, found: &Found<'_>) {
    if found.shape.root_is_creation {
        vector.set(place::ROOT_AGE_LOG, 0.0);
    }
    let created: BTreeSet<Address> = view.execution.created.iter().copied().collect();
    let mut entries =
        view.frames().filter(|(index, _, place)| place.group.is_some() && place.entry == *index);
    if entries.any(|(_, frame, _)| created.contains(&frame.caller)) {
        vector.set(place::CALLER_MIN_AGE_LOG, 0.0);
    }
    let nonce = usize::try_from(view.execution.envelope.nonce).unwrap_or(usize::MAX);
    vector.set(place::NONCE_LOG, log(nonce));
}

fn envelope(vector: &mut Vector, execution: &Execution) {
    let sent = &execution.envelope;
    vector.set(place::GAS_LOG, log(usize::try_from(execution.gas_used).unwrap_or(usize::MAX)));
    vector.set(place::CALLDATA_LOG, log(sent.input.len()));
    let balance = execution.balances_before.iter().find(|(address, _)| *address == sent.sender);
    if let Some((_, balance)) = balance.filter(|(_, balance)| !balance.is_zero()) {
        vector.set(place::VALUE_FRAC, amount(sent.value) / amount(*balance));
    }
}

/// Bare ether, or one of the receiver hooks of ERC-721, ERC-1155 (two) and ERC-777.
fn is_hook(frame: &Frame) -> bool {
    const HOOKS: [[u8; 4]; 4] = [
        [0x15, 0x0b, 0x7a, 0x02],
        [0xf2, 0x3a, 0x6e, 0x61],
        [0xbc, 0x19, 0x7c, 0x81],
        [0x00, 0x23, 0xde, 0x29],
    ];
    match frame.selector() {
        Some(selector) => HOOKS.contains(&selector),
        None => frame.kind == FrameKind::Call && frame.input.is_empty() && !frame.value.is_zero(),
    }
}

fn is_precompile(address: &Address) -> bool {
    address.as_slice().starts_with(&[0; 18]) && *address != Address::ZERO
}

fn is_number(address: &Address, number: u8) -> bool {
    *address == Address::with_last_byte(number)
}

fn raise(counter: &mut usize, when: bool) {
    *counter = counter.saturating_add(usize::from(when));
}

fn flag(value: bool) -> f32 {
    f32::from(u8::from(value))
}

fn share(part: usize, whole: usize) -> f32 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

fn log(count: usize) -> f32 {
    float(count).ln_1p()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a feature is a float; counts beyond 2^24 are clipped anyway"
)]
fn float(count: usize) -> f32 {
    count as f32
}

/// An amount as a float; only quotients of amounts enter the vector.
fn amount(value: U256) -> f32 {
    f32::from(value)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a feature is a float of 32 bits; what is too large is clipped anyway"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}
