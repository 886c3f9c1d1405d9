//! Hand-built markets in, features of capital, prices, books and rights out.
#![expect(clippy::arithmetic_side_effects, reason = "the numbers of tests are small")]

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use portcullis_models::schema::{Vector, transaction as place};
use portcullis_rules::Value;

use crate::simulate::execution::{Execution, FrameKind, LogRecord};

use super::{
    Protected, dictionary, observe,
    staging::{Stage, account},
};

const SENDER: u8 = 1;
const ACTOR: u8 = 2;
const VAULT: u8 = 3;
const LENDER: u8 = 4;
const POOL: u8 = 5;
const GOLD: u8 = 6;
const SILVER: u8 = 7;
const VICTIM: u8 = 8;
const BALANCES: u64 = 1;

/// A fact of an execution, as rules read it.
fn fact(execution: &Execution, name: &str) -> Value {
    let protected = Protected::new([("vault".to_owned(), vec![account(VAULT)])]);
    let position = dictionary().position(name).expect("it is in the dictionary");
    observe(execution, &protected).facts.value(position).clone()
}

fn uint(number: u64) -> Value {
    Value::Uint(U256::from(number))
}

fn seen(execution: &Execution) -> Vector {
    let protected = Protected::new([("vault".to_owned(), vec![account(VAULT)])]);
    observe(execution, &protected).vector
}

/// Token transfers with the balances behind them, as a real token makes them.
struct Chain {
    stage: Stage,
    balances: std::collections::BTreeMap<(u8, u8), u64>,
}

impl Chain {
    fn new(balances: &[((u8, u8), u64)]) -> Self {
        let stage = Stage::new(account(SENDER), account(ACTOR), 0);
        Self { stage, balances: balances.iter().copied().collect() }
    }

    /// Moves a token from the account that runs, or in its name.
    fn pay(&mut self, token: u8, from: u8, to: u8, amount: u64) -> &mut Self {
        self.stage.call(account(token), 0);
        for (holder, is_payer) in [(from, true), (to, false)] {
            let slot = self.stage.derive(account(holder), BALANCES);
            let held = self.balances.entry((token, holder)).or_default();
            let after = if is_payer { *held - amount } else { *held + amount };
            self.stage.write(slot, *held, after);
            *held = after;
        }
        self.stage.transfer(account(from), account(to), amount).leave(true);
        self
    }

    fn enter(&mut self, to: u8) -> &mut Self {
        self.stage.call(account(to), 0);
        self
    }

    fn leave(&mut self) -> &mut Self {
        self.stage.leave(true);
        self
    }

    /// Asks as a view.
    fn look(&mut self, at: u8) -> &mut Self {
        self.stage.enter(FrameKind::StaticCall, account(at), account(at), 0).leave(true);
        self
    }

    fn finish(self) -> Execution {
        self.stage.finish(&[])
    }
}

/// Gives the frame that matches calldata: a callback is asked something.
fn asked(mut execution: Execution, caller: u8, callee: u8) -> Execution {
    for frame in &mut execution.frames {
        if frame.caller == account(caller) && frame.acts_on == account(callee) {
            frame.input = Bytes::from_static(&[1, 2, 3, 4]);
        }
    }
    execution
}

/// A loan of gold, repaid with so much, and touched by it the vault.
fn loan(repaid: u64) -> Execution {
    let mut chain =
        Chain::new(&[((GOLD, LENDER), 1_000), ((GOLD, ACTOR), 50), ((GOLD, VAULT), 100)]);
    chain.enter(LENDER).pay(GOLD, LENDER, ACTOR, 400).enter(ACTOR);
    chain.enter(VAULT).pay(GOLD, ACTOR, VAULT, 200).leave();
    chain.enter(VAULT).pay(GOLD, VAULT, ACTOR, 200).leave();
    chain.pay(GOLD, ACTOR, LENDER, repaid).leave().leave();
    asked(chain.finish(), LENDER, ACTOR)
}

