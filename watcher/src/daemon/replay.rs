//! A recording played through the same pipeline.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{
    FLUSH_TIMEOUT, GuardError, GuardEvent, Parts,
    build::{limits, open_journal, started},
    chain::{Chain, Shared},
    play::Player,
};
use crate::{
    act::{Desk, DryHand, PauseHand},
    policy::Ledger,
    settings::{ChainSettings, GuardSettings},
    source::{
        Clock, Source as _,
        recording::{Pace, Recording, RecordingSource},
    },
    state::ForkedState,
    verdict::Judge,
};

/// A recording to replay.
#[derive(Debug)]
pub struct Replay {
    /// The recording.
    pub recording: Arc<Recording>,
    /// How fast.
    pub pace: Pace,
    /// Shows the pauses that would be sent; none means that nothing could pause.
    pub hand: Option<DryHand>,
}

/// Runs a recording through the same pipeline: in order, nothing sent, nobody notified. The clock is the
/// recording's, so the same recording gives the same events. `observe` is called with each event as it happens;
/// all are returned.
///
/// # Errors
/// The recording's chain is not configured, its state cannot be used, or the journal cannot be opened.
pub async fn replay(
    settings: &GuardSettings,
    parts: Parts,
    replay: Replay,
    observe: impl Fn(&GuardEvent) + Send + Sync + 'static,
) -> Result<Vec<GuardEvent>, GuardError> {
    let header = replay.recording.header();
    let chain = configured(settings, &replay.recording)?;
    let state = ForkedState::from_recording(&replay.recording)?;
    let events = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&events);
    let observer = Box::new(move |event: GuardEvent| {
        observe(&event);
        collected.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    });
    let now_ms = Arc::new(AtomicU64::new(header.head.timestamp_s.saturating_mul(1_000)));
    let clock: Clock = Arc::new({
        let now_ms = Arc::clone(&now_ms);
        move || now_ms.load(Ordering::Relaxed)
    });
    let desk = Arc::new(Desk::new(open_journal(settings)?.0, observer, None, clock));
    let judge =
        Judge::new(Arc::clone(&parts.rules), parts.model.clone()).with(parts.beside.clone());
    let ledger = Arc::new(Mutex::new(Ledger::new(limits(settings, &judge))));
    desk.tell(GuardEvent::Started(started(settings, &parts, true)));
    let hand = replay.hand.map(|hand| Arc::new(hand) as Arc<dyn PauseHand>);
    let chain = Chain::new(
        chain,
        settings,
        state,
        hand,
        Shared { judge, ledger, desk: Arc::clone(&desk), metrics: Arc::default(), consent: None },
    );
    let source = Box::new(RecordingSource::new(replay.recording, replay.pace));
    let (receiver, task) = source.start(settings.channels.source);
    let player = Player { chain: Arc::new(chain), now_ms };
    let (played, told) = tokio::join!(player.play(receiver), task);
    told?;
    played?;
    let totals = desk.totals();
    let flushed = Arc::clone(&desk);
    let flushed = tokio::task::spawn_blocking(move || flushed.flush(FLUSH_TIMEOUT)).await;
    if !matches!(flushed, Ok(true)) {
        tracing::error!(target: "watcher::daemon", "the journal did not take all rows");
    }
    desk.tell(GuardEvent::Stopped { totals });
    drop(desk);
    let events = std::mem::take(&mut *events.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(events)
}

/// The configured chain that a recording is of.
pub(super) fn configured<'a>(
    settings: &'a GuardSettings,
    recording: &Recording,
) -> Result<&'a ChainSettings, GuardError> {
    let recorded = &recording.header().chain;
    let found = settings.chains.iter().find(|chain| *chain.name == *recorded.name);
    found.filter(|chain| chain.chain_id == recorded.id).ok_or_else(|| GuardError::NotConfigured {
        chain: recorded.name.clone(),
        chain_id: recorded.id,
    })
}
