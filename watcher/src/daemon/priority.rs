//! What comes first: told from a transaction alone, before anything is spent on it.
//!
//! Attackers do not call their victim directly, so the last in this order are simulated all the same while there is
//! time; only where there is not, they are the first to be left out.

use std::sync::{PoisonError, RwLock};

use alloy::primitives::Address;

use crate::{
    facts::{Observation, Protected},
    simulate::execution::Execution,
    source::{PendingTransaction, Recent},
};

/// Accounts that are remembered for having touched something protected.
const ACQUAINTED_LIMIT: usize = 100_000;
/// Contracts that are remembered for being new.
const FRESH_LIMIT: usize = 20_000;
/// Bytes of calldata or init code that are looked through.
const SCANNED_BYTES: usize = 64 * 1_024;
/// `PUSH20`, which puts an address that stands in code on the stack.
const PUSH20: u8 = 0x73;

/// How soon a transaction is to be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// It names a protected account: calls it, or carries its address in calldata or code.
    Named,
    /// Its sender or the contract that it calls has touched a protected account before.
    Acquainted,
    /// It creates a contract or calls one that is new.
    Fresh,
    /// Nothing is known of it.
    Other,
}

impl Priority {
    /// All, the first to come first.
    pub(super) const ALL: [Self; 4] = [Self::Named, Self::Acquainted, Self::Fresh, Self::Other];

    /// Its place in [`Priority::ALL`].
    pub(super) const fn place(self) -> usize {
        self as usize
    }

    /// Its word in metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Acquainted => "acquainted",
            Self::Fresh => "fresh",
            Self::Other => "other",
        }
    }
}

/// Who has had to do with what is protected, and what is new; both forget the oldest.
#[derive(Debug, Default)]
pub(super) struct Acquaintances(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    acquainted: Recent<Address>,
    fresh: Recent<Address>,
}

impl Acquaintances {
    /// How soon a transaction is to be simulated.
    pub(super) fn priority(&self, tx: &PendingTransaction, protected: &Protected) -> Priority {
        let Some(to) = tx.to() else {
            return if code_names(tx.input(), protected) {
                Priority::Named
            } else {
                Priority::Fresh
            };
        };
        if protected.group(&to).is_some() || words_name(tx.input(), protected) {
            return Priority::Named;
        }
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.acquainted.contains(&tx.sender) || known.acquainted.contains(&to) {
            Priority::Acquainted
        } else if known.fresh.contains(&to) {
            Priority::Fresh
        } else {
            Priority::Other
        }
    }

    /// Remembers accounts that were seen to aim at something protected: what they send next comes early.
    pub(super) fn watch(&self, accounts: impl IntoIterator<Item = Address>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for account in accounts {
            known.acquainted.insert(account, ACQUAINTED_LIMIT);
        }
    }

    /// Learns from a simulation: who touched what is protected, through which contracts, and what was created.
    pub(super) fn learn(
        &self,
        execution: &Execution,
        observation: &Observation,
        protected: &Protected,
    ) {
        if observation.touched.is_empty() && execution.created.is_empty() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for created in &execution.created {
            known.fresh.insert(*created, FRESH_LIMIT);
        }
        if observation.touched.is_empty() {
            return;
        }
        let envelope = &execution.envelope;
        let callers = execution
            .frames
            .iter()
            .filter(|frame| protected.group(&frame.acts_on).is_some())
            .map(|frame| frame.caller);
        for account in [envelope.sender].into_iter().chain(envelope.to).chain(callers) {
            if protected.group(&account).is_none() {
                known.acquainted.insert(account, ACQUAINTED_LIMIT);
            }
        }
    }
}

/// Whether an argument is a protected address, where the ABI puts arguments.
fn words_name(input: &[u8], protected: &Protected) -> bool {
    let arguments = input.get(4..).unwrap_or_default();
    let mut words = arguments.get(..SCANNED_BYTES).unwrap_or(arguments).chunks_exact(32);
    words.any(|word| {
        let (high, low) = word.split_at(12);
        high.iter().all(|byte| *byte == 0) && is_protected(low, protected)
    })
}

/// Whether init code pushes a protected address or ends in arguments that hold one.
fn code_names(code: &[u8], protected: &Protected) -> bool {
    let code = code.get(..SCANNED_BYTES).unwrap_or(code);
    let pushed = code.windows(21).any(|bytes| {
        bytes.split_first().is_some_and(|(op, rest)| *op == PUSH20 && is_protected(rest, protected))
    });
    let mut arguments = code.rchunks_exact(32);
    pushed
        || arguments.any(|word| {
            let (high, low) = word.split_at(12);
            high.iter().all(|byte| *byte == 0) && is_protected(low, protected)
        })
}

fn is_protected(bytes: &[u8], protected: &Protected) -> bool {
    <[u8; 20]>::try_from(bytes).is_ok_and(|bytes| protected.group(&Address::from(bytes)).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::consensus::{Signed, TxEnvelope, TxLegacy};
    use alloy::primitives::{B256, Signature};

    fn protected() -> (Address, Protected) {
        let vault = Address::repeat_byte(0x77);
        (vault, Protected::new([("vault".to_owned(), vec![vault])]))
    }

    fn sent(sender: Address, to: Address) -> PendingTransaction {
        let tx = TxLegacy { to: to.into(), ..TxLegacy::default() };
        let signed = Signed::new_unchecked(tx, Signature::test_signature(), B256::ZERO);
        PendingTransaction {
            envelope: TxEnvelope::from(signed),
            sender,
            hash: B256::ZERO,
            seen_at_ms: 0,
            node: "test".into(),
        }
    }

    #[test]
    fn what_a_watched_account_sends_and_is_sent_comes_early() {
        let (_, protected) = protected();
        let (deployer, contract) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let known = Acquaintances::default();
        let mut tx = sent(deployer, contract);
        assert_eq!(known.priority(&tx, &protected), Priority::Other);
        known.watch([contract]);
        assert_eq!(known.priority(&tx, &protected), Priority::Acquainted);
        tx = sent(deployer, Address::repeat_byte(3));
        assert_eq!(known.priority(&tx, &protected), Priority::Other);
        known.watch([deployer]);
        assert_eq!(known.priority(&tx, &protected), Priority::Acquainted);
    }

    #[test]
    fn an_address_is_found_among_arguments_and_in_code() {
        let (vault, protected) = protected();
        let call = [&[1, 2, 3, 4][..], &[0; 32], vault.into_word().as_slice()].concat();
        assert!(words_name(&call, &protected));
        // The same bytes where no argument stands, or as part of a larger number.
        assert!(!words_name(&[&[0; 9][..], vault.into_word().as_slice()].concat(), &protected));
        assert!(!words_name(&[&[1, 2, 3, 4][..], &[0x77; 32]].concat(), &protected));
        assert!(!words_name(&[], &protected));

        let pushing = [&[0x60, 0x80, PUSH20][..], vault.as_slice(), &[0x5b]].concat();
        assert!(code_names(&pushing, &protected));
        let argument = [&[0x60, 0x80, 0x5b][..], vault.into_word().as_slice()].concat();
        assert!(code_names(&argument, &protected));
        assert!(!code_names(&[&[0x60; 3][..], vault.as_slice()].concat(), &protected));
    }
}