#[test]
fn a_loan_is_found_by_what_it_does() {
    let vector = seen(&loan(404));
    assert_eq!(vector.value(place::FLASH_SOURCES), Some(1.0));
    assert_eq!(vector.value(place::FLASH_NEST), Some(1.0));
    assert_eq!(vector.value(place::FLASH_FEE_BPS), Some(100.0));
    assert_eq!(vector.value(place::FLASH_OVER_TVL), Some(4_f32.ln_1p()));
    assert_eq!(vector.value(place::OWN_CAPITAL), Some(0.0));
    assert!(vector.value(place::LOAN_SPAN).is_some_and(|span| span > 0.5));
    assert_eq!(vector.value(place::ROUND_TRIP), Some(1.0), "the vault's, not the lender's");
}

#[test]
fn what_is_not_repaid_was_not_lent() {
    let vector = seen(&loan(399));
    assert_eq!(vector.value(place::FLASH_SOURCES), Some(0.0));
    assert_eq!(vector.value(place::OWN_CAPITAL), Some(1.0));
}

/// Gold is sold to a pool, the vault pays silver after a look at the pool, and the gold is bought back.
fn manipulation(sold: u64, looks: bool) -> Execution {
    let mut chain = Chain::new(&[
        ((GOLD, POOL), 1_000),
        ((SILVER, POOL), 1_000),
        ((GOLD, ACTOR), 5_000),
        ((SILVER, VAULT), 800),
        ((GOLD, VAULT), 10),
    ]);
    let bought = 1_000 - 1_000_000 / (1_000 + sold) - 1;
    chain.enter(POOL).pay(GOLD, ACTOR, POOL, sold).pay(SILVER, POOL, ACTOR, bought).leave();
    // Whoever takes and gives in one visit would be a pool itself.
    chain.enter(VAULT).pay(GOLD, ACTOR, VAULT, 10).leave();
    chain.enter(VAULT);
    if looks {
        chain.look(POOL);
    }
    chain.pay(SILVER, VAULT, ACTOR, 60).leave();
    chain.enter(POOL).pay(SILVER, ACTOR, POOL, bought).pay(GOLD, POOL, ACTOR, sold).leave();
    chain.finish()
}

#[test]
fn a_price_that_goes_and_comes_back_is_seen_where_the_vault_looks() {
    let vector = seen(&manipulation(1_000, true));
    assert_eq!(vector.value(place::READ_WHEN_DISPLACED), Some(1.0));
    assert!(
        vector.value(place::SPOT_EXCURSION_BPS).is_some_and(|bps| bps > 25_000.0),
        "{vector:?}"
    );
    assert_eq!(vector.value(place::SPOT_RESIDUAL_BPS), Some(0.0));
    // Sixty silver for ten gold, where a gold was worth one silver.
    assert_eq!(vector.value(place::COLLATERAL_GAIN), Some(6.0));

    let vector = seen(&manipulation(1_000, false));
    assert_eq!(vector.value(place::READ_WHEN_DISPLACED), Some(0.0));
    assert_eq!(vector.value(place::SPOT_EXCURSION_BPS), Some(0.0), "nobody protected asks it");
    let vector = seen(&manipulation(4, true));
    assert_eq!(vector.value(place::READ_WHEN_DISPLACED), Some(0.0), "less than one percent");
}

/// Shares are burnt for assets: the entry of the holder and the total fall together.
fn redemption(shares: u64, assets: u64) -> Execution {
    let mut chain = Chain::new(&[((GOLD, VAULT), 1_000), ((GOLD, ACTOR), 0)]);
    chain.enter(VAULT);
    let slot = chain.stage.derive(account(ACTOR), 4);
    let total = U256::from(2);
    chain.stage.write(slot, 100, 100 - shares).write(total, 500, 500 - shares);
    chain.pay(GOLD, VAULT, ACTOR, assets).leave();
    chain.finish()
}

