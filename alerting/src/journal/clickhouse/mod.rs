//! The journal of many guards and a long history, in a ClickHouse server.
//!
//! A guard writes its SQLite file first; [`Shipper`] copies the file's rows to the server. While the server is away
//! they wait in the file, so nothing is lost; each row carries the identity of its file and its id there, and what the
//! server already holds is asked for before anything is sent a second time, so nothing is stored twice.
//!
//! Works with any server since 18.16. A retention needs 19.6 or newer.

mod read;
mod rows;
mod ship;

use std::fmt;
use std::time::Duration;

use clickhouse::{Client, Compression, query::Query};
use tokio::runtime::Runtime;

use super::JournalError;
use crate::secret::Secret;

pub use ship::{Shipper, ShipperHealth};

/// How long one statement may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// The first version whose answers name their columns' types as the client checks them.
const CHECKED_SINCE: u32 = 22;

/// Where the server is.
#[derive(Debug, Clone)]
pub struct ClickHouseSettings {
    /// `http://` or `https://`, host and port. Nothing in it is secret.
    pub url: String,
    /// Database; created where it is missing.
    pub database: String,
    /// User; the server's `default` where none is given.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// Days after which the server forgets a row; none keeps all.
    pub retention_days: Option<u32>,
}

/// A connection to the server, for one thread: its calls block, and must not be made on a thread of a reactor.
pub struct ClickHouseJournal {
    client: Client,
    runtime: Runtime,
    settings: ClickHouseSettings,
}

impl fmt::Debug for ClickHouseJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseJournal")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl ClickHouseJournal {
    /// Connects for reading; nothing is created.
    ///
    /// # Errors
    /// [`JournalError::Server`].
    pub fn open(settings: ClickHouseSettings) -> Result<Self, JournalError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| JournalError::Server {
            server: settings.url.clone(),
            doing: "starting",
            reason: error.to_string(),
        })?;
        let mut client = Client::default()
            .with_url(&settings.url)
            .with_database(&settings.database)
            .with_compression(Compression::None);
        if let Some(user) = &settings.user {
            client = client.with_user(user);
        }
        if let Some(password) = &settings.password {
            client = client.with_password(password.expose());
        }
        let mut journal = Self { client, runtime, settings };
        let version: String = journal.wait("asking for its version", async {
            // The database may not exist yet.
            let bare = journal.client.clone().with_database("default").with_validation(false);
            bare.query("SELECT version()").fetch_one().await
        })?;
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        let is_checked = major.is_some_and(|major| major >= CHECKED_SINCE);
        journal.client = journal.client.with_validation(is_checked);
        Ok(journal)
    }

    /// Connects for writing: the database and the tables are created where they are missing, and tables of an older
    /// version are given what has been added since.
    ///
    /// # Errors
    /// [`JournalError::Server`].
    pub fn open_for_writing(settings: ClickHouseSettings) -> Result<Self, JournalError> {
        let journal = Self::open(settings)?;
        let database = journal.client.clone().with_database("default");
        let create = database
            .query("CREATE DATABASE IF NOT EXISTS ?")
            .bind(clickhouse::sql::Identifier(&journal.settings.database));
        journal.execute("creating the database", create)?;
        for statement in rows::TABLES {
            journal.execute("creating a table", journal.client.query(statement))?;
        }
        for (table, column, kind) in rows::ADDED {
            journal.add_column(table, column, kind)?;
        }
        if let Some(days) = journal.settings.retention_days {
            for (table, column) in rows::TIMES {
                let statement = format!(
                    "ALTER TABLE {table} MODIFY TTL toDateTime(intDiv({column}, 1000)) + INTERVAL {days} DAY"
                );
                journal.execute("setting the retention", journal.client.query(&statement))?;
            }
        }
        Ok(journal)
    }

    fn add_column(&self, table: &str, column: &str, kind: &str) -> Result<(), JournalError> {
        if self.has_column(table, column)? {
            return Ok(());
        }
        let statement = format!("ALTER TABLE {table} ADD COLUMN {column} {kind}");
        let added = self.execute("adding a column", self.client.query(&statement));
        // Of two guards that start at the same time, one comes too late for what it wanted.
        if added.is_err() && self.has_column(table, column)? { Ok(()) } else { added }
    }

    /// Asked and not left to `IF NOT EXISTS`, which the oldest servers do not know here.
    fn has_column(&self, table: &str, column: &str) -> Result<bool, JournalError> {
        let found: u64 = self.wait("asking for its columns", async {
            self.client
                .query(
                    "SELECT count() FROM system.columns WHERE database = ? AND table = ? AND name = ?",
                )
                .bind(self.settings.database.as_str())
                .bind(table)
                .bind(column)
                .fetch_one()
                .await
        })?;
        Ok(found > 0)
    }

    /// The server's address, without credentials.
    pub fn server(&self) -> &str {
        &self.settings.url
    }

    /// What tells this store from others that the same file is shipped to.
    fn name(&self) -> String {
        format!("{}/{}", self.settings.url.trim_end_matches('/'), self.settings.database)
    }

    fn execute(&self, doing: &'static str, query: Query) -> Result<(), JournalError> {
        self.wait(doing, query.execute())
    }

    fn wait<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, JournalError> {
        let bounded = async { tokio::time::timeout(STATEMENT_TIMEOUT, work).await };
        match self.runtime.block_on(bounded) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.failed(doing, &error)),
            Err(_) => Err(JournalError::Server {
                server: self.settings.url.clone(),
                doing,
                reason: format!("no answer within {} s", STATEMENT_TIMEOUT.as_secs()),
            }),
        }
    }

    fn failed(&self, doing: &'static str, error: &clickhouse::error::Error) -> JournalError {
        // The outermost message of a connection's failure is only "client error".
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !reason.contains(&text) {
                reason = format!("{reason}: {text}");
            }
            cause = inner.source();
        }
        let reason = reason.trim().to_owned();
        JournalError::Server { server: self.settings.url.clone(), doing, reason }
    }
}
