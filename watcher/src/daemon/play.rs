//! The loop over a recording.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    GuardError,
    block::{advance, go_back},
    chain::{Chain, Done, Job},
    gate::carry_out,
    run::{settle_waiting, tell},
};
use crate::{
    act::GuardEvent,
    source::{Offered, SourceEvent},
};

/// Plays a recording: one event after the other, each finished before the next.
pub(super) struct Player {
    pub(super) chain: Arc<Chain>,
    /// The recording's time, milliseconds since the epoch.
    pub(super) now_ms: Arc<AtomicU64>,
}

impl Player {
    /// Plays to the end.
    pub(super) async fn play(
        self,
        mut events: mpsc::Receiver<SourceEvent>,
    ) -> Result<(), GuardError> {
        let chain = &self.chain;
        let mut waiting = VecDeque::new();
        let mut is_first = true;
        while let Some(event) = events.recv().await {
            match event {
                SourceEvent::Pending(tx) => {
                    self.set_clock(tx.seen_at_ms);
                    if chain.pool().insert(Arc::clone(&tx)) != Offered::Known {
                        self.work(Job::replayed(tx), &mut waiting).await?;
                    }
                }
                SourceEvent::Head(block) => {
                    self.set_clock(block.seen_at_ms);
                    let below = Arc::clone(&block);
                    let went_back = self.blocking(move |chain| go_back(chain, &below)).await?;
                    // As live: what the first head holds was mined before anybody listened.
                    if !std::mem::take(&mut is_first) {
                        for (place, tx) in block.transactions.iter().enumerate() {
                            if chain.pool().insert(Arc::clone(tx)) != Offered::Known {
                                let job = Job::replayed(Arc::clone(tx)).mined_in(&block, place);
                                self.work(job, &mut waiting).await?;
                            }
                        }
                    }
                    let moved = Arc::clone(&block);
                    self.blocking(move |chain| advance(chain, &moved, went_back)).await?;
                    chain.pool().mined(&block);
                    for job in std::mem::take(&mut waiting) {
                        self.work(job, &mut waiting).await?;
                    }
                }
                SourceEvent::End => break,
                other => tell(chain, other),
            }
        }
        settle_waiting(chain, waiting);
        chain.desk.tell(GuardEvent::ChainEnded { chain: chain.name.clone(), failure: None });
        Ok(())
    }

    async fn work(&self, job: Job, waiting: &mut VecDeque<Job>) -> Result<(), GuardError> {
        match self.blocking(move |chain| chain.work(job)).await? {
            Done::Settled(pursuits) => {
                for pursuit in pursuits {
                    carry_out(Arc::clone(&self.chain), pursuit, Duration::ZERO).await;
                }
            }
            Done::Waiting(job) => waiting.push_back(job),
        }
        Ok(())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Chain) -> T + Send + 'static,
    ) -> Result<T, GuardError> {
        let chain = Arc::clone(&self.chain);
        spawn_blocking(move || work(&chain))
            .await
            .map_err(|error| GuardError::Crashed(error.to_string()))
    }

    /// Recorded times may be zero where nobody took them; the clock never goes back.
    fn set_clock(&self, at_ms: u64) {
        self.now_ms.fetch_max(at_ms, Ordering::Relaxed);
    }
}
