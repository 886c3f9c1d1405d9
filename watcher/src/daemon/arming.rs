//! What the journal says before a start: whether `armed` is honoured, and which pauses still count.

use alloy::primitives::B256;
use portcullis_alerting::{
    journal::{Journal, JournalError},
    record::Mode,
};

use crate::{
    act::Desk,
    policy::Ledger,
    settings::{GuardSettings, ProtectedSettings},
};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// What was found, for the journal and for people.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// Chain, kind of action and words.
    notes: Vec<(String, &'static str, String)>,
    /// Protocol key, time and block of each pause of the last day, the oldest first.
    paused: Vec<(String, u64, u64)>,
}

impl Before {
    /// Reads the journal, and lowers to `alert` what is armed without the days that it needs.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(super) fn read(settings: &mut GuardSettings, now_ms: u64) -> Result<Self, JournalError> {
        let journal = settings.journal.as_ref().map(Journal::open).transpose()?;
        let mut before = Self::default();
        before.arm(settings, journal.as_ref(), now_ms)?;
        if let Some(journal) = &journal {
            before.paused = paused(settings, journal, now_ms)?;
        }
        Ok(before)
    }

    fn arm(
        &mut self,
        settings: &mut GuardSettings,
        journal: Option<&Journal>,
        now_ms: u64,
    ) -> Result<(), JournalError> {
        let needed = settings.policy.arm_after_clean_days;
        let (mode, overriding) = (settings.mode, settings.policy.arm_override.clone());
        for entry in &mut settings.protected {
            if entry.mode.unwrap_or(mode) != Mode::Armed || needed == 0 {
                continue;
            }
            let found = match journal {
                Some(journal) => clean_days(journal, &entry.chain, &entry.name, needed, now_ms)?,
                None => 0,
            };
            if found >= needed {
                continue;
            }
            let days = format!("{found} of {needed} clean days in the journal");
            let (kind, words) = match &overriding {
                Some(reason) => ("arm_override", format!("armed with {days}: {reason}")),
                None => {
                    entry.mode = Some(Mode::Alert);
                    ("arm_held", format!("runs as alert, not armed: {days}"))
                }
            };
            self.notes.push((entry.chain.to_string(), kind, format!("{}: {words}", entry.name)));
        }
        Ok(())
    }

    /// Journals and tells what was found.
    pub(super) fn tell(&self, desk: &Desk) {
        for (chain, kind, words) in &self.notes {
            desk.act(chain, B256::ZERO, kind, words.clone(), None);
        }
    }

    /// Enters the pauses that still count.
    pub(super) fn restore(&self, ledger: &mut Ledger) {
        for (protocol, at_ms, block) in &self.paused {
            ledger.restore(protocol, *at_ms, *block);
        }
    }
}

/// Whole days before today, in a row and at most as many as are needed, on which the chain was judged and the protocol
/// would not have been paused while it was not armed; none where today had something. Replays do not count. Today counts in neither way else: it is
/// not over.
///
/// # Errors
/// The journal cannot be read.
pub fn clean_days(
    journal: &Journal,
    chain: &str,
    protocol: &str,
    needed: u32,
    now_ms: u64,
) -> Result<u32, JournalError> {
    let today = now_ms / DAY_MS;
    let first = today.saturating_sub(u64::from(needed));
    let days = journal.chain_days(chain, protocol, first.saturating_mul(DAY_MS))?;
    if days.get(&today).is_some_and(|day| day.would_pause > 0) {
        return Ok(0);
    }
    let is_clean =
        |day: &u64| days.get(day).is_some_and(|found| found.judged > 0 && found.would_pause == 0);
    let row = (first..today).rev().take_while(is_clean).count();
    Ok(u32::try_from(row).unwrap_or(u32::MAX))
}

/// Pauses of the last day that were sent and not given up.
fn paused(
    settings: &GuardSettings,
    journal: &Journal,
    now_ms: u64,
) -> Result<Vec<(String, u64, u64)>, JournalError> {
    let since_ms = now_ms.saturating_sub(DAY_MS);
    let rows = journal.actions_since(&["pause_sent", "pause_not_mined"], since_ms)?;
    let mut found = Vec::new();
    for (place, sent) in rows.iter().enumerate().filter(|(_, row)| row.kind == "pause_sent") {
        let is_given_up = rows.iter().skip(place).any(|row| {
            row.kind == "pause_not_mined" && row.tx_hash == sent.tx_hash && row.chain == sent.chain
        });
        if is_given_up {
            continue;
        }
        // The row begins with the protocol's name; of two names the longer one that fits is meant.
        let is_named = |entry: &&ProtectedSettings| {
            *entry.chain == *sent.chain && sent.detail.starts_with(&format!("{} (", entry.name))
        };
        let entries = settings.protected.iter().filter(is_named);
        let Some(entry) = entries.max_by_key(|entry| entry.name.len()) else { continue };
        let filter = portcullis_alerting::journal::VerdictFilter {
            chain: Some(sent.chain.clone()),
            tx_hash: Some(sent.tx_hash),
            limit: Some(1),
            live_only: true,
            ..Default::default()
        };
        let block = journal.verdicts(&filter)?.first().map_or(0, |row| row.block);
        found.push((format!("{}/{}", sent.chain, entry.name), sent.at_ms, block));
    }
    Ok(found)
}
