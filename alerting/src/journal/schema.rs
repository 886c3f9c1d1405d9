//! The tables, and how a file comes to have them.

use std::path::Path;

use rusqlite::Connection;

use super::{JournalError, storage};

/// Written into the file's header, so that another program's database is not taken for a journal ("Port").
const APPLICATION_ID: i64 = 0x506F_7274;

/// Pages of the write-ahead log, of 4 KiB each, after which it is copied back into the file.
const CHECKPOINT_PAGES: i64 = 8_192;
/// What a connection keeps of the file in memory, in KiB.
const CACHE_KIB: i64 = 16_384;

/// Each entry brings a file from the version that is its index to the next; entries are only ever added.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE verdicts (
        id INTEGER PRIMARY KEY,
        version INTEGER NOT NULL,
        chain TEXT NOT NULL,
        chain_id INTEGER NOT NULL,
        block INTEGER NOT NULL,
        tx_hash BLOB NOT NULL,
        sender BLOB NOT NULL,
        receiver BLOB,
        seen_at_ms INTEGER NOT NULL,
        latency_us INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        decision TEXT NOT NULL,
        would_decide TEXT NOT NULL,
        mode TEXT NOT NULL,
        score REAL,
        reason TEXT NOT NULL
    );
    CREATE INDEX verdicts_tx_hash ON verdicts (tx_hash);
    CREATE INDEX verdicts_seen_at_ms ON verdicts (seen_at_ms);
    CREATE INDEX verdicts_notable ON verdicts (seen_at_ms) WHERE would_decide != 'none';
    CREATE TABLE evidence (
        id INTEGER PRIMARY KEY,
        version INTEGER NOT NULL,
        tx_hash BLOB NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX evidence_tx_hash ON evidence (tx_hash);
    CREATE TABLE actions (
        id INTEGER PRIMARY KEY,
        version INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        chain TEXT NOT NULL,
        tx_hash BLOB NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL,
        action_tx_hash BLOB
    );
    CREATE INDEX actions_tx_hash ON actions (tx_hash);
", "
    -- Tells this journal's rows from those of others in a store that many share.
    CREATE TABLE identity (id TEXT NOT NULL);
    INSERT INTO identity VALUES (lower(hex(randomblob(16))));
    -- How far each table was copied into such a store, by row id.
    CREATE TABLE shipped (store TEXT NOT NULL, rows_of TEXT NOT NULL, up_to INTEGER NOT NULL, PRIMARY KEY (store, rows_of));
", "
    ALTER TABLE verdicts ADD COLUMN is_mined INTEGER NOT NULL DEFAULT 0;
", "
    -- Answers of people; each number of a signer is accepted once.
    CREATE TABLE answers (
        signer BLOB NOT NULL,
        nonce BLOB NOT NULL,
        incident BLOB NOT NULL,
        decision TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (signer, nonce)
    ) WITHOUT ROWID;
", "
    -- JSON lists of names; NULL where a row is older than they are.
    ALTER TABLE verdicts ADD COLUMN touched TEXT;
    ALTER TABLE verdicts ADD COLUMN would_pause TEXT;
    ALTER TABLE verdicts ADD COLUMN is_replay INTEGER NOT NULL DEFAULT 0;
    -- What people were not told.
    CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY,
        version INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        channel TEXT,
        is_over INTEGER NOT NULL,
        alert TEXT NOT NULL,
        failure TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        resent_at_ms INTEGER
    );
", "
    -- Pauses that wait for people, until it is settled what becomes of them.
    CREATE TABLE waiting (incident BLOB PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
"];

pub(super) const INSERT_VERDICT: &str = "INSERT INTO verdicts (version, chain, chain_id, block, tx_hash, sender, \
     receiver, seen_at_ms, latency_us, outcome, decision, would_decide, mode, score, reason, is_mined, touched, \
     would_pause, is_replay) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";
pub(super) const INSERT_EVIDENCE: &str =
    "INSERT INTO evidence (version, tx_hash, body) VALUES (?1, ?2, ?3)";
pub(super) const INSERT_ACTION: &str = "INSERT INTO actions (version, at_ms, chain, tx_hash, kind, detail, \
     action_tx_hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

pub(super) const SELECT_VERDICTS: &str = "SELECT * FROM verdicts \
     WHERE (?1 IS NULL OR chain = ?1) AND (?2 IS NULL OR tx_hash = ?2) AND (?3 IS NULL OR receiver = ?3) \
     AND (?4 IS NULL OR seen_at_ms >= ?4) AND (?5 IS NULL OR seen_at_ms < ?5) \
     AND CASE would_decide WHEN 'none' THEN 0 WHEN 'alert' THEN 1 ELSE 2 END >= ?6 \
     AND NOT (?8 AND is_replay) ORDER BY id DESC LIMIT ?7";
pub(super) const SELECT_EVIDENCE: &str = "SELECT * FROM evidence WHERE tx_hash = ?1 ORDER BY id";
pub(super) const SELECT_ACTIONS: &str = "SELECT * FROM actions WHERE tx_hash = ?1 ORDER BY id";

/// Brings the file to the newest schema; a new file gets all of it.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), JournalError> {
    let failed = |source| storage(path, source);
    // Two processes that open a new file at once must not both create the tables: the lock is taken before the
    // version is read.
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(failed)?;
    let version = version_of(&transaction, path)?;
    for migration in &MIGRATIONS[version..] {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    if version < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
        transaction.pragma_update(None, "user_version", newest()).map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(failed)?;
    // With a write-ahead log this keeps every committed row when the process dies; a power cut may cost the last
    // transactions, never the file.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    // Transaction hashes fall on random pages of their index. Copied back every 4 MB of log, as is the default, those
    // pages would be written to the file over and over: on a slow disk that, and not the rows, is the limit.
    connection
        .pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))
        .map_err(failed)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(failed)
}

/// Refuses a file that is not a journal of exactly this schema, without changing it.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let version = version_of(connection, path)?;
    if version == MIGRATIONS.len() {
        return Ok(());
    }
    let reason = format!(
        "schema version {version} is older than {}; open it for writing once",
        MIGRATIONS.len()
    );
    Err(JournalError::NotAJournal { path: path.to_owned(), reason })
}

fn version_of(connection: &Connection, path: &Path) -> Result<usize, JournalError> {
    let failed = |source| storage(path, source);
    let number = |name| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed)
    };
    let application_id = number("application_id")?;
    let found = number("user_version")?;
    if application_id != APPLICATION_ID {
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(failed)?;
        if tables > 0 || application_id != 0 || found != 0 {
            let reason = "a database of another program".to_owned();
            return Err(JournalError::NotAJournal { path: path.to_owned(), reason });
        }
    }
    match usize::try_from(found) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(JournalError::NewerSchema { path: path.to_owned(), found, known: newest() }),
    }
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("a handful of migrations")
}
