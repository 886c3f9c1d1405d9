//! An account of a story: a key made from a name, and the next nonce.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy::signers::local::PrivateKeySigner;

/// An account whose key everyone can compute; it must never hold anything of value.
#[derive(Debug)]
pub struct Account {
    signer: PrivateKeySigner,
    chain_id: u64,
    nonce: u64,
    max_fee: u128,
    tip: u128,
}

impl Account {
    /// The account called `name`, at nonce 0.
    pub(super) fn named(name: &str, chain_id: u64) -> Self {
        let key = keccak256(format!("portcullis story: {name}"));
        let signer =
            PrivateKeySigner::from_bytes(&key).expect("a hash is a valid key but for 2^-128");
        let gwei = 1_000_000_000;
        Self { signer, chain_id, nonce: 0, max_fee: 20 * gwei, tip: gwei }
    }

    /// Its address.
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// Its private key, hex without prefix.
    pub fn private_key(&self) -> String {
        alloy::hex::encode(self.signer.to_bytes())
    }

    /// The address of the contract that its transaction number `nonce` creates.
    pub(super) fn creates_at(&self, nonce: u64) -> Address {
        self.address().create(nonce)
    }

    /// Its next nonce.
    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Changes what it pays from now on, wei per gas.
    pub(super) fn fees(&mut self, max_fee: u128, tip: u128) {
        (self.max_fee, self.tip) = (max_fee, tip);
    }

    /// Signs a call with the next nonce: EIP-2718 bytes and hash.
    pub(super) fn call(
        &mut self,
        to: Address,
        value: U256,
        data: Vec<u8>,
        gas_limit: u64,
    ) -> (Bytes, B256) {
        self.sign(TxKind::Call(to), value, data, gas_limit)
    }

    /// Signs a contract creation with the next nonce: EIP-2718 bytes and hash.
    pub(super) fn create(&mut self, code: Vec<u8>, value: U256, gas_limit: u64) -> (Bytes, B256) {
        self.sign(TxKind::Create, value, code, gas_limit)
    }

    fn sign(&mut self, to: TxKind, value: U256, input: Vec<u8>, gas_limit: u64) -> (Bytes, B256) {
        let mut tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit,
            max_fee_per_gas: self.max_fee,
            max_priority_fee_per_gas: self.tip,
            to,
            value,
            access_list: Default::default(),
            input: input.into(),
        };
        self.nonce += 1;
        // Signing with a key in memory has nothing that could fail; RFC 6979 makes it the same each time.
        let signature = self.signer.sign_transaction_sync(&mut tx).expect("a local key signs");
        let envelope = TxEnvelope::from(tx.into_signed(signature));
        (envelope.encoded_2718().into(), *envelope.tx_hash())
    }
}
