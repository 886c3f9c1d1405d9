//! How a list of calls reaches the chain: from a contract deployed before, padded, in a constructor, on a loan.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;

use super::super::RangeError;
use super::super::script::Script;
use super::super::world::{Draft, World};
use super::market::{Coin, Market, approve, then, transfer};

alloy::sol! {
    interface FlashLender { function flash(address token, uint256 amount) external; }
}

/// What is to be delivered.
#[derive(Debug, Clone)]
pub(super) struct Plan<'a> {
    pub(super) family: &'a str,
    pub(super) intent: bool,
    pub(super) from: Address,
    /// Tokens that the sender lends its contract.
    pub(super) own: Vec<(Address, U256)>,
    /// Token and amount of a flash loan.
    pub(super) loan: Option<(Address, U256)>,
    /// Transactions that come out as `family/direct`, `/padded` or `/constructor` where true.
    pub(super) names_way: bool,
    /// By how much the protocol's worth may fall, for it was decided.
    pub(super) permitted_fall: f64,
}

impl<'a> Plan<'a> {
    pub(super) fn attack(family: &'a str, from: Address) -> Self {
        Self {
            family,
            intent: true,
            from,
            own: Vec::new(),
            loan: None,
            names_way: true,
            permitted_fall: 0.0,
        }
    }

    pub(super) fn benign(family: &'a str, from: Address) -> Self {
        Self { intent: false, names_way: false, ..Self::attack(family, from) }
    }
}

/// Plays `main`, which is given the address that will make its calls, in one of the ways.
pub(super) fn deliver(
    world: &mut World,
    market: &Market,
    plan: &Plan<'_>,
    main: impl FnOnce(&mut World, Address) -> Result<Script, RangeError>,
) -> Result<(), RangeError> {
    let way = world.random.below(3);
    // Approvals come before the contract, which is made of the nonce behind them.
    let first = plan.from.create(world.nonce(plan.from)? + plan.own.len() as u64);
    for &(token, amount) in &plan.own {
        world.call(plan.from, token, approve(first, amount))?;
    }
    let is_nested = way == 2 && plan.loan.is_some();
    let executor = if is_nested { first.create(1) } else { first };
    world.join(executor);
    let main = main(world, executor)?;

    let mut fetch = Script::default();
    for &(token, amount) in &plan.own {
        let input = Coin::transferFromCall { from: plan.from, to: executor, amount }.abi_encode();
        then(&mut fetch, token, input);
    }
    let (mut start, mut on_loan) = (Script::default(), Script::default());
    if way == 1 {
        pad(world, &mut start);
    }
    match plan.loan {
        None => start.extend(&main),
        Some((token, amount)) => {
            on_loan.extend(&main);
            then(&mut on_loan, token, transfer(market.lender, amount));
            then(&mut start, market.lender, FlashLender::flashCall { token, amount }.abi_encode());
        }
    }
    if way == 1 {
        pad(world, &mut start);
    }
    let family = if plan.names_way {
        format!("{}/{}", plan.family, ["direct", "padded", "constructor"][way])
    } else {
        plan.family.to_owned()
    };
    let draft = |to, input| Draft { from: plan.from, to, value: U256::ZERO, input };
    if way == 2 {
        let mut script = Script::default();
        if plan.loan.is_some() {
            script.create(Script::default().deploying(&start, &on_loan), U256::ZERO);
            script.extend(&fetch);
            script.call(executor, U256::ZERO, vec![1]);
        } else {
            script.extend(&fetch);
            script.extend(&start);
        }
        world.permit(plan.permitted_fall);
        return world.play(&family, plan.intent, draft(None, script.constructor()));
    }
    let mut later = fetch;
    later.extend(&start);
    world.set_up(draft(None, Script::default().deploying(&later, &on_loan)))?;
    world.permit(plan.permitted_fall);
    world.play(&family, plan.intent, draft(Some(first), vec![1]))
}

/// Harmless calls that lengthen the call tree and thin out what is odd in it.
fn pad(world: &mut World, script: &mut Script) {
    let n_calls = (world.random.log_uniform(1.0, 60.0) * world.padding) as usize;
    for _ in 0..n_calls {
        let account = world.user();
        let to = if world.random.chance(0.3) { world.vault } else { account };
        script.read(to, world.random.bits().to_be_bytes().to_vec());
    }
}
