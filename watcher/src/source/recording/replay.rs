//! A recording played as a source.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::Recording;
use crate::source::{Source, SourceEvent, SourceTask};

/// How fast a recording is played.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Pace {
    /// As fast as the receiver takes it.
    #[default]
    Unpaced,
    /// So many times as fast as it was recorded; 1.0 is as it was. Not more than 0 plays as [`Pace::Unpaced`].
    Times(f64),
}

/// Plays a [`Recording`]: the head it begins on, then its steps in order, then [`SourceEvent::End`]. Nothing is
/// dropped: a full channel waits.
#[derive(Debug)]
pub struct RecordingSource {
    recording: Arc<Recording>,
    pace: Pace,
}

impl RecordingSource {
    /// A source that plays `recording` at `pace`.
    pub fn new(recording: Arc<Recording>, pace: Pace) -> Self {
        Self { recording, pace }
    }
}

impl Source for RecordingSource {
    fn chain(&self) -> Arc<str> {
        self.recording.header().chain.name.as_str().into()
    }

    fn chain_id(&self) -> u64 {
        self.recording.header().chain.id
    }

    fn start(self: Box<Self>, capacity: usize) -> (mpsc::Receiver<SourceEvent>, SourceTask) {
        let (events, receiver) = mpsc::channel(capacity.max(1));
        let task = async move {
            let up = SourceEvent::Up { node: "recording".into(), chain: self.chain() };
            let first = SourceEvent::Head(Arc::new(self.recording.first_block()));
            let began = Instant::now();
            let began_ms = self.recording.steps().iter().find_map(at_ms).unwrap_or_default();
            for event in [up, first].iter().chain(self.recording.steps()).chain([&SourceEvent::End])
            {
                if let (Pace::Times(times), Some(at_ms)) = (self.pace, at_ms(event))
                    && let Some(due) = due(at_ms.saturating_sub(began_ms), times)
                        .and_then(|due| began.checked_add(due))
                {
                    sleep_until(due).await;
                }
                if events.send(event.clone()).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        (receiver, Box::pin(task))
    }
}

fn at_ms(event: &SourceEvent) -> Option<u64> {
    match event {
        SourceEvent::Head(block) => Some(block.seen_at_ms),
        SourceEvent::Pending(tx) => Some(tx.seen_at_ms),
        _ => None,
    }
}

fn due(after_ms: u64, times: f64) -> Option<Duration> {
    (times > 0.0)
        .then(|| Duration::try_from_secs_f64(after_ms as f64 / 1000.0 / times).ok())
        .flatten()
}