#[test]
fn a_fair_redemption_leaves_the_rate_and_an_unfair_one_lowers_it() {
    let vector = seen(&redemption(50, 100));
    let residual = vector.value(place::RATE_RESIDUAL_BPS).unwrap_or(f32::NAN);
    assert!(residual.abs() < 1e-3, "{residual}");
    assert_eq!(vector.value(place::SOFT_INVARIANTS), Some(0.0));
    let vector = seen(&redemption(50, 190));
    assert_eq!(vector.value(place::RATE_RESIDUAL_BPS), Some(-1_000.0));
    assert_eq!(vector.value(place::SOFT_INVARIANTS), Some(1.0));
    let gap = vector.value(place::SHARE_ASSET_GAP_BPS).unwrap_or(f32::NAN);
    assert!((gap - 900.0).abs() < 1.0, "{gap}");
}

#[test]
fn a_withdrawal_is_booked_and_a_gift_is_not() {
    let take = |booked: u64| {
        let mut chain = Chain::new(&[((GOLD, VAULT), 1_000)]);
        chain.enter(VAULT);
        let slot = chain.stage.derive(account(ACTOR), 4);
        if booked > 0 {
            chain.stage.write(slot, 300, 300 - booked);
        }
        chain.pay(GOLD, VAULT, ACTOR, 200).leave();
        seen(&chain.finish())
    };
    assert_eq!(take(200).value(place::SOLVENCY_DELTA_BPS), Some(0.0));
    assert_eq!(take(200).value(place::OUTFLOW_OVER_CLAIM), Some(1.0));
    assert_eq!(take(0).value(place::SOLVENCY_DELTA_BPS), Some(-2_000.0));
    assert_eq!(take(0).value(place::OUTFLOW_OVER_CLAIM), Some(100.0));
    assert_eq!(take(7).value(place::SOLVENCY_DELTA_BPS), None, "books in another unit");
}

/// The owner's slot changes hands; whole words are set where the stage wrote stand-ins.
fn new_owner(old: u8, checks: bool) -> Execution {
    let mut chain = Chain::new(&[]);
    chain.enter(VAULT);
    if checks {
        chain.stage.read(U256::ZERO, 1);
    }
    chain.stage.write(U256::ZERO, 1, 2);
    chain.leave();
    let mut execution = chain.finish();
    for access in &mut execution.accesses {
        access.before = U256::from_be_slice(account(old).as_slice());
        access.after = access.after.map(|_| U256::from_be_slice(account(ACTOR).as_slice()));
    }
    execution
}

#[test]
fn a_right_that_is_handed_over_is_told_from_one_that_is_seized() {
    let signs = |execution| seen(&execution).value(place::SOFT_INVARIANTS);
    let stolen = seen(&new_owner(VICTIM, true));
    assert_eq!(stolen.value(place::PRIV_WRITES), Some(1.0));
    assert_eq!(stolen.value(place::IMPL_CHANGE), Some(1.0));
    assert_eq!(signs(new_owner(VICTIM, true)), Some(1.0));
    // The old owner is the sender of the transaction: it may.
    assert_eq!(signs(new_owner(SENDER, true)), Some(0.0));
    assert_eq!(seen(&new_owner(SENDER, true)).value(place::PRIV_WRITES), Some(1.0));
}

#[test]
fn whoever_pays_through_the_vault_and_gets_nothing_is_robbed_however_often_it_is_called() {
    let rob = |pads: bool| {
        let mut chain = Chain::new(&[((GOLD, VICTIM), 900)]);
        if pads {
            chain.look(VICTIM);
            chain.enter(VICTIM).leave();
        }
        chain.enter(VAULT).pay(GOLD, VICTIM, ACTOR, 900).leave();
        let mut execution = chain.finish();
        // An account without code uses no gas.
        for frame in execution.frames.iter_mut().filter(|frame| frame.acts_on == account(VICTIM)) {
            frame.gas_used = 0;
        }
        seen(&execution)
    };
    for pads in [false, true] {
        assert_eq!(rob(pads).value(place::THIRD_PARTY_DEBITS), Some(1.0), "{pads}");
        assert_eq!(rob(pads).value(place::SOFT_INVARIANTS), Some(1.0), "{pads}");
    }
}

