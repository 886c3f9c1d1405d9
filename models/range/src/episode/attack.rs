//! Attacks. One family so far: classic reentrancy, in three ways of delivery.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;

use super::script::Script;
use super::world::{Draft, World, wei};
use super::{RangeError, benign};
use crate::artifacts;
use crate::story::{Attacker, Vault};

/// Plays one attack; on the vault without the flaw, or with too small a stake, it fails.
pub(super) fn play(world: &mut World) -> Result<(), RangeError> {
    let attacker = world.attacker();
    let purse = world.purse_ether(attacker)?;
    // From small and slow to everything at once.
    let stake = wei((world.tvl_ether * world.random.log_uniform(0.0005, 0.4)).min(purse * 0.9));
    let loops = world.random.log_uniform(1.0, 41.0) as u64;
    let attack = Attacker::attackCall { vault: world.vault, loops: U256::from(loops) }.abi_encode();
    match world.random.below(3) {
        0 => direct(world, attacker, stake, attack),
        1 => padded(world, attacker, stake, attack),
        _ => from_constructor(world, attacker, stake, attack),
    }
}

/// A contract deployed beforehand, called by its owner.
fn direct(
    world: &mut World,
    attacker: Address,
    stake: U256,
    attack: Vec<u8>,
) -> Result<(), RangeError> {
    let contract = world.next_contract(attacker)?;
    let code = artifacts::ATTACKER.creation(&[]);
    world.set_up(Draft { from: attacker, to: None, value: U256::ZERO, input: code })?;
    pass_time(world)?;
    let draft = Draft { from: attacker, to: Some(contract), value: stake, input: attack };
    world.play("reentrancy/direct", true, draft)
}

/// The same behind a contract that makes other calls before and after; what is taken stays in it.
fn padded(
    world: &mut World,
    attacker: Address,
    stake: U256,
    attack: Vec<u8>,
) -> Result<(), RangeError> {
    let front = world.next_contract(attacker)?;
    let mut deployment = Script::default();
    deployment.create(artifacts::ATTACKER.creation(&[]), U256::ZERO);
    let mut later = Script::default();
    pad(world, &mut later);
    later.call(front.create(1), stake, attack);
    pad(world, &mut later);
    let code = deployment.deploying(&later, &Script::default());
    world.set_up(Draft { from: attacker, to: None, value: U256::ZERO, input: code })?;
    pass_time(world)?;
    let draft = Draft { from: attacker, to: Some(front), value: stake, input: vec![1] };
    world.play("reentrancy/padded", true, draft)
}

/// Everything in one creation: there is no contract to be seen before.
fn from_constructor(
    world: &mut World,
    attacker: Address,
    stake: U256,
    attack: Vec<u8>,
) -> Result<(), RangeError> {
    let front = world.next_contract(attacker)?;
    let mut script = Script::default();
    script.create(artifacts::ATTACKER.creation(&[]), U256::ZERO);
    if world.random.chance(0.5) {
        pad(world, &mut script);
    }
    script.call(front.create(1), stake, attack);
    let draft = Draft { from: attacker, to: None, value: stake, input: script.constructor() };
    world.play("reentrancy/constructor", true, draft)
}

/// Harmless calls that lengthen the call tree and thin out what is odd in it.
pub(super) fn pad(world: &mut World, script: &mut Script) {
    let n_calls = (world.random.log_uniform(1.0, 60.0) * world.padding) as usize;
    for _ in 0..n_calls {
        let account = world.user();
        match world.random.below(3) {
            0 => script.read(world.vault, Vault::balancesCall { account }.abi_encode()),
            1 => script.read(world.vault, Vault::pausedCall {}.abi_encode()),
            _ => script.read(account, world.random.bits().to_be_bytes().to_vec()),
        }
    }
}

/// An attacker that waits looks older than one that does not.
fn pass_time(world: &mut World) -> Result<(), RangeError> {
    for _ in 0..world.random.below(3) {
        benign::play(world)?;
    }
    Ok(())
}
