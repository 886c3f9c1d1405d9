//! The stream itself: ordinary use of several kinds, look-alikes of the attack among them, and the attack.

use alloy::primitives::{B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolValue};

use super::{
    Account, CALL_GAS, DEPLOY_GAS, HarmlessReenter, Payout, Role, Teller, Token, USERS, Vault,
    ether,
};
use crate::artifacts;

/// Tells the stream; the attack comes after about two thirds of the benign transactions.
pub(super) fn tell(teller: &mut Teller<'_>) {
    teller.role = Role::Benign;
    let before = teller.options.benign * 2 / 3;
    let mut told = look_alikes(teller);
    while told < before {
        ordinary(teller, told);
        told += 1;
    }
    teller.attack();
    while told < teller.options.benign {
        ordinary(teller, told);
        told += 1;
    }
}

/// The transactions that a careless rule would take for an attack. Returns how many were told.
fn look_alikes(teller: &mut Teller<'_>) -> usize {
    let vault = teller.vault;
    let start = teller.steps.len();

    // As much leaves the vault as the attack takes, and it belongs to the one who takes it.
    let stolen = teller.options.attack_stake * U256::from(teller.options.attack_loops);
    let whale = stolen.min(ether("35"));
    let data = Vault::withdrawCall { amount: whale }.abi_encode();
    let raw = teller.users[0].call(vault, U256::ZERO, data, CALL_GAS);
    teller.push("user 0 withdraws as much as one attack could take at once", raw, 0);
    let raw =
        teller.users[1].call(vault, U256::ZERO, Vault::withdrawAllCall {}.abi_encode(), CALL_GAS);
    teller.push("user 1 withdraws everything", raw, 0);

    let reenterer = teller.users[2].creates_at(teller.users[2].nonce());
    let raw =
        teller.users[2].create(artifacts::HARMLESS_REENTER.creation(&[]), U256::ZERO, DEPLOY_GAS);
    teller.push("user 2 deploys a contract that re-enters", raw, 0);
    let data = HarmlessReenter::roundTripCall { vault, amount: ether("4") }.abi_encode();
    let raw = teller.users[2].call(reenterer, ether("4"), data, CALL_GAS);
    teller.push("that contract re-enters the vault, harmlessly", raw, 1);

    let mut newcomer = Account::named("newcomer", teller.options.chain_id);
    let payout = newcomer.creates_at(0);
    let code = artifacts::PAYOUT.creation(&vault.abi_encode());
    let raw = newcomer.create(code, ether("6"), DEPLOY_GAS);
    teller.push("a first-time sender deploys a contract that deposits", raw, 0);
    let recipients = teller.users.iter().map(Account::address).collect();
    let data = Payout::shareCall { recipients }.abi_encode();
    let raw = newcomer.call(payout, U256::ZERO, data, CALL_GAS);
    teller.push("that fresh contract withdraws all and shares it out", raw, 1);

    teller.steps.len() - start
}

/// One transaction of everyday use; `i` chooses the kind and the account.
fn ordinary(teller: &mut Teller<'_>, i: usize) {
    let who = 3 + i % (USERS - 3);
    let other = teller.users[(who + 1) % USERS].address();
    let (vault, token) = (teller.vault, teller.token);
    let account = &mut teller.users[who];
    // A few amounts in turn, so that no two neighbours look the same.
    let milli = U256::from(10 + 7 * (i as u64 % 13)) * U256::from(1_000_000_000_000_000_u64);
    let mut call = |to, value, data| -> (Bytes, B256) { account.call(to, value, data, CALL_GAS) };
    let (label, signed) = match i % 6 {
        0 => {
            (format!("user {who} deposits"), call(vault, milli, Vault::depositCall {}.abi_encode()))
        }
        1 => {
            let data = Token::transferCall { to: other, amount: milli }.abi_encode();
            (format!("user {who} sends tokens"), call(token, U256::ZERO, data))
        }
        2 => {
            let data = Vault::withdrawCall { amount: milli }.abi_encode();
            (format!("user {who} withdraws a little"), call(vault, U256::ZERO, data))
        }
        3 => (format!("user {who} sends ether"), call(other, milli, Vec::new())),
        4 => {
            let data = Vault::withdrawCall { amount: ether("1000") }.abi_encode();
            (
                format!("user {who} asks for more than it has, and fails"),
                call(vault, U256::ZERO, data),
            )
        }
        _ => {
            let data = Token::approveCall { spender: vault, amount: milli }.abi_encode();
            (format!("user {who} approves a spender"), call(token, U256::ZERO, data))
        }
    };
    teller.push(&label, signed, u64::from(i.is_multiple_of(5)));
}
