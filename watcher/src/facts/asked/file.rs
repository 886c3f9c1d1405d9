//! The memory on disk: one line a block, appended as blocks come; reading it again is living through them again.
//!
//! The first line names the format and the chain. A line that was torn by a crash is left out, and with it nothing but
//! its block. The file is written anew, beside itself and then in its place, once it holds far more than is kept.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::memory::{Memory, Remembered};

/// Version of the file's form.
const VERSION: u32 = 1;
/// Bytes that are read at most.
const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Lines beyond twice the kept blocks after which the file is written anew.
const SLACK_LINES: usize = 1_000;

/// Why a memory file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryFileError {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is of another chain, of another version, or no memory at all.
    #[error("{path}: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was expected.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    chain_id: u64,
}

/// A memory's file, open for appending.
#[derive(Debug)]
pub struct MemoryFile {
    path: PathBuf,
    chain_id: u64,
    file: File,
    n_lines: usize,
}

impl MemoryFile {
    /// Opens or makes the file at `path`, and lives through what is in it.
    ///
    /// # Errors
    /// [`MemoryFileError::Io`], or [`MemoryFileError::Foreign`] for a file of another chain or version.
    pub fn open(path: &Path, chain_id: u64, memory: &mut Memory) -> Result<Self, MemoryFileError> {
        let io = |source| MemoryFileError::Io { path: path.to_owned(), source };
        let foreign = |reason| MemoryFileError::Foreign { path: path.to_owned(), reason };
        if path.exists() {
            let file = File::open(path).map_err(io)?.take(MAX_BYTES);
            let mut lines = BufReader::new(file).lines();
            if let Some(first) = lines.next() {
                let first = first.map_err(io)?;
                let header: Header = serde_json::from_str(&first)
                    .map_err(|_| foreign("not the memory of a guard".to_owned()))?;
                if header.version != VERSION {
                    let found = header.version;
                    return Err(foreign(format!("version {found}; this program knows {VERSION}")));
                }
                if header.chain_id != chain_id {
                    let found = header.chain_id;
                    return Err(foreign(format!("of chain id {found}, not {chain_id}")));
                }
            }
            for line in lines {
                // Bytes that are no text end the reading; what stands before them counts.
                let Ok(line) = line else { break };
                match serde_json::from_str::<Remembered>(&line) {
                    Ok(block) => {
                        memory.push(block);
                    }
                    Err(error) => {
                        tracing::warn!(target: "watcher::facts", %error, "a line of the memory was left out");
                    }
                }
            }
        }
        let mut opened = Self {
            path: path.to_owned(),
            chain_id,
            file: OpenOptions::new().create(true).append(true).open(path).map_err(io)?,
            n_lines: 0,
        };
        opened.rewrite(memory).map_err(io)?;
        Ok(opened)
    }

    /// Writes down the newest block of `memory`.
    ///
    /// # Errors
    /// The file cannot be written; the memory itself is as good as before.
    pub fn append(&mut self, memory: &Memory) -> Result<(), MemoryFileError> {
        let io = |source| MemoryFileError::Io { path: self.path.clone(), source };
        let kept = memory.blocks().count();
        if self.n_lines > kept.saturating_mul(2).saturating_add(SLACK_LINES) {
            return self
                .rewrite(memory)
                .map_err(|source| MemoryFileError::Io { path: self.path.clone(), source });
        }
        if let Some(newest) = memory.blocks().last() {
            let line = serde_json::to_string(newest).map_err(|error| io(error.into()))?;
            self.file.write_all(format!("{line}\n").as_bytes()).map_err(io)?;
            self.n_lines = self.n_lines.saturating_add(1);
        }
        Ok(())
    }

    fn rewrite(&mut self, memory: &Memory) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let beside = PathBuf::from(name);
        let mut text =
            serde_json::to_string(&Header { version: VERSION, chain_id: self.chain_id })?;
        text.push('\n');
        self.n_lines = 0;
        for block in memory.blocks() {
            text.push_str(&serde_json::to_string(block)?);
            text.push('\n');
            self.n_lines = self.n_lines.saturating_add(1);
        }
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        Ok(())
    }
}
