//! Hand-built executions in, facts and features out.

use alloy::primitives::{Address, U256, keccak256};
use portcullis_models::schema::transaction as place;
use portcullis_rules::Value;

use crate::simulate::execution::{Execution, FrameKind};

use super::{
    Losses, Observation, Protected, dictionary, observe,
    staging::{Stage, account},
};

const SENDER: u8 = 1;
const ATTACKER: u8 = 2;
const VAULT: u8 = 3;
const LOGIC: u8 = 4;
const TOKEN: u8 = 5;
const SISTER: u8 = 6;
const BALANCES: u64 = 0;

fn protected() -> Protected {
    Protected::new([("vault".to_owned(), vec![account(VAULT), account(SISTER)])])
}

fn see(execution: &Execution) -> Observation {
    observe(execution, &protected())
}

#[track_caller]
fn check(execution: &Execution, expected: &[(&str, Option<u64>)]) {
    let seen = see(execution);
    for (name, value) in expected {
        let position = dictionary().position(name).unwrap_or_else(|| panic!("no fact `{name}`"));
        let found = seen.facts.value(position);
        let wanted = value.map_or(Value::Unknown, |value| match found {
            Value::Bool(_) => Value::Bool(value == 1),
            _ => Value::Uint(U256::from(value)),
        });
        assert_eq!(*found, wanted, "{name}");
    }
}

/// One withdrawal as the vulnerable vault does it: read, pay, then write.
fn withdraw_late(
    stage: &mut Stage,
    receiver: Address,
    balance: u64,
    inside: impl FnOnce(&mut Stage),
) {
    stage.call(account(VAULT), 0);
    let slot = stage.derive(receiver, BALANCES);
    stage.read(slot, balance).call(receiver, balance);
    inside(stage);
    stage.leave(true).write(slot, 0, 0).leave(true);
}

fn attack() -> Execution {
    let mut stage = Stage::new(account(SENDER), account(ATTACKER), 0);
    withdraw_late(&mut stage, account(ATTACKER), 10, |stage| {
        withdraw_late(stage, account(ATTACKER), 10, |stage| {
            stage.call(account(VAULT), 0);
            let slot = stage.derive(account(ATTACKER), BALANCES);
            stage
                .read(slot, 10)
                .call(account(ATTACKER), 10)
                .leave(true)
                .write(slot, 10, 0)
                .leave(true);
        });
    });
    stage.finish(&[(account(VAULT), 100)])
}

#[test]
fn classic_reentrancy_is_seen_for_what_it_is() {
    check(
        &attack(),
        &[
            ("touches_protected", Some(1)),
            ("protected_calls", Some(3)),
            ("reentry_depth", Some(3)),
            ("reentered_writes", Some(1)),
            ("overwritten_after_reentry", Some(1)),
            ("readonly_reentry", Some(0)),
            ("outflow_wei", Some(30)),
            ("outflow_bps", Some(3_000)),
            ("claim_decrease_wei", Some(10)),
            ("unbacked_outflow_wei", Some(20)),
            ("tx_succeeded", Some(1)),
            ("sender_nonce", Some(7)),
            ("depth", Some(7)),
        ],
    );
    let vector = see(&attack()).vector;
    assert_eq!(vector.value(place::REENTRY_DEPTH), Some(2.0));
    assert_eq!(vector.value(place::OUTFLOW_FRAC), Some(0.3));
    assert_eq!(vector.value(place::OUTFLOW_OVER_CLAIM), Some(3.0));
    assert_eq!(vector.value(place::HOOKS), Some(3.0));
    assert_eq!(vector.value(place::FLASH_SOURCES), Some(0.0), "bare ether is paid, not lent");
    assert_eq!(vector.value(place::SOFT_INVARIANTS), Some(3.0), "unbacked, lost, insolvent");
    assert_eq!(vector.value(place::ROOT_AGE_LOG), None, "one execution does not know ages");
}

