//! Hard forks, and which of them is in force at a block.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A hard fork of the execution layer.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the forks' own names")]
pub enum Hardfork {
    London,
    Paris,
    Shanghai,
    Cancun,
    #[default]
    Prague,
    Osaka,
}

impl Hardfork {
    /// All of them, the oldest first.
    pub const ALL: [Self; 6] =
        [Self::London, Self::Paris, Self::Shanghai, Self::Cancun, Self::Prague, Self::Osaka];
}

impl std::fmt::Display for Hardfork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::London => "london",
            Self::Paris => "paris",
            Self::Shanghai => "shanghai",
            Self::Cancun => "cancun",
            Self::Prague => "prague",
            Self::Osaka => "osaka",
        })
    }
}

/// Hard forks by their first block; below the first of them its rules are in force as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardforkSchedule {
    /// In force below the first later block.
    first: Hardfork,
    /// First block of each fork that came later; unused places at the end are none.
    later: [Option<(u64, Hardfork)>; LATER_LIMIT],
}

/// There are no more forks than names for them.
const LATER_LIMIT: usize = Hardfork::ALL.len() - 1;

/// A list of forks that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Two forks begin at one block.
    #[error("two hard forks begin at block {block}")]
    SameBlock {
        /// The block.
        block: u64,
    },
    /// A fork comes after one that followed it in time.
    #[error("`{later}` cannot come into force at block {block}, after `{earlier}`")]
    OutOfOrder {
        /// The fork at that block.
        later: Hardfork,
        /// The block.
        block: u64,
        /// The fork below it.
        earlier: Hardfork,
    },
}

impl HardforkSchedule {
    /// The same rules for every block.
    pub const fn always(fork: Hardfork) -> Self {
        Self { first: fork, later: [None; LATER_LIMIT] }
    }

    /// Forks by first block, in any order; without any, today's default for every block.
    ///
    /// # Errors
    /// See [`ScheduleError`].
    pub fn new(forks: impl IntoIterator<Item = (u64, Hardfork)>) -> Result<Self, ScheduleError> {
        let mut forks: Vec<_> = forks.into_iter().collect();
        forks.sort_unstable();
        for pair in forks.windows(2) {
            let [(below, earlier), (block, later)] = pair else { continue };
            if below == block {
                return Err(ScheduleError::SameBlock { block: *block });
            }
            if later <= earlier {
                return Err(ScheduleError::OutOfOrder {
                    later: *later,
                    block: *block,
                    earlier: *earlier,
                });
            }
        }
        let mut forks = forks.into_iter();
        let mut schedule =
            Self::always(forks.next().map_or_else(Hardfork::default, |(_, fork)| fork));
        // Each comes after another of the few that there are, so all of them have a place.
        for (place, fork) in schedule.later.iter_mut().zip(forks) {
            *place = Some(fork);
        }
        Ok(schedule)
    }

    /// The fork in force at a block.
    pub fn at(&self, block: u64) -> Hardfork {
        let begun = self.later().take_while(|(first, _)| *first <= block);
        begun.last().map_or(self.first, |(_, fork)| fork)
    }

    /// The fork in force from the start.
    pub fn first(&self) -> Hardfork {
        self.first
    }

    /// Forks that came into force later, by first block.
    pub fn later(&self) -> impl Iterator<Item = (u64, Hardfork)> + '_ {
        self.later.iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{HardforkSchedule, ScheduleError};
    use crate::source::Hardfork::{self, Cancun, Osaka, Prague, Shanghai};

    #[test]
    fn the_last_fork_that_has_begun_is_in_force() {
        let forks = [(200, Osaka), (10, Shanghai), (100, Cancun)];
        let schedule = HardforkSchedule::new(forks).unwrap();
        let at = [0, 10, 99, 100, 199, 200, u64::MAX].map(|block| schedule.at(block));
        assert_eq!(at, [Shanghai, Shanghai, Shanghai, Cancun, Cancun, Osaka, Osaka]);
        assert_eq!(schedule.later().collect::<Vec<_>>(), [(100, Cancun), (200, Osaka)]);
        assert_eq!(HardforkSchedule::new([]).unwrap().at(7), Hardfork::default());
    }

    #[test]
    fn every_fork_has_a_place() {
        let all = Hardfork::ALL.iter().zip(0..).map(|(fork, block)| (block, *fork));
        let schedule = HardforkSchedule::new(all).unwrap();
        assert_eq!(schedule.at(u64::MAX), Osaka);
    }

    #[test]
    fn forks_follow_one_another() {
        assert_eq!(
            HardforkSchedule::new([(5, Cancun), (5, Prague)]),
            Err(ScheduleError::SameBlock { block: 5 })
        );
        assert_eq!(
            HardforkSchedule::new([(0, Prague), (9, Cancun)]),
            Err(ScheduleError::OutOfOrder { later: Cancun, block: 9, earlier: Prague })
        );
    }
}
