//! A played story as a recording: what a guard would have seen of it, to be replayed anywhere.

use std::io::Write;
use std::path::Path;

use portcullis_watcher::source::recording::{
    FORMAT, Header, RecordedAccount, RecordedChain, RecordedContract, RecordedState,
    RecordingError, RecordingWriter, VERSION,
};
use portcullis_watcher::state::{ForkedState, StateError};

use super::play::{PlayError, Played, Told, genesis, play, rules};
use super::{Story, StoryOptions};

/// Why a story could not be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It could not be played.
    #[error("{0}")]
    Play(#[from] PlayError),
    /// The chain in memory could not be made.
    #[error("{0}")]
    State(#[from] StateError),
    /// It could not be written.
    #[error("{0}")]
    Write(#[from] RecordingError),
}

/// Tells and plays the story of `options`, and writes what was seen to `out`; `path` stands in errors.
///
/// The vault is marked as protected, and a note before each transaction says what it is.
///
/// # Errors
/// See [`RecordError`].
pub fn record<W: Write>(options: &StoryOptions, path: &Path, out: W) -> Result<(), RecordError> {
    let story = Story::tell(options);
    let played = play(&story, options.chain_id)?;
    let mut writer = RecordingWriter::new(path, out, header(&story, options.chain_id)?)?;
    write(&story, &played, &mut writer)?;
    writer.finish()?;
    Ok(())
}

fn write<W: Write>(
    story: &Story,
    played: &Played,
    writer: &mut RecordingWriter<W>,
) -> Result<(), RecordingError> {
    for told in &played.told {
        match told {
            Told::Head(block) => writer.head(block)?,
            Told::Pending(step, tx) => {
                writer.note(story.steps[*step].label.as_str())?;
                writer.pending(tx)?;
            }
        }
    }
    Ok(())
}

fn header(story: &Story, chain_id: u64) -> Result<Header, StateError> {
    let rules = rules(chain_id);
    let fresh = ForkedState::in_memory(rules, genesis(story))?;
    let accounts = genesis(story)
        .map(|(address, account)| {
            let recorded = RecordedAccount { balance: account.balance, ..Default::default() };
            (address, recorded)
        })
        .collect();
    let contract = |name: &str, protected| RecordedContract { name: name.to_owned(), protected };
    Ok(Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        chain: RecordedChain {
            name: "story".to_owned(),
            id: chain_id,
            hardfork: rules.hardforks.first(),
            later_hardforks: rules.hardforks.later().collect(),
            block_time_s: rules.block_time_s,
        },
        contracts: [
            (story.vault, contract("vault", true)),
            (story.guardian, contract("guardian", false)),
            (story.attack_contract, contract("attack contract", false)),
        ]
        .into(),
        complete: true,
        head: fresh.head().ok_or(StateError::NoHead)?,
        state: RecordedState { accounts },
    })
}
