//! A signed transaction as the guard sees it: sender and hash are our own work, never the node's word.

use std::sync::Arc;

use alloy::{
    consensus::{
        Signed, Transaction as _, TxEip4844Variant, TxEnvelope, transaction::SignerRecoverable as _,
    },
    eips::eip2718::{Decodable2718 as _, Encodable2718 as _},
    primitives::{Address, B256, Bytes, U256, keccak256},
};

use super::Refusal;

/// Longest encoded transaction that is looked at, bytes: a blob transaction with its sidecar fits.
pub const TRANSACTION_LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// A signed transaction, pending or mined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingTransaction {
    /// What was signed; types 0 to 4.
    pub envelope: TxEnvelope,
    /// Sender, recovered from the signature here.
    pub sender: Address,
    /// Hash, computed here.
    pub hash: B256,
    /// When it was first seen, milliseconds since the epoch, by the source's clock.
    pub seen_at_ms: u64,
    /// Name of the node that told of it; `recording` for a replay.
    pub node: Arc<str>,
}

impl PendingTransaction {
    /// Takes an envelope over: recovers the sender and computes the hash.
    ///
    /// # Errors
    /// [`Refusal::Signature`] when no sender can be recovered.
    pub fn from_envelope(
        envelope: TxEnvelope,
        seen_at_ms: u64,
        node: Arc<str>,
    ) -> Result<Self, Refusal> {
        let envelope = without_sidecar(envelope);
        let sender = envelope
            .recover_signer()
            .map_err(|error| Refusal::Signature { detail: error.to_string() })?;
        let hash = keccak256(envelope.encoded_2718());
        Ok(Self { envelope, sender, hash, seen_at_ms, node })
    }

    /// The transaction in its EIP-2718 encoding.
    pub fn raw(&self) -> Bytes {
        self.envelope.encoded_2718().into()
    }

    /// Receiver; none for a creation.
    pub fn to(&self) -> Option<Address> {
        self.envelope.to()
    }

    /// Sender's nonce.
    pub fn nonce(&self) -> u64 {
        self.envelope.nonce()
    }

    /// Ether sent, wei.
    pub fn value_wei(&self) -> U256 {
        self.envelope.value()
    }

    /// Calldata or init code.
    pub fn input(&self) -> &Bytes {
        self.envelope.input()
    }

    /// Gas limit.
    pub fn gas_limit(&self) -> u64 {
        self.envelope.gas_limit()
    }

    /// `maxFeePerGas`, or `gasPrice` of a legacy transaction, wei.
    pub fn max_fee_per_gas_wei(&self) -> u128 {
        self.envelope.max_fee_per_gas()
    }

    /// `maxPriorityFeePerGas`, or `gasPrice` of a legacy transaction, wei.
    pub fn max_priority_fee_per_gas_wei(&self) -> u128 {
        self.envelope.max_priority_fee_per_gas().unwrap_or_else(|| self.envelope.max_fee_per_gas())
    }
}

/// Blobs are not run and not part of the hash.
fn without_sidecar(envelope: TxEnvelope) -> TxEnvelope {
    match envelope {
        TxEnvelope::Eip4844(signed) => {
            let (tx, signature, hash) = signed.into_parts();
            TxEnvelope::Eip4844(Signed::new_unchecked(
                TxEip4844Variant::TxEip4844(tx.into()),
                signature,
                hash,
            ))
        }
        other => other,
    }
}

/// Decodes one EIP-2718 encoded transaction, recovers its sender and computes its hash.
///
/// `seen_at_ms` is zero and the node is named `raw`; callers that know better set both.
///
/// # Errors
/// [`Refusal::TooLong`], [`Refusal::Undecodable`] or [`Refusal::Signature`].
pub fn decode_raw(raw: &[u8]) -> Result<PendingTransaction, Refusal> {
    if raw.len() > TRANSACTION_LIMIT_BYTES {
        return Err(Refusal::TooLong { bytes: raw.len(), limit: TRANSACTION_LIMIT_BYTES });
    }
    let mut rest = raw;
    let envelope = TxEnvelope::decode_2718(&mut rest)
        .map_err(|error| Refusal::Undecodable { detail: error.to_string() })?;
    if !rest.is_empty() {
        return Err(Refusal::Undecodable { detail: format!("{} bytes after its end", rest.len()) });
    }
    PendingTransaction::from_envelope(envelope, 0, "raw".into())
}
