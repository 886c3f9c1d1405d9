//! The pauser's key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use thiserror::Error;

use crate::secret::Secret;

/// A file that holds a key is a few hundred bytes; a larger one is something else.
const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// A private key that signs transactions; prints as its address and `****`.
#[derive(Clone)]
pub struct Key {
    signer: PrivateKeySigner,
}

/// Why a key could not be taken. Never holds any part of the key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The value is not a private key.
    #[error("{origin}: not a private key: expected 32 bytes in hexadecimal")]
    Malformed {
        /// Where the value came from.
        origin: String,
    },
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The file is no keystore, or the password is wrong.
    #[error("{path}: keystore not opened: {reason}")]
    Keystore {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

impl Key {
    /// Takes a key from the value of an environment variable, with or without `0x`.
    ///
    /// # Errors
    /// [`KeyError::Malformed`], which names the variable and never the value.
    pub fn from_env_value(variable: &str, value: &Secret) -> Result<Self, KeyError> {
        Self::parse(value.expose()).ok_or_else(|| KeyError::Malformed {
            origin: format!("environment variable {variable}"),
        })
    }

    /// Takes a key from a file that holds nothing else.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`], [`KeyError::Malformed`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let text = read(path)?;
        Self::parse(&text).ok_or_else(|| KeyError::Malformed { origin: path.display().to_string() })
    }

    /// Decrypts a keystore file (Web3 Secret Storage, version 3). Takes about a second by design.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`], [`KeyError::Keystore`].
    pub fn from_keystore(path: impl AsRef<Path>, password: &Secret) -> Result<Self, KeyError> {
        let path = path.as_ref();
        // Read once before, so that a missing or huge file is told apart from a wrong password.
        read(path)?;
        PrivateKeySigner::decrypt_keystore(path, password.expose())
            .map(|signer| Self { signer })
            .map_err(|error| KeyError::Keystore {
                path: path.to_owned(),
                reason: error.to_string(),
            })
    }

    /// The account of this key.
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = B256::from_str(text.trim()).ok()?;
        PrivateKeySigner::from_bytes(&bytes).ok().map(|signer| Self { signer })
    }

    /// Signs; deterministic, so that the same transaction always has the same hash.
    pub(super) fn sign(&self, transaction: TxEip1559) -> Result<TxEnvelope, String> {
        let signature = self
            .signer
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(|error| error.to_string())?;
        Ok(transaction.into_signed(signature).into())
    }
}

impl Key {
    /// A key of its own that only tells relays who is asking: it is made from this one, cannot be turned back into
    /// it, and never signs a transaction.
    #[must_use]
    pub fn relay_identity(&self) -> Self {
        let made = keccak256([self.signer.to_bytes().as_slice(), b"relay identity"].concat());
        // One in 2^128 is no key; then the pauser itself asks.
        let signer = PrivateKeySigner::from_bytes(&made).unwrap_or_else(|_| self.signer.clone());
        Self { signer }
    }

    /// Signs a hash: r, s, and 27 or 28.
    pub(super) fn sign_digest(&self, digest: &B256) -> Result<Bytes, String> {
        let signature = self.signer.sign_hash_sync(digest).map_err(|error| error.to_string())?;
        Ok(signature.as_bytes().into())
    }

    /// Signs a text as EIP-191 has it; hexadecimal with `0x`.
    pub(super) fn sign_message(&self, message: &[u8]) -> Result<String, String> {
        let signature =
            self.signer.sign_message_sync(message).map_err(|error| error.to_string())?;
        Ok(alloy::hex::encode_prefixed(signature.as_bytes()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, ****)", self.address())
    }
}

fn read(path: &Path) -> Result<String, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_KEY_FILE_BYTES {
        let reason = format!("expected at most {MAX_KEY_FILE_BYTES} bytes");
        return Err(unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, reason)));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}
