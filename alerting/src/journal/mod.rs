//! What was judged, on which evidence, and what was done about it, in one SQLite file; and, where many guards or a
//! long history ask for it, in a ClickHouse server that the file is shipped to.
//!
//! The file is opened in WAL mode: readers (`portcullis journal ...`) and one writer work side by side, and a
//! committed row survives the death of the process. Its schema carries a version; each row carries the version of
//! its own format. Both are refused when they are newer than this program.

mod answers;
pub mod clickhouse;
mod letters;
mod schema;
mod spool;
mod standing;
mod stats;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::{Address, B256};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, ToSql, params};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::record::{ActionRow, DeadLetter, Decision, Evidence, VerdictRow};

pub use answers::{AcceptedAnswer, Unsettled};
pub use stats::{DayStats, JournalStats, StatsCount};
pub use writer::{JournalHealth, JournalWriter, WriterLimits};

/// Version of the row formats that this program writes, and the newest that it reads.
pub const ROW_VERSION: u32 = 1;

/// How long a statement waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// An open journal file.
#[derive(Debug)]
pub struct Journal {
    connection: Connection,
    path: PathBuf,
}

/// One row of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum JournalRow {
    /// One per judged transaction.
    Verdict(VerdictRow),
    /// Full evidence, where it matters.
    Evidence(Box<Evidence>),
    /// What was done after a decision.
    Action(ActionRow),
    /// What people were not told.
    DeadLetter(DeadLetter),
}

/// Which verdicts to read; what is left out does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerdictFilter {
    /// Name of the chain in the configuration.
    pub chain: Option<String>,
    /// Only this transaction.
    pub tx_hash: Option<B256>,
    /// Only transactions to this receiver.
    pub to: Option<Address>,
    /// Only where the policy would have decided this or more, were it armed.
    pub would_decide_at_least: Option<Decision>,
    /// First seen at or after, milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// First seen before, milliseconds since the Unix epoch.
    pub until_ms: Option<u64>,
    /// At most this many, the newest first.
    pub limit: Option<u32>,
    /// Only what was judged as it happened, nothing of a replay.
    pub live_only: bool,
}

/// Why the journal could not be opened, written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file is something else: another program's database, or no database at all.
    #[error("{path}: not a portcullis journal: {reason}")]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The file was written by a newer program.
    #[error("{path}: journal schema version {found}, this program knows up to {known}")]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Newest version that this program knows.
        known: i64,
    },
    /// A row was written by a newer program.
    #[error("{path}: {table} row {id} has version {found}, this program knows up to {ROW_VERSION}")]
    NewerRow {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The row.
        id: i64,
        /// Version of the row.
        found: i64,
    },
    /// A value cannot be stored; the fault is in the row.
    #[error("row not journalled: {field}: {reason}")]
    BadValue {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A stored value cannot be read.
    #[error("{path}: {table} row {id}: {field}: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The row.
        id: i64,
        /// The column.
        field: &'static str,
        /// What was wrong and what was expected.
        reason: String,
    },
    /// The disk, or the configured size limit, has no room left.
    #[error("{path}: no room left for the journal")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The ClickHouse server cannot be reached, refuses, or answers what it should not.
    #[error("{server}: {doing}: {reason}")]
    Server {
        /// Its address, without credentials.
        server: String,
        /// What was attempted.
        doing: &'static str,
        /// The server's or the connection's own words.
        reason: String,
    },
    /// Another process ships this journal.
    #[error("{path}: another process ships this journal")]
    ShippedElsewhere {
        /// The file.
        path: PathBuf,
    },
    /// The system starts no thread for the writer.
    #[error("{path}: no thread for the journal: {reason}")]
    Thread {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        reason: String,
    },
    /// SQLite failed otherwise: no permission, an I/O error, a lock held too long.
    #[error("{path}: {source}")]
    Storage {
        /// The file.
        path: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },
}

