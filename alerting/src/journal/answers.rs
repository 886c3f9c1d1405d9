//! What people answered, so that no answer is accepted twice: not by another process, and not after a restart. And what
//! they were asked and is not settled, so that an answer counts after a restart for what was asked before it.

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

/// A pause that people were asked about and that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// Its name in answers.
    pub incident: B256,
    /// What whoever asked needs to go on.
    pub body: String,
    /// The answer that was accepted before the guard ended: `approve` or `veto`, and by whom. A veto where there are
    /// both.
    pub answer: Option<(String, Address)>,
}

impl Journal {
    /// Writes down that people are asked; `body` is what is needed to go on after a restart.
    ///
    /// # Errors
    /// [`JournalError::Full`], [`JournalError::Storage`].
    pub fn keep_waiting(&self, incident: B256, body: &str) -> Result<(), JournalError> {
        const KEEP: &str = "INSERT OR REPLACE INTO waiting (incident, body) VALUES (?1, ?2)";
        self.insert(KEEP, params![incident.as_slice(), body])
    }

    /// Notes that it is settled what becomes of it. When this returns, no restart brings it back.
    ///
    /// # Errors
    /// [`JournalError::Full`], [`JournalError::Storage`].
    pub fn end_waiting(&self, incident: B256) -> Result<(), JournalError> {
        const END: &str = "DELETE FROM waiting WHERE incident = ?1";
        let durable = self.connection.pragma_update(None, "synchronous", "FULL");
        durable.map_err(|source| storage(self.path(), source))?;
        self.insert(END, params![incident.as_slice()])
    }

    /// What people were asked by a guard that has ended since.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub fn unsettled(&self) -> Result<Vec<Unsettled>, JournalError> {
        // `veto` comes after `approve` in the alphabet as well.
        const SELECT: &str = "SELECT waiting.incident, body, max(decision), signer FROM waiting \
             LEFT JOIN answers ON answers.incident = waiting.incident GROUP BY waiting.incident";
        let read = || -> rusqlite::Result<Vec<Unsettled>> {
            let mut statement = self.connection.prepare(SELECT)?;
            let rows = statement.query_map([], |row| {
                let decision: Option<String> = row.get(2)?;
                let signer: Option<[u8; 20]> = row.get(3)?;
                Ok(Unsettled {
                    incident: B256::new(row.get(0)?),
                    body: row.get(1)?,
                    answer: decision.zip(signer.map(Address::new)),
                })
            })?;
            rows.collect()
        };
        read().map_err(|source| storage(self.path(), source))
    }

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
    fn what_waits_is_there_after_a_restart_with_its_answer_until_it_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let incident = B256::repeat_byte;
        let journal = Journal::open(&path).unwrap();
        for byte in 1..=4 {
            journal.keep_waiting(incident(byte), &format!("body {byte}")).unwrap();
        }
        for (byte, signer, decision) in [(2, 7, "approve"), (3, 8, "veto"), (3, 9, "approve")] {
            let accepted = journal.accept_answer(&AcceptedAnswer {
                signer: Address::repeat_byte(signer),
                nonce: U256::from(byte),
                incident: incident(byte),
                decision: decision.into(),
                at_ms: 1,
            });
            assert!(accepted.unwrap());
        }
        journal.end_waiting(incident(4)).unwrap();
        drop(journal);
        let found = Journal::open(&path).unwrap().unsettled().unwrap();
        let answers: Vec<_> = found.iter().map(|row| (row.incident, row.answer.clone())).collect();
        let said = |word: &str, byte| Some((word.to_owned(), Address::repeat_byte(byte)));
        let expected = [
            (incident(1), None),
            (incident(2), said("approve", 7)),
            (incident(3), said("veto", 8)),
        ];
        assert_eq!(answers, expected);
        assert_eq!(found[0].body, "body 1");
    }

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
