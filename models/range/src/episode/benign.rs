//! Ordinary use, and what only looks like an attack: large exits, harmless re-entries, fresh contracts, probes.

use alloy::primitives::{Address, U256, keccak256};
use alloy::sol_types::{SolCall, SolValue};

use super::RangeError;
use super::attack::pad;
use super::script::Script;
use super::world::{Draft, World, wei};
use crate::artifacts;
use crate::story::{HarmlessReenter, Payout, Vault};

alloy::sol! {
    interface Splitter { function split(address vault, uint256 parts) external payable; }
    interface Unpausable { function unpause() external; }
}

/// Plays one kind of benign behaviour; more than half of the kinds are look-alikes.
pub(super) fn play(world: &mut World) -> Result<(), RangeError> {
    match world.random.below(22) {
        0..=2 => deposit(world),
        3..=5 => withdraw(world),
        6..=7 => leave(world),
        8..=9 => reenter_harmlessly(world),
        10..=11 => split(world),
        12..=13 => pay_out(world),
        14..=15 => batch(world),
        16 => batch_in_constructor(world),
        17..=18 => probe(world),
        19..=20 => act_on_receipt(world),
        _ => govern(world),
    }
}

fn deposit(world: &mut World) -> Result<(), RangeError> {
    let from = if world.random.chance(0.7) { world.user() } else { world.stranger() };
    let value = amount(world, from)?;
    let to = Some(world.vault);
    world.play(
        "deposit",
        false,
        Draft { from, to, value, input: Vault::depositCall {}.abi_encode() },
    )
}

/// A part of a deposit, from dust to nearly all.
fn withdraw(world: &mut World) -> Result<(), RangeError> {
    let from = world.user();
    let part = world.random.log_uniform(1e-4, 0.95);
    let amount = part_of(world.claim_wei(from)?, part);
    let input = Vault::withdrawCall { amount }.abi_encode();
    let to = Some(world.vault);
    world.play("withdraw", false, Draft { from, to, value: U256::ZERO, input })
}

/// A whole deposit; the largest user's may be most of what the vault holds.
fn leave(world: &mut World) -> Result<(), RangeError> {
    let from = world.user();
    let input = Vault::withdrawAllCall {}.abi_encode();
    let to = Some(world.vault);
    world.play("leave", false, Draft { from, to, value: U256::ZERO, input })
}

/// Deposits again from inside of a withdrawal, sometimes behind another contract.
fn reenter_harmlessly(world: &mut World) -> Result<(), RangeError> {
    let from = world.stranger();
    let value = amount(world, from)?;
    let withdrawn = part_of(value, world.random.log_uniform(0.05, 1.0));
    let input =
        HarmlessReenter::roundTripCall { vault: world.vault, amount: withdrawn }.abi_encode();
    through_contract(
        world,
        "harmless-reentry",
        from,
        artifacts::HARMLESS_REENTER.creation(&[]),
        value,
        input,
    )
}

/// Withdraws its own deposit in parts, each from inside of the one before.
fn split(world: &mut World) -> Result<(), RangeError> {
    let from = world.stranger();
    let value = amount(world, from)?;
    let parts = U256::from(world.random.log_uniform(1.0, 41.0) as u64);
    let input = Splitter::splitCall { vault: world.vault, parts }.abi_encode();
    through_contract(
        world,
        "split-withdrawal",
        from,
        artifacts::SPLITTER.creation(&[]),
        value,
        input,
    )
}

/// Deploys a contract and calls it: by its owner, behind a front with other calls, or all in a constructor.
fn through_contract(
    world: &mut World,
    family: &str,
    from: Address,
    code: Vec<u8>,
    value: U256,
    input: Vec<u8>,
) -> Result<(), RangeError> {
    let first = world.next_contract(from)?;
    let mut script = Script::default();
    script.create(code.clone(), U256::ZERO);
    match world.random.below(3) {
        0 => {
            world.set_up(Draft { from, to: None, value: U256::ZERO, input: code })?;
            world.play(family, false, Draft { from, to: Some(first), value, input })
        }
        1 => {
            let mut later = Script::default();
            pad(world, &mut later);
            later.call(first.create(1), value, input);
            pad(world, &mut later);
            world.set_up(Draft {
                from,
                to: None,
                value: U256::ZERO,
                input: script.deploying(&later, &Script::default()),
            })?;
            world.play(family, false, Draft { from, to: Some(first), value, input: vec![1] })
        }
        _ => {
            if world.random.chance(0.5) {
                pad(world, &mut script);
            }
            script.call(first.create(1), value, input);
            world.play(family, false, Draft { from, to: None, value, input: script.constructor() })
        }
    }
}

/// A fresh contract that deposits at birth and later shares everything out, sometimes behind another contract.
fn pay_out(world: &mut World) -> Result<(), RangeError> {
    let from = world.stranger();
    let value = amount(world, from)?;
    let n_recipients = 1 + world.random.below(6);
    let recipients = (0..n_recipients).map(|_| world.user()).collect();
    let share = Payout::shareCall { recipients }.abi_encode();
    let code = artifacts::PAYOUT.creation(&world.vault.abi_encode());
    let first = world.next_contract(from)?;
    if world.random.chance(0.5) {
        world.play("payout/deploy", false, Draft { from, to: None, value, input: code })?;
        return world.play(
            "payout/share",
            false,
            Draft { from, to: Some(first), value: U256::ZERO, input: share },
        );
    }
    let mut deployment = Script::default();
    deployment.create(code, value);
    let mut later = Script::default();
    pad(world, &mut later);
    later.call(first.create(1), U256::ZERO, share);
    let input = deployment.deploying(&later, &Script::default());
    world.play("payout/deploy", false, Draft { from, to: None, value, input })?;
    world.play(
        "payout/behind-front",
        false,
        Draft { from, to: Some(first), value: U256::ZERO, input: vec![1] },
    )
}

