//! The vector that models read, as far as one execution can tell; the rest stays unknown.
//!
//! Here, and only here in this room, exact amounts become floats.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};
use portcullis_models::schema::{TRANSACTION, Vector, transaction as place};

use crate::simulate::execution::{Execution, Frame, FrameKind};

use super::{Flow, Privilege, Reentry, Relevance, Shape, View};

/// What the passes found.
#[derive(Debug)]
pub(super) struct Found<'f> {
    pub(super) relevance: Relevance,
    pub(super) reentry: Reentry,
    pub(super) flow: &'f Flow,
    pub(super) privilege: Privilege,
    pub(super) shape: Shape,
}

/// Fills what can be known. Nothing is filled for a transaction that touches nothing protected, for no model is
/// asked about it, nor for a truncated one, for its counts would be wrong.
pub(super) fn vector(view: &View<'_>, found: &Found<'_>) -> Vector {
    let mut vector = Vector::unknown(&TRANSACTION);
    if view.is_touched() && !view.execution.truncated {
        shape(&mut vector, view, found);
        flow(&mut vector, view, found);
        reentry(&mut vector, view, found);
        privilege(&mut vector, view, found);
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

fn flow(vector: &mut Vector, view: &View<'_>, found: &Found<'_>) {
    let flow = found.flow;
    if !flow.inflow_wei.is_zero() {
        let own = view
            .execution
            .balances_before
            .iter()
            .filter(|(address, _)| view.is_actor(address))
            .fold(U256::ZERO, |sum, (_, balance)| sum.saturating_add(*balance));
        vector.set(place::OWN_CAPITAL, amount(own) / amount(flow.inflow_wei));
    }
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
    if flow.outflow_wei.is_zero() {
        vector.set(place::OUTFLOW_OVER_CLAIM, 0.0);
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

fn privilege(vector: &mut Vector, view: &View<'_>, found: &Found<'_>) {
    let is_changed = found.privilege.proxy_writes > 0 || found.privilege.destroyed > 0;
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
