//! Pauses that wait until a person has answered, and the answers.
//!
//! An answer counts once: its number is written into the journal before anything follows from it. What waits is written
//! there too, until it is settled: after a restart it waits on under its name, and an answer that was accepted before
//! counts. It is settled before its pause is fired, so that no restart fires it again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::{Address, B256, keccak256};
use portcullis_alerting::{
    guardian::{AnswerError, Premises, Say, SignedAnswer, Waiting},
    journal::{AcceptedAnswer, Journal, JournalError, Unsettled},
    record::ActionRow,
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{PauseOrder, Pursuit};
use crate::settings::ApprovalSettings;

/// Pauses that wait at the same time. Bait must not make a guard remember without end.
const WAITING_LIMIT: usize = 64;

/// Pauses that wait for people.
#[derive(Debug)]
pub(crate) struct Consent {
    settings: ApprovalSettings,
    /// Its own connection: an answer waits for the disk, which nobody who judges may.
    journal: Mutex<Journal>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<B256, Case>,
    /// Incidents that people do not want to be asked about, until when, milliseconds since the Unix epoch.
    vetoed: BTreeMap<String, u64>,
    is_closed: bool,
    /// Asked before this start, and not listened to again so far.
    standing: Vec<Standing>,
}

/// A pause that people were asked about before this start.
#[derive(Debug)]
pub(crate) struct Standing {
    /// What they are shown.
    pub(crate) shown: Waiting,
    /// The answer comes here, also one that was accepted before this start.
    pub(crate) answer: oneshot::Receiver<Said>,
}

/// What is written down of a pause that waits.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    shown: Waiting,
    incident: String,
    block: u64,
    order: PauseOrder,
    premises: Premises,
    confirm_within_ms: u64,
}

impl Kept {
    fn new(shown: Waiting, pursuit: &Pursuit) -> Self {
        Self {
            shown,
            incident: pursuit.incident.clone(),
            block: pursuit.block,
            order: pursuit.order.clone(),
            premises: pursuit.premises.clone(),
            confirm_within_ms: u64::try_from(pursuit.confirm_within.as_millis())
                .unwrap_or(u64::MAX),
        }
    }

    fn pursuit(self) -> Pursuit {
        Pursuit {
            chain: self.shown.chain,
            protocol: self.shown.protocol,
            incident: self.incident,
            attack: self.shown.tx_hash,
            reason: self.shown.reason,
            awaits_answer: true,
            block: self.block,
            at_stake_wei: self.shown.at_stake_wei.parse().unwrap_or_default(),
            order: self.order,
            premises: self.premises,
            confirm_within: Duration::from_millis(self.confirm_within_ms),
            is_raise: false,
            ticket: None,
        }
    }
}

#[derive(Debug)]
struct Case {
    shown: Waiting,
    pursuit: Pursuit,
    answer: Option<oneshot::Sender<Said>>,
}

/// What somebody said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    /// Who.
    pub(crate) signer: Address,
    /// What.
    pub(crate) say: Say,
    /// Until when it holds, Unix seconds.
    pub(crate) until_s: u64,
}

/// What became of asking.
#[derive(Debug)]
pub(crate) enum Asked {
    /// People are asked from now on; the answer comes here.
    Now(Waiting, oneshot::Receiver<Said>),
    /// They are being asked about this incident; the answer decides on this transaction too.
    Already(Waiting),
    /// They have said that they do not want to be asked until then, milliseconds since the Unix epoch.
    Vetoed(u64),
    /// Too many decisions wait, or the guard is ending.
    NoRoom,
}

/// Why an answer was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It does not count.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// It could not be written down.
    #[error("the answer could not be written down, so it does not count: {0}")]
    Journal(#[from] JournalError),
}