#[test]
fn an_old_contract_between_actor_and_vault_hides_no_claim() {
    let mut stage = Stage::new(account(SENDER), account(LOGIC), 0);
    stage.call(account(ATTACKER), 0);
    withdraw_late(&mut stage, account(ATTACKER), 10, |stage| {
        stage.call(account(VAULT), 0);
        let slot = stage.derive(account(ATTACKER), BALANCES);
        stage.read(slot, 10).call(account(ATTACKER), 10).leave(true).write(slot, 10, 0).leave(true);
    });
    check(
        &stage.finish(&[(account(VAULT), 100)]),
        &[("claim_decrease_wei", Some(10)), ("unbacked_outflow_wei", Some(10))],
    );
}

#[test]
fn a_claim_that_somebody_else_loses_backs_nothing() {
    let mut stage = Stage::new(account(SENDER), account(VAULT), 0);
    let (victim, own) =
        (stage.derive(account(SISTER + 1), BALANCES), stage.derive(account(SENDER), BALANCES));
    stage.write(victim, 30, 0).write(own, 0, 0).call(account(SENDER), 30);
    check(
        &stage.finish(&[(account(VAULT), 100)]),
        &[("claim_decrease_wei", Some(0)), ("unbacked_outflow_wei", Some(30))],
    );
}

#[test]
fn an_honest_withdrawal_of_the_same_size_is_backed() {
    let mut stage = Stage::new(account(SENDER), account(VAULT), 0);
    let slot = stage.derive(account(SENDER), BALANCES);
    stage.read(slot, 30).write(slot, 30, 0).call(account(SENDER), 30);
    let execution = stage.finish(&[(account(VAULT), 100)]);
    check(
        &execution,
        &[
            ("reentry_depth", Some(1)),
            ("outflow_wei", Some(30)),
            ("claim_decrease_wei", Some(30)),
            ("unbacked_outflow_wei", Some(0)),
            ("overwritten_after_reentry", Some(0)),
        ],
    );
}

#[test]
fn a_deposit_from_inside_of_a_withdrawal_is_harmless() {
    let mut stage = Stage::new(account(SENDER), account(ATTACKER), 0);
    stage.call(account(VAULT), 0);
    let slot = stage.derive(account(ATTACKER), BALANCES);
    stage.read(slot, 30).write(slot, 30, 0).call(account(ATTACKER), 30);
    stage.call(account(VAULT), 5).read(slot, 0).write(slot, 0, 5).leave(true);
    let execution = stage.finish(&[(account(VAULT), 100)]);
    check(
        &execution,
        &[
            ("reentry_depth", Some(2)),
            ("reentered_writes", Some(1)),
            ("overwritten_after_reentry", Some(0)),
            ("outflow_wei", Some(25)),
            ("claim_decrease_wei", Some(25)),
            ("unbacked_outflow_wei", Some(0)),
        ],
    );
}

#[test]
fn a_delegate_frame_acts_on_its_proxy() {
    let mut stage = Stage::new(account(SENDER), account(VAULT), 0);
    stage.enter(FrameKind::DelegateCall, account(VAULT), account(LOGIC), 0);
    let slot = stage.derive(account(SENDER), BALANCES);
    stage.write(slot, 30, 10).call(account(SENDER), 20);
    let execution = stage.finish(&[(account(VAULT), 40)]);
    check(
        &execution,
        &[
            ("reentry_depth", Some(1)),
            ("protected_calls", Some(1)),
            ("claim_decrease_wei", Some(20)),
            ("outflow_bps", Some(5_000)),
            ("unbacked_outflow_wei", Some(0)),
        ],
    );
}

