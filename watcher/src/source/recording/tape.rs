//! The recording of a running guard: it begins with the first head and never stands in the guard's way.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use alloy::primitives::Address;

use super::{
    Entry, Header, Out, RecordedChain, RecordedContract, RecordedState, RecordingError,
    RecordingWriter,
};
use crate::source::{BlockRecord, Head, PendingTransaction};

/// Writes what a guard sees and fetches. The first line that cannot be written ends the recording, not the guard:
/// what stands in the file until then is whole.
#[derive(Debug)]
pub struct Tape {
    path: PathBuf,
    chain: RecordedChain,
    contracts: BTreeMap<Address, RecordedContract>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// The head that the recording begins on is not known yet.
    Waiting(Out),
    Running(RecordingWriter),
    Ended,
    Failed(RecordingError),
}

impl Tape {
    /// Makes the file, so that one that cannot be written is told at once; compressed where its name ends in `.gz`.
    ///
    /// # Errors
    /// [`RecordingError::Io`].
    pub fn create(
        path: &Path,
        chain: RecordedChain,
        contracts: BTreeMap<Address, RecordedContract>,
    ) -> Result<Self, RecordingError> {
        let file = Out::create(path).map_err(|error| RecordingError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let state = Mutex::new(State::Waiting(file));
        Ok(Self { path: path.to_owned(), chain, contracts, state })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A block was mined; the first one becomes the head that the recording begins on.
    pub fn head(&self, block: &BlockRecord) {
        self.change(|state| match state {
            State::Waiting(out) => {
                let header = Header {
                    format: String::new(),
                    version: 0,
                    chain: self.chain.clone(),
                    contracts: self.contracts.clone(),
                    complete: false,
                    head: Head::from(block),
                    state: RecordedState::default(),
                };
                Ok(State::Running(RecordingWriter::new(&self.path, out, header)?))
            }
            State::Running(mut writer) => {
                writer.head(block)?;
                writer.flush()?;
                Ok(State::Running(writer))
            }
            over => Ok(over),
        });
    }

    /// A pending transaction is judged now.
    pub fn pending(&self, tx: &PendingTransaction) {
        self.write(|writer| writer.pending(tx));
    }

    /// State was fetched.
    pub fn entry(&self, entry: &Entry) {
        self.write(|writer| writer.entry(entry));
    }

    /// Ends the recording; nothing is written after that.
    ///
    /// # Errors
    /// The first line that could not be written, or that no head was ever seen, so that there is no recording.
    pub fn end(&self) -> Result<(), RecordingError> {
        self.change(|state| match state {
            State::Waiting(_) => Err(RecordingError::Io {
                path: self.path.clone(),
                reason: "nothing was recorded: no head was seen".to_owned(),
            }),
            State::Running(writer) => writer.end().map(|()| State::Ended),
            over => Ok(over),
        });
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Failed(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn write(&self, line: impl FnOnce(&mut RecordingWriter) -> Result<(), RecordingError>) {
        self.change(|state| match state {
            State::Running(mut writer) => {
                line(&mut writer)?;
                Ok(State::Running(writer))
            }
            // Before the first head nothing is judged and nothing fetched.
            other => Ok(other),
        });
    }

    fn change(&self, step: impl FnOnce(State) -> Result<State, RecordingError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, State::Ended);
        *state = step(before).unwrap_or_else(|error| {
            tracing::error!(target: "watcher::source", %error, "the recording ends here");
            State::Failed(error)
        });
    }
}
