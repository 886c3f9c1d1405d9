//! One thread that writes, so that nobody who judges transactions waits for a disk.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Journal, JournalError, JournalRow};

/// Rows that one transaction holds at most. A quiet guard writes a few at a time; in a burst, the more rows share a
/// transaction, the fewer times the pages of an index go to the disk.
const BATCH_ROWS: usize = 4_096;

/// Waits between attempts while the file cannot be written: the first, and the longest.
const RETRY_WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How many rows of each kind may wait. Each kind has its own bound, so that a flood of verdicts cannot push out
/// the evidence and the actions that matter most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterLimits {
    /// Verdict rows, of a few hundred bytes each.
    pub verdicts: usize,
    /// Evidence, which may be tens of kilobytes each.
    pub evidence: usize,
    /// Action rows and dead letters.
    pub actions: usize,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self { verdicts: 16_384, evidence: 512, actions: 2_048 }
    }
}

/// How the writer fares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalHealth {
    /// Rows that wait.
    pub queued_rows: u64,
    /// Rows committed.
    pub written_rows: u64,
    /// Rows refused because too many waited.
    pub dropped_rows: u64,
    /// Rows given up: their values cannot be stored, or the file could not be written before the end.
    pub failed_rows: u64,
    /// Attempts at writing that failed.
    pub failed_writes: u64,
    /// Why the last attempt failed; none once one has succeeded again.
    pub error: Option<String>,
}

impl JournalHealth {
    /// Whether every row so far is written or waits for a file that can be written.
    pub fn is_sound(&self) -> bool {
        self.error.is_none() && self.dropped_rows == 0 && self.failed_rows == 0
    }
}

/// Hands rows to the thread that writes them. Rows wait in memory while the file cannot be written.
pub struct JournalWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for JournalWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalWriter").field("health", &self.health()).finish_non_exhaustive()
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    limits: WriterLimits,
}

#[derive(Default)]
struct State {
    rows: VecDeque<JournalRow>,
    waiting: Waiting,
    /// Rows accepted since the start, and rows settled (written or given up): a flush waits for the second to
    /// reach the first.
    accepted: u64,
    settled: u64,
    is_closing: bool,
    health: JournalHealth,
}

#[derive(Default)]
struct Waiting {
    verdicts: usize,
    evidence: usize,
    actions: usize,
}

impl Waiting {
    fn of(&mut self, row: &JournalRow) -> &mut usize {
        match row {
            JournalRow::Verdict(_) => &mut self.verdicts,
            JournalRow::Evidence(_) => &mut self.evidence,
            JournalRow::Action(_) | JournalRow::DeadLetter(_) => &mut self.actions,
        }
    }
}

impl JournalWriter {
    /// Starts the writing thread over an open journal.
    ///
    /// # Errors
    /// [`JournalError::Thread`].
    pub fn start(journal: Journal, limits: WriterLimits) -> Result<Self, JournalError> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), limits });
        let path = journal.path().to_owned();
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.write_until_closed(&journal)
            })
            .map_err(|error| JournalError::Thread { path, reason: error.to_string() })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes a row, or drops and counts it where too many of its kind wait. Never waits for the disk: the lock it
    /// takes is only ever held to move rows in memory.
    pub fn record(&self, row: JournalRow) -> bool {
        let mut state = self.shared.lock();
        let limit = match row {
            JournalRow::Verdict(_) => self.shared.limits.verdicts,
            JournalRow::Evidence(_) => self.shared.limits.evidence,
            JournalRow::Action(_) | JournalRow::DeadLetter(_) => self.shared.limits.actions,
        };
        if state.is_closing || *state.waiting.of(&row) >= limit {
            state.health.dropped_rows += 1;
            return false;
        }
        *state.waiting.of(&row) += 1;
        state.rows.push_back(row);
        state.accepted += 1;
        drop(state);
        self.shared.changed.notify_all();
        true
    }

    /// How the writer fares now.
    pub fn health(&self) -> JournalHealth {
        let state = self.shared.lock();
        JournalHealth { queued_rows: state.accepted - state.settled, ..state.health.clone() }
    }

    /// Waits until every row taken so far is written or given up; false where that took longer than `within`.
    /// Blocks: not for a task of the reactor.
    pub fn flush(&self, within: Duration) -> bool {
        let end = Instant::now() + within;
        let mut state = self.shared.lock();
        let goal = state.accepted;
        while state.settled < goal {
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Writes what waits, ends the thread, and says how it went. Rows that cannot be written at once are given up
    /// and counted. Blocks.
    pub fn close(mut self) -> JournalHealth {
        self.end();
        self.health()
    }

    fn end(&mut self) {
        self.shared.lock().is_closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.shared.lock().health.error = Some("the journal thread panicked".into());
        }
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// A thread that panicked while it held the lock has left plain counters and rows behind: still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_until_closed(&self, journal: &Journal) {
        while let Some(batch) = self.next_batch() {
            self.write(journal, &batch);
        }
    }

    /// The rows to write next; none once the writer is closed and nothing waits.
    fn next_batch(&self) -> Option<Vec<JournalRow>> {
        let mut state = self.lock();
        while state.rows.is_empty() {
            if state.is_closing {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.rows.len().min(BATCH_ROWS);
        Some(state.rows.drain(..count).collect())
    }

    /// Writes one batch. A file that cannot be written is tried again until it can be or the writer closes; a row
    /// that cannot be stored is given up, and the others of its batch are not.
    fn write(&self, journal: &Journal, batch: &[JournalRow]) {
        let mut wait = RETRY_WAITS.0;
        loop {
            match journal.append_batch(batch) {
                Ok(()) => return self.settle(batch, 0, None),
                Err(JournalError::BadValue { .. }) if batch.len() > 1 => {
                    return batch.chunks(1).for_each(|row| self.write(journal, row));
                }
                Err(error @ JournalError::BadValue { .. }) => {
                    return self.settle(batch, batch.len(), Some(error));
                }
                Err(error) => {
                    let mut state = self.lock();
                    state.health.failed_writes += 1;
                    if state.is_closing {
                        drop(state);
                        return self.settle(batch, batch.len(), Some(error));
                    }
                    if state.health.error.is_none() {
                        tracing::warn!(%error, "journal cannot be written");
                    }
                    state.health.error = Some(error.to_string());
                    // Woken early by new rows, it waits on: only time or the end makes another attempt useful.
                    let waited =
                        self.changed.wait_timeout_while(state, wait, |state| !state.is_closing);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                    wait = (wait * 2).min(RETRY_WAITS.1);
                }
            }
        }
    }

    fn settle(&self, batch: &[JournalRow], failed: usize, error: Option<JournalError>) {
        let mut state = self.lock();
        for row in batch {
            *state.waiting.of(row) -= 1;
        }
        state.settled += batch.len() as u64;
        state.health.failed_rows += failed as u64;
        state.health.written_rows += (batch.len() - failed) as u64;
        state.health.error = error.map(|error| error.to_string());
        drop(state);
        self.changed.notify_all();
    }
}
