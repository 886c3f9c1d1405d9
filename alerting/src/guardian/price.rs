//! What a pause must offer to be mined before an attack.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A 1 gwei step decides ties even where fees are tiny.
const MIN_STEP_WEI: u128 = 1_000_000_000;

/// What one pause may cost. All amounts in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeBudget {
    /// Highest fee per gas that may be offered.
    pub max_fee_per_gas_wei: u128,
    /// Highest tip per gas that may be offered.
    pub max_tip_wei: u128,
    /// Highest cost of one pause if it used all its gas at the offered fee.
    pub max_cost_wei: u128,
}

/// A fee offer as EIP-1559 has it; a legacy gas price is both at once. In wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeOffer {
    /// Fee cap, base fee included.
    pub max_fee_per_gas_wei: u128,
    /// Tip cap.
    pub max_tip_wei: u128,
}

impl FeeOffer {
    /// What the block's builder gets per gas at this base fee; none where the offer does not reach the base fee.
    pub fn effective_tip_wei(&self, base_fee_wei: u128) -> Option<u128> {
        self.max_fee_per_gas_wei.checked_sub(base_fee_wei).map(|room| room.min(self.max_tip_wei))
    }
}

/// Which limit of the budget keeps a pause from outbidding the attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PriceError {
    /// `max_fee_per_gas_wei` is too low.
    #[error(
        "pause needs a fee of {needed_wei} wei per gas, the budget's max_fee_per_gas_wei is {limit_wei}"
    )]
    FeeLimit {
        /// Lowest fee cap that is above the attack's and above the base fee.
        needed_wei: u128,
        /// The limit.
        limit_wei: u128,
    },
    /// `max_tip_wei` is too low.
    #[error(
        "pause needs a tip of {needed_wei} wei per gas, the budget's max_tip_wei is {limit_wei}"
    )]
    TipLimit {
        /// Lowest tip that is above the attack's.
        needed_wei: u128,
        /// The limit.
        limit_wei: u128,
    },
    /// `max_cost_wei` is too low.
    #[error("pause may cost {needed_wei} wei, the budget's max_cost_wei is {limit_wei}")]
    CostLimit {
        /// Cost at the lowest fee cap that would do.
        needed_wei: u128,
        /// The limit.
        limit_wei: u128,
    },
}

/// Prices a pause strictly above the attack on both the fee cap and the effective tip: nodes sort by either.
///
/// `base_fee_wei` is the base fee of the block that the pause is meant for. The answer stays above the attack at
/// any base fee from three quarters of that, about what two empty blocks would leave, up to the attack's own
/// limit. Where the budget allows, it leaves an eighth as margin above the attack and room for the base fee to
/// double; where it does not, one wei above is enough.
///
/// # Errors
/// The limit of the budget that the lowest sufficient offer would break.
pub fn price(
    attack: &FeeOffer,
    base_fee_wei: u128,
    gas_limit: u64,
    budget: &FeeBudget,
) -> Result<FeeOffer, PriceError> {
    let attack_tip_wei = tip_to_beat_wei(attack, base_fee_wei);

    let needed_tip_wei = attack_tip_wei.saturating_add(1);
    if needed_tip_wei > budget.max_tip_wei {
        return Err(PriceError::TipLimit {
            needed_wei: needed_tip_wei,
            limit_wei: budget.max_tip_wei,
        });
    }
    // The fee cap must exceed the attack's and pay the needed tip on top of the base fee: a tip that is cut by the
    // cap would not be the tip that was priced.
    let needed_fee_wei = attack
        .max_fee_per_gas_wei
        .saturating_add(1)
        .max(base_fee_wei.saturating_add(needed_tip_wei));
    if needed_fee_wei > budget.max_fee_per_gas_wei {
        return Err(PriceError::FeeLimit {
            needed_wei: needed_fee_wei,
            limit_wei: budget.max_fee_per_gas_wei,
        });
    }
    let gas = u128::from(gas_limit.max(1));
    let needed_cost_wei = needed_fee_wei.saturating_mul(gas);
    if needed_cost_wei > budget.max_cost_wei {
        return Err(PriceError::CostLimit {
            needed_wei: needed_cost_wei,
            limit_wei: budget.max_cost_wei,
        });
    }

    let highest_fee_wei =
        budget.max_fee_per_gas_wei.min(budget.max_cost_wei.checked_div(gas).unwrap_or(0));
    let wanted_tip_wei = attack_tip_wei.saturating_add(step(attack_tip_wei));
    let wanted_fee_wei = attack
        .max_fee_per_gas_wei
        .saturating_add(step(attack.max_fee_per_gas_wei))
        .max(base_fee_wei.saturating_mul(2).saturating_add(wanted_tip_wei));
    let max_fee_per_gas_wei = wanted_fee_wei.min(highest_fee_wei);
    let highest_tip_wei = budget.max_tip_wei.min(max_fee_per_gas_wei.saturating_sub(base_fee_wei));
    Ok(FeeOffer { max_fee_per_gas_wei, max_tip_wei: wanted_tip_wei.min(highest_tip_wei) })
}

/// What the attack may pay a builder per gas at the lowest base fee that a pause must stand.
pub(super) fn tip_to_beat_wei(attack: &FeeOffer, base_fee_wei: u128) -> u128 {
    let lowest_base_fee_wei = base_fee_wei.saturating_sub(base_fee_wei / 4);
    attack.effective_tip_wei(lowest_base_fee_wei).unwrap_or(0)
}

