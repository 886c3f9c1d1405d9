//! What people answer where a pause waits for them: a veto or an approval, as EIP-712 typed data.
//!
//! The domain names the chain and the guardian, so that an answer is good for no other; the message names the one
//! decision that it is meant for, a number that is used once, and when it lapses. Any wallet can sign it
//! (`eth_signTypedData_v4`); contracts that sign (EIP-1271) cannot, for their word depends on a node's.

use std::fmt;
use std::str::FromStr;

use alloy::primitives::{Address, B256, Bytes, Signature, U64, U256};
use alloy::sol_types::{Eip712Domain, SolStruct};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use super::Key;

/// Name and version of the domain; wallets show them.
const DOMAIN: (&str, &str) = ("Portcullis", "1");

/// Longest time ahead at which an answer may lapse, seconds: a signature that lies around for longer is a risk.
pub const LONGEST_ANSWER_S: u64 = 86_400;

mod typed {
    alloy::sol! {
        /// As it is hashed; the name is part of the hash.
        struct Answer {
            bytes32 incident;
            string decision;
            uint256 nonce;
            uint64 expiry;
        }
    }
}

/// What a person says of a pause that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Say {
    /// Pause.
    Approve,
    /// Do not, and do not ask about the same again until the answer lapses.
    Veto,
}

impl Say {
    /// Its word, as it is signed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Veto => "veto",
        }
    }
}

impl fmt::Display for Say {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A pause that waits for an answer, as whoever may answer is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its name in answers.
    pub incident: B256,
    /// Name of the chain.
    pub chain: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The guardian contract.
    pub guardian: Address,
    /// Name of the protocol.
    pub protocol: String,
    /// The contract that would be paused.
    pub target: Address,
    /// The judged transaction.
    pub tx_hash: B256,
    /// The evidence, in one line.
    pub reason: String,
    /// What would leave without the pause, wei, decimal.
    pub at_stake_wei: String,
    /// Since when it waits, milliseconds since the Unix epoch.
    pub asked_at_ms: u64,
    /// When the waiting ends, milliseconds since the Unix epoch.
    pub until_ms: u64,
}

/// An answer, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The guardian contract.
    pub guardian: Address,
    /// The decision that waits, as the guard names it.
    pub incident: B256,
    /// What is said.
    pub decision: Say,
    /// Used once by this signer.
    pub nonce: U256,
    /// From when on it is not accepted any more, Unix seconds.
    pub expiry: u64,
}

/// An answer with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAnswer {
    /// What was signed.
    pub answer: Answer,
    /// 65 bytes: r, s, and 27 or 28.
    pub signature: Bytes,
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// No signature, or one that could be turned into another over the same message.
    #[error("signature: expected 65 bytes with the lower of the two values of s (EIP-2)")]
    Signature,
    /// Signed for another chain.
    #[error(
        "chain_id: the answer is for chain {found}, and the decision waits on chain {expected}"
    )]
    OtherChain {
        /// Chain of the decision.
        expected: u64,
        /// Chain of the answer.
        found: u64,
    },
    /// Signed for another guardian.
    #[error("guardian: the answer is for {found}, and the decision waits for {expected}")]
    OtherGuardian {
        /// Guardian of the decision.
        expected: Address,
        /// Guardian of the answer.
        found: Address,
    },
    /// Nothing waits under this name: it was never asked, is answered, or its deadline has passed.
    #[error("incident: nothing waits for an answer under {incident}")]
    NothingWaits {
        /// What the answer names.
        incident: B256,
    },
    /// Signed by nobody who may answer.
    #[error("signature: {signer} may not answer; `policy.approval.signers` lists who may")]
    NotListed {
        /// Who signed it.
        signer: Address,
    },
    /// It has lapsed, or lapses too late.
    #[error(
        "expiry: {found} is not after {now} and within {LONGEST_ANSWER_S} s of it (Unix seconds)"
    )]
    Lapsed {
        /// When it lapses.
        found: u64,
        /// What time it is.
        now: u64,
    },
    /// The number was used before.
    #[error("nonce: {signer} has used {nonce} before; an answer is accepted once")]
    Used {
        /// Who signed it.
        signer: Address,
        /// The number.
        nonce: U256,
    },
}

