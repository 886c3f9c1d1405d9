//! One thread that copies a journal file to the server, and goes on where it was after any failure of either.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clickhouse::{Row, RowOwned, RowWrite};

use super::super::spool::Table;
use super::super::{Journal, JournalError};
use super::rows::{Identity, StoredAction, StoredEvidence, StoredVerdict};
use super::{ClickHouseJournal, ClickHouseSettings};

/// Rows of one insert. Evidence may be tens of kilobytes each.
const BATCH: [(Table, u32); 3] =
    [(Table::Verdicts, 10_000), (Table::Evidence, 500), (Table::Actions, 5_000)];
/// How often the file is looked at for new rows.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Waits after a failure: the first, and the longest.
const RETRY_WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// How the copying fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShipperHealth {
    /// Rows copied since the start.
    pub shipped_rows: u64,
    /// Rows that the server may lack, as of the last look.
    pub behind_rows: u64,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// Why the last attempt failed; none once one has succeeded again.
    pub error: Option<String>,
}

/// Copies a journal file to the server until it is closed.
pub struct Shipper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Shipper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shipper").field("health", &self.health()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    health: ShipperHealth,
    /// Until when the last rows may still be copied, once the shipper closes.
    closes: Option<Instant>,
}

impl Shipper {
    /// Starts copying the journal at `path`, which must exist. A server that is away is waited for.
    ///
    /// # Errors
    /// [`JournalError::Thread`].
    pub fn start(path: &Path, settings: ClickHouseSettings) -> Result<Self, JournalError> {
        let shared = Arc::new(Shared::default());
        let mut work = Work {
            path: path.to_owned(),
            settings,
            shared: Arc::clone(&shared),
            open: None,
            is_certain: [false; BATCH.len()],
        };
        let thread = std::thread::Builder::new()
            .name("journal-ship".into())
            .spawn(move || work.run())
            .map_err(|error| JournalError::Thread {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How the copying fares now.
    pub fn health(&self) -> ShipperHealth {
        self.shared.lock().health.clone()
    }

    /// Copies what is left for at most `within`, ends the thread, and says how it went. What could not be copied
    /// stays in the file for the next time. Blocks.
    pub fn close(mut self, within: Duration) -> ShipperHealth {
        self.end(within);
        self.health()
    }

    fn end(&mut self, within: Duration) {
        self.shared.lock().closes.get_or_insert(Instant::now() + within);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.shared.lock().health.error = Some("the shipping thread panicked".into());
        }
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Work {
    path: PathBuf,
    settings: ClickHouseSettings,
    shared: Arc<Shared>,
    open: Option<Open>,
    /// By the order of [`BATCH`]: the server is known to hold nothing beyond what the file remembers.
    is_certain: [bool; BATCH.len()],
}

/// Both ends.
struct Open {
    spool: Journal,
    server: ClickHouseJournal,
    identity: Identity,
    /// Held while this process ships the file.
    _only_one: File,
}

impl Work {
    fn run(&mut self) {
        let mut wait = RETRY_WAITS.0;
        loop {
            let is_last = self.shared.lock().closes.is_some();
            match self.copy_all() {
                Ok(()) => {
                    wait = RETRY_WAITS.0;
                    self.shared.lock().health.error = None;
                    // All rows that were written before it was asked to close are there now.
                    if is_last || !self.rest(LOOK_EVERY) {
                        return;
                    }
                }
                Err(error) => {
                    self.note(&error);
                    self.open = None;
                    if !self.rest(wait) {
                        return;
                    }
                    wait = (wait * 2).min(RETRY_WAITS.1);
                }
            }
        }
    }

    fn note(&mut self, error: &JournalError) {
        let mut state = self.shared.lock();
        state.health.failures += 1;
        if state.health.error.is_none() {
            tracing::warn!(%error, "journal not shipped; its rows wait in the file");
        }
        state.health.error = Some(error.to_string());
    }

    /// Waits, less long when the shipper closes; false when no time is left.
    fn rest(&self, wait: Duration) -> bool {
        let mut state = self.shared.lock();
        if state.closes.is_none() {
            let still_open = |state: &mut State| state.closes.is_none();
            let waited = self.shared.changed.wait_timeout_while(state, wait, still_open);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            return state.closes.is_none_or(|end| Instant::now() < end);
        }
        let left = state.closes.and_then(|end| end.checked_duration_since(Instant::now()));
        drop(state);
        let Some(left) = left else { return false };
        std::thread::sleep(wait.min(left));
        wait < left
    }

    fn is_out_of_time(&self) -> bool {
        self.shared.lock().closes.is_some_and(|end| end <= Instant::now())
    }

    /// Copies everything that the file holds and the server lacks.
    fn copy_all(&mut self) -> Result<(), JournalError> {
        if self.open.is_none() {
            self.open = Some(self.connect()?);
            self.is_certain = [false; BATCH.len()];
        }
        let Some(open) = &self.open else { return Ok(()) };
        let mut behind = 0;
        for (place, (table, limit)) in BATCH.into_iter().enumerate() {
            loop {
                let after = open.spool.shipped_up_to(&open.server.name(), table)?;
                let copied = open.copy(table, after, limit, self.is_certain[place]);
                // Between an insert that failed and the next look, nobody knows what the server holds.
                self.is_certain[place] = copied.is_ok();
                let copied = copied?;
                let left = open.spool.count_after(table, copied.up_to)?;
                let mut state = self.shared.lock();
                state.health.shipped_rows += copied.rows;
                state.health.behind_rows = behind + left;
                drop(state);
                if left == 0 || self.is_out_of_time() {
                    behind += left;
                    break;
                }
            }
        }
        Ok(())
    }

    fn connect(&self) -> Result<Open, JournalError> {
        let spool = Journal::open(&self.path)?;
        let only_one = lock(&self.path)?;
        let server = ClickHouseJournal::open_for_writing(self.settings.clone())?;
        let identity = spool.identity()?;
        let identity = identity.as_bytes().try_into().map_err(|_| JournalError::NotAJournal {
            path: self.path.clone(),
            reason: format!("expected an identity of 32 digits, found `{identity}`"),
        })?;
        Ok(Open { spool, server, identity, _only_one: only_one })
    }
}

/// One process at a time ships a file: two could not know what the other has under way.
fn lock(path: &Path) -> Result<File, JournalError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".ship");
    let name = PathBuf::from(name);
    let refused = |error: std::io::Error| JournalError::Thread {
        path: name.clone(),
        reason: error.to_string(),
    };
    let file = File::options().create(true).append(true).open(&name).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(JournalError::ShippedElsewhere { path: path.to_owned() })
        }
        Err(TryLockError::Error(error)) => Err(refused(error)),
    }
}