/// A contract that does something harmless while it is being paid out: looks up its balance, or deposits a part
/// again. On the flawed vault both read what is written after them, as an attack does.
fn act_on_receipt(world: &mut World) -> Result<(), RangeError> {
    let from = world.stranger();
    let value = amount(world, from)?;
    let first = world.next_contract(from)?;
    let is_behind_front = world.random.chance(0.5);
    let contract = if is_behind_front { first.create(1) } else { first };

    let mut on_ether = Script::default();
    let redeposits = world.random.chance(0.5);
    if redeposits {
        let part = part_of(value, world.random.log_uniform(0.001, 0.9));
        on_ether.call(world.vault, part, Vault::depositCall {}.abi_encode());
    }
    for _ in 0..1 + world.random.below(3) {
        on_ether.read(world.vault, Vault::balancesCall { account: contract }.abi_encode());
    }
    let mut deposit = Script::default();
    deposit.call(world.vault, value, Vault::depositCall {}.abi_encode());
    let mut withdraw = Script::default();
    withdraw.call(world.vault, U256::ZERO, Vault::withdrawAllCall {}.abi_encode());
    let mut code = deposit.deploying(&withdraw, &on_ether);
    if is_behind_front {
        let mut deployment = Script::default();
        deployment.create(code, value);
        let mut later = Script::default();
        pad(world, &mut later);
        later.call(contract, U256::ZERO, vec![1]);
        code = deployment.deploying(&later, &Script::default());
    }
    world.play("receipt/deploy", false, Draft { from, to: None, value, input: code })?;
    let family = if redeposits { "receipt/redeposit" } else { "receipt/look-up" };
    world.play(family, false, Draft { from, to: Some(first), value: U256::ZERO, input: vec![1] })
}

/// Deposits and withdrawals in turn from one contract, the withdrawals never more than its own.
fn batch(world: &mut World) -> Result<(), RangeError> {
    let from = world.stranger();
    let value = amount(world, from)?;
    let first = world.next_contract(from)?;
    let script = turns(world, value);
    let code = Script::default().deploying(&script, &Script::default());
    world.set_up(Draft { from, to: None, value: U256::ZERO, input: code })?;
    world.play("batch", false, Draft { from, to: Some(first), value, input: vec![1] })
}

fn batch_in_constructor(world: &mut World) -> Result<(), RangeError> {
    let from = world.stranger();
    let value = amount(world, from)?;
    let script = turns(world, value);
    world.play(
        "batch/constructor",
        false,
        Draft { from, to: None, value, input: script.constructor() },
    )
}

fn turns(world: &mut World, value: U256) -> Script {
    let mut script = Script::default();
    if world.random.chance(0.5) {
        pad(world, &mut script);
    }
    let n_turns = world.random.log_uniform(1.0, 20.0) as u64;
    let part = value / U256::from(n_turns);
    for _ in 0..n_turns {
        script.call(world.vault, part, Vault::depositCall {}.abi_encode());
        let input = if world.random.chance(0.5) {
            Vault::withdrawCall { amount: part }.abi_encode()
        } else {
            Vault::withdrawAllCall {}.abi_encode()
        };
        script.call(world.vault, U256::ZERO, input);
    }
    script
}

/// Asks for what it cannot have.
fn probe(world: &mut World) -> Result<(), RangeError> {
    let from = world.stranger();
    let input = match world.random.below(4) {
        0 => Vault::withdrawCall { amount: wei(world.tvl_ether) }.abi_encode(),
        1 => Vault::withdrawAllCall {}.abi_encode(),
        2 => Vault::pauseCall {}.abi_encode(),
        _ => world.random.bits().to_be_bytes()[..4].to_vec(),
    };
    let to = Some(world.vault);
    world.play("probe", false, Draft { from, to, value: U256::ZERO, input })
}

/// The admin takes the pauser's role, pauses, somebody is turned away, and the vault goes on.
fn govern(world: &mut World) -> Result<(), RangeError> {
    let (from, to) = (world.admin, Some(world.vault));
    let role = keccak256("PAUSER_ROLE");
    let grant = Vault::grantRoleCall { role, account: from }.abi_encode();
    for input in [grant, Vault::pauseCall {}.abi_encode()] {
        world.play("govern", false, Draft { from, to, value: U256::ZERO, input })?;
    }
    withdraw(world)?;
    let input = Unpausable::unpauseCall {}.abi_encode();
    world.play("govern", false, Draft { from, to, value: U256::ZERO, input })
}

/// What an account brings along: from a thousandth of what the vault holds to a large part of its purse.
fn amount(world: &mut World, account: Address) -> Result<U256, RangeError> {
    let purse = world.purse_ether(account)?;
    Ok(wei((world.tvl_ether * world.random.log_uniform(0.0005, 0.6)).min(purse * 0.8)))
}

/// A part of an amount, in millionths.
fn part_of(amount: U256, part: f64) -> U256 {
    amount / U256::from(1_000_000) * U256::from((part * 1e6) as u64)
}