impl Answer {
    /// The hash that is signed (EIP-712).
    pub fn digest(&self) -> B256 {
        let (name, version) = DOMAIN;
        let domain = Eip712Domain::new(
            Some(name.into()),
            Some(version.into()),
            Some(U256::from(self.chain_id)),
            Some(self.guardian),
            None,
        );
        let message = typed::Answer {
            incident: self.incident,
            decision: self.decision.word().to_owned(),
            nonce: self.nonce,
            expiry: self.expiry,
        };
        message.eip712_signing_hash(&domain)
    }

    /// The parameter of `eth_signTypedData_v4` that makes a wallet sign it.
    pub fn typed_data(&self) -> Value {
        let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
        json!({
            "types": {
                "EIP712Domain": [
                    field("name", "string"),
                    field("version", "string"),
                    field("chainId", "uint256"),
                    field("verifyingContract", "address"),
                ],
                "Answer": [
                    field("incident", "bytes32"),
                    field("decision", "string"),
                    field("nonce", "uint256"),
                    field("expiry", "uint64"),
                ],
            },
            "primaryType": "Answer",
            "domain": {
                "name": DOMAIN.0,
                "version": DOMAIN.1,
                "chainId": U64::from(self.chain_id),
                "verifyingContract": self.guardian,
            },
            "message": {
                "incident": self.incident,
                "decision": self.decision,
                "nonce": self.nonce.to_string(),
                "expiry": self.expiry.to_string(),
            },
        })
    }

    /// Reads [`Answer::typed_data`] back; none where it is anything else.
    pub fn from_typed_data(data: &Value) -> Option<Self> {
        let (domain, message) = (&data["domain"], &data["message"]);
        let number = |text: &Value| text.as_str()?.parse::<u64>().ok();
        let chain_id: U64 = serde_json::from_value(domain["chainId"].clone()).ok()?;
        let answer = Self {
            chain_id: chain_id.saturating_to(),
            guardian: serde_json::from_value(domain["verifyingContract"].clone()).ok()?,
            incident: serde_json::from_value(message["incident"].clone()).ok()?,
            decision: serde_json::from_value(message["decision"].clone()).ok()?,
            nonce: U256::from_str(message["nonce"].as_str()?).ok()?,
            expiry: number(&message["expiry"])?,
        };
        // What was changed besides would have been signed otherwise.
        (answer.typed_data() == *data).then_some(answer)
    }

    /// Whether it may be accepted at `now_s`, Unix seconds.
    ///
    /// # Errors
    /// [`AnswerError::Lapsed`].
    pub fn is_timely(&self, now_s: u64) -> Result<(), AnswerError> {
        if now_s < self.expiry && self.expiry <= now_s.saturating_add(LONGEST_ANSWER_S) {
            return Ok(());
        }
        Err(AnswerError::Lapsed { found: self.expiry, now: now_s })
    }
}

impl SignedAnswer {
    /// Joins an answer and the signature that a wallet gave over it, hexadecimal.
    ///
    /// # Errors
    /// [`AnswerError::Signature`].
    pub fn joined(answer: Answer, signature: &str) -> Result<Self, AnswerError> {
        let signature = Bytes::from_str(signature.trim()).map_err(|_| AnswerError::Signature)?;
        let signed = Self { answer, signature };
        signed.signer().map(|_| signed)
    }

    /// Who signed it. A signature over anything else gives somebody else.
    ///
    /// # Errors
    /// [`AnswerError::Signature`].
    pub fn signer(&self) -> Result<Address, AnswerError> {
        let signature = Signature::from_raw(&self.signature).map_err(|_| AnswerError::Signature)?;
        if self.signature.len() != 65 || signature.normalize_s().is_some() {
            return Err(AnswerError::Signature);
        }
        signature
            .recover_address_from_prehash(&self.answer.digest())
            .map_err(|_| AnswerError::Signature)
    }
}

