//! What people answered, so that no answer is accepted twice: not by another process, and not after a restart.

use alloy::primitives::{Address, B256, U256};
use rusqlite::params;

use super::{Journal, JournalError, integer, storage};

/// An answer that is about to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedAnswer {
    /// Who signed it.
    pub signer: Address,
    /// The signer's number, which is used up with it.
    pub nonce: U256,
    /// The decision that it is meant for.
    pub incident: B256,
    /// `approve` or `veto`.
    pub decision: String,
    /// When it is accepted, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Journal {
    /// Uses an answer's number up; false where it was used before. When this returns, the answer survives the death
    /// of the process and a power cut alike.
    ///
    /// # Errors
    /// [`JournalError::BadValue`], [`JournalError::Full`], [`JournalError::Storage`]; then nothing is accepted.
    pub fn accept_answer(&self, answer: &AcceptedAnswer) -> Result<bool, JournalError> {
        const ACCEPT: &str = "INSERT INTO answers (signer, nonce, incident, decision, at_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (signer, nonce) DO NOTHING";
        let failed = |source| storage(self.path(), source);
        // The file's usual setting may lose its last rows with the power, and this one must not be lost.
        self.connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        let accepted = self
            .connection
            .execute(
                ACCEPT,
                params![
                    answer.signer.as_slice(),
                    answer.nonce.to_be_bytes::<32>(),
                    answer.incident.as_slice(),
                    answer.decision,
                    integer("at_ms", answer.at_ms)?,
                ],
            )
            .map_err(failed)?;
        Ok(accepted == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_once_by_each_signer_also_over_another_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let answer = |signer: u8, nonce: u64| AcceptedAnswer {
            signer: Address::repeat_byte(signer),
            nonce: U256::from(nonce),
            incident: B256::repeat_byte(9),
            decision: "veto".into(),
            at_ms: 1,
        };
        let first = Journal::open(&path).unwrap();
        assert!(first.accept_answer(&answer(1, 7)).unwrap());
        assert!(!first.accept_answer(&answer(1, 7)).unwrap());
        let other = Journal::open(&path).unwrap();
        assert!(!other.accept_answer(&answer(1, 7)).unwrap());
        assert!(other.accept_answer(&answer(2, 7)).unwrap(), "numbers are each signer's own");
        drop((first, other));
        let later = Journal::open(&path).unwrap();
        assert!(!later.accept_answer(&answer(2, 7)).unwrap());
        assert!(later.accept_answer(&answer(2, 8)).unwrap());
    }
}
