//! What people should have been told and were not, until somebody sends it again.

use rusqlite::params;

use super::{Journal, JournalError, ROW_VERSION, integer, storage};
use crate::record::DeadLetter;

impl Journal {
    /// Writes down what people were not told.
    ///
    /// # Errors
    /// [`JournalError::BadValue`], [`JournalError::Full`], [`JournalError::Storage`].
    pub fn append_dead_letter(&self, letter: &DeadLetter) -> Result<(), JournalError> {
        const INSERT: &str = "INSERT INTO dead_letters (version, at_ms, channel, is_over, alert, failure, attempts) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let at_ms = integer("at_ms", letter.at_ms)?;
        let alert = letter.alert.to_string();
        self.insert(
            INSERT,
            params![
                ROW_VERSION,
                at_ms,
                letter.channel,
                letter.is_over,
                alert,
                letter.failure,
                letter.attempts
            ],
        )
    }

    /// What nobody has sent again so far, the oldest first, each with its number.
    ///
    /// # Errors
    /// [`JournalError::NewerRow`], [`JournalError::Corrupt`], [`JournalError::Storage`].
    pub fn dead_letters(&self) -> Result<Vec<(u64, DeadLetter)>, JournalError> {
        const SELECT: &str = "SELECT * FROM dead_letters WHERE resent_at_ms IS NULL ORDER BY id";
        self.select("dead letter", SELECT, params![], |row| {
            let attempts = row.integer("attempts")?;
            let letter = DeadLetter {
                at_ms: row.integer("at_ms")?,
                channel: row.get("channel")?,
                is_over: row.integer("is_over")? != 0,
                alert: row.json("alert")?,
                failure: row.text("failure")?,
                attempts: u32::try_from(attempts).map_err(|_| {
                    row.corrupt("attempts", format!("expected a count, found {attempts}"))
                })?,
            };
            Ok((row.integer("id")?, letter))
        })
    }

    /// Notes that one of them has arrived after all.
    ///
    /// # Errors
    /// [`JournalError::BadValue`], [`JournalError::Full`], [`JournalError::Storage`].
    pub fn note_resent(&self, number: u64, at_ms: u64) -> Result<(), JournalError> {
        const RESENT: &str = "UPDATE dead_letters SET resent_at_ms = ?2 WHERE id = ?1";
        self.connection
            .execute(RESENT, params![integer("id", number)?, integer("resent_at_ms", at_ms)?])
            .map(|_| ())
            .map_err(|source| storage(self.path(), source))
    }
}
