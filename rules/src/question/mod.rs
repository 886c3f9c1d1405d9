//! Questions that a rule asks beyond the facts that every transaction has: what happened over the last blocks, what a
//! view says before and after, who entered what inside of what.
//!
//! This crate only says what is asked, in a form that does not depend on who answers. A [`crate::RuleSet`] joins the
//! questions of all its rules, and its user answers those that [`crate::RuleSet::wanted`] names, once for each
//! contract that a transaction touches.

mod signature;
mod text;
mod trail;

pub(crate) use signature::function_selector;
pub use signature::{Argument, ViewCall};
pub(crate) use text::{read_changed, read_functions, read_holder, read_view};
pub use trail::{Trace, Trail};

use ruint::aliases::U256;

use crate::facts::{FactType, Value};

/// One question. Two rules that ask the same are answered at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Question {
    /// What a fact comes to over the last blocks, the transaction that is judged included.
    Window(Window),
    /// What a view or a slot says, before or after the transaction.
    Reading(Reading, Moment),
    /// How often one of `functions` was entered on the contract while one of `inside` was still running on it.
    Entered {
        /// Selectors of what was entered.
        functions: Vec<[u8; 4]>,
        /// Selectors of what was running; empty for anything.
        inside: Vec<[u8; 4]>,
    },
    /// How often one of these functions was entered on the contract, wherever. Selectors.
    Called(Vec<[u8; 4]>),
    /// How often the contract believed a signature that it should not.
    Signatures(SignatureFault),
    /// How often one of these views was asked in the middle of a call of the contract that changed, afterwards, what
    /// the view had read. Selectors; empty for any view.
    Stale(Vec<[u8; 4]>),
    /// How often a slot of the contract was changed by a caller that is none of the holders.
    Changed {
        /// What was changed.
        place: Place,
        /// Who may change it.
        holders: Vec<Holder>,
    },
    /// How often ether or tokens left the contract while none of these functions was running on it. Selectors.
    PaidOutside(Vec<[u8; 4]>),
}

/// What is wrong with a signature that `ecrecover` was asked about, in a call that stayed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SignatureFault {
    /// It is nobody's: `ecrecover` found no signer.
    Nobody,
    /// The same signer's signature of the same digest was believed in an earlier call of the same transaction.
    Repeated,
}

/// A fact over the last blocks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// Name of the fact.
    pub fact: &'static str,
    /// What is made of its values.
    pub how: Fold,
    /// Whose transactions count.
    pub per: Per,
    /// How many blocks, the one that would mine the judged transaction included.
    pub blocks: u64,
}

/// What is made of the values of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fold {
    /// Their sum.
    Sum,
    /// In how many transactions the fact was true, or not zero.
    Count,
    /// The largest of them.
    Max,
}

/// Whose transactions a window looks at, of those that touch the same protocol.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Everybody's.
    #[default]
    Protocol,
    /// Those of accounts that belong together: the same sender, the same contract called first, or a contract that the
    /// other created. Users of one public router count as one actor.
    Actor,
    /// The sender's.
    Sender,
}

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reading {
    /// Contract; none for the one that is looked at.
    pub of: Option<[u8; 20]>,
    /// View or slot.
    pub source: ReadingSource,
    /// Type of what comes back.
    pub ty: FactType,
}

/// Where a reading comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadingSource {
    /// One slot of storage.
    Slot(U256),
    /// Views, each but the first called on the address that the one before it returns.
    Calls(Vec<ViewCall>),
}

/// When something is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// On the state that the transaction finds.
    Before,
    /// On the state that it leaves.
    After,
}

/// A place in the storage of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// One slot.
    Slot(U256),
    /// Every entry of the mapping that stands at this slot, mappings inside of it included.
    Mapping(U256),
}

/// Somebody who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// The address that stands in a slot, so many bytes from its right end, before the transaction.
    InSlot {
        /// The slot.
        slot: U256,
        /// Bytes between the address and the low end of the slot, 0 to 12.
        offset_bytes: u8,
    },
    /// This account.
    Account([u8; 20]),
}

/// What is known of one contract that a transaction touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The contract.
    pub contract: [u8; 20],
    /// Replies to the questions of the rule set.
    pub replies: Replies,
    /// What the transaction left on the contract; none where that is not known, and replies say all there is to say.
    pub trail: Option<Trail>,
}

/// Replies to some of the questions of a rule set; those that were not asked are unknown.
///
/// A reply is `None` where the contract has no such thing (no such view, no code): rules that ask for it do not apply to
/// it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replies {
    /// By the question's place in [`crate::RuleSet::questions`], sorted.
    known: Vec<(usize, Option<Value>)>,
}

impl Replies {
    /// Replies by the place of their question in [`crate::RuleSet::questions`]; of two for one place one is kept.
    pub fn new(known: impl IntoIterator<Item = (usize, Option<Value>)>) -> Self {
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_by_key(|(place, _)| *place);
        known.dedup_by_key(|(place, _)| *place);
        Self { known }
    }

    /// The reply to the question at `place`; none where it was not asked.
    pub fn get(&self, place: usize) -> Option<&Option<Value>> {
        let found = self.known.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        self.known.get(found).map(|(_, reply)| reply)
    }
}

impl Reading {
    /// Decodes one word of 32 bytes that a view returned or a slot holds; unknown where it is not of the type.
    pub fn decode(&self, word: &[u8; 32]) -> Value {
        match self.ty {
            FactType::Bool => match word {
                [0, .., 0 | 1] if word[..31] == [0; 31] => Value::Bool(word[31] == 1),
                _ => Value::Unknown,
            },
            FactType::Address => {
                let mut address = [0; 20];
                address.copy_from_slice(&word[12..]);
                Value::Address(address)
            }
            FactType::Uint | FactType::Text => Value::Uint(U256::from_be_bytes(*word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reading, ReadingSource};
    use crate::facts::{FactType, Value};
    use ruint::aliases::U256;

    #[test]
    fn words_are_decoded_by_their_type_and_never_guessed() {
        let reading = |ty| Reading { of: None, source: ReadingSource::Slot(U256::ZERO), ty };
        let mut word = [0; 32];
        word[31] = 1;
        assert_eq!(reading(FactType::Bool).decode(&word), Value::Bool(true));
        assert_eq!(reading(FactType::Uint).decode(&word), Value::Uint(U256::from(1)));
        word[30] = 1;
        assert_eq!(reading(FactType::Bool).decode(&word), Value::Unknown);
        word[12] = 0xaa;
        let Value::Address(address) = reading(FactType::Address).decode(&word) else {
            panic!("an address")
        };
        assert_eq!((address[0], address[18], address[19]), (0xaa, 1, 1));
    }
}