#[test]
fn what_is_reverted_did_not_happen() {
    let mut stage = Stage::new(account(SENDER), account(ATTACKER), 0);
    stage.call(account(VAULT), 0);
    let slot = stage.derive(account(ATTACKER), BALANCES);
    stage.read(slot, 30).write(slot, 30, 0).call(account(ATTACKER), 30).leave(true).leave(false);
    let execution = stage.finish(&[(account(VAULT), 100)]);
    check(
        &execution,
        &[
            ("tx_succeeded", Some(1)),
            ("outflow_wei", Some(0)),
            ("claim_decrease_wei", None),
            ("unbacked_outflow_wei", Some(0)),
        ],
    );
}

#[test]
fn an_outflow_without_books_is_unknown_not_zero() {
    let mut stage = Stage::new(account(SENDER), account(VAULT), 0);
    stage.call(account(SENDER), 60);
    let execution = stage.finish(&[(account(VAULT), 100)]);
    check(
        &execution,
        &[("outflow_wei", Some(60)), ("claim_decrease_wei", None), ("unbacked_outflow_wei", None)],
    );
    assert_eq!(see(&execution).vector.value(place::OUTFLOW_OVER_CLAIM), None);
}

#[test]
fn a_view_inside_of_a_half_done_update_is_stale_and_one_after_it_is_not() {
    for (late, stale) in [(true, 1), (false, 0)] {
        let mut stage = Stage::new(account(SENDER), account(ATTACKER), 0);
        let total = U256::from(9);
        stage.call(account(VAULT), 0).read(total, 50);
        if !late {
            stage.write(total, 50, 40);
        }
        stage.call(account(ATTACKER), 10);
        stage
            .enter(FrameKind::StaticCall, account(VAULT), account(VAULT), 0)
            .read(total, 50)
            .leave(true)
            .leave(true);
        if late {
            stage.write(total, 50, 40);
        }
        let execution = stage.finish(&[(account(VAULT), 50)]);
        check(
            &execution,
            &[("readonly_reentry", Some(stale)), ("overwritten_after_reentry", Some(0))],
        );
    }
}

#[test]
fn what_moves_inside_of_a_protocol_has_not_left_it() {
    let mut stage = Stage::new(account(SENDER), account(VAULT), 0);
    stage.call(account(SISTER), 60);
    check(
        &stage.finish(&[(account(VAULT), 100)]),
        &[("outflow_wei", Some(0)), ("protected_calls", Some(2))],
    );
}

#[test]
fn a_token_balance_is_found_by_behaviour() {
    let mut stage = Stage::new(account(SENDER), account(VAULT), 0);
    stage.call(account(TOKEN), 0);
    // The allowance is keyed by the vault too; only the balance moves as the log says.
    let (balance, allowance) = (stage.derive(account(VAULT), 1), stage.derive(account(VAULT), 2));
    stage.write(allowance, 500, 499).write(balance, 80, 60).transfer(
        account(VAULT),
        account(SENDER),
        20,
    );
    check(&stage.finish(&[]), &[("token_outflow_max_bps", Some(2_500)), ("outflow_wei", Some(0))]);

    let mut stage = Stage::new(account(SENDER), account(TOKEN), 0);
    stage.transfer(account(VAULT), account(SENDER), 20);
    check(&stage.finish(&[]), &[("touches_protected", Some(1)), ("token_outflow_max_bps", None)]);
}

#[test]
fn a_forged_transfer_hides_nothing() {
    let forged = SISTER + 2;
    let stage = |takes: u64, forges: bool| {
        let mut stage = Stage::new(account(SENDER), account(VAULT), 0);
        if takes > 0 {
            stage.call(account(TOKEN), 0);
            let balance = stage.derive(account(VAULT), 1);
            stage
                .write(balance, 80, 80 - takes)
                .transfer(account(VAULT), account(SENDER), takes)
                .leave(true);
        }
        if forges {
            stage.call(account(forged), 0).transfer(account(VAULT), account(SENDER), 7).leave(true);
        }
        stage.finish(&[])
    };
    check(&stage(20, true), &[("token_outflow_max_bps", Some(2_500))]);
    check(&stage(0, true), &[("token_outflow_max_bps", None)]);
    check(&stage(0, false), &[("token_outflow_max_bps", Some(0))]);

    let losses = |takes, forges| see(&stage(takes, forges)).losses;
    let attack = losses(20, true);
    assert!(
        losses(0, true).spares_what_was_lost_in(&attack),
        "the decoy that still leaves saves no attacker"
    );
    assert!(losses(5, false).spares_what_was_lost_in(&attack));
    assert!(!attack.spares_what_was_lost_in(&attack));
    assert!(
        !losses(0, false).spares_what_was_lost_in(&losses(0, false)),
        "where nothing was lost nothing is spared"
    );
}