impl Key {
    /// Signs an answer.
    ///
    /// # Errors
    /// [`AnswerError::Signature`] where the key does not sign.
    pub fn answer(&self, answer: Answer) -> Result<SignedAnswer, AnswerError> {
        let signature = self.sign_digest(&answer.digest()).map_err(|_| AnswerError::Signature)?;
        Ok(SignedAnswer { answer, signature })
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{address, b256, keccak256};

    use super::*;
    use crate::secret::Secret;

    /// The first account of the usual development mnemonic.
    const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    const SIGNER: Address = address!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266");

    fn answer() -> Answer {
        Answer {
            chain_id: 1,
            guardian: address!("00000000000000000000000000000000000000aa"),
            incident: b256!("1111111111111111111111111111111111111111111111111111111111111111"),
            decision: Say::Approve,
            nonce: U256::from(7),
            expiry: 1_700_000_000,
        }
    }

    fn signed(answer: Answer) -> SignedAnswer {
        Key::from_env_value("KEY", &Secret::new(KEY)).unwrap().answer(answer).unwrap()
    }

    /// The digest written out as EIP-712 has it, by hand: nothing of it comes from the library under test.
    #[test]
    fn the_digest_is_the_standard_s() {
        let answer = answer();
        let word = |number: u64| B256::from(U256::from(number));
        let domain_type =
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
        let domain = keccak256(
            [
                keccak256(domain_type),
                keccak256("Portcullis"),
                keccak256("1"),
                word(1),
                answer.guardian.into_word(),
            ]
            .concat(),
        );
        let kind = "Answer(bytes32 incident,string decision,uint256 nonce,uint64 expiry)";
        let message = keccak256(
            [keccak256(kind), answer.incident, keccak256("approve"), word(7), word(1_700_000_000)]
                .concat(),
        );
        let digest =
            keccak256([b"\x19\x01".as_slice(), domain.as_slice(), message.as_slice()].concat());
        assert_eq!(answer.digest(), digest);
    }

    #[test]
    fn every_field_is_signed() {
        let whole = signed(answer());
        assert_eq!(whole.signer(), Ok(SIGNER));
        let others = [
            Answer { chain_id: 2, ..answer() },
            Answer { guardian: Address::ZERO, ..answer() },
            Answer { incident: B256::ZERO, ..answer() },
            Answer { decision: Say::Veto, ..answer() },
            Answer { nonce: U256::from(8), ..answer() },
            Answer { expiry: 1_700_000_001, ..answer() },
        ];
        for other in others {
            let forged = SignedAnswer { answer: other, ..whole.clone() };
            assert_ne!(forged.signer(), Ok(SIGNER), "{:?}", forged.answer);
        }
    }

    #[test]
    fn typed_data_reads_back_whole_and_nothing_else_does() {
        let data = answer().typed_data();
        assert_eq!(Answer::from_typed_data(&data), Some(answer()));
        for (at, other) in
            [("/message/nonce", "8x"), ("/domain/version", "2"), ("/message/decision", "yes")]
        {
            let mut changed = data.clone();
            *changed.pointer_mut(at).unwrap() = json!(other);
            assert_eq!(Answer::from_typed_data(&changed), None, "{at}");
        }
    }

    #[test]
    fn a_signature_cannot_be_turned_into_another() {
        let whole = signed(answer());
        let other = Signature::from_raw(&whole.signature).unwrap();
        // The same point with the other s and parity (EIP-2).
        let order =
            U256::from_str("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
                .unwrap();
        let turned = Signature::new(other.r(), order - other.s(), !other.v());
        let turned = SignedAnswer { signature: turned.as_bytes().into(), ..whole.clone() };
        assert_eq!(turned.signer(), Err(AnswerError::Signature));
        for cut in [0, 64, 66] {
            let mut bytes = whole.signature.to_vec();
            bytes.resize(cut, 0);
            let cut = SignedAnswer { signature: bytes.into(), ..whole.clone() };
            assert_eq!(cut.signer(), Err(AnswerError::Signature));
        }
        assert_eq!(SignedAnswer::joined(answer(), "0xzz"), Err(AnswerError::Signature));
        assert_eq!(SignedAnswer::joined(answer(), &whole.signature.to_string()), Ok(whole));
    }

    #[test]
    fn an_answer_lapses_and_none_is_good_for_ever() {
        let answer = answer();
        assert_eq!(answer.is_timely(1_699_999_999), Ok(()));
        assert!(answer.is_timely(1_700_000_000).is_err());
        assert_eq!(answer.is_timely(1_700_000_000 - LONGEST_ANSWER_S), Ok(()));
        assert!(answer.is_timely(1_700_000_000 - LONGEST_ANSWER_S - 1).is_err());
    }
}
