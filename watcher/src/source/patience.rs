//! How long a node's heads are waited for, and when it is left to itself instead.
//!
//! A connection that stands says little: a frozen node keeps it open, a subscription may die in silence, and a node
//! that falls behind goes on answering, of a past that others have left.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Heads that a node may be behind most of the others.
const BLOCKS_BEHIND: u64 = 3;
/// Usual times between blocks that a head may be late before the node is asked.
const BLOCKS_LATE: u64 = 4;

/// For how long a node's heads are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Time without a new head after which the node is asked where it stands, milliseconds.
    pub head_ms: u64,
    /// Time that it has for the answer, milliseconds.
    pub answer_ms: u64,
    /// Heads that it may be behind most of the other nodes.
    pub blocks_behind: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self::of(12_000)
    }
}

impl Patience {
    /// What fits a usual time between blocks.
    pub fn of(block_time_ms: u64) -> Self {
        Self {
            head_ms: block_time_ms.saturating_mul(BLOCKS_LATE).clamp(3_000, 120_000),
            answer_ms: block_time_ms.clamp(2_000, 10_000),
            blocks_behind: BLOCKS_BEHIND,
        }
    }

    /// How long a connection may be silent, pings included; never longer than `most_ms`.
    pub(super) fn silence_ms(&self, most_ms: u64) -> u64 {
        self.head_ms.saturating_add(self.answer_ms).saturating_mul(2).min(most_ms)
    }

    pub(super) fn ask_every(&self) -> Duration {
        Duration::from_millis((self.head_ms / 3).max(10))
    }

    pub(super) fn answer_within(&self) -> Duration {
        Duration::from_millis(self.answer_ms)
    }
}

/// Why a node that can be reached is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Late {
    /// It does not answer at all.
    #[error("it stands still: no head came, and no answer within {after_ms} ms")]
    Frozen { after_ms: u64 },
    /// It has heads that it does not announce.
    #[error("its subscription is dead: it announced block {announced} last and is at {reached}")]
    Mute { announced: u64, reached: u64 },
    /// Others are further.
    #[error(
        "it lags behind: it is at block {announced}, most of the other nodes at {others} or further"
    )]
    Behind { announced: u64, others: u64 },
}

/// Which head each of a chain's nodes announced last, and when.
///
/// A single node's word never makes another one late: one that lies about its height must not cost the rest.
#[derive(Debug, Default)]
pub(super) struct Standings(Mutex<Vec<Option<(u64, Instant)>>>);

impl Standings {
    /// The node at this place announced a head.
    pub(super) fn told(&self, node: usize, number: u64, now: Instant) {
        let mut standings = self.lock();
        if standings.len() <= node {
            standings.resize(node + 1, None);
        }
        if let Some(standing) = standings.get_mut(node)
            && standing.is_none_or(|(before, _)| before != number)
        {
            *standing = Some((number, now));
        }
    }

    /// The node was asked, and nothing is wrong with its head; it is asked again after a while.
    pub(super) fn renew(&self, node: usize, now: Instant) {
        if let Some(Some((_, at))) = self.lock().get_mut(node) {
            *at = now;
        }
    }

    /// The node is lost.
    pub(super) fn lost(&self, node: usize) {
        if let Some(standing) = self.lock().get_mut(node) {
            *standing = None;
        }
    }

    /// The head that the node announced last, if that is longer ago than its patience.
    pub(super) fn overdue(&self, node: usize, patience: &Patience, now: Instant) -> Option<u64> {
        let (number, at) = self.lock().get(node).copied().flatten()?;
        (now.saturating_duration_since(at) > Duration::from_millis(patience.head_ms))
            .then_some(number)
    }

    /// Most of the others are too far ahead. With only one other node, which may lie, a node is behind only where its
    /// own head does not move either (`is_overdue`).
    pub(super) fn behind(
        &self,
        node: usize,
        patience: &Patience,
        is_overdue: bool,
    ) -> Option<Late> {
        let standings = self.lock();
        let (announced, _) = standings.get(node).copied().flatten()?;
        let mut others: Vec<u64> = standings
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != node)
            .filter_map(|(_, standing)| Some((*standing)?.0))
            .collect();
        others.sort_unstable();
        if others.len() < 2 && !is_overdue {
            return None;
        }
        let others = *others.get(others.len().saturating_sub(1) / 2)?;
        (others > announced.saturating_add(patience.blocks_behind))
            .then_some(Late::Behind { announced, others })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<(u64, Instant)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { head_ms: 1_000, answer_ms: 100, blocks_behind: 3 };

    #[test]
    fn a_head_is_overdue_when_it_stands_and_not_when_it_was_asked_for() {
        let standings = Standings::default();
        let began = Instant::now();
        let later = began + Duration::from_millis(1_001);
        standings.told(0, 7, began);
        assert_eq!(standings.overdue(0, &PATIENCE, began), None);
        // The same head told again is no new head.
        standings.told(0, 7, later);
        assert_eq!(standings.overdue(0, &PATIENCE, later), Some(7));
        standings.renew(0, later);
        assert_eq!(standings.overdue(0, &PATIENCE, later), None);
        standings.lost(0);
        assert_eq!(standings.overdue(0, &PATIENCE, later + Duration::from_secs(9)), None);
    }

    #[test]
    fn most_of_the_others_make_a_node_late_and_a_single_one_does_not() {
        let standings = Standings::default();
        let tell = |node, number| standings.told(node, number, Instant::now());
        tell(0, 7);
        tell(1, 11);
        assert_eq!(standings.behind(0, &PATIENCE, false), None, "one word against another");
        let late = Late::Behind { announced: 7, others: 11 };
        assert_eq!(standings.behind(0, &PATIENCE, true), Some(late));
        // A third node that lies about its height makes nobody late.
        tell(1, 8);
        tell(2, u64::MAX);
        assert_eq!(standings.behind(0, &PATIENCE, false), None);
        tell(1, 11);
        assert_eq!(standings.behind(0, &PATIENCE, false), Some(late));
        assert_eq!(standings.behind(1, &PATIENCE, false), None);
    }

    #[test]
    fn patience_follows_the_chain() {
        let of = |block_time_ms| {
            let patience = Patience::of(block_time_ms);
            (patience.head_ms, patience.answer_ms, patience.silence_ms(45_000))
        };
        assert_eq!(of(250), (3_000, 2_000, 10_000));
        assert_eq!(of(12_000), (48_000, 10_000, 45_000));
    }
}
