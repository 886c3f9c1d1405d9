//! Facts of re-entry: protected contracts entered again while they are still running.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use portcullis_rules::FactType::Uint;

use super::{Fact, View, count};

/// Facts of this pass.
pub(super) const FACTS: &[Fact<Reentry>] = &[
    Fact::partial(
        "reentry_depth",
        Uint,
        "count",
        "Most entries of one protected contract that were open on the call stack at once: 1 is a plain call, 2 and more \
         are re-entry. Delegate frames and calls of a contract to itself belong to the entry around them.",
        |found| count(found.depth),
    ),
    Fact::partial(
        "reentered_writes",
        Uint,
        "count",
        "Protected storage slots changed, for good, by an entry that stood inside of another entry of the same contract.",
        |found| count(found.reentered_writes),
    ),
    Fact::partial(
        "overwritten_after_reentry",
        Uint,
        "count",
        "Lost updates: protected storage slots that an outer entry read before it handed over control, an inner entry of \
         the same contract changed, and the outer entry then wrote again.",
        |found| count(found.overwritten),
    ),
    Fact::partial(
        "readonly_reentry",
        Uint,
        "count",
        "Static entries of a protected contract that was still running further up and changed afterwards a slot they \
         had read: views that saw a half-done update.",
        |found| count(found.stale_views),
    ),
];

/// What this pass finds.
#[derive(Debug, Default)]
pub(super) struct Reentry {
    /// Most open entries of one protected contract.
    pub(super) depth: usize,
    /// Distinct slots changed by inner entries.
    pub(super) reentered_writes: usize,
    /// Distinct slots with a lost update.
    pub(super) overwritten: usize,
    /// Static inner entries that read what the outer one changed afterwards.
    pub(super) stale_views: usize,
    /// Static inner entries.
    pub(super) static_entries: usize,
    /// Distinct slots read by an inner entry and written afterwards by one around it.
    pub(super) read_then_written: usize,
    /// Protected contracts entered by others while another protected one was open.
    pub(super) cross_entries: usize,
}

/// What one entry did to one slot; positions in the common order of events.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    first_read: Option<u32>,
    last_write: Option<u32>,
    last_change: Option<u32>,
}

impl Reentry {
    /// Runs the pass.
    pub(super) fn of(view: &View<'_>) -> Self {
        let mut found = Self::default();
        let mut is_reentered = false;
        for (_, _, place) in view.frames() {
            found.depth = found.depth.max(place.level);
            is_reentered |= place.outer.is_some();
            found.static_entries = found
                .static_entries
                .saturating_add(usize::from(place.outer.is_some() && place.is_static));
            found.cross_entries = found.cross_entries.saturating_add(usize::from(place.is_cross));
        }
        if is_reentered {
            found.read_storage(view);
        }
        found
    }

    fn read_storage(&mut self, view: &View<'_>) {
        let mut stale = std::collections::BTreeSet::new();
        for uses in slots(view).values() {
            let (mut changed_inside, mut overwritten, mut read_then_written) =
                (false, false, false);
            for (&entry, inner) in uses {
                let span = view
                    .execution
                    .frames
                    .get(entry)
                    .map_or((0, 0), |frame| (frame.entered, frame.left));
                for outer in outers(view, entry).filter_map(|outer| uses.get(&outer)) {
                    let read_before = outer.first_read.is_some_and(|order| order < span.0);
                    let written_after = outer.last_write.is_some_and(|order| order > span.1);
                    overwritten |= inner.last_change.is_some() && read_before && written_after;
                    read_then_written |= inner.first_read.is_some() && written_after;
                    let changed_after = outer.last_change.is_some_and(|order| order > span.1);
                    if inner.first_read.is_some() && changed_after && view.places[entry].is_static {
                        stale.insert(entry);
                    }
                }
                changed_inside |= inner.last_change.is_some() && view.places[entry].outer.is_some();
            }
            self.reentered_writes =
                self.reentered_writes.saturating_add(usize::from(changed_inside));
            self.overwritten = self.overwritten.saturating_add(usize::from(overwritten));
            self.read_then_written =
                self.read_then_written.saturating_add(usize::from(read_then_written));
        }
        self.stale_views = stale.len();
    }
}

/// Outer entries looked at for each inner one. A recursion does at each level what it does at the next, so the
/// nearest ones tell; without a bound a deep recursion would cost the square of its depth.
const OUTERS_LIMIT: usize = 64;

/// The entries of the same contract that were open around `entry`, innermost first, the nearest ones only.
fn outers<'v>(view: &'v View<'_>, entry: usize) -> impl Iterator<Item = usize> + 'v {
    let outer_of = |entry: usize| view.places.get(entry).and_then(|place| place.outer);
    std::iter::successors(outer_of(entry), move |outer| outer_of(*outer)).take(OUTERS_LIMIT)
}

/// Lasting uses of protected storage by slot and entry. Transient storage holds locks, which lose no update.
fn slots(view: &View<'_>) -> BTreeMap<(Address, U256), BTreeMap<usize, Use>> {
    let mut slots: BTreeMap<(Address, U256), BTreeMap<usize, Use>> = BTreeMap::new();
    for access in &view.execution.accesses {
        if access.transient || view.protected.group(&access.address).is_none() {
            continue;
        }
        let Some(entry) = view.entry(access.frame) else { continue };
        let used =
            slots.entry((access.address, access.slot)).or_default().entry(entry).or_default();
        match access.after {
            None => {
                used.first_read.get_or_insert(access.order);
            }
            Some(after) if access.kept => {
                used.last_write = Some(access.order);
                if after != access.before {
                    used.last_change = Some(access.order);
                }
            }
            Some(_) => {}
        }
    }
    slots
}
