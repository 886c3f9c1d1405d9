//! Pauses signed ahead: for each target, nonce and height of offer, so that firing is a look-up.
//!
//! Steps double, so what is sent offers at most twice what was needed; what is paid for gas beyond the base fee is
//! the tip alone. A pause that was signed ahead cannot name the attack: its evidence is [`reference`], which the
//! journal writes down beside the attack.

use std::collections::BTreeMap;
use std::fmt;

use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::sol_types::SolValue;

use super::{FeeBudget, FeeOffer};

/// Nonces that are signed for: the next one, and one more for a second target.
pub(super) const NONCES: u64 = 2;
/// The lowest step, wei per gas.
const LOWEST_WEI: u128 = 1_000_000_000;

/// What a pause that was signed ahead names as its evidence: unique for each chain, guardian, target and nonce.
pub fn reference(chain_id: u64, guardian: Address, target: Address, nonce: u64) -> B256 {
    keccak256(("portcullis pause", chain_id, guardian, target, nonce).abi_encode())
}

/// One pause that was signed ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rung {
    pub(super) offer: FeeOffer,
    pub(super) tx_hash: B256,
    pub(super) raw: Bytes,
}

/// All that are signed, by target and nonce, the lowest offer first.
#[derive(Default)]
pub(super) struct Ladder {
    rungs: BTreeMap<(Address, u64), Vec<Rung>>,
}

impl Ladder {
    /// The targets and nonces from `first_nonce` on that nothing is signed for yet. Forgets lower nonces.
    pub(super) fn missing(&mut self, targets: &[Address], first_nonce: u64) -> Vec<(Address, u64)> {
        let nonces = first_nonce..first_nonce.saturating_add(NONCES);
        self.rungs.retain(|(_, nonce), _| nonces.contains(nonce));
        targets
            .iter()
            .flat_map(|target| nonces.clone().map(|nonce| (*target, nonce)))
            .filter(|key| !self.rungs.contains_key(key))
            .collect()
    }

    /// Takes what was signed.
    pub(super) fn put(&mut self, target: Address, nonce: u64, rungs: Vec<Rung>) {
        self.rungs.insert((target, nonce), rungs);
    }

    /// The cheapest pause that offers at least this on both counts.
    pub(super) fn pick(&self, target: Address, nonce: u64, least: &FeeOffer) -> Option<&Rung> {
        self.rungs.get(&(target, nonce))?.iter().find(|rung| {
            rung.offer.max_fee_per_gas_wei >= least.max_fee_per_gas_wei
                && rung.offer.max_tip_wei >= least.max_tip_wei
        })
    }

    /// How many are signed.
    pub(super) fn len(&self) -> usize {
        self.rungs.values().map(Vec::len).sum()
    }
}

impl fmt::Debug for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ladder({} signed)", self.len())
    }
}

/// The offers of a ladder within a budget, sorted by tip and then by fee cap: what is paid comes first.
pub(super) fn steps(budget: &FeeBudget, gas_limit: u64) -> Vec<FeeOffer> {
    let gas = u128::from(gas_limit.max(1));
    let highest_fee_wei =
        budget.max_fee_per_gas_wei.min(budget.max_cost_wei.checked_div(gas).unwrap_or(0));
    let fees = doubling(highest_fee_wei);
    let mut offers = Vec::new();
    for tip in doubling(budget.max_tip_wei.min(highest_fee_wei)) {
        for &fee in fees.iter().filter(|fee| **fee >= tip) {
            offers.push(FeeOffer { max_fee_per_gas_wei: fee, max_tip_wei: tip });
        }
    }
    offers
}

/// From the lowest step up to the limit, which is the last.
fn doubling(limit_wei: u128) -> Vec<u128> {
    let mut steps: Vec<u128> = std::iter::successors(Some(LOWEST_WEI), |step| step.checked_mul(2))
        .take_while(|step| *step < limit_wei)
        .collect();
    if limit_wei > 0 {
        steps.push(limit_wei);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u128 = 1_000_000_000;

    #[test]
    fn every_offer_is_within_the_budget_and_at_most_twice_what_is_needed() {
        let budget = FeeBudget {
            max_fee_per_gas_wei: 2_000 * GWEI,
            max_tip_wei: 1_000 * GWEI,
            max_cost_wei: 300_000 * 1_500 * GWEI,
        };
        let steps = steps(&budget, 300_000);
        assert!(steps.iter().all(|step| {
            step.max_fee_per_gas_wei <= 1_500 * GWEI
                && step.max_tip_wei <= 1_000 * GWEI
                && step.max_tip_wei <= step.max_fee_per_gas_wei
        }));
        let mut ladder = Ladder::default();
        let (target, raw) = (Address::ZERO, Bytes::new());
        let rungs =
            steps.into_iter().map(|offer| Rung { offer, tx_hash: B256::ZERO, raw: raw.clone() });
        ladder.put(target, 7, rungs.collect());
        for fee in [3, 40, 300, 1_499] {
            for tip in [2, 39, 250, 900] {
                let least =
                    FeeOffer { max_fee_per_gas_wei: fee * GWEI, max_tip_wei: tip.min(fee) * GWEI };
                let rung = ladder.pick(target, 7, &least).expect("the budget reaches so far");
                assert!(rung.offer.max_tip_wei <= least.max_tip_wei * 2, "{least:?} {rung:?}");
                assert!(rung.offer.max_tip_wei >= least.max_tip_wei);
            }
        }
        let beyond = FeeOffer { max_fee_per_gas_wei: 1_501 * GWEI, max_tip_wei: 0 };
        assert_eq!(ladder.pick(target, 7, &beyond), None);
        assert_eq!(ladder.missing(&[target], 7), [(target, 8)]);
        assert_eq!(ladder.missing(&[target], 8).len(), 2, "what is behind is forgotten");
        assert_eq!(ladder.len(), 0);
    }
}
