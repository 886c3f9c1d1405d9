//! What a pause is decided on, written down for the nodes to confirm.

use alloy::primitives::{Address, U256, keccak256};
use portcullis_alerting::guardian::Premises;

use super::chain::Chain;
use crate::{simulate::execution::Execution, state::StateError};

/// Codes, slots and balances, each, that the nodes are asked to confirm before a pause is fired.
const PREMISES_LIMIT: usize = 64;

impl Chain {
    /// What the judgement rests on, as it stands on the head: code, storage and balances of what is protected first.
    /// State that cannot be read any more leaves a block without a hash, which nobody confirms.
    pub(super) fn premises(&self, target: Address, execution: &Execution) -> Premises {
        let Ok(view) = self.simulator.state().view() else { return Premises::default() };
        let is_protected = |address: &Address| self.protected.group(address).is_some();
        let mut accounts: Vec<Address> =
            execution.frames.iter().flat_map(|frame| [frame.acts_on, frame.code_at]).collect();
        accounts.push(target);
        accounts.retain(|account| !execution.created.contains(account));
        accounts.sort_unstable();
        accounts.dedup();
        accounts.sort_by_key(|account| !is_protected(account));
        let mut slots: Vec<(Address, U256)> = execution
            .accesses
            .iter()
            .filter(|access| !access.transient && !execution.created.contains(&access.address))
            .map(|access| (access.address, access.slot))
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots.sort_by_key(|(account, _)| !is_protected(account));
        let read = || -> Result<Premises, StateError> {
            Ok(Premises {
                block: view.head().number,
                block_hash: view.head().hash,
                codes: accounts
                    .iter()
                    .take(PREMISES_LIMIT)
                    .map(|account| Ok((*account, keccak256(view.code(*account)?))))
                    .collect::<Result<_, StateError>>()?,
                slots: slots
                    .iter()
                    .take(PREMISES_LIMIT)
                    .map(|(account, slot)| Ok((*account, *slot, view.storage(*account, *slot)?)))
                    .collect::<Result<_, StateError>>()?,
                balances: accounts
                    .iter()
                    .filter(|account| is_protected(account))
                    .take(PREMISES_LIMIT)
                    .map(|account| Ok((*account, view.balance_wei(*account)?)))
                    .collect::<Result<_, StateError>>()?,
            })
        };
        read().unwrap_or_default()
    }
}