fn approval(owner: u8, spender: Address, amount: u64) -> Execution {
    let mut chain = Chain::new(&[]);
    chain.enter(VAULT).leave();
    let mut execution = chain.finish();
    execution.logs.push(LogRecord {
        frame: 0,
        order: u32::MAX,
        address: account(GOLD),
        topics: vec![
            keccak256("Approval(address,address,uint256)"),
            account(owner).into_word(),
            spender.into_word(),
        ],
        data: B256::from(U256::from(amount)).to_vec().into(),
        kept: true,
    });
    execution
}

#[test]
fn strangers_that_may_spend_are_counted_by_whose_tokens_they_may_spend() {
    let allowed = |owner, spender, amount| {
        seen(&approval(owner, spender, amount)).value(place::NEW_ALLOWANCE)
    };
    assert_eq!(allowed(VAULT, account(ACTOR), 5), Some(2.0));
    assert_eq!(allowed(VICTIM, account(ACTOR), 5), Some(1.0));
    assert_eq!(allowed(VAULT, account(ACTOR), 0), Some(0.0), "a withdrawal of an allowance");
    assert_eq!(allowed(VICTIM, account(VAULT), 5), Some(0.0), "the protocol is no stranger");
    assert_eq!(allowed(ACTOR, account(VICTIM), 5), Some(0.0), "the actor's own");
}

#[test]
fn what_is_decided_and_paid_in_two_visits_of_one_transaction_is_fast() {
    let decide = |same_amount: bool| {
        let mut chain = Chain::new(&[((GOLD, VAULT), 1_000_000)]);
        let amount = 100_000;
        let slot = U256::from(9);
        chain.enter(VAULT);
        chain.stage.write(slot, 0, if same_amount { amount } else { amount + 1 });
        chain.leave().enter(VAULT);
        chain.stage.read(slot, if same_amount { amount } else { amount + 1 });
        chain.pay(GOLD, VAULT, ACTOR, amount).leave();
        seen(&chain.finish()).value(place::FAST_GOVERNANCE)
    };
    assert_eq!(decide(true), Some(1.0));
    assert_eq!(decide(false), Some(0.0));
}

/// Shares bought once and sold back in two visits, the vault having lent out most of what it took.
fn round_trip(paid_back: [u64; 2], burnt: [u64; 2], notes_debt: bool) -> Execution {
    let mut chain = Chain::new(&[((GOLD, VAULT), 150), ((GOLD, ACTOR), 100)]);
    let total = U256::from(2);
    chain.enter(VAULT);
    let slot = chain.stage.derive(account(ACTOR), 4);
    chain.stage.write(slot, 0, 50).write(total, 500, 550);
    chain.pay(GOLD, ACTOR, VAULT, 100).leave();
    let (mut shares, mut supply) = (50, 550);
    for (assets, burnt) in paid_back.into_iter().zip(burnt) {
        chain.enter(VAULT);
        if burnt > 0 {
            let slot = chain.stage.derive(account(ACTOR), 4);
            chain.stage.write(slot, shares, shares - burnt).write(total, supply, supply - burnt);
            (shares, supply) = (shares - burnt, supply - burnt);
        }
        if notes_debt {
            let slot = chain.stage.derive(account(ACTOR), 7);
            chain.stage.write(slot, 0, assets);
        }
        chain.pay(GOLD, VAULT, ACTOR, assets).leave();
    }
    chain.finish()
}