impl Consent {
    /// Goes on with what people were asked before this start and what `is_current` still holds for; the rest is settled,
    /// and its rows say why.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub(crate) fn restored(
        settings: ApprovalSettings,
        journal: Journal,
        now_ms: u64,
        is_current: impl Fn(&Waiting) -> bool,
    ) -> Result<Self, JournalError> {
        let mut state = State::default();
        for Unsettled { incident, body, answer } in journal.unsettled()? {
            let kept = match serde_json::from_str::<Kept>(&body) {
                Ok(kept) if kept.shown.incident == incident => kept,
                _ => {
                    tracing::error!(
                        target: "watcher::act", %incident,
                        "what waited for an answer under this name cannot be read; it waits no longer"
                    );
                    journal.end_waiting(incident)?;
                    continue;
                }
            };
            let is_listed =
                answer.as_ref().is_none_or(|(_, signer)| settings.signers.contains(signer));
            let is_vetoed = answer.as_ref().is_some_and(|(word, _)| word != Say::Approve.word());
            let why = if is_vetoed {
                Some("it was vetoed before this start")
            } else if !is_current(&kept.shown) || !is_listed {
                Some("the configuration has changed since it was asked")
            } else {
                None
            };
            if let Some(why) = why {
                journal.append_action(&ActionRow {
                    at_ms: now_ms,
                    chain: kept.shown.chain.clone(),
                    tx_hash: kept.shown.tx_hash,
                    kind: if is_vetoed { "pause_vetoed" } else { "pause_unanswered" }.to_owned(),
                    detail: format!("{incident}: {why}"),
                    action_tx_hash: None,
                })?;
                journal.end_waiting(incident)?;
                continue;
            }
            let shown = kept.shown.clone();
            let (sender, answered) = oneshot::channel();
            let pursuit = kept.pursuit();
            let answer = match answer {
                // Accepted before this start: it is heard as soon as somebody listens.
                Some((_, signer)) => {
                    let said = Said { signer, say: Say::Approve, until_s: 0 };
                    // The other end lies in this very function.
                    sender.send(said).ok();
                    None
                }
                None => Some(sender),
            };
            let case = Case { shown: shown.clone(), pursuit, answer };
            state.waiting.insert(incident, case);
            state.standing.push(Standing { shown, answer: answered });
        }
        Ok(Self { settings, journal: Mutex::new(journal), state: Mutex::new(state) })
    }

    /// What people were asked on a chain before this start, once.
    pub(crate) fn standing(&self, chain: &str) -> Vec<Standing> {
        self.state().standing.extract_if(.., |standing| standing.shown.chain == chain).collect()
    }

    /// Writes down that people are asked, for a guard that comes after this one. Blocks.
    ///
    /// # Errors
    /// The journal cannot be written; then a restart forgets it.
    pub(crate) fn keep(&self, incident: B256) -> Result<(), JournalError> {
        let kept = {
            let state = self.state();
            state.waiting.get(&incident).map(|case| Kept::new(case.shown.clone(), &case.pursuit))
        };
        let Some(kept) = kept else { return Ok(()) };
        let body = serde_json::to_string(&kept).map_err(|error| JournalError::BadValue {
            field: "waiting",
            reason: error.to_string(),
        })?;
        self.lock_journal().keep_waiting(incident, &body)
    }

    /// Writes down that it is settled what becomes of it: no guard after this one goes on with it. Blocks.
    ///
    /// # Errors
    /// The journal cannot be written; then nothing may be fired for it.
    pub(crate) fn settle(&self, incident: B256) -> Result<(), JournalError> {
        self.lock_journal().end_waiting(incident)
    }

    /// Who is asked, and how long.
    pub(crate) fn settings(&self) -> &ApprovalSettings {
        &self.settings
    }

    /// Puts a pause before people.
    pub(crate) fn ask(
        &self,
        pursuit: Pursuit,
        chain_id: u64,
        guardian: Address,
        now_ms: u64,
    ) -> Asked {
        let mut state = self.state();
        state.vetoed.retain(|_, until_ms| now_ms < *until_ms);
        if let Some(until_ms) = state.vetoed.get(&pursuit.incident) {
            return Asked::Vetoed(*until_ms);
        }
        let same = |case: &&mut Case| case.pursuit.incident == pursuit.incident;
        if let Some(case) = state.waiting.values_mut().find(same) {
            case.pursuit = pursuit;
            return Asked::Already(case.shown.clone());
        }
        if state.is_closed || state.waiting.len() >= WAITING_LIMIT {
            return Asked::NoRoom;
        }
        let at = now_ms.to_be_bytes();
        let name = [pursuit.incident.as_bytes(), pursuit.attack.as_slice(), at.as_slice()];
        let shown = Waiting {
            incident: keccak256(name.concat()),
            chain: pursuit.chain.clone(),
            chain_id,
            guardian,
            protocol: pursuit.protocol.clone(),
            target: pursuit.order.target,
            tx_hash: pursuit.attack,
            reason: pursuit.reason.clone(),
            at_stake_wei: pursuit.at_stake_wei.to_string(),
            asked_at_ms: now_ms,
            until_ms: now_ms.saturating_add(self.settings.wait_ms),
        };
        let (answer, answered) = oneshot::channel();
        let case = Case { shown: shown.clone(), pursuit, answer: Some(answer) };
        state.waiting.insert(shown.incident, case);
        Asked::Now(shown, answered)
    }

    /// Takes back what was put before people, as it stands now.
    pub(crate) fn take(&self, incident: B256) -> Option<Pursuit> {
        self.state().waiting.remove(&incident).map(|case| case.pursuit)
    }

    /// What waits, the oldest first.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        let state = self.state();
        let open = state.waiting.values().filter(|case| case.answer.is_some());
        let mut shown: Vec<Waiting> = open.map(|case| case.shown.clone()).collect();
        shown.sort_by_key(|waiting| waiting.asked_at_ms);
        shown
    }

    /// Takes an answer; what was said, once it is written down. Blocks.
    ///
    /// # Errors
    /// It does not count, or could not be written down; nothing has changed then.
    pub(crate) fn answer(&self, signed: &SignedAnswer, now_ms: u64) -> Result<Said, Refusal> {
        let answer = &signed.answer;
        let nothing_waits = || AnswerError::NothingWaits { incident: answer.incident };
        let shown = {
            let state = self.state();
            let case = state.waiting.get(&answer.incident).filter(|case| case.answer.is_some());
            case.ok_or_else(nothing_waits)?.shown.clone()
        };
        if answer.chain_id != shown.chain_id {
            let (expected, found) = (shown.chain_id, answer.chain_id);
            return Err(AnswerError::OtherChain { expected, found }.into());
        }
        if answer.guardian != shown.guardian {
            let (expected, found) = (shown.guardian, answer.guardian);
            return Err(AnswerError::OtherGuardian { expected, found }.into());
        }
        let signer = signed.signer()?;
        if !self.settings.signers.contains(&signer) {
            return Err(AnswerError::NotListed { signer }.into());
        }
        answer.is_timely(now_ms / 1_000)?;
        let accepted = AcceptedAnswer {
            signer,
            nonce: answer.nonce,
            incident: answer.incident,
            decision: answer.decision.word().to_owned(),
            at_ms: now_ms,
        };
        if !self.lock_journal().accept_answer(&accepted)? {
            return Err(AnswerError::Used { signer, nonce: answer.nonce }.into());
        }
        let said = Said { signer, say: answer.decision, until_s: answer.expiry };
        let mut state = self.state();
        let case = state.waiting.get_mut(&answer.incident).ok_or_else(nothing_waits)?;
        let key = case.pursuit.incident.clone();
        // Whoever waited may have stopped a moment ago.
        let sender = case.answer.take().ok_or_else(nothing_waits)?;
        sender.send(said).map_err(|_| nothing_waits())?;
        if said.say == Say::Veto {
            state.vetoed.insert(key, said.until_s.saturating_mul(1_000));
        }
        Ok(said)
    }

    /// Ends all waiting without an answer, and takes nothing more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        for case in state.waiting.values_mut() {
            case.answer = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