impl Journal {
    /// Opens the file, creates it where it is missing, and brings an older schema up to date.
    ///
    /// # Errors
    /// [`JournalError::NotAJournal`], [`JournalError::NewerSchema`], [`JournalError::Storage`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut journal = Self::connect(path.as_ref(), flags)?;
        schema::migrate(&mut journal.connection, &journal.path)?;
        Ok(journal)
    }

    /// Opens an existing file for reading; it is neither created nor changed.
    ///
    /// # Errors
    /// As [`Journal::open`]; a missing file is [`JournalError::Storage`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let journal = Self::connect(
            path.as_ref(),
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        schema::check(&journal.connection, &journal.path)?;
        Ok(journal)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, JournalError> {
        let path = path.to_owned();
        let connection = Connection::open_with_flags(&path, flags)
            .and_then(|connection| connection.busy_timeout(BUSY_TIMEOUT).map(|()| connection))
            .map_err(|source| storage(&path, source))?;
        Ok(Self { connection, path })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to let the file grow beyond about `max_bytes` through this connection.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub fn limit_bytes(&self, max_bytes: u64) -> Result<(), JournalError> {
        let read = || -> rusqlite::Result<()> {
            let page_bytes: i64 =
                self.connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages = max_bytes / u64::try_from(page_bytes).unwrap_or(4096).max(1);
            let pages = i64::try_from(pages).unwrap_or(i64::MAX).clamp(1, i64::from(u32::MAX) - 1);
            self.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
        };
        read().map_err(|source| storage(&self.path, source))
    }

    /// Writes one verdict.
    ///
    /// # Errors
    /// [`JournalError::BadValue`], [`JournalError::Full`], [`JournalError::Storage`].
    pub fn append_verdict(&self, row: &VerdictRow) -> Result<(), JournalError> {
        let cells: [&dyn ToSql; 19] = [
            &ROW_VERSION,
            &row.chain,
            &integer("chain_id", row.chain_id)?,
            &integer("block", row.block)?,
            &row.tx_hash.as_slice(),
            &row.from.as_slice(),
            &row.to.as_ref().map(|to| to.as_slice()),
            &integer("seen_at_ms", row.seen_at_ms)?,
            &integer("latency_us", row.latency_us)?,
            &word("outcome", &row.outcome)?,
            &word("decision", &row.decision)?,
            &word("would_decide", &row.would_decide)?,
            &word("mode", &row.mode)?,
            &row.score.map(f64::from),
            &row.reason,
            &row.is_mined,
            &names("touched", &row.touched)?,
            &names("would_pause", &row.would_pause)?,
            &row.is_replay,
        ];
        self.insert(schema::INSERT_VERDICT, &cells)
    }

    /// Writes the evidence for one transaction.
    ///
    /// # Errors
    /// [`JournalError::BadValue`], [`JournalError::Full`], [`JournalError::Storage`].
    pub fn append_evidence(&self, evidence: &Evidence) -> Result<(), JournalError> {
        let body = serde_json::to_string(evidence).map_err(|error| JournalError::BadValue {
            field: "evidence",
            reason: error.to_string(),
        })?;
        self.insert(schema::INSERT_EVIDENCE, &[&ROW_VERSION, &evidence.tx_hash.as_slice(), &body])
    }

    /// Writes one action.
    ///
    /// # Errors
    /// [`JournalError::BadValue`], [`JournalError::Full`], [`JournalError::Storage`].
    pub fn append_action(&self, row: &ActionRow) -> Result<(), JournalError> {
        let cells: [&dyn ToSql; 7] = [
            &ROW_VERSION,
            &integer("at_ms", row.at_ms)?,
            &row.chain,
            &row.tx_hash.as_slice(),
            &row.kind,
            &row.detail,
            &row.action_tx_hash.as_ref().map(|hash| hash.as_slice()),
        ];
        self.insert(schema::INSERT_ACTION, &cells)
    }

    /// Writes all rows in one transaction, or none of them.
    ///
    /// # Errors
    /// Those of the single rows.
    pub fn append_batch(&self, rows: &[JournalRow]) -> Result<(), JournalError> {
        let transaction = self
            .connection
            .unchecked_transaction()
            .map_err(|source| storage(&self.path, source))?;
        for row in rows {
            self.append(row)?;
        }
        transaction.commit().map_err(|source| storage(&self.path, source))
    }

    fn append(&self, row: &JournalRow) -> Result<(), JournalError> {
        match row {
            JournalRow::Verdict(row) => self.append_verdict(row),
            JournalRow::Evidence(evidence) => self.append_evidence(evidence),
            JournalRow::Action(row) => self.append_action(row),
            JournalRow::DeadLetter(letter) => self.append_dead_letter(letter),
        }
    }

    /// Verdicts, the newest first.
    ///
    /// # Errors
    /// [`JournalError::NewerRow`], [`JournalError::Corrupt`], [`JournalError::Storage`].
    pub fn verdicts(&self, filter: &VerdictFilter) -> Result<Vec<VerdictRow>, JournalError> {
        let mut rows = Vec::new();
        self.visit_verdicts(filter, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Hands over verdicts one by one, the newest first, without holding them all; ends at the first error of
    /// `take`.
    ///
    /// # Errors
    /// Those of [`Journal::verdicts`], and those of `take`.
    pub fn visit_verdicts<E: From<JournalError>>(
        &self,
        filter: &VerdictFilter,
        take: impl FnMut(VerdictRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let since_ms = filter.since_ms.map(clamp);
        let until_ms = filter.until_ms.map(clamp);
        // Decisions are stored as words; this is their order.
        let floor = match filter.would_decide_at_least {
            None | Some(Decision::None) => 0,
            Some(Decision::Alert) => 1,
            Some(Decision::Pause) => 2,
        };
        let cells = params![
            filter.chain,
            filter.tx_hash.as_ref().map(|hash| hash.as_slice()),
            filter.to.as_ref().map(|to| to.as_slice()),
            since_ms,
            until_ms,
            floor,
            filter.limit.map_or(-1, i64::from),
            filter.live_only,
        ];
        self.visit("verdict", schema::SELECT_VERDICTS, cells, |row| row.verdict(), take)
    }

    /// The evidence of one transaction, in the order in which it was written.
    ///
    /// # Errors
    /// [`JournalError::NewerRow`], [`JournalError::Corrupt`], [`JournalError::Storage`].
    pub fn evidence(&self, tx_hash: B256) -> Result<Vec<Evidence>, JournalError> {
        self.select("evidence", schema::SELECT_EVIDENCE, params![tx_hash.as_slice()], |row| {
            row.json("body")
        })
    }

    /// What was done about one transaction, in the order in which it was written.
    ///
    /// # Errors
    /// [`JournalError::NewerRow`], [`JournalError::Corrupt`], [`JournalError::Storage`].
    pub fn actions(&self, tx_hash: B256) -> Result<Vec<ActionRow>, JournalError> {
        self.select("action", schema::SELECT_ACTIONS, params![tx_hash.as_slice()], |row| {
            row.action()
        })
    }

    fn insert(&self, statement: &'static str, cells: &[&dyn ToSql]) -> Result<(), JournalError> {
        self.connection
            .prepare_cached(statement)
            .and_then(|mut statement| statement.execute(cells))
            .map(|_| ())
            .map_err(|source| storage(&self.path, source))
    }

    fn select<T>(
        &self,
        table: &'static str,
        statement: &str,
        cells: &[&dyn ToSql],
        read: impl Fn(&Cells<'_>) -> Result<T, JournalError>,
    ) -> Result<Vec<T>, JournalError> {
        let mut found = Vec::new();
        self.visit(table, statement, cells, read, |row| {
            found.push(row);
            Ok::<_, JournalError>(())
        })?;
        Ok(found)
    }

    fn visit<T, E: From<JournalError>>(
        &self,
        table: &'static str,
        statement: &str,
        cells: &[&dyn ToSql],
        read: impl Fn(&Cells<'_>) -> Result<T, JournalError>,
        mut take: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source| storage(&self.path, source);
        let mut statement = self.connection.prepare_cached(statement).map_err(failed)?;
        let mut rows = statement.query(cells).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let id = row.get("id").map_err(failed)?;
            let version: i64 = row.get("version").map_err(failed)?;
            if version > i64::from(ROW_VERSION) {
                return Err(JournalError::NewerRow {
                    path: self.path.clone(),
                    table,
                    id,
                    found: version,
                }
                .into());
            }
            take(read(&Cells { row, path: &self.path, table, id })?)?;
        }
        Ok(())
    }
}

/// One stored row, and the words to say which.
struct Cells<'a> {
    row: &'a Row<'a>,
    path: &'a Path,
    table: &'static str,
    id: i64,
}

impl Cells<'_> {
    fn verdict(&self) -> Result<VerdictRow, JournalError> {
        Ok(VerdictRow {
            chain: self.text("chain")?,
            chain_id: self.integer("chain_id")?,
            block: self.integer("block")?,
            tx_hash: self.hash("tx_hash")?,
            from: self.address("sender")?,
            to: self
                .optional("receiver")?
                .map(|bytes| self.exact("receiver", bytes))
                .transpose()?
                .map(Address::new),
            seen_at_ms: self.integer("seen_at_ms")?,
            latency_us: self.integer("latency_us")?,
            outcome: self.word("outcome")?,
            decision: self.word("decision")?,
            would_decide: self.word("would_decide")?,
            mode: self.word("mode")?,
            score: self.score("score")?,
            reason: self.text("reason")?,
            is_mined: self.integer("is_mined")? != 0,
            touched: self.names("touched")?,
            would_pause: self.names("would_pause")?,
            is_replay: self.integer("is_replay")? != 0,
        })
    }

    fn action(&self) -> Result<ActionRow, JournalError> {
        Ok(ActionRow {
            at_ms: self.integer("at_ms")?,
            chain: self.text("chain")?,
            tx_hash: self.hash("tx_hash")?,
            kind: self.text("kind")?,
            detail: self.text("detail")?,
            action_tx_hash: self
                .optional("action_tx_hash")?
                .map(|bytes| self.exact("action_tx_hash", bytes))
                .transpose()?
                .map(B256::new),
        })
    }

    fn get<T: rusqlite::types::FromSql>(&self, field: &'static str) -> Result<T, JournalError> {
        self.row.get(field).map_err(|error| self.corrupt(field, error.to_string()))
    }

    fn text(&self, field: &'static str) -> Result<String, JournalError> {
        self.get(field)
    }

    fn integer(&self, field: &'static str) -> Result<u64, JournalError> {
        let value: i64 = self.get(field)?;
        u64::try_from(value)
            .map_err(|_| self.corrupt(field, format!("expected a count, found {value}")))
    }

    fn optional(&self, field: &'static str) -> Result<Option<Vec<u8>>, JournalError> {
        self.get(field)
    }

    fn exact<const N: usize>(
        &self,
        field: &'static str,
        bytes: Vec<u8>,
    ) -> Result<[u8; N], JournalError> {
        let found = bytes.len();
        bytes
            .try_into()
            .map_err(|_| self.corrupt(field, format!("expected {N} bytes, found {found}")))
    }

    fn hash(&self, field: &'static str) -> Result<B256, JournalError> {
        let bytes = self.get(field)?;
        self.exact(field, bytes).map(B256::new)
    }

    fn address(&self, field: &'static str) -> Result<Address, JournalError> {
        let bytes = self.get(field)?;
        self.exact(field, bytes).map(Address::new)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the stored double was written from a single"
    )]
    fn score(&self, field: &'static str) -> Result<Option<f32>, JournalError> {
        Ok(self.get::<Option<f64>>(field)?.map(|score| score as f32))
    }

    fn word<T: DeserializeOwned>(&self, field: &'static str) -> Result<T, JournalError> {
        let text = self.text(field)?;
        serde_json::from_value(serde_json::Value::String(text))
            .map_err(|error| self.corrupt(field, error.to_string()))
    }

    fn json<T: DeserializeOwned>(&self, field: &'static str) -> Result<T, JournalError> {
        let text = self.text(field)?;
        serde_json::from_str(&text).map_err(|error| self.corrupt(field, error.to_string()))
    }

    /// A list of names; none where the row is older than the list.
    fn names(&self, field: &'static str) -> Result<Vec<String>, JournalError> {
        let text: Option<String> = self.get(field)?;
        let read = |text: String| serde_json::from_str(&text);
        let names = text.map(read).transpose();
        names.map(Option::unwrap_or_default).map_err(|error| self.corrupt(field, error.to_string()))
    }

    fn corrupt(&self, field: &'static str, reason: String) -> JournalError {
        JournalError::Corrupt {
            path: self.path.to_owned(),
            table: self.table,
            id: self.id,
            field,
            reason,
        }
    }
}

/// JSON schema of the rows: an object with one property per kind.
pub fn row_schema() -> serde_json::Value {
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "named only to give each kind of row its place in the schema")]
    struct Rows {
        verdict: VerdictRow,
        evidence: Evidence,
        action: ActionRow,
        dead_letter: DeadLetter,
    }
    let mut schema = schemars::schema_for!(Rows).to_value();
    schema["title"] = format!("portcullis journal rows, version {ROW_VERSION}").into();
    schema
}

fn names(field: &'static str, names: &[String]) -> Result<String, JournalError> {
    serde_json::to_string(names)
        .map_err(|error| JournalError::BadValue { field, reason: error.to_string() })
}

/// SQLite's integers are signed.
fn integer(field: &'static str, value: u64) -> Result<i64, JournalError> {
    i64::try_from(value)
        .map_err(|_| JournalError::BadValue { field, reason: format!("{value} exceeds 2^63 - 1") })
}

fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The word under which serde knows a plain enum's value.
fn word(field: &'static str, value: &impl Serialize) -> Result<String, JournalError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        other => Err(JournalError::BadValue {
            field,
            reason: format!("expected a word, found {other:?}"),
        }),
    }
}

fn storage(path: &Path, source: rusqlite::Error) -> JournalError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => JournalError::Full { path },
        Some(ErrorCode::NotADatabase) => {
            JournalError::NotAJournal { path, reason: "not an SQLite file".into() }
        }
        _ => JournalError::Storage { path, source },
    }
}

#[cfg(test)]
mod tests;