#[test]
fn a_loss_of_ether_that_goes_on_is_not_spared() {
    let lost =
        |ether: u64, rights| Losses { ether_wei: U256::from(ether), rights, ..Losses::default() };
    assert!(lost(0, 0).spares_what_was_lost_in(&lost(5, 0)));
    assert!(!lost(1, 0).spares_what_was_lost_in(&lost(5, 0)));
    assert!(lost(0, 0).spares_what_was_lost_in(&lost(0, 1)));
}

#[test]
fn proxy_slots_and_destruction_are_counted() {
    let implementation =
        U256::from_be_bytes(keccak256("eip1967.proxy.implementation").0) - U256::ONE;
    let admin = U256::from_be_bytes(keccak256("eip1967.proxy.admin").0) - U256::ONE;
    let beacon = U256::from_be_bytes(keccak256("eip1967.proxy.beacon").0) - U256::ONE;
    let mut stage = Stage::new(account(SENDER), account(VAULT), 0);
    stage
        .write(implementation, 1, 2)
        .write(admin, 1, 2)
        .write(beacon, 0, 1)
        .write(beacon, 1, 1)
        .destroy();
    let execution = stage.finish(&[]);
    check(&execution, &[("implementation_slot_writes", Some(3)), ("destroyed_protected", Some(1))]);
    assert_eq!(see(&execution).vector.value(place::IMPL_CHANGE), Some(1.0));
}

#[test]
fn what_touches_nothing_protected_is_known_to_be_harmless() {
    let mut stage = Stage::new(account(SENDER), account(ATTACKER), 5);
    stage.write(U256::ONE, 0, 1);
    let execution = stage.finish(&[]);
    check(
        &execution,
        &[
            ("touches_protected", Some(0)),
            ("reentry_depth", Some(0)),
            ("outflow_wei", Some(0)),
            ("unbacked_outflow_wei", Some(0)),
            ("frames", Some(1)),
        ],
    );
    let seen = see(&execution);
    assert!(seen.touched.is_empty());
    assert_eq!(seen.vector.known(), 0, "no model is asked about it");
}

#[test]
fn a_truncated_execution_leaves_unknown_what_was_cut_off() {
    let mut stage = Stage::new(account(SENDER), account(ATTACKER), 0);
    stage.truncate();
    check(
        &stage.finish(&[]),
        &[
            ("touches_protected", None),
            ("outflow_wei", None),
            ("frames", None),
            ("sender_nonce", Some(7)),
        ],
    );
    let mut stage = Stage::new(account(SENDER), account(VAULT), 0);
    stage.truncate();
    check(&stage.finish(&[]), &[("touches_protected", Some(1)), ("reentry_depth", None)]);
}

#[test]
fn the_dictionary_names_units_and_says_what_it_measures() {
    let dictionary = dictionary();
    let specs = dictionary.specs();
    for spec in specs {
        assert!(spec.doc.ends_with('.'), "{}: a doc is a sentence", spec.name);
        assert_eq!(
            specs.iter().filter(|other| other.name == spec.name).count(),
            1,
            "{} stands twice",
            spec.name
        );
        for (suffix, unit) in [("_wei", "wei"), ("_bps", "bps")] {
            assert_eq!(spec.name.ends_with(suffix), spec.unit == unit, "{}", spec.name);
        }
    }
}