struct Copied {
    rows: u64,
    up_to: u64,
}

impl Open {
    /// Copies one batch of a table that follows row `after`.
    fn copy(
        &self,
        table: Table,
        after: u64,
        limit: u32,
        is_certain: bool,
    ) -> Result<Copied, JournalError> {
        let journal = self.identity;
        match table {
            Table::Verdicts => {
                let rows = self.spool.verdicts_after(after, limit)?.into_iter();
                let rows = rows.map(|row| StoredVerdict::new(journal, row));
                self.send(table, after, rows.collect::<Result<_, _>>()?, |row| row.row, is_certain)
            }
            Table::Evidence => {
                let rows = self.spool.evidence_after(after, limit)?.into_iter();
                let rows = rows.map(|row| StoredEvidence::new(journal, row)).collect();
                self.send(table, after, rows, |row| row.row, is_certain)
            }
            Table::Actions => {
                let rows = self.spool.actions_after(after, limit)?.into_iter();
                let rows = rows.map(|row| StoredAction::new(journal, row)).collect();
                self.send(table, after, rows, |row| row.row, is_certain)
            }
        }
    }

    fn send<T>(
        &self,
        table: Table,
        after: u64,
        mut rows: Vec<T>,
        id: impl Fn(&T) -> u64,
        is_certain: bool,
    ) -> Result<Copied, JournalError>
    where
        T: RowOwned + RowWrite,
    {
        let Some(up_to) = rows.last().map(&id) else { return Ok(Copied { rows: 0, up_to: after }) };
        if !is_certain {
            let there = self.held(table, after, up_to)?;
            rows.retain(|row| there.binary_search(&id(row)).is_err());
        }
        if !rows.is_empty() {
            self.insert(table, &rows)?;
        }
        self.spool.set_shipped(&self.server.name(), table, up_to)?;
        Ok(Copied { rows: rows.len() as u64, up_to })
    }

    /// Ids of this file's rows that the server holds, after one and up to another; sorted.
    fn held(&self, table: Table, after: u64, up_to: u64) -> Result<Vec<u64>, JournalError> {
        #[derive(Row, serde::Deserialize)]
        struct Held {
            row: u64,
        }
        let identity = String::from_utf8_lossy(&self.identity).into_owned();
        let query = self
            .server
            .client
            .query(&format!(
                "SELECT DISTINCT ?fields FROM {} WHERE journal = ? AND row > ? AND row <= ? ORDER BY row",
                table.name()
            ))
            .bind(identity)
            .bind(after)
            .bind(up_to);
        let rows: Vec<Held> = self.server.wait("asking what it holds", query.fetch_all())?;
        Ok(rows.into_iter().map(|held| held.row).collect())
    }

    fn insert<T>(&self, table: Table, rows: &[T]) -> Result<(), JournalError>
    where
        T: RowOwned + RowWrite,
    {
        self.server.wait("inserting rows", async {
            let mut insert = self.server.client.insert::<T>(table.name()).await?;
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        })
    }
}