#[test]
fn shares_sold_back_are_held_against_what_they_cost_and_not_against_what_is_left() {
    let gain = |execution: &Execution| fact(execution, "share_gain_ppb");
    let fair = round_trip([40, 60], [20, 30], false);
    assert_eq!(gain(&fair), uint(0));
    assert_eq!(seen(&fair).value(place::HARM_SIGNS), Some(0.0));
    // One for each was paid above what it cost: 102 for 50, bought for 100.
    assert_eq!(gain(&round_trip([41, 61], [20, 30], false)), uint(20_000_000));
    // A withdrawal so small that no share was burnt, beside a fair one.
    let rounded = round_trip([40, 2], [20, 0], false);
    assert_eq!(gain(&rounded), uint(50_000_000));
    assert_eq!(seen(&rounded).value(place::HARM_SIGNS), Some(1.0));
    // Paid for no share, and noted as a debt.
    assert_eq!(gain(&round_trip([40, 30], [20, 0], true)), uint(0));
}

#[test]
fn whoever_came_into_the_books_just_now_has_earned_nothing() {
    let reward = |is_one_visit: bool, stays: u64| {
        let mut chain =
            Chain::new(&[((SILVER, VAULT), 1_000), ((GOLD, ACTOR), 50), ((GOLD, VAULT), 10)]);
        chain.enter(VAULT);
        let slot = chain.stage.derive(account(VICTIM), 4);
        chain.stage.write(slot, 0, 50);
        chain.pay(GOLD, ACTOR, VAULT, 50);
        if !is_one_visit {
            chain.leave().enter(VAULT);
        }
        chain.pay(SILVER, VAULT, VICTIM, 30).leave();
        chain.enter(VAULT).pay(GOLD, VAULT, ACTOR, 50 - stays).leave();
        fact(&chain.finish(), "newcomers_paid")
    };
    assert_eq!(reward(false, 0), uint(1));
    assert_eq!(reward(true, 0), uint(0), "claimed in one call, as an airdrop is");
    assert_eq!(reward(false, 20), uint(0), "borrowed against what stays");
}

#[test]
fn whoever_pays_and_is_written_down_is_not_robbed() {
    let collect = |is_noted: bool| {
        let mut chain = Chain::new(&[((GOLD, VICTIM), 900)]);
        chain.enter(VAULT);
        if is_noted {
            let slot = chain.stage.derive(account(VICTIM), 4);
            chain.stage.write(slot, 1, 2);
        }
        chain.pay(GOLD, VICTIM, ACTOR, 900).leave();
        fact(&chain.finish(), "robbed_accounts")
    };
    assert_eq!(collect(false), uint(1));
    assert_eq!(collect(true), uint(0));
}

#[test]
fn a_signature_of_nobody_counts_unless_the_signers_contract_vouches_for_it() {
    let check = |vouches: bool| {
        let mut chain = Chain::new(&[]);
        chain.enter(VAULT);
        let recover = Address::with_last_byte(1);
        chain.stage.enter(FrameKind::StaticCall, recover, recover, 0).leave(true);
        chain.look(VICTIM).leave();
        let mut execution = chain.finish();
        let asked = execution.frames.last_mut().expect("the last one entered");
        asked.input = Bytes::from_static(&[0x16, 0x26, 0xba, 0x7e]);
        let answer = if vouches { asked.input.clone() } else { Bytes::from_static(&[0; 4]) };
        asked.output = answer;
        fact(&execution, "failed_signature_checks")
    };
    assert_eq!(check(false), uint(1));
    assert_eq!(check(true), uint(0));
}

#[test]
fn outcomes_of_an_execution_that_was_cut_short_are_unknown_and_elsewhere_they_are_nothing() {
    let mut cut = round_trip([41, 61], [20, 30], false);
    cut.truncated = true;
    let elsewhere = Chain::new(&[]).finish();
    for name in ["share_gain_ppb", "robbed_accounts", "rights_seized", "price_off_when_read_bps"] {
        assert_eq!(fact(&cut, name), Value::Unknown, "{name}");
        assert_eq!(fact(&elsewhere, name), uint(0), "{name}");
    }
}