fn step(value_wei: u128) -> u128 {
    (value_wei / 8).max(MIN_STEP_WEI)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a wrong number in a test fails it")]
mod tests {
    use super::{FeeBudget, FeeOffer, PriceError, price};

    const GWEI: u128 = 1_000_000_000;
    const ROOMY: FeeBudget = FeeBudget {
        max_fee_per_gas_wei: 5_000 * GWEI,
        max_tip_wei: 2_000 * GWEI,
        max_cost_wei: u128::MAX,
    };

    fn offer(max_fee_gwei: u128, tip_gwei: u128) -> FeeOffer {
        FeeOffer { max_fee_per_gas_wei: max_fee_gwei * GWEI, max_tip_wei: tip_gwei * GWEI }
    }

    /// Every kind of attack, base fee and budget: a price is either above the attack on both counts and within
    /// every limit, or an error; and an error only where one wei above the attack would break the limit it names.
    #[test]
    fn outbids_within_the_budget_or_says_which_limit_is_in_the_way() {
        let fees = [0, 1, 7, 99, 1_000, 12_345].map(|gwei| gwei * GWEI);
        let mut priced = 0;
        let mut refused = 0;
        for max_fee_per_gas_wei in fees {
            for max_tip_wei in fees {
                for base_fee_wei in [1, 7, GWEI, 30 * GWEI, 900 * GWEI] {
                    for budget in [
                        ROOMY,
                        FeeBudget { max_tip_wei: 8 * GWEI, ..ROOMY },
                        FeeBudget { max_fee_per_gas_wei: 1_000 * GWEI + 1, ..ROOMY },
                        FeeBudget { max_cost_wei: 100_000 * 100 * GWEI, ..ROOMY },
                    ] {
                        let attack = FeeOffer { max_fee_per_gas_wei, max_tip_wei };
                        match price(&attack, base_fee_wei, 100_000, &budget) {
                            Ok(pause) => {
                                priced += 1;
                                assert!(pause.max_fee_per_gas_wei > attack.max_fee_per_gas_wei);
                                assert!(pause.max_fee_per_gas_wei <= budget.max_fee_per_gas_wei);
                                assert!(pause.max_tip_wei <= budget.max_tip_wei);
                                assert!(pause.max_fee_per_gas_wei * 100_000 <= budget.max_cost_wei);
                                for base in [
                                    base_fee_wei - base_fee_wei / 4,
                                    base_fee_wei,
                                    base_fee_wei * 9 / 8,
                                ] {
                                    let Some(theirs) = attack.effective_tip_wei(base) else {
                                        continue;
                                    };
                                    let ours = pause.effective_tip_wei(base).unwrap();
                                    assert!(ours > theirs, "{attack:?} {pause:?} at {base}");
                                }
                            }
                            Err(error) => {
                                refused += 1;
                                let (PriceError::FeeLimit { needed_wei, limit_wei }
                                | PriceError::TipLimit { needed_wei, limit_wei }
                                | PriceError::CostLimit { needed_wei, limit_wei }) = error;
                                assert!(needed_wei > limit_wei);
                            }
                        }
                    }
                }
            }
        }
        assert!(priced > 200 && refused > 200, "{priced} {refused}");
    }

    #[test]
    fn a_tip_that_the_fee_cap_cuts_is_not_matched_in_full() {
        // 500 gwei of tip that can never be paid: 40 - 30 gwei remain for it, 17.5 if the base fee falls.
        let pause = price(&offer(40, 500), 30 * GWEI, 100_000, &ROOMY).unwrap();
        assert!(pause.max_tip_wei < 25 * GWEI, "{pause:?}");
    }

    #[test]
    fn each_limit_is_named() {
        let attack = offer(100, 50);
        let tight_tip = FeeBudget { max_tip_wei: 50 * GWEI, ..ROOMY };
        assert!(matches!(
            price(&attack, GWEI, 100_000, &tight_tip),
            Err(PriceError::TipLimit { .. })
        ));
        let tight_fee = FeeBudget { max_fee_per_gas_wei: 100 * GWEI, ..ROOMY };
        assert!(matches!(
            price(&attack, GWEI, 100_000, &tight_fee),
            Err(PriceError::FeeLimit { .. })
        ));
        let tight_cost = FeeBudget { max_cost_wei: 100 * GWEI * 100_000, ..ROOMY };
        let error = price(&attack, GWEI, 100_000, &tight_cost).unwrap_err();
        assert!(error.to_string().contains("max_cost_wei"), "{error}");
    }

    #[test]
    fn one_wei_above_is_enough_when_the_budget_ends_there() {
        let budget =
            FeeBudget { max_fee_per_gas_wei: 100 * GWEI + 1, max_tip_wei: 50 * GWEI + 1, ..ROOMY };
        let pause = price(&offer(100, 50), GWEI, 100_000, &budget).unwrap();
        assert_eq!(
            pause,
            FeeOffer { max_fee_per_gas_wei: 100 * GWEI + 1, max_tip_wei: 50 * GWEI + 1 }
        );
    }

    #[test]
    fn absurd_numbers_are_refused_not_wrapped() {
        let attack = FeeOffer { max_fee_per_gas_wei: u128::MAX, max_tip_wei: u128::MAX };
        assert!(price(&attack, u128::MAX, u64::MAX, &ROOMY).is_err());
        assert!(price(&attack, 0, 0, &ROOMY).is_err());
    }
}
